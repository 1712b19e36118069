"""Consumers of a queue that choose: each gets what it wants, in order, and nobody waits for what another one leaves."""

from __future__ import annotations

from typing import Any

import pytest
from broker_frames import Message, ack, bodies, messages, send, subscribe

from fastbroker.core.frame import Refused

Face = Any  # of a module that the type checker knows nothing of
QUEUE = b"/queue/a"
JUDGED = 32 + 64 + 16  # work of looking at one message with a short selector, at least


@pytest.fixture
def house(face: Face) -> Face:
    return face.House(nack_delay=100, redelivery_delay=0)


def consumer(face: Face, house: Face, selector: bytes = b"", credit: int = 1000, headers: bytes = b"") -> Face:
    client = face.Client(house)
    choice = b"selector:%b\n" % selector if selector else b""
    client.say(subscribe(b"1", QUEUE, b"ack:client-individual\nprefetch-count:%d\n" % credit + choice + headers))
    return client


def publish(house: Face, values: Any, headers: bytes = b"") -> None:
    for value in values:
        house.publish(QUEUE, b"%d" % value, b"x:%d\n" % value + headers)


def numbers(client: Face) -> list[int]:
    return [int(each) for each in bodies(client.hear())]


def all_of(house: Face, client: Face) -> list[int]:
    """What comes in many turns."""
    got: list[int] = []
    for _ in range(100):
        house.turn()
        got += numbers(client)
    return got


def heard(client: Face) -> list[Message]:
    return messages(client.hear())


def settle(client: Face, some: list[Message], command: bytes = b"ACK", headers: bytes = b"") -> None:
    client.say(b"".join(ack(each.ack, command, headers) for each in some))


# ---- who gets what ----


def test_each_gets_what_it_selects_in_order(face: Face, house: Face) -> None:
    small, even, odd = (consumer(face, house, text) for text in (b"x < 10", b"x % 2 = 0", b"x % 2 = 1"))
    publish(house, range(100))
    house.turn()
    got = [numbers(each) for each in (small, even, odd)]
    assert sorted(got[0] + got[1] + got[2]) == list(range(100))
    assert all(each == sorted(each) for each in got)
    assert max(got[0]) < 10
    assert not any(number % 2 for number in got[1])
    assert all(number % 2 for number in got[2])


def test_what_waited_before_is_chosen_from_too(face: Face, house: Face) -> None:
    publish(house, range(20_000))
    even, rest = face.Client(house), face.Client(house)
    even.say(subscribe(b"1", QUEUE, b"selector:x % 2 = 0\n"))
    assert all_of(house, even) == list(range(0, 20_000, 2))
    rest.say(subscribe(b"1", QUEUE))
    assert all_of(house, rest) == list(range(1, 20_000, 2))
    assert house.queue(b"a")[:2] == (0, 0)


def test_what_nobody_wants_waits_for_somebody(face: Face, house: Face) -> None:
    one = consumer(face, house, b"x = 1")
    publish(house, [2, 2, 1, 3])
    house.turn()
    assert numbers(one) == [1]
    assert house.queue(b"a") == (3, 1, 1)
    two = consumer(face, house, b"x = 2")
    house.turn()
    assert numbers(two) == [2, 2]
    everything = consumer(face, house)
    house.turn()
    assert numbers(everything) == [3]


def test_when_nobody_chooses_any_more_the_queue_is_as_before(face: Face, house: Face) -> None:
    before = house.stats["memory"]
    one = consumer(face, house, b"x = 1")
    publish(house, range(10))
    house.turn()
    settle(one, heard(one))
    one.leave()
    house.turn()
    publish(house, range(10, 20))
    rest = consumer(face, house)
    house.turn()
    got = heard(rest)
    assert [int(each.body) for each in got] == [0, *range(2, 20)]
    settle(rest, got)
    rest.leave()
    house.turn()
    house.advance(10_000_000)
    assert house.queue(b"a") is None
    assert house.stats["memory"] <= before + 3000  # the route


@pytest.mark.parametrize("chooser_first", [True, False])
def test_one_without_credit_holds_nobody_up(face: Face, house: Face, chooser_first: bool) -> None:
    """Neither the others nor, later, itself: it goes on where it stopped."""
    if chooser_first:
        narrow = consumer(face, house, b"x < 50", credit=1)
        others = consumer(face, house, b"x >= 50")
    else:
        others = consumer(face, house, b"x >= 50")
        narrow = consumer(face, house, b"x < 50", credit=1)
    publish(house, range(100))
    house.turn()
    assert numbers(others) == list(range(50, 100))
    got: list[int] = []
    while some := heard(narrow):
        assert len(some) == 1
        got.append(int(some[0].body))
        settle(narrow, some)
        house.turn()
    assert got == list(range(50))


