"""Message groups: what has the same group goes to one consumer, in order, and moves in order when that goes."""

from __future__ import annotations

from typing import Any

import pytest
from broker_frames import Message, ack, messages, send, subscribe

Face = Any  # of a module that the type checker knows nothing of
QUEUE = b"/queue/a"
IDLE_MOST = 10_000
AT_A_TIME = 10_000


@pytest.fixture
def house(face: Face) -> Face:
    return face.House(nack_delay=100, redelivery_delay=0, queue_idle_timeout=10_000)


def consumer(face: Face, house: Face, credit: int = 1000, headers: bytes = b"", destination: bytes = QUEUE) -> Face:
    client = face.Client(house)
    client.say(subscribe(b"1", destination, b"ack:client-individual\nprefetch-count:%d\n" % credit + headers))
    return client


def publish(face: Face, house: Face, some: str, headers: bytes = b"", name: bytes = b"JMSXGroupID") -> None:
    """Words like a1: a message of group a; -1 has none."""
    sender = face.Client(house)
    for each in some.split():
        group = b"" if each[0] == "-" else b"%b:%b\n" % (name, each[0].encode())
        sender.say(send(QUEUE, each.encode(), group + headers))
    house.turn()


def heard(client: Face) -> list[Message]:
    return messages(client.hear())


def words(client: Face) -> str:
    return " ".join(each.body.decode() for each in heard(client))


def settle(client: Face, some: list[Message], command: bytes = b"ACK", headers: bytes = b"") -> None:
    client.say(b"".join(ack(each.ack, command, headers) for each in some))


@pytest.mark.parametrize("destination", [b"/queue/*", b"/queue/a,/queue/b", b"/queue/b,/queue/*"])
@pytest.mark.parametrize("leaves", [False, True])
def test_a_member_of_several_owns_groups_too(face: Face, house: Face, destination: bytes, leaves: bool) -> None:
    many = consumer(face, house, credit=2, destination=destination)
    publish(face, house, "a1 a2 a3 b1 a4")
    first = heard(many)
    assert [each.body for each in first] == [b"a1", b"a2"]
    other = consumer(face, house)
    house.turn()
    assert words(other) == "b1"
    if leaves:
        many.leave()
    else:
        many.say(b"UNSUBSCRIBE\nid:1\n\n\0")
    house.turn()
    assert words(other) == "a1 a2 a3 a4"
    other.leave()
    house.turn()
    heir = consumer(face, house, destination=destination)
    house.turn()
    assert words(heir) == "a1 a2 a3 b1 a4"


@pytest.mark.parametrize("name", [b"JMSXGroupID", b"message_group"])
def test_a_group_goes_to_one_and_another_to_the_next(face: Face, house: Face, name: bytes) -> None:
    one, two = consumer(face, house), consumer(face, house)
    publish(face, house, "a1 b1 a2 a3 b2 a4 b3", name=name)
    assert {words(one), words(two)} == {"a1 a2 a3 a4", "b1 b2 b3"}
    publish(face, house, "b4 a5", name=name)
    assert {words(one), words(two)} == {"a5", "b4"}


def test_what_waited_before_is_kept_together(face: Face, house: Face) -> None:
    publish(face, house, "-1 a1 -2 b1 a2 c1 b2 a3 c2")
    clients = [consumer(face, house) for _ in range(3)]
    house.turn()
    got = [words(each).split() for each in clients]
    assert sorted(got[0] + got[1] + got[2]) == ["-1", "-2", "a1", "a2", "a3", "b1", "b2", "c1", "c2"]
    for group in "abc":
        having = [each for each in got if any(word[0] == group for word in each)]
        assert len(having) == 1
        own = [word for word in having[0] if word[0] == group]
        assert own == sorted(own)


def test_one_alone_has_all_in_the_order_of_the_queue(face: Face, house: Face) -> None:
    publish(face, house, "a1 b2 a3 -4 c5 b6 a7")
    only = consumer(face, house, credit=2)
    got = []
    house.turn()
    while some := heard(only):
        got += [each.body[1:] for each in some]
        settle(only, some)
        house.turn()
    assert got == [b"%d" % number for number in range(1, 8)]


def test_one_without_credit_holds_up_its_own_groups_only(face: Face, house: Face) -> None:
    full = consumer(face, house, credit=1)
    publish(face, house, "a1")
    first = heard(full)
    other = consumer(face, house)
    publish(face, house, "a2 a3 b1 -1 b2 a4 c1")
    assert words(other) == "b1 -1 b2 c1"
    settle(full, first)
    house.turn()
    assert words(full) == "a2"


def test_a_group_moves_in_order(face: Face, house: Face) -> None:
    first = consumer(face, house, credit=3)
    publish(face, house, "a1 a2 a3 a4 a5")
    second = consumer(face, house)
    house.turn()
    assert words(first) == "a1 a2 a3"
    assert words(second) == ""
    first.leave()
    house.turn()
    got = heard(second)
    assert [each.body for each in got] == [b"a1", b"a2", b"a3", b"a4", b"a5"]
    assert [each.redelivered for each in got] == [True] * 3 + [False] * 2


