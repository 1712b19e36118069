"""Access: asked once for what is one thing, whatever a client calls it."""

from __future__ import annotations

from typing import Any

import pytest
from broker_frames import send, subscribe

from fastbroker.core.frame import Refused

Face = Any  # of a module that the type checker knows nothing of
REMEMBERED = 4096


class Doorkeeper:
    """Who is asked; everything but what has `secret` in it is allowed."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []

    def __call__(self, identity: object, action: str, destination: str) -> bool:
        self.asked.append((action, destination))
        return "secret" not in destination


@pytest.fixture
def doorkeeper() -> Doorkeeper:
    return Doorkeeper()


@pytest.fixture
def house(face: Face, doorkeeper: Doorkeeper) -> Face:
    return face.House(authorize=doorkeeper)


def test_sends_that_alternate_between_two_queues_ask_twice(face: Face, house: Face, doorkeeper: Doorkeeper) -> None:
    client = face.Client(house)
    for number in range(1001):
        client.say(send(b"/queue/%d" % (number % 2), b"x"))
    assert doorkeeper.asked == [("send", "/queue/0"), ("send", "/queue/1")]
    assert house.stats["messages"] == 1001


def test_one_thing_has_one_name(face: Face, house: Face, doorkeeper: Doorkeeper) -> None:
    client = face.Client(house)
    for destination in (b"/queue/a:b", b"a\\cb", b"/amq/queue/a\\cb", b"/queue/a\\cb"):
        client.say(send(destination, b"x"))
    for destination in (b"/topic/a", b"/exchange/amq.topic/a", b"/topic/a"):
        client.say(send(destination, b"x"))
    client.say(send(b"/temp-queue/a", b"x") * 2)
    assert doorkeeper.asked == [("send", "/queue/a:b"), ("send", "/topic/a"), ("send", "/temp-queue/a")]


def test_each_action_is_asked_apart(face: Face, house: Face, doorkeeper: Doorkeeper) -> None:
    client = face.Client(house)
    for id in (b"1", b"2"):
        client.say(send(b"/queue/a", b"x") + subscribe(id, b"a"))
    assert doorkeeper.asked == [("send", "/queue/a"), ("subscribe", "/queue/a")]


def test_each_client_is_asked_for(face: Face, house: Face, doorkeeper: Doorkeeper) -> None:
    clients = [face.Client(house) for _ in range(3)]
    for client in clients * 2:
        client.say(send(b"/queue/a", b"x"))
    assert doorkeeper.asked == [("send", "/queue/a")] * 3


@pytest.mark.parametrize("frame", [send(b"/queue/secret", b"x"), subscribe(b"1", b"/topic/secret.#")])
def test_what_is_refused_does_nothing_and_is_not_remembered(
    face: Face, house: Face, doorkeeper: Doorkeeper, frame: bytes
) -> None:
    client = face.Client(house)
    for _ in range(2):
        with pytest.raises(Refused, match="access refused"):
            client.say(frame)
    assert len(doorkeeper.asked) == 2
    stats = house.stats
    assert (stats["queues"], stats["subscriptions"], stats["routes"], stats["messages"]) == (0, 0, 0, 0)


def test_answers_are_charged_and_forgotten(face: Face, house: Face, doorkeeper: Doorkeeper) -> None:
    client = face.Client(house)
    before = client.charged
    client.say(send(b"/topic/0000", b"x"))
    each = client.charged - before
    assert each > 100
    for number in range(REMEMBERED):
        client.say(send(b"/topic/%04d" % number, b"x"))
    assert client.charged == before + REMEMBERED * each
    client.say(send(b"/topic/last", b"x"))
    assert client.charged == before + each, "so many are enough"
    client.say(send(b"/topic/0000", b"x"))
    assert len(doorkeeper.asked) == REMEMBERED + 2
    memory = house.stats["memory"]
    client.leave()
    del client
    assert house.stats["memory"] <= memory - 2 * each
