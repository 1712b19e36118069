"""Messages that come later, again, or not at all: beside a sorted list, on a clock that the test moves."""

from __future__ import annotations

import time
from typing import Any

import pytest
from broker_frames import bodies, send, subscribe
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from fastbroker.core.frame import Refused

Face = Any  # of a module that the type checker knows nothing of
LATE = 20  # a timer fires in the tick behind its time
MANAGEMENT = b"/queue/ActiveMQ.Scheduler.Management"


@pytest.fixture
def house(face: Face) -> Face:
    return face.House(cron=every_minute)


def every_minute(expression: str, after: int) -> int:
    if expression != "* * * * *":
        raise ValueError("no")
    return after + 60_000


@pytest.fixture
def client(face: Face, house: Face) -> Face:
    client = face.Client(house)
    client.say(subscribe(b"1", b"/queue/a"))
    return client


def heard_after(house: Face, client: Face, milliseconds: int) -> list[bytes]:
    house.advance(milliseconds)
    return bodies(client.hear())


@pytest.mark.parametrize("name", [b"delay", b"AMQ_SCHEDULED_DELAY"])
@pytest.mark.parametrize("destination", [b"/queue/a", b"/topic/a"])
def test_a_message_comes_when_its_time_has_come(house: Face, client: Face, name: bytes, destination: bytes) -> None:
    client.say(subscribe(b"2", b"/topic/a"))
    client.say(send(destination, b"later", b"%b:1000\n" % name) + send(destination, b"now"))
    assert bodies(client.hear()) == [b"now"]
    assert house.stats["scheduled"] == 1
    assert heard_after(house, client, 1000 - LATE) == []
    assert heard_after(house, client, 2 * LATE) == [b"later"]
    assert (house.stats["scheduled"], house.stats["messages"]) == (0, 0)


def test_a_receipt_comes_when_it_is_accepted(house: Face, client: Face) -> None:
    client.say(send(b"/queue/a", b"later", b"delay:1000\nreceipt:r\n"))
    assert b"receipt-id:r" in client.hear()


def test_in_a_transaction_it_counts_from_commit(house: Face, client: Face) -> None:
    client.say(b"BEGIN\ntransaction:t\n\n\0" + send(b"/queue/a", b"later", b"delay:1000\ntransaction:t\n"))
    assert heard_after(house, client, 5000) == []
    client.say(b"COMMIT\ntransaction:t\n\n\0")
    assert heard_after(house, client, 1000 - LATE) == []
    assert heard_after(house, client, 2 * LATE) == [b"later"]


def test_again_and_again(house: Face, client: Face) -> None:
    client.say(send(b"/queue/a", b"x", b"AMQ_SCHEDULED_DELAY:100\nAMQ_SCHEDULED_PERIOD:1000\nAMQ_SCHEDULED_REPEAT:2\n"))
    heard = [heard_after(house, client, 1000) for _ in range(5)]
    assert heard == [[b"x"], [b"x"], [b"x"], [], []]
    assert house.stats["scheduled"] == 0


@pytest.mark.parametrize("overflow", ["reject", "block"])
@pytest.mark.parametrize("first", [b"", b"delay:50\n"])
def test_what_comes_again_is_not_kept_beyond_a_limit(face: Face, overflow: str, first: bytes) -> None:
    """Or one SEND would fill the memory, whatever the queue may hold."""
    house = face.House(queues=[("a", {"max_messages": 2, "overflow": overflow})])
    client = face.Client(house)
    client.say(send(b"/queue/a,/queue/b", b"x", first + b"AMQ_SCHEDULED_PERIOD:100\nAMQ_SCHEDULED_REPEAT:-1\n"))
    house.advance(1000)
    came = house.queue(b"b")[0]
    assert came > 5
    assert house.queue(b"a") == (2, 0, 0)
    assert (house.stats["dropped"], house.stats["messages_in"], house.stats["scheduled"]) == (came - 2, 1, 1)
    client.say(subscribe(b"1", b"/queue/a"))
    assert len([body for _ in range(10) for body in heard_after(house, client, 100)]) > 5


