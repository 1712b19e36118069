"""The client of the protocol tests over TLS, and over a Unix socket."""

from __future__ import annotations

import os
import select
import socket
import ssl

from certificates import authority
from wire import DEADLINE, Broker, Client


class TlsClient(Client):
    """Speaks TLS."""

    scheme = "tls"

    def _connect(self, broker: Broker, receive_buffer: int) -> socket.socket:
        context = ssl.create_default_context(cafile=authority())
        return context.wrap_socket(super()._connect(broker, receive_buffer), server_hostname="127.0.0.1")

    def stop_sending(self) -> None:
        """Close this direction of the socket only: that of the SSLSocket would forget the keys."""
        socket.socket.shutdown(self.socket, socket.SHUT_WR)

    def is_silent(self) -> bool:
        """Records without content (tickets) are no bytes of STOMP."""
        self.socket.setblocking(False)
        try:
            while not self.received and select.select([self.socket], [], [], 0)[0]:
                self.received += self.socket.recv(1 << 18)
        except ssl.SSLWantReadError:
            pass
        finally:
            self.socket.settimeout(DEADLINE)
        return not self.received


class UnixClient(Client):
    """Uses a Unix socket."""

    scheme = "unix"

    def _connect(self, broker: Broker, receive_buffer: int) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(DEADLINE)
        connection.connect(str(broker.path))
        return connection

    def is_peer(self, peer: str) -> bool:
        """The system tells the process, which all clients of a test share."""
        return peer.startswith(f"unix:pid={os.getpid()},")
