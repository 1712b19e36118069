"""One SUBSCRIBE to several destinations: queues that match a pattern, and destinations with commas between."""

from __future__ import annotations

from typing import Any

import pytest
from broker_frames import Message, ack, bodies, messages, send, subscribe
from hypothesis import given
from hypothesis import strategies as st

from fastbroker.core.frame import Refused
from fastbroker.core.trie import matches_pattern

Face = Any  # of a module that the type checker knows nothing of

NACK_DELAY = 1000
IDLE = 100_000
UNPARK_SLICE = 4 << 20  # what frames that waited may cause before others are served
QUEUES = [b"a.1", b"a.2", b"a.b.1", b"b.1"]
DESTINATIONS = [
    b"/queue/a.1",
    b"/queue/b.1",
    b"/queue/a.*",
    b"/queue/a.>",
    b"/queue/#",
    b"/queue/*.1",
    b"/queue/a.1,/queue/b.1",
    b"/queue/b.1,/queue/a.*,/queue/a.>",
    b"/queue/a.2,/queue/a.*",
]


@pytest.fixture
def house(face: Face) -> Face:
    return new_house(face)


def new_house(face: Face, **settings: Any) -> Face:
    usual = {"nack_delay": NACK_DELAY, "queue_idle_timeout": IDLE, "redelivery_delay": 0, "max_deliveries": 0}
    return face.House(**{**usual, **settings})


def consumer(face: Face, house: Face, destination: bytes, headers: bytes = b"", id: bytes = b"1") -> Face:
    client = face.Client(house)
    client.say(subscribe(id, destination, headers))
    house.turn()
    return client


def individual(credit: int) -> bytes:
    return b"ack:client-individual\nprefetch-count:%d\n" % credit


def cumulative(credit: int) -> bytes:
    return b"ack:client\nprefetch-count:%d\n" % credit


def publish(face: Face, house: Face, *sent: tuple[bytes, bytes], headers: bytes = b"") -> None:
    client = face.Client(house)
    client.say(b"".join(send(destination, body, headers) for destination, body in sent))
    client.leave()
    house.turn()


def heard(client: Face) -> list[Message]:
    return messages(client.hear())


# ---- against a model ----

modes = st.sampled_from(["client", "client-individual"] * 4 + ["auto"])  # `auto` leaves nothing for the others
picks = st.integers(0, 100)
steps = st.one_of(
    st.tuples(st.just("publish"), st.integers(0, len(QUEUES) - 1), st.integers(1, 3)),
    st.tuples(
        st.just("join"), st.integers(0, len(DESTINATIONS) - 1), modes, st.integers(1, 4), st.sampled_from([1, 1, 2, 3])
    ),
    st.tuples(st.sampled_from(["ack", "nack", "commit", "abort"]), picks, picks),
    st.tuples(st.sampled_from(["unsubscribe", "reset"]), picks),
    st.tuples(st.just("wait")),
)


class Consumer:
    def __init__(self, face: Face, house: Face, destination: bytes, mode: str, credit: int, divisor: int) -> None:
        self.client = face.Client(house)
        self.divisor = divisor  # of the numbers that it wants
        self.patterns = [part.removeprefix(b"/queue/") for part in destination.split(b",")]
        self.named = {part for part in self.patterns if part in QUEUES}
        self.cumulative = mode == "client"
        self.credit = credit if mode != "auto" else 10**9
        self.held: list[tuple[bytes, int, bytes]] = []  # queue, number, ack id: in the order of delivery
        choice = b"selector:n %% %d = 0\n" % divisor if divisor > 1 else b""
        self.client.say(
            subscribe(b"1", destination, b"ack:%b\nprefetch-count:%d\n%b" % (mode.encode(), credit, choice))
        )

    def consumes(self, queue: bytes) -> bool:
        return any(matches_pattern(pattern, queue) for pattern in self.patterns)

    def wants(self, queue: bytes, number: int) -> bool:
        return self.consumes(queue) and number % self.divisor == 0


