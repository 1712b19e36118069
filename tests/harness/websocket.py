"""A WebSocket client that speaks in bytes, so that tests control every one of them.

As a client of the protocol tests it turns each `send` into one message, and shows what it receives as the stream that
TCP would have brought: with a LF behind each frame. On the way it holds the broker to its rules: one STOMP frame in one
message of one frame, no LF behind the NUL, text if and only if it is UTF-8.
"""

from __future__ import annotations

import json
import struct
from contextlib import suppress

from .broker import Broker
from .client import Client
from .frames import CONTENT_LENGTH, unique, wire
from .tls import TlsClient

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
KEY, ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""The example of RFC 6455, section 1.3."""
UPGRADE = {
    "Host": "127.0.0.1",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
}
MASK, NO_MASK = b"\x9f\x05\x12\x80", bytes(4)
LARGE = 1 << 20
"""Bytes of a message from which on its mask is zero: Python takes too long for another."""


def request(path: str = "/ws", headers: dict[str, str] = UPGRADE, method: str = "GET", **more: str) -> bytes:
    """An HTTP request; `more` are further headers, with _ for -, and an empty one is left out."""
    named = headers | {name.replace("_", "-"): value for name, value in more.items()}
    lines = [f"{name}: {value}" for name, value in named.items() if value]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode()


def masked(payload: bytes, mask: bytes = MASK) -> bytes:
    """Payload as it lies in a frame of a client."""
    pad = (mask * (len(payload) // 4 + 1))[: len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(pad, "big")).to_bytes(len(payload), "big")


def head(opcode: int, length: int, *, final: bool = True, reserved: int = 0, mask: bytes | None = MASK) -> bytes:
    """The header of a frame, whatever sense it makes."""
    first, bit = final << 7 | reserved << 4 | opcode, 0x80 if mask is not None else 0
    if length < 126:
        start = bytes([first, bit | length])
    elif length < 1 << 16:
        start = struct.pack(">BBH", first, bit | 126, length)
    else:
        start = struct.pack(">BBQ", first, bit | 127, length)
    return start + (mask or b"")


def packed(payload: str | bytes, opcode: int = BINARY, *, final: bool = True) -> bytes:
    """A frame of a client."""
    payload = wire(payload)
    if len(payload) > LARGE:
        return head(opcode, len(payload), final=final, mask=NO_MASK) + payload
    return head(opcode, len(payload), final=final) + masked(payload)


def closing(code: int = 1000, reason: str | bytes = b"") -> bytes:
    """A CLOSE."""
    return packed(struct.pack(">H", code) + wire(reason), CLOSE)


def is_text(payload: bytes) -> bool:
    """Whether bytes are UTF-8."""
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


def check_message(opcode: int, payload: bytes) -> None:
    """A message of the broker is one heart-beat or one STOMP frame, in the opcode that its bytes call for."""
    assert opcode == (TEXT if is_text(payload) else BINARY), payload
    if payload == b"\n":
        return
    body = payload.index(b"\n\n") + 2
    length = CONTENT_LENGTH.search(payload, 0, body - 1)
    end = body + int(length[1]) if length else payload.index(b"\0", body)
    assert payload[end:] == b"\0", f"this is not one STOMP frame: {payload[:200]!r}"


class WebSocketClient(Client):
    """The client of the protocol tests, over a WebSocket."""

    scheme = "ws"

    def __init__(self, broker: Broker, *, receive_buffer: int = 0, upgrade: bytes | None = None) -> None:
        super().__init__(broker, receive_buffer=receive_buffer)
        self.raw = bytearray()
        self.close_code = 0
        self.close_reason = b""
        self.pongs: list[bytes] = []
        self.socket.sendall(request() if upgrade is None else upgrade)
        self.response = self.read_response()

    def send(self, *frames: str | bytes) -> None:
        """Send bytes as one binary message; an empty one would be no bytes on TCP."""
        if message := b"".join(map(wire, frames)):
            self.socket.sendall(packed(message))

    def send_raw(self, *pieces: bytes) -> None:
        """Write bytes to the socket as they are."""
        self.socket.sendall(b"".join(pieces))

    def read_response(self) -> bytes:
        """The head of the HTTP answer; of an answer that is no upgrade all that comes."""
        while b"\r\n\r\n" not in self.raw and (data := self._read_socket()):
            self.raw += data
        if not self.raw.startswith(b"HTTP/1.1 101 "):
            while data := self._read_socket():
                self.raw += data
            response = bytes(self.raw)
            self.raw.clear()
            return response
        response, _, rest = bytes(self.raw).partition(b"\r\n\r\n")
        self.raw[:] = rest
        return response

    def _receive(self) -> bool:
        """Read until a message is complete; False at the end of the stream."""
        while True:
            if self._take_frames():
                return True
            data = self._read_socket()
            if not data:
                return False
            self.raw += data

    def _take_frames(self) -> bool:
        """Take the complete frames that were read; whether a message was among them."""
        before = len(self.received)
        while (frame := self._next_frame()) is not None:
            self._take_frame(*frame)
        return len(self.received) > before

    def _next_frame(self) -> tuple[int, bytes] | None:
        if len(self.raw) < 2:
            return None
        first, length = self.raw[0], self.raw[1]
        assert first & 0xF0 == 0x80, f"a frame of the broker is whole, and has no reserved bits: {first:#x}"
        assert not length & 0x80, "a frame of the broker is not masked"
        start = {126: 4, 127: 10}.get(length, 2)
        if len(self.raw) < start:
            return None
        length = int.from_bytes(self.raw[2:start], "big") if start > 2 else length
        if len(self.raw) < start + length:
            return None
        payload = bytes(self.raw[start : start + length])
        del self.raw[: start + length]
        return first & 15, payload

    def _take_frame(self, opcode: int, payload: bytes) -> None:
        assert not self.close_code, f"something came behind CLOSE: {opcode} {payload!r}"
        if opcode == CLOSE:
            self._on_close(payload)
        elif opcode == PONG:
            self.pongs.append(payload)
        else:
            check_message(opcode, payload)
            self.received += payload
            if payload != b"\n":
                self.received += self.frame_end[1:]

    def _on_close(self, payload: bytes) -> None:
        """Answer it, as clients do."""
        self.close_code = int.from_bytes(payload[:2], "big") or 1005
        self.close_reason = payload[2:]
        assert is_text(self.close_reason)
        with suppress(OSError):  # the test has shut this side, or the broker is gone
            self.socket.sendall(packed(payload[:2], CLOSE))

    def expect_close(self, code: int) -> None:
        """Nothing more comes but CLOSE with this code, and the end of the stream."""
        self.expect_end()
        assert self.close_code == code, (self.close_code, self.close_reason)

    def roundtrip_of_pings(self) -> None:
        """Wait until the broker has read all that was sent, in the middle of a message, too."""
        payload = unique("ping").encode()
        self.send_raw(packed(payload, PING))
        self.expect_pong(payload)

    def expect_pong(self, payload: bytes) -> None:
        """Wait for the PONG that answers a PING with this payload."""
        while payload not in self.pongs:
            data = self._read_socket()
            assert data, f"the connection ended without a PONG, but with {self.pongs}"
            self.raw += data
            self._take_frames()
        del self.pongs[: self.pongs.index(payload) + 1]


class SockJsClient(WebSocketClient):
    """The client of the protocol tests, with its messages wrapped as SockJS does."""

    def __init__(self, broker: Broker, *, path: str = "/ws/000/session/websocket", receive_buffer: int = 0) -> None:
        self.wrapped: list[str] = []
        super().__init__(broker, receive_buffer=receive_buffer, upgrade=request(path))

    def send(self, *frames: str | bytes) -> None:
        """One array of one string for each frame."""
        self.send_text(json.dumps([wire(each).decode() for each in frames]))

    def send_text(self, text: str) -> None:
        """One message, as it is."""
        self.send_raw(packed(text, TEXT))

    def _take_frame(self, opcode: int, payload: bytes) -> None:
        if opcode not in (TEXT, BINARY):
            super()._take_frame(opcode, payload)
            return
        assert opcode == TEXT
        text = payload.decode()
        self.wrapped.append(text)
        if text[0] == "a":
            for each in json.loads(text[1:]):
                self.received += each.encode() + (b"" if each == "\n" else b"\n")

    def last(self) -> str:
        """The last message of the stream."""
        return self.wrapped[-1]


class SecureWebSocketClient(WebSocketClient, TlsClient):
    """The same over TLS."""

    scheme = "wss"
