"""Durable and shared subscriptions to topics, as queues that a pattern fills."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import pytest
from broker_frames import ack, bodies, messages, send, subscribe

from fastbroker.core.frame import Refused

Face = Any  # of a module that the type checker knows nothing of
REST = 1000
ME = b"client-id:me\n"
NAME = b"activemq.subscriptionName:n\n"
ARTEMIS = b"durable-subscription-name:n\n"
RABBIT = b"durable:true\nauto-delete:false\n"
APOLLO = b"persistent:true\n"
GROUP = b"subscription-group:g\n"
# What each says, on SUBSCRIBE and UNSUBSCRIBE, and which subscription to /topic/a that is with the id 1.
DIALECTS = [
    pytest.param(NAME, b"dsub/me/n", id="activemq"),
    pytest.param(ARTEMIS, b"dsub/me/n", id="artemis"),
    pytest.param(b"durable-subscriber-name:n\n", b"dsub/me/n", id="artemis, deprecated"),
    pytest.param(RABBIT, b"dsub/1/topic/a", id="rabbitmq"),
    pytest.param(b"persistent:True\nauto-delete:False\n", b"dsub/1/topic/a", id="rabbitmq, the other word"),
    pytest.param(APOLLO, b"dsub/1", id="apollo"),
]
SHARED = [
    pytest.param(ARTEMIS, b"dsub/me/n", id="artemis"),
    pytest.param(RABBIT, b"dsub/1/topic/a", id="rabbitmq"),
    pytest.param(APOLLO, b"dsub/1", id="apollo"),
    pytest.param(GROUP, b"group/g/a", id="group"),
]


@pytest.fixture
def house(face: Face) -> Face:
    return new_house(face)


def new_house(face: Face, *, durable: dict[str, Any] | None = None, **more: Any) -> Face:
    return face.House(nack_delay=REST, topics=[("#", durable or {})], **more)


def unsubscribe(headers: bytes, id: bytes = b"id:1\n") -> bytes:
    return b"UNSUBSCRIBE\n%b%b\n\0" % (id, headers)


def refusal(client: Face, frames: bytes) -> tuple[bytes, bytes]:
    with pytest.raises(Refused) as refused:
        client.say(frames)
    message, text = refused.value.args
    return message, text


def leaves_nothing(house: Face, before: dict[str, int]) -> bool:
    """Whether all that came has gone, and memory with it, but for routes that are kept."""
    house.turn()
    names = ("queues", "messages", "subscriptions", "deliveries")
    return [house.stats[name] for name in names] == [before[name] for name in names]


# ---- it outlives its connection ----


@pytest.mark.parametrize(("words", "name"), DIALECTS)
def test_it_keeps_what_comes_while_nobody_is_there(face, house, words, name):
    before = house.stats
    client = face.Client(house, headers=ME)
    client.say(subscribe(b"1", b"/topic/a", words))
    assert house.durables == [name]
    house.publish(b"/topic/a", b"here")
    assert bodies(client.hear()) == [b"here"]
    client.leave()
    house.publish(b"/topic/a", b"away 1")
    house.publish(b"/topic/b", b"another")
    house.publish(b"/topic/a", b"away 2")
    assert house.durable(name) == (2, 0, 0)
    again = face.Client(house, headers=ME)
    again.say(subscribe(b"1", b"/topic/a", words))
    house.turn()
    heard = messages(again.hear())
    assert [(each.subscription, each.body, each.redelivered) for each in heard] == [
        (b"1", b"away 1", False),
        (b"1", b"away 2", False),
    ]
    again.say(unsubscribe(words))
    assert house.durables == []
    again.leave()
    house.publish(b"/topic/a", b"for nobody")
    assert leaves_nothing(house, before)


@pytest.mark.parametrize(("words", "name"), DIALECTS)
def test_unsubscribe_without_its_words_only_leaves(face, house, words, name):
    client = face.Client(house, headers=ME)
    client.say(subscribe(b"1", b"/topic/a", words) + unsubscribe(b""))
    house.publish(b"/topic/a", b"x")
    assert house.durable(name) == (1, 0, 0)


@pytest.mark.parametrize(("words", "name"), DIALECTS)
def test_it_is_deleted_without_being_subscribed_to(face, house, words, name):
    before = house.stats
    client = face.Client(house, headers=ME)
    client.say(subscribe(b"1", b"/topic/a", words) + unsubscribe(b""))
    for _ in range(3):
        house.publish(b"/topic/a", b"x")
    client.say(unsubscribe(words + b"destination:/topic/a\n"))
    assert house.durables == []
    client.leave()
    assert leaves_nothing(house, before)
    message, text = refusal(face.Client(house, headers=ME), unsubscribe(words + b"destination:/topic/a\n"))
    assert message == b"unknown subscription"
    assert text == b"There is no durable subscription '/%b'." % name


@pytest.mark.parametrize(("words", "name"), DIALECTS)
def test_what_was_not_settled_comes_back_in_its_place(face, house, words, name):
    client = face.Client(house, headers=ME)
    client.say(subscribe(b"1", b"/topic/a", words + b"ack:client-individual\n"))
    for number in range(4):
        house.publish(b"/topic/a", b"%d" % number)
    heard = messages(client.hear())
    client.say(ack(heard[1].ack))
    assert house.durable(name) == (0, 3, 1)
    client.leave()
    house.publish(b"/topic/a", b"4")
    again = face.Client(house, headers=ME)
    again.say(subscribe(b"1", b"/topic/a", words))
    house.turn()
    assert [(each.body, each.redelivered) for each in messages(again.hear())] == [
        (b"0", True),
        (b"2", True),
        (b"3", True),
        (b"4", False),
    ]


def test_patterns_are_kept_for(face, house):
    client = face.Client(house)
    client.say(subscribe(b"1", b"/exchange/amq.topic/a.#", RABBIT))
    client.leave()
    for topic in (b"a", b"a.b.c", b"b"):
        house.publish(b"/topic/" + topic, topic)
    again = face.Client(house)
    again.say(subscribe(b"1", b"/topic/a.#", RABBIT))
    house.turn()
    assert bodies(again.hear()) == [b"a", b"a.b.c"]


@pytest.mark.parametrize("version", [b"1.0", b"1.1", b"1.2"])
def test_every_version_may_have_one(face, house, version):
    client = face.Client(house, version)
    client.say(subscribe(b"1", b"/topic/a", APOLLO))
    client.leave()
    house.publish(b"/topic/a", b"x")
    again = face.Client(house, version)
    again.say(subscribe(b"1", b"/topic/a", APOLLO))
    house.turn()
    assert bodies(again.hear()) == [b"x"]


def test_a_transaction_may_settle_what_was_deleted_meanwhile(face, house):
    before = house.stats
    client = face.Client(house)
    client.say(subscribe(b"1", b"/topic/a", APOLLO + b"ack:client-individual\n"))
    for verdict in (b"ACK", b"NACK"):
        house.publish(b"/topic/a", verdict)
        (heard,) = messages(client.hear())
        client.say(b"BEGIN\ntransaction:%b\n\n\0" % verdict + ack(heard.ack, verdict, b"transaction:%b\n" % verdict))
    client.say(unsubscribe(APOLLO) + b"COMMIT\ntransaction:ACK\n\n\0ABORT\ntransaction:NACK\n\n\0")
    client.leave()
    assert leaves_nothing(house, before)


# ---- sharing ----


@pytest.mark.parametrize(("words", "name"), SHARED)
def test_several_connections_share_one(face, house, words, name):
    clients = [face.Client(house, headers=ME) for _ in range(3)]
    for client in clients:
        client.say(subscribe(b"1", b"/topic/a", words))
    assert house.durables == [name]
    alone = face.Client(house)
    alone.say(subscribe(b"1", b"/topic/a"))
    for number in range(99):
        house.publish(b"/topic/a", b"%d" % number)
    heard = [bodies(client.hear()) for client in clients]
    assert [len(each) for each in heard] == [33, 33, 33]
    assert (
        sorted((body for each in heard for body in each), key=int)
        == bodies(alone.hear())
        == [b"%d" % number for number in range(99)]
    )


def test_a_large_fan_out_with_groups_and_durables(face, house):
    """Plain subscribers are written to in batches; the others get their copies of those."""
    plain = [face.Client(house) for _ in range(5)]
    for client in plain:
        client.say(subscribe(b"1", b"/topic/a"))
    group = [face.Client(house) for _ in range(2)]
    for client in group:
        client.say(subscribe(b"1", b"/topic/a", GROUP))
    durable = face.Client(house)
    durable.say(subscribe(b"1", b"/topic/a", APOLLO))
    house.publish(b"/topic/a", b"0")
    house.publish(b"/topic/a", b"1")
    durable.leave()
    house.publish(b"/topic/a", b"2")
    house.settle()
    assert all(bodies(client.hear()) == [b"0", b"1", b"2"] for client in plain)
    assert sum(len(bodies(client.hear())) for client in group) == 3
    assert house.durable(b"dsub/1") == (1, 0, 0)


def test_what_a_member_has_not_settled_goes_to_the_next(face, house):
    first, second = face.Client(house), face.Client(house)
    for client in (first, second):
        client.say(subscribe(b"1", b"/topic/a", GROUP + b"ack:client-individual\n"))
    house.publish(b"/topic/a", b"x")
    assert bodies(first.hear()) == [b"x"]
    first.leave()
    house.turn()
    assert [(each.body, each.redelivered) for each in messages(second.hear())] == [(b"x", True)]


def test_a_group_goes_with_its_last_member(face, house):
    before = house.stats
    clients = [face.Client(house) for _ in range(3)]
    for client in clients:
        client.say(subscribe(b"1", b"/topic/a", GROUP + b"ack:client-individual\nprefetch-count:1\n"))
    for _ in range(10):
        house.publish(b"/topic/a", b"x")
    assert house.durable(b"group/g/a") == (7, 3, 3)
    clients.pop().say(unsubscribe(b""))
    clients.pop().leave()
    assert house.durable(b"group/g/a") == (9, 1, 1)
    clients.pop().leave()
    assert house.durables == []
    house.publish(b"/topic/a", b"x")
    assert leaves_nothing(house, before)


def test_groups_of_different_topics_are_different(face, house):
    clients = [face.Client(house) for _ in range(2)]
    clients[0].say(subscribe(b"1", b"/topic/a", GROUP))
    clients[1].say(subscribe(b"1", b"/topic/*", GROUP))
    house.publish(b"/topic/a", b"x")
    assert [bodies(client.hear()) for client in clients] == [[b"x"], [b"x"]]


def test_rabbits_durable_queue_that_deletes_itself_is_a_group(face, house):
    client = face.Client(house)
    client.say(subscribe(b"1", b"/topic/a", b"durable:true\nauto-delete:true\n"))
    assert house.durables == [b"group/1/a"]
    client.say(unsubscribe(b"durable:true\nauto-delete:true\n"))
    assert house.durables == []


def test_somebody_slow_holds_nobody(face):
    house = new_house(face, outbound_soft=65_536)
    slow = face.Client(house)
    slow.say(subscribe(b"1", b"/topic/a", APOLLO))
    for _ in range(100):
        house.publish(b"/topic/a", b"x" * 5000)
        assert not house.must_wait()
    assert not slow.is_slow
    heard = len(bodies(slow.hear()))
    assert 0 < heard < 100
    while more := len(bodies(slow.hear())):
        heard += more
        house.turn()
    assert heard + house.durable(b"dsub/1")[0] == 100


# ---- one at a time ----


def test_a_second_holder_is_refused_and_the_first_has_no_harm(face, house):
    first, second = (face.Client(house, headers=ME) for _ in range(2))
    first.say(subscribe(b"1", b"/topic/a", NAME))
    message, text = refusal(second, subscribe(b"1", b"/topic/a", NAME))
    assert message == b"subscription in use"
    assert text.startswith(b"'/dsub/me/n' has a subscriber.")
    house.publish(b"/topic/a", b"x")
    assert bodies(first.hear()) == [b"x"]
    first.leave()
    third = face.Client(house, headers=ME)
    third.say(subscribe(b"1", b"/topic/a", NAME))
    house.publish(b"/topic/a", b"y")
    assert bodies(third.hear()) == [b"y"]


@pytest.mark.parametrize(("first", "second"), [(NAME, ARTEMIS), (ARTEMIS, NAME)])
def test_who_wants_it_alone_shares_with_nobody(face, house, first, second):
    clients = [face.Client(house, headers=ME) for _ in range(2)]
    clients[0].say(subscribe(b"1", b"/topic/a", first))
    assert refusal(clients[1], subscribe(b"1", b"/topic/a", second))[0] == b"subscription in use"


def test_also_on_one_connection(face, house):
    client = face.Client(house, headers=ME)
    client.say(subscribe(b"1", b"/topic/a", NAME))
    assert refusal(client, subscribe(b"2", b"/topic/a", NAME))[0] == b"subscription in use"


@pytest.mark.parametrize(("words", "name"), DIALECTS)
def test_what_another_connection_has_is_not_deleted(face, house, words, name):
    first, second = (face.Client(house, headers=ME) for _ in range(2))
    first.say(subscribe(b"1", b"/topic/a", words))
    message, _ = refusal(second, unsubscribe(words + b"destination:/topic/a\n"))
    assert message == b"subscription in use"
    house.publish(b"/topic/a", b"x")
    assert bodies(first.hear()) == [b"x"]


def test_other_clients_and_names_are_others(face, house):
    for header in (ME, b"client-id:you\n"):
        client = face.Client(house, headers=header)
        client.say(subscribe(b"1", b"/topic/a", NAME) + subscribe(b"2", b"/topic/a", NAME.replace(b":n", b":m/%")))
    assert house.durables == [b"dsub/me/m%2F%25", b"dsub/me/n", b"dsub/you/m%2F%25", b"dsub/you/n"]


# ---- another pattern ----


@pytest.mark.parametrize("words", [NAME, ARTEMIS])
def test_with_another_topic_a_clients_begins_anew(face, house, words):
    client = face.Client(house, headers=ME)
    client.say(subscribe(b"1", b"/topic/a", words) + unsubscribe(b""))
    house.publish(b"/topic/a", b"old")
    client.say(subscribe(b"1", b"/topic/b", words))
    house.publish(b"/topic/a", b"old")
    house.publish(b"/topic/b", b"new")
    house.turn()
    assert bodies(client.hear()) == [b"new"]
    assert house.stats["messages"] == 0


def test_with_another_topic_apollos_keeps_what_it_has(face, house):
    client = face.Client(house)
    client.say(subscribe(b"1", b"/topic/a", APOLLO) + unsubscribe(b""))
    house.publish(b"/topic/a", b"old")
    client.say(subscribe(b"1", b"/topic/b", APOLLO))
    house.publish(b"/topic/a", b"not this one")
    house.publish(b"/topic/b", b"new")
    house.turn()
    assert bodies(client.hear()) == [b"old", b"new"]


@pytest.mark.parametrize("words", [ARTEMIS, APOLLO])
def test_it_is_not_changed_under_somebody(face, house, words):
    first, second = (face.Client(house, headers=ME) for _ in range(2))
    first.say(subscribe(b"1", b"/topic/a", words))
    assert refusal(second, subscribe(b"1", b"/topic/b", words))[0] == b"subscription in use"
    house.publish(b"/topic/a", b"x")
    assert bodies(first.hear()) == [b"x"]


# ---- limits ----


def test_the_oldest_go_where_there_are_too_many(face):
    house = new_house(face, durable={"durable_messages": 3})
    client = face.Client(house)
    client.say(subscribe(b"1", b"/topic/a", APOLLO) + unsubscribe(b""))
    for number in range(5):
        house.publish(b"/topic/a", b"%d" % number)
    assert house.durable(b"dsub/1") == (3, 0, 0)
    assert house.stats["dropped"] == 2
    client.say(subscribe(b"1", b"/topic/a", APOLLO))
    house.turn()
    assert bodies(client.hear()) == [b"2", b"3", b"4"]


def test_what_rests_is_held(face):
    """It is in no queue's place, but the broker still has it."""
    house = new_house(face)
    client = face.Client(house)
    client.say(subscribe(b"1", b"/topic/a", APOLLO + b"ack:client-individual\n"))
    house.publish(b"/topic/a", b"x")
    (first,) = messages(client.hear())
    client.say(ack(first.ack, b"NACK", b"delay:100000\n"))
    assert house.queued == (1, 1)


