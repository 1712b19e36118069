"""Clients of other brokers, against a broker that speaks as those do: stomp.py for all, stompest for ActiveMQ."""

from __future__ import annotations

import queue
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any
from uuid import uuid4

import pytest
from campaign import serving
from harness.broker import Broker
from harness.waiting import DEADLINE
from python_peers import TABLE

PRODUCTS = {"rabbitmq": "RabbitMQ", "activemq": "ActiveMQ", "artemis": "ActiveMQ-Artemis"}
ALWAYS = {
    "rabbitmq": {"content-length": "5", "redelivered": "false"},
    "activemq": {"expires": "0", "priority": "4"},
    "artemis": {"expires": "0", "priority": "4", "persistent": "false", "redelivered": "false"},
}
UNKNOWN = {
    "rabbitmq": "Bad transaction",
    "activemq": "Invalid transaction id: none",
    "artemis": "AMQ339013: Error committing none",
}


def imported(label: str, module: str) -> Any:
    peer = next(peer for peer in TABLE if peer.label == label)
    if reason := peer.missing():
        pytest.skip(reason)
    sys.path.insert(0, str(peer.directory))
    try:
        return import_module(module)
    finally:
        sys.path.remove(str(peer.directory))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Broker]]:
    running: dict[str, Broker] = {}

    def start(profile: str) -> Broker:
        if profile not in running:
            directory = tmp_path_factory.mktemp("broker")
            running[profile] = serving(directory, ["tcp://127.0.0.1:0"], compat={"profile": profile})
        return running[profile]

    yield start
    for broker in running.values():
        broker.stop()


class Heard:
    """What a listener of stomp.py is told."""

    def __init__(self) -> None:
        self.frames: queue.Queue[tuple[str, Any]] = queue.Queue()

    def on_connected(self, frame: Any) -> None:
        self.frames.put(("connected", frame))

    def on_message(self, frame: Any) -> None:
        self.frames.put(("message", frame))

    def on_receipt(self, frame: Any) -> None:
        self.frames.put(("receipt", frame))

    def on_error(self, frame: Any) -> None:
        self.frames.put(("error", frame))

    def next(self, kind: str) -> Any:
        found, frame = self.frames.get(timeout=DEADLINE)
        assert found == kind
        return frame


@pytest.mark.parametrize("profile", PRODUCTS)
def test_stomp_py(server: Callable[[str], Broker], profile: str) -> None:
    stomp = imported("stomp.py-9.0.0", "stomp")
    connection = stomp.Connection12([("127.0.0.1", server(profile).ports["tcp"])], reconnect_attempts_max=1)
    heard, name = Heard(), f"/queue/{uuid4().hex}"
    connection.set_listener("test", heard)
    connection.connect("guest", "guest", wait=True)
    assert heard.next("connected").headers["server"].partition("/")[0] == PRODUCTS[profile]
    connection.subscribe(name, id="1", ack="client-individual")
    transaction = connection.begin()
    connection.send(name, "hello", transaction=transaction)
    connection.commit(transaction)
    message = heard.next("message")
    assert ALWAYS[profile].items() <= message.headers.items()
    connection.nack(message.headers["ack"])
    if profile == "rabbitmq":
        again = heard.next("message")
        assert again.headers["redelivered"] == "true"
        connection.ack(again.headers["ack"])
    elif profile == "activemq":
        connection.subscribe("/queue/ActiveMQ.DLQ", id="2")
        assert heard.next("message").headers["original-destination"] == name
    connection.commit("none")
    assert heard.next("error").headers["message"] == UNKNOWN[profile]


@pytest.mark.parametrize("profile", ["activemq", "artemis"])
@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
def test_stompest(server: Callable[[str], Broker], profile: str, version: str) -> None:
    """It names itself after ActiveMQ's and Apollo's STOMP, and shows each header as it came."""
    config = imported("stompest-2.3.0", "stompest.config")
    sync = imported("stompest-2.3.0", "stompest.sync.client")
    client = sync.Stomp(config.StompConfig(f"tcp://127.0.0.1:{server(profile).ports['tcp']}", version=version))
    client.connect(connectedTimeout=DEADLINE)
    if version != "1.0":
        assert client.session.server.partition("/")[0] == PRODUCTS[profile]
    name, letters = f"/queue/{uuid4().hex}", {"activemq": "/queue/ActiveMQ.DLQ", "artemis": "/queue/DLQ"}[profile]
    client.subscribe(name, {"id": "1", "ack": "client-individual", "activemq.prefetchSize": "1"})
    client.send(name, b"hello")
    client.send(name, b"second")
    frame = received(client)
    assert ALWAYS[profile].items() <= frame.headers.items()
    if version == "1.0":
        client.ack(frame)
    else:
        client.nack(frame)
    client.ack(received(client))
    if version != "1.0" and profile == "activemq":
        client.subscribe(letters, {"id": "2", "ack": "auto"})
        assert received(client).headers["original-destination"] == name
    client.disconnect()


def received(client: Any) -> Any:
    assert client.canRead(DEADLINE)
    return client.receiveFrame()