class Model:
    """What waits in each queue, and what each consumer has."""

    def __init__(self, face: Face) -> None:
        self.face = face
        self.house = new_house(face)
        self.sender = face.Client(self.house)
        self.ready: dict[bytes, list[int]] = {queue: [] for queue in QUEUES}
        self.had: set[int] = set()
        self.consumers: list[Consumer] = []
        self.count = 0

    def do(self, step: tuple[Any, ...]) -> None:
        what, *rest = step
        if what == "publish":
            self.publish(QUEUES[rest[0]], rest[1])
        elif what == "join":
            self.consumers.append(Consumer(self.face, self.house, DESTINATIONS[rest[0]], *rest[1:]))
        elif what == "wait":
            self.house.advance(IDLE + 1000)
        elif self.consumers:
            self.do_with(what, self.consumers[rest[0] % len(self.consumers)], *rest[1:])
        self.house.advance(NACK_DELAY + 100)
        self.check()

    def publish(self, queue: bytes, count: int) -> None:
        for _ in range(count):
            self.count += 1
            self.ready[queue].append(self.count)
            self.sender.say(send(b"/queue/" + queue, b"%b %d" % (queue, self.count), b"n:%d\n" % self.count))

    def do_with(self, what: str, consumer: Consumer, pick: int = 0) -> None:
        if what in ("unsubscribe", "reset"):
            self.consumers.remove(consumer)
            consumer.client.say(b"UNSUBSCRIBE\nid:1\n\n\0") if what == "unsubscribe" else consumer.client.leave()
            self.give_back(consumer.held)
        elif consumer.held:
            self.settle(what, consumer, pick % len(consumer.held))

    def settle(self, what: str, consumer: Consumer, place: int) -> None:
        settled = consumer.held[: place + 1] if consumer.cumulative else [consumer.held[place]]
        name = consumer.held[place][2]
        if what in ("ack", "nack"):
            consumer.client.say(ack(name, what.upper().encode()))
        else:
            end = b"%b\ntransaction:t\n\n\0" % what.upper().encode()
            consumer.client.say(b"BEGIN\ntransaction:t\n\n\0" + ack(name, headers=b"transaction:t\n") + end)
        if what != "abort":
            consumer.held = [each for each in consumer.held if each not in settled]
        if what == "nack":
            self.give_back(settled)

    def give_back(self, deliveries: list[tuple[bytes, int, bytes]]) -> None:
        for queue, number, _ in deliveries:
            self.ready[queue] = sorted([*self.ready[queue], number])

    def check(self) -> None:
        came = [(consumer, *delivery) for consumer in self.consumers for delivery in self.hear(consumer)]
        for _, queue, number in came:
            self.ready[queue].remove(number)
        for consumer, queue, number in came:
            assert not [each for each in self.ready[queue] if each < number and consumer.wants(queue, each)], (
                "what stands in front goes first"
            )
        able = [each for each in self.consumers if len(each.held) < each.credit]
        for queue, waiting in self.ready.items():
            wanted = [number for number in waiting if any(each.wants(queue, number) for each in able)]
            assert not wanted, f"{queue!r} has {wanted}, and somebody could take it"
            assert (self.house.queue(queue) or (0, 0, 0)) == self.expected(queue)

    def hear(self, consumer: Consumer) -> list[tuple[bytes, int]]:
        before: dict[bytes, int] = {}
        came = []
        for message in heard(consumer.client):
            queue, number = message.body.split(b" ")
            assert message.headers[b"destination"] == b"/queue/" + queue
            assert message.subscription == b"1" and consumer.wants(queue, int(number))
            assert message.redelivered == (int(number) in self.had)
            assert before.get(queue, 0) < int(number), "in order"
            before[queue] = int(number)
            came.append((queue, int(number)))
            self.had.add(int(number))
            if message.ack:
                consumer.held.append((queue, int(number), message.ack))
        assert len(consumer.held) <= consumer.credit
        return came

    def expected(self, queue: bytes) -> tuple[int, int, int]:
        held = sum(each[0] == queue for consumer in self.consumers for each in consumer.held)
        return len(self.ready[queue]), held, sum(queue in consumer.named for consumer in self.consumers)

    def end(self) -> None:
        for consumer in self.consumers:
            consumer.client.leave()
        self.house.turn()
        assert self.house.stats["deliveries"] == 0
        assert self.house.stats["subscriptions"] == 0


@given(st.lists(steps, max_size=40))
def test_nothing_is_lost_doubled_or_out_of_turn(face: Face, steps: list[tuple[Any, ...]]) -> None:
    model = Model(face)
    for step in steps:
        model.do(step)
    model.end()


# ---- queues that match a pattern ----


def test_a_queue_is_joined_whenever_it_is_made(face: Face, house: Face) -> None:
    publish(face, house, (b"/queue/a.1", b"before"))
    client = consumer(face, house, b"/queue/a.*")
    publish(face, house, (b"/queue/a.2", b"behind"), (b"/queue/b.1", b"elsewhere"), (b"/queue/a.1", b"again"))
    got = heard(client)
    assert [message.body for message in got] == [b"before", b"again", b"behind"]
    assert [message.headers[b"destination"] for message in got] == [b"/queue/a.1", b"/queue/a.1", b"/queue/a.2"]