def test_or_the_newest_do_not_come(face):
    house = new_house(face, durable={"durable_messages": 3, "durable_overflow": "reject"})
    client, beside = face.Client(house), face.Client(house)
    client.say(subscribe(b"1", b"/topic/a", APOLLO) + unsubscribe(b""))
    beside.say(subscribe(b"1", b"/topic/a"))
    for number in range(5):
        house.publish(b"/topic/a", b"%d" % number)
    client.say(subscribe(b"1", b"/topic/a", APOLLO))
    house.turn()
    assert bodies(client.hear()) == [b"0", b"1", b"2"]
    assert len(bodies(beside.hear())) == 5
    assert house.stats["dropped"] == 2


def test_bytes_are_limited_too(face):
    house = new_house(face, durable={"durable_bytes": 100_000})
    client = face.Client(house)
    client.say(subscribe(b"1", b"/topic/a", APOLLO) + unsubscribe(b""))
    for _ in range(50):
        house.publish(b"/topic/a", b"x" * 10_000)
    assert 5 <= house.durable(b"dsub/1")[0] <= 9
    house.publish(b"/topic/a", b"x" * 200_000)
    assert 5 <= house.durable(b"dsub/1")[0] <= 9
    house.publish(b"/topic/a", b"y" * 90_000)
    assert house.durable(b"dsub/1")[0] == 1