def test_what_was_taken_comes_once_whatever_the_limit(face: Face) -> None:
    house = face.House(queues=[("a", {"max_messages": 1, "overflow": "reject"})])
    client = face.Client(house)
    client.say(send(b"/queue/a", b"x", b"delay:100\n") + send(b"/queue/a", b"x"))
    house.advance(1000)
    assert house.queue(b"a") == (2, 0, 0)


def test_without_an_end_until_it_is_cancelled(house: Face, client: Face) -> None:
    client.say(send(b"/queue/a", b"x", b"AMQ_SCHEDULED_PERIOD:1000\nAMQ_SCHEDULED_REPEAT:-1\n"))
    assert len(heard_after(house, client, 10_500)) == 11
    client.say(send(MANAGEMENT, b"", b"AMQ_SCHEDULER_ACTION:REMOVEALL\n"))
    assert heard_after(house, client, 5000) == []
    assert house.stats["scheduled"] == 0


def test_cron(house: Face, client: Face) -> None:
    client.say(send(b"/queue/a", b"x", b"AMQ_SCHEDULED_CRON:* * * * *\n"))
    assert heard_after(house, client, 60_000 - LATE) == []
    assert heard_after(house, client, 2 * LATE) == [b"x"]
    assert heard_after(house, client, 60_000 + LATE) == [b"x"]
    assert heard_after(house, client, 600_000) == [b"x"], "times that were missed are over"
    assert house.stats["scheduled"] == 1


def test_a_round_for_each_time_of_cron(house: Face, client: Face) -> None:
    client.say(
        send(
            b"/queue/a",
            b"x",
            b"AMQ_SCHEDULED_CRON:* * * * *\nAMQ_SCHEDULED_DELAY:1000\n"
            b"AMQ_SCHEDULED_PERIOD:1000\nAMQ_SCHEDULED_REPEAT:3\n",
        )
    )
    assert len(heard_after(house, client, 66_000)) == 4


@pytest.mark.parametrize(
    "headers",
    [
        b"AMQ_SCHEDULED_CRON:never\n", b"AMQ_SCHEDULED_REPEAT:5\n", b"AMQ_SCHEDULED_REPEAT:-2\n",
        b"AMQ_SCHEDULED_REPEAT:5\nAMQ_SCHEDULED_PERIOD:99\n", b"AMQ_SCHEDULED_PERIOD:x\n",
        b"AMQ_SCHEDULED_PERIOD:1000000000000\n",
    ],
)  # fmt: skip
def test_a_schedule_that_cannot_be_is_refused(house: Face, client: Face, headers: bytes) -> None:
    before = house.stats
    with pytest.raises(Refused, match="bad header"):
        client.say(send(b"/queue/a", b"x", headers))
    after = house.stats
    assert [after[name] for name in ("scheduled", "messages")] == [before[name] for name in ("scheduled", "messages")]


@pytest.mark.parametrize("headers", [b"AMQ_SCHEDULED_CRON:never\n", b"AMQ_SCHEDULED_REPEAT:5\n"])
def test_in_a_transaction_it_is_refused_before_anything_is_done(house: Face, client: Face, headers: bytes) -> None:
    client.say(b"BEGIN\ntransaction:t\n\n\0" + send(b"/queue/a", b"1", b"transaction:t\n"))
    with pytest.raises(Refused, match="bad header"):
        client.say(send(b"/queue/a", b"2", b"transaction:t\n" + headers))
    assert bodies(client.hear()) == []


def test_a_cron_expression_has_a_bound(house: Face, client: Face) -> None:
    """It is read again each time."""
    for width, is_refused in ((0, False), (300, True)):
        frame = send(b"/queue/a", b"x", b"AMQ_SCHEDULED_CRON:%b* * * * *\n" % (b" " * width))
        if is_refused:
            with pytest.raises(Refused, match="bad header"):
                client.say(frame)
        else:
            client.say(frame)


