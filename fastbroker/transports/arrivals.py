"""From a connection that was accepted to the protocol that its client speaks.

    tcp ws                  nothing comes before the protocol
    unix                    UnixArrival asks the system who it is
    ...?proxy_protocol      ProxyArrival reads who it is from, and not a byte more
    tls wss                 TlsAcceptor does the handshake

Each step is the protocol of the transport until the next one takes its place.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, NamedTuple, cast

from fastbroker.config import Config
from fastbroker.core.connection import connection
from fastbroker.core.hub import Hub
from fastbroker.core.tls import TlsAcceptor, TlsTransport
from fastbroker.core.upgrade import websocket
from fastbroker.log import Log
from fastbroker.transports import proxy
from fastbroker.transports.address import Address
from fastbroker.transports.tls import Contexts, client_certificate

# A connection that was reset before it is accepted has no name any more, but what was sent on it can still be read.
GONE = "unknown"
# So it is with load balancers that look whether the broker is there.
NOTHING = "nothing was sent"

Factory = Callable[[], asyncio.BaseProtocol]
# What makes the next step's protocol, for a peer that is known, or for "" when the transport tells.
Next = Callable[[str], asyncio.BaseProtocol]


class Arriving:
    """Counts the connections that have no protocol yet, and are not among those that the hub counts."""

    def __init__(self, most: int) -> None:
        """Let in so many at one time."""
        self._most = most
        self._count = 0

    def enter(self) -> bool:
        """Count one more, if there is room for it."""
        there_is_room = self._count < self._most
        self._count += there_is_room
        return there_is_room

    def leave(self) -> None:
        """Count one less."""
        self._count -= 1


def peer_of(transport: Any) -> str:
    """Who is at the other end, as far as the socket says it."""
    name = transport.get_extra_info("peername")
    if isinstance(name, tuple):
        return f"[{name[0]}]:{name[1]}" if ":" in name[0] else f"{name[0]}:{name[1]}"
    connection = transport.get_extra_info("socket")
    return unix_peer(connection) if getattr(connection, "family", None) == socket.AF_UNIX else GONE


def unix_peer(connection: Any) -> str:
    """Which process is at the other end of a Unix socket, where the system tells."""
    if not hasattr(socket, "SO_PEERCRED"):
        return "unix"
    size = struct.calcsize("3i")
    pid, uid, gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return f"unix:pid={pid},uid={uid},gid={gid}"


def _hand_over(transport: asyncio.Transport, protocol: asyncio.BaseProtocol) -> None:
    transport.set_protocol(protocol)
    protocol.connection_made(transport)


class UnixArrival(asyncio.BufferedProtocol):
    """The first protocol of a Unix socket: it only asks who is there."""

    def __init__(self, then: Next) -> None:
        """Make way for `then`."""
        self._then = then

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask, and make way."""
        _hand_over(cast(asyncio.Transport, transport), self._then(peer_of(transport)))

    def get_buffer(self, sizehint: int) -> bytearray:
        """Nothing is ever read here."""
        raise NotImplementedError


class ProxyDoor(NamedTuple):
    """What the connections of one `?proxy_protocol` address share."""

    loop: asyncio.AbstractEventLoop
    then: Next
    arriving: Arriving
    failed: Callable[[str, str], None]
    local: bool
    trusted: tuple[IPv4Network | IPv6Network, ...]
    timeout: float

    def trusts(self, peername: object) -> bool:
        """Whether this peer may speak for others. Who may open a Unix socket always may."""
        if self.local or not isinstance(peername, tuple):
            return self.local
        host = ip_address(peername[0].partition("%")[0])
        host = getattr(host, "ipv4_mapped", None) or host
        return any(host in network for network in self.trusted)


