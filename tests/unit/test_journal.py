"""What is kept of queues and subscriptions: by a store of the test's own, which decides what outlives a broker."""

from __future__ import annotations

from typing import Any

import pytest
from broker_frames import Message, ack, bodies, messages, send, subscribe
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from fastbroker.core.frame import Refused

PERSISTENT = b"persistent:true\n"
STORED_COST = 192  # of a queue that the journal knows: csrc/queue.pyx


def receipts(stream: bytes) -> list[bytes]:
    return [line[11:] for line in stream.split(b"\n") if line.startswith(b"receipt-id:")]


class Life:
    """One broker after another, with what the one before has left."""

    def __init__(self, face: Any, **settings: Any) -> None:
        self.face, self.settings = face, settings
        self.store = face.MemoryStore()
        self.house = face.House(store=self.store, **settings)

    def settle(self) -> None:
        """Everything that was recorded is durable."""
        self.house.turn()
        while self.store.busy:
            self.store.finish()
            self.house.hear_store()
            self.house.turn()

    def crash(self, more: int = 0) -> None:
        self.store = self.store.survivor(more)
        self.house = self.face.House(store=self.store, wall=self.house.wall, **self.settings)

    def client(self, **how: Any) -> Any:
        return self.face.Client(self.house, **how)

    def waiting(self, queue: bytes = b"/queue/a") -> list[Message]:
        """All that waits there, as somebody gets it who keeps nothing."""
        client = self.client()
        client.say(subscribe(b"w", queue, b"ack:client-individual\nprefetch-count:10000\n"))
        self.house.turn()
        heard = messages(client.hear())
        client.leave()
        return heard


def taken(life: Life, client: Any) -> list[Message]:
    client.say(subscribe(b"1", b"/queue/a", b"ack:client\n"))
    life.settle()
    return messages(client.hear())


@pytest.fixture
def life(face: Any) -> Life:
    return Life(face)


def test_a_receipt_waits_for_the_store_and_comes_in_order(life: Life) -> None:
    client = life.client()
    client.say(send(b"/queue/a", b"1", PERSISTENT + b"receipt:1\n"))
    client.say(send(b"/queue/a", b"2", b"receipt:2\n"))
    life.house.turn()
    assert client.hear() == b""
    life.store.finish()
    life.house.hear_store()
    assert receipts(client.hear()) == [b"1", b"2"]


def test_what_is_not_persistent_never_waits(life: Life) -> None:
    client = life.client()
    client.say(send(b"/queue/a", b"1", PERSISTENT))
    client.say(send(b"/queue/a", b"2", b"receipt:2\n"))
    other = life.client()
    other.say(send(b"/queue/a", b"3", b"receipt:3\n"))
    assert receipts(other.hear()) == [b"3"]
    life.crash()
    assert life.waiting() == []


def test_messages_outlive_a_broker_with_ids_order_and_headers(life: Life) -> None:
    client = life.client()
    for number in range(20):
        client.say(send(b"/queue/a", b"%d" % number, PERSISTENT + b"n:%d\n" % number))
    client.say(send(b"/queue/a", b"large" * 100_000, PERSISTENT))
    client.say(send(b"/queue/a", b"lost"))
    life.settle()
    before = life.waiting()
    life.settle()
    life.crash()
    after = life.waiting()
    assert [(each.number, each.body) for each in after] == [(each.number, each.body) for each in before][:-1]
    assert all(each.headers[b"n"] == each.body for each in after[:-1])
    assert all(each.redelivered for each in after)  # they may have been given to somebody


def test_what_was_settled_in_time_is_not_written(life: Life) -> None:
    client = life.client()
    client.say(subscribe(b"1", b"/queue/a"))
    client.say(send(b"/queue/a", b"x" * 1000, PERSISTENT + b"receipt:1\n"))
    assert bodies(client.hear().partition(b"RECEIPT")[0]) == [b"x" * 1000]
    life.settle()
    assert receipts(client.hear()) == [b"1"]
    assert sum(len(group) for _, group in life.store.groups) > 1000  # its record was there, and says nothing
    life.crash()
    assert life.waiting() == []


