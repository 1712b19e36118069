"""What is kept beside the messages of queues: what waits for its time, what topics keep, and names of messages."""

from __future__ import annotations

from typing import Any

import pytest
from broker_frames import Message, ack, bodies, messages, send, subscribe
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule, run_state_machine_as_test
from test_journal import PERSISTENT, Life, Lives, receipts

MANAGEMENT = b"/queue/ActiveMQ.Scheduler.Management"
KEEPING = {"history_messages": 5}


def every_minute(expression: str, after: int) -> int:
    if expression != "* * * * *":
        raise ValueError("no")
    return after // 60_000 * 60_000 + 60_000


@pytest.fixture
def life(face: Any) -> Life:
    return Life(face, cron=every_minute)


def rest_of_life(life: Life, milliseconds: int, crash: bool = True) -> None:
    """So long, with or without a broker."""
    if crash:
        life.house.set_time_of_day(milliseconds)
        life.crash()
        life.house.advance(20)
    else:
        life.house.advance(milliseconds)
    life.settle()


# ---- schedules ----


@pytest.mark.parametrize("when", [b"delay:10000\n", b"AMQ_SCHEDULED_DELAY:10000\n"])
@pytest.mark.parametrize("early", [False, True])
def test_what_is_scheduled_comes_at_its_time(life: Life, when: bytes, early: bool) -> None:
    client = life.client()
    client.say(send(b"/queue/a", b"x", PERSISTENT + when + b"receipt:r\nn:1\n") + send(b"/queue/a", b"y", when))
    life.house.turn()
    assert client.hear() == b""
    life.settle()
    assert receipts(client.hear()) == [b"r"]
    life.crash()
    life.house.advance(9_900)
    assert life.waiting() == []
    if early:
        life.crash()
    life.house.advance(200)
    [message] = life.waiting()
    assert (message.body, message.headers[b"n"]) == (b"x", b"1")
    life.settle()
    life.crash()
    assert [each.body for each in life.waiting()] == [b"x"]
    assert life.house.stats["scheduled"] == 0


@pytest.mark.parametrize("written", [False, True])
def test_what_came_from_the_schedule_and_is_acknowledged_at_once_does_not_come_again(life: Life, written: bool) -> None:
    """Its place in the queue need not be written; but that it is not scheduled any more must be, before the RECEIPT."""
    client, sender = life.client(), life.client()
    sender.say(send(b"/queue/a", b"x", PERSISTENT + b"delay:1000\n"))
    client.say(subscribe(b"1", b"/queue/a", b"ack:client-individual\n"))
    life.settle()
    sender.say(send(b"/queue/b", b"", PERSISTENT))
    life.house.turn()
    assert life.store.busy  # so what follows waits
    life.house.advance(1_100)
    [message] = messages(client.hear())
    client.say(ack(message.ack, headers=b"receipt:a\n"))
    assert receipts(client.hear()) == []
    if written:
        life.settle()
        assert receipts(client.hear()) == [b"a"]
    life.crash()
    life.house.advance(1_100)
    assert len(life.waiting()) == (not written)


@pytest.mark.parametrize("written", [False, True])
def test_what_is_retained_and_cleared_at_once_does_not_leave_what_was_there_before(life: Life, written: bool) -> None:
    """What replaced it need not be written; but that it was replaced must be, before the RECEIPT."""
    sender, other = life.client(), life.client()
    sender.say(send(b"/topic/t", b"old", PERSISTENT + b"retain:set\n"))
    life.settle()
    sender.say(send(b"/queue/b", b"", PERSISTENT))
    life.house.turn()
    assert life.store.busy  # so what follows waits
    sender.say(send(b"/topic/t", b"new", PERSISTENT + b"retain:set\n"))
    other.say(send(b"/topic/t", b"", b"retain:remove\nreceipt:r\n"))
    life.house.turn()
    assert receipts(other.hear()) == []
    if written:
        life.settle()
        assert receipts(other.hear()) == [b"r"]
    life.crash()
    client = life.client()
    client.say(subscribe(b"1", b"/topic/t"))
    life.house.turn()
    assert [each.body for each in messages(client.hear())] == ([] if written else [b"old"])


def test_what_became_due_without_a_broker_comes_at_once_and_in_its_order(life: Life) -> None:
    client = life.client()
    for number in (3, 1, 2):
        client.say(send(b"/queue/a", b"%d" % number, PERSISTENT + b"delay:%d\n" % (1000 * number)))
    life.settle()
    rest_of_life(life, 60_000)
    assert [each.body for each in life.waiting()] == [b"1", b"2", b"3"]