def test_one_that_does_not_read_holds_nobody_up(face: Face) -> None:
    house = face.House(outbound_soft=8192, outbound_hard=100_000)
    still, reads = face.Client(house), face.Client(house)
    for client in (still, reads):
        client.say(subscribe(b"1", QUEUE, b"selector:x >= 0\n"))
    got = []
    for number in range(100):
        house.publish(QUEUE, b"%d " % number + b"x" * 1000, b"x:%d\n" % number)
        house.turn()
        got += [int(body.split()[0]) for body in bodies(reads.hear())]
    late = [int(body.split()[0]) for body in bodies(still.hear())]
    assert len(got) > 80
    assert sorted(got + late) == list(range(100))
    assert late == sorted(late)


def test_they_take_turns(face: Face, house: Face) -> None:
    clients = [consumer(face, house, b"x >= 0") for _ in range(4)] + [consumer(face, house)]
    publish(house, range(100))
    house.turn()
    assert [len(numbers(each)) for each in clients] == [20] * 5


@pytest.mark.parametrize("mode", [b"auto", b"client", b"client-individual"])
@pytest.mark.parametrize("destination", [b"/queue/a", b"/temp-queue/a"])
def test_in_every_mode(face: Face, house: Face, mode: bytes, destination: bytes) -> None:
    client = face.Client(house)
    client.say(subscribe(b"1", destination, b"ack:%b\nselector:x > 2\n" % mode))
    client.say(b"".join(send(destination, b"%d" % number, b"x:%d\n" % number) for number in range(5)))
    house.turn()
    assert numbers(client) == [3, 4]


def test_a_queue_that_shares_a_topic_is_chosen_from(face: Face, house: Face) -> None:
    clients = [face.Client(house) for _ in range(2)]
    for number, client in enumerate(clients):
        client.say(subscribe(b"1", b"/topic/t.*", b"x-queue-name:shared\nselector:x %% 2 = %d\n" % number))
    clients[0].say(subscribe(b"2", b"/topic/t.a", b"x-queue-name:own\nno-local:true\n"))
    for number in range(10):
        clients[0].say(send(b"/topic/t.a", b"%d" % number, b"x:%d\n" % number))
    house.turn()
    assert numbers(clients[0]) == [0, 2, 4, 6, 8]
    assert numbers(clients[1]) == [1, 3, 5, 7, 9]
    assert house.queue(b"own")[:2] == (10, 0)


# ---- no-local ----


@pytest.mark.parametrize("name", [b"no-local", b"activemq.noLocal"])
@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("headers", [b"", b"priority:7\n"])
def test_ones_own_is_for_others(face: Face, house: Face, name: bytes, before: bool, headers: bytes) -> None:
    """Also what was sent before the SUBSCRIBE, and in a transaction."""
    one, two = face.Client(house), face.Client(house)
    wish = subscribe(b"1", QUEUE, name + b":true\n")
    if not before:
        one.say(wish)
    for number, client in enumerate([one, two, one]):
        client.say(send(QUEUE, b"%d" % number, headers))
    one.say(b"BEGIN\ntransaction:t\n\n\0" + send(QUEUE, b"3", headers + b"transaction:t\n"))
    one.say(b"COMMIT\ntransaction:t\n\n\0")
    house.publish(QUEUE, b"4")
    if before:
        one.say(wish)
    house.turn()
    assert numbers(one) == [1, 4]
    two.say(wish)
    house.turn()
    assert numbers(two) == [0, 2, 3]


def test_no_local_and_a_selector(face: Face, house: Face) -> None:
    one = consumer(face, house, b"x > 3", headers=b"no-local:true\n")
    one.say(b"".join(send(QUEUE, b"%d" % number, b"x:%d\n" % number) for number in range(6)))
    publish(house, range(10, 12))
    publish(house, range(2))
    house.turn()
    assert numbers(one) == [10, 11]


# ---- what comes back ----