@pytest.mark.parametrize("pattern", [b"/queue/a.**", b"/queue/a.#", b"queue://a.>", b"/queue/*.1.x", b"/queue/>"])
def test_patterns_are_those_of_topics(face: Face, house: Face, pattern: bytes) -> None:
    client = consumer(face, house, pattern)
    publish(face, house, (b"/queue/a.1.x", b"x"), (b"a.1.x", b"y"))
    assert bodies(client.hear()) == [b"x", b"y"]


def test_dead_letters_are_caught_as_any(face: Face, house: Face) -> None:
    client = consumer(face, house, b"/queue/>", individual(10))
    publish(face, house, (b"/queue/a", b"bad"))
    (message,) = heard(client)
    client.say(ack(message.ack, b"NACK", b"requeue:false\n"))
    house.turn()
    (dead,) = heard(client)
    assert dead.headers[b"destination"] == b"/queue/DLQ.a"


def test_queues_take_turns(face: Face, house: Face) -> None:
    """However much one of them has."""
    publish(face, house, *[(b"/queue/a.%d" % number, b"%d" % number) for number in range(5) for _ in range(40)])
    client = consumer(face, house, b"/queue/a.*", individual(2))
    got = []
    while len(got) < 100:
        for message in heard(client):
            got.append(message.body)
            client.say(ack(message.ack))
        house.turn()
    assert all(15 <= got.count(b"%d" % number) <= 25 for number in range(5))


def test_queues_take_turns_at_an_output_that_is_full(face: Face) -> None:
    house = new_house(face, outbound_soft=4096, outbound_hard=65536)
    publish(face, house, *[(b"/queue/a.%d" % number, b"%d" % number * 100) for number in range(5) for _ in range(400)])
    client = consumer(face, house, b"/queue/a.*")
    got = []
    while len(got) < 1000:
        got += [message.body[:1] for message in heard(client)]
        house.turn()
    assert all(150 <= got[:1000].count(b"%d" % number) <= 250 for number in range(5))


def test_one_that_is_never_empty_starves_no_other(face: Face, house: Face) -> None:
    publish(face, house, (b"/queue/a.2", b"rare"))
    publish(face, house, *[(b"/queue/a.1", b"often")] * 30)
    client = consumer(face, house, b"/queue/a.*", individual(1))
    for _ in range(3):
        (message,) = heard(client)
        client.say(ack(message.ack) + send(b"/queue/a.1", b"often"))
        house.turn()
        if message.body == b"rare":
            return
    pytest.fail("it was never given the other queue's")


def test_a_queue_that_nobody_else_uses_goes_and_comes_again(face: Face, house: Face) -> None:
    client = consumer(face, house, b"/queue/a.*", individual(10))
    charged = client.charged
    for round in range(3):
        publish(face, house, (b"/queue/a.1", b"%d" % round))
        (message,) = heard(client)
        house.advance(IDLE + 1000)
        assert house.queue(b"a.1") == (0, 1, 0), "it has something that is not settled"
        client.say(ack(message.ack))
        house.advance(IDLE - 1000)
        assert house.queue(b"a.1") == (0, 0, 0)
        house.advance(2000)
        assert house.queue(b"a.1") is None
        assert client.charged <= charged + 1024  # the ledger has grown


def test_its_days_are_counted_from_its_last_message(face: Face, house: Face) -> None:
    client = consumer(face, house, b"/queue/a.*")
    for _ in range(3):
        publish(face, house, (b"/queue/a.1", b"x"))
        house.advance(IDLE - 1000)
        assert house.queue(b"a.1") == (0, 0, 0)
    assert len(heard(client)) == 3
    house.advance(2000)
    assert house.queue(b"a.1") is None


def test_a_queue_that_drops_what_it_holds_does_not_while_somebody_is_there(face: Face) -> None:
    house = new_house(face, queues=[("#", {"idle_timeout": 1000, "idle_drops": True})])
    client = consumer(face, house, b"/queue/a.*", individual(1))
    publish(face, house, (b"/queue/a.1", b"1"), (b"/queue/a.1", b"2"), (b"/queue/b", b"3"))
    house.advance(10_000)
    assert house.queue(b"a.1") == (1, 1, 0) and house.queue(b"b") is None
    client.leave()
    house.advance(10_000)
    assert house.queue(b"a.1") is None


