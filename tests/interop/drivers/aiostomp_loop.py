"""aiostomp: speaks 1.1 only, sends right behind CONNECT, knows no receipts and no transactions.

What it has no call for goes through its frame writer, `send_frame`. What it does not tell its user
(CONNECTED, RECEIPT, heart-beats, the end of the connection) is heard in a subclass of its reader.
"""

from __future__ import annotations

from typing import Any

from aiostomp import aiostomp as library

from drivers.client import Client, Message
from drivers.loop import LOOP


class Reader(library.StompReader):
    """The library's reader, which also passes on what the library keeps to itself."""

    async def _handle_connect(self, frame: Any) -> None:
        self._frame_handler.scenario_client._heard_connected(frame.headers)
        await super()._handle_connect(frame)

    async def _handle_exception(self, frame: Any) -> None:
        if frame.command == "RECEIPT":
            self._frame_handler.scenario_client._heard_receipt(frame.headers["receipt-id"], frame.headers)
        else:
            await super()._handle_exception(frame)

    def data_received(self, data: bytes | None) -> None:
        if data and not data.strip(b"\n"):
            self._frame_handler.scenario_client._heard_beat()
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._frame_handler.scenario_client._heard_loss()
        super().connection_lost(exc)


library.StompReader = Reader


class AioStomp(Client):
    """An `aiostomp.AioStomp`."""

    def connect(
        self,
        *,
        login: str | None = "guest",
        passcode: str | None = "guest",
        heart_beat: tuple[int | str, int] = (0, 0),
    ) -> None:
        LOOP.run(self._connect(login, passcode, heart_beat))
        self._await_answer()

    async def _connect(self, login: str | None, passcode: str | None, heart_beat: tuple[int | str, int]) -> None:
        self.library = library.AioStomp(
            self.host,
            self.port,
            heartbeat=heart_beat != (0, 0),
            heartbeat_interval_cx=heart_beat[0],
            heartbeat_interval_cy=heart_beat[1],
            reconnect_max_attempts=1,
            error_handler=self._on_error,
        )
        self.library.scenario_client = self
        await self.library.connect(login, passcode)

    def subscribe(
        self,
        destination: str,
        *,
        ack: str = "auto",
        anonymous: bool = False,
        receipt: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> str:
        extra = {**(headers or {}), **({"receipt": receipt} if receipt else {})}
        return LOOP.run(self._subscribe(destination, ack, extra))

    async def _subscribe(self, destination: str, ack: str, extra: dict[str, str]) -> str:
        subscription = self.library.subscribe(destination, ack, extra, handler=self._on_message, auto_ack=False)
        return str(subscription.id)

    def unsubscribe(self, subscription: str) -> None:
        LOOP.run(self._unsubscribe(subscription))

    async def _unsubscribe(self, subscription: str) -> None:
        self.library.unsubscribe(self.library.get(subscription))

    def send(
        self,
        destination: str,
        body: bytes,
        headers: dict[str, str] | None = None,
        *,
        transaction: str | None = None,
        receipt: str | None = None,
    ) -> None:
        extra = {"transaction": transaction, "receipt": receipt}
        known = {name: value for name, value in extra.items() if value is not None}
        LOOP.run(self._send(destination, body, {**(headers or {}), **known}))

    async def _send(self, destination: str, body: bytes, headers: dict[str, str]) -> None:
        self.library.send(destination, body, headers)

    def ack(self, message: Message, *, transaction: str | None = None, receipt: str | None = None) -> None:
        if transaction is None:
            LOOP.run(self._answer(self.library.ack, message))
        else:
            self._frame("ACK", {**culprit(message), "transaction": transaction})

    def nack(self, message: Message, *, transaction: str | None = None) -> None:
        if transaction is None:
            LOOP.run(self._answer(self.library.nack, message))
        else:
            self._frame("NACK", {**culprit(message), "transaction": transaction})

    async def _answer(self, call: Any, message: Message) -> None:
        call(message.native)

    def begin(self, transaction: str) -> None:
        self._frame("BEGIN", {"transaction": transaction})

    def commit(self, transaction: str) -> None:
        self._frame("COMMIT", {"transaction": transaction})

    def abort(self, transaction: str) -> None:
        self._frame("ABORT", {"transaction": transaction})

    def leave(self) -> None:
        LOOP.run(self._close())
        self.await_loss()

    async def _close(self) -> None:
        self.library.close()

    def drop(self) -> None:
        LOOP.run(self._drop())

    async def _drop(self) -> None:
        reader = self.library._protocol._protocol
        self.library.close()
        if reader._transport is not None:
            reader._transport.abort()

    def _frame(self, command: str, headers: dict[str, str]) -> None:
        async def write() -> None:
            self.library._protocol._protocol.send_frame(command, headers)

        LOOP.run(write())

    async def _on_message(self, frame: Any, body: bytes | None) -> bool:
        self._heard_message(Message(frame.headers, body or b"", frame))
        return True

    async def _on_error(self, error: Any) -> None:
        # Either an ERROR, of which the library keeps no headers, or that it gave up connecting.
        self._heard_error({"message": str(error)}, getattr(error, "detail", None) or b"")


def culprit(message: Message) -> dict[str, str]:
    """The headers with which 1.1 names a message."""
    return {name: message.headers[name] for name in ("subscription", "message-id")}


ADAPTER = AioStomp