# ---- beside other promises ----


@pytest.mark.parametrize(
    "when", [b"AMQ_SCHEDULED_CRON:* * * * *\n", b"AMQ_SCHEDULED_PERIOD:60000\nAMQ_SCHEDULED_REPEAT:2\n"]
)
def test_a_time_to_live_begins_each_time_that_it_is_due(house: Face, client: Face, when: bytes) -> None:
    client.say(send(b"/queue/a", b"x", b"ttl:3000\n" + when))
    heard_after(house, client, 20)
    assert [heard_after(house, client, 61_000) for _ in range(2)] == [[b"x"], [b"x"]]


@pytest.mark.parametrize(
    "when", [b"AMQ_SCHEDULED_CRON:* * * * *\n", b"AMQ_SCHEDULED_PERIOD:60000\nAMQ_SCHEDULED_REPEAT:-1\n"]
)
def test_who_says_until_when_gets_nothing_later(house: Face, client: Face, when: bytes) -> None:
    client.say(send(b"/queue/a", b"x", b"expires:%d\n" % (time.time() * 1000 + 90_000) + when))
    heard_after(house, client, 20)
    assert [heard_after(house, client, 61_000) for _ in range(3)] == [[b"x"], [], []]
    assert house.stats["scheduled"] == 0, "it is over"


def test_it_is_no_duplicate_of_itself(face: Face) -> None:
    house = face.House(queues=[("#", {"duplicate_window": 10})])
    client = face.Client(house)
    client.say(subscribe(b"1", b"/queue/a"))
    again = b"AMQ_SCHEDULED_PERIOD:1000\nAMQ_SCHEDULED_REPEAT:2\n"
    client.say(send(b"/queue/a", b"x", b"message-dedup-id:1\n" + again))
    client.say(send(b"/queue/a", b"y", b"message-dedup-id:1\n"))
    assert heard_after(house, client, 3000) == [b"y", b"x", b"x"], "the first one is, of the other"


# ---- memory ----

MEMORY = 8 << 20
KILOBYTE = b"x" * 1000


def all_heard(house: Face, client: Face) -> list[bytes]:
    """In turns, until there is no more."""
    heard: list[bytes] = []
    while more := heard_after(house, client, 20):
        heard += more
    return heard


def fill(client: Face, most: int) -> int:
    """How many messages of a kilobyte are scheduled before there is no room."""
    for number in range(most):
        try:
            client.say(send(b"/queue/a", KILOBYTE, b"delay:1000\n"))
        except Refused as refusal:
            assert refusal.args[0] == b"server busy"
            return number
    return most


def test_it_has_a_share_of_the_memory(face: Face) -> None:
    """Whoever consumes could not make room, and everybody would wait until all of it is due."""
    house = face.House(memory=MEMORY)
    client = face.Client(house)
    client.say(subscribe(b"1", b"/queue/a"))
    for _ in range(2):
        number = fill(client, 10_000)
        assert MEMORY // 3 < number * len(KILOBYTE) < MEMORY // 2
        assert house.is_full == (False, False)
        client.say(send(b"/queue/a", b"now"))
        assert bodies(client.hear()) == [b"now"]
        house.advance(2000)
        assert len(all_heard(house, client)) == number, "and there is room again"


def test_a_commit_finds_room_for_all_or_does_nothing(face: Face) -> None:
    house = face.House(memory=MEMORY)
    client = face.Client(house)
    client.say(subscribe(b"1", b"/queue/a") + b"BEGIN\ntransaction:t\n\n\0")
    client.say(send(b"/queue/a", b"now", b"transaction:t\n"))
    client.say(send(b"/queue/a", KILOBYTE, b"transaction:t\ndelay:1000\n") * 100)
    number = fill(client, 10_000)
    with pytest.raises(Refused, match="server busy"):
        client.say(b"COMMIT\ntransaction:t\n\n\0")
    assert (bodies(client.hear()), house.stats["scheduled"]) == ([], number)
    house.advance(2000)
    assert len(all_heard(house, client)) == number
    client.say(b"COMMIT\ntransaction:t\n\n\0")
    assert (bodies(client.hear()), house.stats["scheduled"]) == ([b"now"], 100)


