"""Transactions: nothing happens before COMMIT, all of it then and in order; and what they hold is given back."""

from __future__ import annotations

from typing import Any

import pytest
from broker_frames import ack, bodies, messages, send, subscribe
from hypothesis import given
from hypothesis import strategies as st

from fastbroker.core.frame import Refused

Face = Any  # of a module that the type checker knows nothing of
REST, TICK = 1000, 10
IN_T = b"transaction:t\n"
BEGIN, COMMIT, ABORT = (b"%b\n%b\n\0" % (command, IN_T) for command in (b"BEGIN", b"COMMIT", b"ABORT"))
DESTINATIONS = [b"/topic/a", b"/topic/a", b"/topic/b", b"/exchange/amq.topic/a", b"/queue/a", b"/queue/b"]
TOPICS = [b"/topic/a", b"/topic/b", b"/exchange/amq.topic/a"]
ENDS = ["commit", "abort", "is lost", "disconnects"]

sends = st.lists(st.tuples(st.sampled_from(DESTINATIONS), st.sampled_from([0, 1, 100, 9000])), max_size=40)
verdicts = st.lists(st.tuples(st.integers(0, 11), st.sampled_from(["ack", "nack", "reject"])), max_size=12)


@pytest.fixture
def house(face: Face) -> Face:
    return new_house(face)


def new_house(face: Face) -> Face:
    return face.House(nack_delay=REST, redelivery_delay=0, dead_letter="dead", queue_idle_timeout=5000)


def end(client: Face, how: str) -> None:
    if how == "is lost":
        client.leave()
    else:
        client.say({"commit": COMMIT, "abort": ABORT, "disconnects": b"DISCONNECT\n\n\0"}[how])


# ---- what happens --------------------------------------------------------------------------------


@given(what=sends, subscribers=st.integers(1, 4), how=st.sampled_from(ENDS))
def test_messages_come_with_commit_in_their_order(
    face: Face, what: list[tuple[bytes, int]], subscribers: int, how: str
) -> None:
    house = new_house(face)
    publisher, witnesses = face.Client(house), [face.Client(house) for _ in range(subscribers)]
    for client in witnesses:
        client.say(subscribe(b"0", b"/topic/#"))
    for id, queue in ((b"1", b"/queue/a"), (b"2", b"/queue/b")):
        witnesses[0].say(subscribe(id, queue))
    publisher.say(BEGIN)
    expected = []
    for number, (destination, size) in enumerate(what):
        expected.append((destination, b"%d " % number + b"x" * size))
        publisher.say(send(*expected[-1], IN_T))
    assert not any(client.hear() for client in witnesses)
    end(publisher, how)
    house.turn()
    if how != "commit":
        expected = []
    assert bodies(witnesses[0].hear()) == [body for _, body in expected]
    for client in witnesses[1:]:
        assert bodies(client.hear()) == [body for destination, body in expected if b"topic" in destination]


@given(what=sends, shares=st.lists(st.integers(0, 2000), min_size=1, max_size=10), how=st.sampled_from(["", "is lost"]))
def test_a_commit_may_take_many_turns(face: Face, what: list[tuple[bytes, int]], shares: list[int], how: str) -> None:
    """All of it comes, in its order, whatever others do between, and whatever becomes of the client; then RECEIPT."""
    house = new_house(face)
    publisher, witness, other = face.Client(house), face.Client(house), face.Client(house)
    for id, destination in ((b"0", b"/topic/#"), (b"1", b"/queue/a"), (b"2", b"/queue/b")):
        witness.say(subscribe(id, destination))
    publisher.say(BEGIN)
    for number, (destination, size) in enumerate(what):
        publisher.say(send(destination, b"%d " % number + b"x" * size, IN_T))
    charged = publisher.charged
    house.share(shares[0])
    publisher.say(COMMIT.replace(b"\n\n", b"\nreceipt:r\n\n"))
    heard, turns = witness.hear(), 0
    while publisher.unfinished:
        assert publisher.holds
        assert publisher.hear() == b""
        if how and turns == 1:
            publisher.end()
        other.say(send(b"/topic/a", b"other"))
        turns += 1
        house.share(shares[turns % len(shares)])
        publisher.carry_on()
        heard += witness.hear()
    house.turn()
    heard += witness.hear()
    assert [body for body in bodies(heard) if body != b"other"] == [
        b"%d " % number + b"x" * size for number, (_, size) in enumerate(what)
    ]
    assert bodies(heard).count(b"other") == turns
    assert publisher.hear() == (b"" if how and turns > 1 else b"RECEIPT\nreceipt-id:r\n\n\0\n")
    assert house.stats["transactions"] == 0
    assert publisher.charged < charged


@given(what=verdicts, mode=st.sampled_from(["client", "client-individual"]), how=st.sampled_from(ENDS))
def test_verdicts_come_with_commit_and_not_otherwise(
    face: Face, what: list[tuple[int, str]], mode: str, how: str
) -> None:
    house = new_house(face)
    client = face.Client(house)
    client.say(subscribe(b"1", b"/queue/a", b"ack:%b\n" % mode.encode()))
    client.say(b"".join(send(b"/queue/a", b"%d" % number) for number in range(12)))
    had = messages(client.hear())
    client.say(BEGIN)
    judged: dict[int, str] = {}
    for at, verdict in what:
        frame = ack(
            had[at].ack, b"ACK" if verdict == "ack" else b"NACK", IN_T + b"requeue:false\n" * (verdict[0] == "r")
        )
        if at in judged:
            with pytest.raises(Refused):
                client.say(frame)
            continue
        client.say(frame)
        for each in range(0 if mode == "client" else at, at + 1):
            judged.setdefault(each, verdict)
    assert house.queue(b"a")[:2] == (0, 12), "nothing is settled yet"
    if how != "commit":
        judged = {}
    end(client, how)
    back = [at for at in range(12) if judged.get(at, "nack" if how in ENDS[2:] else "") == "nack"]
    assert house.queue(b"a")[0] == len(back)
    other = face.Client(house)
    other.say(subscribe(b"1", b"/queue/a"))
    house.turn()
    assert [(each.body, each.redelivered) for each in messages(other.hear())] == [(b"%d" % at, True) for at in back]
    other.say(subscribe(b"2", b"/queue/dead"))
    house.turn()
    assert bodies(other.hear()) == [b"%d" % at for at in judged if judged[at] == "reject"]
    if how == "abort":
        client.say(ack(had[11].ack))
        assert house.queue(b"a")[1] == (0 if mode == "client" else 11), "they can be settled again"


