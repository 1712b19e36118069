"""Last wills, over sockets: whatever ends a connection but DISCONNECT and the broker's own stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from harness.broker import Broker
from harness.client import Client
from harness.frames import frame
from harness.waiting import eventually

Talk = Callable[..., Client]
PERMITTED = {"auth": {"last_will": True}}
DELAY = 0.3


def will(queue: str, body: str = "gone") -> tuple[str, str]:
    """The headers of a CONNECT that leave a message for this queue."""
    return f"will-destination:{queue}", f"will-body:{body}"


@pytest.fixture
def willing(broker_with: Callable[..., Broker]) -> Broker:
    """A broker that takes wills."""
    return broker_with(**PERMITTED)


@pytest.fixture
def heir(talk: Talk, willing: Broker, queue: str) -> Client:
    """Somebody who gets what is in the queue."""
    client = talk(to=willing)
    client.subscribe(queue)
    return client


def half_closed(client: Client) -> None:
    client.stop_sending()


def cut_off_in_a_frame(client: Client) -> None:
    client.send("SEND\ndestination:/queue/a\n\nhal")
    client.stop_sending()


def an_error(client: Client) -> None:
    client.send(frame("UNSUBSCRIBE", "id:none"))
    client.expect_error("unknown subscription")


def malformed(client: Client) -> None:
    client.send("SEND\nno colon\n\n\0")


def silent(client: Client) -> None:
    """It had promised heart-beats."""


ENDS = (Client.reset, Client.close, half_closed, cut_off_in_a_frame, an_error, malformed, silent)


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_every_unclean_end_has_it_sent_once(
    end: Callable[[Client], None], talk: Talk, willing: Broker, heir: Client, queue: str
) -> None:
    end(talk("1.2", *will(queue), "heart-beat:1000,0", to=willing))
    heir.expect_message(queue, "gone")
    talk("1.2", *will(queue, "second"), to=willing).reset()
    heir.expect_message(queue, "second")


@pytest.mark.parametrize("receipt", [False, True])
def test_disconnect_takes_it_back(receipt: bool, talk: Talk, willing: Broker, heir: Client, queue: str) -> None:
    client = talk("1.2", *will(queue), to=willing)
    client.send(frame("DISCONNECT", *(["receipt:bye"] if receipt else [])))
    if receipt:
        client.expect("RECEIPT\nreceipt-id:bye\n\n\0\n")
    else:
        client.reset()
    talk("1.2", *will(queue, "second"), to=willing).reset()
    heir.expect_message(queue, "second")


def test_it_comes_though_nobody_is_there(talk: Talk, tmp_path: Path, queue: str) -> None:
    """The last connection has gone, and its will is published all the same, and not before its time."""
    broker = Broker(tmp_path, PERMITTED)
    client = talk("1.2", *will(queue), f"will-delay:{DELAY * 1000:.0f}", to=broker)
    start = time.monotonic()
    client.reset()
    eventually(lambda: broker.census()["messages"], "the will is in its queue")
    assert time.monotonic() - start > DELAY - 0.01
    heir = talk(to=broker)
    heir.subscribe(queue)
    heir.expect_message(queue, "gone")
    broker.stop()


def test_the_brokers_own_stop_sends_none(talk: Talk, tmp_path: Path, queue: str) -> None:
    broker = Broker(tmp_path, PERMITTED)
    heir = talk(to=broker)
    heir.subscribe(queue)
    clients = [talk("1.2", *will(queue), to=broker) for _ in range(3)]
    talk("1.2", *will(queue), "will-delay:60000", to=broker).reset()
    eventually(lambda: broker.census()["connections"] == 4, "the one with a delay has gone")
    broker.stop()
    for client in (heir, *clients):
        client.expect_end()


def test_by_default_none_is_taken(dial: Callable[..., Client], queue: str) -> None:
    client = dial()
    client.version = "1.2"
    client.send(frame("CONNECT", "accept-version:1.2", "host:x", *will(queue)))
    client.expect_error("access refused")