def test_what_comes_later_needs_no_room_in_a_queue_now(face: Face) -> None:
    house = face.House(queues=[("a", {"max_messages": 1, "overflow": "reject"})])
    client = face.Client(house)
    client.say(b"BEGIN\ntransaction:t\n\n\0" + send(b"/queue/a", b"1", b"transaction:t\n"))
    client.say(send(b"/queue/a", b"2", b"transaction:t\ndelay:1000\n"))
    client.say(b"COMMIT\ntransaction:t\n\n\0" + subscribe(b"1", b"/queue/a"))
    house.turn()
    assert bodies(client.hear()) == [b"1"]
    assert heard_after(house, client, 2000) == [b"2"]


def test_what_stays_for_long_does_not_hold_what_lay_beside_it(face: Face) -> None:
    house = face.House(memory=1 << 30)
    client = face.Client(house)
    client.say(send(b"/queue/a", b"x" * 4000, b"delay:1000000\n"))
    before = house.stats["memory"]
    for number in range(20_000):
        client.say(send(b"/queue/b", b"%d" % number + b"x" * 4000))
        if number % 1000 == 0:
            client.say(send(b"/queue/a", b"%d" % number + b"x" * 4000, b"delay:1000000\n"))
    client.say(subscribe(b"1", b"/queue/b"))
    for _ in range(200):
        house.turn()
        client.hear()
    assert house.queue(b"b")[:2] == (0, 0)
    house.move_messages()
    assert house.stats["memory"] < before + (10 << 20)
    client.say(subscribe(b"2", b"/queue/a"))
    assert min(len(body) for body in heard_after(house, client, 1_001_000)) == 4000
    assert house.stats["scheduled"] == 0


def test_its_memory_comes_back(face: Face, house: Face) -> None:
    client = face.Client(house)
    client.say(send(b"/queue/a", b"x", b"delay:1\n"))
    client.say(subscribe(b"1", b"/queue/a"))
    house.advance(2000)
    client.hear()
    before = house.stats["memory"]
    client.say(b"".join(send(b"/queue/a", b"x" * 100, b"delay:%d\n" % (1 + i % 7)) for i in range(5000)))
    assert house.stats["memory"] > before + 5000 * 250
    for _ in range(20):
        house.advance(1000)
        client.hear()
    assert house.stats["memory"] <= before


def test_a_million_at_the_same_second_are_published_in_slices(house: Face, client: Face) -> None:
    """Fewer here; a slice is some thousands."""
    client.say(b"".join(send(b"/topic/nobody", b"x", b"delay:1000\n") for _ in range(50_000)))
    house.advance(1100)
    left = house.stats["scheduled"]
    assert 0 < left < 50_000
    for _ in range(20):
        house.advance(10)
    assert house.stats["scheduled"] == 0


# ---- what is scheduled, for those who look ----


def jobs(stream: bytes) -> list[tuple[bytes, bytes]]:
    found = []
    for frame in stream.replace(b"\0\n", b"\0").split(b"\0")[:-1]:
        head, _, body = frame.partition(b"\n\n")
        lines = dict(line.partition(b":")[::2] for line in reversed(head.split(b"\n")[1:]))
        assert lines[b"original-destination"] == b"/queue/a"
        found.append((lines[b"scheduledJobId"], body))
    return found


BROWSE = b"AMQ_SCHEDULER_ACTION:BROWSE\nreply-to:/temp-queue/jobs\n"