def test_a_large_one_takes_the_place_of_many_bit_by_bit(face):
    house = new_house(face, durable={"durable_bytes": 2_000_000})
    client = face.Client(house)
    client.say(subscribe(b"1", b"/topic/a", APOLLO) + unsubscribe(b""))
    for _ in range(2000):
        house.publish(b"/topic/a", b"x")
    house.publish(b"/topic/a", b"y" * 1_900_000)
    assert house.durable(b"dsub/1")[0] == 2001 - 256
    for _ in range(8):
        house.publish(b"/topic/a", b"x")
    assert house.durable(b"dsub/1")[0] < 800


def test_the_log_hears_of_it_once_a_minute(face):
    house = new_house(face, durable={"durable_messages": 1})
    client = face.Client(house)
    client.say(subscribe(b"1", b"/topic/a", APOLLO) + unsubscribe(b""))
    for _ in range(4):
        house.publish(b"/topic/a", b"x")
    house.advance(60_000)
    house.publish(b"/topic/a", b"x")
    told = [(level, fields) for level, event, fields in house.log if event == "subscription full"]
    assert [fields["dropped"] for _, fields in told] == [1, 4]
    assert told[0] == (
        "warning",
        {"subscription": "/dsub/1", "dropped": 1, "key": "topics.durable"},
    )