def test_a_queue_may_go_with_its_last_consumer_and_what_another_has(face: Face) -> None:
    """It goes though somebody has something of it; many times."""
    house = new_house(face, queues=[("#", {"dies_with_consumer": True})])
    client = consumer(face, house, b"/queue/a.*", individual(1000))
    charged = client.charged
    for number in range(100):
        only = consumer(face, house, b"/queue/a.1", individual(1))
        publish(face, house, (b"/queue/a.1", b"x"), (b"/queue/a.1", b"y"))
        only.leave()
        house.turn()
        assert house.queue(b"a.1") is None, number
    got = heard(client)
    assert len(got) >= 100
    assert client.charged - charged > 100 * 640, "who consumed it is held as long as that is not settled"
    for message in got:
        client.say(ack(message.ack))
    house.turn()
    assert house.stats["deliveries"] == 0
    publish(face, house, (b"/queue/a.2", b"x"))
    assert client.charged - charged < 20 * 640
    client.say(b"UNSUBSCRIBE\nid:1\n\n\0")
    assert client.charged - charged < 10 * 640, "but what the ledger keeps"
    client.leave()


def test_many_queues_are_joined_some_at_a_time(face: Face, house: Face) -> None:
    count = 3000
    publish(face, house, *[(b"/queue/a.%d" % number, b"%d" % number) for number in range(count)])
    client = face.Client(house)
    client.say(subscribe(b"1", b"/queue/a.*"))
    before = house.stats["work"]
    house.turn()
    assert house.stats["work"] - before > count * 128, "it is counted"
    got = set(bodies(client.hear()))
    while len(got) < count:
        house.turn()
        more = bodies(client.hear())
        assert more
        got.update(more)
    assert client.charged > count * 256, "and charged"
    client.leave()
    assert house.stats["subscriptions"] == 0


def test_others_are_served_while_many_are_joined(face: Face, house: Face) -> None:
    publish(face, house, *[(b"/queue/a.%d" % number, b"x") for number in range(2000)])
    house.share(0)
    client = face.Client(house)
    client.say(subscribe(b"1", b"/queue/>"))
    client.leave()  # before any of it is done
    house.turn()
    assert house.queued == (2000, 2000)


def test_at_the_memory_ceiling_none_is_joined(face: Face) -> None:
    house = new_house(face, memory=4 << 20)
    client = consumer(face, house, b"/queue/a.*", individual(1))
    drain = consumer(face, house, b"/queue/b.*", individual(1))
    publish(face, house, (b"/queue/a.0", b"0"), *[(b"/queue/b.%d" % number, b"") for number in range(8)])
    number = 0
    while not house.is_full[1]:
        number += 1
        house.publish(b"/queue/b.%d" % (number % 8), b"x" * 1000)
        if number % 100 == 0:
            house.publish(b"/queue/a.%d" % number, b"a")
    charged = client.charged
    house.turn()
    house.advance(5000)
    assert client.charged <= charged + 4096
    while house.is_full[1]:
        for message in heard(drain):
            drain.say(ack(message.ack))
        house.turn()
    house.advance(2000)
    assert client.charged > charged


@pytest.mark.parametrize("mode", [individual(2), cumulative(2)])
@pytest.mark.parametrize("end", ["unsubscribe", "leave"])
def test_what_is_not_settled_stands_where_it_stood(face: Face, house: Face, mode: bytes, end: str) -> None:
    publish(face, house, *[(b"/queue/a.%d" % (n % 2), b"%d" % n) for n in range(6)])
    client = consumer(face, house, b"/queue/a.*", mode)
    assert len(heard(client)) == 2
    client.say(b"UNSUBSCRIBE\nid:1\n\n\0") if end == "unsubscribe" else client.leave()
    house.turn()
    for queue, expected in ((b"a.0", [b"0", b"2", b"4"]), (b"a.1", [b"1", b"3", b"5"])):
        assert bodies(consumer(face, house, b"/queue/" + queue).hear()) == expected


def test_what_comes_back_slowly_is_waited_for(face: Face, house: Face) -> None:
    """Another consumer gets nothing that stands behind it."""
    publish(face, house, *[(b"/queue/a.%d" % (n % 3), b"%d" % n) for n in range(60)])
    client = consumer(face, house, b"/queue/a.*", individual(50))
    assert len(heard(client)) == 50
    other = consumer(face, house, b"/queue/a.1", individual(1))
    house.share(0)
    client.say(b"UNSUBSCRIBE\nid:1\n\n\0")
    house.turn()
    assert client.unfinished and not heard(other)
    house.share(1 << 20)
    client.carry_on()
    house.turn()
    assert bodies(other.hear()) == [b"1"]


