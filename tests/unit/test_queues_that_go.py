"""Queues that go with their consumers or after a while, and what clients declare of a queue."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from broker_frames import ack, bodies, messages, send, subscribe

from fastbroker.core.frame import Refused

Face = Any  # of a module that the type checker knows nothing of
IDLE = 10_000
QUEUE = b"/queue/a"
OF_POLICY = [("reply", {"dies_with_consumer": True}), ("tidy.#", {"auto_delete": True})]


@pytest.fixture
def house(face: Face) -> Face:
    return face.House(queue_idle_timeout=IDLE, queues=OF_POLICY)


def connected(face: Face, house: Face, queue: bytes, headers: bytes = b"") -> Face:
    client = face.Client(house)
    client.say(subscribe(b"1", queue, headers))
    house.turn()
    return client


# ---- with the last consumer ----


@pytest.mark.parametrize("way", ["lost", "UNSUBSCRIBE"])
@pytest.mark.parametrize(
    ("queue", "headers"), [(b"/queue/reply", b""), (QUEUE, b"auto-delete:true\n"), (QUEUE, b"auto-delete:True\n")]
)
def test_it_goes_with_its_last_consumer_and_what_it_holds(
    face: Face, house: Face, queue: bytes, headers: bytes, way: str
) -> None:
    sender = face.Client(house)
    mode = b"ack:client\nprefetch-count:3\n"
    consumers = [connected(face, house, queue, headers + mode) for _ in range(2)]
    sender.say(send(queue, b"x" * 100) * 20)
    for consumer in consumers:
        assert house.queue(queue[7:]) is not None
        (first, *_) = messages(consumer.hear())
        consumer.say(ack(first.ack, b"NACK", b"requeue:true\n"))
        consumer.leave() if way == "lost" else consumer.say(b"UNSUBSCRIBE\nid:1\n\n\0")
        house.turn()
    assert house.queue(queue[7:]) is None
    assert house.stats["messages"] == 0
    sender.say(send(b"/topic/none", b""))
    assert house.stats["queues"] == 0, "only its route still knew it"
    sender.say(send(queue, b"again"))
    assert house.queue(queue[7:])[0] == 1, "who sends to it makes it anew"


def test_answers_to_clients_that_have_gone_do_not_stay(face: Face, house: Face) -> None:
    """Spring's, which come when nobody is there to take them: the queue is made for them, and nobody comes."""
    server, before = face.Client(house), house.stats["memory"]
    for _ in range(10):
        connected(face, house, b"/queue/reply").leave()
        server.say(send(b"/queue/reply", b"x" * 1000) * 100)
        assert house.queue(b"reply")[0] == 100
        house.advance(IDLE + 1000)
        assert house.queue(b"reply") is None
    server.say(send(b"/topic/none", b""))  # its route to the queue that has gone
    house.advance(1000)
    assert house.stats["messages"] == 0
    assert house.stats["memory"] < before + 5000


def test_auto_delete_by_policy_waits_until_it_is_empty(face: Face, house: Face) -> None:
    sender = face.Client(house)
    sender.say(send(b"/queue/tidy.a", b"x") * 2)
    house.advance(IDLE * 2)
    assert house.queue(b"tidy.a") == (2, 0, 0)
    consumer = connected(face, house, b"/queue/tidy.a", b"ack:client\nprefetch-count:1\n")
    (first,) = messages(consumer.hear())
    consumer.say(ack(first.ack))
    consumer.leave()
    house.advance(IDLE * 2)
    assert house.queue(b"tidy.a") == (1, 0, 0), "one came back"
    connected(face, house, b"/queue/tidy.a").leave()
    house.advance(20)
    assert house.queue(b"tidy.a") is None


def test_auto_delete_waits_for_an_open_transaction(face: Face, house: Face) -> None:
    face.Client(house).say(send(b"/queue/tidy.a", b"x"))
    consumer = connected(face, house, b"/queue/tidy.a", b"ack:client\n")
    (first,) = messages(consumer.hear())
    consumer.say(b"BEGIN\ntransaction:t\n\n\0" + ack(first.ack, headers=b"transaction:t\n"))
    consumer.say(b"UNSUBSCRIBE\nid:1\n\n\0")
    house.advance(100)
    assert house.queue(b"tidy.a") == (0, 1, 0)
    consumer.say(b"COMMIT\ntransaction:t\n\n\0")
    house.advance(20)
    assert house.queue(b"tidy.a") is None