@pytest.mark.parametrize("settled", ["ack", "expired", "dropped", "newer"])
def test_what_is_settled_does_not_come_back(life: Life, settled: str) -> None:
    life = Life(
        life.face, queues=[("a", {"max_messages": 1, "overflow": "drop-oldest"})] if settled == "dropped" else ()
    )
    client = life.client()
    headers = {"expired": b"ttl:1000\n", "newer": b"_AMQ_LVQ_NAME:n\n"}.get(settled, b"")
    client.say(send(b"/queue/a", b"1", PERSISTENT + headers))
    life.settle()
    if settled == "ack":
        [message] = taken(life, client)
        client.say(ack(message.ack, headers=b"receipt:1\n"))
    elif settled == "expired":
        life.house.advance(2000)
    else:
        client.say(send(b"/queue/a", b"2", PERSISTENT + headers))
    life.settle()
    life.crash()
    assert [each.body for each in life.waiting()] == ([b"2"] if settled in ("dropped", "newer") else [])


def test_deliveries_are_counted_on(life: Life) -> None:
    client = life.client()
    client.say(send(b"/queue/a", b"1", PERSISTENT))
    client.say(subscribe(b"1", b"/queue/a", b"ack:client\n"))
    life.house.turn()
    for count in (1, 2):
        [message] = messages(client.hear())
        assert message.headers.get(b"delivery-count", b"1") == b"%d" % count
        client.say(ack(message.ack, b"NACK"))
        life.house.advance(1000)
    life.settle()
    life.crash()
    life.house.advance(10_000)  # it rested
    [message] = life.waiting()
    assert message.headers[b"delivery-count"] == b"4"  # the third one may have come


def test_a_dead_letter_is_kept_where_it_went(life: Life) -> None:
    client = life.client()
    client.say(send(b"/queue/a", b"1", PERSISTENT))
    [message] = taken(life, client)
    client.say(ack(message.ack, b"NACK", b"requeue:false\nreceipt:1\n"))
    life.settle()
    life.crash()
    assert life.waiting() == []
    [dead] = life.waiting(b"/queue/DLQ.a")
    assert dead.headers[b"dead-letter-reason"] == b"rejected"


@pytest.mark.parametrize("written", [False, True])
def test_a_dead_letter_that_is_acknowledged_at_once_does_not_come_again(life: Life, written: bool) -> None:
    """Where it died it is until the disk has that it is not: so long the RECEIPT waits."""
    sender, mourner = life.client(), life.client()
    sender.say(send(b"/queue/a", b"x", PERSISTENT))
    life.settle()
    sender.say(subscribe(b"1", b"/queue/a", b"ack:client-individual\n"))
    mourner.say(subscribe(b"2", b"/queue/DLQ.a", b"ack:client-individual\n"))
    life.settle()
    [message] = messages(sender.hear())
    sender.say(send(b"/queue/b", b"", PERSISTENT))
    life.house.turn()
    assert life.store.busy  # so what follows waits
    sender.say(b"NACK\nid:%b\nrequeue:false\n\n\0" % message.ack)
    life.house.turn()
    [dead] = messages(mourner.hear())
    mourner.say(ack(dead.ack, headers=b"receipt:a\n"))
    assert receipts(mourner.hear()) == []
    if written:
        life.settle()
        assert receipts(mourner.hear()) == [b"a"]
    life.crash()
    assert len(life.waiting()) + len(life.waiting(b"/queue/DLQ.a")) == (not written)


def test_a_transaction_that_was_not_committed_has_done_nothing(life: Life) -> None:
    client = life.client()
    client.say(send(b"/queue/a", b"1", PERSISTENT))
    [message] = taken(life, client)
    client.say(b"BEGIN\ntransaction:t\n\n\0")
    client.say(send(b"/queue/b", b"2", PERSISTENT + b"transaction:t\n"))
    client.say(ack(message.ack, headers=b"transaction:t\n"))
    life.settle()
    life.crash()
    assert [each.body for each in life.waiting()] == [b"1"]
    assert life.waiting(b"/queue/b") == []


def test_a_transaction_that_was_committed_has_done_all(life: Life) -> None:
    client = life.client()
    client.say(send(b"/queue/a", b"1", PERSISTENT))
    [message] = taken(life, client)
    client.say(b"BEGIN\ntransaction:t\n\n\0")
    client.say(send(b"/queue/b", b"2", PERSISTENT + b"transaction:t\n"))
    client.say(ack(message.ack, headers=b"transaction:t\n"))
    client.say(b"COMMIT\ntransaction:t\nreceipt:c\n\n\0")
    assert client.hear() == b""
    life.settle()
    assert receipts(client.hear()) == [b"c"]
    life.crash()
    assert life.waiting() == []
    assert [each.body for each in life.waiting(b"/queue/b")] == [b"2"]


