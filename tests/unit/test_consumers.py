"""Consumers of which some come before others, and queues that have one at a time."""

from __future__ import annotations

from typing import Any

import pytest
from broker_frames import Message, ack, bodies, messages, send, subscribe
from hypothesis import given
from hypothesis import strategies as st

from fastbroker.core.frame import Refused

Face = Any  # of a module that the type checker knows nothing of
INDIVIDUAL = b"ack:client-individual\nprefetch-count:%d\n"


@pytest.fixture
def house(face: Face) -> Face:
    return face.House(nack_delay=1000, queue_idle_timeout=100_000, redelivery_delay=0)


def consumer(face: Face, house: Face, headers: bytes, credit: int = 1, queue: bytes = b"/queue/a") -> Face:
    client = face.Client(house)
    client.say(subscribe(b"1", queue, INDIVIDUAL % credit + headers))
    return client


def publish(face: Face, house: Face, count: int, queue: bytes = b"/queue/a") -> None:
    face.Client(house).say(b"".join(send(queue, b"%d" % number) for number in range(count)))


def heard(client: Face) -> list[Message]:
    return messages(client.hear())


# ---- priority ----


@given(st.lists(st.tuples(st.integers(-130, 130), st.integers(1, 4)), min_size=1, max_size=12))
def test_the_highest_with_credit_has_it(face: Face, consumers: list[tuple[int, int]]) -> None:
    house = face.House()
    clients = [consumer(face, house, b"x-priority:%d\n" % priority, credit) for priority, credit in consumers]
    clamped = [max(-127, min(127, priority)) for priority, _ in consumers]
    credit = [each for _, each in consumers]
    for count in range(sum(credit)):
        publish(face, house, 1)
        got = [number for number, client in enumerate(clients) if heard(client)]
        assert len(got) == 1, f"message {count} of {sum(credit)}"
        assert clamped[got[0]] == max(p for p, left in zip(clamped, credit, strict=True) if left)
        credit[got[0]] -= 1
    publish(face, house, 1)
    assert not any(heard(client) for client in clients)


@pytest.mark.parametrize("priority", [b"", b"x-priority:7\n", b"x-priority:-7\n", b"activemq.priority:7\n"])
def test_within_one_priority_they_take_turns(face: Face, house: Face, priority: bytes) -> None:
    clients = [consumer(face, house, priority, 100) for _ in range(4)]
    publish(face, house, 80)
    assert [len(heard(client)) for client in clients] == [20] * 4


def test_a_higher_one_comes_later_and_goes_again(face: Face, house: Face) -> None:
    """Those who were there before, with and without room, keep their turns."""
    usual, full = (consumer(face, house, b"", credit) for credit in (100, 1))
    publish(face, house, 2)
    (kept,) = heard(full)
    assert len(heard(usual)) == 1
    high = consumer(face, house, b"x-priority:1\n", 100)
    publish(face, house, 10)
    assert (len(heard(usual)), len(heard(high)), heard(full)) == (0, 10, [])
    full.say(ack(kept.ack))
    high.leave()
    house.turn()
    assert len(heard(usual)) + len(heard(full)) == 10
    assert house.queue(b"a")[2] == 2


def test_one_that_has_no_credit_or_rests_lets_the_next_have_it(face: Face, house: Face) -> None:
    high = consumer(face, house, b"x-priority:1\n", 2)
    low = consumer(face, house, b"x-priority:-1\n", 100)
    publish(face, house, 3)
    first, second = heard(high)
    assert [each.body for each in heard(low)] == [b"2"]
    high.say(ack(first.ack, b"NACK"))
    house.turn()
    assert [each.body for each in heard(low)] == [b"0"]
    high.say(ack(second.ack))
    house.advance(1010)
    publish(face, house, 1)
    assert (len(heard(high)), heard(low)) == (1, [])


def test_one_that_does_not_read_lets_the_next_have_it(face: Face) -> None:
    house = face.House(outbound_soft=8192, outbound_hard=100_000)
    high = face.Client(house)
    high.say(subscribe(b"1", b"/queue/a", b"x-priority:1\n"))
    low = consumer(face, house, b"", 100)
    sender, passed = face.Client(house), 0
    for _ in range(30):
        sender.say(send(b"/queue/a", b"x" * 1000))
        passed += len(heard(low))
    assert 0 < passed < 30
    high.hear()
    sender.say(send(b"/queue/a", b"y"))
    assert bodies(high.hear()) == [b"y"]


@pytest.mark.parametrize("value", [b"high", b"1.5", b"--1", b"-", b"", b"99999999999"])
def test_a_priority_is_a_whole_number(face: Face, house: Face, value: bytes) -> None:
    with pytest.raises(Refused, match="bad header") as refused:
        consumer(face, house, b"x-priority:%b\n" % value)
    assert b"x-priority" in refused.value.args[1]


