"""A client that speaks in bytes, over TCP and over a Unix socket."""

from __future__ import annotations

import os
import select
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from .broker import Broker
from .frames import CONTENT_LENGTH, frame, matched, receipt, unique, wire
from .waiting import DEADLINE

NARROW = 65_536
"""A receive buffer so small that a client that does not read soon stalls the broker's output."""


class Delivery(NamedTuple):
    """What is needed to settle a MESSAGE."""

    subscription: str
    message_id: str
    ack: str


class Client:
    """A socket to the broker that sends bytes and reads frames as they come, changing nothing."""

    scheme = "tcp"

    def __init__(self, broker: Broker, *, receive_buffer: int = 0) -> None:
        self.log_position = len(broker.log)
        self.version = ""
        self.frame_end = b"\0\n"
        self.received = bytearray()
        self.ack_modes: dict[str, str] = {}
        self.port = 0
        self.socket = self._connect(broker, receive_buffer)

    def _connect(self, broker: Broker, receive_buffer: int) -> socket.socket:
        connection = socket.socket()
        if receive_buffer:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.settimeout(DEADLINE)
        connection.connect(("127.0.0.1", broker.ports[self.scheme]))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port = connection.getsockname()[1]
        return connection

    def is_peer(self, peer: str) -> bool:
        """Whether a log record means this client."""
        return peer.endswith(f":{self.port}")

    def send(self, *frames: str | bytes) -> None:
        """Write bytes to the socket, all of them in one piece."""
        self.socket.sendall(b"".join(map(wire, frames)))

    def stop_sending(self) -> None:
        """Say that nothing follows, and go on receiving."""
        self.socket.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close the socket as a program that ends would."""
        self.socket.close()

    def reset(self) -> None:
        """Cut the connection with a TCP reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    # Reading

    def _read_socket(self) -> bytes:
        """What comes next; nothing at the end of the stream."""
        try:
            return self.socket.recv(1 << 18)
        except TimeoutError:
            pytest.fail(f"nothing more came within {self.socket.gettimeout()} s, but before: {bytes(self.received)!r}")
        except ConnectionResetError:
            return b""

    def _receive(self) -> bool:
        """Read some more; False at the end of the stream."""
        data = self._read_socket()
        self.received += data
        return bool(data)

    def read(self, size: int) -> bytes:
        """Exactly `size` bytes."""
        while len(self.received) < size:
            assert self._receive(), f"the connection ended behind {bytes(self.received)!r}"
        data = bytes(self.received[:size])
        del self.received[:size]
        return data

    def _find(self, mark: bytes, start: int = 0) -> int:
        """Position of `mark` in what comes."""
        while (at := self.received.find(mark, start)) < 0:
            start = max(start, len(self.received) - len(mark))
            assert self._receive(), f"the connection ended behind {bytes(self.received)!r}"
        return at

    def read_frame(self) -> bytes:
        """One frame as it came, with the LF behind its NUL."""
        body = self._find(b"\n\n") + 2
        length = CONTENT_LENGTH.search(self.received, 0, body - 1)
        end = body + int(length[1]) if length else self._find(b"\0", body)
        return self.read(end + len(self.frame_end))

    def read_all(self) -> bytes:
        """Everything up to the end of the stream."""
        while self._receive():
            pass
        return self.read(len(self.received))

    def expect(self, template: str | bytes) -> dict[str, str]:
        """Read one frame (or one heart-beat), which must be this one, and return the fields of the template."""
        template = wire(template)
        got = self.read(1) if template == b"\n" else self.read_frame()
        fields = matched(template, got)
        assert fields is not None, f"\nexpected {template!r}\ngot      {got!r}"
        return {name: value.decode() for name, value in fields.items()}

    def expect_error(self, message: str, *, receipt: str = "", before: str = "") -> str:
        """Read an ERROR with this short message, then the end of the stream, and return the text of its body."""
        culprit = f"receipt-id:{receipt}\n" if receipt else ""
        kind = "content-type:text/plain;charset=utf-8"
        head = f"ERROR\n{before}message:{message}\n{culprit}{kind}\ncontent-length:<length>\n"
        got = self.expect(f"{head}\n<text>\0\n")
        assert int(got["length"]) == len(got["text"].encode())
        assert "Traceback" not in got["text"]
        self.expect_end()
        return got["text"]

    def expect_end(self) -> None:
        """The broker has ended the stream, and nothing is left in it."""
        rest = self.read_all()
        assert rest == b"", f"expected the end of the stream, got {rest!r}"

    def is_silent(self) -> bool:
        """Whether not a byte has come that was not read yet."""
        return not self.received and not select.select([self.socket], [], [], 0)[0]

    def skip_heart_beats(self) -> None:
        """Read the heart-beats in front of the next frame."""
        while not self.received.lstrip(b"\n"):
            assert self._receive(), "the connection ended"
        self.received = self.received.lstrip(b"\n")

    def roundtrip(self) -> None:
        """Have everything sent so far processed: a transaction is opened, with a receipt, and dropped."""
        name = unique("roundtrip")
        self.send(f"BEGIN\ntransaction:{name}\nreceipt:{name}\n\n\0ABORT\ntransaction:{name}\n\n\0")
        self.expect(receipt(name))

    def expect_nothing(self) -> None:
        """Show that nothing is on its way: the first round trip settles what was sent, the second what came of it."""
        self.roundtrip()
        self.roundtrip()

    # Conversation

    def login(self, version: str, *headers: str) -> dict[str, str]:
        """CONNECT, and the CONNECTED that must come back."""
        self.version = version
        self.send(frame("CONNECT", f"accept-version:{version}", "host:localhost", *headers))
        return self.expect(
            f"CONNECTED\nversion:{version}\nsession:<session>\nserver:<server>\nheart-beat:<beat>\n\n\0\n"
        )

    def subscribe(self, destination: str, *headers: str, id: str = "1", ack: str = "auto") -> None:
        """SUBSCRIBE, and wait for its RECEIPT."""
        self.ack_modes[id] = ack
        name = unique("subscribe")
        lines = [f"destination:{destination}", f"ack:{ack}", f"receipt:{name}", *headers]
        self.send(frame("SUBSCRIBE", *([f"id:{id}"] if id else []), *lines))
        self.expect(receipt(name))

    def unsubscribe(self, id: str = "1") -> None:
        """UNSUBSCRIBE, and wait for its RECEIPT."""
        name = unique("unsubscribe")
        self.send(frame("UNSUBSCRIBE", f"id:{id}", f"receipt:{name}"))
        self.expect(receipt(name))

    def publish(self, destination: str, body: str | bytes = "", *headers: str) -> None:
        """SEND, and wait for its RECEIPT."""
        name = unique("publish")
        self.send(frame("SEND", f"destination:{destination}", *headers, f"receipt:{name}", body=body))
        self.expect(receipt(name))

    def expect_message(
        self, destination: str, body: str | bytes = "", *headers: str, id: str = "1", redelivered: bool = False
    ) -> Delivery:
        """Read a MESSAGE of subscription `id`, the exact bytes that this version and its ack mode call for."""
        with_ack = self.version == "1.2" and self.ack_modes[id] != "auto"
        lines = [f"subscription:{id}"] if id else []
        lines += ["message-id:<message-id>", *(["ack:<ack>"] if with_ack else [])]
        lines += ["redelivered:true", "delivery-count:<count>"] if redelivered else []
        got = self.expect(frame("MESSAGE", *lines, f"destination:{destination}", *headers, body=body) + b"\n")
        return Delivery(id, got["message_id"], got.get("ack", ""))

    def expect_bodies(self, destination: str, bodies: Iterator[str] | list[str], *, id: str = "1") -> list[Delivery]:
        """Read one MESSAGE for each body, in this order."""
        return [self.expect_message(destination, body, id=id) for body in bodies]

    def settle(self, delivery: Delivery, *headers: str, command: str = "ACK") -> None:
        """ACK (or NACK) a message with the headers that this version wants."""
        self.send(frame(command, *self.settling_headers(delivery), *headers))

    def settling_headers(self, delivery: Delivery) -> list[str]:
        """The headers by which an ACK names its message in this version."""
        if self.version == "1.2":
            return [f"id:{delivery.ack}"]
        if self.version == "1.1":
            return [f"subscription:{delivery.subscription}", f"message-id:{delivery.message_id}"]
        return [f"message-id:{delivery.message_id}"]

    def ack(self, delivery: Delivery, *headers: str) -> None:
        """ACK, and wait for its RECEIPT."""
        name = unique("ack")
        self.settle(delivery, f"receipt:{name}", *headers)
        self.expect(receipt(name))

    def nack(self, delivery: Delivery, *headers: str) -> None:
        """NACK, and wait for its RECEIPT."""
        name = unique("nack")
        self.settle(delivery, f"receipt:{name}", *headers, command="NACK")
        self.expect(receipt(name))


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