def test_what_comes_back_goes_to_who_wants_it_in_its_place(face: Face, house: Face) -> None:
    first = consumer(face, house, b"x < 10")
    second = consumer(face, house, b"x < 5", credit=1)
    third = consumer(face, house, b"x >= 5", credit=1)
    publish(house, range(10))
    house.turn()
    other = {id(each): heard(each) for each in (first, second, third)}
    assert sum(map(len, other.values())) == 10
    first.leave()
    house.turn()
    got: dict[int, list[int]] = {id(second): [], id(third): []}
    for each in (second, third):
        some = other[id(each)]
        while some:
            got[id(each)] += [int(message.body) for message in some]
            settle(each, some)
            house.turn()
            some = heard(each)
    assert sorted(got[id(second)] + got[id(third)]) == list(range(10))
    assert got[id(second)][1:] == sorted(got[id(second)][1:])
    assert got[id(third)][1:] == sorted(got[id(third)][1:])


def test_the_count_of_deliveries_is_looked_at_again(face: Face, house: Face) -> None:
    fresh = consumer(face, house, b"JMSXDeliveryCount = 1 AND NOT JMSRedelivered")
    again = consumer(face, house, b"JMSRedelivered AND JMSXDeliveryCount < 4")
    last = consumer(face, house, b"JMSXDeliveryCount >= 4")
    publish(house, range(3))
    house.turn()
    got = heard(fresh)
    assert [int(each.body) for each in got] == [0, 1, 2]
    assert not heard(again)
    settle(fresh, got, b"NACK")
    house.turn()
    for count in (b"2", b"3"):
        got = heard(again)
        assert [(int(each.body), each.headers[b"delivery-count"]) for each in got] == [(n, count) for n in range(3)]
        settle(again, got, b"NACK", b"delay:0\n")
        house.advance(200)
    assert not heard(fresh) + heard(again)
    assert [each.headers[b"delivery-count"] for each in heard(last)] == [b"4"] * 3


def test_one_who_refused_and_rests_gets_it_again(face: Face, house: Face) -> None:
    only = consumer(face, house, b"x = 1")
    publish(house, [2, 1, 2])
    house.turn()
    settle(only, heard(only), b"NACK", b"delay:50\n")
    house.advance(60)
    assert not heard(only)
    house.advance(200)
    (back,) = heard(only)
    assert (back.body, back.redelivered) == (b"1", True)


def test_ack_in_a_transaction_and_abort(face: Face, house: Face) -> None:
    one, two = consumer(face, house, b"x > 0"), consumer(face, house, b"x > 0", credit=1)
    publish(house, [1, 2, 3])
    house.turn()
    got, other = heard(one), heard(two)
    one.say(b"BEGIN\ntransaction:t\n\n\0" + b"".join(ack(m.ack, headers=b"transaction:t\n") for m in got))
    one.say(b"UNSUBSCRIBE\nid:1\n\n\0")
    settle(two, other)
    house.turn()
    assert not heard(two)
    one.say(b"ABORT\ntransaction:t\n\n\0")
    house.turn()
    assert [each.redelivered for each in heard(two)] == [True]


# ---- beside what else a queue can do ----


def test_priority_decides_among_what_it_wants(face: Face, house: Face) -> None:
    client = consumer(face, house, b"x < 100", credit=1)
    publish(house, [0])
    publish(house, [1, 101, 2])
    for number, priority in ((102, 9), (3, 9), (4, 0)):
        face.Client(house).say(send(QUEUE, b"%d" % number, b"x:%d\npriority:%d\n" % (number, priority)))
    got = []
    house.turn()
    while some := heard(client):
        got += [int(each.body) for each in some]
        settle(client, some)
        house.turn()
    assert got == [0, 3, 1, 2, 4]
    assert house.queue(b"a")[0] == 2


def test_what_nobody_wants_expires(face: Face, house: Face) -> None:
    client, sender = consumer(face, house, b"x = 0"), face.Client(house)
    for number in range(3):
        sender.say(send(QUEUE, b"%d" % number, b"x:%d\nttl:1000\n" % number))
    house.turn()
    assert numbers(client) == [0]
    house.advance(1100)
    assert house.queue(b"a")[0] == 0
    assert house.stats["expired"] == 2


def test_last_values_are_looked_at_when_they_come(face: Face, house: Face) -> None:
    client, sender = consumer(face, house, b"x > 5"), face.Client(house)
    for number in (1, 2, 9):
        sender.say(send(QUEUE, b"%d" % number, b"x:%d\n_AMQ_LVQ_NAME:n\n" % number))
        house.turn()
    assert numbers(client) == [9]
    assert house.queue(b"a")[0] == 0


def test_a_limit_counts_what_nobody_wants(face: Face) -> None:
    house = face.House(queues=[("a", {"max_messages": 3, "overflow": "drop-oldest"})])
    client = consumer(face, house, b"x > 5")
    publish(house, [1, 2, 3, 4, 9])
    house.turn()
    assert numbers(client) == [9]
    rest = consumer(face, house)
    house.turn()
    assert numbers(rest) == [3, 4]


