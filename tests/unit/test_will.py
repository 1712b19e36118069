"""Last wills: published when their client is lost, and not otherwise, as the SEND that they describe."""

from __future__ import annotations

from typing import Any

import pytest
from broker_frames import bodies, subscribe

from fastbroker.core.frame import Refused
from fastbroker.core.login import LoginRefused

Face = Any  # of a module that the type checker knows nothing of
TICK, LATER, DAY = 10, 1000, 86_400_000
TO_TOPIC = b"will-destination:/topic/w\nwill-body:gone\n"
TO_QUEUE = b"will-destination:/queue/w\nwill-body:gone\n"


@pytest.fixture
def house(face: Face) -> Face:
    return face.House(last_will=True)


def witness(face: Face, house: Face) -> Face:
    client = face.Client(house)
    client.say(subscribe(b"1", b"/topic/w"))
    return client


# ---- when ----------------------------------------------------------------------------------------


def test_it_comes_when_its_client_is_lost(face: Face, house: Face) -> None:
    other, client = witness(face, house), face.Client(house, headers=TO_TOPIC)
    house.advance(10 * TICK)
    assert other.hear() == b""
    client.leave()
    house.advance(2 * TICK)
    assert bodies(other.hear()) == [b"gone"]
    house.advance(DAY // 1000)
    assert other.hear() == b""


def test_it_does_not_come_after_disconnect(face: Face, house: Face) -> None:
    other, client = witness(face, house), face.Client(house, headers=TO_TOPIC)
    client.say(b"DISCONNECT\nreceipt:bye\n\n\0")
    client.leave()
    house.advance(LATER)
    assert other.hear() == b""


def test_its_delay_counts_from_the_end(face: Face, house: Face) -> None:
    other, client = witness(face, house), face.Client(house, headers=TO_TOPIC + b"will-delay:500\n")
    house.advance(1000)
    client.leave()
    house.advance(490)
    assert other.hear() == b""
    house.advance(30)
    assert bodies(other.hear()) == [b"gone"]


def test_it_waits_for_memory_as_a_send_does(face: Face) -> None:
    house = face.House(last_will=True, memory=1 << 20)
    face.Client(house, headers=TO_QUEUE).leave()
    while not house.is_full[0]:
        house.publish(b"/queue/a", b"x" * 1000)
    house.advance(5 * LATER)
    assert house.queue(b"w") is None
    consumer = face.Client(house)
    consumer.say(subscribe(b"1", b"/queue/a"))
    while house.queue(b"a")[0]:
        house.turn()
        consumer.hear()
    house.advance(2 * LATER)
    assert house.queue(b"w") == (1, 0, 0)


def test_many_at_once_take_several_turns(face: Face, house: Face) -> None:
    """Each turn has its share of what they cause; none is lost."""
    others = [witness(face, house) for _ in range(20)]
    will = b"will-destination:/topic/w\nwill-body:%b\n" % (b"x" * 4000)
    clients = [face.Client(house, headers=will) for _ in range(200)]
    for client in clients:
        client.leave()
    before = sum(other.messages for other in others)
    house.advance(2 * TICK)
    first = sum(other.messages for other in others) - before
    assert 0 < first < len(others) * len(clients)
    for _ in range(20):
        house.turn()
        for other in others:
            other.hear()
    assert [other.messages for other in others] == [200] * 20


# ---- what ----------------------------------------------------------------------------------------


def test_its_headers_are_those_of_the_message(face: Face, house: Face) -> None:
    other = witness(face, house)
    wishes = b"will-type:status\nwill-note:a:b\\c\nwill-message-id:forged\nwill-receipt:r\nwill-type:again\nwill-:x\n"
    client = face.Client(house, headers=TO_TOPIC + wishes)
    client.leave()
    house.advance(2 * TICK)
    assert other.hear() == (
        b"MESSAGE\nsubscription:1\nmessage-id:epoch-1\ndestination:/topic/w\ntype:status\nnote:a\\cb\\\\c\n\ngone\0\n"
    )


def test_without_a_body_it_has_none(face: Face, house: Face) -> None:
    other, client = witness(face, house), face.Client(house, headers=b"will-destination:/topic/w\n")
    client.leave()
    house.advance(2 * TICK)
    assert bodies(other.hear()) == [b""]


def test_a_queue_keeps_it(face: Face, house: Face) -> None:
    face.Client(house, headers=TO_QUEUE).leave()
    house.advance(2 * TICK)
    assert house.queue(b"w") == (1, 0, 0)


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        (b"will-body:gone\n", b"missing header"),
        (b"will-destination:/queue/a\nwill-delay:soon\n", b"bad header"),
        (b"will-destination:/queue/a\nwill-delay:%d\n" % (DAY + 1), b"bad header"),
        (b"will-destination:/queue/a\nwill-priority:high\n", b"bad header"),
        (b"will-destination:/queue/a\nwill-AMQ_SCHEDULED_CRON:never\n", b"bad header"),
        (b"will-destination:/queue/a\nwill-AMQ_SCHEDULED_REPEAT:3\n", b"bad header"),
    ],
)
def test_what_cannot_be_published_is_refused_at_once(face: Face, house: Face, headers: bytes, message: bytes) -> None:
    with pytest.raises(Refused) as refusal:
        face.Client(house, headers=headers)
    assert refusal.value.args[0] == message


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        (b"will-destination:/nowhere\n", b"unknown destination"),
        (b"will-destination:/topic/a.*\n", b"pattern not allowed"),
        (b"will-destination:/temp-queue/a\n", b"bad destination"),
        (b"will-destination:/queue/a,/temp-topic/b\n", b"bad destination"),
        (b"will-destination:/presence/a\n", b"bad destination"),
        (b"will-destination:/queue/a,/topic/b.*\n", b"pattern not allowed"),
        (b"will-destination:/queue/a.*\n", b"pattern not allowed"),
        (b"will-destination:/amq/queue/none\n", b"no such queue"),
    ],
)
def test_nor_is_it_left_where_nothing_can_be_sent(face: Face, house: Face, headers: bytes, message: bytes) -> None:
    client = face.Client(house, headers=headers)
    assert client.greeting.startswith(b"ERROR\nmessage:%b\n" % message)


