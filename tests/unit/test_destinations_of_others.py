"""Destinations that lead to several places: copies by policy, several parts, virtual topics; and what that holds."""

from __future__ import annotations

from typing import Any

import pytest
from broker_frames import bodies, messages, send, subscribe

from fastbroker.core.frame import Refused

Face = Any  # of a module that the type checker knows nothing of


def listener(face: Face, house: Face, *destinations: bytes, headers: bytes = b"") -> Face:
    """A client that has subscribed to all of these, each under its own name."""
    client = face.Client(house)
    for destination in destinations:
        client.say(subscribe(destination, destination, headers))
    client.hear()
    return client


def heard(client: Face) -> list[tuple[bytes, bytes]]:
    return sorted((message.subscription, message.body) for message in messages(client.hear()))


def test_a_message_to_several_places_is_stored_once(face: Face) -> None:
    """A SEND is let in for the memory of one."""
    house = face.House(queues=[("limited", {"max_messages": 10}), ("short", {"ttl": 1000})])
    client, number = face.Client(house), 16
    client.say(b"".join(send(b"/queue/%d" % i, b"") for i in range(number)))
    before = house.stats["memory"], house.stats["messages"]
    places = b",".join([b"/queue/%d" % i for i in range(number)] + [b"/queue/limited"])
    client.say(send(places, b"x" * 100_000, b"priority:7\n"))
    assert house.stats["messages"] == before[1] + 1
    assert house.stats["memory"] < before[0] + 150_000
    client.say(send(places + b",/queue/short", b"y" * 100_000))
    assert house.stats["messages"] == before[1] + 3, "with a life of its own it is another"
    for i in range(number):
        client.say(subscribe(b"%d" % i, b"/queue/%d" % i))
        house.turn()
        large = [(m.body[:1], m.headers.get(b"priority")) for m in messages(client.hear()) if len(m.body) == 100_000]
        assert large == [(b"x", b"7"), (b"y", None)]
    house.advance(2000)
    assert house.stats["messages"] == 2, "those of the queue with a limit"
    client.say(subscribe(b"limited", b"/queue/limited"))
    house.turn()
    client.hear()
    house.turn()
    assert house.stats["messages"] == 0


# ---- copies by policy ----------------------------------------------------------------------------


def test_what_is_sent_to_a_queue_is_mirrored(face: Face) -> None:
    house = face.House(queues=[("orders.*", {"mirror": ["/topic/audit", "/queue/copy"]})])
    client = listener(face, house, b"/queue/orders.a", b"/topic/audit", b"/queue/copy", b"/queue/other")
    client.say(send(b"/queue/orders.a", b"1", b"h:1\n") + send(b"/queue/other", b"2") + send(b"orders.a", b"3"))
    heard_all = client.hear()
    assert heard_all.count(b"destination:/queue/orders.a\nh:1\n\n1\0") == 3
    assert heard_all.count(b"destination:orders.a\n\n3\0") == 3
    assert heard_all.count(b"2\0") == 1
    assert house.stats["messages_in"] == 3


def test_what_is_sent_to_a_topic_is_forwarded(face: Face) -> None:
    house = face.House(topics=[("price.#", {"forward": ["/queue/archive", "/exchange/amq.fanout"]})])
    client = listener(face, house, b"/topic/price.*", b"/exchange/amq.fanout")
    for number in range(3):
        client.say(send(b"/topic/price.eur", b"%d" % number))
    assert heard(client) == sorted(
        (place, b"%d" % number) for number in range(3) for place in (b"/topic/price.*", b"/exchange/amq.fanout")
    )
    assert house.queue(b"archive") == (3, 0, 0)


def test_parts_do_not_borrow_from_each_other_what_is_freed(face: Face) -> None:
    """A large body is stored for each topic, and 1.0 has its own form of the header lines around it."""
    house = face.House()
    clients = [face.Client(house, version=b"1.0") for _ in range(4)]
    for client, topic in zip(clients, (b"a", b"a", b"b", b"b"), strict=True):
        client.say(b"SUBSCRIBE\ndestination:/topic/%b\n\n\0" % topic)
    publisher = face.Client(house)
    publisher.say(send(b"/topic/a,/topic/b", b"x" * 10_000, b"h:a\\cb\n"))
    for client in clients[:2]:
        client.hear()  # and the topic's copy goes
    publisher.say(20 * send(b"/queue/in.the.place", b"y" * 10_000, b"h:a\\cb\n"))
    for client in clients[2:]:
        assert bodies(client.hear()) == [b"x" * 10_000]


