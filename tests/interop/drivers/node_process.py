"""Any client that is not in Python: a program of its own language runs it, in a process that all clients here share.

For JavaScript's that is `drivers-node/main.mjs`; `INTEROP_PROGRAM` has the command of any other, as JSON.
"""

from __future__ import annotations

import base64
import itertools
import json
import os
import queue
import subprocess
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from drivers.client import PATIENCE, Client, Message, Refused

MAIN = Path(__file__).resolve().parents[1] / "drivers-node" / "main.mjs"


class NodeProcess:
    """Passes calls on to a node process, and to the clients what is heard there."""

    def __init__(self, url: str, stomp: str, environment: Mapping[str, str]) -> None:
        program = json.loads(environment.get("INTEROP_PROGRAM", json.dumps(["node", str(MAIN)])))
        command = [*program, environment["INTEROP_ADAPTER"], url, stomp, environment["INTEROP_OPTIONS"]]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        self._answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._clients: dict[int, NodeClient] = {}
        self._calls = itertools.count(1)
        self.ended = False
        threading.Thread(target=self._listen, daemon=True).start()
        self.traits = self._answer()

    def stop(self) -> None:
        """End it at once."""
        self._process.kill()
        self._process.wait()

    def add(self, client: NodeClient) -> int:
        """Number a client."""
        number = len(self._clients) + 1
        self._clients[number] = client
        return number

    def call(self, client: int, method: str, *arguments: Any) -> None:
        """Call a method of a client and wait until it is done."""
        question = {"call": next(self._calls), "client": client, "method": method, "arguments": arguments}
        assert self._process.stdin
        with suppress(BrokenPipeError):  # the answer says why
            self._process.stdin.write(json.dumps(question).encode() + b"\n")
            self._process.stdin.flush()
        answer = self._answer()
        if "refused" in answer:
            raise Refused(answer["refused"])
        if "error" in answer:
            raise RuntimeError(answer["error"])

    def _answer(self) -> dict[str, Any]:
        answer = {"ended": "before"} if self.ended else self._answers.get(timeout=2 * PATIENCE)
        if "ended" in answer:
            self.ended = True
            raise RuntimeError(f"the node process has ended: {answer['ended']}")
        return answer

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            heard = json.loads(line)
            if "event" in heard:
                self._clients[heard["client"]]._heard(heard["event"], *heard["values"])
            else:
                self._answers.put(heard)
        self._answers.put({"ended": "without a word"})


_running: dict[tuple[str, str], NodeProcess] = {}


def process_for(url: str, stomp: str) -> NodeProcess:
    """The node process for this address and version."""
    if (url, stomp) not in _running or _running[url, stomp].ended:
        _running[url, stomp] = NodeProcess(url, stomp, os.environ)
    return _running[url, stomp]


class NodeClient(Client):
    """One client in the node process."""

    def __init__(self, url: str, stomp: str, node: NodeProcess | None = None) -> None:
        super().__init__(url, stomp)
        self.node = node or process_for(url, stomp)
        self.number = self.node.add(self)
        self.hears_beats = self.node.traits["hearsBeats"]

    def connect(
        self,
        *,
        login: str | None = "guest",
        passcode: str | None = "guest",
        heart_beat: tuple[int | str, int] = (0, 0),
        headers: dict[str, str] | None = None,
    ) -> None:
        self._call("connect", login, passcode, heart_beat, headers or {})

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
        more = (headers or {}) | present(receipt=receipt)
        self._call("subscribe", destination, None if anonymous else subscription, ack, more)
        return subscription

    def unsubscribe(self, subscription: str, headers: dict[str, str] | None = None) -> None:
        self._call("unsubscribe", subscription, headers or {})

    def send(
        self,
        destination: str,
        body: bytes,
        headers: dict[str, str] | None = None,
        *,
        transaction: str | None = None,
        receipt: str | None = None,
    ) -> None:
        all_headers = (headers or {}) | present(transaction=transaction, receipt=receipt)
        self._call("send", destination, base64.b64encode(body).decode(), all_headers)

    def send_confirmed(self, destination: str, body: bytes) -> None:
        if self.node.traits["confirms"]:
            self._call("confirm", destination, base64.b64encode(body).decode())
        else:
            super().send_confirmed(destination, body)

    def ack(self, message: Message, *, transaction: str | None = None, receipt: str | None = None) -> None:
        self._call("ack", message.native, present(transaction=transaction, receipt=receipt))

    def nack(self, message: Message, *, transaction: str | None = None, headers: dict[str, str] | None = None) -> None:
        self._call("nack", message.native, (headers or {}) | present(transaction=transaction))

    def begin(self, transaction: str) -> None:
        self._call("begin", transaction)

    def commit(self, transaction: str) -> None:
        self._call("commit", transaction)

    def abort(self, transaction: str) -> None:
        self._call("abort", transaction)

    def leave(self) -> None:
        self._call("leave")

    def drop(self) -> None:
        self._call("drop")

    @property
    def escapable(self) -> str:
        return str(self.node.traits["escapable"])

    def _call(self, method: str, *arguments: Any) -> None:
        self.node.call(self.number, method, *arguments)

    def _heard(self, event: str, *values: Any) -> None:
        """Take down one event."""
        getattr(self, f"_on_{event}")(*values)

    def _on_connected(self, headers: dict[str, str]) -> None:
        self._heard_connected(headers)

    def _on_message(self, headers: dict[str, str], body: str, key: int) -> None:
        self._heard_message(Message(headers, base64.b64decode(body), key))

    def _on_receipt(self, receipt: str, headers: dict[str, str]) -> None:
        self._heard_receipt(receipt, headers)

    def _on_error(self, headers: dict[str, str], body: str) -> None:
        self._heard_error(headers, base64.b64decode(body))

    def _on_beat(self) -> None:
        self._heard_beat()

    def _on_lost(self, code: int | None, reason: str | None) -> None:
        if not self.lost:  # and not a later attempt to come back, while nobody listens
            self.close_code, self.close_reason = code or 0, reason or ""
        self._heard_loss()


def present(**headers: str | None) -> dict[str, str]:
    """Only the headers that have a value."""
    return {name: value for name, value in headers.items() if value is not None}


ADAPTER = NodeClient