def test_durable_subscriptions_share_what_is_kept(life: Life) -> None:
    client = life.client()
    for name in (b"x", b"y"):
        client.say(subscribe(name, b"/topic/t.*", b"durable:true\nauto-delete:false\nack:client-individual\n"))
    client.say(subscribe(b"z", b"/topic/t.1", b"durable:true\nauto-delete:false\nselector:n > 1\n"))
    client.say(send(b"/topic/t.1", b"1", PERSISTENT + b"n:1\n") + send(b"/topic/t.1", b"2", PERSISTENT + b"n:2\n"))
    heard = messages(client.hear())
    client.say(ack(heard[0].ack))
    life.settle()
    written = b"".join(group for _, group in life.store.groups)
    assert written.count(b"n:1\n") == written.count(b"n:2\n") == 1
    life.crash()
    assert sorted(life.house.durable(name)[0] for name in life.house.durables) == [0, 1, 2]


@pytest.mark.parametrize(
    ("policy", "headers", "kept"),
    [
        ({"persistent": "always"}, b"", b"fsync"),
        ({"persistent": "never"}, PERSISTENT, b"memory"),
        ({"durability": "written"}, PERSISTENT, b"written"),
        ({"durability": "written"}, b"", b"memory"),
        ({"durability": "memory"}, PERSISTENT, b"memory"),
        ({"durability": "memory", "persistent": "always"}, b"", b"memory"),
    ],
)
@pytest.mark.parametrize("durable", [False, True])
def test_what_the_policy_says(face: Any, policy: dict[str, str], headers: bytes, kept: bytes, durable: bool) -> None:
    life = Life(face, queues=[("a", policy)], topics=[("a", policy)])
    client = life.client()
    if durable:
        client.say(subscribe(b"d", b"/topic/a", b"durable:true\nauto-delete:false\n"))
        client.leave()
        life.settle()
        client = life.client()
    destination = b"/topic/a" if durable else b"/queue/a"
    client.say(send(destination, b"1", headers + b"receipt:1\nreceipt-info:true\n"))
    if kept == b"memory":
        assert (b"durability:memory\n" in client.hear()) == (headers == PERSISTENT)
    life.house.turn()
    life.house.hear_store()
    if kept == b"fsync":
        assert client.hear() == b""
    else:
        assert not life.store.busy
    if kept == b"written":
        assert b"durability:written\n" in client.hear()
    life.settle()
    if kept == b"fsync":
        assert b"durability:fsync\n" in client.hear()
    life.crash()
    queued, _ = life.house.queued
    assert queued == (kept != b"memory")


def go_round(life: Life, client: Any, rounds: int, end: bytes = b"") -> None:
    """A message comes, is durable, and is acknowledged, again and again."""
    client.say(subscribe(b"1", b"/queue/a", b"ack:client\n"))
    for number in range(rounds):
        client.say(send(b"/queue/a", b"%d" % number, PERSISTENT))
        life.settle()
        [message] = messages(client.hear())
        client.say(ack(message.ack))
        life.settle()


def test_segments_go_when_nobody_needs_them(life: Life) -> None:
    go_round(life, life.client(), 50)
    assert len(life.store.segments) <= 3
    life.crash()
    assert life.waiting() == []


def test_segments_behind_one_that_stays_go_nevertheless(life: Life) -> None:
    """What they say of that one is said again."""
    client = life.client()
    for number in range(20):
        client.say(send(b"/queue/b", b"%d" % number, PERSISTENT))
    life.settle()
    client.say(subscribe(b"b", b"/queue/b", b"ack:client-individual\n"))
    life.settle()
    held = messages(client.hear())
    client.say(b"".join(ack(each.ack) for each in held[5:]))
    go_round(life, client, 50)
    assert len(life.store.segments) <= 5
    assert life.store.segments[0] == 1
    client.say(b"".join(ack(each.ack) for each in held[:4]))
    client.say(b"UNSUBSCRIBE\nid:1\n\n\0")
    go_round(life, client, 50)
    assert len(life.store.segments) <= 5
    life.crash()
    assert [each.body for each in life.waiting(b"/queue/b")] == [b"4"]
    assert life.waiting() == []


