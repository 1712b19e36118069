"""A whole broker on one thread, without an event loop: what came is handed to it, then it has its turn.

Only its public face is used, that which the server and the loop use, so this goes on working whatever changes inside.
The sockets are real. What the clients at their other ends do is not counted.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from socket import SO_SNDBUF, SOL_SOCKET, socket, socketpair
from typing import Any, cast

from fastbroker.config import Config, History, Queue, Topic, WebSocket, hub_settings, policies_of
from fastbroker.core.connection import connection
from fastbroker.core.hub import Hub
from fastbroker.core.upgrade import websocket
from fastbroker.web.handshake import Handshake

Run = Callable[[int], object]
Count = Callable[..., object]
"""Calls a function with arguments; what it does is counted."""

READ = 250  # frames that come with one read
SOCKET_BUFFER = 1 << 20
MOST_CLIENTS = 1000
MOST = 1 << 20  # bytes that one client may get in one turn
REQUEST = (
    b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
SHARDS, SEED = 8, 1  # of the journal
MASK = b"\x9f\x05\x12\x80"
CONFIG = Config(
    topics=(Topic(pattern="kept.#", history=History(count=100)),),
    queues=(Queue(pattern="full.#", max_messages=1, overflow="dead-letter"),),
)


class Loop:
    """The part of an event loop that the hub needs; time-outs never come."""

    def __init__(self) -> None:
        self.soon: list[Callable[[], object]] = []
        self.call_soon = self.soon.append

    def call_later(self, delay: float, callback: Callable[[], object]) -> None:
        """Forgets it."""


class Transport:
    """The part of a transport that a connection needs; its socket always has room."""

    def __init__(self, own: socket) -> None:
        self.facts = {"socket": own, "peername": "", "sockname": ("127.0.0.1", 0), "sslcontext": None}
        self.get_extra_info = self.facts.get

    def set_write_buffer_limits(self, high: int) -> None:
        pass

    def write(self, data: bytes) -> None:
        raise BufferError("the socket's buffer is too small for this benchmark")

    def can_write_eof(self) -> bool:
        raise ConnectionError("the broker wants to end a connection of this benchmark")

    abort = can_write_eof


class Client:
    """A connection, and the socket at its other end."""

    def __init__(self, turns: Turns, version: bytes) -> None:
        own, self.socket = socketpair()
        own.setsockopt(SOL_SOCKET, SO_SNDBUF, SOCKET_BUFFER)
        own.setblocking(False)
        self.socket.setblocking(False)
        self.turns = turns
        self.protocol = self._protocol()
        self.protocol.connection_made(cast("Any", Transport(own)))
        self._before_login()
        self.say(b"CONNECT\naccept-version:%b\nhost:example\n\n\0\n" % version)
        self.turns.turn()
        self.hear()

    def _protocol(self) -> Any:
        return connection(self.turns.hub)

    def _before_login(self) -> None:
        """Nothing, on TCP."""

    def say(self, stream: bytes) -> None:
        """The broker reads it."""
        buffer = cast("memoryview", self.protocol.get_buffer(-1))
        buffer[: len(stream)] = stream
        self.turns.count(self.protocol.buffer_updated, len(stream))

    def subscribe(self, destination: bytes, headers: bytes = b"") -> Client:
        self.say(b"SUBSCRIBE\nid:0\ndestination:%b\n%b\n\0\n" % (destination, headers))
        return self

    def hear(self) -> bytes:
        """What came since the last time."""
        try:
            return self.socket.recv(MOST)
        except BlockingIOError:
            return b""


class WebSocketClient(Client):
    """The same over a WebSocket, each STOMP frame in a message of its own."""

    def _protocol(self) -> Any:
        return websocket(self.turns.hub)

    def _before_login(self) -> None:
        super().say(REQUEST)

    def say(self, stream: bytes) -> None:
        super().say(wrapped(stream))


@lru_cache
def wrapped(stream: bytes) -> bytes:
    """STOMP frames of less than 64 KiB as a browser sends them."""
    return b"".join(_message(frame + b"\0") for frame in stream.split(b"\0\n")[:-1])


def _message(frame: bytes) -> bytes:
    size = len(frame)
    head = bytes([0x81, 0x80 | size]) if size < 126 else b"\x81\xfe" + size.to_bytes(2, "big")
    masked = bytes(byte ^ MASK[at % 4] for at, byte in enumerate(frame))
    return head + MASK + masked


class Turns:
    """The broker, and who is told what to count."""

    def __init__(self, count: Count, kind: type[Client] = Client, store: Any = None) -> None:
        """With a store, as micro.pyx has one, what is persistent is recorded in a journal."""
        self.count = count
        self.store = store
        self.kind = kind
        self.loop = Loop()
        settings = {**hub_settings(CONFIG), "max_connections": MOST_CLIENTS}
        handshake = Handshake(WebSocket(), server="fastbroker/bench")
        self.hub = Hub(
            cast("Any", self.loop),
            settings=settings,
            policies=policies_of(CONFIG),
            log=_no_log,
            server="fastbroker/bench",
            handshake=handshake,
            journal=(store, SHARDS, SEED) if store else None,
        )
        if store:
            self.hub.recover()

    def client(self, version: bytes = b"1.2") -> Client:
        return self.kind(self, version)

    def turn(self) -> None:
        """The broker does what it has put off until all sockets were read."""
        self._run_soon()
        while self.store and self.store.news:
            self.count(self.hub.hear_journal)
            self._run_soon()

    def _run_soon(self) -> None:
        while self.loop.soon:
            self.count(self.loop.soon.pop())


def _no_log(level: str, event: str, **fields: object) -> None:
    pass


def _reads(stream: bytes) -> list[bytes]:
    frames = [frame + b"\0\n" for frame in stream.split(b"\0\n")[:-1]]
    return [b"".join(frames[at : at + READ]) for at in range(0, len(frames), READ)]


def _destination(stream: bytes) -> bytes:
    found = re.search(rb"\ndestination:(.*)\n", stream)
    assert found
    return found[1]


def _flood(turns: Turns, stream: bytes, listeners: list[Client]) -> Run:
    """One client writes; whatever comes is read by the others, and by itself."""
    publisher, reads = turns.client(), _reads(stream)

    def run(rounds: int) -> None:
        for read in reads * rounds:
            publisher.say(read)
            turns.turn()
            for client in listeners:
                client.hear()
            publisher.hear()

    return run


# ---- the kernels ----


def send(
    stream: bytes, subscribers: int = 1, *, version: bytes = b"1.2", pattern: bytes = b"", headers: bytes = b""
) -> Callable[[Turns], Run]:
    """To subscribers of its first destination, or of a pattern; `%d` in their headers is which of them it is."""

    def prepare(turns: Turns) -> Run:
        destination = pattern or _destination(stream)
        listeners = [
            turns.client(version).subscribe(destination, headers.replace(b"%d", b"%d" % at))
            for at in range(subscribers)
        ]
        return _flood(turns, stream, listeners)

    return prepare


def acknowledge(stream: bytes, wishes: bytes = b"") -> Callable[[Turns], Run]:
    """To a consumer who acknowledges each message by itself, a read's worth at a time."""

    def prepare(turns: Turns) -> Run:
        publisher, reads = turns.client(), _reads(stream)
        headers = b"ack:client-individual\nprefetch-count:%d\n%b" % (READ, wishes)
        consumer = turns.client().subscribe(_destination(stream), headers)

        def run(rounds: int) -> None:
            for read in reads * rounds:
                publisher.say(read)
                turns.turn()
                ids = re.findall(rb"\nack:(.*)\n", consumer.hear())
                consumer.say(b"".join(b"ACK\nid:%b\n\n\0\n" % each for each in ids))
                turns.turn()

        return run

    return prepare


def ping(frame: bytes) -> Callable[[Turns], Run]:
    """One message under way, to the client that sent it."""

    def prepare(turns: Turns) -> Run:
        client = turns.client().subscribe(_destination(frame))

        def run(rounds: int) -> None:
            for _ in range(rounds):
                client.say(frame)
                turns.turn()
                client.hear()

        return run

    return prepare