def test_of_two_ranks_the_lower_gets_what_the_higher_leaves(face: Face, house: Face) -> None:
    low = consumer(face, house)
    lower = consumer(face, house, b"x > 3", headers=b"x-priority:-1\n")
    high = consumer(face, house, b"x % 2 = 0", headers=b"x-priority:3\n")
    publish(house, range(10))
    house.turn()
    assert numbers(high) == [0, 2, 4, 6, 8]
    assert numbers(low) == [1, 3, 5, 7, 9]
    low.leave()
    house.turn()
    assert numbers(lower) == [5, 7, 9]


def test_a_higher_rank_that_has_much_to_look_at_keeps_nothing_from_lower_ones(face: Face, house: Face) -> None:
    publish(house, range(30_000))
    high = consumer(face, house, b"x = 29999", headers=b"x-priority:3\n")
    low = face.Client(house)
    low.say(subscribe(b"1", QUEUE))
    house.turn()
    some = numbers(low)
    assert 0 < len(some) < 29_999
    assert not numbers(high), "it has not come that far yet"
    some += all_of(house, low)
    assert numbers(high) == [29999]
    assert some == list(range(29_999))


def test_one_that_has_all_leaves_what_it_does_not_want(face: Face, house: Face) -> None:
    first = consumer(face, house, b"x > 5", headers=b"exclusive:true\n")
    second = consumer(face, house, headers=b"exclusive:true\n")
    third = consumer(face, house)
    publish(house, range(10))
    house.turn()
    assert numbers(first) == [6, 7, 8, 9]
    assert not numbers(second) + numbers(third)
    first.leave()
    house.turn()
    assert numbers(second) == list(range(10))


# ---- what it takes ----


def test_each_looks_at_a_message_once(face: Face, house: Face) -> None:
    clients = [consumer(face, house, b"x = %d" % number) for number in range(10)]
    publish(house, range(100, 1100))
    for _ in range(30):
        house.turn()
    before = house.stats["work"]
    for number in range(10):
        publish(house, [number])
        house.turn()
    for _ in range(100):
        house.turn()
    assert [numbers(each) for each in clients] == [[number] for number in range(10)]
    assert house.stats["work"] - before < 10 * 12 * 1000, "and not at the thousand that wait once more"


def test_what_comes_back_is_no_reason_to_look_at_all_again(face: Face, house: Face) -> None:
    publish(house, [0])
    clients = [consumer(face, house, b"x = 0", credit=1) for _ in range(3)]
    publish(house, range(1, 5000))
    for _ in range(30):
        house.turn()
    before, rounds = house.stats["work"], 10
    holder = next(each for each in clients if each.pending)
    for _ in range(rounds):
        settle(holder, heard(holder), b"NACK", b"delay:0\n")
        house.advance(200)
        holder = next(each for each in clients if each.pending)
    assert house.stats["work"] - before < rounds * 20_000


def test_much_to_look_at_is_done_in_slices(face: Face, house: Face) -> None:
    count, choosers = 20_000, 20
    publish(house, range(count))
    clients = [consumer(face, house, b"x = -1") for _ in range(choosers)]
    turns, most = 0, 0
    while True:
        before = house.stats["work"]
        house.turn()
        spent = house.stats["work"] - before
        if spent < 1000:
            break
        most = max(most, spent)
        turns += 1
    assert most < 8 << 20
    assert turns > 10
    before = house.stats["work"]
    publish(house, [count])
    house.turn()
    assert house.stats["work"] - before < choosers * 1000
    assert not any(numbers(each) for each in clients)


def test_who_sends_does_not_wait_for_what_there_is_to_look_at(face: Face, house: Face) -> None:
    publish(house, range(30_000))
    consumer(face, house, b"x = -1")
    house.turn()
    before = house.stats["work"]
    publish(house, range(100))
    assert house.stats["work"] - before < 100_000


def test_a_hundred_consumers_who_come_and_go(face: Face, house: Face) -> None:
    before = house.stats["memory"]
    clients = [consumer(face, house, b"x %% 100 = %d" % number) for number in range(100)]
    publish(house, range(200))
    for client in clients[::2]:
        client.leave()
    house.turn()
    for client in clients[1::2]:
        got = heard(client)
        assert len(got) == 2
        settle(client, got)
        client.leave()
    house.turn()
    assert house.queue(b"a") == (100, 0, 0)
    rest = consumer(face, house)
    house.turn()
    settle(rest, heard(rest))
    rest.leave()
    house.advance(10_000_000)
    assert house.queue(b"a") is None
    assert house.stats["memory"] <= before + 3000