def test_what_comes_again_comes_once_for_the_times_that_were_missed(life: Life) -> None:
    client = life.client()
    again = b"AMQ_SCHEDULED_DELAY:1000\nAMQ_SCHEDULED_PERIOD:1000\nAMQ_SCHEDULED_REPEAT:9\n"
    client.say(send(b"/queue/a", b"x", PERSISTENT + again))
    life.house.advance(2500)
    life.settle()
    assert len(life.waiting()) == 2
    rest_of_life(life, 3000)
    assert len(life.waiting()) == 3
    life.house.advance(20_000)
    life.settle()
    assert len(life.waiting()) == 8
    life.crash()
    life.house.advance(20_000)
    assert len(life.waiting()) == 8


def test_what_comes_again_is_counted_on(life: Life) -> None:
    client = life.client()
    client.say(send(b"/queue/a", b"x", PERSISTENT + b"AMQ_SCHEDULED_PERIOD:1000\nAMQ_SCHEDULED_REPEAT:5\n"))
    for _ in range(8):
        rest_of_life(life, 1000, crash=False)
        life.crash()
    assert len(life.waiting()) == 6


def test_a_cron_expression_is_asked_on(life: Life) -> None:
    client = life.client()
    client.say(send(b"/queue/a", b"x", PERSISTENT + b"AMQ_SCHEDULED_CRON:* * * * *\n"))
    life.settle()
    rest_of_life(life, 600_000)
    assert len(life.waiting()) == 1
    rest_of_life(life, 60_000, crash=False)
    assert len(life.waiting()) == 2
    life.crash()
    life.house.advance(60_000)
    assert len(life.waiting()) == 3


def test_a_cron_expression_that_cannot_be_any_more_is_left_out(life: Life) -> None:
    client = life.client()
    client.say(send(b"/queue/a", b"x", PERSISTENT + b"AMQ_SCHEDULED_CRON:* * * * *\n"))
    client.say(send(b"/queue/a", b"y", PERSISTENT + b"delay:1000\n"))
    life.settle()
    life.settings = {}
    rest_of_life(life, 600_000)
    assert [each.body for each in life.waiting()] == [b"y"]
    assert life.house.stats["dropped"] == 1


@pytest.mark.parametrize("all_of_them", [False, True])
def test_what_was_cancelled_does_not_come_back(life: Life, all_of_them: bool) -> None:
    client = life.client()
    client.say(subscribe(b"s", b"/temp-queue/s") + send(b"/queue/a", b"x", PERSISTENT + b"delay:1000\n"))
    life.settle()
    life.crash()
    client = life.client()
    client.say(subscribe(b"s", b"/temp-queue/s"))
    client.say(send(MANAGEMENT, b"", b"AMQ_SCHEDULER_ACTION:BROWSE\nreply-to:/temp-queue/s\n"))
    life.house.turn()
    [shown] = messages(client.hear())
    assert shown.headers[b"original-destination"] == b"/queue/a"
    job = shown.headers[b"scheduledJobId"]
    how = b"REMOVEALL\n" if all_of_them else b"REMOVE\nscheduledJobId:%b\n" % job
    client.say(send(MANAGEMENT, b"", b"AMQ_SCHEDULER_ACTION:" + how + b"receipt:r\n"))
    client.say(send(b"/queue/a", b"y", PERSISTENT + b"delay:1000\n"))
    life.settle()
    rest_of_life(life, 5000)
    assert [each.body for each in life.waiting()] == [b"y"]


def test_its_life_begins_when_it_comes(life: Life) -> None:
    client = life.client()
    client.say(send(b"/queue/a", b"x", PERSISTENT + b"delay:10000\nttl:5000\n"))
    client.say(send(b"/queue/a", b"y", PERSISTENT + b"AMQ_SCHEDULED_PERIOD:10000\nAMQ_SCHEDULED_REPEAT:1\nttl:5000\n"))
    life.settle()
    life.crash()
    life.house.advance(10_020)
    assert sorted(each.body for each in life.waiting()) == [b"x", b"y"]
    life.house.advance(5000)
    assert life.waiting() == []


