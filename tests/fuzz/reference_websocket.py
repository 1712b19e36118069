"""The plainest reader of a client's WebSocket frames (RFC 6455, section 5): it looks at the whole stream at once."""

from __future__ import annotations

from typing import NamedTuple

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
DATA, CONTROL = (CONTINUATION, TEXT, BINARY), (CLOSE, PING, PONG)
CLOSE_CODES = {*range(1000, 1015), *range(3000, 5000)} - {1004, 1005, 1006}


class Heard(NamedTuple):
    """What a stream of frames says."""

    payload: bytes
    """Of all data frames, as far as it has come."""
    pings: list[bytes]
    code: int
    """Of the CLOSE that answers the client's, or what it did wrong; 0: neither."""


class Wrong(Exception):
    """A frame that must not be; its argument is the close code."""


class Incomplete(Exception):
    """The stream ends within a frame."""


def read(stream: bytes) -> Heard:
    """Take it frame by frame."""
    payload, pings = bytearray(), []
    within = False
    at = 0
    try:
        while True:
            final, opcode, length, mask, at = header(stream, at, within)
            part = bytes(byte ^ mask[n % 4] for n, byte in enumerate(stream[at : at + length]))
            at += length
            if opcode in DATA:
                payload += part
                within = not final
            if len(part) < length:
                raise Incomplete
            if opcode == PING:
                pings.append(part)
            if opcode == CLOSE:
                return Heard(bytes(payload), pings, answer_to(part))
    except Wrong as wrong:
        return Heard(bytes(payload), pings, wrong.args[0])
    except Incomplete:
        return Heard(bytes(payload), pings, 0)


def header(stream: bytes, at: int, within: bool) -> tuple[bool, int, int, bytes, int]:
    """The header that begins there: whether it ends a message, opcode, length, mask, and where the payload begins."""
    head = bits(stream, at, 2)
    final, reserved, opcode = bool(head[0] & 0x80), head[0] & 0x70, head[0] & 0x0F
    masked, short = bool(head[1] & 0x80), head[1] & 0x7F
    is_control = opcode in CONTROL
    if reserved or opcode not in DATA + CONTROL or not masked:
        raise Wrong(1002)
    if is_control and (not final or short > 125):
        raise Wrong(1002)
    if not is_control and within != (opcode == CONTINUATION):
        raise Wrong(1002)
    size = {126: 2, 127: 8}.get(short, 0)
    rest = bits(stream, at + 2, size + 4)
    length = int.from_bytes(rest[:size], "big") if size else short
    if (size == 2 and length < 126) or (size == 8 and not 65536 <= length < 1 << 63):
        raise Wrong(1002)
    return final, opcode, length, rest[size:], at + 2 + size + 4


def bits(stream: bytes, at: int, size: int) -> bytes:
    """So many bytes of a header."""
    if at + size > len(stream):
        raise Incomplete
    return stream[at : at + size]


def answer_to(payload: bytes) -> int:
    """The code with which a CLOSE is answered."""
    if not payload:
        return 1000
    if len(payload) == 1 or int.from_bytes(payload[:2], "big") not in CLOSE_CODES:
        return 1002
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        return 1007
    return int.from_bytes(payload[:2], "big")