def test_what_a_transaction_acknowledged_of_a_queue_that_has_gone(face: Face, house: Face) -> None:
    consumer = connected(face, house, QUEUE, b"ack:client\nauto-delete:true\n")
    face.Client(house).say(send(QUEUE, b"x") * 2)
    (first, _) = messages(consumer.hear())
    consumer.say(b"BEGIN\ntransaction:t\n\n\0" + ack(first.ack, headers=b"transaction:t\n"))
    consumer.say(b"UNSUBSCRIBE\nid:1\n\n\0")
    assert house.queue(b"a") is None
    consumer.say(b"ABORT\ntransaction:t\n\n\0")
    house.turn()
    assert (house.stats["messages"], house.stats["deliveries"]) == (0, 0)


def test_a_queue_of_the_usual_kind_stays(face: Face, house: Face) -> None:
    connected(face, house, QUEUE, b"auto-delete:false\n").leave()
    face.Client(house).say(send(QUEUE, b"x"))
    house.advance(IDLE * 3)
    assert house.queue(b"a") == (1, 0, 0)


# ---- after a while ----


def test_x_expires_counts_while_it_has_no_consumer(face: Face, house: Face) -> None:
    consumer = connected(face, house, QUEUE, b"x-expires:3000\nack:client\nprefetch-count:1\n")
    sender = face.Client(house)
    sender.say(send(QUEUE, b"x") * 5)
    house.advance(IDLE * 3)
    assert house.queue(b"a") == (4, 1, 1)
    consumer.leave()
    for _ in range(2):
        house.advance(1400)
        sender.say(send(QUEUE, b"x"))  # which does not put it off, as RabbitMQ has it
    assert house.queue(b"a") == (7, 0, 0)
    house.advance(400)
    assert house.queue(b"a") is None
    house.turn()
    assert house.stats["messages"] == 0


def test_x_expires_counts_from_the_abort_of_what_was_acknowledged(face: Face, house: Face) -> None:
    consumer = connected(face, house, QUEUE, b"x-expires:3000\nack:client\n")
    face.Client(house).say(send(QUEUE, b"x"))
    (first,) = messages(consumer.hear())
    consumer.say(b"BEGIN\ntransaction:t\n\n\0" + ack(first.ack, headers=b"transaction:t\n"))
    consumer.say(b"UNSUBSCRIBE\nid:1\n\n\0")
    house.advance(5000)
    assert house.queue(b"a") == (0, 1, 0)
    consumer.say(b"ABORT\ntransaction:t\n\n\0")
    house.advance(2500)
    assert house.queue(b"a") == (1, 0, 0)
    house.advance(1000)
    assert house.queue(b"a") is None


def test_a_sender_declares_anew_what_went(face: Face, house: Face) -> None:
    sender = face.Client(house)
    for _ in range(3):
        sender.say(send(QUEUE, b"x", b"x-expires:1000\n") * 2)
        assert house.queue(b"a") == (2, 0, 0)
        assert house.policy(b"a")["idle_timeout"] == 1000
        house.advance(1100)
        assert house.queue(b"a") is None


def test_who_declares_a_queue_that_has_gone_by_another_name_of_it_makes_it_anew(face: Face, house: Face) -> None:
    sender = face.Client(house)
    sender.say(send(b"queue://a", b"x"))
    connected(face, house, QUEUE, b"auto-delete:true\n").leave()
    house.turn()
    assert house.queue(b"a") is None
    sender.say(send(b"/queue/other", b"") + send(b"queue://a", b"y", b"x-message-ttl:60000\n"))
    assert bodies(connected(face, house, QUEUE).hear()) == [b"y"]


def test_idle_timeout_of_a_policy(face: Face) -> None:
    """What is empty goes; what holds something is kept."""
    house = face.House(queue_idle_timeout=IDLE, queues=[("short.#", {"idle_timeout": 1000})])
    connected(face, house, b"/queue/short.a").leave()
    face.Client(house).say(send(b"/queue/short.b", b"x"))
    house.advance(1100)
    assert (house.queue(b"short.a"), house.queue(b"short.b")) == (None, (1, 0, 0))


# ---- what is declared ----