def test_frames_that_waited_for_memory_wait_for_what_comes_back_too(face: Face) -> None:
    """An ACK among them is for a delivery on its way back, of which its queue would hear nothing any more."""
    house = new_house(face, memory=4 << 20)
    publish(face, house, *[(b"/queue/a.%d" % (n % 2), b"%d" % n) for n in range(20)])
    client, filler = consumer(face, house, b"/queue/a.*", individual(50)), face.Client(house)
    had = heard(client)
    filler.say(subscribe(b"0", b"/queue/fill", b"ack:client\ncredit:60000\n"))
    while not house.is_full[0]:
        house.publish(b"/queue/fill", b"x" * 1000)
    client.say(b"BEGIN\ntransaction:t\n\n\0" + send(b"/topic/none", b"x" * (UNPARK_SLICE - 3600)))
    client.say(b"UNSUBSCRIBE\nid:1\n\n\0" + ack(had[-1].ack))
    filler.say(ack(messages(filler.hear())[-1].ack))
    client.unpark()
    assert client.unfinished
    client.unpark()
    assert client.unfinished and client.parked
    client.carry_on()
    other = consumer(face, house, b"/queue/a.1", individual(50))
    assert bodies(other.hear()) == [b"%d" % n for n in range(1, 20, 2)]


@pytest.mark.parametrize("end", [b"COMMIT", b"ABORT"])
def test_a_transaction_outlives_the_subscription(face: Face, house: Face, end: bytes) -> None:
    publish(face, house, (b"/queue/a.1", b"1"), (b"/queue/a.2", b"2"), (b"/queue/a.3", b"3"))
    client = consumer(face, house, b"/queue/a.*", cumulative(10))
    got = heard(client)
    client.say(b"BEGIN\ntransaction:t\n\n\0" + ack(got[1].ack, headers=b"transaction:t\n"))
    client.say(b"UNSUBSCRIBE\nid:1\n\n\0")
    house.turn()
    assert house.stats["deliveries"] == 2
    client.say(b"%b\ntransaction:t\n\n\0" % end)
    house.turn()
    assert house.queued[0] == (1 if end == b"COMMIT" else 3)
    assert house.stats["deliveries"] == 0


def test_one_that_refused_is_spared_and_the_others_go_on(face: Face, house: Face) -> None:
    publish(face, house, (b"/queue/a.1", b"1"), (b"/queue/a.2", b"2"))
    client = consumer(face, house, b"/queue/a.*", individual(1))
    (first,) = heard(client)
    client.say(ack(first.ack, b"NACK"))
    house.turn()
    (second,) = heard(client)
    assert {first.body, second.body} == {b"1", b"2"}
    house.advance(NACK_DELAY + 100)  # it may come again, but there is no credit
    client.say(ack(second.ack))
    house.turn()
    (again,) = heard(client)
    assert again.body == first.body and again.redelivered


def test_a_higher_priority_comes_first_in_every_queue(face: Face, house: Face) -> None:
    low = consumer(face, house, b"/queue/a.1", individual(10))
    high = consumer(face, house, b"/queue/a.*", individual(2) + b"x-priority:5\n")
    publish(face, house, *[(b"/queue/a.1", b"%d" % n) for n in range(4)])
    assert bodies(high.hear()) == [b"0", b"1"]
    assert bodies(low.hear()) == [b"2", b"3"]


def test_an_exclusive_one_has_all_of_every_queue(face: Face, house: Face) -> None:
    only = consumer(face, house, b"/queue/a.*", individual(1) + b"exclusive:true\n")
    publish(face, house, (b"/queue/a.1", b"1"), (b"/queue/a.2", b"2"))
    other = consumer(face, house, b"/queue/a.>", individual(5))
    publish(face, house, (b"/queue/a.1", b"3"))
    (first,) = heard(only)
    assert not heard(other)
    only.say(ack(first.ack))
    house.turn()
    assert len(heard(only)) == 1 and not heard(other)
    only.leave()
    house.turn()
    assert len(heard(other)) == 2


def test_what_may_not_be_read_is_left_out(face: Face) -> None:
    asked = []

    def may(_identity: object, action: str, destination: str) -> bool:
        asked.append((action, destination))
        if destination == "/queue/a.broken":
            raise ValueError
        return destination != "/queue/a.secret"

    house = new_house(face, authorize=may)
    client = consumer(face, house, b"/queue/a.*")
    for name in (b"open", b"secret", b"broken"):
        house.publish(b"/queue/a." + name, name)
        house.turn()
    assert bodies(client.hear()) == [b"open"]
    assert ("subscribe", "/queue/a.*") in asked and ("subscribe", "/queue/a.secret") in asked


@pytest.mark.parametrize("name", [b"a." + b"x." * 70 + b"x", b"a." + b"x" * 300])
def test_what_is_too_long_matches_nothing(face: Face, house: Face, name: bytes) -> None:
    client = consumer(face, house, b"/queue/a.>")
    publish(face, house, (b"/queue/" + name, b"x"), (b"/queue/a.1", b"y"))
    assert bodies(client.hear()) == [b"y"]
    client.leave()
    assert bodies(consumer(face, house, b"/queue/a.>").hear()) == []