class ProxyArrival(asyncio.BufferedProtocol):
    """Reads the header of the PROXY protocol."""

    def __init__(self, door: ProxyDoor) -> None:
        """Make way for `door.then` when the header is there, or tell `door.failed` the peer and the reason."""
        self._door = door
        self._header = b""
        self._buffer = bytearray()
        self._deadline: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport
        self._peer = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Turn away whoever may not speak for others."""
        self._transport = cast(asyncio.Transport, transport)
        self._peer = peer_of(transport)
        if self._peer == GONE:
            self._turn_away(f"PROXY header: reset, {NOTHING}")
        elif not self._door.trusts(transport.get_extra_info("peername")):
            self._turn_away("PROXY header: not from proxy_protocol.trusted")
        elif not self._door.arriving.enter():
            self._turn_away("server busy")
        else:
            self._deadline = self._door.loop.call_later(self._door.timeout, self._refuse, "timed out")

    def get_buffer(self, sizehint: int) -> bytearray:
        """Room for no more than the header has for certain."""
        self._buffer = bytearray(proxy.missing(self._header) if self._deadline else 1)
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """See whether that was all of it."""
        if not self._deadline:
            return  # it was turned away
        self._header += self._buffer[:nbytes]
        try:
            if proxy.missing(self._header) == 0:
                self._proceed(proxy.source(self._header) or self._peer)
        except proxy.Malformed as error:
            self._refuse(f"malformed: {error}")

    def _proceed(self, peer: str) -> None:
        self._leave()
        _hand_over(self._transport, self._door.then(peer))

    def eof_received(self) -> bool:
        """The peer went away: most of the time a load balancer that looks whether the broker is there."""
        self._refuse("incomplete" if self._header else NOTHING)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer is gone."""
        self._leave()

    def _turn_away(self, reason: str) -> None:
        self._door.failed(self._peer, reason)
        self._door.loop.call_soon(self._transport.abort)

    def _refuse(self, reason: str) -> None:
        if self._deadline:
            self._leave()
            self._turn_away(f"PROXY header: {reason}")

    def _leave(self) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None
            self._door.arriving.leave()


class Arrivals:
    """Makes the protocol factories of all addresses."""

    def __init__(self, hub: Hub, config: Config, contexts: Contexts | None, arriving: Arriving, log: Log) -> None:
        """Bring connections to this hub."""
        self._hub = hub
        self._config = config
        self._contexts = contexts
        self._arriving = arriving
        self._log = log
        self._acceptors: list[tuple[bool, TlsAcceptor]] = []

    def use(self, contexts: Contexts) -> None:
        """Use other certificates from the next handshake on."""
        self._contexts = contexts
        for is_websocket, acceptor in self._acceptors:
            acceptor.context = contexts.websocket if is_websocket else contexts.stomp

    def factory(self, address: Address) -> Factory:
        """What makes the first protocol of each connection to this address."""
        if not (address.proxied or address.is_local or address.how.secure):
            return partial(websocket if address.how.websocket else connection, self._hub, listener=str(address))
        then = self._tls(address) if address.how.secure else partial(self._plain, address)
        if address.proxied:
            return partial(ProxyArrival, self._door(address, then))
        return partial(UnixArrival, then) if address.is_local else partial(then, "")

    def _door(self, address: Address, then: Next) -> ProxyDoor:
        settings = self._config.proxy_protocol
        trusted = tuple(map(ip_network, settings.trusted))
        failed = partial(self._failed, address)
        return ProxyDoor(
            self._hub.loop, then, self._arriving, failed, address.is_local, trusted, settings.header_timeout
        )

    def _plain(self, address: Address, peer: str) -> asyncio.BaseProtocol:
        make = websocket if address.how.websocket else connection
        return make(self._hub, peer=peer, listener=str(address))

    def _tls(self, address: Address) -> Next:
        assert self._contexts is not None
        acceptor = TlsAcceptor(
            self._hub.loop,
            self._contexts.websocket if address.how.websocket else self._contexts.stomp,
            arriving=self._arriving,
            arrived=partial(self._after_handshake, address),
            failed=partial(self._handshake_failed, address),
            timeout=self._config.tls.handshake_timeout,
            most_handshakes=self._config.tls.max_handshakes,
        )
        self._acceptors.append((address.how.websocket, acceptor))
        return acceptor.connection

    def _after_handshake(self, address: Address, transport: TlsTransport) -> asyncio.BaseProtocol:
        certificate = client_certificate(transport.get_extra_info("peercert"), self._config.tls)
        if certificate:
            peer = transport.peer or peer_of(transport)
            self._log("info", "client certificate", peer=peer, identity=certificate["identity"])
        make = websocket if address.how.websocket else connection
        return make(self._hub, peer=transport.peer, listener=str(address), secure=True, certificate=certificate)

    def _handshake_failed(self, address: Address, transport: TlsTransport, reason: str) -> None:
        self._failed(address, transport.peer or peer_of(transport), f"TLS handshake: {reason}")

    def _failed(self, address: Address, peer: str, reason: str) -> None:
        level = "debug" if reason.endswith(NOTHING) else "warning"
        self._log(level, "refused", peer=peer, listener=str(address), reason=reason)
