"""Frames for the clients of broker_face.pyx, and what they hear."""

from __future__ import annotations

from typing import NamedTuple


class Message(NamedTuple):
    subscription: bytes
    body: bytes
    ack: bytes
    number: int
    redelivered: bool
    headers: dict[bytes, bytes]


def send(destination: bytes, body: bytes, headers: bytes = b"") -> bytes:
    return b"SEND\ndestination:%b\n%b\n%b\0" % (destination, headers, body)


def subscribe(id: bytes, destination: bytes, headers: bytes = b"") -> bytes:
    return b"SUBSCRIBE\nid:%b\ndestination:%b\n%b\n\0" % (id, destination, headers)


def ack(id: bytes, command: bytes = b"ACK", headers: bytes = b"") -> bytes:
    return b"%b\nid:%b\n%b\n\0" % (command, id, headers)


def messages(stream: bytes) -> list[Message]:
    """The MESSAGE frames in it, which are all it has, on TCP."""
    return [_message(frame) for frame in stream.replace(b"\0\n", b"\0").split(b"\0")[:-1]]


def bodies(stream: bytes) -> list[bytes]:
    return [message.body for message in messages(stream)]


def _message(frame: bytes) -> Message:
    head, _, body = frame.partition(b"\n\n")
    command, *lines = head.split(b"\n")
    assert command == b"MESSAGE"
    headers = dict(line.split(b":", 1) for line in lines)
    return Message(
        headers.get(b"subscription", b""),
        body,
        headers.get(b"ack", b""),
        int(headers[b"message-id"].rpartition(b"-")[2]),
        headers.get(b"redelivered") == b"true",
        headers,
    )
