"""Presence: whoever watches a topic knows who has subscribed to it, however many come and go."""

from __future__ import annotations

import json
from typing import Any

import pytest
from broker_frames import send, subscribe
from hypothesis import given
from hypothesis import strategies as st

from fastbroker.core.frame import Refused

Face = Any  # of a module that the type checker knows nothing of
SOON = 130
WATCH = subscribe(b"p", b"/presence/room.a")
ENTER = subscribe(b"1", b"/topic/room.a")
LEAVE = b"UNSUBSCRIBE\nid:1\n\n\0"


@pytest.fixture
def house(face: Face) -> Face:
    return new_house(face)


def new_house(face: Face, **settings: Any) -> Face:
    return face.House(presence=["room.#"], **settings)


def events(stream: bytes) -> list[tuple[str, list[str]]]:
    """(event, sessions) of each message in it."""
    found = []
    for text in stream.split(b"\0\n")[:-1]:
        head, _, body = text.partition(b"\n\n")
        lines = dict(line.split(b":", 1) for line in head.split(b"\n")[1:])
        assert lines[b"destination"] == b"/presence/room.a"
        assert lines[b"content-type"] == b"application/json"
        assert int(lines[b"content-length"]) == len(body)
        found.append((lines[b"event"].decode(), [person["session"] for person in json.loads(body)]))
    return found


def known(heard: list[tuple[str, list[str]]], before: set[str] | None = None) -> set[str]:
    """Who is there, as a watcher sees it."""
    there = set(before or ())
    for event, sessions in heard:
        if event == "left":
            assert there >= set(sessions)
            there -= set(sessions)
        else:
            assert there.isdisjoint(sessions)
            there |= set(sessions)
    return there


def test_who_is_there_then_who_comes_and_goes(face: Face, house: Face) -> None:
    first, second, watcher = face.Client(house), face.Client(house), face.Client(house)
    first.say(ENTER)
    watcher.say(WATCH)
    house.turn()
    ((event, there),) = events(watcher.hear())
    assert (event, len(there)) == ("present", 1)
    second.say(ENTER)
    house.advance(SOON)
    ((event, came),) = events(watcher.hear())
    assert (event, len(came)) == ("joined", 1)
    assert came != there
    first.say(LEAVE)
    second.leave()
    house.advance(SOON)
    ((event, gone),) = events(watcher.hear())
    assert (event, set(gone)) == ("left", {*there, *came})


def test_an_empty_room_is_told_too(face: Face, house: Face) -> None:
    watcher = face.Client(house)
    watcher.say(WATCH)
    house.turn()
    assert events(watcher.hear()) == [("present", [])]


def test_a_session_is_there_once_until_its_last_subscription_ends(face: Face, house: Face) -> None:
    watcher, client = face.Client(house), face.Client(house)
    watcher.say(WATCH)
    client.say(ENTER + subscribe(b"2", b"/exchange/amq.topic/room.a"))
    house.advance(SOON)
    assert [(event, len(sessions)) for event, sessions in events(watcher.hear())] == [("present", 0), ("joined", 1)]
    client.say(LEAVE)
    house.advance(SOON)
    assert watcher.hear() == b""
    client.say(b"UNSUBSCRIBE\nid:2\n\n\0")
    house.advance(SOON)
    assert [event for event, _ in events(watcher.hear())] == ["left"]


@pytest.mark.parametrize(
    "frame",
    [
        subscribe(b"1", b"/topic/room.a?consumer.prefetchSize=1"),
        subscribe(b"1", b"room.a", b"subscription-type:MULTICAST\n"),
        subscribe(b"1", b"/topic/room.a", b"x-queue-name:q\n"),
        subscribe(b"1", b"/topic/room.a", b"durable:true\nauto-delete:false\n"),
        subscribe(b"1", b"/topic/room.a", b"ack:client\n"),
        subscribe(b"1", b"/topic/room.a", b"selector:a = 1\n"),
    ],
)
def test_each_subscription_counts_once_however_it_is_written(face: Face, house: Face, frame: bytes) -> None:
    watcher, client = face.Client(house), face.Client(house)
    watcher.say(WATCH)
    house.turn()
    watcher.hear()
    for first, second in [(b"1", b"2"), (b"2", b"1")]:
        client.say(frame + subscribe(b"2", b"/topic/room.a"))
        house.advance(SOON)
        assert [event for event, _ in events(watcher.hear())] == ["joined"]
        client.say(b"UNSUBSCRIBE\nid:%b\n\n\0" % first)
        house.advance(SOON)
        assert watcher.hear() == b""
        client.say(b"UNSUBSCRIBE\nid:%b\n\n\0" % second)
        house.advance(SOON)
        assert [event for event, _ in events(watcher.hear())] == ["left"]


def test_a_watcher_is_forgotten_however_it_has_written_the_topic(face: Face, house: Face) -> None:
    before = house.stats["memory"]
    for _ in range(3):
        watcher, client = face.Client(house), face.Client(house)
        watcher.say(subscribe(b"p", b"/presence/room.a?consumer.prefetchSize=1"))
        client.say(ENTER)
        watcher.leave()
        client.say(LEAVE + ENTER)  # what is told to nobody must not find who has gone
        house.advance(SOON)
        client.leave()
        del watcher, client
    house.advance(SOON)
    assert house.stats["memory"] == before


