"""Durable and shared subscriptions with stomp.py, in the headers that clients of four brokers send."""

from __future__ import annotations

import queue
import sys
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from campaign import serving
from harness.broker import Broker
from harness.waiting import DEADLINE, eventually
from python_peers import TABLE

CLIENT_ID = {"client-id": "warehouse"}
DIALECTS = {
    "rabbitmq": ({}, {"durable": "true", "auto-delete": "false"}),
    "activemq": (CLIENT_ID, {"activemq.subscriptionName": "stock"}),
    "artemis": (CLIENT_ID, {"durable-subscription-name": "stock"}),
    "apollo": ({}, {"persistent": "true"}),
}
SHARED = {**DIALECTS, "group": ({}, {"subscription-group": "stock"})}
del SHARED["activemq"]


@pytest.fixture(scope="module")
def stomp() -> Any:
    peer = next(peer for peer in TABLE if peer.label == "stomp.py-9.0.0")
    if reason := peer.missing():
        pytest.skip(reason)
    sys.path.insert(0, str(peer.directory))
    try:
        return pytest.importorskip("stomp")
    finally:
        sys.path.remove(str(peer.directory))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = serving(tmp_path_factory.mktemp("broker"), ["tcp://127.0.0.1:0"])
    yield broker
    broker.stop()


class Heard:
    """What a listener of stomp.py is told."""

    def __init__(self) -> None:
        self.bodies: queue.Queue[str] = queue.Queue()
        self.receipts: queue.Queue[str] = queue.Queue()
        self.errors: queue.Queue[str] = queue.Queue()

    def on_message(self, frame: Any) -> None:
        self.bodies.put(frame.body)

    def on_receipt(self, frame: Any) -> None:
        self.receipts.put(frame.headers["receipt-id"])

    def on_error(self, frame: Any) -> None:
        self.errors.put(frame.headers["message"])


def connected(stomp: Any, server: Broker, headers: dict[str, str]) -> tuple[Any, Heard]:
    connection = stomp.Connection12([("127.0.0.1", server.ports["tcp"])], reconnect_attempts_max=1)
    heard = Heard()
    connection.set_listener("test", heard)
    connection.connect(wait=True, headers=headers)
    return connection, heard


def done(heard: Heard, receipt: str) -> None:
    assert heard.receipts.get(timeout=DEADLINE) == receipt


def left(connection: Any, heard: Heard) -> None:
    connection.disconnect(receipt="bye")
    done(heard, "bye")


def received(heard: Heard, count: int) -> list[str]:
    return [heard.bodies.get(timeout=DEADLINE) for _ in range(count)]


def came_and_went(stomp: Any, server: Broker, topic: str, connect: dict[str, str], words: dict[str, str]) -> None:
    """From then on it is kept for the subscriber."""
    connection, heard = connected(stomp, server, connect)
    connection.subscribe(topic, id="stock", headers={**words, "receipt": "1"})
    done(heard, "1")
    left(connection, heard)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_nothing_is_missed(stomp: Any, server: Broker, dialect: str) -> None:
    connect, words = DIALECTS[dialect]
    topic = f"/topic/{uuid4().hex}"
    publisher, published = connected(stomp, server, {})
    came_and_went(stomp, server, topic, connect, words)
    for number in range(10):
        publisher.send(topic, str(number), receipt=str(number))
        done(published, str(number))
    again, heard = connected(stomp, server, connect)
    again.subscribe(topic, id="stock", ack="client-individual", headers=words)
    assert received(heard, 10) == [str(number) for number in range(10)]
    again.unsubscribe(id="stock", headers={**words, "receipt": "2"})
    done(heard, "2")
    left(again, heard)
    left(publisher, published)
    eventually(lambda: not server.census()["queues"], "it is deleted, and nothing of it is left")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_with_a_selector_it_keeps_what_that_selects(stomp: Any, server: Broker, dialect: str) -> None:
    connect, words = DIALECTS[dialect]
    words = {**words, "selector": "size > 5"}
    topic = f"/topic/{uuid4().hex}"
    publisher, published = connected(stomp, server, {})
    came_and_went(stomp, server, topic, connect, words)
    for number in range(10):
        publisher.send(topic, str(number), headers={"size": number}, receipt=str(number))
        done(published, str(number))
    again, heard = connected(stomp, server, connect)
    again.subscribe(topic, id="stock", headers=words)
    assert received(heard, 4) == ["6", "7", "8", "9"]
    again.unsubscribe(id="stock", headers={**words, "receipt": "2"})
    done(heard, "2")
    left(again, heard)
    left(publisher, published)


@pytest.mark.parametrize("dialect", SHARED)
def test_a_hundred_messages_are_a_hundred_for_all(stomp: Any, server: Broker, dialect: str) -> None:
    connect, words = SHARED[dialect]
    topic = f"/topic/{uuid4().hex}"
    consumers = [connected(stomp, server, connect) for _ in range(3)]
    for connection, heard in consumers:
        connection.subscribe(topic, id="stock", headers={**words, "receipt": "1"})
        done(heard, "1")
    publisher, published = connected(stomp, server, {})
    for number in range(100):
        publisher.send(topic, str(number))
    left(publisher, published)
    for connection, heard in consumers[1:]:
        left(connection, heard)
    connection, heard = consumers[0]
    connection.unsubscribe(id="stock", headers={**words, "receipt": "2"} if dialect != "group" else {"receipt": "2"})
    done(heard, "2")
    bodies = [heard.bodies.get_nowait() for _, heard in consumers for _ in range(heard.bodies.qsize())]
    assert sorted(map(int, bodies)) == list(range(100))
    left(connection, heard)
    eventually(lambda: not server.census()["queues"], "nothing of it is left")


def test_a_second_client_of_the_same_name_is_refused(stomp: Any, server: Broker) -> None:
    connect, words = DIALECTS["activemq"]
    first, heard = connected(stomp, server, connect)
    first.subscribe("/topic/stock", id="1", headers={**words, "receipt": "1"})
    done(heard, "1")
    second, refused = connected(stomp, server, connect)
    second.subscribe("/topic/stock", id="1", headers=words)
    assert refused.errors.get(timeout=DEADLINE) == "subscription in use"
    first.send("/topic/stock", "still here")
    assert received(heard, 1) == ["still here"]
    first.unsubscribe(id="1", headers={**words, "receipt": "2"})
    done(heard, "2")
    left(first, heard)
