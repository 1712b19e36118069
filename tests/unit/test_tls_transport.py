"""TLS between a socket and a protocol that are both made up: whatever comes when, no byte waits for another to come.

The socket delivers records cut anywhere, and nothing while it is paused. The protocol has little room, and pauses when
it likes. When all that the client has sent was read from the socket and nobody is paused, the protocol has all of it.
"""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from harness.certificates import authority, tls_table
from hypothesis import given, settings
from hypothesis import strategies as st

from fastbroker import config
from fastbroker.core.hub import Hub
from fastbroker.core.tls import Handshakes, TlsAcceptor
from fastbroker.transports import tls
from fastbroker.transports.arriving import Arriving

CONTEXT = tls.load(config.Tls(**tls_table())).stomp
CLIENT = ssl.create_default_context(cafile=authority())


class Loop:
    """Runs what is due when it is told to."""

    def __init__(self) -> None:
        self.clock = 1000.0
        self.soon: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self.timers: list[tuple[float, Callable[..., object], tuple[Any, ...]]] = []

    def time(self) -> float:
        return self.clock

    def call_soon(self, what: Callable[..., object], *arguments: Any) -> None:
        self.soon.append((what, arguments))

    def call_later(self, delay: float, what: Callable[..., object], *arguments: Any) -> None:
        self.timers.append((self.clock + delay, what, arguments))

    def settle(self) -> None:
        """Everything that is due without time or a socket."""
        while self.soon:
            what, arguments = self.soon.popleft()
            what(*arguments)

    def pass_time(self, seconds: float) -> None:
        end = self.clock + seconds
        while due := sorted((timer for timer in self.timers if timer[0] <= end), key=lambda timer: timer[0]):
            self.timers.remove(due[0])
            self.clock, what, arguments = due[0]
            what(*arguments)
            self.settle()
        self.clock = end


class Workers:
    """Do everything at once, or when they are told to."""

    most = 2

    def __init__(self) -> None:
        self.at_once = True
        self._begun: deque[tuple[Callable[[], Any], Callable[[Any], object]]] = deque()

    def run(self, work: Callable[[], Any], then: Callable[[Any], object]) -> None:
        self._begun.append((work, then))
        if self.at_once:
            self.finish()

    def finish(self) -> None:
        while self._begun:
            work, then = self._begun.popleft()
            then(work())


class Wire:
    """The transport of a socket, and a TLS client at the other end of it."""

    def __init__(self, loop: Loop, peer: str = "192.0.2.7") -> None:
        self.loop, self.peer = loop, peer
        self.up, self.down = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = CLIENT.wrap_bio(self.down, self.up, server_hostname="127.0.0.1")
        self.arriving = bytearray()
        self.reading, self.closed = True, False
        self.protocol: Any = None

    # what the TlsTransport calls

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": (self.peer, 50000), "socket": self}.get(name, default)

    def fileno(self) -> int:
        return -1

    def is_reading(self) -> bool:
        return self.reading

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def write(self, sent: bytes) -> None:
        self.down.write(sent)

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.loop.call_soon(self.protocol.connection_lost, None)

    abort = close

    # what the client does

    def begin(self, protocol: Any) -> None:
        self.protocol = protocol
        protocol.connection_made(self)

    def shake(self) -> bool:
        """One step of the client's handshake."""
        done = False
        with suppress(ssl.SSLWantReadError):
            self.client.do_handshake()
            done = True
        self.arriving += self.up.read()
        return done

    def say(self, words: bytes) -> None:
        self.client.write(words)
        self.arriving += self.up.read()

    def deliver(self, length: int = 1 << 20) -> None:
        """So many of the client's bytes come out of the socket, if it is read from."""
        if self.reading and self.arriving and not self.closed:
            view = self.protocol.get_buffer(-1)
            length = min(length, len(self.arriving), len(view))
            view[:length] = self.arriving[:length]
            del self.arriving[:length]
            self.protocol.buffer_updated(length)


class Protocol:
    """Has room for so many bytes, and pauses behind each of the numbers of bytes that are named."""

    def __init__(self, room: int, pauses: list[int]) -> None:
        self.space = memoryview(bytearray(room))
        self.pauses = sorted(pauses, reverse=True)
        self.got = bytearray()
        self.ended = self.paused = False
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def get_buffer(self, _: int) -> memoryview:
        return self.space

    def buffer_updated(self, length: int) -> None:
        assert not self.paused, "it wants nothing for now"
        self.got += self.space[:length]
        if self.pauses and len(self.got) >= self.pauses[-1]:
            self.pauses.pop()
            self.paused = True
            self.transport.pause_reading()

    def go_on(self) -> None:
        if self.paused:
            self.paused = False
            self.transport.resume_reading()

    def eof_received(self) -> bool:
        self.ended = True
        return True

    def connection_lost(self, failure: Exception | None) -> None:
        self.ended = True