def test_only_who_is_let_in_is_told_what_there_is(face: Face) -> None:
    def authenticate(login: Any) -> None:
        raise LoginRefused("no")

    house = face.House(last_will=True, authenticate=authenticate)
    for destination in (b"/amq/queue/none", b"/nowhere", b"/queue/a"):
        with pytest.raises(Refused) as refusal:
            face.Client(house, headers=b"will-destination:%b\n" % destination)
        assert refusal.value.args[0] == b"login refused"


def test_one_that_is_to_come_later_does(face: Face, house: Face) -> None:
    other, client = witness(face, house), face.Client(house, headers=TO_TOPIC + b"will-AMQ_SCHEDULED_DELAY:1000\n")
    client.leave()
    house.advance(LATER // 2)
    assert other.hear() == b""
    house.advance(LATER + 2 * TICK)
    assert bodies(other.hear()) == [b"gone"]


# ---- who may -------------------------------------------------------------------------------------


def test_by_default_none_is_taken(face: Face) -> None:
    with pytest.raises(Refused) as refusal:
        face.Client(face.House(), headers=TO_TOPIC)
    assert refusal.value.args[0] == b"access refused"


def test_whoever_may_not_send_there_may_not_leave_it_there(face: Face) -> None:
    asked = []

    def authorize(identity: Any, action: str, destination: str) -> bool:
        asked.append((action, destination))
        return destination != "/topic/w"

    house = face.House(last_will=True, authorize=authorize)
    other = face.Client(house)
    other.say(subscribe(b"1", b"/topic/#"))
    client = face.Client(house, headers=b"will-destination:/exchange/amq.topic/w\n")
    assert asked[-1] == ("send", "/topic/w")
    client.leave()
    house.advance(LATER)
    assert other.hear() == b""
    face.Client(house, headers=b"will-destination:/topic/v\nwill-body:v\n").leave()
    house.advance(LATER)
    assert bodies(other.hear()) == [b"v"]


# ---- what it holds -------------------------------------------------------------------------------


def test_its_memory_is_its_clients_and_then_that_of_all(face: Face, house: Face) -> None:
    plain = face.Client(house)
    client = face.Client(house, headers=TO_QUEUE + b"will-delay:60000\nwill-note:%b\n" % (b"x" * 5000))
    assert client.charged - plain.charged > 5000
    plain.leave()
    before = house.stats["memory"]
    client.leave()
    assert before - house.stats["memory"] < 5000
    house.advance(61_000)
    assert house.queue(b"w") == (1, 0, 0)


def test_nothing_is_left_of_those_that_were_not_needed(face: Face, house: Face) -> None:
    before = house.stats["memory"]
    for end in (b"DISCONNECT\n\n\0", b""):
        client = face.Client(house, headers=TO_TOPIC)
        client.say(end)
        client.leave()
        house.advance(LATER)
    house.advance(LATER)
    del client
    assert house.stats["memory"] - before < 1000  # the route that was looked up


def test_all_of_them_may_take_a_part_of_the_memory(face: Face) -> None:
    house = face.House(last_will=True, memory=1 << 20)
    headers = TO_QUEUE + b"will-delay:60000\nwill-note:%b\n" % (b"x" * 5000)
    with pytest.raises(Refused) as refusal:
        for _ in range(100):
            face.Client(house, headers=headers).leave()
    assert refusal.value.args[0] == b"server busy"
    assert house.stats["memory"] < 1 << 18
    house.advance(61_000)
    assert 8 < house.queue(b"w")[0] < 20
    face.Client(house, headers=headers).leave()


def test_it_has_the_lines_of_a_profile(face: Face) -> None:
    house = face.House(last_will=True, profile="activemq")
    other = witness(face, house)
    face.Client(house, headers=TO_TOPIC).leave()
    house.advance(2 * TICK)
    assert b"\ntimestamp:" in other.hear()
