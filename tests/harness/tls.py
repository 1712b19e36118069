"""The client over TLS."""

from __future__ import annotations

import select
import socket
import ssl
from contextlib import suppress
from functools import cache
from typing import Any

from .broker import Broker
from .certificates import authority
from .client import Client
from .waiting import DEADLINE

PIECE = 1 << 18


class TlsSocket(socket.socket):
    """TLS on a socket, each direction of which ends on its own and says how: `ssl.SSLSocket` hides both."""

    def __init__(self, plain: socket.socket) -> None:
        patience = plain.gettimeout()
        super().__init__(fileno=plain.detach())
        self.settimeout(patience)
        self.was_told = False
        """Whether the broker has said that nothing follows, by close_notify."""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context().wrap_bio(self._incoming, self._outgoing, server_hostname="127.0.0.1")
        self._shake_hands()

    def _shake_hands(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._incoming.write(super().recv(1 << 16))
            else:
                return self._flush()

    def _flush(self) -> None:
        if data := self._outgoing.read():
            super().sendall(data)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Encrypt it and send it, not all of it at once: a broker that expects heart-beats waits meanwhile."""
        for start in range(0, len(data), PIECE):
            self._tls.write(data[start : start + PIECE])
            self._flush()

    def recv(self, size: int, flags: int = 0) -> bytes:
        """What comes next; nothing at the end, with close_notify or without."""
        while True:
            try:
                data = self._tls.read(size)
            except ssl.SSLZeroReturnError:
                data = b""
            except ssl.SSLWantReadError:
                if not (encrypted := super().recv(1 << 18)):
                    return b""
                self._incoming.write(encrypted)
                continue
            self.was_told = not data
            return data

    def shutdown(self, how: int) -> None:
        """Say that nothing follows, and go on receiving."""
        with suppress(ssl.SSLWantReadError):  # the other side has not ended yet
            self._tls.unwrap()
        self._flush()
        super().shutdown(how)


@cache
def context() -> ssl.SSLContext:
    """What all clients connect with."""
    return ssl.create_default_context(cafile=authority())


class TlsClient(Client):
    """Speaks TLS."""

    scheme = "tls"
    socket: TlsSocket

    def _connect(self, broker: Broker, receive_buffer: int) -> TlsSocket:
        return TlsSocket(super()._connect(broker, receive_buffer))

    def expect_end(self) -> None:
        """The broker must say that it is the end, or somebody in between could have cut something off."""
        super().expect_end()
        assert self.socket.was_told, "the connection ended without close_notify"

    def is_silent(self) -> bool:
        """Records without content (tickets) are no bytes of STOMP."""
        self.socket.setblocking(False)
        try:
            while not self.received and select.select([self.socket], [], [], 0)[0] and self._receive():
                pass
        except BlockingIOError:
            pass
        finally:
            self.socket.settimeout(DEADLINE)
        return not self.received
