"""stomp.py: threads, and a listener whose callbacks changed their arguments with version 5."""

from __future__ import annotations

import socket
from typing import Any

import stomp
from stomp.exception import ConnectFailedException

from drivers.client import AUTHORITY, Client, Message, Refused

CONNECTIONS = {
    "1.0": stomp.StompConnection10,
    "1.1": stomp.StompConnection11,
    "1.2": stomp.StompConnection12,
}


def headers_and_body(heard: tuple[Any, ...]) -> tuple[dict[str, str], bytes]:
    """Take apart what a callback got: (headers, body) up to version 4, one frame since."""
    headers, body = heard if len(heard) == 2 else (heard[0].headers, heard[0].body)
    return headers, body


class Listener:
    """Passes on what the library hears."""

    def __init__(self, client: StompPy) -> None:
        self.client = client

    def on_connected(self, *heard: Any) -> None:
        self.client._heard_connected(headers_and_body(heard)[0])

    def on_message(self, *heard: Any) -> None:
        headers, body = headers_and_body(heard)
        self.client._heard_message(Message(headers, body, headers))

    def on_receipt(self, *heard: Any) -> None:
        headers = headers_and_body(heard)[0]
        self.client._heard_receipt(headers["receipt-id"], headers)

    def on_error(self, *heard: Any) -> None:
        self.client._heard_error(*headers_and_body(heard))

    def on_heartbeat(self) -> None:
        self.client._heard_beat()

    def on_heartbeat_timeout(self) -> None:
        self.client._heard_loss()

    def on_disconnected(self) -> None:
        self.client._heard_loss()


class StompPy(Client):
    """A `stomp.Connection` of the asked version."""

    def connect(
        self,
        *,
        login: str | None = "guest",
        passcode: str | None = "guest",
        heart_beat: tuple[int | str, int] = (0, 0),
        headers: dict[str, str] | None = None,
    ) -> None:
        options: dict[str, Any] = {} if self.stomp == "1.0" else {"heartbeats": heart_beat}
        address = (self.host, self.port)
        self.connection = self._kind(options)([address], auto_decode=False, reconnect_attempts_max=1, **options)
        if self.scheme == "tls":
            self.connection.set_ssl([address], ca_certs=AUTHORITY)
        self.connection.set_listener("scenario", Listener(self))
        try:
            self.connection.connect(login, passcode, wait=True, headers=headers or {})
        except ConnectFailedException as error:
            raise Refused(repr(error)) from error
        self._await_answer()

    def _kind(self, options: dict[str, Any]) -> Any:
        """The library's class for this transport and version."""
        if self.scheme != "ws":
            return CONNECTIONS[self.stomp]
        options["ws_path"] = self.path
        return stomp.WSStompConnection

    def subscribe(
        self,
        destination: str,
        *,
        ack: str = "auto",
        anonymous: bool = False,
        receipt: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> str:
        subscription = destination if anonymous else f"sub-{next(self._numbers)}"
        identity = {} if anonymous else {"id": subscription}
        more = (headers or {}) | optional(receipt=receipt)
        self.connection.subscribe(destination, ack=ack, headers=more, **identity)
        return subscription

    def unsubscribe(self, subscription: str, headers: dict[str, str] | None = None) -> None:
        anonymous = subscription.startswith("/")
        culprit = {"destination" if anonymous else "id": subscription}
        self.connection.unsubscribe(headers=headers or {}, **culprit)

    def send(
        self,
        destination: str,
        body: bytes,
        headers: dict[str, str] | None = None,
        *,
        transaction: str | None = None,
        receipt: str | None = None,
    ) -> None:
        extra = optional(transaction=transaction, receipt=receipt)
        self.connection.send(destination, body, headers=headers, **extra)

    def ack(self, message: Message, *, transaction: str | None = None, receipt: str | None = None) -> None:
        self.connection.ack(*self._culprit(message), transaction=transaction, receipt=receipt)

    def nack(self, message: Message, *, transaction: str | None = None, headers: dict[str, str] | None = None) -> None:
        self.connection.nack(*self._culprit(message), transaction=transaction, **(headers or {}))

    def begin(self, transaction: str) -> None:
        self.connection.begin(transaction)

    def commit(self, transaction: str) -> None:
        self.connection.commit(transaction)

    def abort(self, transaction: str) -> None:
        self.connection.abort(transaction)

    def leave(self) -> None:
        self.connection.disconnect(receipt="bye")

    def drop(self) -> None:
        if self.scheme == "ws":
            # Closed only, the socket lives on while the library's thread reads from it.
            self.connection.transport.socket.sock.shutdown(socket.SHUT_RDWR)
        self.connection.transport.disconnect_socket()

    def _culprit(self, message: Message) -> tuple[str, ...]:
        headers = message.headers
        if self.stomp == "1.2":
            return (headers["ack"],)
        if self.stomp == "1.1":
            return headers["message-id"], headers["subscription"]
        return (headers["message-id"],)


def optional(**headers: str | None) -> dict[str, str]:
    """Only the headers that have a value."""
    return {name: value for name, value in headers.items() if value is not None}


ADAPTER = StompPy