class House:
    """An address with TLS, and why clients were refused."""

    def __init__(self, protocol: Callable[[], Protocol] = lambda: Protocol(1 << 16, []), **options: Any) -> None:
        self.loop = Loop()
        self.protocols: list[Protocol] = []
        self.refused: list[str] = []
        limits = {**config.hub_settings(config.Config()), "max_connections": 100}
        self.hub = Hub(self.loop, settings=limits, log=self._log, server="test")  # type: ignore[arg-type]
        self.workers = Workers()
        self.arriving = Arriving(self.loop, options.pop("places", 5000))  # type: ignore[arg-type]
        self.handshakes = Handshakes(self.hub, self.arriving, self.workers, **{"timeout": 5.0, "most": 2000, **options})
        self.make = protocol
        self.acceptor = TlsAcceptor(
            self.handshakes, CONTEXT, arrived=self._arrived, failed=lambda _, reason: self.refused.append(reason)
        )

    def _arrived(self, _: object) -> Any:
        self.protocols.append(self.make())
        return self.protocols[-1]

    @staticmethod
    def _log(*arguments: Any, **fields: Any) -> None:
        raise AssertionError((arguments, fields))

    def wire(self, peer: str = "192.0.2.7") -> Wire:
        wire = Wire(self.loop, peer)
        wire.begin(self.acceptor.connection())
        return wire

    def half_open(self, peer: str) -> Wire:
        """A client that says hello, and nothing more."""
        wire = self.wire(peer)
        wire.shake()
        wire.deliver()
        return wire

    def come_in(self, wire: Wire) -> float:
        """How long a client waits until its handshake is done."""
        before = self.loop.clock
        while not wire.shake():
            wire.deliver()
            self.loop.settle()
            if not wire.down.pending:
                self.loop.pass_time(0.01)
            assert self.loop.clock < before + 30
        wire.deliver()
        self.loop.settle()
        return self.loop.clock - before


def cuts() -> Iterator[int]:
    return st.lists(st.integers(1, 2000), min_size=1, max_size=40)  # type: ignore[return-value]


@settings(deadline=None)
@given(
    pieces=cuts(),
    messages=st.lists(st.binary(min_size=1, max_size=3000), min_size=1, max_size=8),
    together=st.booleans(),
    room=st.sampled_from([1, 7, 1000, 1 << 18]),
    pauses=st.lists(st.integers(1, 9000), max_size=5),
    at_once=st.booleans(),
)
def test_no_byte_waits_for_another(
    pieces: list[int], messages: list[bytes], together: bool, room: int, pauses: list[int], at_once: bool
) -> None:
    """`together`: first words come with the end of the handshake. `at_once`: a pause is over before the next read."""
    house = House(lambda: Protocol(room, pauses))
    wire = house.wire()
    lengths = iter(pieces * 10_000)

    def read() -> None:
        while wire.arriving and wire.reading:
            wire.deliver(next(lengths))
            if at_once:
                for protocol in house.protocols:
                    protocol.go_on()
            house.loop.settle()

    while not wire.shake():
        read()
    if not together:
        read()
    for words in messages:
        wire.say(words)
    read()
    (protocol,) = house.protocols
    while wire.arriving or protocol.paused:
        protocol.go_on()
        house.loop.settle()
        read()
    assert protocol.got == b"".join(messages)
    assert house.hub.stats()["input"] == 0


def test_the_end_of_a_client_comes_behind_what_it_has_said() -> None:
    house = House(lambda: Protocol(10, [4]))
    wire = house.wire()
    house.come_in(wire)
    wire.say(b"x" * 100)
    with suppress(ssl.SSLError):
        wire.client.unwrap()
    wire.arriving += wire.up.read()
    wire.deliver()
    (protocol,) = house.protocols
    house.loop.settle()
    assert not protocol.ended
    protocol.go_on()
    house.loop.settle()
    assert (bytes(protocol.got), protocol.ended) == (b"x" * 100, True)


def test_what_comes_while_a_thread_is_at_work_waits_and_so_does_the_end_behind_it() -> None:
    house = House()
    wire = house.half_open("192.0.2.7")
    house.loop.settle()
    house.workers.at_once = False
    assert wire.shake()
    wire.say(b"x" * 100)
    wire.deliver()
    assert not wire.reading, "an end would be taken for that of somebody who gave up"
    assert not house.protocols
    house.workers.finish()
    house.loop.settle()
    assert wire.reading
    assert house.protocols[0].got == b"x" * 100


