"""From a connection that was accepted to the protocol that its client speaks.

    tcp ws unix             nothing comes before the protocol
    ...?proxy_protocol      ProxyArrival reads who it is from, and not a byte more
    tls wss                 TlsAcceptor does the handshake

Each step is the protocol of the transport until the next one takes its place. How long it may take, and how many may be
there at one time, is the business of arriving.py.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import NamedTuple, cast

from fastbroker.config import Config
from fastbroker.core.connection import connection
from fastbroker.core.hub import Hub
from fastbroker.core.log import Log
from fastbroker.core.login import GONE, peer_of
from fastbroker.core.tls import Handshakes, TlsAcceptor, TlsTransport
from fastbroker.core.upgrade import websocket
from fastbroker.transports import proxy
from fastbroker.transports.address import Address
from fastbroker.transports.arriving import Arriving, Awaited, Ticket
from fastbroker.transports.tls import Contexts, client_certificate
from fastbroker.transports.workers import Workers

# So it is with load balancers that look whether the broker is there.
NOTHING = "nothing was sent"

Factory = Callable[[], asyncio.BaseProtocol]
# What makes the next step's protocol, for a peer that is known, or for "" when the transport tells.
Next = Callable[[str], asyncio.BaseProtocol]


def _hand_over(transport: asyncio.Transport, protocol: asyncio.BaseProtocol) -> None:
    transport.set_protocol(protocol)
    protocol.connection_made(transport)


class ProxyDoor(NamedTuple):
    """What the connections of one `?proxy_protocol` address share."""

    hub: Hub
    then: Next
    arriving: Arriving
    header: Awaited
    failed: Callable[[str, str], None]
    local: bool
    trusted: tuple[IPv4Network | IPv6Network, ...]

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
        self._ticket: Ticket | None = None
        self._transport: asyncio.Transport
        self._peer = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Turn away whoever may not speak for others."""
        self._transport = cast(asyncio.Transport, transport)
        self._peer = peer_of(transport.get_extra_info("socket").fileno())
        if self._peer == GONE:
            self._hang_up(f"PROXY header: reset, {NOTHING}")
        elif not self._door.trusts(transport.get_extra_info("peername")):
            self._hang_up("PROXY header: not from proxy_protocol.trusted")
        else:
            self._ticket = self._door.arriving.enter(self, self._peer, self._door.header)

    def get_buffer(self, sizehint: int) -> bytearray:
        """Room for no more than the header has for certain."""
        self._buffer = bytearray(proxy.missing(self._header) if self._ticket else 1)
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """See whether that was all of it."""
        if not self._ticket:
            return  # it was turned away
        self._header += self._buffer[:nbytes]
        self._door.hub.charge_input(nbytes)
        try:
            if proxy.missing(self._header) == 0:
                self._proceed(proxy.source(self._header) or self._peer)
        except proxy.Malformed as error:
            self.turn_away(f"malformed: {error}")

    def _proceed(self, peer: str) -> None:
        self._leave()
        _hand_over(self._transport, self._door.then(peer))

    def eof_received(self) -> bool:
        """The peer went away: most of the time a load balancer that looks whether the broker is there."""
        self.turn_away("incomplete" if self._header else NOTHING)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer is gone."""
        self._leave()

    def turn_away(self, reason: str) -> None:
        """It is not waited for any longer."""
        if self._ticket:
            self._leave()
            self._hang_up(f"PROXY header: {reason}")

    def _hang_up(self, reason: str) -> None:
        self._door.failed(self._peer, reason)
        self._door.hub.loop.call_soon(self._transport.abort)

    def _leave(self) -> None:
        ticket, self._ticket = self._ticket, None
        if ticket:
            ticket.leave()
            self._door.hub.charge_input(-len(self._header))


class Arrivals:
    """Makes the protocol factories of all addresses."""

    def __init__(self, hub: Hub, config: Config, contexts: Contexts | None, arriving: Arriving, log: Log) -> None:
        """Bring connections to this hub."""
        self._hub = hub
        self._config = config
        self._contexts = contexts
        self.arriving = arriving
        tls = config.tls
        self.workers = Workers(hub.loop)
        self._handshakes = Handshakes(
            hub, arriving, self.workers, timeout=tls.handshake_timeout, most=tls.max_handshakes
        )
        header = config.proxy_protocol.header_timeout
        self._header = arriving.awaited(header, header / 2)
        self._log = log
        self._acceptors: list[tuple[bool, TlsAcceptor]] = []

    def use(self, contexts: Contexts) -> None:
        """Use other certificates from the next handshake on."""
        self._contexts = contexts
        for is_websocket, acceptor in self._acceptors:
            acceptor.context = contexts.websocket if is_websocket else contexts.stomp

    def factory(self, address: Address) -> Factory:
        """What makes the first protocol of each connection to this address."""
        if not self.are_counted(address):
            return partial(websocket if address.how.websocket else connection, self._hub, listener=str(address))
        then = self._tls(address) if address.how.secure else partial(self._plain, address)
        return partial(ProxyArrival, self._door(address, then)) if address.proxied else partial(then, "")

    @staticmethod
    def are_counted(address: Address) -> bool:
        """Whether those who come in there are among the arriving first."""
        return address.proxied or address.how.secure

    def _door(self, address: Address, then: Next) -> ProxyDoor:
        trusted = tuple(map(ip_network, self._config.proxy_protocol.trusted))
        failed = partial(self._failed, address)
        return ProxyDoor(self._hub, then, self.arriving, self._header, failed, address.is_local, trusted)

    def _plain(self, address: Address, peer: str) -> asyncio.BaseProtocol:
        make = websocket if address.how.websocket else connection
        return make(self._hub, peer=peer, listener=str(address))

    def _tls(self, address: Address) -> Next:
        assert self._contexts is not None
        acceptor = TlsAcceptor(
            self._handshakes,
            self._contexts.websocket if address.how.websocket else self._contexts.stomp,
            arrived=partial(self._after_handshake, address),
            failed=partial(self._handshake_failed, address),
        )
        self._acceptors.append((address.how.websocket, acceptor))
        return acceptor.connection

    def _after_handshake(self, address: Address, transport: TlsTransport) -> asyncio.BaseProtocol:
        certificate = client_certificate(transport.get_extra_info("peercert"), self._config.tls)
        if certificate:
            self._log("info", "client certificate", peer=transport.peer, identity=certificate["identity"])
        make = websocket if address.how.websocket else connection
        return make(self._hub, peer=transport.peer, listener=str(address), secure=True, certificate=certificate)

    def _handshake_failed(self, address: Address, transport: TlsTransport, reason: str) -> None:
        self._failed(address, transport.peer, f"TLS handshake: {reason}")

    def _failed(self, address: Address, peer: str, reason: str) -> None:
        level = "debug" if reason.endswith(NOTHING) else "warning"
        self._log(level, "refused", peer=peer, listener=str(address), reason=reason)