def test_a_message_passes_each_destination_once_however_copies_run(face: Face) -> None:
    """In circles, too, and by a composite destination."""
    house = face.House(
        queues=[("a", {"mirror": ["/queue/b"]}), ("b", {"mirror": ["/topic/t", "/queue/a", "/queue/b"]})],
        topics=[("t", {"forward": ["/queue/a", "/topic/t"]})],
    )
    client = listener(face, house, b"/queue/a", b"/queue/b", b"/topic/t")
    everywhere = [(b"/queue/a", b"x"), (b"/queue/b", b"x"), (b"/topic/t", b"x")]
    for destination in (b"/queue/a", b"/topic/t", b"/queue/b", b"/queue/a,/topic/t", b"/amq/queue/a,/queue/b"):
        client.say(send(destination, b"x"))
        assert heard(client) == everywhere


def test_copies_to_more_places_than_anybody_means_are_refused(face: Face) -> None:
    def chain(length: int) -> Face:
        return face.House(queues=[(f"q{n}", {"mirror": [f"/queue/q{n + 1}"]}) for n in range(length)])

    house = chain(63)
    face.Client(house).say(send(b"/queue/q0", b"x"))
    assert house.queued == (64, 64)
    house = chain(64)
    with pytest.raises(Refused, match="bad destination"):
        face.Client(house).say(send(b"/queue/q0", b"x"))
    assert house.stats["messages"] == house.stats["queues"] == 0


def test_copies_to_what_cannot_be_sent_to_are_an_error_of_the_send(face: Face) -> None:
    for wrong in ("/topic/#", "/nowhere/a", "/temp-queue/a", "/amq/queue/none"):
        house = face.House(queues=[("a", {"mirror": [wrong]})])
        with pytest.raises(Refused):
            face.Client(house).say(send(b"/queue/a", b"x"))
        assert house.stats["queues"] == 0


def test_copies_go_on_when_their_queues_have_gone(face: Face) -> None:
    house = face.House(queues=[("a", {"mirror": ["/queue/b"]})], queue_idle_timeout=100)
    sender, client = face.Client(house), face.Client(house)
    for _ in range(3):
        sender.say(send(b"/queue/a", b"x"))
        for name in (b"/queue/a", b"/queue/b"):
            client.say(subscribe(b"1", name))
            house.turn()
            assert bodies(client.hear()) == [b"x"]
            client.say(b"UNSUBSCRIBE\nid:1\n\n\0")
        house.advance(2000)
        assert house.queue(b"a") is house.queue(b"b") is None


# ---- who may -------------------------------------------------------------------------------------


def test_each_part_is_asked_for_by_its_one_name(face: Face) -> None:
    asked: list[tuple[str, str]] = []

    def authorize(_: object, action: str, destination: str) -> bool:
        asked.append((action, destination))
        return destination != "/topic/secret"

    house = face.House(authorize=authorize, topics=[("open", {"forward": ["/topic/secret"]})])
    client = face.Client(house)
    client.say(send(b"a,/exchange/amq.topic/b,queue\\c//a,/exchange/amq.fanout/k,/temp-topic/t", b"x"))
    assert asked == [
        ("send", "/queue/a"),
        ("send", "/topic/b"),
        ("send", "/exchange/amq.fanout"),
        ("send", "/temp-topic/t"),
    ]
    client.say(send(b"/topic/open", b"the operator has it forwarded"))
    with pytest.raises(Refused, match="access refused"):
        client.say(send(b"/queue/a,topic\\c//secret", b"x"))
    for refused in (
        send(b"secret", b"x", b"destination-type:MULTICAST\n"),
        subscribe(b"1", b"secret", b"subscription-type:MULTICAST\n"),
        subscribe(b"1", b"/topic/secret?consumer.priority=1"),
    ):
        with pytest.raises(Refused, match="access refused"):
            face.Client(house).say(refused)
    assert house.queue(b"a") == (1, 0, 0)


