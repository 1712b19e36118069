"""Messages that are sent twice under one name, and come once."""

from __future__ import annotations

from collections import deque
from typing import Any

from broker_frames import bodies, send, subscribe
from hypothesis import given
from hypothesis import strategies as st

Face = Any  # of a module that the type checker knows nothing of
QUEUE = b"/queue/a"


def named(name: bytes, body: bytes = b"x", queue: bytes = QUEUE, more: bytes = b"") -> bytes:
    return send(queue, body, b"message-dedup-id:%b\n%b" % (name, more))


@given(window=st.integers(1, 40), names=st.lists(st.integers(0, 60), max_size=300))
def test_as_a_list_of_the_last_would_do_it(face: Face, window: int, names: list[int]) -> None:
    house = face.House(queues=[("a", {"duplicate_window": window})])
    client = face.Client(house)
    client.say(subscribe(b"1", QUEUE))
    last: deque[int] = deque(maxlen=window)
    for name in names:
        client.say(named(b"%d" % name))
        is_new = name not in last
        assert len(bodies(client.hear())) == is_new
        if is_new:
            last.append(name)


def test_the_names_of_both_headers_are_one(face: Face) -> None:
    house = face.House()
    client = face.Client(house)
    client.say(subscribe(b"1", QUEUE) + named(b"1", b"a") + send(QUEUE, b"b", b"_AMQ_DUPL_ID:1\n"))
    client.say(send(QUEUE, b"c") + send(QUEUE, b"c") + named(b"", b"d") + named(b"", b"d"))
    client.say(named(b"1", b"e", b"/queue/b") + subscribe(b"2", b"/queue/b"))
    house.turn()
    assert bodies(client.hear()) == [b"a", b"c", b"c", b"d", b"d", b"e"]


def test_the_receipt_comes_and_it_may_have_been_taken_since(face: Face) -> None:
    client = face.Client(face.House())
    client.say(subscribe(b"1", QUEUE) + named(b"1"))
    client.hear()
    client.say(named(b"1", more=b"receipt:r\n"))
    assert client.hear().startswith(b"RECEIPT\nreceipt-id:r\n")


def test_in_a_transaction_it_is_decided_at_its_commit(face: Face) -> None:
    house = face.House()
    client = face.Client(house)
    begin, commit = b"BEGIN\ntransaction:t\n\n\0", b"COMMIT\ntransaction:t\n\n\0"
    client.say(subscribe(b"1", QUEUE) + begin + named(b"1", b"a", more=b"transaction:t\n"))
    client.say(named(b"1", b"b"))
    assert bodies(client.hear()) == [b"b"]
    client.say(named(b"2", b"c", more=b"transaction:t\n") + named(b"2", b"d", more=b"transaction:t\n") + commit)
    assert bodies(client.hear()) == [b"c"]
    client.say(begin + named(b"3", b"e", more=b"transaction:t\n") + b"ABORT\ntransaction:t\n\n\0" + named(b"3", b"f"))
    assert bodies(client.hear()) == [b"f"]


def test_without_a_window_nothing_is_remembered(face: Face) -> None:
    house = face.House(queues=[("a", {"duplicate_window": 0})])
    client = face.Client(house)
    client.say(subscribe(b"1", QUEUE) + named(b"1") * 3)
    assert len(bodies(client.hear())) == 3


def test_a_million_names_take_what_the_window_takes(face: Face) -> None:
    """And the queue gives it back when it goes."""
    house = face.House(queue_idle_timeout=1000)
    client = face.Client(house)
    before = house.stats["memory"]
    client.say(subscribe(b"1", QUEUE))
    for number in range(0, 1_000_000, 1000):
        client.say(b"".join(named(b"%d" % each) for each in range(number, number + 1000)))
        client.hear()
    assert client.messages == 1_000_000
    held = house.stats["memory"] - before
    assert 10_000 * 16 < held < 16_384 * 24 + 10_000
    client.say(named(b"990001"))
    assert client.messages == 1_000_000
    client.say(named(b"1"))
    assert client.messages == 1_000_001, "that was long ago"
    client.say(b"UNSUBSCRIBE\nid:1\n\n\0" + send(b"/topic/none", b""))
    client.hear()
    house.advance(2000)
    assert house.stats["memory"] < before + 5000


def test_a_window_does_not_grow_over_the_memory_there_is(face: Face) -> None:
    """Then it is as large as it can be, and still one that was just there is known."""
    house = face.House(memory=16 << 20, queues=[("a", {"duplicate_window": 10_000_000})])
    client = face.Client(house)
    client.say(subscribe(b"1", QUEUE))
    for number in range(0, 2_000_000, 1000):
        client.say(b"".join(named(b"%d" % each) for each in range(number, number + 1000)))
        client.hear()
    assert house.stats["memory"] < 16 << 20
    assert house.is_full == (False, False)
    client.say(named(b"1999999"))
    assert client.messages == 2_000_000