def test_a_transaction_that_was_not_committed_has_scheduled_nothing(life: Life) -> None:
    client = life.client()
    later = send(b"/queue/a", b"x", PERSISTENT + b"delay:1000\ntransaction:t\n")
    client.say(b"BEGIN\ntransaction:t\n\n\0" + later)
    life.settle()
    client.say(b"COMMIT\ntransaction:t\nreceipt:c\n\n\0")
    life.house.turn()
    life.crash()
    life.house.advance(2000)
    assert life.waiting() == []
    client = life.client()
    client.say(b"BEGIN\ntransaction:t\n\n\0" + later + b"COMMIT\ntransaction:t\nreceipt:c\n\n\0")
    life.settle()
    assert receipts(client.hear()) == [b"c"]
    life.crash()
    life.house.advance(2000)
    assert [each.body for each in life.waiting()] == [b"x"]


@pytest.mark.parametrize("destination", [b"/queue/a", b"/topic/a", b"/queue/b,/queue/a"])
@pytest.mark.parametrize(
    ("policy", "headers", "kept"),
    [
        ({"persistent": "always"}, b"", True),
        ({"persistent": "never"}, PERSISTENT, False),
        ({"durability": "memory"}, PERSISTENT, False),
        ({"durability": "written"}, PERSISTENT, True),
    ],
)
def test_what_the_policy_says_of_what_is_scheduled(
    face: Any, destination: bytes, policy: dict[str, str], headers: bytes, kept: bool
) -> None:
    life = Life(face, queues=[("#", policy)], topics=[("#", policy)])
    client = life.client()
    client.say(send(destination, b"x", headers + b"delay:1000\nreceipt:r\n"))
    life.settle()
    life.house.hear_store()
    assert receipts(client.hear()) == [b"r"]
    life.crash()
    assert life.house.stats["scheduled"] == kept


def test_a_broker_that_is_at_its_end_keeps_what_it_has_scheduled(life: Life) -> None:
    """Moving to the queue is one group: at any time it is here or there."""
    client = life.client()
    client.say(send(b"/queue/a", b"x", PERSISTENT + b"delay:1000\n"))
    life.settle()
    life.house.advance(1020)
    for more in (0, 1):
        other = Life(life.face)
        other.store = life.store.survivor(more)
        other.house = life.face.House(store=other.store, wall=life.house.wall)
        other.house.advance(20)
        assert [each.body for each in other.waiting()] == [b"x"]
        other.settle()
        assert other.house.stats["scheduled"] == 0


# ---- what topics keep ----


def replayed(life: Life, headers: bytes = b"from-seq:0\n", topic: bytes = b"/topic/a") -> list[Message]:
    client = life.client()
    client.say(subscribe(b"h", topic, headers))
    life.house.turn()
    heard = messages(client.hear())
    client.leave()
    return heard


def test_a_retained_message_is_kept_replaced_and_cleared(life: Life) -> None:
    client = life.client()
    for body in (b"1", b"2"):
        client.say(send(b"/topic/a", body, PERSISTENT + b"retain:set\nn:%b\nreceipt:r\n" % body))
        assert client.hear() == b""
        life.settle()
        assert receipts(client.hear()) == [b"r"]
        life.crash()
        [message] = replayed(life, b"")
        assert (message.body, message.headers[b"n"], message.headers[b"retained"]) == (body, body, b"true")
        client = life.client()
    client.say(send(b"/topic/a", b"3", b"retain:set\n"))
    life.settle()
    life.crash()
    assert replayed(life, b"") == []
    client = life.client()
    client.say(send(b"/topic/a", b"4", PERSISTENT + b"retain:set\n"))
    life.settle()
    client.say(send(b"/topic/a", b"", b"retain:remove\nreceipt:r\n"))
    life.settle()
    life.crash()
    assert replayed(life, b"") == []


def test_a_history_goes_on(life: Life) -> None:
    life = Life(life.face, topics=[("a", {**KEEPING, "persistent": "always"})])
    client = life.client()
    for number in range(8):
        client.say(send(b"/topic/a", b"%d" % number))
    life.settle()
    before = replayed(life)
    life.crash()
    client = life.client()
    assert [(each.number, each.body) for each in replayed(life)] == [(each.number, each.body) for each in before]
    client.say(send(b"/topic/a", b"8", b"retain:set\n"))
    life.settle()
    life.crash()
    after = replayed(life)
    assert [each.body for each in after] == [b"4", b"5", b"6", b"7", b"8"]
    assert len({each.number for each in after}) == 5
    [*behind] = replayed(life, b"since:epoch-%d\n" % before[2].number)
    assert [each.body for each in behind] == [b"6", b"7", b"8"]
    assert b"gap" not in behind[0].headers
    assert b"gap" in replayed(life, b"since:epoch-%d\n" % (before[0].number - 1))[0].headers
    [message] = replayed(life, b"")
    assert message.body == b"8"