@pytest.mark.parametrize("is_sender", [False, True])
@pytest.mark.parametrize(
    ("headers", "policy"),
    [
        (b"x-message-ttl:500\n", {"ttl": 500, "max_ttl": 500}),
        (b"x-expires:500\n", {"idle_timeout": 500, "idle_drops": True}),
        (b"x-max-length:5\n", {"max_messages": 5, "overflow": 1}),
        (b"x-max-length-bytes:5000\nx-overflow:reject-publish\n", {"max_bytes": 5000, "overflow": 0}),
        (
            b"x-max-length:5\nx-dead-letter-routing-key:d\n",
            {"max_messages": 5, "overflow": 2, "dead_letter": b"d", "dead_letter_expired": True},
        ),
        (
            b"x-dead-letter-exchange:amq.direct\nx-dead-letter-routing-key:d\n",
            {"dead_letter": b"d", "dead_letter_expired": True},
        ),
        (b"auto-delete:true\n", {"dies_with_consumer": True, "idle_drops": True}),
        (b"x-max-priority:10\nauto-delete:false\ndurable:true\nx-dead-letter-exchange:\n", {}),
    ],
)
def test_what_clients_declare(face: Face, headers: bytes, policy: dict[str, Any], is_sender: bool) -> None:
    house = face.House()
    client = face.Client(house)
    client.say(send(b"/queue/b", b"x"))
    client.say(send(QUEUE, b"x", headers) if is_sender else subscribe(b"1", QUEUE, headers))
    assert house.policy(b"a") == {**house.policy(b"b"), **policy}


def test_the_limits_of_the_operator_stay(face: Face) -> None:
    limits = {"max_ttl": 1000, "ttl": 700, "max_messages": 10, "idle_timeout": 2000}
    house = face.House(queues=[("a", limits)])
    connected(face, house, QUEUE, b"x-message-ttl:5000\nx-max-length:5\nx-expires:9000\n")
    assert house.policy(b"a").items() >= {"max_ttl": 1000, "max_messages": 5, "idle_timeout": 2000}.items()
    house = face.House(queues=[("a", limits)])
    connected(face, house, QUEUE, b"x-message-ttl:500\nx-max-length:50\n")
    assert house.policy(b"a").items() >= {"max_ttl": 500, "ttl": 500, "max_messages": 10}.items()


@pytest.mark.parametrize("way", ["same route", "another client", "SUBSCRIBE"])
def test_a_contradiction_is_refused(face: Face, house: Face, way: str) -> None:
    first = face.Client(house)
    first.say(send(QUEUE, b"x", b"x-message-ttl:500\nx-max-length:7\n"))
    first.say(send(QUEUE, b"x"))
    first.say(send(QUEUE, b"x", b"n:1\nx-max-length:7\n"))
    other = first if way == "same route" else face.Client(house)
    frame = subscribe(b"1", QUEUE, b"x-message-ttl:501\n")
    frame = frame if way == "SUBSCRIBE" else send(QUEUE, b"x", b"x-message-ttl:501\n")
    for _ in range(2):  # also where the same header lines come again
        with pytest.raises(Refused, match="bad header") as refused:
            other.say(frame)
        assert b"x-message-ttl:501" in refused.value.args[1]
        assert b"x-message-ttl:500" in refused.value.args[1]
    assert house.queue(b"a") == (3, 0, 0)


def test_a_sender_adds_nothing_to_a_queue_in_use(face: Face, house: Face) -> None:
    """Or it could do away with what others have put there."""
    sender = face.Client(house)
    sender.say(send(QUEUE, b"x"))
    for headers in (b"x-expires:1\n", b"x-max-length:1\n", b"auto-delete:true\n"):
        with pytest.raises(Refused, match="bad header") as refused:
            sender.say(send(QUEUE, b"x", headers))
        assert b"nothing" in refused.value.args[1]
    sender.say(send(QUEUE, b"x", b"auto-delete:false\nx-max-priority:10\n"))
    consumer = connected(face, house, QUEUE, b"x-expires:500\n")
    assert house.policy(b"a")["idle_timeout"] == 500
    assert bodies(consumer.hear()) == [b"x", b"x"]
    consumer.leave()
    sender.say(send(QUEUE, b"x", b"x-max-length:5\n"))  # nobody uses it now
    assert house.policy(b"a").items() >= {"idle_timeout": 500, "max_messages": 5}.items()