def test_patterns_and_other_topics_do_not_count(face: Face, house: Face) -> None:
    watcher, client = face.Client(house), face.Client(house)
    watcher.say(WATCH)
    client.say(
        subscribe(b"1", b"/topic/room.*") + subscribe(b"2", b"/topic/room.b") + subscribe(b"3", b"/queue/room.a")
    )
    house.advance(SOON)
    assert events(watcher.hear()) == [("present", [])]


def test_who_comes_and_goes_at_once_is_not_told(face: Face, house: Face) -> None:
    watcher, client = face.Client(house), face.Client(house)
    watcher.say(WATCH)
    client.say((ENTER + LEAVE) * 100)
    house.advance(SOON)
    assert events(watcher.hear()) == [("present", [])]
    client.say(ENTER)
    house.advance(SOON)
    assert [event for event, _ in events(watcher.hear())] == ["joined"]
    client.say((LEAVE + ENTER) * 100)
    house.advance(SOON)
    assert watcher.hear() == b""


moves = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from(["enter", "leave", "lost", "watch", "wait"])), max_size=60
)


@given(moves=moves)
def test_every_watcher_knows_the_same_in_the_end(face: Face, moves: list[tuple[int, str]]) -> None:
    house = new_house(face)
    people: dict[int, Face] = {}
    watchers: list[Face] = []
    for number, move in moves:
        if move == "watch":
            watchers.append(face.Client(house))
            watchers[-1].say(WATCH)
        elif move == "wait":
            house.advance(SOON)
        elif move == "enter" and number not in people:
            people[number] = face.Client(house)
            people[number].say(ENTER)
        elif move in ("leave", "lost") and number in people:
            client = people.pop(number)
            client.leave() if move == "lost" else client.say(LEAVE)
    house.advance(SOON)
    seen = [known(events(watcher.hear())) for watcher in watchers]
    assert all(there == seen[0] for there in seen)
    assert not seen or len(seen[0]) == len(people)


def test_very_many_at_once_are_told_in_parts_with_pauses(face: Face, house: Face) -> None:
    """What they cause together is bounded in every turn, and all of it comes in the end."""
    clients = [face.Client(house) for _ in range(600)]
    for client in clients:
        client.say(WATCH + ENTER)
    house.turn()
    heard = [events(client.hear()) for client in clients]
    seen = [known(each) for each in heard]
    rounds, most = 0, 0
    while not all(len(there) == len(clients) for there in seen):
        before = sum(client.messages for client in clients)
        house.advance(100)
        most = max(most, sum(client.messages for client in clients) - before)
        seen = [known(events(client.hear()), there) for client, there in zip(clients, seen, strict=True)]
        rounds += 1
        assert rounds < 100
    assert rounds > 3
    assert most <= 2 * len(clients)


def test_nothing_is_left(face: Face, house: Face) -> None:
    before = house.stats["memory"]
    for _ in range(3):
        clients = [face.Client(house) for _ in range(20)]
        for client in clients:
            client.say(WATCH + ENTER)
        house.advance(SOON)
        assert house.stats["memory"] > before + 10_000
        for client in clients:
            client.leave()
        house.advance(SOON)
        del client, clients
    house.advance(SOON)
    assert house.stats["memory"] == before


def test_a_watcher_that_takes_nothing_does_not_fill_the_memory(face: Face) -> None:
    house = new_house(face, outbound_soft=4096, outbound_hard=16384)
    watcher, client = face.Client(house), face.Client(house)
    watcher.say(WATCH)
    for round in range(10_000):
        client.say(LEAVE if round % 2 else ENTER)
        house.advance(SOON)
        if watcher.doom:
            break
    assert watcher.doom
    assert watcher.pending < 16384


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (subscribe(b"p", b"/presence/other"), b"access refused"),
        (subscribe(b"p", b"/presence/room.*"), b"bad destination"),
        (subscribe(b"p", b"/presence/room.a", b"ack:client\n"), b"bad destination"),
        (send(b"/presence/room.a", b"x"), b"bad destination"),
    ],
)
def test_what_cannot_be_is_refused(face: Face, house: Face, frame: bytes, message: bytes) -> None:
    with pytest.raises(Refused) as refusal:
        face.Client(house).say(frame)
    assert refusal.value.args[0] == message


def test_by_default_nobody_is_told(face: Face) -> None:
    with pytest.raises(Refused) as refusal:
        face.Client(face.House()).say(WATCH)
    assert refusal.value.args[0] == b"access refused"


def test_the_rules_of_access_are_asked(face: Face) -> None:
    house = new_house(face, authorize=lambda identity, action, destination: destination != "/presence/room.a")
    client = face.Client(house)
    client.say(ENTER)
    with pytest.raises(Refused) as refusal:
        client.say(WATCH)
    assert refusal.value.args[0] == b"access refused"


def test_a_user_is_named_by_the_login(face: Face, house: Face) -> None:
    clients = [face.Client(house, headers=headers) for headers in (b'login:ana \xc4\x85"\n', b"")]
    for client in clients:
        client.say(ENTER)
    watcher = face.Client(house)
    watcher.say(WATCH)
    house.turn()
    people = json.loads(watcher.hear().partition(b"\n\n")[2].removesuffix(b"\0\n"))
    assert [person["user"] for person in people] == ['ana ą"', None]
