"""stompman: speaks 1.2 only, asyncio, makes its own receipt ids, reconnects by itself."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncGenerator
from typing import Any

import stompman
from stompman.connection import AbstractConnection, Connection
from stompman.connection_ws import WebSocketConnection

from drivers.client import AUTHORITY, PATIENCE, Client, Message, Refused
from drivers.loop import LOOP

LARGEST_MESSAGE = 2 * 1024 * 1024
"""Over WebSocket a message must fit, headers included; the library's default is 1 MiB."""


def watched(client: StompMan, base: type[AbstractConnection]) -> type[AbstractConnection]:
    """The library's connection class, which also passes on what the library keeps to itself."""

    class WatchedConnection(base):  # type: ignore[misc,valid-type]
        async def read_frames(self) -> AsyncGenerator[Any, None]:
            try:
                async for frame in super().read_frames():
                    if isinstance(frame, stompman.ConnectedFrame):
                        client._heard_connected(dict(frame.headers))
                    elif isinstance(frame, stompman.HeartbeatFrame):
                        client._heard_beat()
                    yield frame
            except stompman.ConnectionLostError:
                client._heard_loss()
                raise

    return WatchedConnection


class Aborted(Exception):
    """Leaves a transaction block so that the library aborts it."""


class StompMan(Client):
    """A `stompman.Client`, entered and left by one task as its task groups want it."""

    def connect(
        self,
        *,
        login: str | None = "guest",
        passcode: str | None = "guest",
        heart_beat: tuple[int | str, int] = (0, 0),
    ) -> None:
        path = self.path if self.scheme == "ws" else None
        server = stompman.ConnectionParameters(self.host, self.port, login or "", passcode or "", path)
        # Interval 0 would make it spin: it beats always, and every 0 seconds then.
        send, receive = heart_beat if heart_beat != (0, 0) else (30000, 30000)
        self.library = stompman.Client(
            [server],
            heartbeat=stompman.Heartbeat(send, receive),
            on_error_frame=lambda frame: self._heard_error(dict(frame.headers), frame.body),
            connect_retry_attempts=1,
            read_max_chunk_size=LARGEST_MESSAGE,
            connection_class=watched(self, WebSocketConnection if self.scheme == "ws" else Connection),
            ssl=ssl.create_default_context(cafile=AUTHORITY) if self.scheme == "tls" else None,
        )
        self._subscriptions: dict[str, Any] = {}
        self._transactions: dict[str, Any] = {}
        try:
            self._task = LOOP.run(self._enter())
        except stompman.FailedAllConnectAttemptsError as error:
            raise Refused(repr(error)) from error

    async def _enter(self) -> asyncio.Task[None]:
        entered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._done = asyncio.Event()
        task = asyncio.create_task(self._stay(entered))
        await entered
        return task

    async def _stay(self, entered: asyncio.Future[None]) -> None:
        try:
            async with self.library:
                entered.set_result(None)
                await self._done.wait()
        except BaseException as error:
            if entered.done():
                raise
            entered.set_exception(error)

    def subscribe(
        self,
        destination: str,
        *,
        ack: str = "auto",
        anonymous: bool = False,
        receipt: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> str:
        subscription = LOOP.run(
            self.library.subscribe_with_manual_ack(
                destination,
                self._on_message,
                ack=ack,
                headers=headers,
                receipt_timeout=PATIENCE,
            )
        )
        self._subscriptions[subscription.id] = subscription
        return subscription.id

    def unsubscribe(self, subscription: str) -> None:
        LOOP.run(self._subscriptions.pop(subscription).unsubscribe())

    def send(
        self,
        destination: str,
        body: bytes,
        headers: dict[str, str] | None = None,
        *,
        transaction: str | None = None,
        receipt: str | None = None,
    ) -> None:
        if transaction is None:
            LOOP.run(self.library.send(body, destination, headers=headers))
        else:
            opened = self._transactions[transaction][1]
            LOOP.run(opened.send(body, destination, headers=headers))

    def send_confirmed(self, destination: str, body: bytes) -> None:
        try:
            LOOP.run(self.library.send(body, destination, receipt_timeout=PATIENCE))
        except stompman.SendReceiptError as error:
            raise Refused(f"{error.reason}: {error.frame}") from error

    def ack(self, message: Message, *, transaction: str | None = None, receipt: str | None = None) -> None:
        LOOP.run(self._frame(message).ack())

    def nack(self, message: Message, *, transaction: str | None = None) -> None:
        LOOP.run(self._frame(message).nack())

    def begin(self, transaction: str) -> None:
        block = self.library.begin()
        self._transactions[transaction] = (block, LOOP.run(enter(block)))

    def commit(self, transaction: str) -> None:
        block, _ = self._transactions.pop(transaction)
        LOOP.run(block.__aexit__(None, None, None))

    def abort(self, transaction: str) -> None:
        block, _ = self._transactions.pop(transaction)
        LOOP.run(block.__aexit__(Aborted, Aborted(), None))

    def leave(self) -> None:
        for subscription in list(self._subscriptions):
            self.unsubscribe(subscription)
        LOOP.run(self._leave())

    async def _leave(self) -> None:
        self._done.set()
        await self._task

    def drop(self) -> None:
        LOOP.run(self._drop())

    async def _drop(self) -> None:
        state = self.library._connection_manager._active_connection_state
        if state is not None:
            connection = state.connection
            (connection.websocket if self.scheme == "ws" else connection.writer).transport.abort()
        self._task.cancel()
        await asyncio.wait([self._task])

    @property
    def escapable(self) -> str:
        # It drops carriage returns instead of escaping them.
        return ":\\\n"

    def _frame(self, message: Message) -> stompman.AckableMessageFrame:
        assert isinstance(message.native, stompman.AckableMessageFrame)
        return message.native

    async def _on_message(self, frame: stompman.AckableMessageFrame) -> None:
        headers: dict[str, str] = dict(frame.headers)
        self._heard_message(Message(headers, frame.body, frame))


async def enter(block: Any) -> Any:
    """Enter a context manager whose exit comes from another call."""
    return await block.__aenter__()


ADAPTER = StompMan