def test_segments_with_little_in_them_are_left(life: Life) -> None:
    """Where a message of each stays; wherever that is."""
    client = life.client()
    client.say(subscribe(b"h", b"/queue/held", b"ack:client-individual\nprefetch-count:2\n"))
    client.say(subscribe(b"d", b"/topic/t", b"durable:true\nauto-delete:false\n") + b"UNSUBSCRIBE\nid:d\n\n\0")
    client.say(subscribe(b"e", b"/topic/t", b"durable:true\nauto-delete:false\nack:client\n"))
    client.say(send(b"/queue/rests", b"r", PERSISTENT) + subscribe(b"r", b"/queue/rests", b"ack:client\n"))
    life.settle()
    client.say(ack(messages(client.hear())[0].ack, b"NACK", b"delay:600000\n"))
    other = life.client()
    for number in range(150):
        body = b"%d" % number
        for destination in (b"/queue/ring", b"/queue/held", b"/topic/t"):
            client.say(send(destination, body, PERSISTENT) if number % 10 == 0 else b"")
        client.say(send(b"/queue/shelf", body, PERSISTENT + b"priority:9\n") if number % 10 == 0 else b"")
        client.say(send(b"/queue/gone", body * 100, PERSISTENT))
        life.settle()
        if number == 0:
            other.say(subscribe(b"g", b"/queue/gone"))
        life.house.carry_on()
        life.settle()
    for _ in range(20):
        life.house.carry_on()
        life.settle()
    assert len(life.store.segments) <= 10
    life.crash()
    kept = [b"%d" % number for number in range(0, 150, 10)]
    for queue in (b"/queue/ring", b"/queue/shelf", b"/queue/held"):
        assert [each.body for each in life.waiting(queue)] == kept
    assert [life.house.durable(name)[0] for name in life.house.durables] == [15, 15]
    assert life.waiting(b"/queue/rests") == []
    life.house.advance(700_000)
    assert [each.body for each in life.waiting(b"/queue/rests")] == [b"r"]


def test_a_queue_that_goes_with_its_consumer_is_not_told_to_the_journal(life: Life) -> None:
    """Many of them come and go; none outlives the broker, unless something persistent was in it."""
    life.settle()
    before = len(life.store.groups)
    client = life.client()
    client.say(subscribe(b"1", b"/queue/a", b"auto-delete:true\nx-max-length:9\nreceipt:r\n"))
    client.say(send(b"/queue/a", b"x"))
    life.settle()
    assert b"receipt-id:r\n" in client.hear()
    assert len(life.store.groups) == before


def test_what_the_journal_knows_of_a_queue_is_charged(life: Life, face: Any) -> None:
    """As long as that is there: anybody may declare queues."""
    grown = []
    for house in (life.house, face.House()):
        client, held = face.Client(house), []
        for queue in (b"a", b"b", b"c"):  # the first ones have room made for what is recorded
            client.say(subscribe(queue, b"/queue/" + queue, b"x-max-length:9\n"))
            house.turn()
            life.settle()
            client.hear()
            held.append(house.stats["memory"])
        grown.append(held[2] - held[1])
    assert grown[0] == grown[1] + STORED_COST + 2


@pytest.mark.parametrize("by", ["subscribe", "send"])
def test_what_clients_declare_of_a_queue_is_kept_before_anything_is_in_it(life: Life, by: str) -> None:
    """And the RECEIPT of the frame that declares it says so."""
    client = life.client()
    declared = b"x-max-length:2\nx-overflow:reject-publish\nreceipt:r\n"
    client.say(subscribe(b"1", b"/queue/a", declared) if by == "subscribe" else send(b"/queue/a", b"lost", declared))
    life.house.turn()
    assert receipts(client.hear()) == []
    life.settle()
    assert receipts(client.hear()) == [b"r"]
    life.crash()
    life.client().say(2 * send(b"/queue/a", b""))
    with pytest.raises(Refused, match="queue full"):
        life.client().say(send(b"/queue/a", b""))
    life.crash()
    life.crash()
    with pytest.raises(Refused, match="contradicts what was declared before of this queue"):
        life.client().say(send(b"/queue/a", b"x", b"x-max-length:3\n"))