def test_a_send_to_a_pattern_stays_an_error(face: Face, house: Face) -> None:
    consumer(face, house, b"/queue/a.*")
    with pytest.raises(Refused, match="pattern not allowed"):
        face.Client(house).say(send(b"/queue/a.*", b"x"))


@pytest.mark.parametrize(
    ("pattern", "headers", "word"),
    [(b"/queue/a.#.#.#", b"", "valid"), (b"/queue/a.*", b"x-expires:5000\n", "x-expires")],
)
def test_what_a_pattern_cannot_be(face: Face, house: Face, pattern: bytes, headers: bytes, word: str) -> None:
    client = face.Client(house)
    charged = client.charged
    with pytest.raises(Refused, match=word):
        client.say(subscribe(b"1", pattern, headers))
    assert client.charged == charged and house.stats["subscriptions"] == 0
    publish(face, house, (b"/queue/a.1", b"x"))
    assert house.queue(b"a.1") == (1, 0, 0)


# ---- composite ----


def test_topics_and_queues_are_one_subscription(face: Face, house: Face) -> None:
    client = consumer(face, house, b"/queue/a,/topic/b,c.*,topic://d", individual(2))
    publish(face, house, *[(each, each) for each in (b"/queue/a", b"/topic/b", b"/topic/c.1", b"/topic/d")])
    got = heard(client)
    assert len(got) == 2
    while got:
        assert got[0].subscription == b"1"
        client.say(ack(got.pop(0).ack))
        house.turn()
        got += heard(client)
    assert client.messages == 4
    client.say(b"UNSUBSCRIBE\nid:1\n\n\0")
    publish(face, house, (b"/queue/a", b"x"), (b"/topic/b", b"x"))
    assert not heard(client) and house.stats["subscriptions"] == 0


@pytest.mark.parametrize("headers", [b"", individual(10), cumulative(10)])
@pytest.mark.parametrize("parts", [b"/topic/a.*,/topic/a.1", b"/topic/a.>,/topic/a.*,/topic/a.1,/topic/a.1"])
def test_a_message_that_matches_twice_comes_once(face: Face, house: Face, headers: bytes, parts: bytes) -> None:
    client = consumer(face, house, parts, headers)
    other = consumer(face, house, parts, headers)
    for _ in range(2):
        publish(face, house, (b"/topic/a.1", b"x"), (b"/topic/a.2", b"y"))
        for each in (client, other):
            assert sorted(bodies(each.hear())) == [b"x", b"y"]
        client.say(subscribe(b"2", b"/topic/elsewhere"))  # audiences are matched anew
        client.say(b"UNSUBSCRIBE\nid:2\n\n\0")


def test_a_queue_that_is_named_twice_is_consumed_once(face: Face, house: Face) -> None:
    client = consumer(face, house, b"/queue/a.1,/queue/a.*,a.1,queue://a.1", individual(10))
    publish(face, house, (b"/queue/a.1", b"x"))
    assert house.queue(b"a.1") == (0, 1, 1)
    client.leave()
    house.turn()
    assert house.queue(b"a.1") == (1, 0, 0)


def test_cumulative_acks_reach_over_all_parts(face: Face, house: Face) -> None:
    client = consumer(face, house, b"/queue/a,/topic/b,/queue/c", cumulative(10))
    publish(face, house, (b"/queue/a", b"1"), (b"/topic/b", b"2"), (b"/queue/c", b"3"), (b"/topic/b", b"4"))
    got = heard(client)
    assert len(got) == 4
    client.say(ack(got[2].ack))
    assert house.stats["deliveries"] == 1 and client.knows(got[3].ack)


@pytest.mark.parametrize(
    "parts",
    [
        b"/queue/new,/reply-queue/x",
        b"/queue/new,/presence/x",
        b"/queue/new,/amq/queue/none",
        b"/queue/new,/topic/a.#.#.#",
        b"/queue/new,/exchange/amq.direct/a.*",
        b"/topic/new,/queue/a.#.#.#",
        b"/queue/new,/temp-queue/",
    ],
)
def test_a_part_that_is_refused_leaves_nothing_of_the_others(face: Face, house: Face, parts: bytes) -> None:
    client = face.Client(house)
    charged = client.charged
    with pytest.raises(Refused):
        client.say(subscribe(b"1", parts, individual(1)))
    assert house.queue(b"new") is None
    assert house.stats["subscriptions"] == 0 and client.charged == charged


