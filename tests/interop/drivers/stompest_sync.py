"""stompest's synchronous client: no thread at all, so frames arrive only while one looks."""

from __future__ import annotations

import time
from typing import Any

from stompest.config import StompConfig
from stompest.error import StompConnectionError, StompProtocolError
from stompest.protocol import StompFrame
from stompest.sync import client as stompest_client

from drivers.client import Client, Message, Refused


class StompestSync(Client):
    """A `stompest.sync.client.Stomp` that offers every version up to the asked one."""

    def connect(
        self,
        *,
        login: str | None = "guest",
        passcode: str | None = "guest",
        heart_beat: tuple[int | str, int] = (0, 0),
        headers: dict[str, str] | None = None,
    ) -> None:
        config = StompConfig(f"tcp://{self.host}:{self.port}", login, passcode, self.stomp)
        self.library = stompest_client.Stomp(config)
        # The library refuses to send a heart-beat header it knows to be wrong; as any other
        # header it goes out as it is.
        raw = {"heart-beat": "{},{}".format(*heart_beat)} if heart_beat[0] == "x" else {}
        asked = heart_beat if heart_beat != (0, 0) and not raw else None
        try:
            self.library.connect(headers=raw | (headers or {}), heartBeats=asked, connectedTimeout=5)
        except (StompConnectionError, StompProtocolError) as error:
            raise Refused(repr(error)) from error
        session = self.library.session
        beats = f"{session.serverHeartBeat},{session.clientHeartBeat}"
        self._heard_connected({"version": session.version, "heart-beat": beats})

    def subscribe(
        self,
        destination: str,
        *,
        ack: str = "auto",
        anonymous: bool = False,
        receipt: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> str:
        identity = {} if anonymous else {"id": f"sub-{next(self._numbers)}"}
        name, value = self.library.subscribe(destination, {"ack": ack, **identity, **(headers or {})}, receipt)
        return f"{name} {value}"

    def unsubscribe(self, subscription: str, headers: dict[str, str] | None = None) -> None:
        token = tuple(subscription.split(" ", 1))
        self.library.sendFrame(with_headers(self.library.session.unsubscribe(token), headers))

    def send(
        self,
        destination: str,
        body: bytes,
        headers: dict[str, str] | None = None,
        *,
        transaction: str | None = None,
        receipt: str | None = None,
    ) -> None:
        self.library.send(destination, body, send_headers(body, headers, transaction), receipt)

    def ack(self, message: Message, *, transaction: str | None = None, receipt: str | None = None) -> None:
        self.library.ack(in_transaction(message, transaction), receipt)

    def nack(self, message: Message, *, transaction: str | None = None, headers: dict[str, str] | None = None) -> None:
        frame = self.library.session.nack(in_transaction(message, transaction))
        self.library.sendFrame(with_headers(frame, headers))

    def begin(self, transaction: str) -> None:
        self.library.begin(transaction)

    def commit(self, transaction: str) -> None:
        self.library.commit(transaction)

    def abort(self, transaction: str) -> None:
        self.library.abort(transaction)

    def leave(self) -> None:
        self.library.disconnect(receipt="bye")
        self.await_receipt("bye")
        self.await_loss()

    def drop(self) -> None:
        self.library.close()

    def idle(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        step = (self.library.clientHeartBeat or 1000) / 2500
        while not self.lost and (remaining := deadline - time.monotonic()) > 0:
            self._listen(min(step, remaining))
            if self.library.clientHeartBeat and not self.lost:
                self.library.beat()

    def _listen(self, seconds: float) -> None:
        before = self.library.lastReceived
        try:
            if self.library.canRead(seconds):
                self._heard_frame(self.library.receiveFrame())
            elif self.library.lastReceived != before:
                self._heard_beat()
        except StompConnectionError:
            self._heard_loss()

    def _heard_frame(self, frame: Any) -> None:
        if frame.command == "MESSAGE":
            self.library.message(frame)
            self._heard_message(Message(dict(frame.headers), frame.body, frame))
        elif frame.command == "RECEIPT":
            self._heard_receipt(self.library.receipt(frame), frame.headers)
        elif frame.command == "ERROR":
            self._heard_error(frame.headers, frame.body)


def send_headers(body: bytes, headers: dict[str, str] | None, transaction: str | None) -> dict[str, str]:
    """The headers of a SEND; the library leaves `content-length` to its user."""
    all_headers = {**(headers or {}), "content-length": str(len(body))}
    if transaction is not None:
        all_headers["transaction"] = transaction
    return all_headers


def in_transaction(message: Message, transaction: str | None) -> Any:
    """The MESSAGE as ack() wants it: it copies the transaction from the message's headers."""
    frame: Any = message.native
    if transaction is None:
        return frame
    headers = {**message.headers, "transaction": transaction}
    return StompFrame(frame.command, headers, frame.body, version=frame.version)


def with_headers(frame: Any, headers: dict[str, str] | None) -> Any:
    """The frame with more headers than the library's own calls put into it."""
    frame.headers.update(headers or {})
    return frame


ADAPTER = StompestSync