def test_nothing_goes_to_the_next_one_before_an_open_transaction_has_ended(face: Face, house: Face) -> None:
    first, second = consumer(face, house, credit=2), consumer(face, house)
    publish(face, house, "a1 a2 a3")
    owner, other = (first, second) if first.pending else (second, first)
    got = heard(owner)
    owner.say(b"BEGIN\ntransaction:t\n\n\0" + ack(got[0].ack, headers=b"transaction:t\n"))
    owner.say(b"UNSUBSCRIBE\nid:1\n\n\0")
    publish(face, house, "a4")
    assert words(other) == ""
    owner.say(b"ABORT\ntransaction:t\n\n\0")
    house.turn()
    assert words(other) == "a1 a2 a3 a4"


def test_what_rests_is_waited_for(face: Face, house: Face) -> None:
    first, second = consumer(face, house, credit=1), consumer(face, house)
    publish(face, house, "a1 a2 a3")
    owner, other = (first, second) if first.pending else (second, first)
    settle(owner, heard(owner)[:1], b"NACK", b"delay:5000\n")
    owner.leave()
    house.turn()
    house.advance(1000)
    assert words(other) == ""
    house.advance(5000)
    assert words(other) == "a1 a2 a3"


def test_what_rests_is_not_waited_for_when_it_had_to_go(face: Face) -> None:
    """As the queue was full."""
    house = face.House(queues=[("a", {"max_messages": 1, "overflow": "drop-oldest"})])
    one = consumer(face, house)
    publish(face, house, "a1")
    settle(one, heard(one), b"NACK", b"delay:1000000\n")
    publish(face, house, "-1")
    one.leave()
    two = consumer(face, house)
    publish(face, house, "a2")
    assert words(two) == "a2"


def test_after_the_last_of_a_group_another_one_may_have_it(face: Face, house: Face) -> None:
    one = consumer(face, house, credit=2)
    publish(face, house, "a1")
    face.Client(house).say(send(QUEUE, b"a2", b"JMSXGroupID:a\nJMSXGroupSeq:-1\n"))
    publish(face, house, "a3 a4")
    assert words(one) == "a1 a2"
    two = consumer(face, house)
    house.turn()
    assert words(two) == "a3 a4"


def test_priority_within_a_group(face: Face, house: Face) -> None:
    publish(face, house, "a1 a2 b1")
    publish(face, house, "a3", b"priority:9\n")
    only = consumer(face, house)
    house.turn()
    assert words(only) == "a3 a1 a2 b1"


def test_what_expires_of_a_group(face: Face, house: Face) -> None:
    full = consumer(face, house, credit=1)
    publish(face, house, "a1")
    publish(face, house, "a2 a3", b"ttl:1000\n")
    publish(face, house, "a4")
    house.advance(1100)
    got = heard(full)
    settle(full, got)
    house.turn()
    assert words(full) == "a4"


def test_those_who_choose_leave_what_they_do_not_want_of_their_groups(face: Face, house: Face) -> None:
    """As in ActiveMQ and Artemis: it waits until its group has another owner."""
    even = consumer(face, house, headers=b"selector:x = 0\n")
    publish(face, house, "a1 a2", b"x:0\n")
    publish(face, house, "a3", b"x:1\n")
    publish(face, house, "a4", b"x:0\n")
    every = consumer(face, house)
    publish(face, house, "b1", b"x:1\n")
    assert words(even) == "a1 a2 a4"
    assert words(every) == "b1"
    even.leave()
    house.turn()
    assert words(every) == "a1 a2 a3 a4"


def test_a_group_whose_first_nobody_wants(face: Face, house: Face) -> None:
    publish(face, house, "a1", b"x:1\n")
    publish(face, house, "a2", b"x:0\n")
    even = consumer(face, house, headers=b"selector:x = 0\n")
    house.turn()
    assert words(even) == "a2"


def test_ranks_and_exclusive_consumers(face: Face, house: Face) -> None:
    low, high = consumer(face, house), consumer(face, house, credit=2, headers=b"x-priority:5\n")
    publish(face, house, "a1 a2 a3 b1 b2")
    assert words(high) == "a1 a2"
    assert words(low) == "b1 b2"


def test_topics_bring_groups_to_queues(face: Face, house: Face) -> None:
    clients = [face.Client(house) for _ in range(2)]
    for client in clients:
        client.say(subscribe(b"1", b"/topic/t", b"x-queue-name:shared\n"))
    sender = face.Client(house)
    for word in (b"a1", b"b1", b"a2", b"b2", b"a3"):
        sender.say(send(b"/topic/t", word, b"JMSXGroupID:%b\n" % word[:1]))
    house.turn()
    assert {words(each) for each in clients} == {"a1 a2 a3", "b1 b2"}