def test_what_a_queue_gets_of_a_topic_is_asked_for_as_that_topic(face: Face) -> None:
    asked: list[tuple[str, str]] = []

    def authorize(_: object, action: str, destination: str) -> bool:
        asked.append((action, destination))
        return True

    house = face.House(authorize=authorize)
    client = face.Client(house)
    client.say(subscribe(b"1", b"Consumer.A.VirtualTopic.x") + subscribe(b"2", b"/topic/a.*", b"x-queue-name:q\n"))
    assert asked == [
        ("subscribe", "/queue/Consumer.A.VirtualTopic.x"),
        ("subscribe", "/topic/VirtualTopic.x"),
        ("subscribe", "/topic/a.*"),
        ("subscribe", "/queue/q"),
    ]


# ---- virtual topics ------------------------------------------------------------------------------


def test_a_queue_of_a_virtual_topic_outlives_its_time_without_use(face: Face) -> None:
    """Or what is sent while nobody is there would come or not by how long nothing was sent."""
    house = face.House(queue_idle_timeout=100)
    client = face.Client(house)
    client.say(subscribe(b"1", b"/queue/Consumer.A.VirtualTopic.x") + b"UNSUBSCRIBE\nid:1\n\n\0")
    client.say(subscribe(b"2", b"/queue/plain") + b"UNSUBSCRIBE\nid:2\n\n\0")
    house.advance(10_000)
    assert (house.queue(b"plain"), house.queue(b"Consumer.A.VirtualTopic.x")) == (None, (0, 0, 0))
    client.say(send(b"/topic/VirtualTopic.x", b"late"))
    assert house.queue(b"Consumer.A.VirtualTopic.x") == (1, 0, 0)


def test_a_batch_that_is_open_is_for_those_who_were_there(face: Face) -> None:
    """A queue that a SEND makes follows its topic from then on."""
    house = face.House()
    clients = [listener(face, house, b"/topic/VirtualTopic.x") for _ in range(5)]
    sender = face.Client(house)
    before, after = send(b"/topic/VirtualTopic.x", b"before"), send(b"/topic/VirtualTopic.x", b"after")
    sender.say(before + send(b"/queue/Consumer.A.VirtualTopic.x", b"made") + after)
    for client in clients:
        assert bodies(client.hear()) == [b"before", b"after"]
    consumer = face.Client(house)
    consumer.say(subscribe(b"1", b"/queue/Consumer.A.VirtualTopic.x"))
    house.turn()
    assert bodies(consumer.hear()) == [b"made", b"after"]


def test_names_that_are_no_topic_follow_none(face: Face) -> None:
    house = face.House()
    for name in (b"Consumer.A.VirtualTopic." + b"x" * 256, b"Consumer.A.VirtualTopic." + b".".join([b"x"] * 80)):
        face.Client(house).say(send(b"/queue/" + name, b"x"))
        assert house.queue(name) == (1, 0, 0)


# ---- what it holds -------------------------------------------------------------------------------


def test_all_that_came_has_gone(face: Face) -> None:
    house = face.House(queue_idle_timeout=100)
    warm = face.Client(house)
    warm.say(subscribe(b"1", b"/topic/warm"))
    warm.leave()
    before = house.stats
    for _ in range(3):
        client = face.Client(house)
        for number in range(200):
            name = b"%d" % number
            client.say(subscribe(b"d" + name, b"/exchange/amq.direct/" + name, b"ack:client\n" if number % 2 else b""))
            client.say(subscribe(b"t" + name, b"/temp-topic/" + name))
            client.say(subscribe(b"q" + name, b"/topic/" + name, b"x-queue-name:q%b\nack:client\n" % name))
            client.say(send(b"/exchange/amq.direct/%b,/temp-topic/%b,/topic/%b" % (name, name, name), b"x"))
        assert len(messages(client.hear())) == 600
        client.leave()
        house.advance(2000)
    after = house.stats
    for what in ("sessions", "subscriptions", "queues", "messages", "deliveries"):
        assert after[what] == before[what], what
    assert after["memory"] - before["memory"] < 1000 * after["routes"] + 4096  # which are kept for those who come again