def test_groups_have_the_same_limits(face):
    house = new_house(face, durable={"durable_messages": 3})
    client = face.Client(house)
    client.say(subscribe(b"1", b"/topic/a", GROUP + b"ack:client\nprefetch-count:1\n"))
    for _ in range(10):
        house.publish(b"/topic/a", b"x")
    assert house.durable(b"group/g/a") == (3, 1, 1)


def test_there_are_so_many_and_no_more(face):
    house = new_house(face, max_durable=2)
    client = face.Client(house)
    client.say(subscribe(b"1", b"/topic/a", APOLLO) + subscribe(b"2", b"/topic/a", APOLLO))
    for number in range(10):
        client.say(subscribe(b"g%d" % number, b"/topic/a", b"subscription-group:%d\n" % number))
    message, text = refusal(client, subscribe(b"3", b"/topic/a", APOLLO))
    assert message == b"too many subscriptions"
    assert text.startswith(b"The broker has limits.max_durable durable subscriptions.")
    client.say(unsubscribe(APOLLO) + subscribe(b"3", b"/topic/a", APOLLO))


def test_dead_letters_have_a_queue_of_their_own(face):
    house = new_house(face, dead_letter="DLQ.{name}")
    client = face.Client(house, headers=ME)
    client.say(subscribe(b"1", b"/topic/a", NAME + b"ack:client-individual\n"))
    house.publish(b"/topic/a", b"x")
    (heard,) = messages(client.hear())
    client.say(ack(heard.ack, b"NACK", b"requeue:false\n"))
    assert house.queue(b"DLQ.dsub/me/n") == (1, 0, 0)