@pytest.mark.parametrize(
    "header",
    [
        b"durable:true",
        b"persistent:true",
        b"durable-subscription-name:x",
        b"durable-subscriber-name:x",
        b"activemq.subscriptionName:x",
        b"subscription-group:x",
        b"since:epoch-1",
        b"last:1",
        b"from-seq:1",
        b"x-queue-name:x",
        b"x-expires:1000",
    ],
)
@pytest.mark.parametrize("parts", [b"/topic/a,/topic/b", b"/queue/a,/queue/b", b"/topic/a,/queue/b"])
def test_what_is_for_one_destination_is_refused(face: Face, house: Face, header: bytes, parts: bytes) -> None:
    with pytest.raises(Refused, match=header.partition(b":")[0].decode()):
        face.Client(house, headers=b"client-id:c\n").say(subscribe(b"1", parts, header + b"\n"))
    assert house.queue(b"a") is None


def test_what_is_false_asks_for_nothing(face: Face, house: Face) -> None:
    client = consumer(face, house, b"/topic/a,/topic/b", b"durable:false\nx-queue-name:\n")
    publish(face, house, (b"/topic/a", b"x"))
    assert bodies(client.hear()) == [b"x"]


@pytest.mark.parametrize("headers", [b"", individual(10)])
def test_a_selector_is_for_all_topics(face: Face, house: Face, headers: bytes) -> None:
    client = consumer(face, house, b"/topic/a,/topic/b", headers + b"selector:color = 'red'\n")
    for color in (b"red", b"blue"):
        publish(face, house, (b"/topic/a", color), (b"/topic/b", color), headers=b"color:%b\n" % color)
    assert bodies(client.hear()) == [b"red", b"red"]


def test_what_was_retained_comes_of_all_parts(face: Face, house: Face) -> None:
    publish(face, house, (b"/topic/a", b"1"), (b"/topic/b", b"2"), headers=b"retain:set\n")
    for headers in (b"", individual(1)):
        client = consumer(face, house, b"/topic/a,/topic/b", headers)
        got = []
        for _ in range(4):
            more = heard(client)
            got += [message.body for message in more]
            for message in more:
                if message.ack:
                    client.say(ack(message.ack))
            house.turn()
        assert sorted(got) == [b"1", b"2"]
        client.leave()


def test_a_slow_reader_gets_all_of_its_topics(face: Face) -> None:
    house = new_house(face, outbound_soft=4096, outbound_hard=16384, policies=[("#", "drop-oldest")])
    client = consumer(face, house, b"/topic/a,/topic/b")
    sent = [(b"/topic/" + b"ab"[n % 2 : n % 2 + 1], b"%d" % n + b"x" * 500) for n in range(20)]
    publish(face, house, *sent)
    client.give_up()
    got = []
    for _ in range(10):
        got += bodies(client.hear())
        house.turn()
    assert sorted(got) == sorted(body for _, body in sent)


def test_a_temporary_queue_may_be_a_part(face: Face, house: Face) -> None:
    client = consumer(face, house, b"/temp-queue/x,/queue/a")
    client.say(b"SEND\ndestination:/temp-queue/x\n\nhello\0")
    house.turn()
    assert bodies(client.hear()) == [b"hello"]


def test_those_who_are_there_are_told_for_each_topic(face: Face) -> None:
    house = new_house(face, presence=["#"])
    watcher = consumer(face, house, b"/presence/b")
    house.advance(1000)
    watcher.hear()
    client = consumer(face, house, b"/topic/a,/topic/b")
    house.advance(1000)
    assert [message.headers[b"event"] for message in heard(watcher)] == [b"joined"]
    client.say(b"UNSUBSCRIBE\nid:1\n\n\0")
    house.advance(1000)
    assert [message.headers[b"event"] for message in heard(watcher)] == [b"left"]


def test_access_is_asked_for_each_part(face: Face) -> None:
    house = new_house(face, authorize=lambda _identity, _action, destination: destination != "/queue/b")
    client = face.Client(house)
    with pytest.raises(Refused, match="/queue/b"):
        client.say(subscribe(b"1", b"/topic/a,/queue/b"))
    assert house.stats["subscriptions"] == 0


def test_it_is_found_by_its_destination(face: Face, house: Face) -> None:
    client = face.Client(house, b"1.0")
    client.say(b"SUBSCRIBE\ndestination:/queue/a,/queue/b\nack:client\n\n\0")
    publish(face, house, (b"/queue/a", b"x"), (b"/queue/b", b"y"))
    got = heard(client)
    client.say(b"ACK\nmessage-id:%b\n\n\0" % got[-1].headers[b"message-id"])
    assert house.stats["deliveries"] == 0
    client.say(b"UNSUBSCRIBE\ndestination:/queue/a,/queue/b\n\n\0")
    assert house.stats["subscriptions"] == 0