def test_of_a_topic_that_keeps_not_all_a_gap_is_told(life: Life) -> None:
    life = Life(life.face, topics=[("a", KEEPING)])
    client = life.client()
    client.say(send(b"/topic/a", b"1", PERSISTENT) + send(b"/topic/a", b"2") + send(b"/topic/a", b"3", PERSISTENT))
    life.settle()
    [first, *_] = replayed(life)
    life.crash()
    [third] = replayed(life, b"since:epoch-%d\n" % first.number)
    assert (third.body, third.headers[b"gap"]) == (b"3", b"true")


def test_what_is_too_old_or_not_wanted_any_more_is_not_kept(life: Life) -> None:
    life = Life(life.face, topics=[("a", {"history_age": 60_000, "persistent": "always"})])
    client = life.client()
    client.say(send(b"/topic/a", b"1"))
    life.house.advance(30_000)
    client.say(send(b"/topic/a", b"2", b"retain:set\n"))
    life.settle()
    rest_of_life(life, 40_000)
    assert [each.body for each in replayed(life)] == [b"2"]
    life.house.advance(30_000)
    life.settle()
    life.crash()
    life.settings = {"topics": [("a", {"retain": False})]}
    life.crash()
    assert life.house.history(b"a") is None
    life.settle()
    life.settings = {"topics": [("a", {"history_messages": 10})]}
    life.crash()
    assert life.house.history(b"a") is None


# ---- names ----


def named(life: Life, client: Any, name: bytes, more: bytes = PERSISTENT, queue: bytes = b"/queue/a") -> None:
    client.say(send(queue, name, b"message-dedup-id:%b\nreceipt:%b\n" % (name, name) + more))


@pytest.mark.parametrize("mode", [b"auto", b"client"])
def test_a_message_that_was_acknowledged_does_not_come_twice(life: Life, mode: bytes) -> None:
    client = life.client()
    client.say(subscribe(b"1", b"/queue/a", b"ack:%b\n" % mode))
    named(life, client, b"x")
    named(life, client, b"y", b"")
    life.house.turn()
    for message in messages(client.hear()):
        client.say(ack(message.ack) if mode == b"client" else b"")
    life.settle()
    life.crash()
    client = life.client()
    for name in (b"x", b"y"):
        named(life, client, name)
    life.settle()
    assert receipts(client.hear()) == [b"x", b"y"]
    assert [each.body for each in life.waiting()] == [b"y"]


def test_a_transaction_that_was_not_committed_has_left_no_name(life: Life) -> None:
    client = life.client()
    client.say(b"BEGIN\ntransaction:t\n\n\0")
    for number in range(60):
        named(life, client, b"%d" % number, PERSISTENT + b"transaction:t\n")
    life.house.share(2000)
    client.say(b"COMMIT\ntransaction:t\nreceipt:c\n\n\0")
    assert client.unfinished
    life.settle()
    life.crash()
    client = life.client()
    named(life, client, b"0")
    life.settle()
    assert [each.body for each in life.waiting()] == [b"0"]


def test_the_window_outlives_the_segments_where_its_names_were_said(life: Life) -> None:
    life = Life(life.face, queues=[("a", {"duplicate_window": 100})])
    client = life.client()
    client.say(subscribe(b"1", b"/queue/a"))
    for number in range(400):
        named(life, client, b"%d" % number)
        if number % 3 == 0:
            life.settle()
            client.hear()
            life.house.carry_on()
    for number in range(100):
        client.say(send(b"/queue/b", b"x" * 500, PERSISTENT) + subscribe(b"b%d" % number, b"/queue/b"))
        life.settle()
        life.house.carry_on()
    life.settle()
    assert len(life.store.segments) < 20
    for _ in range(3):
        life.crash()
        client = life.client()
        for number in (399, 350, 300):
            named(life, client, b"%d" % number)
        life.settle()
        assert life.waiting() == []
    named(life, client, b"299")
    named(life, client, b"0")
    life.settle()
    assert [each.body for each in life.waiting()] == [b"299", b"0"]


def test_names_go_with_their_queue(life: Life) -> None:
    client = life.client()
    client.say(subscribe(b"1", b"/queue/a"))
    named(life, client, b"x")
    client.say(b"UNSUBSCRIBE\nid:1\n\n\0")
    for _ in range(3):
        life.house.advance(40_000)
        life.settle()
    assert life.house.queue(b"a") is None
    life.crash()
    client = life.client()
    named(life, client, b"x")
    life.settle()
    assert [each.body for each in life.waiting()] == [b"x"]