def test_it_does_not_go_because_nobody_uses_it(face):
    house = new_house(face, queue_idle_timeout=1000)
    client = face.Client(house)
    client.say(subscribe(b"1", b"/topic/a", APOLLO) + unsubscribe(b""))
    house.advance(10_000)
    assert house.durables == [b"dsub/1"]


def test_at_the_ceiling_publishers_wait_and_a_subscriber_makes_room(face):
    house = new_house(face, memory=8 << 20)
    client, publisher = face.Client(house), face.Client(house)
    client.say(subscribe(b"1", b"/topic/a", APOLLO) + unsubscribe(b""))
    sent = 0
    while not publisher.parked:
        publisher.say(send(b"/topic/a", b"%d" % sent + b" " * 50_000))
        sent += 1
    client.say(subscribe(b"1", b"/topic/a", APOLLO))
    heard = []
    while len(heard) < sent:
        house.turn()
        more = [int(body) for body in bodies(client.hear())]
        heard += more
        if not any(house.is_full) and publisher.parked:
            publisher.unpark()
        assert more or publisher.parked
    assert heard == list(range(sent))


def test_what_it_holds_counts_as_memory_and_as_left_behind(face, house):
    client = face.Client(house)
    client.say(subscribe(b"1", b"/topic/a", APOLLO) + unsubscribe(b""))
    before = house.stats["memory"]
    for _ in range(100):
        house.publish(b"/topic/a", b"x" * 1000)
    assert house.stats["memory"] - before > 100_000
    assert house.queued == (100, 1)
    client.say(unsubscribe(APOLLO))
    house.turn()
    assert house.stats["memory"] <= before
    assert house.queued == (0, 0)


