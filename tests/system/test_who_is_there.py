"""Presence, over sockets: the names and sessions that clients know themselves by."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from harness.broker import Broker
from harness.client import Client
from harness.frames import frame

Dial = Callable[..., Client]
ROOM, WATCHED = "/topic/room.a", "/presence/room.a"
TOLD = (
    "MESSAGE\nsubscription:p\nmessage-id:<message-id>\ndestination:/presence/room.a\ncontent-type:application/json\n"
    "event:<event>\ncontent-length:<length>\n\n<people>\0\n"
)


@pytest.fixture
def watched(broker_with: Callable[..., Broker]) -> Broker:
    return broker_with(topics=[{"pattern": "room.#", "presence": True}])


def enter(dial: Dial, broker: Broker, login: str) -> tuple[Client, dict[str, str]]:
    """A client that has connected, and what others see of it."""
    client = dial(to=broker)
    return client, {"user": login, "session": client.login("1.2", f"login:{login}")["session"]}


def told(watcher: Client) -> tuple[str, object]:
    """What a watcher learns next: what has happened, and to whom."""
    fields = watcher.expect(TOLD)
    assert int(fields["length"]) == len(fields["people"].encode())
    return fields["event"], json.loads(fields["people"])


def test_a_watcher_learns_who_comes_and_who_is_lost(dial: Dial, watched: Broker) -> None:
    first, ana = enter(dial, watched, "ana")
    first.subscribe(ROOM)
    watcher, _ = enter(dial, watched, "watcher")
    watcher.subscribe(WATCHED, id="p")
    assert told(watcher) == ("present", [ana])
    second, tom = enter(dial, watched, "tom")
    second.subscribe(ROOM)
    assert told(watcher) == ("joined", [tom])
    second.reset()
    assert told(watcher) == ("left", [tom])
    first.unsubscribe()
    assert told(watcher) == ("left", [ana])


def test_by_default_nobody_is_told(dial: Dial, watched: Broker) -> None:
    """Neither of a topic that the table does not name, nor without any table."""
    for client, destination in ((enter(dial, watched, "x")[0], "/presence/hall"), (dial(), WATCHED)):
        if not client.version:
            client.login("1.2")
        client.send(frame("SUBSCRIBE", "id:p", f"destination:{destination}"))
        client.expect_error("access refused")
