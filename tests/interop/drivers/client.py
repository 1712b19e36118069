"""What the scenarios ask of a client library, and what they hear back from it.

Every library has its own idea of threads, callbacks and names. An adapter turns it into `Client`:
blocking calls for what is told to the library, and one record of everything that the library
reports, so that a scenario reads the same whether threads, asyncio or Twisted work underneath.
"""

from __future__ import annotations

import abc
import itertools
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlsplit

PATIENCE = float(os.environ.get("FASTBROKER_TEST_DEADLINE", "20"))
"""Seconds to wait for something that should arrive at once, on a machine that may be busy."""

AUTHORITY = os.environ.get("INTEROP_AUTHORITY", "")
"""The file that a client trusts the broker's certificate for."""

Found = TypeVar("Found")


class Refused(Exception):
    """The library reported that the broker did not let it in."""


class Late(AssertionError):
    """Something that should have arrived did not."""


@dataclass(frozen=True)
class Message:
    """One MESSAGE as the library handed it over."""

    headers: dict[str, str]
    body: bytes
    native: object
    """What the library wants to be given back for ACK and NACK."""

    @property
    def redelivered(self) -> bool:
        return self.headers.get("redelivered") == "true"


@dataclass(frozen=True)
class Error:
    """One ERROR as the library handed it over."""

    headers: dict[str, str]
    body: bytes