# ---- segments ----


def test_segments_go_beside_what_is_kept_for_long(life: Life) -> None:
    life = Life(life.face, topics=[("h.#", {**KEEPING, "persistent": "always"})])
    client = life.client()
    client.say(subscribe(b"g", b"/queue/gone"))
    for number in range(200):
        body = b"%d" % number
        if number % 20 == 0:
            client.say(send(b"/queue/later", body, PERSISTENT + b"delay:10000000\n"))
            client.say(send(b"/topic/h.%d" % (number // 40), body, b"retain:set\n"))
            named(life, client, body, queue=b"/queue/named")
        client.say(send(b"/queue/gone", body * 100, PERSISTENT))
        life.settle()
        life.house.carry_on()
        life.settle()
    for _ in range(20):
        life.house.carry_on()
        life.settle()
    assert len(life.store.segments) <= 10
    for _ in range(2):
        life.crash()
        assert life.house.stats["scheduled"] == 10
        for topic in range(5):
            heard = replayed(life, topic=b"/topic/h.%d" % topic)
            assert [int(each.body) for each in heard] == [topic * 40, topic * 40 + 20]
            assert [int(each.body) for each in replayed(life, b"", b"/topic/h.%d" % topic)] == [topic * 40 + 20]
        life.house.advance(20)
        life.settle()
    life.house.advance(10_000_000)
    assert sorted(int(each.body) for each in life.waiting(b"/queue/later")) == list(range(0, 200, 20))


# ---- queues as they were ----


def test_priorities_groups_and_last_values_are_as_they_were(life: Life) -> None:
    client = life.client()
    for number in range(12):
        headers = b"priority:%d\n" % (number % 3) if number < 6 else b"JMSXGroupID:g%d\n" % (number % 2)
        client.say(send(b"/queue/a" if number < 6 else b"/queue/g", b"%d" % number, PERSISTENT + headers))
    for number in range(4):
        client.say(send(b"/queue/v", b"%d" % number, PERSISTENT + b"_AMQ_LVQ_NAME:n%d\n" % (number % 2)))
    life.settle()
    life.crash()
    assert [each.body for each in life.waiting()] == [b"2", b"5", b"1", b"4", b"0", b"3"]
    assert [each.body for each in life.waiting(b"/queue/v")] == [b"2", b"3"]
    one, other = life.client(), life.client()
    for each in (one, other):
        each.say(subscribe(b"1", b"/queue/g", b"ack:client-individual\n"))
    life.house.turn()
    heard = [[int(body) % 2 for body in bodies(each.hear())] for each in (one, other)]
    assert sorted(heard) == [[0, 0, 0], [1, 1, 1]]


@pytest.mark.parametrize("reason", ["rejected", "expired", "overflow"])
def test_a_dead_letter_is_always_in_one_queue(face: Any, reason: str) -> None:
    policy = {"dead_letter_expired": True, "max_messages": 1, "overflow": "dead-letter"}
    life = Life(face, queues=[("a", policy)])
    client = life.client()
    client.say(send(b"/queue/a", b"1", PERSISTENT + (b"ttl:1000\n" if reason == "expired" else b"")))
    life.settle()
    if reason == "expired":
        life.house.advance(2000)
    elif reason == "overflow":
        client.say(send(b"/queue/a", b"2", PERSISTENT + b"receipt:r\n"))
        assert client.hear() == b""
    else:
        client.say(subscribe(b"1", b"/queue/a", b"ack:client\n"))
        life.house.turn()
        [message] = messages(client.hear())
        client.say(ack(message.ack, b"NACK", b"requeue:false\n"))
    life.house.turn()
    for more in (0, 1):
        other = Life(face, queues=[("a", policy)])
        other.store = life.store.survivor(more)
        other.house = face.House(store=other.store, wall=life.house.wall, queues=[("a", policy)])
        other.house.turn()
        found = [each.body for queue in (b"/queue/a", b"/queue/DLQ.a") for each in other.waiting(queue)]
        assert sorted(found) == ([b"1", b"2"] if reason == "overflow" and more else [b"1"])


class Kept(Lives):
    """Somebody schedules, retains and names messages; brokers end at any time, and what was promised holds."""

    @initialize()
    def begin(self) -> None:
        self.life = Life(self.face, topics=[("t", {**KEEPING, "persistent": "always"})])
        self.number = 0
        self.scheduled: dict[bytes, int] = {}  # and when it is due
        self.promised: set[bytes] = set()
        self.names: set[bytes] = set()
        self.kept: list[bytes] = []  # bodies that were sent to the topic
        self.retained: list[bytes] = []
        self.client = self.life.client()

    def listen(self) -> None:
        self.promised.update(receipts(self.client.hear()))

    def say(self, destination: bytes, headers: bytes) -> bytes:
        self.number += 1
        body = b"%d" % self.number
        self.client.say(send(destination, body, headers + b"receipt:%b\n" % body))
        self.listen()
        return body

    @rule(delay=st.integers(0, 50))
    def schedule(self, delay: int) -> None:
        body = self.say(b"/queue/later", PERSISTENT + b"delay:%d\n" % (100 * delay + 1))
        self.scheduled[body] = self.life.house.wall + 100 * delay + 1

    @rule()
    def keep(self) -> None:
        self.kept.append(self.say(b"/topic/t", b""))

    @rule()
    def retain(self) -> None:
        self.retained.append(self.say(b"/topic/r", PERSISTENT + b"retain:set\n"))

    @rule()
    def name(self) -> None:
        self.number += 1
        name = b"%d" % self.number
        named(self.life, self.client, name, queue=b"/queue/named")
        self.names.add(name)
        self.listen()

    @rule()
    def take_named(self) -> None:
        self.client.say(subscribe(b"n", b"/queue/named") + b"UNSUBSCRIBE\nid:n\n\n\0")
        self.life.house.turn()
        self.listen_to_all()

    def listen_to_all(self) -> None:
        for frame in self.client.hear().replace(b"\0\n", b"\0").split(b"\0")[:-1]:
            if frame.startswith(b"RECEIPT"):
                self.promised.update(receipts(frame + b"\n"))

    @rule()
    def wait(self) -> None:
        self.life.house.advance(500)
        self.listen()

    @rule(more=st.booleans())
    def crash(self, more: bool) -> None:
        self.life.crash(more)
        self.client = self.life.client()
        self.life.house.advance(20)
        there = [each.body for each in self.life.waiting(b"/queue/later")]
        assert len(there) == len(set(there))
        due = {body for body, time in self.scheduled.items() if time < self.life.house.wall}
        assert due & self.promised <= set(there)
        assert len(there) + self.life.house.stats["scheduled"] >= len(self.scheduled.keys() & self.promised)
        heard = [each.body for each in replayed(self.life, topic=b"/topic/t")]
        known = [body for body in self.kept if body in self.promised or body in heard]
        assert heard == known[-5:]
        [*values] = [each.body for each in replayed(self.life, b"", b"/topic/r")]
        newest = [body for body in self.retained if body in self.promised][-1:]
        assert not newest or (values and self.retained.index(values[0]) >= self.retained.index(newest[0]))
        before = {each.body for each in self.life.waiting(b"/queue/named")}
        for name in sorted(self.names & self.promised):
            self.client.say(send(b"/queue/named", b"again", b"message-dedup-id:%b\n" % name + PERSISTENT))
        assert {each.body for each in self.life.waiting(b"/queue/named")} == before
        self.client.hear()


def test_what_was_promised_is_kept_whenever_a_broker_ends(face: Any) -> None:
    run_state_machine_as_test(type("KeptHere", (Kept,), {"face": face}))


@pytest.mark.parametrize("headers", [b"", b"delay:100\n"])
def test_what_ends_right_behind_being_carried_has_ended(life: Life, headers: bytes) -> None:
    """While the segment where it was, too, is still there."""
    client = life.client()
    client.say(subscribe(b"g", b"/queue/gone"))
    client.say(send(b"/queue/a", b"x", PERSISTENT + headers))
    for number in range(100):
        client.say(send(b"/queue/stays", b"%d" % number, PERSISTENT) if number % 20 == 0 else b"")
        client.say(send(b"/queue/gone", b"x" * 1000, PERSISTENT))
        life.settle()
    client.say(send(b"/queue/gone", b"", PERSISTENT + b"receipt:r\n"))
    life.house.turn()
    assert life.store.busy  # so all that follows is one run
    life.house.carry_on()
    life.house.advance(200)
    client.say(subscribe(b"a", b"/queue/a"))
    life.house.turn()
    assert b"\nx\0" in client.hear()
    life.store.finish()
    life.house.turn()
    life.crash(1)
    life.house.advance(200)
    assert life.waiting() == []
