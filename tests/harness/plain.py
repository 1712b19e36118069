"""Bare sockets to a broker, and the least that is said over them."""

from __future__ import annotations

import socket
import ssl

from .waiting import DEADLINE

CONNECT = b"CONNECT\naccept-version:1.2\nhost:localhost\nheart-beat:0,0\n\n\0"


def dial(port: int, host: str = "127.0.0.1") -> socket.socket:
    """A TCP connection."""
    connection = socket.create_connection((host, port), timeout=DEADLINE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def read_frame(connection: socket.socket) -> bytes:
    """One frame with the LF behind it; nothing at the end of the stream."""
    received = b""
    while not received.endswith(b"\0\n"):
        if not (more := connection.recv(1)):
            return received
        received += more
    return received


def greet(connection: socket.socket) -> None:
    """Log in."""
    connection.sendall(CONNECT)
    assert read_frame(connection).startswith(b"CONNECTED\n")


def is_served(connection: socket.socket) -> None:
    """Show that the broker still does what this connection asks for."""
    connection.sendall(b"SEND\ndestination:/topic/served\nreceipt:r\n\nx\0")
    assert read_frame(connection) == b"RECEIPT\nreceipt-id:r\n\n\0\n"


def ended(connection: socket.socket) -> bool:
    """Whether the broker ends the connection, in whatever way, without another byte."""
    try:
        return connection.recv(4096) == b""
    except (ConnectionError, ssl.SSLError):
        return True