def test_what_is_known_of_queues_outlives_the_segments_where_it_was_said(life: Life) -> None:
    client = life.client()
    client.say(subscribe(b"d", b"/topic/t", b"durable:true\nauto-delete:false\n"))
    client.say(subscribe(b"q", b"/queue/q", b"x-max-length:3\nack:client\n"))
    client.say(send(b"/queue/q", b"", PERSISTENT) + send(b"/queue/gone", b"", PERSISTENT))
    client.say(b"BEGIN\ntransaction:t\n\n\0" + send(b"/queue/c", b"", PERSISTENT + b"transaction:t\n"))
    client.say(b"COMMIT\ntransaction:t\n\n\0" + subscribe(b"g", b"/queue/gone"))
    life.house.turn()
    client.hear()
    client.say(b"UNSUBSCRIBE\nid:g\n\n\0")
    for _ in range(3):  # until nobody has used it for long
        life.house.advance(40_000)
        life.settle()
    go_round(life, life.client(), 50)
    assert life.house.queue(b"gone") is None
    life.crash()
    assert life.house.durables == [b"d"] or len(life.house.durables) == 1
    assert life.house.queue(b"gone") is None
    assert life.house.queue(b"c")[0] == 1
    assert life.house.policy(b"q")["max_messages"] == 3


QUEUES = (b"/queue/a", b"/queue/b")


class Lives(RuleBasedStateMachine):
    """Brokers one after the other, whose store is as slow as it likes, and carries what it should."""

    face: Any
    life: Life

    def listen(self) -> None:
        raise NotImplementedError

    @rule()
    def turn(self) -> None:
        self.life.house.turn()
        self.life.house.carry_on()
        self.listen()

    @rule()
    def finish(self) -> None:
        if self.life.store.busy:
            self.life.store.finish()
            self.life.house.hear_store()
        self.listen()


class Crashes(Lives):
    """Two queues, somebody who sends, somebody who takes; brokers end at any time, and what was promised holds."""

    @initialize()
    def begin(self) -> None:
        self.life = Life(self.face, queue_memory=4096)
        self.number = 0
        self.sent: dict[bytes, list[bytes]] = {queue: [] for queue in QUEUES}
        self.promised: set[bytes] = set()  # SENDs whose receipt was heard
        self.acked: set[bytes] = set()  # ACKs that were said
        self.gone: set[bytes] = set()  # ACKs whose receipt was heard
        self.together: list[set[bytes]] = []  # what one transaction sends
        self.connect()

    def connect(self) -> None:
        self.sender, self.taker = self.life.client(), self.life.client()
        self.held: list[Message] = []
        self.in_transaction: list[bytes] = []
        self.open = False
        for name, queue in zip((b"0", b"1"), QUEUES, strict=True):
            self.taker.say(subscribe(name, queue, b"ack:client-individual\nprefetch-count:3\n"))

    def listen(self) -> None:
        for receipt in receipts(self.sender.hear()):
            self.promised.update(receipt.split(b","))
        stream = self.taker.hear()
        for frame in stream.replace(b"\0\n", b"\0").split(b"\0")[:-1]:
            if frame.startswith(b"RECEIPT"):
                self.gone.update(receipts(frame))
            else:
                [message] = messages(frame + b"\0")
                assert message.body not in self.gone
                self.held.append(message)

    @rule(queue=st.sampled_from(QUEUES), priority=st.sampled_from([b"", b"priority:9\n"]), large=st.booleans())
    def send(self, queue: bytes, priority: bytes, large: bool) -> None:
        self.number += 1
        body = b"%d" % self.number
        self.sent[queue].append(body)
        headers = PERSISTENT + priority + (b"filler:" + b"x" * 5000 + b"\n") * large
        if self.open:
            self.in_transaction.append(body)
            headers += b"transaction:t\n"
        else:
            headers += b"receipt:%b\n" % body
        self.sender.say(send(queue, body, headers))

    @precondition(lambda self: self.held)
    @rule(data=st.data(), command=st.sampled_from([b"ACK", b"ACK", b"NACK"]))
    def answer(self, data: st.DataObject, command: bytes) -> None:
        message = self.held.pop(data.draw(st.integers(0, len(self.held) - 1)))
        if command == b"ACK":
            self.acked.add(message.body)
            self.taker.say(ack(message.ack, headers=b"receipt:%b\n" % message.body))
        else:
            self.taker.say(ack(message.ack, command))

    @precondition(lambda self: not self.open)
    @rule()
    def begin_transaction(self) -> None:
        self.sender.say(b"BEGIN\ntransaction:t\n\n\0")
        self.open = True

    @precondition(lambda self: self.open)
    @rule()
    def commit(self) -> None:
        self.sender.say(b"COMMIT\ntransaction:t\nreceipt:%b\n\n\0" % b",".join(self.in_transaction))
        self.together.append(set(self.in_transaction))
        self.in_transaction, self.open = [], False

    @rule()
    def wait(self) -> None:
        self.life.house.advance(500)
        self.listen()

    @rule()
    def spill(self) -> None:
        self.life.face.spill(self.life.house)

    @rule(slow=st.booleans())
    def slow_down(self, slow: bool) -> None:
        self.life.store.slow = slow

    @rule(more=st.booleans())
    def crash(self, more: bool) -> None:
        self.life.crash(more)
        self.life.house.advance(60_000)  # nothing rests any more
        there = set[bytes]()
        for queue in QUEUES:
            there |= self.check(queue)
        for bodies_of_one in self.together:
            assert bodies_of_one <= there | self.acked or not bodies_of_one & there
        self.connect()

    def check(self, queue: bytes) -> set[bytes]:
        found = self.life.waiting(queue)
        there = {each.body for each in found}
        for priority in (b"9", b"4"):
            numbers = [int(each.body) for each in found if each.headers.get(b"priority", b"4") == priority]
            assert numbers == sorted(set(numbers))
        assert there <= set(self.sent[queue])
        assert not there & self.gone
        assert (self.promised & set(self.sent[queue])) - self.acked <= there
        return there


