"""A small blocking STOMP 1.2 client, to try out what a server can do."""

from __future__ import annotations

import re
import socket
import time
from collections import deque
from types import TracebackType
from typing import NamedTuple, Self

from fastbroker.bench.load import Target

PATIENCE = 5.0
HEAD = re.compile(rb"[\r\n]*(?P<command>[A-Z]+)\n(?P<lines>(?:[^\n]+\n)*)\n")
LINE = re.compile(rb"([^:\n]+):([^\n]*)\n")
ESCAPES = {"\\c": ":", "\\n": "\n", "\\r": "\r", "\\\\": "\\"}


class Refused(Exception):
    """The server said ERROR, hung up, or did not answer."""


class Frame(NamedTuple):
    """A frame that came."""

    command: str
    headers: dict[str, str]
    body: bytes


class Client:
    """One connection, logged in."""

    def __init__(self, target: Target) -> None:
        self._socket = socket.create_connection((target.host, target.port), timeout=PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._target = target
        self._unread = b""
        self._frames: deque[Frame] = deque()
        self._receipts = 0
        login = {"login": target.login, "passcode": target.passcode} if target.login else {}
        self.send("CONNECT", {"accept-version": "1.2", "host": target.virtual_host or target.host, **login})
        self.expect("CONNECTED")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._socket.close()

    def send(self, command: str, headers: dict[str, str], body: bytes = b"") -> None:
        """Send one frame."""
        self._write(encoded(command, headers, body))

    def send_many(self, frames: bytes) -> None:
        """Send many frames at once, without reading in between."""
        self._write(frames)

    def ask(self, command: str, headers: dict[str, str], body: bytes = b"") -> None:
        """Send one frame and wait for its RECEIPT."""
        self._receipts += 1
        number = f"r{self._receipts}"
        self.send(command, {**headers, "receipt": number}, body)
        self.expect("RECEIPT", **{"receipt-id": number})

    def subscribe(self, destination: str, ack: str = "auto", **headers: str) -> None:
        """Subscribe; come back when the subscription is there."""
        own = {"id": destination, "destination": destination, "ack": ack}
        if self._target.subscribe_receipts:
            self.ask("SUBSCRIBE", {**own, **headers})
        else:
            self.send("SUBSCRIBE", {**own, **headers})
            self.ask("SEND", {"destination": f"{destination}.confirm".replace("/queue/", "/topic/")})

    def expect(self, command: str, **headers: str) -> Frame:
        """The next frame of that kind. What comes before it is kept for later."""
        deadline, passed = time.monotonic() + PATIENCE, deque[Frame]()
        while True:
            frame = self._next(deadline)
            if frame.command == command and headers.items() <= frame.headers.items():
                self._frames.extendleft(reversed(passed))
                return frame
            if frame.command == "ERROR":
                raise Refused(f"ERROR: {frame.headers.get('message', '')} {frame.body[:200].decode(errors='replace')}")
            passed.append(frame)

    def nothing_comes(self, seconds: float = 0.3) -> bool:
        """Whether no MESSAGE comes for a while."""
        try:
            frame = self._next(time.monotonic() + seconds)
        except Refused as error:
            return "did not answer" in str(error)
        self._frames.appendleft(frame)
        return frame.command != "MESSAGE"

    def _write(self, data: bytes) -> None:
        try:
            self._socket.settimeout(PATIENCE)
            self._socket.sendall(data)
        except OSError as error:
            raise Refused(f"it takes nothing more: {error}") from None

    def _next(self, deadline: float) -> Frame:
        while not self._frames:
            frames, self._unread = taken(self._unread + self._read(deadline))
            self._frames.extend(frames)
        return self._frames.popleft()

    def _read(self, deadline: float) -> bytes:
        left = deadline - time.monotonic()
        try:
            self._socket.settimeout(max(left, 0.001))
            data = self._socket.recv(1 << 20)
        except TimeoutError:
            raise Refused("it did not answer in time") from None
        except OSError as error:
            raise Refused(f"it hung up: {error.strerror}") from None
        if not data:
            raise Refused("it hung up")
        return data


def encoded(command: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    """The bytes of a frame. No header here needs an escape."""
    length = {"content-length": str(len(body))} if body else {}
    lines = [command, *(f"{name}:{value}" for name, value in (headers | length).items())]
    return "\n".join([*lines, "", ""]).encode() + body + b"\0"


def taken(data: bytes) -> tuple[list[Frame], bytes]:
    """The frames that are complete in what came, and the rest."""
    frames, start = [], 0
    while match := HEAD.match(data, start):
        headers: dict[str, str] = {}
        for name, value in LINE.findall(match["lines"]):
            headers.setdefault(name.decode(), unescaped(value.decode(errors="replace")))
        length = headers.get("content-length")
        end = match.end() + int(length) if length else data.find(b"\0", match.end())
        if not match.end() <= end < len(data):
            break
        frames.append(Frame(match["command"].decode(), headers, data[match.end() : end]))
        start = end + 1
    return frames, data[start:]


def unescaped(text: str) -> str:
    """A header's value as it was meant."""
    return re.sub(r"\\[cnr\\]", lambda escape: ESCAPES[escape[0]], text)