def test_what_rests_in_one_counts_with_what_it_holds(face):
    house = face.House(redelivery_delay=10_000, nack_delay=0)
    client = face.Client(house)
    client.say(subscribe(b"1", b"/topic/a", APOLLO + b"ack:client-individual\n") + send(b"/topic/a", b"x"))
    (message,) = messages(client.hear())
    client.say(ack(message.ack, b"NACK"))
    assert house.queued == (1, 1)


def test_very_many_are_freed_slice_by_slice(face, house):
    client = face.Client(house)
    client.say(subscribe(b"1", b"/topic/a", APOLLO) + unsubscribe(b""))
    for _ in range(100_000):
        house.publish(b"/topic/a", b"x")
    client.say(unsubscribe(APOLLO))
    assert house.durables == []
    house.turn()
    assert 0 < house.stats["messages"] < 100_000
    for _ in range(4):
        house.turn()
    assert house.stats["messages"] == 0


def test_memory_comes_back(face, house):
    """Ten thousand that come, change, and go leave nothing."""
    client = face.Client(house)
    client.say(subscribe(b"0", b"/topic/x"))
    house.publish(b"/topic/a", b"x")
    before = house.stats
    for number in range(1, 2000):
        id = b"%d" % number
        client.say(subscribe(id, b"/topic/a.%b" % id, APOLLO) + unsubscribe(b"", b"id:%b\n" % id))
        client.say(subscribe(id, b"/topic/b.#", APOLLO))
    house.publish(b"/topic/b.1", b"x")
    for number in range(1, 2000):
        client.say(unsubscribe(APOLLO, b"id:%d\n" % number))
    house.turn()
    client.hear()
    after = house.stats
    assert after["queues"] == before["queues"]
    assert after["memory"] - before["memory"] < 20_000  # a route, and the table of the trie


# ---- what cannot be ----


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (subscribe(b"1", b"/topic/a", NAME), b"missing header"),
        (subscribe(b"1", b"/topic/a", ARTEMIS), b"missing header"),
        (unsubscribe(NAME), b"missing header"),
        (b"SUBSCRIBE\ndestination:/topic/a\npersistent:true\n\n\0", b"missing header"),
        (b"SUBSCRIBE\ndestination:/topic/a\ndurable:true\n\n\0", b"missing header"),
        (subscribe(b"1", b"/topic/a", b"durable:yes\n"), b"bad header"),
        (subscribe(b"1", b"/topic/a", b"durable:true\nauto-delete:no\n"), b"bad header"),
        (subscribe(b"1", b"/topic/a", APOLLO + GROUP), b"bad header"),
        (subscribe(b"1", b"/topic/a", APOLLO + b"selector:a = \n"), b"bad selector"),
        (subscribe(b"1", b"/topic/a", APOLLO + b"no-local:true\n"), b"bad header"),
        (subscribe(b"1", b"/topic/a.#.b.#.c.#", APOLLO), b"bad destination"),
        (subscribe(b"1", b"/topic/a.#.b.#.c.#", GROUP), b"bad destination"),
        (subscribe(b"1", b"/queue/a", NAME), b"bad header"),
        (unsubscribe(RABBIT), b"unknown subscription"),
        (unsubscribe(RABBIT + b"destination:/queue/a\n"), b"unknown subscription"),
        (unsubscribe(RABBIT + b"destination:/topic/a\n"), b"unknown subscription"),
        (unsubscribe(APOLLO), b"unknown subscription"),
    ],
)
def test_what_is_refused_changes_nothing(face, house, frames, message):
    client = face.Client(house)
    before = house.stats
    charged = client.charged
    assert refusal(client, frames)[0] == message
    assert house.durables == []
    assert client.charged == charged
    assert leaves_nothing(house, before)