def test_a_queue_that_cannot_be_bound_is_not_made(face: Face) -> None:
    """One that follows a virtual topic would stay for ever, and keep what comes."""
    house = face.House()
    client = face.Client(house)
    with pytest.raises(Refused) as refusal:
        client.say(subscribe(b"q", b"/topic/a", b"x-queue-name:Consumer.A.VirtualTopic.b\n"))
    assert refusal.value.args[0] == b"bad header"
    house.turn()
    assert house.queue(b"Consumer.A.VirtualTopic.b") is None
    assert house.stats["queues"] == 0


def test_a_durable_subscription_with_the_name_of_a_bound_queue_leaves_it_alone(face: Face) -> None:
    house = face.House(queue_idle_timeout=1000)
    client = face.Client(house)
    client.say(subscribe(b"q", b"/topic/a", b"x-queue-name:dsub/1\n"))
    before = house.stats["memory"]
    client.say(subscribe(b"1", b"/topic/a", b"persistent:true\n") + b"UNSUBSCRIBE\nid:1\npersistent:true\n\n\0")
    house.turn()
    assert house.stats["memory"] == before
    client.say(b"UNSUBSCRIBE\nid:q\n\n\0")
    assert house.queue(b"dsub/1") is None  # as it was made for its consumers


def test_a_client_has_so_many_temporary_ones_and_no_more(face: Face) -> None:
    house = face.House(max_subscriptions=10)
    client = face.Client(house)
    for number in range(5):
        client.say(send(b"/temp-topic/%d" % number, b"x") + send(b"/temp-queue/%d" % number, b"x"))
    with pytest.raises(Refused, match="too many subscriptions"):
        client.say(send(b"/queue/a,/temp-topic/10", b"x"))


def test_routes_to_several_places_are_bounded(face: Face) -> None:
    house = face.House(memory=4 << 20)
    client = face.Client(house)
    most = 0
    for number in range(3000):
        client.say(send(b"/topic/%d,/exchange/amq.direct/%d" % (number, number), b"x"))
        most = max(most, house.stats["routes"])
    assert 100 < most < 1000


def test_at_the_memory_ceiling_no_queue_is_made_and_nothing_was_published(face: Face) -> None:
    house = face.House(memory=4 << 20)
    client = listener(face, house, b"/topic/a", b"/queue/there")
    filler = face.Client(house)
    while not house.is_full[1]:
        house.publish(b"/queue/full", b"x" * 10_000)
    for destination in (b"/topic/a,/queue/new", b"/queue/there,/queue/new"):
        with pytest.raises(Refused, match="server busy"):
            house.publish(destination, b"x")
    with pytest.raises(Refused, match="server busy"):
        filler.say(subscribe(b"1", b"/topic/a", b"x-queue-name:new\n"))
    assert client.hear() == b""
    assert house.queue(b"new") is None


def test_an_answer_to_somebody_gone_is_counted(face: Face) -> None:
    house = face.House()
    for prefix in (b"/reply-queue/", b"/remote-temp-queue/", b"/reply-topic/", b"/remote-temp-topic/"):
        house.publish(prefix + b"nobody", b"x")
    assert house.stats["replies_dropped"] == 4


def test_a_queue_that_was_made_for_a_subscription_that_is_refused_goes_again(face: Face) -> None:
    house = face.House()
    client = face.Client(house)
    name = b"Consumer.A.VirtualTopic.B"  # which follows another topic
    with pytest.raises(Refused, match="bad header"):
        client.say(subscribe(b"1", b"/topic/other", b"x-queue-name:%b" % name))
    assert house.queue(name) is None
    client.say(send(b"/topic/VirtualTopic.B", b"x"))
    assert house.stats["messages"] == 0


def test_queues_that_have_gone_are_not_held_for_the_sake_of_composites(face: Face) -> None:
    house = face.House(memory=4 << 20, queues=[("#", {"ttl": 10, "idle_timeout": 100})])
    client = face.Client(house)
    for number in range(200):
        names = b",".join(b"/queue/%d.%d" % (number, part) for part in range(32))
        client.say(send(names, b"x"))
        house.advance(1000)
    assert house.stats["messages"] == 0
    assert house.stats["memory"] < 600 << 10
