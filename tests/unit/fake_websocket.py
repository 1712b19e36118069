"""The small STOMP server behind a WebSocket, or TLS, or a Unix socket, for the tests of the load generator."""

from __future__ import annotations

import contextlib
import itertools
import select
import socket
import ssl
import struct
import tempfile
import threading
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha1
from pathlib import Path
from typing import Any

from fake_stomp import FakeStomp
from harness.certificates import tls_table

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FIN = 0x80
RECORD = 1 << 14  # the most bytes in one of TLS


def framed(payload: bytes, opcode: int = TEXT, first: int = FIN) -> bytes:
    """A frame as a server sends it; `first` has what goes into the first byte besides the opcode."""
    size = len(payload)
    if size < 126:
        length = bytes([size])
    elif size < 1 << 16:
        length = b"\x7e" + struct.pack(">H", size)
    else:
        length = b"\x7f" + struct.pack(">Q", size)
    return bytes([first | opcode]) + length + payload


class WebSocketEnd:
    """The server's end: a socket of whose stream the frames have been taken away."""

    def __init__(self, server: FakeWebSocket, connection: socket.socket) -> None:
        self.server, self.socket, self.unread = server, connection, b""
        self.server.asked(self, self._request())

    def _request(self) -> bytes:
        while b"\r\n\r\n" not in self.unread:
            self._more()
        request, _, self.unread = self.unread.partition(b"\r\n\r\n")
        return request

    def _more(self) -> None:
        came = self.socket.recv(65536)
        if not came:
            raise ConnectionError
        self.unread += came

    def _take(self, count: int) -> bytes:
        while len(self.unread) < count:
            self._more()
        taken, self.unread = self.unread[:count], self.unread[count:]
        return taken

    def _frame(self) -> tuple[int, bytes]:
        first, length = self._take(2)
        assert first & 0x70 == 0
        assert length & 0x80, "it is not masked"
        length &= 0x7F
        if length > 125:
            length = int.from_bytes(self._take(2 if length == 126 else 8))
            assert length > 125
        key, payload = self._take(4), self._take(length)
        self.server.keys.append(key)
        whole = int.from_bytes((key * (length // 4 + 1))[:length]) ^ int.from_bytes(payload)
        return first, whole.to_bytes(length)

    def recv(self, _size: int) -> bytes:
        """The next message; nothing when there will be none."""
        while True:
            first, payload = self._frame()
            self.server.messages.append((first, payload))
            if first == FIN | CLOSE:
                return b""
            if first in (FIN | TEXT, FIN | BINARY):
                return payload

    def sendall(self, stream: bytes) -> None:
        self.socket.sendall(b"".join(self.server.frames_of(stream)))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.socket, name)


class FakeWebSocket(FakeStomp):
    """Sends each frame of STOMP in a message of its own."""

    def __init__(self) -> None:
        self.keys: list[bytes] = []
        self.messages: list[tuple[int, bytes]] = []
        self.requests: list[bytes] = []
        super().__init__()

    def opened(self, connection: socket.socket) -> socket.socket:
        return WebSocketEnd(self, connection)  # type: ignore[return-value]

    def asked(self, end: WebSocketEnd, request: bytes) -> None:
        self.requests.append(request)
        end.socket.sendall(self.answer(request))

    def answer(self, request: bytes) -> bytes:
        (key,) = (line.partition(b": ")[2] for line in request.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Key"))
        return b"\r\n".join([b"HTTP/1.1 101 Switching Protocols", *self.fields(key), b"", b""])

    def fields(self, key: bytes) -> list[bytes]:
        """The header of the answer."""
        accept = b64encode(sha1(key + GUID).digest())
        return [
            b"upgrade: WebSocket",
            b"Connection: upgrade",
            b"Sec-Websocket-Accept:  " + accept + b" ",
            b"Sec-WebSocket-Protocol: v12.stomp",
        ]

    def frames_of(self, stream: bytes) -> Iterator[bytes]:
        yield framed(stream)


class Scattered(FakeWebSocket):
    """Cuts whatever it sends into fragments of 1, 2, 3 … bytes, with an empty one and a PING between them."""

    def frames_of(self, stream: bytes) -> Iterator[bytes]:
        sizes = itertools.cycle([1, 2, 3, 50, 130])
        opcode = BINARY
        while stream:
            size = next(sizes)
            part, stream = stream[:size], stream[size:]
            yield framed(part, opcode, 0)
            opcode = CONTINUATION
            yield framed(b"there?", PING)
        yield framed(b"", CONTINUATION)
        yield framed(b"unasked", PONG)


class ByteByByte(FakeWebSocket):
    """The kernel gets one byte at a time, so that the client may."""

    def frames_of(self, stream: bytes) -> Iterator[bytes]:
        yield from (framed(stream[at : at + 1]) for at in range(len(stream)))


class FakeTls(FakeStomp):
    """Speaks TLS with the certificate of all tests."""

    def opened(self, connection: socket.socket) -> socket.socket:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        table = tls_table()
        context.load_cert_chain(table["certificate"], table["key"])
        plain, inner = socket.socketpair()
        secure = context.wrap_socket(connection, server_side=True)
        threading.Thread(target=carry, args=(secure, inner), daemon=True).start()
        return plain


def carry(one: socket.socket, other: socket.socket, most: int = 65536) -> None:
    """Between the two, in one thread: two must not use a connection of TLS at a time."""
    with one, other, contextlib.suppress(OSError):
        while True:
            decrypted = isinstance(one, ssl.SSLSocket) and one.pending()
            ready = [one] if decrypted else select.select([one, other], [], [])[0]
            for each in ready:
                if not (came := each.recv(most)):
                    return
                (other if each is one else one).sendall(came)


class FakeSecureWebSocket(FakeTls, FakeWebSocket):
    """Both."""

    def opened(self, connection: socket.socket) -> socket.socket:
        return FakeWebSocket.opened(self, FakeTls.opened(self, connection))


class Trickles(FakeSecureWebSocket):
    """The ends of records of TLS lie within the heads of frames, and the records come in many pieces."""

    def opened(self, connection: socket.socket) -> socket.socket:
        outer, inner = socket.socketpair()
        threading.Thread(target=carry, args=(connection, outer, 500), daemon=True).start()
        return super().opened(inner)

    def frames_of(self, stream: bytes) -> Iterator[bytes]:
        size, head = RECORD - 6, 4
        opcode = TEXT
        while len(stream) > size:
            yield framed(stream[:size], opcode, 0)
            stream, size, opcode = stream[size:], RECORD - head, CONTINUATION
        yield framed(stream, opcode)


class FakeUnix(FakeStomp):
    """At a path."""

    def listen(self) -> socket.socket:
        self.directory = tempfile.TemporaryDirectory()
        self.path = str(Path(self.directory.name, "socket"))
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self.path)
        listener.listen(4)
        return listener

    def close(self) -> None:
        super().close()
        self.directory.cleanup()