@pytest.mark.parametrize("words", [b"durable:false\n", b"activemq.subscriptionName:\n", b"subscription-group:\n"])
def test_what_says_nothing_is_a_subscription_like_any(face, house, words):
    client = face.Client(house)
    client.say(subscribe(b"1", b"/topic/a", words))
    assert house.durables == []
    house.publish(b"/topic/a", b"x")
    assert bodies(client.hear()) == [b"x"]
    client.say(unsubscribe(b"durable:true\nauto-delete:false\n"))  # as some say always
    house.publish(b"/topic/a", b"x")
    assert client.hear() == b""


@pytest.mark.parametrize("words", [RABBIT, APOLLO, ARTEMIS, GROUP])
def test_queues_have_no_use_for_the_words(face, house, words):
    client = face.Client(house)
    client.say(subscribe(b"1", b"/queue/a", words) + send(b"/queue/a", b"x"))
    assert bodies(client.hear()) == [b"x"]
    assert house.durables == []
    client.say(unsubscribe(words if words != ARTEMIS else b""))


def test_access_is_asked_for_its_name_too(face):
    asked = []

    def authorize(_: object, action: str, destination: str) -> bool:
        asked.append((action, destination))
        return "secret" not in destination

    house = new_house(face, authorize=authorize)
    client = face.Client(house)
    client.say(subscribe(b"1", b"/topic/a", APOLLO) + subscribe(b"2", b"/topic/a", GROUP) + unsubscribe(APOLLO))
    assert asked == [("subscribe", "/topic/a"), ("subscribe", "/dsub/1"), ("subscribe", "/group/g/a")]
    assert refusal(client, subscribe(b"secret", b"/topic/a", APOLLO))[0] == b"access refused"
    other = face.Client(house)
    assert refusal(other, unsubscribe(APOLLO, b"id:secret\n"))[0] == b"access refused"
    assert house.durables == [b"group/g/a"]


# ---- beside a model ----

WORDS = {
    "activemq": NAME,
    "artemis": ARTEMIS,
    "rabbitmq": RABBIT,
    "apollo": APOLLO,
    "group": GROUP,
}


@dataclass
class Kept:
    """A subscription as a plain program would keep it."""

    pattern: bytes
    alone: bool
    unsettled: list[bytes] = field(default_factory=list)