def test_without_memory_for_it_nobody_begins_to_choose(face: Face) -> None:
    house = face.House(memory=8 << 20)
    while not house.is_full[0]:
        publish(house, range(100))
    before = house.stats["memory"]
    client = face.Client(house)
    entered = house.stats["memory"]
    with pytest.raises(Refused, match=r"server busy.*choose among so many"):
        client.say(subscribe(b"1", QUEUE, b"selector:x = 1\n"))
    assert house.stats["memory"] == entered > before
    assert house.stats["subscriptions"] == 0
    client.say(subscribe(b"1", QUEUE, b"ack:client\nprefetch-count:10\n"))
    house.turn()
    assert len(numbers(client)) == 10


def full_queue(face: Face, name: bytes = QUEUE) -> Face:
    """A house without memory to choose among what waits there."""
    house = face.House(memory=8 << 20)
    while not house.is_full[0]:
        for _ in range(100):
            house.publish(name, b"x")
    return house


def refuse(client: Face, destination: bytes, headers: bytes = b"") -> None:
    with pytest.raises(Refused, match=r"server busy.*choose among so many"):
        client.say(subscribe(b"1", destination, b"selector:x = 1\n" + headers))


def test_a_queue_that_nobody_may_choose_from_is_not_bound(face: Face) -> None:
    """Or it would get what nobody wants, until somebody consumes it and goes."""
    house = full_queue(face)
    waiting = house.queue(b"a")
    refuse(face.Client(house), b"/topic/t", b"x-queue-name:a\n")
    house.publish(b"/topic/t", b"x")
    assert house.queue(b"a") == waiting


def test_a_binding_that_others_use_outlives_one_who_may_not_choose(face: Face) -> None:
    house = full_queue(face)
    waiting = house.queue(b"a")[0]
    other = face.Client(house)
    other.say(subscribe(b"1", b"/topic/t", b"x-queue-name:a\nack:client\nprefetch-count:1\n"))
    refuse(face.Client(house), b"/topic/t", b"x-queue-name:a\n")
    house.publish(b"/topic/t", b"x")
    assert house.queue(b"a") == (waiting, 1, 1)


def test_what_one_declares_who_may_not_choose_does_not_hold(face: Face) -> None:
    """Or the queue would go, and all that it holds, with the next one who leaves."""
    house = full_queue(face)
    waiting, before = house.queue(b"a"), (house.policy(b"a"), house.stats["memory"])
    client = face.Client(house, headers=b"soft-errors:true\n")
    entered = house.stats["memory"]
    client.say(subscribe(b"1", QUEUE, b"selector:x = 1\nauto-delete:true\nx-max-length:5\n"))
    assert b"message:server busy\n" in client.hear()
    assert (house.policy(b"a"), house.stats["memory"]) == (before[0], entered)
    client.say(subscribe(b"1", QUEUE, b"ack:client\n") + b"UNSUBSCRIBE\nid:1\n\n\0")
    house.turn()
    assert house.queue(b"a") == waiting


def test_answers_go_on_to_come_where_a_choice_is_refused(face: Face) -> None:
    house = face.House(memory=8 << 20)
    other, client = face.Client(house), face.Client(house, headers=b"soft-errors:true\n")
    other.say(subscribe(b"1", b"/queue/q"))
    client.say(send(b"/queue/q", b"x", b"reply-to:/temp-queue/r\n"))
    house.turn()
    name = messages(other.hear())[0].headers[b"reply-to"]
    while not house.is_full[0]:
        house.publish(name, b"x" * 100)
    waiting = house.stats["messages"]
    client.say(subscribe(b"1", b"/temp-queue/r", b"selector:x = 1\n"))
    assert b"message:server busy\n" in client.hear()
    house.turn()
    assert bodies(client.hear())
    assert house.stats["messages"] < waiting


@pytest.mark.parametrize("destination", [b"/queue/a", b"/temp-queue/a"])
def test_one_that_is_wrong_leaves_nothing_behind(face: Face, house: Face, destination: bytes) -> None:
    client = face.Client(house)
    before = house.stats["memory"]
    with pytest.raises(Refused, match=r"bad selector.*at character 5"):
        client.say(subscribe(b"0", destination, b"selector:a = \n"))
    assert (house.stats["memory"], house.stats["queues"], house.stats["subscriptions"]) == (before, 0, 0)