# ---- choosing ----


@pytest.mark.parametrize("destination", [b"/queue/a.*", b"/queue/a.1,/queue/a.2"])
@pytest.mark.parametrize("headers", [b"", individual(10), cumulative(10)])
def test_a_selector_is_for_all_queues(face: Face, house: Face, destination: bytes, headers: bytes) -> None:
    client = consumer(face, house, destination, headers + b"selector:color = 'red'\n")
    for color in (b"red", b"blue"):
        publish(face, house, (b"/queue/a.1", color), (b"/queue/a.2", color), headers=b"color:%b\n" % color)
    assert bodies(client.hear()) == [b"red", b"red"]
    rest = consumer(face, house, destination, id=b"2")
    assert bodies(rest.hear()) == [b"blue", b"blue"]


@pytest.mark.parametrize("destination", [b"/queue/a.*", b"/queue/a.1,/queue/a.2", b"/topic/a.1,/queue/a.2"])
def test_its_own_is_for_others(face: Face, house: Face, destination: bytes) -> None:
    client = consumer(face, house, destination, b"no-local:true\n")
    client.say(send(b"/topic/a.1", b"own") + send(b"/queue/a.1", b"own") + send(b"/queue/a.2", b"own"))
    house.turn()
    assert heard(client) == []
    publish(face, house, (b"/topic/a.1", b"1"), (b"/queue/a.1", b"1"), (b"/queue/a.2", b"2"))
    assert sorted(bodies(client.hear())) == [b"1", b"2"]


def test_what_it_does_not_want_holds_up_no_other_queue(face: Face, house: Face) -> None:
    """With one delivery at a time: its turn is not spent where there is nothing for it."""
    client = consumer(face, house, b"/queue/a.>", individual(1) + b"selector:n > 0\n")
    publish(face, house, *[(b"/queue/a.%d" % number, b"no") for number in range(20)], headers=b"n:0\n")
    publish(face, house, *[(b"/queue/a.%d" % number, b"%d" % number) for number in range(10, 20)], headers=b"n:1\n")
    for number in range(10, 20):
        (message,) = heard(client)
        assert message.body == b"%d" % number
        client.say(ack(message.ack))
        house.turn()
    assert all(house.queue(b"a.%d" % number) == (1, 0, 0) for number in range(20))


@pytest.mark.parametrize("end", ["unsubscribe", "leave"])
def test_nothing_is_left_of_one_that_chose(face: Face, house: Face, end: str) -> None:
    plain = consumer(face, house, b"/queue/a.1", individual(1))
    publish(face, house, *[(b"/queue/a.%d" % (number % 3), b"%d" % number) for number in range(30)], headers=b"n:1\n")
    client = consumer(face, house, b"/queue/a.*,/queue/b", individual(5) + b"selector:n = 1\nx-priority:3\n")
    assert len(heard(client)) == 5
    client.say(b"UNSUBSCRIBE\nid:1\n\n\0") if end == "unsubscribe" else client.leave()
    house.turn()
    assert [house.queue(b"a.%d" % number) for number in range(3)] == [(10, 0, 0), (9, 1, 1), (10, 0, 0)]
    (message,) = heard(plain)
    plain.say(ack(message.ack))
    house.turn()
    assert [each.body for each in heard(plain)] == [b"4"]
    assert house.stats["subscriptions"] == 1


def test_without_memory_to_choose_it_is_tried_again(face: Face) -> None:
    """Where much waits in plain queues, to choose there takes as much again."""
    house = new_house(face, memory=16 << 20)
    drain = consumer(face, house, b"/queue/a.1", individual(1))
    publish(face, house, *[(b"/queue/a.%d" % number, b"first") for number in range(2)], headers=b"n:1\n")
    publish(face, house, (b"/queue/a.1", b"wanted"), headers=b"n:1\n")
    while not house.is_full[0]:
        house.publish(b"/queue/a.1", b"")
    waiting = house.queue(b"a.1")[0]
    client = consumer(face, house, b"/queue/a.*", individual(10) + b"selector:n = 1\n")
    house.advance(100)
    assert [each.body for each in heard(client)] == [b"first"]
    before = house.stats["work"]
    for _ in range(100):
        house.turn()
    assert house.stats["work"] - before < 10_000, "it waits meanwhile"
    assert house.queue(b"a.1")[0] >= waiting - 1
    while house.queue(b"a.1")[0] > 10:
        for message in heard(drain):
            drain.say(ack(message.ack))
        house.turn()
    house.publish(b"/queue/a.1", b"second", b"n:1\n")
    house.advance(2000)
    assert [each.body for each in heard(client)] == [b"second"]