@pytest.mark.parametrize("most", [50_000, pytest.param(10_000_000, marks=pytest.mark.soak)])
@pytest.mark.parametrize("mode", [b"auto", b"client"])
@pytest.mark.parametrize("wishes", [b"", b"selector:x IS NULL\n"])
def test_many_groups_do_not_stay(face: Face, house: Face, wishes: bytes, mode: bytes, most: int) -> None:
    """However many a queue sees in its life, and whatever its consumers do with them."""
    clients, sender = [face.Client(house) for _ in range(2)], face.Client(house)
    for client, more in zip(clients, (b"", wishes), strict=True):
        client.say(subscribe(b"1", QUEUE, b"ack:%b\nprefetch-count:%d\n" % (mode, AT_A_TIME) + more))
    before, shares, flying, resting = house.stats["memory"], [0, 0], 0, 0
    for start in range(0, most, AT_A_TIME):
        sender.say(b"".join(send(QUEUE, b"x", b"JMSXGroupID:%d\n" % n) for n in range(start, start + AT_A_TIME)))
        flying = max(flying, house.stats["memory"])
        while sum(shares) < start + AT_A_TIME:
            house.turn()
            shares = [had + took_all(client) for had, client in zip(shares, clients, strict=True)]
        resting = max(resting, house.stats["memory"])
    assert min(shares) > most // 3
    assert flying - before < 1000 * AT_A_TIME
    assert resting - before < 250 * IDLE_MOST
    for client in clients:
        client.leave()
    house.turn()
    assert house.stats["memory"] - before < 10_000


def took_all(client: Face) -> int:
    """How many messages it has got, and acknowledged if it must."""
    stream = client.hear()
    if b"\nack:" in stream:
        client.say(ack(stream.rpartition(b"\nack:")[2].partition(b"\n")[0]))
    return stream.count(b"MESSAGE\n")


def test_all_is_given_back(face: Face, house: Face) -> None:
    sender = face.Client(house)
    before = house.stats["memory"]
    publish(face, house, "a1 b1 a2 -1 c1")
    clients = [consumer(face, house, headers=b"selector:x IS NULL\n" * (n == 1)) for n in range(3)]
    house.turn()
    for client in clients:
        settle(client, heard(client)[1:])
        client.leave()
    rest = consumer(face, house)
    house.turn()
    settle(rest, heard(rest))
    rest.leave()
    house.advance(20_000)
    assert house.queue(b"a") is None
    assert house.stats["memory"] <= before + 3000
    sender.leave()


def test_plain_consumers_who_stay_when_groups_have_gone(face: Face, house: Face) -> None:
    stays = consumer(face, house)
    publish(face, house, "-1 -2")
    face.Client(house).say(send(QUEUE, b"a1", b"JMSXGroupID:a\nJMSXGroupSeq:-1\n"))
    house.turn()
    settle(stays, heard(stays))
    goes = consumer(face, house, headers=b"selector:x = 1\n")
    goes.leave()
    publish(face, house, "-3 a2 -4")
    assert words(stays) == "-3 a2 -4"


def test_large_groups_change_hands_in_steps(face: Face, house: Face) -> None:
    """Where consumers choose, all of a group is to be looked at anew when its owner goes."""
    most = 20_000
    consumer(face, house, headers=b"selector:x = 1\n")
    owner, sender = consumer(face, house), face.Client(house)
    sender.say(b"".join(send(QUEUE, b"%d" % number, b"JMSXGroupID:%d\n" % (number % 10)) for number in range(most)))
    house.turn()
    assert len(heard(owner)) == 1000
    before = house.stats["work"]
    owner.say(b"UNSUBSCRIBE\nid:1\n\n\0")
    assert house.stats["work"] - before < 10 * most
    heir, bodies = face.Client(house), []
    heir.say(subscribe(b"1", QUEUE))
    for _ in range(100):
        heir.say(b"")
        house.turn()
        bodies += [each.body for each in heard(heir)]
    assert [b"%d" % number for number in range(most)] == bodies


def test_what_rests_for_want_of_memory_is_waited_for(face: Face) -> None:
    """A message that should be a dead letter, and cannot at the ceiling."""
    house = face.House(nack_delay=100, redelivery_delay=0, redelivery_max_delay=5000, memory=1 << 20)
    one, other = consumer(face, house), consumer(face, house, headers=b"x-priority:-1\n")
    publish(face, house, "a1 a2 a3")
    drain, mine = consumer(face, house, credit=1, destination=b"/queue/b"), heard(one)
    while not house.is_full[1]:
        house.publish(b"/queue/b", b"x" * 1000)
    settle(one, mine[:1], b"NACK", b"requeue:false\n")
    assert house.stats["dead_lettered"] == 0
    one.leave()
    house.turn()
    assert words(other) == "", "it comes behind the one that rests"
    while house.is_full[0]:
        settle(drain, heard(drain))
        house.turn()
    house.advance(6000)
    assert words(other) == "a1 a2 a3"