def test_browse_and_remove(house: Face, client: Face) -> None:
    client.say(b"".join(send(b"/queue/a", b"%d" % i, b"delay:%d\n" % ((i + 1) * 10_000)) for i in (2, 0, 1)))
    client.say(send(MANAGEMENT, b"", BROWSE))
    house.turn()
    seen = jobs(client.hear())
    assert [body for _, body in seen] == [b"0", b"1", b"2"], "the first to come is the first"
    client.say(
        send(
            b"/topic/ActiveMQ.Scheduler.Management",
            b"",
            b"AMQ_SCHEDULER_ACTION:REMOVE\nscheduledJobId:%b\n" % seen[1][0],
        )
    )
    assert heard_after(house, client, 60_000) == [b"0", b"2"]
    with pytest.raises(Refused, match="bad header"):
        client.say(send(MANAGEMENT, b"", b"AMQ_SCHEDULER_ACTION:REMOVE\nscheduledJobId:%b\n" % seen[1][0]))


def test_between_two_times(house: Face, client: Face) -> None:
    now = int(time.time() * 1000)
    client.say(b"".join(send(b"/queue/a", b"%d" % i, b"delay:%d\n" % (i * 100_000)) for i in range(1, 6)))
    between = b"ACTION_START_TIME:%d\nACTION_END_TIME:%d\n" % (now + 150_000, now + 350_000)
    client.say(send(MANAGEMENT, b"", BROWSE + between))
    house.turn()
    assert [body for _, body in jobs(client.hear())] == [b"2", b"3"]
    client.say(send(MANAGEMENT, b"", b"AMQ_SCHEDULER_ACTION:REMOVEALL\n" + between))
    house.turn()
    assert house.stats["scheduled"] == 3


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        (b"", "bad header"), (b"AMQ_SCHEDULER_ACTION:LIST\n", "bad header"),
        (b"AMQ_SCHEDULER_ACTION:BROWSE\n", "missing header"),
        (b"AMQ_SCHEDULER_ACTION:BROWSE\nreply-to:/queue/a\n", "missing header"),
        (b"AMQ_SCHEDULER_ACTION:REMOVE\n", "bad header"),
        (b"AMQ_SCHEDULER_ACTION:REMOVEALL\nACTION_START_TIME:x\n", "bad header"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused(house: Face, client: Face, headers: bytes, message: str) -> None:
    with pytest.raises(Refused, match=message):
        client.say(send(MANAGEMENT, b"", headers))


def test_very_many_are_cancelled_in_steps(house: Face, client: Face) -> None:
    client.say(b"".join(send(b"/queue/a", b"x", b"delay:1000000\n") for _ in range(3500)))
    client.say(send(MANAGEMENT, b"", b"AMQ_SCHEDULER_ACTION:REMOVEALL\n") + send(b"/queue/a", b"y", b"delay:2000000\n"))
    house.turn()
    assert house.stats["scheduled"] == 1


def test_nothing_that_was_cancelled_comes(house: Face, client: Face) -> None:
    """However much was to be cancelled before it."""
    client.say(send(b"/queue/a", b"x", b"delay:1000000\n") * 60_000 + send(b"/queue/a", b"y", b"delay:1000\n") * 2000)
    client.say(send(MANAGEMENT, b"", b"AMQ_SCHEDULER_ACTION:REMOVEALL\nreceipt:r\n"))
    assert client.hear() == b"RECEIPT\nreceipt-id:r\n\n\0\n"
    house.advance(1100)
    assert house.stats["scheduled"] > 0, "it takes more than a turn"
    for _ in range(20):
        house.advance(10)
    assert (house.stats["scheduled"], client.hear()) == (0, b"")


def test_what_is_left_is_looked_at_seldom(house: Face, client: Face) -> None:
    """What comes later lies at the end of the heap, from where on it is looked through."""
    late = int(time.time() * 1000) + 5_000_000
    many, in_one_step = 60_000, 1000
    pair = send(b"/queue/a", b"x", b"delay:10000000\n") + send(b"/queue/a", b"y", b"delay:1000000\n")
    client.say(pair * (many // 2))
    client.say(send(MANAGEMENT, b"", b"AMQ_SCHEDULER_ACTION:REMOVEALL\nACTION_END_TIME:%d\n" % late))
    before = house.stats["work"]
    while house.stats["scheduled"] > many // 2:
        house.turn()
    house.turn()
    assert house.stats["scheduled"] == many // 2
    looks = (house.stats["work"] - before - 128 * many // 2) / 4
    assert looks < 4 * many < many // 2 / in_one_step * many // 2


def test_browse_copies_no_more_than_so_much(house: Face, client: Face) -> None:
    client.say(send(b"/queue/a", b"x" * 100_000, b"delay:10000\n") * 100)
    before = house.stats["memory"]
    client.say(send(MANAGEMENT, b"", BROWSE))
    assert house.stats["memory"] < before + (6 << 20)
    assert 30 < len(all_heard(house, client)) < 60


def test_what_it_refuses_is_not_part_of_anything(house: Face, client: Face) -> None:
    """A COMMIT, or a message to several places, would be half done."""
    with pytest.raises(Refused, match="bad destination"):
        client.say(send(b"/queue/a," + MANAGEMENT, b"x", b"AMQ_SCHEDULER_ACTION:REMOVE\nscheduledJobId:7\n"))
    client.say(b"BEGIN\ntransaction:t\n\n\0")
    with pytest.raises(Refused, match="bad header"):
        client.say(send(MANAGEMENT, b"", b"AMQ_SCHEDULER_ACTION:REMOVEALL\ntransaction:t\n"))
    assert client.hear() == b""


@pytest.mark.parametrize("prefix", [b"/queue/", b"/topic/", b"topic://", b"", b"/exchange/amq.topic/"])
def test_it_has_one_name_for_who_is_asked(face: Face, prefix: bytes) -> None:
    asked = []

    def authorize(identity: Any, action: str, destination: str) -> bool:
        asked.append(destination.encode())
        return True

    client = face.Client(face.House(authorize=authorize))
    client.say(send(prefix + MANAGEMENT[7:], b"", b"AMQ_SCHEDULER_ACTION:REMOVEALL\n"))
    assert asked == [MANAGEMENT]


def test_what_is_apart_may_be_called_the_same(house: Face, client: Face) -> None:
    apart = b"/exchange/amq.direct/" + MANAGEMENT[7:]
    client.say(subscribe(b"2", apart) + send(apart, b"x"))
    assert bodies(client.hear()) == [b"x"]


class ScheduleMachine(RuleBasedStateMachine):
    """What comes is what a sorted list says, in its order."""

    def __init__(self, face: Face) -> None:
        super().__init__()
        self.house = face.House()
        self.client = face.Client(self.house)
        self.client.say(subscribe(b"1", b"/queue/a"))
        self.now = self.number = 0
        self.plan: list[tuple[int, int]] = []

    @rule(delays=st.lists(st.integers(1, 40), min_size=1, max_size=8))
    def accept(self, delays: list[int]) -> None:
        for tens in delays:
            self.number += 1
            delay = tens * 10_000 + self.number * 50  # no two are due at the same time
            self.plan.append((self.now + delay, self.number))
            self.house.turn()  # the time of day stands where it stood
            self.client.say(send(b"/queue/a", b"%d" % self.number, b"delay:%d\n" % delay))

    @rule(steps=st.integers(1, 12))
    def wait(self, steps: int) -> None:
        self.now += steps * 10_000
        self.house.advance(steps * 10_000)

    @invariant()
    def what_comes_is_in_order(self) -> None:
        self.plan.sort()
        heard = [int(body) for body in bodies(self.client.hear())]
        assert heard == [number for _, number in self.plan[: len(heard)]]
        late = [number for due, number in self.plan[len(heard) :] if due < self.now - 2 * LATE]
        assert not late
        del self.plan[: len(heard)]
        assert self.house.stats["scheduled"] == len(self.plan)


def test_beside_a_sorted_list(face: Face) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: ScheduleMachine(face), settings=settings(max_examples=30, stateful_step_count=20, deadline=None)
    )