class Town:
    """Clients that come, subscribe, settle, delete and go at random, and what must be there then."""

    def __init__(self, face: Face, seed: int) -> None:
        self.face = face
        self.house = new_house(face, max_deliveries=1000)
        self.chance = random.Random(seed)
        self.kept: dict[bytes, Kept] = {}
        self.clients: list[Face] = []
        self.held: dict[tuple[Face, bytes], bytes] = {}  # (client, id) -> the name of what it has
        self.bodies: dict[tuple[Face, bytes], tuple[bytes, bytes]] = {}  # (client, ack) -> id, body
        self.sent = 0

    def step(self) -> None:
        self.chance.choice([self.come, self.go, self.subscribe, self.subscribe, self.end, self.publish, self.settle])()
        self.listen()
        assert self.house.durables == sorted(self.kept)
        for name, kept in self.kept.items():
            waiting, unsettled, consumers = self.house.durable(name)
            assert waiting + unsettled == len(kept.unsettled)
            assert consumers == len(self.holders(name))

    def holders(self, name: bytes) -> list[tuple[Face, bytes]]:
        return [who for who, what in self.held.items() if what == name]

    def listen(self) -> None:
        self.house.turn()
        for client in self.clients:
            for each in messages(client.hear()):
                if (client, each.subscription) not in self.held:
                    continue  # it was on its way when that ended
                kept = self.kept[self.held[client, each.subscription]]
                assert each.body in kept.unsettled
                assert each.body not in self.out_of(kept)
                self.bodies[client, each.ack] = each.subscription, each.body
        self.house.advance(REST)

    def out_of(self, kept: Kept) -> list[bytes]:
        """What its subscribers have not settled."""
        return [body for (client, _), (id, body) in self.bodies.items() if self.kept[self.held[client, id]] is kept]

    def come(self) -> None:
        if len(self.clients) < 4:
            self.clients.append(self.face.Client(self.house, headers=ME))

    def go(self) -> None:
        if self.clients and self.chance.random() < 0.3:
            client = self.clients.pop(self.chance.randrange(len(self.clients)))
            client.leave()
            for holder in [who for who in self.held if who[0] is client]:
                self.leave(holder)

    def leave(self, holder: tuple[Face, bytes]) -> None:
        name = self.held.pop(holder)
        for which in [which for which, (id, _) in self.bodies.items() if (which[0], id) == holder]:
            del self.bodies[which]
        if name.startswith(b"group/") and not self.holders(name):
            del self.kept[name]

    def subscribe(self) -> None:
        if not self.clients:
            return
        client, words = self.chance.choice(self.clients), self.chance.choice(list(WORDS))
        id, pattern = self.chance.choice([b"1", b"2"]), self.chance.choice([b"a", b"b", b"*"])
        name = self.name_of(words, id, pattern)
        frames = subscribe(id, b"/topic/" + pattern, WORDS[words] + b"ack:client-individual\nprefetch-count:3\n")
        if (client, id) in self.held:
            assert refusal(client, frames)[0] == b"duplicate subscription"
            return
        kept, alone = self.kept.get(name), words == "activemq"
        if kept and self.holders(name) and (alone or kept.alone or kept.pattern != pattern):
            assert refusal(client, frames)[0] == b"subscription in use"
            return
        client.say(frames)
        if kept is None or (kept.pattern != pattern and words != "apollo"):
            kept = self.kept[name] = Kept(pattern, alone)
        kept.pattern, kept.alone = pattern, alone
        self.held[client, id] = name

    def name_of(self, words: str, id: bytes, pattern: bytes) -> bytes:
        return {
            "activemq": b"dsub/me/n",
            "artemis": b"dsub/me/n",
            "rabbitmq": b"dsub/%b/topic/%b" % (id, pattern),
            "apollo": b"dsub/" + id,
            "group": b"group/g/" + pattern,
        }[words]

    def end(self) -> None:
        """One that is held, by its words or without."""
        if not self.held:
            return
        holder = self.chance.choice(list(self.held))
        client, id = holder
        name = self.held[holder]
        words = NAME if name == b"dsub/me/n" else RABBIT
        if self.chance.random() < 0.5 or name.startswith(b"group/"):
            client.say(unsubscribe(b"", b"id:%b\n" % id))
            self.leave(holder)
        elif len(self.holders(name)) > 1:
            assert refusal(client, unsubscribe(words, b"id:%b\n" % id))[0] == b"subscription in use"
        else:
            client.say(unsubscribe(words, b"id:%b\n" % id))
            self.leave(holder)
            del self.kept[name]

    def publish(self) -> None:
        for _ in range(self.chance.randint(1, 10)):
            topic, self.sent = self.chance.choice([b"a", b"b", b"c"]), self.sent + 1
            self.house.publish(b"/topic/" + topic, b"%d" % self.sent)
            for kept in self.kept.values():
                if kept.pattern in (topic, b"*"):
                    kept.unsettled.append(b"%d" % self.sent)
        self.house.settle()

    def settle(self) -> None:
        for client, ack_id in self.chance.sample(list(self.bodies), len(self.bodies) // 2):
            id, body = self.bodies.pop((client, ack_id))
            if self.chance.random() < 0.7:
                client.say(ack(ack_id))
                self.kept[self.held[client, id]].unsettled.remove(body)
            else:
                client.say(ack(ack_id, b"NACK"))


@pytest.mark.parametrize("seed", range(20))
def test_beside_a_model(face, seed):
    town = Town(face, seed)
    before = town.house.stats
    for _ in range(150):
        town.step()
    assert town.sent > 50
    for client in town.clients:
        client.leave()
    client = face.Client(town.house, headers=ME)
    for name in town.house.durables:
        if name.count(b"/") == 2:
            client.say(unsubscribe(NAME))
        elif name.count(b"/") == 1:
            client.say(unsubscribe(APOLLO, b"id:%b\n" % name[5:]))
        else:
            id, _, pattern = name.split(b"/")[1:]
            client.say(unsubscribe(RABBIT, b"id:%b\ndestination:/topic/%b\n" % (id, pattern)))
    client.leave()
    assert leaves_nothing(town.house, before)
