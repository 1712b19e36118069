"""Consumers of one queue that choose, and groups, against a small model: everybody gets what is his, in order."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from broker_frames import Message, ack, messages, send, subscribe
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

Face = Any  # of a module that the type checker knows nothing of
QUEUE = b"/queue/a"
NACK_DELAY = 50
MOST_DELIVERIES = 6


@dataclass(eq=False)
class Sent:
    """What there is to know of a message."""

    number: int
    value: int
    priority: int
    expires: int
    sender: int
    group: str = ""
    deliveries: int = 0

    @property
    def place(self) -> tuple[int, int]:
        return -self.priority, self.number


CHOICES: dict[bytes, Any] = {
    b"": lambda sent, own: True,
    b"selector:x < 5\n": lambda sent, own: sent.value < 5,
    b"selector:x % 2 = 0\n": lambda sent, own: sent.value % 2 == 0,
    b"selector:JMSXDeliveryCount = 1\n": lambda sent, own: sent.deliveries == 0,
    b"selector:JMSRedelivered OR x = 3\n": lambda sent, own: sent.deliveries > 0 or sent.value == 3,
    b"selector:JMSPriority > 4\n": lambda sent, own: sent.priority > 4,
    b"no-local:true\n": lambda sent, own: sent.sender != own,
    b"no-local:true\nselector:x > 6\n": lambda sent, own: sent.sender != own and sent.value > 6,
}
picks = st.integers(0, 1000)


@dataclass(eq=False)
class Consumer:
    """One subscription of a client of its own."""

    number: int
    client: Face
    choice: bytes
    credit: int
    auto: bool
    held: dict[bytes, Sent] = field(default_factory=dict)

    def wants(self, sent: Sent) -> bool:
        return bool(CHOICES[self.choice](sent, self.number))

    def has_credit(self) -> bool:
        return self.auto or len(self.held) < self.credit


class ChoosingMachine(RuleBasedStateMachine):
    """Each step is followed until nothing more comes; then nobody with credit may be without what he wants."""

    def __init__(self, face: Face) -> None:
        super().__init__()
        self.face = face
        self.house = face.House(
            nack_delay=NACK_DELAY, redelivery_delay=0, max_deliveries=MOST_DELIVERIES, queue_idle_timeout=10_000
        )
        self.sender = face.Client(self.house)
        self.now = self.sent = self.joined = 0
        self.waiting: dict[int, Sent] = {}
        self.consumers: list[Consumer] = []
        self.owners: dict[str, Consumer] = {}

    # ---- what happens ----

    @initialize(some=st.lists(st.tuples(st.sampled_from([*CHOICES]), st.integers(1, 3)), min_size=1, max_size=3))
    def begin(self, some: list[tuple[bytes, int]]) -> None:
        for choice, credit in some:
            self.subscribe(choice, credit, False, 0)

    @rule(choice=st.sampled_from([*CHOICES]), credit=st.integers(1, 4), auto=st.booleans(), rank=st.integers(-1, 1))
    def subscribe(self, choice: bytes, credit: int, auto: bool, rank: int) -> None:
        if len(self.consumers) == 5:
            return
        self.joined += 1
        client = self.face.Client(self.house)
        new = Consumer(self.joined, client, choice, credit, auto)
        mode = b"ack:auto\n" if auto else b"ack:client-individual\nprefetch-count:%d\n" % credit
        client.say(subscribe(b"1", QUEUE, mode + choice + (b"x-priority:%d\n" % rank if rank else b"")))
        self.consumers.append(new)
        self.follow()

    @rule(
        who=picks,
        values=st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["", "", "g", "h", "k"])), min_size=1, max_size=8),
        priority=st.sampled_from([4, 4, 0, 9]),
    )
    def send(self, who: int, values: list[tuple[int, str]], priority: int) -> None:
        """From a consumer, or somebody else."""
        whose = [(0, self.sender)] + [(each.number, each.client) for each in self.consumers]
        number, client = whose[who % len(whose)]
        for value, group in values:
            self.send_one(number, client, value, priority, 0, group)
        self.follow()

    @rule(
        values=st.lists(st.integers(0, 9), min_size=1, max_size=4),
        ttl=st.integers(1, 5),
        group=st.sampled_from(["", "g"]),
    )
    def send_what_expires(self, values: list[int], ttl: int, group: str) -> None:
        for value in values:
            self.send_one(0, self.sender, value, 4, ttl * 100 - 5, group)  # never at the end of a tick
        self.follow()

    def send_one(self, number: int, client: Face, value: int, priority: int, ttl: int, group: str) -> None:
        self.sent += 1
        headers = b"x:%d\n" % value
        headers += b"priority:%d\n" % priority if priority != 4 else b""
        headers += b"ttl:%d\n" % ttl if ttl else b""
        headers += b"JMSXGroupID:%b\n" % group.encode() if group else b""
        self.waiting[self.sent] = Sent(self.sent, value, priority, self.now + ttl if ttl else 0, number, group)
        client.say(send(QUEUE, b"%d" % self.sent, headers))

    @rule(milliseconds=st.integers(1, 30))
    def wait(self, milliseconds: int) -> None:
        self.now += milliseconds * 10
        self.house.advance(milliseconds * 10)
        self.follow()

    @rule(who=picks, which=picks)
    def ack(self, who: int, which: int) -> None:
        if some := [each for each in self.consumers if each.held]:
            consumer = some[who % len(some)]
            held = [*consumer.held][which % len(consumer.held)]
            del consumer.held[held]
            consumer.client.say(ack(held))
            self.follow()

    @rule(who=picks)
    def ack_all(self, who: int) -> None:
        if some := [each for each in self.consumers if each.held]:
            consumer = some[who % len(some)]
            consumer.client.say(b"".join(map(ack, consumer.held)))
            consumer.held.clear()
            self.follow()

    @rule(who=picks, which=picks)
    def nack(self, who: int, which: int) -> None:
        if some := [each for each in self.consumers if each.held]:
            consumer = some[who % len(some)]
            held = [*consumer.held][which % len(consumer.held)]
            consumer.client.say(ack(held, b"NACK"))
            self.give_back(consumer.held.pop(held))
            self.now += 2 * NACK_DELAY
            self.house.advance(2 * NACK_DELAY)
            self.follow()

    @rule(who=picks, leaves=st.booleans())
    def go(self, who: int, leaves: bool) -> None:
        if self.consumers:
            consumer = self.consumers.pop(who % len(self.consumers))
            for held in consumer.held.values():
                self.give_back(held)
            self.owners = {group: each for group, each in self.owners.items() if each is not consumer}
            if leaves:
                consumer.client.leave()
            else:
                consumer.client.say(b"UNSUBSCRIBE\nid:1\n\n\0")
            self.follow()

    def give_back(self, sent: Sent) -> None:
        if sent.deliveries < MOST_DELIVERIES and not (sent.expires and sent.expires <= self.now):
            self.waiting[sent.number] = sent

    # ---- what comes of it ----

    def follow(self) -> None:
        """Until nothing more comes."""
        got: dict[int, list[Sent]] = {}
        while True:
            self.house.turn()
            came = [(consumer, each) for consumer in self.consumers for each in messages(consumer.client.hear())]
            for consumer, message in came:
                got.setdefault(consumer.number, []).append(self.take(consumer, message))
            if not came:
                break
        self.waiting = {n: each for n, each in self.waiting.items() if not each.expires or each.expires > self.now}
        for consumer in self.consumers:
            self.check(consumer, got.get(consumer.number, []))
        there = self.house.queue(b"a")
        assert (there or (0, 0))[:2] == (len(self.waiting), sum(len(each.held) for each in self.consumers))

    def take(self, consumer: Consumer, message: Message) -> Sent:
        assert consumer.has_credit()
        sent = self.waiting.pop(int(message.body))
        assert consumer.wants(sent), (consumer, sent)
        assert self.may_have(consumer, sent), (consumer, sent, self.owners)
        if sent.group:
            self.owners[sent.group] = consumer
        assert not sent.expires or sent.expires > self.now
        sent.deliveries += 1
        assert int(message.headers.get(b"delivery-count", b"1")) == sent.deliveries
        if not consumer.auto:
            consumer.held[message.ack] = sent
        return sent

    def may_have(self, consumer: Consumer, sent: Sent) -> bool:
        return self.owners.get(sent.group, consumer) is consumer

    def check(self, consumer: Consumer, got: list[Sent]) -> None:
        """All that one consumer got came in order, and before what is left for it."""
        places = [each.place for each in got]
        assert places == sorted(places)
        left = [each.place for each in self.waiting.values() if consumer.wants(each) and self.may_have(consumer, each)]
        assert not left or not consumer.has_credit(), f"{consumer} waits for {left}"
        assert not left or not places or max(places) < min(left)

    def teardown(self) -> None:
        """All that is left is there for somebody who does not choose."""
        for _ in range(len(self.consumers)):
            self.go(0, True)
        self.subscribe(b"", 1, True, 0)
        assert not self.waiting
        self.consumers.pop().client.leave()
        self.sender.leave()
        self.house.advance(20_000)
        assert self.house.queue(b"a") is None


@pytest.mark.hypothesis
def test_everybody_gets_what_he_wants(face: Face) -> None:
    run_state_machine_as_test(
        lambda: ChoosingMachine(face),  # type: ignore[arg-type]
        settings=settings(stateful_step_count=40, suppress_health_check=list(HealthCheck)),
    )