class Client(abc.ABC):
    """One connection made by the library under test."""

    hears_beats = True
    """Whether the library tells of heart-beats that come in."""

    def __init__(self, url: str, stomp: str) -> None:
        address = urlsplit(url)
        self.url = url
        self.scheme = address.scheme
        self.host = address.hostname or ""
        self.port = address.port or 0
        self.path = address.path
        self.stomp = stomp
        self.connected_headers: dict[str, str] = {}
        self.receipts: list[str] = []
        self.receipt_headers: dict[str, dict[str, str]] = {}
        self.beats = 0
        self.lost = False
        self.close_code = 0
        self.close_reason = ""
        self._messages: deque[Message] = deque()
        self._errors: deque[Error] = deque()
        self._changed = threading.Condition()
        self._numbers = itertools.count(1)

    # What the library is told.

    @abc.abstractmethod
    def connect(
        self,
        *,
        login: str | None = "guest",
        passcode: str | None = "guest",
        heart_beat: tuple[int | str, int] = (0, 0),
        headers: dict[str, str] | None = None,
    ) -> None:
        """Connect and return once the broker has answered; raise `Refused` if it said no.

        `headers`, here and below, are more that the frame has; not every library lets its programs give any.
        """

    @abc.abstractmethod
    def subscribe(
        self,
        destination: str,
        *,
        ack: str = "auto",
        anonymous: bool = False,
        receipt: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> str:
        """Subscribe and return what `unsubscribe` takes; `anonymous` leaves out the id."""

    @abc.abstractmethod
    def unsubscribe(self, subscription: str, headers: dict[str, str] | None = None) -> None:
        """End a subscription."""

    @abc.abstractmethod
    def send(
        self,
        destination: str,
        body: bytes,
        headers: dict[str, str] | None = None,
        *,
        transaction: str | None = None,
        receipt: str | None = None,
    ) -> None:
        """Send one message with a `content-length`."""

    @abc.abstractmethod
    def ack(self, message: Message, *, transaction: str | None = None, receipt: str | None = None) -> None:
        """Acknowledge."""

    @abc.abstractmethod
    def nack(self, message: Message, *, transaction: str | None = None, headers: dict[str, str] | None = None) -> None:
        """Refuse."""

    @abc.abstractmethod
    def begin(self, transaction: str) -> None:
        """Open a transaction."""

    @abc.abstractmethod
    def commit(self, transaction: str) -> None:
        """Commit a transaction."""

    @abc.abstractmethod
    def abort(self, transaction: str) -> None:
        """Abort a transaction."""

    @abc.abstractmethod
    def leave(self) -> None:
        """Go away in the way in which the library's own documentation does it."""

    @abc.abstractmethod
    def drop(self) -> None:
        """Go away without a word, as a crashed process does."""

    def send_confirmed(self, destination: str, body: bytes) -> None:
        """Send with a receipt and return once it is there; raise `Refused` when an ERROR comes instead."""
        receipt = f"confirm-{next(self._numbers)}"
        self.send(destination, body, receipt=receipt)
        self._wait(lambda: receipt in self.receipts or self._errors or None, f"receipt {receipt!r}", PATIENCE)
        if receipt not in self.receipts:
            raise Refused(self._errors[0].headers)

    def sync(self) -> None:
        """Return once the broker has handled every frame that was sent so far."""
        self.send_confirmed("/topic/interop.sync", b"sync")

    @property
    def escapable(self) -> str:
        """The delicate characters that the library can carry in a header value."""
        return {"1.0": ":", "1.1": ":\\\n", "1.2": ":\\\n\r"}[self.stomp]

    # What the library said.

    def next_message(self, timeout: float = PATIENCE) -> Message:
        """The next message, in the order in which the library handed them over."""
        return self._take(self._messages, "a message", timeout)

    def next_bodies(self, count: int) -> list[bytes]:
        """The bodies of the next `count` messages."""
        return [self.next_message().body for _ in range(count)]

    def next_error(self) -> Error:
        """The next ERROR."""
        return self._take(self._errors, "an ERROR", PATIENCE)

    def await_receipt(self, receipt: str) -> dict[str, str]:
        """Wait for one receipt, and return its headers as far as the library tells them."""
        self._wait(lambda: receipt in self.receipts or None, f"receipt {receipt!r}", PATIENCE)
        return self.receipt_headers[receipt]

    def await_loss(self) -> None:
        """Wait until the library has noticed that the broker closed the connection."""
        self._wait(lambda: self.lost or None, "the end of the connection", PATIENCE)

    def idle(self, seconds: float) -> None:
        """Do nothing for a while, but let the library send its heart-beats."""
        time.sleep(seconds)

    # For the adapters: called from whatever thread the library uses.

    def _heard_connected(self, headers: dict[str, str]) -> None:
        with self._changed:
            self.connected_headers = dict(headers)
            self._changed.notify_all()

    def _heard_message(self, message: Message) -> None:
        with self._changed:
            self._messages.append(message)
            self._changed.notify_all()

    def _heard_error(self, headers: dict[str, str], body: bytes) -> None:
        with self._changed:
            self._errors.append(Error(dict(headers), body))
            self._changed.notify_all()

    def _heard_receipt(self, receipt: str, headers: dict[str, str] | None = None) -> None:
        with self._changed:
            self.receipt_headers[receipt] = dict(headers or {})
            self.receipts.append(receipt)
            self._changed.notify_all()

    def _heard_beat(self) -> None:
        self.beats += 1

    def _heard_loss(self) -> None:
        with self._changed:
            self.lost = True
            self._changed.notify_all()

    def _listen(self, seconds: float) -> None:
        """Let something arrive for at most so long; called with `_changed` held."""
        self._changed.wait(seconds)

    def _await_answer(self) -> None:
        """Wait for CONNECTED; raise `Refused` when an ERROR or the end comes instead."""

        def answered() -> bool | None:
            return bool(self.connected_headers or self._errors or self.lost) or None

        self._wait(answered, "an answer to CONNECT", PATIENCE)
        if not self.connected_headers:
            raise Refused(self._errors[0].headers if self._errors else "connection lost")

    def _take(self, queue: deque[Found], what: str, timeout: float) -> Found:
        self._wait(lambda: queue or None, what, timeout)
        return queue.popleft()

    def _wait(self, ready: Callable[[], object | None], what: str, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        with self._changed:
            while ready() is None:
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise Late(f"waited {timeout:g} s for {what}; {self._told()}")
                self._listen(remaining)

    def _told(self) -> str:
        errors = [error.headers for error in self._errors]
        return (
            f"messages waiting {len(self._messages)}, receipts {self.receipts[-3:]}, errors {errors}, lost {self.lost}"
        )