def test_a_handshake_that_cannot_begin_is_nobody_elses_business(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        def wrap_bio(self, *_: object, **__: object) -> None:
            raise MemoryError

    monkeypatch.setattr(House, "_log", staticmethod(lambda *_, **__: None))
    house = House()
    house.acceptor.context = Broken()  # type: ignore[assignment]
    wire = house.half_open("192.0.2.7")
    house.loop.settle()
    assert wire.closed
    assert house.arriving.room == house.arriving.most
    house.acceptor.context = CONTEXT
    house.come_in(house.wire("192.0.2.8"))


@pytest.mark.parametrize("steps", [1, 2])
def test_who_is_lost_while_a_thread_is_at_work_leaves_nothing(steps: int) -> None:
    house = House()
    house.workers.at_once = False
    wire = house.half_open("192.0.2.7")
    for _ in range(1, steps):
        house.workers.finish()
        wire.shake()
        wire.deliver()
    wire.close()
    house.loop.settle()
    house.workers.finish()
    house.loop.settle()
    assert (house.refused, house.protocols) == (["closed by client"], [])
    assert house.hub.stats()["input"] == 0
    assert house.arriving.room == house.arriving.most
    house.workers.at_once = True
    house.come_in(house.wire("192.0.2.8"))


def test_what_is_kept_is_counted_until_it_is_gone() -> None:
    house = House(lambda: Protocol(100, [10]))
    wire = house.wire()
    wire.shake()
    hello = len(wire.arriving)
    wire.deliver(100)
    assert house.hub.stats()["input"] == 100
    wire.deliver(hello - 100)
    house.come_in(wire)
    wire.say(b"x" * 10_000)
    wire.deliver()
    wire.say(b"x" * 10_000)
    wire.reading = True  # as if the socket had been read before it was told to pause
    wire.deliver()
    assert house.hub.stats()["input"] > 10_000
    wire.close()
    house.loop.settle()
    assert house.hub.stats()["input"] == 0


# ---- who waits for whom ----


def test_one_that_answers_is_not_behind_a_thousand_that_do_not() -> None:
    """From its own host and from others, while more come than there are places for handshakes."""
    for own, most in ((True, 2000), (False, 2000), (False, 500)):
        house = House(most=most)
        held = [house.half_open("192.0.2.7" if own else f"198.51.100.{number % 200}") for number in range(1000)]
        assert house.come_in(house.wire("192.0.2.7")) < 1.5
        house.loop.pass_time(10)
        assert len(house.refused) == len(held)
        assert set(house.refused) <= {"timed out", "too slow while others wait"}


def test_places_are_made_by_the_host_with_the_most() -> None:
    house = House(most=20)
    for number in range(30):
        house.half_open("198.51.100.1" if number % 3 else f"192.0.2.{number}")
    house.loop.pass_time(1.5)
    few = [house.half_open(f"203.0.113.{number}") for number in range(5)]
    house.loop.pass_time(0.2)
    assert not any(wire.closed for wire in few)
    assert house.refused


@pytest.mark.parametrize("clients", [100, 1000])
def test_a_host_that_is_slow_but_answers_is_not_hung_up_on(clients: int) -> None:
    """It says all its hellos first, and then answers one after the other, for longer than a handshake may take."""
    house = House(timeout=5.0)
    wires = []
    for _ in range(clients):
        wires.append(house.wire())
        house.loop.pass_time(3 / clients)
    for wire in wires:
        wire.shake()
        wire.deliver()
        house.loop.pass_time(8 / clients)
    house.loop.settle()
    waiting = deque(wires)
    while waiting:
        wire = waiting.popleft()
        assert not wire.closed, house.refused
        if not wire.down.pending:
            house.loop.pass_time(0.01)
            house.loop.settle()
            waiting.append(wire)
            continue
        assert wire.shake()
        wire.deliver()
        house.loop.settle()
        house.loop.pass_time(20 / clients)
    assert not house.refused
    assert len(house.protocols) == clients


def test_doors_close_while_there_is_no_room() -> None:
    house = House(places=16)
    told: list[str] = []
    house.arriving.doors(lambda: told.append("closed"), lambda: told.append("open"))
    wires = [house.wire() for _ in range(16)]
    assert (told, house.arriving.room) == (["closed"], 0)
    for wire in wires[:2]:
        house.come_in(wire)
    assert told == ["closed", "open"]


def test_silence_makes_room_when_it_is_needed() -> None:
    house = House(places=16)
    for _ in range(16):
        house.wire()
    house.loop.pass_time(2)
    assert not house.refused
    house.loop.pass_time(1)
    assert set(house.refused) == {"too slow while others wait"}
    assert 0 < house.arriving.room < 16