@pytest.mark.parametrize("destination", [b"/queue/a", b"/topic/a"])
@pytest.mark.parametrize("how", ENDS)
def test_its_subscription_may_have_gone_meanwhile(face: Face, house: Face, destination: bytes, how: str) -> None:
    client = face.Client(house)
    client.say(subscribe(b"1", destination, b"ack:client-individual\n"))
    client.say(send(destination, b"1") + send(destination, b"2") + BEGIN)
    first, _ = messages(client.hear())
    client.say(ack(first.ack, headers=IN_T) + b"UNSUBSCRIBE\nid:1\n\n\0")
    assert client.knows(first.ack)
    end(client, how)
    waiting = 0 if destination == b"/topic/a" else 1 if how == "commit" else 2
    assert (house.stats["messages"], house.stats["deliveries"]) == (waiting, 0)
    if destination == b"/queue/a":
        assert house.queue(b"a") == (waiting, 0, 0)


def test_a_queue_that_was_left_in_a_transaction_goes_with_it(face: Face, house: Face) -> None:
    client = face.Client(house)
    client.say(subscribe(b"1", b"/queue/a", b"ack:client\n") + send(b"/queue/a", b"1") + BEGIN)
    client.say(ack(messages(client.hear())[0].ack, headers=IN_T) + b"UNSUBSCRIBE\nid:1\n\n\0")
    house.advance(6000)
    assert house.queue(b"a") == (0, 1, 0), "somebody has a message of it"
    client.say(COMMIT)
    house.advance(4000)
    assert house.queue(b"a") == (0, 0, 0)
    house.advance(1000 + TICK)
    assert house.queue(b"a") is None


# ---- what it holds -------------------------------------------------------------------------------


@given(what=sends, acks=st.integers(0, 30), how=st.sampled_from(ENDS), count=st.integers(1, 3))
def test_what_is_charged_is_given_back_to_the_last_byte(
    face: Face, what: list[tuple[bytes, int]], acks: int, how: str, count: int
) -> None:
    house = new_house(face)
    for topic in TOPICS:
        house.publish(topic, b"its route stays")
    before = house.stats["memory"]
    client = face.Client(house)
    client.say(subscribe(b"1", b"/queue/a", b"ack:client-individual\n") + send(b"/queue/a", b"x") * acks)
    had = messages(client.hear())
    for queue in (b"/queue/b", b"/queue/c"):
        house.publish(queue, b"it is there")
    charged, memory = client.charged, house.stats["memory"]
    for number in range(count):
        client.say(BEGIN.replace(b":t", b":%d" % number))
    for number, (destination, size) in enumerate(what):
        body = b"x" * size
        client.say(send(destination.replace(b"/queue/a", b"/queue/c"), body, b"transaction:%d\n" % (number % count)))
    for number, message in enumerate(had):
        client.say(ack(message.ack, headers=b"transaction:%d\n" % (number % count)))
    assert client.charged > charged
    assert house.stats["memory"] - memory >= client.charged - charged + sum(size for _, size in what)
    assert house.stats["transactions"] == count
    if how in ("is lost", "disconnects"):
        end(client, how)
    else:
        for number in range(count):
            client.say((COMMIT if how == "commit" else ABORT).replace(b":t", b":%d" % number))
        assert client.charged == charged
    assert house.stats["transactions"] == 0
    client.leave()
    drain(face, house)
    assert house.stats["memory"] == before


def drain(face: Face, house: Face) -> None:
    """All that waits is read, and all queues go."""
    reader = face.Client(house)
    for queue in (b"a", b"b", b"c"):
        reader.say(subscribe(queue, b"/queue/" + queue))
    while house.turn() or reader.hear():
        pass
    reader.leave()
    house.advance(6000)
    assert house.stats["queues"] == 0


@pytest.mark.parametrize(
    ("limits", "frames"),
    [
        ({"max_transactions": 2}, [BEGIN.replace(b":t", b":u"), BEGIN.replace(b":t", b":v")]),
        ({"max_transaction_frames": 3}, [send(b"/queue/a", b"x", IN_T)] * 4),
        ({"max_transaction_bytes": 1000}, [send(b"/queue/a", b"x" * 400, IN_T)] * 3),
        ({}, [BEGIN]),
        ({}, [COMMIT.replace(b":t", b":u")]),
        ({}, [send(b"/queue/a", b"x", b"transaction:u\n")]),
    ],
    ids=["transactions", "frames", "bytes", "twice", "unknown", "send to unknown"],
)
def test_bounds(face: Face, limits: dict[str, int], frames: list[bytes]) -> None:
    house = face.House(**limits)
    client = face.Client(house)
    client.say(BEGIN)
    for frame in frames[:-1]:
        client.say(frame)
    with pytest.raises(Refused):
        client.say(frames[-1])
    client.leave()
    assert (house.stats["transactions"], house.stats["messages"]) == (0, 0)