@pytest.mark.parametrize(
    "line",
    [
        b"x-message-ttl:soon",
        b"x-message-ttl:0",
        b"x-expires:-1",
        b"x-max-length:99999999999",
        b"x-max-length-bytes:",
        b"x-overflow:reject-publish-dlx",
        b"x-dead-letter-exchange:dead",
        b"x-dead-letter-routing-key:",
        b"x-dead-letter-routing-key:a",
        b"x-dead-letter-routing-key:{name}",
        b"x-dead-letter-routing-key:/reply-queue/0",
        b"x-max-priority:256",
        b"auto-delete:maybe",
    ],
)
def test_what_says_nothing_is_refused(face: Face, house: Face, line: bytes) -> None:
    client = face.Client(house)
    for frame in (send(QUEUE, b"x", line + b"\n"), subscribe(b"1", QUEUE, line + b"\n")):
        with pytest.raises(Refused, match="bad header") as refused:
            client.say(frame)
        assert line.partition(b":")[0] in refused.value.args[1]
    assert house.stats["subscriptions"] == 0


def test_dead_letters_go_only_to_where_one_may_send(face: Face) -> None:
    house = face.House(authorize=lambda who, action, destination: destination != "/queue/secret")
    client = face.Client(house)
    headers = b"x-dead-letter-routing-key:secret\n"
    for frame in (send(QUEUE, b"x", headers), subscribe(b"1", QUEUE, headers)):
        with pytest.raises(Refused, match="access refused"):
            client.say(frame)


def test_temporary_queues_and_topics_are_not_declared(face: Face, house: Face) -> None:
    client = face.Client(house)
    for destination in (b"/temp-queue/t", b"/topic/t"):
        client.say(subscribe(destination, destination, b"auto-delete:true\nx-expires:1\nack:client\n"))
        client.say(send(destination, b"x", b"auto-delete:true\nx-expires:1\n"))
        house.advance(1000)
    assert len(bodies(client.hear())) == 2


def test_declarations_are_counted_and_free_again(face: Face, house: Face) -> None:
    sender, before = face.Client(house), house.stats["memory"]
    for number in range(1000):
        sender.say(send(b"/queue/%d" % number, b"x", b"x-expires:5000\nx-dead-letter-routing-key:d\n"))
    assert house.stats["memory"] - before > 1000 * 1500
    sender.say(send(b"/topic/none", b""))
    house.advance(6000)
    for _ in range(10):
        house.turn()
    assert house.stats["queues"] == 0
    assert house.stats["memory"] < before + 10_000


def test_a_declaration_costs_what_it_takes(face: Face, house: Face) -> None:
    """Long names of dead-letter queues would fill ten times the memory that there may be."""
    sender, before = face.Client(house), house.stats["memory"]
    tracemalloc.start()
    for number in range(200):
        sender.say(send(b"/queue/%d" % number, b"x", b"x-expires:5000\nx-dead-letter-routing-key:%b\n" % (b"d" * 8000)))
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert house.stats["memory"] - before > taken > 200 * 8000
    sender.say(send(b"/topic/none", b""))
    house.advance(6000)
    for _ in range(10):
        house.turn()
    assert house.stats["memory"] < before + 10_000


def test_who_declares_the_same_pays_once(face: Face, house: Face) -> None:
    """Its header lines may differ in all else."""
    sender = face.Client(house)
    sender.say(send(QUEUE, b"x", b"n:0\nx-max-length:1000\n"))
    routes = house.stats["routes"]
    for number in range(100):
        sender.say(send(QUEUE, b"x", b"n:%d\nx-max-length:1000\n" % number))
    assert house.stats["routes"] == routes
    assert house.queue(b"a") == (101, 0, 0)


def test_a_sender_declares_anew_what_follows_a_topic(face: Face, house: Face) -> None:
    """It is in use as soon as it is there; nobody has put anything into it."""
    queue, headers = b"/queue/Consumer.A.VirtualTopic.B", b"auto-delete:true\n"
    client = connected(face, house, queue, headers)
    client.say(send(queue, b"1", headers))
    house.turn()
    assert bodies(client.hear()) == [b"1"]
    client.say(b"UNSUBSCRIBE\nid:1\n\n\0")
    house.turn()
    assert house.queue(queue[7:]) is None
    client.say(send(queue, b"2", headers))
    assert house.queue(queue[7:])[0] == 1
