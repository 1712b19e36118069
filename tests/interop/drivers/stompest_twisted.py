"""stompest's asynchronous client, on a Twisted reactor that runs in a thread of its own."""

from __future__ import annotations

import collections
import collections.abc
import threading
from typing import Any

# The library was written when the abstract classes still lived there.
collections.MutableMapping = collections.abc.MutableMapping  # type: ignore[attr-defined]

from stompest.async_.client import Stomp
from stompest.async_.listener import Listener, SubscriptionListener
from stompest.config import StompConfig
from twisted.internet import reactor, threads
from twisted.internet.endpoints import TCP4ClientEndpoint

from drivers.client import PATIENCE, Client, Message, Refused
from drivers.stompest_sync import in_transaction, send_headers, with_headers

_starting = threading.Lock()
_running = False


def in_reactor(function: Any, *arguments: Any, **keywords: Any) -> Any:
    """Run a library call where Twisted wants it, and wait for its Deferred."""
    global _running
    with _starting:
        if not _running:
            run = {"installSignalHandlers": False}
            threading.Thread(target=reactor.run, kwargs=run, daemon=True).start()
            _running = True
    return threads.blockingCallFromThread(reactor, function, *arguments, **keywords)


def endpoint(broker: dict[str, Any], timeout: float) -> TCP4ClientEndpoint:
    """Where to connect to; the library's own function relies on `locals()` as it was before Python 3.13."""
    return TCP4ClientEndpoint(reactor, broker["host"], broker["port"], timeout)


class Recorder(Listener):
    """Passes on what the library hears."""

    def __init__(self, client: StompestTwisted) -> None:
        self.client = client

    def onFrame(self, connection: Any, frame: Any) -> None:
        if not frame:
            self.client._heard_beat()

    def onConnected(self, connection: Any, frame: Any) -> None:
        self.client._heard_connected(frame.headers)

    def onReceipt(self, connection: Any, frame: Any, receipt: str) -> None:
        self.client._heard_receipt(receipt, frame.headers)

    def onError(self, connection: Any, frame: Any) -> None:
        self.client._heard_error(frame.headers, frame.body)

    def onConnectionLost(self, connection: Any, reason: Any) -> None:
        self.client._heard_loss()


class StompestTwisted(Client):
    """A `stompest.async.client.Stomp` that offers every version up to the asked one."""

    def connect(
        self,
        *,
        login: str | None = "guest",
        passcode: str | None = "guest",
        heart_beat: tuple[int | str, int] = (0, 0),
        headers: dict[str, str] | None = None,
    ) -> None:
        config = StompConfig(f"tcp://{self.host}:{self.port}", login, passcode, self.stomp)
        raw = {"heart-beat": "{},{}".format(*heart_beat)} if heart_beat[0] == "x" else {}
        asked = heart_beat if heart_beat != (0, 0) and not raw else None
        self.library = Stomp(config, endpointFactory=endpoint)
        self.library.add(Recorder(self))
        try:
            in_reactor(
                self.library.connect,
                headers=raw | (headers or {}),
                heartBeats=asked,
                connectTimeout=PATIENCE,
                connectedTimeout=PATIENCE,
            )
        except Exception as error:
            raise Refused(repr(error)) from error
        # A broker that closes after an ERROR is reported there too; nobody else listens.
        self.library.disconnected.addErrback(lambda failure: None)

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
        listener = SubscriptionListener(self._on_message, ack=False)
        all_headers = {"ack": ack, **identity, **(headers or {})}
        name, value = in_reactor(self.library.subscribe, destination, all_headers, receipt, listener)
        return f"{name} {value}"

    def unsubscribe(self, subscription: str, headers: dict[str, str] | None = None) -> None:
        token = tuple(subscription.split(" ", 1))
        if headers:
            in_reactor(self.library.sendFrame, with_headers(self.library.session.unsubscribe(token), headers))
        else:
            in_reactor(self.library.unsubscribe, token)

    def send(
        self,
        destination: str,
        body: bytes,
        headers: dict[str, str] | None = None,
        *,
        transaction: str | None = None,
        receipt: str | None = None,
    ) -> None:
        all_headers = send_headers(body, headers, transaction)
        in_reactor(self.library.send, destination, body, all_headers, receipt)

    def ack(self, message: Message, *, transaction: str | None = None, receipt: str | None = None) -> None:
        in_reactor(self.library.ack, in_transaction(message, transaction), receipt)

    def nack(self, message: Message, *, transaction: str | None = None, headers: dict[str, str] | None = None) -> None:
        frame = self.library.session.nack(in_transaction(message, transaction))
        in_reactor(self.library.sendFrame, with_headers(frame, headers))

    def begin(self, transaction: str) -> None:
        in_reactor(self.library.begin, transaction)

    def commit(self, transaction: str) -> None:
        in_reactor(self.library.commit, transaction)

    def abort(self, transaction: str) -> None:
        in_reactor(self.library.abort, transaction)

    def leave(self) -> None:
        in_reactor(self.library.disconnect)
        self.await_loss()

    def drop(self) -> None:
        if not self.lost:
            in_reactor(self.library._protocol.transport.abortConnection)

    def _on_message(self, connection: Any, frame: Any) -> None:
        self._heard_message(Message(dict(frame.headers), frame.body, frame))


ADAPTER = StompestTwisted