def test_what_ten_thousand_of_all_priorities_hold_is_counted_and_free_again(face: Face) -> None:
    house = face.House(max_subscriptions=10_000)
    before = house.stats["memory"]
    client = face.Client(house)
    for number in range(10_000):
        claim = b"x-priority:%d\nactivemq.exclusive:%b\n" % (number % 255 - 127, [b"true", b"false"][number % 2])
        client.say(subscribe(b"%d" % number, b"/queue/a", claim))
    assert house.stats["memory"] - before > 10_000 * 690
    client.leave()
    house.advance(200_000)
    assert house.queue(b"a") is None
    assert house.stats["memory"] == before


# ---- exclusive ----


@pytest.mark.parametrize("name", [b"activemq.exclusive", b"exclusive"])
def test_one_has_all_and_the_next_takes_over_in_order(face: Face, house: Face, name: bytes) -> None:
    usual = consumer(face, house, b"", 100)
    one, two, three = (consumer(face, house, name + b":true\n", 5) for _ in range(3))
    publish(face, house, 10)
    assert [each.body for each in heard(one)] == [b"%d" % number for number in range(5)]
    assert not heard(usual) + heard(two) + heard(three)
    one.leave()
    house.turn()
    taken = heard(two)
    assert [(each.body, each.redelivered) for each in taken] == [(b"%d" % number, True) for number in range(5)]
    for each in taken:
        two.say(ack(each.ack))
    house.turn()
    assert [each.body for each in heard(two)] == [b"%d" % number for number in range(5, 10)]
    two.say(b"UNSUBSCRIBE\nid:1\n\n\0")
    house.turn()
    assert len(heard(three)) == 5
    three.leave()
    house.turn()
    assert len(heard(usual)) == 5, "without any that is exclusive they take turns again"


def test_the_one_with_the_highest_priority_takes_over(face: Face, house: Face) -> None:
    first, low, high = (
        consumer(face, house, b"exclusive:true\nx-priority:%d\n" % priority, 100) for priority in (0, 1, 2)
    )
    publish(face, house, 1)
    assert len(heard(first)) == 1, "who has it keeps it"
    first.leave()
    house.turn()
    assert (heard(low), len(heard(high))) == ([], 1)


def test_it_takes_over_when_all_that_the_last_one_had_is_settled(face: Face, house: Face) -> None:
    """Also what an open transaction of a consumer that has gone holds."""
    one, two = (consumer(face, house, b"exclusive:true\n", 100) for _ in range(2))
    publish(face, house, 2)
    first, _ = heard(one)
    one.say(b"BEGIN\ntransaction:t\n\n\0" + ack(first.ack, headers=b"transaction:t\n"))
    one.say(b"UNSUBSCRIBE\nid:1\n\n\0")
    publish(face, house, 1)
    house.turn()
    assert heard(two) == []
    one.say(b"COMMIT\ntransaction:t\n\n\0")
    house.turn()
    assert [each.body for each in heard(two)] == [b"1", b"0"]


def test_what_others_have_is_settled_before_one_has_all(face: Face, house: Face) -> None:
    usual = consumer(face, house, b"", 1)
    publish(face, house, 2)
    (had,) = heard(usual)
    only = consumer(face, house, b"exclusive:true\n", 100)
    house.turn()
    assert heard(only) == []
    usual.say(ack(had.ack))
    house.turn()
    assert [each.body for each in heard(only)] == [b"1"]


def test_by_policy_every_consumer_is_exclusive(face: Face) -> None:
    house = face.House(queues=[("one.#", {"exclusive": True})])
    one, two = (consumer(face, house, b"", 100, b"/queue/one.a") for _ in range(2))
    publish(face, house, 3, b"/queue/one.a")
    assert (len(heard(one)), heard(two)) == (3, [])
    one.leave()
    house.turn()
    assert len(heard(two)) == 3


def test_one_of_a_connection_that_auto_acknowledges(face: Face, house: Face) -> None:
    client = face.Client(house)
    client.say(subscribe(b"1", b"/queue/a", b"exclusive:true\n") + subscribe(b"2", b"/queue/a", b"exclusive:true\n"))
    publish(face, house, 3)
    assert {each.subscription for each in heard(client)} == {b"1"}
    client.say(b"UNSUBSCRIBE\nid:1\n\n\0")
    publish(face, house, 3)
    assert {each.subscription for each in heard(client)} == {b"2"}


def test_a_topic_has_no_use_for_either(face: Face, house: Face) -> None:
    clients = [consumer(face, house, b"x-priority:5\nexclusive:true\n", 10, b"/topic/a") for _ in range(2)]
    publish(face, house, 1, b"/topic/a")
    house.settle()
    house.turn()
    assert [len(heard(client)) for client in clients] == [1, 1]
