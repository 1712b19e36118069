"""A small STOMP server for the tests of the load generator, that does wrong what a test wants it to do wrong."""

from __future__ import annotations

import contextlib
import itertools
import re
import socket
import struct
import threading
import time
from collections import defaultdict
from typing import NamedTuple

CONNECTED = b"CONNECTED\nversion:1.2\n\n\0\n"


class Frame(NamedTuple):
    """A frame as it came from the generator."""

    command: str
    headers: dict[str, str]
    body: bytes
    raw: bytes


class Subscription(NamedTuple):
    """Who gets what is sent to a destination."""

    session: Session
    id: str
    ack: str


def parse(raw: bytes) -> Frame:
    head, _, body = raw.partition(b"\n\n")
    command, *lines = head.decode().split("\n")
    return Frame(command, dict(line.split(":", 1) for line in lines), body, raw)


class Session(threading.Thread):
    """One connection."""

    def __init__(self, server: FakeStomp, connection: socket.socket) -> None:
        super().__init__(daemon=True)
        self.server, self.socket = server, connection
        self.held: list[Frame] = []
        self.lock = threading.Lock()
        self.unacknowledged = 0

    def run(self) -> None:
        with contextlib.suppress(OSError):
            self.socket = self.server.opened(self.socket)
            self.read()
        self.hang_up()
        self.socket.close()

    def read(self) -> None:
        pending = b""
        while data := self.socket.recv(65536):
            *frames, pending = (pending + data).split(b"\0")
            for raw in frames:
                frame = parse(raw)
                self.server.frames.append(frame)
                self.server.handle(self, frame)

    def write(self, data: bytes) -> None:
        with contextlib.suppress(OSError), self.lock:
            self.socket.sendall(data)

    def hang_up(self) -> None:
        """End the connection; who is hung up on twice does not notice."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)

    def reset(self) -> None:
        """Cut the connection with a TCP reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.shutdown(socket.SHUT_RD)
        self.socket.close()


class FakeStomp:
    """Does right whatever is not overridden: topics and queues, receipts, transactions. It counts no credit."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.sessions: list[Session] = []
        self.subscriptions: dict[str, list[Subscription]] = defaultdict(list)
        self.turn = itertools.count()
        self.sent = itertools.count()
        self.delivered = 0
        self.waiting: list[tuple[Frame, bytes]] = []
        self.lock = threading.RLock()
        self.listener = self.listen()
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def listen(self) -> socket.socket:
        return socket.create_server(("127.0.0.1", 0), backlog=512)

    def accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                self.greet(self.listener.accept()[0])

    def greet(self, connection: socket.socket) -> None:
        if connection.family == socket.AF_INET:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        session = Session(self, connection)
        session.start()
        self.sessions.append(session)

    def opened(self, connection: socket.socket) -> socket.socket:
        """What STOMP is read from, and written to."""
        return connection

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for session in self.sessions:
            session.hang_up()
        for session in self.sessions:
            session.join()

    def commands(self, *names: str) -> list[Frame]:
        """The frames that came with these commands."""
        return [frame for frame in self.frames if frame.command in names]

    # What it does with a frame

    def handle(self, session: Session, frame: Frame) -> None:
        getattr(self, f"on_{frame.command.lower()}")(session, frame)
        if "receipt" in frame.headers:
            self.confirm(session, frame)

    def confirm(self, session: Session, frame: Frame) -> None:
        session.write(b"RECEIPT\nreceipt-id:%s\n\n\0" % frame.headers["receipt"].encode())

    def on_connect(self, session: Session, frame: Frame) -> None:
        session.write(CONNECTED)

    def on_disconnect(self, session: Session, frame: Frame) -> None:
        pass

    def on_subscribe(self, session: Session, frame: Frame) -> None:
        subscription = Subscription(session, frame.headers["id"], frame.headers.get("ack", "auto"))
        with self.lock:
            self.subscriptions[frame.headers["destination"]].append(subscription)
            waiting, self.waiting = self.waiting, []
            for each, body in waiting:
                self.give(each, body)

    def on_unsubscribe(self, session: Session, frame: Frame) -> None:
        with self.lock:
            for there in self.subscriptions.values():
                there[:] = [each for each in there if (each.session, each.id) != (session, frame.headers["id"])]

    def on_begin(self, session: Session, frame: Frame) -> None:
        assert not session.held

    def on_commit(self, session: Session, frame: Frame) -> None:
        held, session.held = session.held, []
        for each in held:
            self.deliver(each)

    def on_ack(self, session: Session, frame: Frame) -> None:
        session.unacknowledged -= 1

    def on_send(self, session: Session, frame: Frame) -> None:
        if "transaction" in frame.headers:
            session.held.append(frame)
        else:
            self.deliver(frame)

    # What it delivers

    def deliver(self, frame: Frame) -> None:
        with self.lock:
            for body in self.changed(next(self.sent), frame.body):
                self.give(frame, body)

    def give(self, frame: Frame, body: bytes) -> None:
        receivers = self.receivers(frame.headers["destination"])
        for subscription in receivers:
            subscription.session.write(self.message(subscription, frame, body))
        if not receivers and frame.headers["destination"].startswith("/queue/"):
            self.waiting.append((frame, body))

    def changed(self, number: int, body: bytes) -> list[bytes]:
        """What is delivered instead of the n-th message sent."""
        return [body]

    def receivers(self, destination: str) -> list[Subscription]:
        if destination.startswith("/topic/"):
            return [
                each
                for pattern in self.subscriptions
                for each in self.subscriptions[pattern]
                if fits(pattern, destination)
            ]
        there = self.subscriptions[destination]
        return [there[next(self.turn) % len(there)]] if there else []

    def message(self, subscription: Subscription, frame: Frame, body: bytes, *headers: str) -> bytes:
        number = self.delivered
        self.delivered += 1
        lines = [
            f"subscription:{subscription.id}",
            f"message-id:{number}",
            f"destination:{frame.headers['destination']}",
        ]
        if subscription.ack != "auto":
            subscription.session.unacknowledged += 1
            lines.append(f"ack:{number}")
        if "reply-to" in frame.headers:
            lines.append(f"reply-to:{frame.headers['reply-to']}")
        return "\n".join(["MESSAGE", *lines, *headers, "", ""]).encode() + body + b"\0\n"


def fits(pattern: str, destination: str) -> bool:
    """Whether a topic, or a pattern with stars, is for a destination."""
    return re.fullmatch(re.escape(pattern).replace(r"\*", r"[^.]+"), destination) is not None


def later(seconds: float) -> None:
    """A pause; it has a name so that tests say what they mean."""
    time.sleep(seconds)
