"""The cases of the Autobahn test suite, by its numbers, as they are for a broker: an echo is a message that comes back.

Autobahn's 6.x judge text; here text and binary are the same stream of bytes, so that what UTF-8 decides is only the
opcode on the way out. 12.x and 13.x are about compression, which is never agreed on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import NamedTuple

import pytest
from harness.broker import Broker
from harness.frames import frame
from harness.websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, WebSocketClient, head, masked, packed
from harness.websocket import closing as close_frame

KiB, MiB = 2**10, 2**20
TOPIC = "/topic/framing"


class Case(NamedTuple):
    """What a client sends, and what it gets back."""

    name: str
    sent: list[bytes]
    """Writes to the socket, one by one."""
    bodies: tuple[bytes, ...] = ()
    """Of the messages that come back."""
    pongs: tuple[bytes, ...] = ()
    code: int = 0
    """Of the CLOSE that answers; 0: there is none, and the client goes on."""


def stomp(body: bytes = b"echo") -> bytes:
    """A SEND whose message comes back."""
    return frame("SEND", f"destination:{TOPIC}", f"content-length:{len(body)}", body=body)


def sized(size: int) -> tuple[bytes, bytes]:
    """A message of this size that holds a whole SEND, and its body; LFs alone when it is too small for one."""
    for digits in range(1, 9):
        room = size - len(stomp(b"")) + 1 - digits
        if room >= 0 and len(str(room)) == digits:
            body = (b"*" * room)[:room]
            return stomp(body), body
    return b"\n" * size, b""


def chopped(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


def fragments(data: bytes, size: int, opcode: int = TEXT, between: bytes = b"") -> bytes:
    """A message in fragments of this size, with something between any two."""
    parts = chopped(data, size)
    frames = [
        packed(part, opcode if number == 0 else CONTINUATION, final=number == len(parts) - 1)
        for number, part in enumerate(parts)
    ]
    return between.join(frames)


def lengths() -> Iterator[Case]:
    """1.x and 2.x of Autobahn: every class of length, as text and binary, in one write and in many."""
    for opcode, name in ((TEXT, "1.1"), (BINARY, "1.2")):
        for size in (0, 125, 126, 127, 128, 255, 256, 65_534, 65_535, 65_536, 65_537):
            payload, body = sized(size)
            assert len(payload) == size
            bodies = (body,) if body else ()
            yield Case(f"{name} {size} bytes", [packed(payload, opcode)], bodies)
            yield Case(f"{name} {size} bytes, header apart", [head(opcode, size), masked(payload)], bodies)
            if 0 < size <= 256:
                yield Case(f"{name} {size} bytes, byte by byte", chopped(packed(payload, opcode), 1), bodies)
            if size > 60_000:
                yield Case(f"{name} {size} bytes in chops of 997", chopped(packed(payload, opcode), 997), bodies)


def pings() -> Iterator[Case]:
    binary = bytes([0x00, 0xFF, 0xFE, 0xFD, 0xFC, 0xFB, 0x00, 0xFF])
    yield Case("2.1 empty", [packed("", PING)], pongs=(b"",))
    yield Case("2.2 text", [packed("Hello, world!", PING)], pongs=(b"Hello, world!",))
    yield Case("2.3 binary", [packed(binary, PING)], pongs=(binary,))
    yield Case("2.4 125 bytes", [packed(b"\xfe" * 125, PING)], pongs=(b"\xfe" * 125,))
    yield Case("2.5 126 bytes", [head(PING, 126) + bytes(126)], code=1002)
    yield Case("2.6 125 bytes, byte by byte", chopped(packed(b"\xfe" * 125, PING), 1), pongs=(b"\xfe" * 125,))
    yield Case("2.7 PONG that nobody asked for", [packed("", PONG)])
    yield Case("2.8 the same with payload", [packed("unsolicited", PONG)])
    yield Case("2.9 PONG, PING, PONG", [packed("x", PONG), packed("y", PING), packed("z", PONG)], pongs=(b"y",))
    ten = tuple(b"payload-%d" % number for number in range(10))
    yield Case("2.10 ten", [b"".join(packed(each, PING) for each in ten)], pongs=ten)
    yield Case("2.11 ten, byte by byte", chopped(b"".join(packed(each, PING) for each in ten), 1), pongs=ten)


def reserved() -> Iterator[Case]:
    for bits in range(1, 8):
        wrong = head(TEXT, 5, reserved=bits) + masked(b"\n" * 5)
        yield Case(f"3.1 bits {bits:03b}", [wrong], code=1002)
        yield Case(f"3.2 bits {bits:03b} behind a message", [packed(stomp()) + wrong], (b"echo",), code=1002)
        late = packed(stomp()) + wrong + packed("", PING)
        yield Case(f"3.3 bits {bits:03b}, then PING", [late], (b"echo",), code=1002)
        yield Case(f"3.4 bits {bits:03b}, byte by byte", chopped(packed(stomp()) + wrong, 1), (b"echo",), code=1002)
        for opcode in (PING, PONG, CLOSE):
            yield Case(f"3.5 bits {bits:03b}, opcode {opcode}", [head(opcode, 0, reserved=bits)], code=1002)
        continued = packed("\n", TEXT, final=False) + head(CONTINUATION, 0, reserved=bits)
        yield Case(f"3.7 bits {bits:03b} in a continuation", [continued], code=1002)


def opcodes() -> Iterator[Case]:
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        yield Case(f"4 opcode {opcode}, empty", [head(opcode, 0)], code=1002)
        yield Case(
            f"4 opcode {opcode}, behind a message", [packed(stomp()) + packed("x", opcode)], (b"echo",), (), 1002
        )
        within = packed(stomp()[:9], TEXT, final=False) + packed("x", opcode)
        yield Case(f"4 opcode {opcode}, within a message", [within], code=1002)


def fragmentation() -> Iterator[Case]:
    text = stomp()
    one, two = text[:20], text[20:]
    first, last = packed(one, TEXT, final=False), packed(two, CONTINUATION)
    ping, pong = packed("ping", PING), packed("pong", PONG)
    yield Case("5.1 PING in two", [packed("p", PING, final=False), packed("q", CONTINUATION)], code=1002)
    yield Case("5.2 PONG in two", [packed("p", PONG, final=False), packed("q", CONTINUATION)], code=1002)
    yield Case("5.3 text in two", [first + last], (b"echo",))
    yield Case("5.4 text in two writes", [first, last], (b"echo",))
    yield Case("5.5 text in two, byte by byte", chopped(first + last, 1), (b"echo",))
    yield Case("5.6 PING between", [first + ping + last], (b"echo",), (b"ping",))
    yield Case("5.7 PING between, in writes", [first, ping, last], (b"echo",), (b"ping",))
    yield Case("5.8 PING between, byte by byte", chopped(first + ping + last, 1), (b"echo",), (b"ping",))
    yield Case("5.9 continuation of nothing", [last, packed(text)], code=1002)
    yield Case("5.10 the same, in one write", [last + packed(text)], code=1002)
    yield Case("5.12 continuation of nothing, not final", [packed("x", CONTINUATION, final=False)], code=1002)
    yield Case("5.15 behind a message that was whole", [first + last + last], (b"echo",), code=1002)
    yield Case("5.16 not continued, not final", [first + packed(one, TEXT, final=False)], code=1002)
    yield Case("5.17 not continued, final", [first + packed(text, TEXT)], code=1002)
    yield Case("5.18 not continued, binary", [first + packed(text, BINARY)], code=1002)
    five = chopped(text, -(-len(text) // 5))
    parts = [packed(part, (TEXT, 0, 0, 0, 0)[number], final=number == 4) for number, part in enumerate(five)]
    mixed = [parts[0], parts[1], packed("1", PING), parts[2], parts[3], packed("2", PING), pong, parts[4]]
    yield Case("5.19 five, PINGs between", [b"".join(mixed)], (b"echo",), (b"1", b"2"))
    yield Case("5.20 the same in writes", mixed, (b"echo",), (b"1", b"2"))
    empty = packed("", TEXT, final=False) + packed("", 0, final=False) * 9 + packed("", CONTINUATION)
    yield Case("empty fragments", [empty + packed(text)], (b"echo",))
    yield Case(
        "empty fragments around",
        [packed("", BINARY, final=False) + packed(text, 0, final=False) + packed("", 0)],
        (b"echo",),
    )
    for size in (1, 2, 3, 5, 7, 64):
        yield Case(f"fragments of {size}", [fragments(text * 3, size)], (b"echo",) * 3)
        yield Case(f"fragments of {size}, PONGs between", [fragments(text, max(size, 2), between=pong)], (b"echo",))


def unminimal() -> Iterator[Case]:
    """RFC 6455, section 5.2: the shortest form, and the highest bit of the longest is zero."""
    for length, shape in [*((n, 126) for n in (0, 1, 125)), *((n, 127) for n in (0, 125, 126, 65_535))]:
        written = length.to_bytes(2 if shape == 126 else 8, "big")
        for opcode in (TEXT, BINARY, CONTINUATION):
            begin = packed("\n", TEXT, final=False) if opcode == CONTINUATION else b""
            wrong = begin + bytes([0x80 | opcode, 0x80 | shape]) + written + bytes(4) + b"\n" * length
            yield Case(f"length {length} as {shape}, opcode {opcode}", [wrong], code=1002)
    for top in (1 << 63, (1 << 64) - 1):
        yield Case(f"length {top}", [bytes([0x82, 0xFF]) + top.to_bytes(8, "big") + bytes(4)], code=1002)
    for opcode in (PING, PONG, CLOSE):
        yield Case(f"long length of opcode {opcode}", [bytes([0x80 | opcode, 0xFE, 0, 5]) + bytes(9)], code=1002)


def masks() -> Iterator[Case]:
    for opcode in (TEXT, BINARY, PING, CLOSE):
        payload = b"\x03\xe8" if opcode == CLOSE else b"\n\n"
        yield Case(f"unmasked, opcode {opcode}", [head(opcode, 2, mask=None) + payload], code=1002)
    for mask in (bytes(4), b"\xff" * 4, b"\x01\x02\x03\x04", b"\0\0\0\n"):
        wire = head(BINARY, len(stomp()), mask=mask) + masked(stomp(), mask)
        yield Case(f"mask {mask.hex()}", [wire], (b"echo",))
        yield Case(f"mask {mask.hex()}, byte by byte", chopped(wire, 1), (b"echo",))


VALID = ("Hello-µ@ßöäüàá-UTF-8!!", "κόσμε", "\x7f", "\u07ff", "\uffff", "\U0010ffff", "\ufffe\u0080", "\ud7ff\ue000")
INVALID = (
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
    b"\xf8\x88\x80\x80\x80",
    b"\xfc\x84\x80\x80\x80\x80",
    b"\xf4\x90\x80\x80",
    b"\xc0\xaf",
    b"\xe0\x80\xaf",
    b"\xf0\x80\x80\xaf",
    b"\xc1\xbf",
    b"\xed\xa0\x80",
    b"\xed\xbf\xbf",
    b"\x80",
    b"\xbf" * 3,
    b"\xfe",
    b"\xff",
    b"\xce",
    b"\xf0\x9f\x98",
)


def texts() -> Iterator[Case]:
    """The client holds the broker to text for what is UTF-8, and binary for what is not."""
    for number, text in enumerate(VALID, 1):
        sent = stomp(text.encode("utf-8"))
        yield Case(f"6.2 valid {number}", [packed(sent, TEXT)], (text.encode(),))
        yield Case(f"6.2 valid {number}, cut within characters", [fragments(sent, 1)], (text.encode(),))
    for number, wrong in enumerate(INVALID, 1):
        yield Case(f"6.3 invalid {number}", [packed(stomp(wrong), TEXT)], (wrong,))
        yield Case(f"6.4 invalid {number} in fragments", [fragments(stomp(wrong), 1)], (wrong,))
        yield Case(
            f"6.5 invalid {number} between valid",
            [packed(stomp(b"a" * 40 + wrong + b"b" * 40), TEXT)],
            (b"a" * 40 + wrong + b"b" * 40,),
        )


def closes() -> Iterator[Case]:
    echo = packed(stomp())
    yield Case("7.1.1 message, CLOSE", [echo + close_frame()], (b"echo",), code=1000)
    yield Case("7.1.2 two CLOSEs", [close_frame() + close_frame()], code=1000)
    yield Case("7.1.3 PING behind CLOSE", [close_frame() + packed("x", PING)], code=1000)
    yield Case("7.1.4 message behind CLOSE", [close_frame() + echo], code=1000)
    yield Case("7.1.5 CLOSE within a message", [packed(stomp()[:9], TEXT, final=False) + close_frame()], code=1000)
    yield Case("7.1.6 nonsense behind CLOSE", [echo + close_frame() + b"\xff" * 100], (b"echo",), code=1000)
    yield Case("7.3.1 no payload", [packed("", CLOSE)], code=1000)
    yield Case("7.3.2 one byte", [packed(b"\x03", CLOSE)], code=1002)
    yield Case("7.3.3 code alone", [close_frame(1000)], code=1000)
    yield Case("7.3.4 a reason", [close_frame(1000, "Hello World!")], code=1000)
    yield Case("7.3.5 the longest reason", [close_frame(1000, "*" * 123)], code=1000)
    yield Case("7.3.6 longer than there may be", [head(CLOSE, 126) + bytes(126)], code=1002)
    yield Case("7.5.1 reason that is no UTF-8", [close_frame(1000, b"\xce\xba\xed\xa0\x80")], code=1007)
    yield Case("reason cut within a character", [close_frame(1000, b"\xc5")], code=1007)
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999):
        yield Case(f"7.7 code {code}", [close_frame(code)], code=code)
        yield Case(f"7.7 code {code}, byte by byte", chopped(close_frame(code, "why"), 1), code=code)
    for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535):
        yield Case(f"7.9 code {code}", [close_frame(code)], code=1002)


CASES = [
    case
    for chapter in (lengths, pings, reserved, opcodes, fragmentation, unminimal, masks, texts, closes)
    for case in chapter()
]


def expect_outcome(client: WebSocketClient, case: Case) -> None:
    """Send it over a session that is logged in, and see what comes."""
    client.subscribe(TOPIC)
    with suppress(BrokenPipeError, ConnectionResetError):  # the broker has seen enough
        for piece in case.sent:
            client.send_raw(piece)
    for body in case.bodies:
        client.expect_message(TOPIC, body, f"content-length:{len(body)}")
    for pong in case.pongs:
        client.expect_pong(pong)
    if case.code == 0:
        client.roundtrip()
        return
    rest = client.read_all()
    assert client.close_code == case.code
    assert (b"message:bad WebSocket frame" in rest) == (case.code in (1002, 1007) and "7.7" not in case.name)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "_"))
def test_case(broker: Broker, case: Case) -> None:
    with closing(WebSocketClient(broker)) as client:
        client.login("1.2")
        expect_outcome(client, case)


# ---- 9.x: large messages ----


@pytest.fixture
def roomy(broker_with: Callable[..., Broker]) -> Broker:
    limits = {"max_frame": 16 * MiB, "outbound_soft": 16 * MiB, "outbound_hard": 64 * MiB}
    return broker_with(limits=limits)


@pytest.mark.parametrize("size", [64 * KiB, MiB, 4 * MiB, 16 * MiB - 200])
@pytest.mark.parametrize("way", ["whole", "in fragments of 64 KiB", "in chops of 1,300", "in messages of 10,000"])
def test_large_messages(roomy: Broker, size: int, way: str) -> None:
    body = (bytes(range(1, 256)) * (size // 255 + 1))[:size]
    sent = stomp(body)
    writes = {
        "whole": lambda: [packed(sent)],
        "in fragments of 64 KiB": lambda: [fragments(sent, 64 * KiB, BINARY)],
        "in chops of 1,300": lambda: chopped(packed(sent), 1300),
        "in messages of 10,000": lambda: [packed(part) for part in chopped(sent, 10_000)],
    }[way]()
    with closing(WebSocketClient(roomy)) as client:
        client.login("1.2")
        client.subscribe(TOPIC)
        for piece in writes:
            client.send_raw(piece)
        client.expect_message(TOPIC, body, f"content-length:{size}")


@pytest.mark.parametrize("way", ["whole", "in fragments", "in messages"])
def test_a_frame_above_the_limit(roomy: Broker, way: str) -> None:
    sent = stomp(b"*" * 16 * MiB)
    writes = {
        "whole": [packed(sent)],
        "in fragments": [fragments(sent, MiB)],
        "in messages": [packed(part) for part in chopped(sent, MiB)],
    }[way]
    with closing(WebSocketClient(roomy)) as client:
        client.login("1.2")
        with suppress(BrokenPipeError, ConnectionResetError):
            for piece in writes:
                client.send_raw(piece)
        client.expect_error("frame too large")
        assert client.close_code == 1009
