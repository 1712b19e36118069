"""Queues, what consumers do to them, and the ledger of what is not settled: as a plain list would do it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from broker_frames import Message, ack, bodies, messages, send, subscribe
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from fastbroker.core.frame import Refused

Face = Any  # of a module that the type checker knows nothing of
REST, IDLE, TICK = 1000, 100_000, 10  # no test rests so often that it is idle
MOST_DELIVERIES = 4
PAUSE, LONGEST_PAUSE = 300, 500
MODES = ["auto", "client", "client-individual"]
UNLIMITED = 65_535


def new_house(face: Face, **more: Any) -> Face:
    return face.House(
        **{
            "nack_delay": REST,
            "queue_idle_timeout": IDLE,
            "max_deliveries": MOST_DELIVERIES,
            "redelivery_delay": PAUSE,
            "redelivery_max_delay": LONGEST_PAUSE,
            "redelivery_jitter": 0.0,
            "dead_letter": "dead",
            **more,
        }
    )


@pytest.fixture
def house(face: Face) -> Face:
    return new_house(face)


# ---- beside a list -------------------------------------------------------------------------------


@dataclass
class Entry:
    body: bytes
    place: int
    message: int = 0  # the number in its message-id
    deliveries: int = 0
    refusals: int = 0
    due: int = 0


@dataclass
class Consumer:
    mode: str
    credit: int
    has: dict[bytes, Entry] = field(default_factory=dict)
    rests_until: int = 0
    rests: bool = False

    @property
    def has_room(self) -> bool:
        return not self.rests and (self.mode == "auto" or len(self.has) < self.credit)


picks = st.integers(0, 1000)


class QueueMachine(RuleBasedStateMachine):
    """One queue. All its consumers are of one client, so that what it hears tells the order of all deliveries."""

    def __init__(self, face: Face) -> None:
        super().__init__()
        self.face = face
        self.house = new_house(face)
        self.memory = self.house.stats["memory"]
        self.client = face.Client(self.house)
        self.now = 0
        self.waiting: list[Entry] = []
        self.resting: list[Entry] = []
        self.consumers: dict[bytes, Consumer] = {}
        self.dead: list[tuple[Entry, bytes, bytes]] = []
        self.settled: list[bytes] = []
        self.is_there = False
        self.number = 0

    def any_consumer(self, pick: int) -> bytes | None:
        return [*self.consumers][pick % len(self.consumers)] if self.consumers else None

    # ---- what happens ----

    @rule(count=st.integers(1, 20), size=st.integers(0, 1200))
    def publish(self, count: int, size: int) -> None:
        for _ in range(count):
            self.number += 1
            self.waiting.append(Entry(b"%d " % self.number + b"x" * size, self.number))
            self.client.say(send(b"/queue/a", self.waiting[-1].body))
        self.is_there = True
        self.look()

    @rule(mode=st.sampled_from(MODES), credit=st.integers(1, 6))
    def subscribe(self, mode: str, credit: int) -> None:
        if len(self.consumers) < 4:
            self.number += 1
            id = b"%d" % self.number
            self.consumers[id] = Consumer(mode, credit)
            self.client.say(subscribe(id, b"/queue/a", b"ack:%b\ncredit:%d\n" % (mode.encode(), credit)))
            self.is_there = True
            self.look()

    @rule(pick=picks)
    def unsubscribe(self, pick: int) -> None:
        id = self.any_consumer(pick)
        if id is not None:
            self.client.say(b"UNSUBSCRIBE\nid:%b\n\n\0" % id)
            self.takes_back(self.consumers.pop(id))
            self.look()

    @rule(
        pick=picks,
        which=picks,
        verdict=st.sampled_from(["ack", "ack", "nack", "nack", "reject"]),
        delay=st.sampled_from([None, None, 0, 50, 700]),
        text=st.sampled_from([b"", b"no: it is\\nbroken"]),
    )
    def settle(self, pick: int, which: int, verdict: str, delay: int | None, text: bytes) -> None:
        consumer = self.consumers.get(self.any_consumer(pick) or b"")
        if consumer is None or not consumer.has:
            return
        named = [*consumer.has][which % len(consumer.has)]
        headers = b"requeue:false\n" if verdict == "reject" else b""
        headers += b"" if delay is None else b"delay:%d\n" % delay
        headers += b"reason:%b\n" % text.replace(b":", b"\\c") if text else b""
        self.client.say(ack(named, b"ACK" if verdict == "ack" else b"NACK", headers))
        last = [*consumer.has].index(named)
        for id in [*consumer.has][0 if consumer.mode == "client" else last : last + 1]:
            self.judge(consumer.has.pop(id), verdict, delay, text)
            self.settled.append(id)
        if verdict != "ack":
            consumer.rests, consumer.rests_until = True, self.now + REST
        self.look()

    @rule(pick=picks)
    def settle_again(self, pick: int) -> None:
        if self.settled:
            with pytest.raises(Refused):
                self.client.say(ack(self.settled[pick % len(self.settled)]))

    @rule(ticks=st.sampled_from([1, 5, 20, 31, 101]))
    def wait(self, ticks: int) -> None:
        self.advance(ticks * TICK)
        self.look()

    def advance(self, milliseconds: int) -> None:
        """Timers fire in the tick behind the moment, as the clock began in the middle of one."""
        self.house.advance(milliseconds)
        self.now += milliseconds
        for consumer in self.consumers.values():
            consumer.rests &= consumer.rests_until + TICK > self.now
        if any(entry.due + TICK <= self.now for entry in self.resting):
            for entry in [entry for entry in self.resting if entry.due <= self.now]:
                self.resting.remove(entry)
                self.put_back(entry)

    @rule()
    def be_idle(self) -> None:
        is_used = bool(self.waiting or self.resting or self.consumers)
        self.advance(IDLE + TICK)
        self.is_there &= is_used
        self.look()

    @rule()
    def lose_the_client(self) -> None:
        self.client.leave()
        self.client = self.face.Client(self.house)
        for consumer in self.consumers.values():
            self.takes_back(consumer)
        self.consumers.clear()
        self.settled.clear()
        self.look()

    # ---- what should come of it ----

    def judge(self, entry: Entry, verdict: str, delay: int | None = None, text: bytes = b"") -> None:
        if verdict == "reject" or (verdict != "ack" and entry.deliveries == MOST_DELIVERIES):
            self.dead.append((entry, b"rejected" if verdict == "reject" else b"max-deliveries", text))
        elif verdict == "return":
            self.put_back(entry)
        elif verdict == "nack":
            entry.refusals += 1
            pause = min(PAUSE * 2 ** (entry.refusals - 1), LONGEST_PAUSE) if delay is None else delay
            entry.due = self.now + pause
            if pause:
                self.resting.append(entry)
            else:
                self.put_back(entry)

    def put_back(self, entry: Entry) -> None:
        self.waiting.append(entry)
        self.waiting.sort(key=lambda other: other.place)

    def takes_back(self, consumer: Consumer) -> None:
        for id, entry in consumer.has.items():
            self.settled.append(id)
            self.judge(entry, "return")

    def look(self) -> None:
        """The turn: what comes now is what stands in front, and goes to consumers with room."""
        self.house.turn()
        for message in messages(self.client.hear()):
            self.takes(message)
        assert not (self.waiting and any(consumer.has_room for consumer in self.consumers.values()))

    def takes(self, message: Message) -> None:
        entry, consumer = self.waiting.pop(0), self.consumers[message.subscription]
        entry.deliveries += 1
        assert (message.body, message.redelivered) == (entry.body, entry.deliveries > 1)
        assert message.headers.get(b"delivery-count") == (b"%d" % entry.deliveries if entry.deliveries > 1 else None)
        assert entry.message in (0, message.number)
        entry.message = message.number
        assert consumer.has_room
        if consumer.mode != "auto":
            assert message.ack not in self.settled
            consumer.has[message.ack] = entry

    @invariant()
    def counts(self) -> None:
        unsettled = sum(len(consumer.has) for consumer in self.consumers.values())
        held = len(self.waiting) + len(self.resting)
        expected = (held, unsettled, len(self.consumers)) if self.is_there else None
        assert self.house.queue(b"a") == expected
        stats = self.house.stats
        assert stats["deliveries"] == unsettled
        assert stats["dead_lettered"] == len(self.dead)
        assert stats["messages"] == held + unsettled + len(self.dead)

    @invariant()
    def ack_ids_are_known_while_they_mean_something(self) -> None:
        assert all(self.client.knows(id) for consumer in self.consumers.values() for id in consumer.has)
        assert not any(self.client.knows(id) for id in self.settled)

    def teardown(self) -> None:
        """All that is left is read; then nothing is left."""
        self.lose_the_client()
        self.advance(REST)
        self.client.say(subscribe(b"rest", b"/queue/a") + subscribe(b"dead", b"/queue/dead"))
        self.house.turn()
        heard = messages(self.client.hear())
        assert [each.body for each in heard if each.subscription == b"rest"] == [entry.body for entry in self.waiting]
        dead = [each for each in heard if each.subscription == b"dead"]
        assert [(each.body, each.headers) for each in dead] == [
            (entry.body, dead_headers(each, entry, *what)) for each, (entry, *what) in zip(dead, self.dead, strict=True)
        ]
        self.client.leave()
        self.house.advance(IDLE + TICK)
        self.client = None
        stats = self.house.stats
        assert (stats["memory"], stats["messages"], stats["queues"], stats["subscriptions"]) == (self.memory, 0, 0, 0)


def dead_headers(message: Message, entry: Entry, reason: bytes, text: bytes) -> dict[bytes, bytes]:
    """What a dead letter of that entry, as which the message came, says."""
    headers = {
        b"subscription": b"dead",
        b"message-id": message.headers[b"message-id"],
        b"destination": b"/queue/dead",
        b"original-destination": b"/queue/a",
        b"original-message-id": b"epoch-%d" % entry.message,
        b"dead-letter-reason": reason,
        b"delivery-count": b"%d" % entry.deliveries,
    }
    if text:
        headers[b"dead-letter-text"] = text.replace(b":", b"\\c")
    return headers


@pytest.mark.hypothesis
def test_it_is_a_list(face: Face) -> None:
    steps = settings(stateful_step_count=40)
    run_state_machine_as_test(lambda: QueueMachine(face), settings=steps)  # type: ignore[arg-type]


# ---- consumers -----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
def test_consumers_take_turns(face: Face, house: Face, mode: str) -> None:
    client = face.Client(house)
    for id in (b"1", b"2", b"3"):
        client.say(subscribe(id, b"/queue/a", b"ack:%b\ncredit:100\n" % mode.encode()))
    client.say(send(b"/queue/a", b"x") * 30)
    assert Counter(message.subscription for message in messages(client.hear())) == {b"1": 10, b"2": 10, b"3": 10}


def test_who_does_not_read_is_given_nothing_more(face: Face) -> None:
    house = new_house(face, outbound_soft=10_000, outbound_hard=100_000)
    reader, other = face.Client(house), face.Client(house)
    other.say(subscribe(b"1", b"/queue/a"))
    for number in range(30):
        house.publish(b"/queue/a", b"%04d" % number + b"x" * 1000)
    assert 10_000 <= other.pending < 12_000
    left = house.queue(b"a")[0]
    reader.say(subscribe(b"1", b"/queue/a"))
    heard = []
    for _ in range(9):
        house.turn()
        heard += [body[:4] for body in bodies(reader.hear())]
    assert heard == [b"%04d" % number for number in range(30 - left, 30)]
    assert [body[:4] for body in bodies(other.hear())] == [b"%04d" % number for number in range(30 - left)]
    house.publish(b"/queue/a", b"more")
    house.publish(b"/queue/a", b"more")
    assert bodies(reader.hear()) == bodies(other.hear()) == [b"more"], "it is in line again"


@pytest.mark.parametrize("mode", MODES[1:])
def test_credit_is_in_bytes_too(face: Face, mode: str) -> None:
    house = new_house(face, prefetch_bytes=5000)
    client = face.Client(house)
    client.say(subscribe(b"1", b"/queue/a", b"ack:%b\n" % mode.encode()))
    client.say(send(b"/queue/a", b"x" * 2000) * 9)
    heard = messages(client.hear())
    assert len(heard) == 3, "the last one may go over it"
    client.say(ack(heard[-1].ack))
    house.turn()
    assert len(messages(client.hear())) == (3 if mode == "client" else 1)


@pytest.mark.parametrize("verdict", ["requeue:false\n", ""])
def test_dead_letters_have_a_bound(face: Face, verdict: str) -> None:
    limited = ("dead", {"max_messages": 3, "overflow": "drop-oldest"})
    house = new_house(face, max_deliveries=1, queues=[limited], nack_delay=0)
    client = face.Client(house)
    client.say(subscribe(b"1", b"/queue/a", b"ack:client-individual\n"))
    client.say(b"".join(send(b"/queue/a", b"%d" % number) for number in range(7)))
    for message in messages(client.hear()):
        client.say(ack(message.ack, b"NACK", verdict.encode()))
    client.say(subscribe(b"dead", b"/queue/dead"))
    house.turn()
    assert bodies(client.hear()) == [b"4", b"5", b"6"], "the oldest have gone"
    assert house.stats["dead_lettered"] == 7


@pytest.mark.parametrize("to", ["", "dead"])
def test_the_log_hears_of_the_first_dead_letter_of_each_queue_and_again_after_a_while(face: Face, to: str) -> None:
    house = new_house(face, dead_letter=to)
    client = face.Client(house)

    def reject(destination: bytes) -> None:
        client.say(send(destination, b"x"))
        client.say(ack(messages(client.hear())[0].ack, b"NACK", b"requeue:false\n"))

    for name in (b"/queue/a", b"/queue/b", b"/topic/c"):
        client.say(subscribe(name, name, b"ack:client-individual\n"))
        for _ in range(3):
            reject(name)
            house.advance(2 * REST)
    assert all((level, event) == ("warning", "dead letter") for level, event, _ in house.log)
    assert [fields["destination"] for _, _, fields in house.log] == ["/queue/a", "/queue/b", "/topic/c"]
    assert {fields["to"] for _, _, fields in house.log} == {"/queue/dead" if to else "nowhere"}
    house.advance(60_000)
    reject(b"/queue/b")
    assert [(fields["destination"], fields["messages"]) for _, _, fields in house.log[3:]] == [("/queue/b", 4)]


def test_without_a_dead_letter_queue_they_are_gone(face: Face) -> None:
    house = new_house(face, dead_letter="")
    client = face.Client(house)
    client.say(subscribe(b"1", b"/queue/a", b"ack:client\n") + send(b"/queue/a", b"x"))
    client.say(ack(messages(client.hear())[0].ack, b"NACK", b"requeue:false\n"))
    assert (house.stats["messages"], house.stats["dead_lettered"]) == (0, 1)


def test_a_queue_of_one_topic_subscription_goes_with_it(face: Face, house: Face) -> None:
    client = face.Client(house)
    before = house.stats["memory"]
    client.say(subscribe(b"1", b"/topic/#", b"ack:client-individual\ncredit:2\n"))
    for number in range(100):
        house.publish(b"/topic/a", b"%d" % number)
    assert bodies(client.hear()) == [b"0", b"1"]
    assert client.backlog > 0
    client.say(b"UNSUBSCRIBE\nid:1\n\n\0")
    stats = house.stats
    assert (stats["messages"], stats["queues"], stats["deliveries"], client.backlog) == (0, 0, 0, 0)
    assert stats["memory"] - before < 2000, "its places in the ledger, and a route"


def test_a_queue_by_the_name_of_a_reply_queue_is_that(face: Face, house: Face) -> None:
    """No other queue is made of it, in which the answer would lie; and what it leads to ends with its owner alone."""
    owner, other = face.Client(house), face.Client(house)
    owner.say(subscribe(b"1", b"/temp-queue/x") + send(b"/queue/ask", b"?", b"reply-to:/temp-queue/x\n"))
    other.say(subscribe(b"1", b"/queue/ask"))
    house.turn()
    reply = next(line for line in other.hear().split(b"\n") if line.startswith(b"reply-to:"))[9:]
    for round in (b"first", b"second"):
        other.say(send(b"/queue/" + reply, round))
        assert house.queue(reply) is None
        assert bodies(owner.hear()) == [round]
        house.advance(IDLE + TICK)
    other.say(send(reply, b"answer"))
    assert bodies(owner.hear()) == [b"answer"]


# ---- a ledger whose deliveries are known by their messages ---------------------------------------


class IndexedMachine(RuleBasedStateMachine):
    """ACKs that name a message, of which a client with overlapping subscriptions has several deliveries."""

    def __init__(self, face: Face) -> None:
        super().__init__()
        self.house = new_house(face)
        self.client = face.Client(self.house, b"1.0")
        self.subscriptions: set[bytes] = set()
        self.unsettled: Counter[tuple[int, bytes]] = Counter()
        self.published = 0

    @rule(id=st.sampled_from([b"1", b"2", b"3"]))
    def subscribe(self, id: bytes) -> None:
        if id not in self.subscriptions:
            self.subscriptions.add(id)
            self.client.say(subscribe(id, b"/topic/#", b"ack:client-individual\ncredit:%d\n" % UNLIMITED))

    @rule(id=st.sampled_from([b"1", b"2", b"3"]))
    def unsubscribe(self, id: bytes) -> None:
        if id in self.subscriptions:
            self.subscriptions.remove(id)
            self.client.say(b"UNSUBSCRIBE\nid:%b\n\n\0" % id)
            self.unsettled = Counter({key: 1 for key in self.unsettled if key[1] != id})

    @rule(count=st.integers(1, 12))
    def publish(self, count: int) -> None:
        for _ in range(count):
            self.house.publish(b"/topic/a", b"x")
        self.house.settle()
        heard = messages(self.client.hear())
        assert len(heard) == count * len(self.subscriptions)
        self.unsettled.update((message.number, message.subscription) for message in heard)
        self.published += count

    @rule(number=st.integers(0, 60))
    def settle(self, number: int) -> None:
        """By the message alone; that settles one delivery, whichever."""
        number = number % max(self.published, 1) + 1
        has = {key for key in self.unsettled if key[0] == number}
        text = b"ACK\nmessage-id:epoch-%d\n\n\0" % number
        if not has:
            with pytest.raises(Refused):
                self.client.say(text)
            return
        self.client.say(text)
        gone = has - {key for key in has if self.is_unsettled(key)}
        assert len(gone) == 1
        self.unsettled.subtract(gone)
        self.unsettled = +self.unsettled

    def is_unsettled(self, key: tuple[int, bytes]) -> bool:
        return bool(self.client.has(key[1], key[0]))

    @invariant()
    def knows_what_is_unsettled(self) -> None:
        for number in range(1, self.published + 1):
            assert self.client.knows_number(number) == any(key[0] == number for key in self.unsettled)
        first, others = self.client.noted
        assert first + others == self.house.stats["deliveries"] == len(self.unsettled)

    def teardown(self) -> None:
        self.client.leave()
        assert self.house.stats["deliveries"] == self.house.stats["messages"] == 0


@pytest.mark.hypothesis
def test_messages_with_several_deliveries(face: Face) -> None:
    steps = settings(stateful_step_count=30, max_examples=settings.default.max_examples // 2)
    run_state_machine_as_test(lambda: IndexedMachine(face), settings=steps)  # type: ignore[arg-type]


@pytest.mark.parametrize("version", [b"1.0", b"1.1", b"1.2"])
def test_the_table_of_messages_costs_nothing_before_an_ack_needs_it(face: Face, house: Face, version: bytes) -> None:
    client = face.Client(house, version)
    empty = client.charged
    client.say(subscribe(b"1", b"/queue/a", b"ack:client-individual\n") + send(b"/queue/a", b"x") * 300)
    house.turn()
    numbers = [message.number for message in messages(client.hear())]
    charged, work = client.charged, house.stats["work"]
    client.say(b"ACK\nmessage-id:epoch-%d\n\n\0" % numbers[150])
    assert client.charged - charged >= 300 * 24, "a place in the table has so many bytes"
    assert house.stats["work"] - work >= 300 * 24
    charged, work = client.charged, house.stats["work"]
    client.say(b"ACK\nmessage-id:epoch-%d\n\n\0" % numbers[151])
    assert client.charged == charged
    assert house.stats["work"] - work < 300 * 24
    client.say(b"UNSUBSCRIBE\nid:1\n\n\0")
    assert client.noted == (0, 0)
    assert client.charged > empty
    client.leave()


def hold(client: Face, house: Face, count: int) -> None:
    """Have so many deliveries, of few messages."""
    for number in range(100):
        client.say(subscribe(b"%d" % number, b"/topic/a", b"ack:client\nprefetch-count:%d\n" % UNLIMITED))
    for _ in range(count // 100):
        house.publish(b"/topic/a", b"x")
        house.settle()
        client.hear()
    assert house.stats["deliveries"] >= count


def test_a_ledger_that_grows_is_not_far_above_the_ceiling_at_once(face: Face) -> None:
    house = face.House(memory=1 << 30)
    client, count = face.Client(house, b"1.1"), 70_000  # a little more than a power of two
    hold(client, house, count)
    assert count * 48 < client.charged < count * 48 * 1.2


def test_the_table_of_messages_is_held_to_the_ceiling(face: Face) -> None:
    """But a client that has few may always have it: its ACKs are how memory gets free."""
    memory = 8 << 20
    house = face.House(memory=memory)
    few, many = face.Client(house, b"1.1"), face.Client(house, b"1.1")
    few.say(subscribe(b"1", b"/queue/a", b"ack:client\n") + send(b"/queue/a", b"x"))
    number = messages(few.hear())[0].number
    hold(many, house, 70_000)
    before = house.stats["memory"]
    with pytest.raises(Refused, match="server busy"):
        many.say(b"ACK\nmessage-id:epoch-%d\n\n\0" % (number + 1))
    assert house.stats["memory"] == before < memory
    few.say(b"ACK\nmessage-id:epoch-%d\n\n\0" % number)
    assert few.noted == (0, 0)


def test_an_ack_by_message_looks_at_no_other_message(face: Face, house: Face) -> None:
    """However many a client has that come several times: it may have millions, and others wait for the look."""
    client = face.Client(house, b"1.1")
    for pattern in (b"/topic/a", b"/topic/*", b"/topic/#"):
        client.say(subscribe(pattern, pattern, b"ack:client-individual\nprefetch-count:1000\n"))
    client.say(subscribe(b"auto", b"/queue/a"))
    for _ in range(1000):
        house.publish(b"/topic/a", b"x")
    several = messages(client.hear())[-1].number
    house.publish(b"/queue/a", b"x")
    last = messages(client.hear())[-1].number
    client.say(b"ACK\nmessage-id:epoch-%d\n\n\0" % last)
    work = house.stats["work"]
    client.say(b"ACK\nmessage-id:epoch-%d\n\n\0" % last)
    assert house.stats["work"] - work < 1000
    work = house.stats["work"]
    with pytest.raises(Refused):
        client.say(b"ACK\nmessage-id:epoch-%d\n\n\0" % several)
    assert house.stats["work"] - work < 1000


def test_the_second_delivery_can_be_settled_while_the_first_is_in_a_transaction(face: Face, house: Face) -> None:
    client = face.Client(house, b"1.0")
    client.say(subscribe(b"1", b"/topic/a", b"ack:client-individual\n") + subscribe(b"2", b"/topic/#", b"ack:client\n"))
    house.publish(b"/topic/a", b"x")
    number = messages(client.hear())[0].number
    client.say(b"BEGIN\ntransaction:t\n\n\0ACK\nmessage-id:epoch-%d\ntransaction:t\n\n\0" % number)
    client.say(b"ACK\nmessage-id:epoch-%d\n\n\0" % number)
    with pytest.raises(Refused):
        client.say(b"ACK\nmessage-id:epoch-%d\n\n\0" % number)
    client.say(b"COMMIT\ntransaction:t\n\n\0")
    assert house.stats["deliveries"] == 0


# ---- subscriptions that are known by their destinations ------------------------------------------


def unsubscribe(destination: bytes) -> bytes:
    return b"UNSUBSCRIBE\ndestination:%b\n\n\0" % destination


@pytest.mark.parametrize("left", [0, 500])
def test_to_find_subscriptions_by_destination_is_charged_and_counted(face: Face, house: Face, left: int) -> None:
    client = face.Client(house)
    empty = client.charged
    client.say(b"".join(subscribe(b"%d" % number, b"/topic/%d" % number) for number in range(1000)))
    charged, work = client.charged, house.stats["work"]
    client.say(unsubscribe(b"/topic/0"))
    assert client.charged - charged > 999 * 400 - 1000, "as much is resident"
    assert house.stats["work"] - work > 999 * 400
    client.say(subscribe(b"0", b"/topic/0"))
    assert client.charged - charged > 1000 * 400
    client.say(b"".join(unsubscribe(b"/topic/%d" % number) for number in range(left, 1000)))
    client.end()
    assert client.charged == empty


def test_to_find_subscriptions_by_destination_is_held_to_the_ceiling(face: Face) -> None:
    house = face.House(memory=1 << 20)
    few, many = face.Client(house), face.Client(house)
    few.say(subscribe(b"1", b"/topic/a"))
    many.say(b"".join(subscribe(b"%d" % number, b"/topic/%d" % number) for number in range(900)))
    before = house.stats["memory"]
    with pytest.raises(Refused, match="server busy"):
        many.say(unsubscribe(b"/topic/0"))
    assert house.stats["memory"] == before
    few.say(unsubscribe(b"/topic/a"))


# ---- what goes with its client -------------------------------------------------------------------


def test_a_temporary_queue_is_emptied_over_turns(face: Face) -> None:
    """What is left of it is counted until it is free."""
    house = face.House(memory=1 << 30)
    before, client = house.stats, face.Client(house)
    client.say(send(b"/temp-queue/a", b"x") * 190_000)
    held, work = house.stats, house.stats["work"]
    client.leave()
    for left in range(2, -1, -1):
        house.turn()
        now = house.stats
        assert now["work"] - work <= 6 << 20
        assert (now["messages"] > 0) == (left > 0)
        assert now["memory"] >= now["messages"] * 128
        assert now["memory"] < held["memory"]
        held, work = now, now["work"]
    assert house.stats["memory"] == before["memory"]
    assert house.stats["queues"] == 0


@pytest.mark.parametrize("mode", ["client", "client-individual"])
def test_what_many_subscriptions_had_comes_back_over_turns(face: Face, mode: str) -> None:
    """In order, and before anybody gets a newer message of the same queue."""
    house = face.House(outbound_soft=1 << 20)
    client, other = face.Client(house), face.Client(house)
    for queue in b"abc":
        for id in (b"%d" % queue, b"%d again" % queue):
            client.say(subscribe(id, b"/queue/%c" % queue, b"ack:%b\nprefetch-count:1000\n" % mode.encode()))
        client.say(send(b"/queue/%c" % queue, b"old") * 1000)
    house.share(100 * 64)
    client.end()
    assert client.unfinished
    for queue in b"abc":
        other.say(subscribe(b"%d" % queue, b"/queue/%c" % queue) + send(b"/queue/%c" % queue, b"new"))
    house.turn()
    turns = 0
    while client.unfinished:
        turns += 1
        house.share(100 * 64)
        client.carry_on()
        house.turn()
    assert turns == 5, "a subscription is the smallest piece"
    heard = messages(other.hear())
    for queue in b"abc":
        numbers = [each.number for each in heard if each.subscription == b"%d" % queue]
        assert len(numbers) == 1001
        assert numbers == sorted(numbers)
    assert house.stats["deliveries"] == 0