def test_what_was_promised_holds_whenever_a_broker_ends(face: Any) -> None:
    run_state_machine_as_test(type("CrashesHere", (Crashes,), {"face": face}))


# ---- a broker that keeps nothing ----


def refusal_of(face: Any, policy: dict[str, Any], frame: bytes, *before: bytes, **settings: Any) -> bytes:
    """What a SEND is answered by a broker without a journal; nothing if it is taken."""
    house = face.House(queues=[("#", policy)], topics=[("#", policy)], **settings)
    client = face.Client(house)
    for each in before:
        client.say(each)
    client.hear()
    try:
        client.say(frame)
    except Refused as refused:
        return bytes(refused.args[0])
    return b""


DURABLE = subscribe(b"d", b"/topic/a", b"durable:true\nauto-delete:false\n")
SHARED = subscribe(b"d", b"/topic/a", b"durable:true\nauto-delete:true\n")


@pytest.mark.parametrize(
    ("policy", "destination", "before"),
    [
        ({}, b"/queue/a", ()),
        ({"durability": "written"}, b"/queue/a", ()),
        ({}, b"/topic/a", (DURABLE,)),
        ({}, b"/topic/b,/queue/a", ()),
    ],
)
def test_a_broker_that_keeps_nothing_says_so(
    face: Any, policy: dict[str, Any], destination: bytes, before: tuple[bytes, ...]
) -> None:
    for more in (b"", b"delay:1000\n", b"receipt:1\nreceipt-info:true\n"):
        frame = send(destination, b"x", PERSISTENT + more)
        assert refusal_of(face, policy, frame, *before) == b"no data directory"
    frame = send(destination, b"x", PERSISTENT + b"transaction:t\n")
    assert refusal_of(face, policy, frame, *before, b"BEGIN\ntransaction:t\n\n\0") == b"no data directory"
    assert refusal_of(face, policy, send(destination, b"x"), *before) == b""


@pytest.mark.parametrize(
    ("policy", "destination", "before"),
    [
        ({"durability": "memory"}, b"/queue/a", ()),
        ({"persistent": "never"}, b"/queue/a", ()),
        ({"durability": "memory"}, b"/topic/a", (DURABLE,)),
        ({"persistent": "never"}, b"/topic/a", (DURABLE,)),
        ({}, b"/topic/a", ()),
        ({}, b"/topic/a", (subscribe(b"1", b"/topic/a"),)),
        ({}, b"/topic/a", (SHARED,)),
        ({}, b"/temp-queue/a", (subscribe(b"1", b"/temp-queue/a"),)),
    ],
)
def test_where_nothing_was_to_be_kept_it_says_nothing(
    face: Any, policy: dict[str, Any], destination: bytes, before: tuple[bytes, ...]
) -> None:
    assert refusal_of(face, policy, send(destination, b"x", PERSISTENT), *before) == b""
