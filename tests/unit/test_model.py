"""Everything that queues promise, at once: a broker with a few queues and a topic, beside lists of what is where.

What is certain is demanded. What is left to the broker is not: which of several consumers gets a message, and in which
tick of the clock something expires, has rested, or comes that was delayed. So nothing is said here of rings, heaps and
shelves, but that nothing is lost, and nothing comes twice without saying so; that nobody is passed over who stands in
front; that nothing waits which somebody could have; and that all memory comes back.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import pytest
from broker_frames import Message, ack, messages, send, subscribe
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from fastbroker.core.frame import Refused

Face = Any  # of a module that the type checker knows nothing of
TICK, IDLE = 10, 100_000
LATE = 2 * TICK  # a timer fires in the tick behind its time, and the turn comes then
REST = 40  # of a consumer that has refused something
MOST_DELIVERIES, PAUSE, LONGEST_PAUSE = 3, 60, 150
MOST = 4  # messages in a queue with a limit
MOST_CONSUMERS = 9
USUAL, EVER = 4, 1 << 60
POLICIES: dict[str, dict[str, Any]] = {
    "plain": {},
    "other": {"dead_letter_expired": True},
    "short": {"ttl": 100, "max_ttl": 200, "dead_letter_expired": True},
    "reject": {"max_messages": MOST},
    "drop": {"max_messages": MOST, "overflow": "drop-oldest"},
    "bury": {"max_messages": MOST, "overflow": "dead-letter"},
    "block": {"max_messages": MOST, "overflow": "block"},
    "dead": {},
}
TOPIC = "topic"
SENT_TO = [[name] for name in (*POLICIES, TOPIC) if name not in ("block", "dead")]
SENT_TO += [["plain", "other"], ["other", "reject", TOPIC], ["plain", TOPIC]]
MODES = ["auto", "client", "client-individual"]


def new_house(face: Face) -> Face:
    usual = {
        "max_deliveries": MOST_DELIVERIES,
        "redelivery_delay": PAUSE,
        "redelivery_max_delay": LONGEST_PAUSE,
        "redelivery_jitter": 0.0,
        "dead_letter": "dead",
    }
    queues = [(name, {**usual, **policy}) for name, policy in POLICIES.items()]
    return face.House(queues=[*queues, ("#", usual)], nack_delay=REST, queue_idle_timeout=IDLE)


def address(name: str) -> bytes:
    return f"/topic/{name}".encode() if name == TOPIC else f"/queue/{name}".encode()


# ---- what there is -------------------------------------------------------------------------------


@dataclass(eq=False)
class Sent:
    """A message as its sender has it."""

    number: int
    sender: Face  # None: nobody that is here
    at: int
    priority: int = USUAL
    ttl: int | None = None
    name: bytes = b""
    duplicate: bytes = b""
    group: bytes = b""
    is_last: bool = False  # of its group
    delay: int = 0

    @property
    def body(self) -> bytes:
        return b"%d" % self.number

    def headers(self, wall: int) -> bytes:
        lines = b"n:%d\n" % self.number
        lines += b"priority:%d\n" % self.priority if self.priority != USUAL else b""
        if self.ttl is not None:
            is_relative = self.ttl > 0 and (self.delay or self.number % 2)
            lines += b"ttl:%d\n" % self.ttl if is_relative else b"expires:%d\n" % (wall + self.ttl)
        lines += b"_AMQ_LVQ_NAME:%b\n" % self.name if self.name else b""
        lines += b"message-dedup-id:%b\n" % self.duplicate if self.duplicate else b""
        lines += b"JMSXGroupID:%b\n" % self.group if self.group else b""
        lines += b"JMSXGroupSeq:-1\n" if self.is_last else b""
        return lines + (b"delay:%d\n" % self.delay if self.delay else b"")


Span = tuple[int, int]  # something happens between these: before the first it has not, from the second on it has


@dataclass(eq=False)
class Entry:
    """A message that waits, or rests, in a queue, or that a consumer has."""

    sent: Sent
    place: Span
    there: Span  # for consumers
    expires: Span = (EVER, EVER)
    name: bytes = b""
    group: bytes = b""
    dead: bytes = b""  # why
    before: int = 0  # deliveries, of what is dead now
    replaced: bool = False
    message: int = 0  # the number in its message-id
    deliveries: int = 0
    refusals: int = 0
    touched: int = 0  # by that event
    in_transaction: bool = False

    def is_there(self, now: int) -> bool:
        """For certain."""
        return self.there[1] <= now < self.expires[0]

    def is_vague(self, now: int) -> bool:
        return self.there[0] <= now and (now < self.there[1] or now >= self.expires[0])

    def is_over(self, now: int) -> bool:
        return now >= max(self.expires[1], self.there[1]) + LATE

    def stands_before(self, other: Entry) -> bool:
        mine, its = self.sent.priority, other.sent.priority
        return mine > its or (mine == its and self.place[1] < other.place[0])


@dataclass(eq=False)
class Consumer:
    id: bytes
    client: int
    session: Face
    queue: Queue
    mode: str
    credit: int
    priority: int
    exclusive: bool
    wanted: int | None  # those whose number leaves that rest
    no_local: bool
    since: int  # that event
    has: dict[bytes, Entry] = field(default_factory=dict)
    rests: Span = (0, 0)
    is_gone: bool = False

    def has_room(self) -> bool:
        return self.mode == "auto" or len(self.has) < self.credit

    def is_ready(self, now: int) -> bool:
        """For certain."""
        return self.has_room() and self.rests[1] <= now

    def wants(self, sent: Sent) -> bool:
        if self.no_local and sent.sender is self.session:
            return False
        return self.wanted is None or sent.number % 3 == self.wanted

    def headers(self) -> bytes:
        lines = b"ack:%b\ncredit:%d\n" % (self.mode.encode(), self.credit)
        lines += b"x-priority:%d\n" % self.priority if self.priority else b""
        lines += b"exclusive:true\n" if self.exclusive else b""
        lines += b"selector:n %% 3 = %d\n" % self.wanted if self.wanted is not None else b""
        return lines + (b"no-local:true\n" if self.no_local else b"")


@dataclass(eq=False)
class Group:
    owner: Consumer | None = None
    is_closed: bool = False  # whoever is next is its owner

    def allows(self, consumer: Consumer, is_out: bool) -> bool:
        return self.owner is consumer or (self.owner is None and (self.is_closed or not is_out))

    def goes_to(self, consumer: Consumer, entry: Entry) -> Group:
        return Group(None, True) if entry.sent.is_last else Group(consumer)


@dataclass(eq=False)
class Queue:
    name: str
    policy: dict[str, Any]
    waiting: list[Entry] = field(default_factory=list)
    consumers: list[Consumer] = field(default_factory=list)  # also those that have gone, while they have something
    holder: Consumer | None = None
    known: set[bytes] = field(default_factory=set)  # the names under which messages came
    groups: dict[bytes, Group] = field(default_factory=dict)
    is_gone: bool = False

    @property
    def unsettled(self) -> int:
        return sum(len(each.has) for each in self.consumers)

    @property
    def held(self) -> int:
        return len(self.waiting) + self.unsettled

    def takers(self) -> list[Consumer]:
        return [each for each in self.consumers if not each.is_gone]

    def heir(self) -> Consumer | None:
        """Who alone gets something, if anybody."""
        rivals = [each for each in self.takers() if each.exclusive]
        return max(rivals, key=lambda each: (each.priority, -int(each.id))) if rivals else None

    def group_of(self, entry: Entry) -> Group:
        return self.groups.setdefault(entry.group, Group())

    def is_out(self, name: bytes, now: int) -> bool:
        """Whether a consumer has something of that group, or has sent it to rest."""
        return any(e.group == name for c in self.consumers for e in c.has.values()) or any(
            e.group == name and e.deliveries and e.there[1] > now for e in self.waiting
        )

    def may_have(self, consumer: Consumer, entry: Entry, now: int) -> bool:
        if not entry.group or not consumer.wants(entry.sent):
            return consumer.wants(entry.sent)
        return self.group_of(entry).allows(consumer, self.is_out(entry.group, now))

    def would_add(self, sent: Sent) -> bool:
        """Whether it would be one more."""
        if sent.duplicate and sent.duplicate in self.known:
            return False
        return not sent.name or all(entry.name != sent.name for entry in self.waiting)


@dataclass(eq=False)
class Transaction:
    """Messages with their destinations, and (consumer, ack id, verdict, delay)."""

    steps: list[Any] = field(default_factory=list)


def in_some_order(group: Group, got: list[tuple[Consumer, Entry]], is_out: bool) -> Group | None:
    """What becomes of a group whose messages those consumers got, each in that order; None: that cannot be."""
    if not got:
        return group
    for place, (consumer, entry) in enumerate(got):
        is_first = all(other is not consumer for other, _ in got[:place])
        if is_first and group.allows(consumer, is_out):
            left = got[:place] + got[place + 1 :]
            after = in_some_order(group.goes_to(consumer, entry), left, is_out or consumer.mode != "auto")
            if after is not None:
                return after
    return None


picks = st.integers(0, 1000)


class BrokerMachine(RuleBasedStateMachine):
    def __init__(self, face: Face) -> None:
        super().__init__()
        self.face = face
        self.house = new_house(face)
        self.before = self.quiet_stats()
        self.clients = [face.Client(self.house) for _ in range(3)]
        self.publishers = [face.Client(self.house) for _ in range(2)]  # who may have to wait, and do nothing else
        self.queues = {name: Queue(name, policy) for name, policy in POLICIES.items()}
        self.subscriptions: list[Queue] = []  # to the topic
        self.transactions: dict[int, Transaction] = {}
        self.scheduled: list[tuple[int, Sent, list[str]]] = []
        self.untaken: list[dict[bytes, Sent]] = [{}, {}]  # of the publishers, by receipt
        self.now = self.number = self.event = self.places = self.first_place = 0

    def quiet_stats(self) -> dict[str, int]:
        """When nobody is there. What is remembered of destinations is the same each time."""
        self.house.advance(IDLE + TICK)
        client = self.face.Client(self.house)
        client.say(subscribe(b"1", b"/queue/dead") + subscribe(b"2", address(TOPIC)))
        for to in [*([name] for name in (*POLICIES, TOPIC)), *SENT_TO]:
            client.say(send(b",".join(address(name) for name in to), b"soon late", b"ttl:1\n"))
        self.house.advance(LATE)
        client.leave()
        self.house.advance(IDLE + TICK)
        names = ("memory", "messages", "queues", "subscriptions", "deliveries", "transactions")
        return {name: value for name, value in self.house.stats.items() if name in names}

    def everywhere(self) -> list[Queue]:
        return [*self.queues.values(), *self.subscriptions]

    def consumers(self) -> list[Consumer]:
        return [each for queue in self.everywhere() for each in queue.takers()]

    def another(self) -> int:
        self.number += 1
        return self.number

    # ---- what happens ----

    @rule(
        who=st.integers(0, 2),
        to=st.sampled_from(SENT_TO),
        priority=st.sampled_from([USUAL, USUAL, 0, 9]),
        ttl=st.sampled_from([None, None, None, -5, 30, 150, 500]),
        more=st.sampled_from(["", "name", "duplicate", "delay", "group", "group", "last of a group"]),
        which=st.integers(0, 1),
        in_transaction=st.booleans(),
    )
    def send(
        self, who: int, to: list[str], priority: int, ttl: int | None, more: str, which: int, in_transaction: bool
    ) -> None:
        self.begin_event()
        sent = Sent(self.another(), self.clients[who], self.now, priority, ttl)
        transaction = self.transactions.get(who) if in_transaction else None
        limits = {"drop", "bury"} & {*to}
        if more == "duplicate":
            sent.duplicate = b"%d" % which
        elif more == "name" and transaction is None:
            sent.name = b"%d" % which
        elif "group" in more and transaction is None:
            sent.group, sent.is_last = b"%d" % which, "last" in more
        elif more == "delay" and not limits and ttl != -5 and (ttl is None or transaction is None):
            sent.delay = 50 + 100 * which
        if transaction is not None and limits:
            transaction = None
        headers = sent.headers(self.house.wall) + (b"transaction:t\n" if transaction else b"")
        frame = send(b",".join(address(name) for name in to), sent.body, headers)
        needs_room = "reject" in to and not sent.delay and (ttl != -5 or len(to) > 1)  # what is late is not kept
        if transaction is None and needs_room and self.is_too_much([sent]):
            with pytest.raises(Refused, match="queue full"):
                self.clients[who].say(frame)
        else:
            self.clients[who].say(frame)
            if transaction is None:
                self.accept(sent, to)
            else:
                transaction.steps.append((sent, to))
        self.look()

    @rule(which=st.integers(0, 1), priority=st.sampled_from([USUAL, USUAL, 9]))
    def send_and_wait(self, which: int, priority: int) -> None:
        self.begin_event()
        sent = Sent(self.another(), None, self.now, priority)
        self.untaken[which][sent.body] = sent
        headers = sent.headers(0) + b"receipt:%b\n" % sent.body
        self.publishers[which].say(send(b"/queue/block", sent.body, headers))
        self.look()

    @rule(
        who=st.integers(0, 2),
        to=st.sampled_from([*POLICIES, TOPIC]),
        mode=st.sampled_from(MODES),
        credit=st.integers(1, 4),
        priority=st.sampled_from([0, 0, 5, -5]),
        exclusive=st.sampled_from([False, False, False, True]),
        wanted=st.sampled_from([None, None, 0, 1]),
        no_local=st.booleans(),
    )
    def subscribe(
        self,
        who: int,
        to: str,
        mode: str,
        credit: int,
        priority: int,
        exclusive: bool,
        wanted: int | None,
        no_local: bool,
    ) -> None:
        if len(self.consumers()) == MOST_CONSUMERS:
            return
        self.begin_event()
        if to == TOPIC:
            priority, exclusive = 0, False
            self.subscriptions.append(Queue(TOPIC, {}))
        queue = self.subscriptions[-1] if to == TOPIC else self.queues[to]
        id = b"%d" % self.another()
        new = Consumer(
            id, who, self.clients[who], queue, mode, credit, priority, exclusive, wanted, no_local, self.event
        )
        queue.consumers.append(new)
        if exclusive and queue.heir() is new and queue.unsettled == 0 and sum(c.exclusive for c in queue.takers()) == 1:
            queue.holder = new
        self.clients[who].say(subscribe(id, address(to), new.headers()))
        self.look()

    @rule(pick=picks)
    def unsubscribe(self, pick: int) -> None:
        if consumers := self.consumers():
            self.begin_event()
            consumer = consumers[pick % len(consumers)]
            self.clients[consumer.client].say(b"UNSUBSCRIBE\nid:%b\n\n\0" % consumer.id)
            self.ends(consumer)
            self.look()

    @rule(
        pick=picks,
        which=picks,
        verdict=st.sampled_from(["ack", "ack", "nack", "nack", "reject"]),
        delay=st.sampled_from([None, None, 0, 30]),
        in_transaction=st.booleans(),
    )
    def settle(self, pick: int, which: int, verdict: str, delay: int | None, in_transaction: bool) -> None:
        self.begin_event()
        busy = [(c, id) for c in self.consumers() for id, entry in c.has.items() if not entry.in_transaction]
        if not busy:
            return
        consumer, named = busy[(pick * 7 + which) % len(busy)]
        transaction = self.transactions.get(consumer.client) if in_transaction else None
        headers = b"transaction:t\n" if transaction else b""
        headers += b"requeue:false\n" if verdict == "reject" else b""
        headers += b"delay:%d\n" % delay if delay is not None and verdict == "nack" else b""
        self.clients[consumer.client].say(ack(named, b"ACK" if verdict == "ack" else b"NACK", headers))
        ids = [*consumer.has]
        for id in ids[0 if consumer.mode == "client" else ids.index(named) : ids.index(named) + 1]:
            if consumer.has[id].in_transaction:
                continue
            if transaction is None:
                self.settled(consumer, id, verdict, delay)
            else:
                consumer.has[id].in_transaction = True
                transaction.steps.append((consumer, id, verdict, delay))
        self.look()

    @rule(who=st.integers(0, 2))
    def begin(self, who: int) -> None:
        if who not in self.transactions:
            self.transactions[who] = Transaction()
            self.clients[who].say(b"BEGIN\ntransaction:t\n\n\0")

    @rule(who=st.integers(0, 2))
    def commit(self, who: int) -> None:
        if who not in self.transactions:
            return
        self.begin_event()
        steps = self.transactions[who].steps
        messages = [step[0] for step in steps if len(step) == 2 and not step[0].delay and "reject" in step[1]]
        acked = sum(len(step) == 4 and step[0].queue.name == "reject" and step[2] == "ack" for step in steps)
        if messages and self.is_too_much(messages, acked):
            with pytest.raises(Refused, match="queue full"):
                self.clients[who].say(b"COMMIT\ntransaction:t\n\n\0")
            self.lose(who)
        else:
            self.clients[who].say(b"COMMIT\ntransaction:t\n\n\0")
            del self.transactions[who]
            for step in steps:
                self.carry_out(*step)
        self.look(in_order=False)

    @rule(who=st.integers(0, 2))
    def abort(self, who: int) -> None:
        if who in self.transactions:
            self.begin_event()
            self.clients[who].say(b"ABORT\ntransaction:t\n\n\0")
            self.roll_back(who)
            self.look()

    @rule(who=st.integers(0, 2), is_clean=st.booleans())
    def leave(self, who: int, is_clean: bool) -> None:
        self.begin_event()
        if is_clean:
            self.clients[who].say(b"DISCONNECT\n\n\0")
        self.lose(who)
        self.look()

    @rule(ticks=st.sampled_from([1, 3, 6, 16, 40]))
    def wait(self, ticks: int) -> None:
        for _ in range(ticks):
            self.tick()

    # ---- what should come of it ----

    def begin_event(self) -> None:
        """Nothing is vague then."""
        for _ in range(100):
            entries = [entry for queue in self.everywhere() for entry in queue.waiting]
            consumers = self.consumers()
            if not any(entry.is_vague(self.now) for entry in entries) and not any(
                consumer.rests[0] <= self.now < consumer.rests[1] for consumer in consumers
            ):
                break
            self.tick()
        self.next_event()

    def next_event(self) -> None:
        self.event += 1
        self.first_place = self.places = self.places + 1

    def tick(self) -> None:
        self.next_event()
        began = self.now
        self.house.advance(TICK)
        self.now += TICK
        for due, sent, to in [each for each in self.scheduled if each[0] <= self.now]:
            self.scheduled.remove((due, sent, to))
            self.publish(sent, to, (due, due + LATE))
        for queue in self.everywhere():
            self.expire(queue)
        self.look(began)

    def expire(self, queue: Queue) -> None:
        for entry in [entry for entry in queue.waiting if entry.is_over(self.now)]:
            queue.waiting.remove(entry)
            if not entry.replaced and queue.policy.get("dead_letter_expired"):
                self.bury(entry, b"expired", (entry.expires[0], self.now))

    def replace_older(self, queue: Queue) -> None:
        """Where several of one name have come back, the newest stays."""
        named = [each for each in queue.waiting if each.name and each.there[0] <= self.now and not each.replaced]
        for one, other in combinations(named, 2):
            if one.name == other.name:
                older, newer = sorted((one, other), key=lambda each: each.sent.number)
                if not older.replaced:
                    older.replaced = True
                    older.expires = (self.now, self.now + LATE)
                    newer.place = (min(one.place[0], other.place[0]), max(one.place[1], other.place[1]))

    def is_too_much(self, messages: list[Sent], acked: int = 0) -> bool:
        queue = self.queues["reject"]
        added = sum(queue.would_add(sent) for sent in messages) - acked
        return added > 0 and queue.held + added > MOST

    def accept(self, sent: Sent, to: list[str]) -> None:
        if sent.delay:
            self.scheduled.append((self.now + sent.delay, sent, to))
        else:
            self.publish(sent, to, (self.now, self.now))

    def publish(self, sent: Sent, to: list[str], there: Span) -> None:
        if sent.delay:
            sent.sender = None
        for name in to:
            if name != TOPIC:
                self.put(self.queues[name], sent, there)
                continue
            for queue in self.subscriptions:
                if queue.consumers[0].wants(sent) and not queue.is_gone:
                    self.put(queue, sent, there)

    def put(self, queue: Queue, sent: Sent, there: Span) -> None:
        if queue.name != TOPIC and sent.duplicate:
            if sent.duplicate in queue.known:
                return
            queue.known.add(sent.duplicate)
        self.places += 1
        vague = (self.first_place, self.places) if sent.delay else (self.places, self.places)
        entry = Entry(sent, vague, there, self.life(queue, sent, there), sent.name, touched=self.event)
        entry.group = sent.group if queue.name != TOPIC else b""
        most = queue.policy.get("max_messages", EVER)
        if entry.expires[0] <= self.now and not sent.delay:
            if queue.policy.get("dead_letter_expired"):
                self.bury(entry, b"expired")
            return
        older = [each for each in queue.waiting if each.name and each.name == sent.name and each.there[0] <= self.now]
        if older:
            entry.place = older[0].place
            queue.waiting.remove(older[0])
        elif queue.held >= most and queue.policy.get("overflow") == "dead-letter":
            self.bury(entry, b"overflow")
            return
        while queue.held >= most and queue.waiting and queue.policy.get("overflow") == "drop-oldest":
            queue.waiting.remove(self.oldest(queue))
        queue.waiting.append(entry)

    def life(self, queue: Queue, sent: Sent, there: Span) -> Span:
        since = there if sent.delay else (sent.at, sent.at)
        first, last = (EVER, EVER) if sent.ttl is None else (since[0] + sent.ttl, since[1] + sent.ttl)
        most = queue.policy.get("ttl" if sent.ttl is None else "max_ttl", EVER)
        return min(first, there[0] + most), min(last, there[1] + most)

    def oldest(self, queue: Queue) -> Entry:
        """What rests goes last."""
        return min(
            queue.waiting,
            key=lambda entry: (
                (1, entry.there[0], entry.place) if entry.there[0] > self.now else (0, entry.sent.priority, entry.place)
            ),
        )

    def settled(self, consumer: Consumer, id: bytes, verdict: str, delay: int | None = None) -> None:
        queue, entry = consumer.queue, consumer.has.pop(id)
        entry.in_transaction = False
        entry.touched = self.event
        if verdict in ("nack", "reject") and not consumer.is_gone:
            consumer.rests = (self.now + REST, self.now + REST + LATE)
        if consumer.is_gone and not consumer.has:
            queue.consumers.remove(consumer)
        if verdict == "ack" or (queue.is_gone and verdict == "return"):
            return
        if verdict == "reject":
            self.bury(entry, b"rejected")
        elif entry.deliveries >= MOST_DELIVERIES and not entry.dead:
            self.bury(entry, b"max-deliveries")
        elif not queue.is_gone:
            entry.refusals += verdict == "nack"
            pause = min(PAUSE * 2 ** (entry.refusals - 1), LONGEST_PAUSE) if delay is None else delay
            pause = pause if verdict == "nack" else 0
            entry.there = (self.now + pause, self.now + pause + LATE if pause else self.now)
            queue.waiting.append(entry)

    def bury(self, entry: Entry, why: bytes, there: Span | None = None) -> None:
        if not entry.dead:
            self.places += 1
            sent = replace(entry.sent, sender=None)
            dead = Entry(sent, (self.first_place, self.places), there or (self.now, self.now), dead=why)
            dead.before = entry.deliveries
            dead.touched = self.event
            self.queues["dead"].waiting.append(dead)

    def carry_out(self, *step: Any) -> None:
        if len(step) == 2:
            self.accept(*step)
        else:
            self.settled(*step)

    def roll_back(self, who: int) -> None:
        for step in self.transactions.pop(who).steps:
            if len(step) == 4:
                consumer, id, *_ = step
                consumer.has[id].in_transaction = False
                if consumer.is_gone:
                    self.settled(consumer, id, "return")

    def ends(self, consumer: Consumer) -> None:
        queue = consumer.queue
        consumer.is_gone = True
        if queue.holder is consumer:
            queue.holder = None
        for group in queue.groups.values():
            group.owner = None if group.owner is consumer else group.owner
        if queue.name == TOPIC:
            queue.is_gone = True
            queue.waiting.clear()
        for id in [id for id, entry in consumer.has.items() if not entry.in_transaction]:
            self.settled(consumer, id, "return")
        if consumer in queue.consumers and not consumer.has:
            queue.consumers.remove(consumer)
        self.subscriptions = [each for each in self.subscriptions if each.consumers]

    def lose(self, who: int) -> None:
        self.clients[who].leave()
        self.clients[who] = self.face.Client(self.house)
        if who in self.transactions:
            self.roll_back(who)
        for consumer in [each for each in self.consumers() if each.client == who]:
            self.ends(consumer)

    # ---- what comes of it ----

    def look(self, began: int | None = None, in_order: bool = True) -> None:
        """Turns, until nothing comes any more."""
        for queue in self.everywhere():
            self.replace_older(queue)
        began = self.now if began is None else began
        heard: list[tuple[int, Message]] = []
        still = 0
        while still < 2:
            self.house.turn()
            receipts = [self.hear_receipts(which) for which in range(len(self.publishers))]
            new = [(who, each) for who, client in enumerate(self.clients) for each in messages(client.hear())]
            heard += new
            still = 0 if new or any(receipts) else still + 1
        given: dict[int, list[tuple[Consumer, Entry]]] = {}
        for who, message in heard:
            consumer = next(each for each in self.consumers() if (each.client, each.id) == (who, message.subscription))
            entry = self.takes(consumer, message, in_order)
            given.setdefault(id(consumer.queue), []).append((consumer, entry))
        for queue in self.everywhere():
            got = given.get(id(queue), [])
            self.groups_stay_together(queue, got)
            self.nobody_was_passed_over(queue, got, began)
            self.those_who_come_first_did(queue, got, began, in_order)
            self.nothing_waits_in_vain(queue)

    def hear_receipts(self, which: int) -> bool:
        publisher = self.publishers[which]
        publisher.say(b"")
        heard = [frame for frame in publisher.hear().split(b"\0") if frame.strip()]
        for frame in heard:
            sent = self.untaken[which].pop(frame.partition(b"receipt-id:")[2].strip())
            self.put(self.queues["block"], sent, (self.now, self.now))
            entry = self.queues["block"].waiting[-1]
            entry.place = (self.first_place, self.places)
        return bool(heard)

    def takes(self, consumer: Consumer, message: Message, in_order: bool) -> Entry:
        entry = self.entry_of(consumer.queue, message)
        consumer.queue.waiting.remove(entry)
        assert entry.there[0] <= self.now < entry.expires[1]
        assert consumer.wants(entry.sent)
        assert consumer.has_room()
        assert not in_order or consumer.rests[0] <= self.now
        entry.deliveries += 1
        entry.message = message.number
        said = (message.headers.get(b"redelivered"), message.headers.get(b"delivery-count"))
        count = entry.before if entry.dead else entry.deliveries if entry.deliveries > 1 else 0
        assert said == (b"true" if entry.deliveries > 1 else None, b"%d" % count if count else None)
        assert message.headers.get(b"priority", b"4") == b"%d" % entry.sent.priority
        if consumer.mode != "auto":
            consumer.has[message.ack] = entry
        return entry

    def entry_of(self, queue: Queue, message: Message) -> Entry:
        why = message.headers.get(b"dead-letter-reason", b"")
        if why == b"expired":
            self.find_the_expired(message.body)
        found = [each for each in queue.waiting if each.sent.body == message.body and each.dead == why]
        if why:
            count = int(message.headers.get(b"delivery-count", b"0"))
            found = [each for each in found if each.before == count]
        known = [each for each in found if each.message == message.number]
        unknown = [each for each in found if each.message == 0 and each.there[0] <= self.now]
        assert known or unknown, f"{message} is not in {queue.name}"
        return (known or unknown)[0]

    def find_the_expired(self, body: bytes) -> None:
        """What comes as a dead letter has expired for certain."""
        for queue in self.queues.values():
            for entry in [each for each in queue.waiting if each.sent.body == body and not each.dead]:
                if queue.policy.get("dead_letter_expired") and entry.expires[0] <= self.now and not entry.replaced:
                    queue.waiting.remove(entry)
                    self.bury(entry, b"expired")

    def nobody_was_passed_over(self, queue: Queue, got: list[tuple[Consumer, Entry]], began: int) -> None:
        """By what stands behind him, where both were there all the time."""
        left = [each for each in queue.waiting if each.is_there(self.now)]
        for place, (consumer, entry) in enumerate(got):
            later = [each for other, each in got[place + 1 :] if other is consumer]
            for each in [*later, *left]:
                if each.touched < self.event and each.there[1] <= began and consumer.wants(each.sent):
                    if each.group and queue.group_of(each).owner is not consumer:
                        continue
                    assert not each.stands_before(entry), f"{each} was passed over by {entry}"

    def groups_stay_together(self, queue: Queue, got: list[tuple[Consumer, Entry]]) -> None:
        """Whatever the order in which they went to several consumers, as a group may have been closed meanwhile."""
        names = {entry.group for _, entry in got if entry.group}
        for name in names:
            mine = [(consumer, entry) for consumer, entry in got if entry.group == name]
            new = [entry for _, entry in mine]
            had = any(e.group == name and e not in new for c in queue.consumers for e in c.has.values())
            had |= any(e.group == name and e.deliveries and e.there[0] > self.now for e in queue.waiting)
            before = queue.groups.get(name, Group())
            after = in_some_order(before, mine, had)
            assert after is not None, f"{mine} of a group of {before}"
            queue.groups[name] = after
        used = {entry.group for entry in queue.waiting}
        for name, group in [*queue.groups.items()]:
            if group.owner is None and name not in used and not queue.is_out(name, self.now):
                del queue.groups[name]

    def those_who_come_first_did(
        self, queue: Queue, got: list[tuple[Consumer, Entry]], began: int, in_order: bool
    ) -> None:
        heir = queue.heir()
        for consumer, entry in got:
            if heir is not None:
                if queue.holder is None:
                    assert not any(each.has for each in queue.consumers if each is not consumer)
                    queue.holder = heir
                assert consumer is queue.holder
            elif in_order:
                for other in queue.takers():
                    if other.priority > consumer.priority and other.since < self.event and not entry.group:
                        assert not other.is_ready(began) or not other.wants(entry.sent)

    def nothing_waits_in_vain(self, queue: Queue) -> None:
        heir = queue.heir()
        takers = queue.takers()
        if heir is not None:
            takers = [queue.holder] if queue.holder else [heir] if queue.unsettled == 0 else []
        for entry in queue.waiting:
            for consumer in takers:
                if entry.is_there(self.now) and consumer.is_ready(self.now) and not queue.is_gone:
                    assert not queue.may_have(consumer, entry, self.now), f"{consumer} could have {entry}"

    @invariant()
    def counts(self) -> None:
        vague_dead = 0
        for queue in self.queues.values():
            held, unsettled, consumers = self.house.queue(queue.name.encode()) or (0, 0, 0)
            vague = sum(each.is_vague(self.now) for each in queue.waiting)
            assert (unsettled, consumers) == (queue.unsettled, len(queue.takers()))
            extra = vague_dead if queue.name == "dead" else 0
            vague_dead += vague if queue.policy.get("dead_letter_expired") else 0
            assert len(queue.waiting) - vague <= held <= len(queue.waiting) + extra
        stats = self.house.stats
        assert stats["deliveries"] == sum(queue.unsettled for queue in self.everywhere())
        assert stats["subscriptions"] == sum(len(queue.consumers) for queue in self.everywhere())
        assert self.queues["block"].held <= MOST

    def teardown(self) -> None:
        """All that is left is read; then nothing is left."""
        for who in range(len(self.clients)):
            self.begin_event()
            self.lose(who)
            self.look()
        self.wait(60)
        for name in POLICIES:
            self.subscribe(0, name, "auto", 1, 0, False, None, False)
        self.wait(60)
        assert not any(queue.waiting for queue in self.queues.values())
        assert not any(self.untaken)
        assert not self.scheduled
        for client in (*self.clients, *self.publishers):
            client.leave()
        self.clients = self.publishers = []
        after = self.quiet_stats()
        assert after == self.before


@pytest.mark.hypothesis
def test_it_is_a_few_lists(face: Face) -> None:
    steps = settings(stateful_step_count=40)
    run_state_machine_as_test(lambda: BrokerMachine(face), settings=steps)  # type: ignore[arg-type]
