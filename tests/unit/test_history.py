"""What topics keep: how much, for how long, what of it somebody who comes later gets, and what that does to others."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from broker_frames import ack, bodies, messages, send, subscribe
from hypothesis import given, settings
from hypothesis import strategies as st

from fastbroker.core.frame import Refused

Face = Any  # of a module that the type checker knows nothing of
HOLD_SLOW = 2
SOFT, HARD = 20_000, 200_000
HOUR = 3_600_000


def keeping(face: Face, pattern: str = "#", slow: str = "disconnect", **how: Any) -> Face:
    """Topics have histories, and outputs are soon full."""
    limits = {name: how.pop(name) for name in [*how] if not name.startswith("history") and name != "retain"}
    topics = [(pattern, {"slow_consumer": slow, **how})]
    return face.House(topics=topics, **{"outbound_soft": SOFT, "outbound_hard": HARD, **limits})


def said(house: Face, count: int, topic: bytes = b"/topic/a", first: int = 1, size: int = 0) -> None:
    for number in range(first, first + count):
        house.publish(topic, b"%d%b" % (number, b"." * size))
    house.settle()


def frames(stream: bytes) -> list[bytes]:
    return stream.replace(b"\0\n", b"\0").split(b"\0")[:-1]


def joined(face: Face, house: Face, headers: bytes = b"", topic: bytes = b"/topic/a", **how: Any) -> Face:
    client = face.Client(house, **how)
    client.say(subscribe(b"0", topic, headers))
    house.turn()
    return client


def numbers(stream: bytes) -> list[int]:
    return [int(body.rstrip(b".")) for body in bodies(stream)]


def gaps(stream: bytes) -> list[int]:
    """Which of the messages, counted from 0, have a gap in front of them."""
    return [at for at, frame in enumerate(frames(stream)) if b"\ngap:true\n" in frame]


def drained(house: Face, client: Face, rounds: int = 10_000) -> bytes:
    """All that it gets while it reads again and again."""
    heard = b""
    for _ in range(rounds):
        more = client.hear()
        house.turn()
        if not more and not client.pending:
            break
        heard += more
    return heard


# ---- what is kept ----------------------------------------------------------------------------------------------------


def test_count(face: Face) -> None:
    house = keeping(face, history_messages=3)
    said(house, 5)
    assert house.history(b"a")[0] == 3
    assert house.history(b"a")[2] == 2
    assert numbers(joined(face, house, b"last:10").hear()) == [3, 4, 5]


def test_bytes(face: Face) -> None:
    house = keeping(face, history_bytes=10_000)
    said(house, 50, size=900)
    count, held, lost = house.history(b"a")
    assert 9 <= count <= 10
    assert held <= 10_000
    assert lost == 50 - count


def test_message_larger_than_the_history(face: Face) -> None:
    house = keeping(face, history_bytes=10_000)
    said(house, 1)
    said(house, 1, first=2, size=20_000)
    assert house.history(b"a")[0] == 0
    assert numbers(joined(face, house, b"last:1").hear()) == []
    said(house, 1, first=3)
    assert house.history(b"a")[0] == 1


def test_age(face: Face) -> None:
    house = keeping(face, history_age=1000)
    said(house, 2)
    house.advance(600)
    said(house, 1, first=3)
    house.advance(300)
    assert house.history(b"a")[0] == 3
    house.advance(200)
    assert house.history(b"a")[0] == 1
    assert numbers(joined(face, house, b"last:10").hear()) == [3]
    house.advance(1000)
    assert house.history(b"a") == (0, 0, 3)
    said(house, 1, first=4)
    house.advance(1100)
    assert house.history(b"a") == (0, 0, 4)
    house.advance(HOUR + 100)
    assert house.history(b"a") is None
    assert house.kept == (0, 0)
    assert house.stats["messages"] == 0


def test_only_topics_of_the_pattern(face: Face) -> None:
    house = keeping(face, "chat.#", history_messages=3)
    said(house, 2, b"/topic/chat.a")
    said(house, 2, b"/topic/a")
    assert house.history(b"chat.a")[0] == 2
    assert house.history(b"a") is None
    assert house.stats["messages"] == 2


def test_history_outlives_its_route(face: Face) -> None:
    house = keeping(face, history_messages=10)
    said(house, 2)
    for number in range(20_000):
        house.publish(b"/topic/%d" % number, b"")
    said(house, 1, first=3)
    assert numbers(joined(face, house, b"last:10").hear()) == [1, 2, 3]


def test_all_that_is_kept_is_counted_and_given_back(face: Face) -> None:
    house = keeping(face, history_age=1000, retain=True)
    said(house, 2000, size=100)
    before = house.stats["memory"]
    assert before > 2000 * 200
    house.publish(b"/topic/r", b"x", b"x:y\n")
    house.advance(HOUR + 3000)
    assert house.stats["messages"] == 0
    assert house.kept == (0, 0)


def test_one_whose_only_message_was_too_large_for_it_goes(face: Face) -> None:
    house = keeping(face, history_bytes=10_000)
    said(house, 1, size=20_000)
    assert house.history(b"a") == (0, 0, 1)
    house.advance(HOUR + 100)
    assert house.kept == (0, 0)


def test_one_that_has_given_all_it_had_goes(face: Face) -> None:
    """Where its policy knows no age, so that it has waited for nothing."""
    house = keeping(face, history_messages=10, memory=32 << 20)  # of which they may have 8
    said(house, 1, size=5 << 20)
    said(house, 1, topic=b"/topic/b", size=5 << 20)
    assert house.history(b"a") == (0, 0, 1)
    assert house.history(b"b")[0] == 1
    house.advance(HOUR + 100)
    assert house.history(b"a") is None
    assert house.history(b"b")[0] == 1


def test_messages_in_a_history_move(face: Face) -> None:
    house = keeping(face, history_messages=1000)
    client = face.Client(house)
    for number in range(1000):
        client.say(send(b"/topic/a", b"%d" % number))
        client.say(send(b"/queue/q", b"%d" % number))
    client.say(subscribe(b"q", b"/queue/q"))
    house.turn()
    client.hear()
    house.move_messages()
    assert numbers(drained(house, joined(face, house, b"last:1000"))) == [*range(1000)]


# ---- what of it somebody gets ----------------------------------------------------------------------------------------


def test_without_wishes_nothing_is_replayed(face: Face) -> None:
    house = keeping(face, history_messages=10)
    said(house, 5)
    client = joined(face, house)
    said(house, 1, first=6)
    assert numbers(client.hear()) == [6]


@pytest.mark.parametrize("mode", [b"auto", b"client", b"client-individual"])
def test_last_and_then_live(face: Face, mode: bytes) -> None:
    house = keeping(face, history_messages=10)
    said(house, 5)
    client = face.Client(house)
    client.say(subscribe(b"0", b"/topic/a", b"last:2\nack:%b" % mode))
    said(house, 2, first=6)
    house.turn()
    said(house, 1, first=8)
    heard = client.hear()
    assert numbers(heard) == [4, 5, 6, 7, 8]
    assert not gaps(heard)
    assert [message.number for message in messages(heard)] == [4, 5, 6, 7, 8]
    assert all(message.ack for message in messages(heard)) == (mode != b"auto")


def test_since(face: Face) -> None:
    house = keeping(face, history_messages=10)
    said(house, 12)
    heard = joined(face, house, b"since:epoch-5").hear()
    assert numbers(heard) == [6, 7, 8, 9, 10, 11, 12]
    assert not gaps(heard)
    heard = joined(face, house, b"since:epoch-2").hear()  # the next of which is the oldest that is kept
    assert numbers(heard) == [*range(3, 13)]
    assert not gaps(heard)
    heard = joined(face, house, b"since:epoch-1").hear()
    assert numbers(heard) == [*range(3, 13)]
    assert gaps(heard) == [0]


def test_since_another_run_of_the_broker(face: Face) -> None:
    house = keeping(face, history_messages=10)
    said(house, 3)
    heard = joined(face, house, b"since:other-2").hear()
    assert numbers(heard) == [1, 2, 3]
    assert gaps(heard) == [0]


def test_from_seq(face: Face) -> None:
    house = keeping(face, history_messages=3)
    said(house, 5)
    assert numbers(joined(face, house, b"from-seq:4").hear()) == [4, 5]
    assert gaps(joined(face, house, b"from-seq:3").hear()) == []
    assert gaps(joined(face, house, b"from-seq:2").hear()) == [0]
    heard = joined(face, house, b"from-seq:0").hear()  # whatever there is
    assert numbers(heard) == [3, 4, 5]
    assert gaps(heard) == []
    assert numbers(joined(face, house, b"from-seq:123456789012345678").hear()) == []


def test_fewer_than_the_last(face: Face) -> None:
    house = keeping(face, history_messages=3)
    said(house, 2)
    assert gaps(joined(face, house, b"last:3").hear()) == []
    said(house, 2, first=3)
    assert gaps(joined(face, house, b"last:3").hear()) == []
    assert gaps(joined(face, house, b"last:4").hear()) == [0]


@pytest.mark.parametrize("mode", [b"auto", b"client"])
def test_gap_is_told_on_the_first_message_also_when_nothing_is_left(face: Face, mode: bytes) -> None:
    house = keeping(face, history_age=1000)
    said(house, 2)
    house.advance(2000)
    client = joined(face, house, b"since:epoch-1\nack:" + mode)
    assert client.hear() == b""
    said(house, 3, first=3)
    heard = client.hear()
    assert numbers(heard) == [3, 4, 5]
    assert gaps(heard) == [0]


def test_no_gap_where_nothing_was_lost(face: Face) -> None:
    house = keeping(face, history_age=1000)
    said(house, 2)
    said(house, 1, b"/topic/b", 3)
    house.advance(2000)
    client = joined(face, house, b"since:epoch-2")
    said(house, 1, first=4)
    assert gaps(client.hear()) == []


def test_gap_where_the_topic_has_no_history(face: Face) -> None:
    house = keeping(face, "chat.#", history_messages=10)
    said(house, 2)
    client = joined(face, house, b"since:epoch-1")
    said(house, 2, first=3)
    heard = client.hear()
    assert numbers(heard) == [3, 4]
    assert gaps(heard) == [0]
    client = joined(face, house, b"since:epoch-4")  # nothing was published by anybody
    said(house, 1, first=5)
    assert gaps(client.hear()) == []


def test_gap_once_an_empty_history_is_forgotten(face: Face) -> None:
    house = keeping(face, history_age=1000)
    said(house, 2)
    house.advance(HOUR + 5000)
    assert house.history(b"a") is None
    for number, expected in ((1, [0]), (2, [])):
        client = joined(face, house, b"since:epoch-%d" % number)
        said(house, 1, b"/topic/a")
        assert gaps(client.hear()) == expected


@pytest.mark.parametrize(
    "headers",
    [b"last:0", b"last:-1", b"last:many", b"last:", b"last:1.5", b"last:1234567890123456789", b"from-seq:-1",
     b"from-seq:x", b"since:", b"since:7", b"since:epoch-", b"since:epoch-x", b"since:-7", b"last:1\nsince:epoch-1",
     b"last:1\nfrom-seq:1"],
)  # fmt: skip
def test_what_is_refused(face: Face, headers: bytes) -> None:
    house = keeping(face, history_messages=10)
    said(house, 2)
    client = face.Client(house)
    before = house.stats
    with pytest.raises(Refused) as refusal:
        client.say(subscribe(b"0", b"/topic/a", headers))
    assert refusal.value.args[0] == b"bad header"
    assert house.stats["subscriptions"] == before["subscriptions"]


@pytest.mark.parametrize("headers", [b"last:1", b"since:epoch-1"])
def test_queues_have_no_history(face: Face, headers: bytes) -> None:
    with pytest.raises(Refused):
        face.Client(keeping(face)).say(subscribe(b"0", b"/queue/a", headers))


@pytest.mark.parametrize("wish", [b"last:1\n", b"from-seq:0\n", b"since:epoch-1\n"])
@pytest.mark.parametrize("name", [b"persistent:true\n", b"subscription-group:g\n", b"x-queue-name:q\n"])
def test_what_several_share_begins_nowhere(face: Face, name: bytes, wish: bytes) -> None:
    """It must not look as if nothing had been missed."""
    house = keeping(face, history_messages=10)
    with pytest.raises(Refused):
        face.Client(house).say(subscribe(b"0", b"/topic/a", name + wish))
    assert house.stats["queues"] == 0


def test_what_has_expired_is_not_replayed(face: Face) -> None:
    house = keeping(face, history_messages=10)
    client = face.Client(house)
    client.say(
        send(b"/topic/a", b"1", b"ttl:1000\n") + send(b"/topic/a", b"2") + send(b"/topic/a", b"3", b"ttl:9000\n")
    )
    house.set_time_of_day(2000)
    assert numbers(joined(face, house, b"last:10").hear()) == [2, 3]


def test_committed_messages_are_kept(face: Face) -> None:
    house = keeping(face, history_messages=10)
    client = face.Client(house)
    client.say(b"BEGIN\ntransaction:t\n\n\0" + send(b"/topic/a", b"1", b"transaction:t\n"))
    assert house.history(b"a") is None
    client.say(b"COMMIT\ntransaction:t\n\n\0")
    assert house.history(b"a")[0] == 1


def test_senders_cannot_forge_the_marks(face: Face) -> None:
    house = keeping(face, history_messages=10)
    client = joined(face, house)
    client.say(send(b"/topic/a", b"1", b"gap:true\nretained:true\nActiveMQ.Retained:true\nx:y\n"))
    heard = client.hear()
    assert b"gap" not in heard
    assert b"etained" not in heard
    assert b"x:y" in heard


# ---- patterns --------------------------------------------------------------------------------------------------------


def test_pattern_replays_all_that_match_in_the_order_of_their_numbers(face: Face) -> None:
    house = keeping(face, history_messages=10)
    for number in range(1, 31):
        said(house, 1, b"/topic/a.%d" % (number * 7 % 5), number)
        house.publish(b"/topic/b", b"")
    client = joined(face, house, b"from-seq:0", b"/topic/a.*")
    said(house, 1, b"/topic/a.1", 31)
    assert numbers(client.hear()) == [*range(1, 32)]


def test_last_of_each_topic(face: Face) -> None:
    house = keeping(face, history_messages=10)
    for number in range(1, 31):
        said(house, 1, b"/topic/a.%d" % (number % 5), number)
    assert numbers(joined(face, house, b"last:1", b"/topic/a.*").hear()) == [26, 27, 28, 29, 30]


def test_pattern_tells_a_gap_of_any_topic(face: Face) -> None:
    house = keeping(face, history_messages=3)
    said(house, 2, b"/topic/a.1")
    said(house, 5, b"/topic/a.2", 3)
    assert gaps(joined(face, house, b"since:epoch-4", b"/topic/a.*").hear()) == []
    assert gaps(joined(face, house, b"since:epoch-3", b"/topic/a.*").hear()) == [0]


def test_thousands_of_topics_are_gathered_in_slices(face: Face) -> None:
    house = keeping(face, history_messages=2)
    for number in range(1, 30_001):
        house.publish(b"/topic/t.%d" % number, b"%d" % number)
    client = face.Client(house)
    client.say(subscribe(b"0", b"/topic/t.*", b"from-seq:0"))
    work = house.stats["work"]
    house.turn()
    assert house.stats["work"] - work < 6_000_000
    assert not client.pending
    said(house, 1, b"/topic/t.7", 30_001)
    heard = drained(house, client) + b""
    for _ in range(20):
        heard += drained(house, client)
    assert numbers(heard) == [*range(1, 30_002)]


# ---- who is slow -----------------------------------------------------------------------------------------------------


def test_replay_is_paced_and_no_backlog(face: Face) -> None:
    house = keeping(face, history_messages=10_000)
    said(house, 10_000)
    client = joined(face, house, b"from-seq:0")
    assert 0 < client.pending <= SOFT
    publisher = face.Client(house)
    for number in range(10_001, 10_101):
        publisher.say(send(b"/topic/a", b"%d" % number))
    assert not publisher.holds
    assert not client.is_slow
    assert client.backlog == 0
    heard = drained(house, client)
    assert numbers(heard) == [*range(1, 10_101)]
    assert gaps(heard) == []


def test_other_topics_of_its_connection_are_not_held(face: Face) -> None:
    house = keeping(face, history_messages=10_000)
    said(house, 10_000)
    client = joined(face, house, b"from-seq:0")
    client.say(subscribe(b"1", b"/topic/b"))
    publisher = face.Client(house)
    for _ in range(10):
        publisher.say(send(b"/topic/b", b"x" * 100))
    assert not publisher.holds


def test_who_reads_too_slowly_is_told_of_what_the_history_has_lost(face: Face) -> None:
    house = keeping(face, history_messages=1000)
    said(house, 1000, size=100)
    client = joined(face, house, b"from-seq:0")
    said(house, 900, first=1001, size=100)  # the history moves on
    heard = drained(house, client)
    got = numbers(heard)
    assert got == sorted(set(got))
    assert got[-1000:] == [*range(901, 1901)]
    assert len(got) < 1100
    assert gaps(heard) == [len(got) - 1000]
    jumps = [at for at, (one, next) in enumerate(pairwise(got)) if next != one + 1]
    assert jumps == [len(got) - 1001]


def test_what_waits_behind_a_replay_becomes_backlog_when_it_is_much(face: Face) -> None:
    house = keeping(face, history_messages=1_000_000)
    said(house, 1000, size=100)
    client = joined(face, house, b"from-seq:0")
    publisher = face.Client(house)
    for number in range(1001, 2000):
        publisher.say(send(b"/topic/a", b"%d" % number + b"." * 500))
        if publisher.holds:
            break
    assert publisher.holds == HOLD_SLOW
    assert number > 1000 + HARD // 1000
    assert client.is_slow
    heard = drained(house, client)
    assert numbers(heard) == [*range(1, number + 1)]
    assert client.backlog == 0


def test_acknowledging_subscriber_takes_its_replay_by_credit(face: Face) -> None:
    house = keeping(face, history_messages=100)
    said(house, 10)
    client = joined(face, house, b"last:10\nack:client-individual\nprefetch-count:2")
    said(house, 1, first=11)
    got = []
    while heard := client.hear():
        assert len(messages(heard)) <= 2
        for message in messages(heard):
            got.append(int(message.body))
            client.say(ack(message.ack))
        house.turn()
    assert got == [*range(1, 12)]


def test_nacked_message_of_a_replay_comes_again(face: Face) -> None:
    house = keeping(face, history_messages=100)
    said(house, 5)
    client = joined(face, house, b"last:10\nack:client-individual\nprefetch-count:1")
    (first,) = messages(client.hear())
    client.say(ack(first.ack, b"NACK"))
    house.advance(60_000)
    (again,) = messages(client.hear())
    assert (again.body, again.redelivered) == (b"1", True)
    client.say(ack(again.ack))
    house.turn()
    (next,) = messages(client.hear())
    assert next.body == b"2"


def acknowledged(house: Face, client: Face) -> list[bytes]:
    """The bodies of all that comes while it acknowledges each message."""
    got = []
    while heard := messages(client.hear()):
        for message in heard:
            got.append(message.body)
            client.say(ack(message.ack))
        house.turn()
    return got


ONE_BY_ONE = b"last:10\nack:client-individual\nprefetch-count:1\n"


def test_what_is_live_keeps_its_priorities_behind_a_replay(face: Face) -> None:
    house = keeping(face, history_messages=100)
    said(house, 2)
    client, publisher = joined(face, house, ONE_BY_ONE), face.Client(house)
    for priority in (4, 0, 9, 6, 5, 7, 2):
        publisher.say(send(b"/topic/a", b"p%d" % priority, b"priority:%d\n" % priority))
    expected = [b"1", b"2", b"p9", b"p7", b"p6", b"p5", b"p4", b"p2", b"p0"]
    assert acknowledged(house, client) == expected


@pytest.mark.parametrize(("headers", "last"), [(b"", [b"urgent"]), (b"ttl:1000\n", [])])
def test_what_is_live_waits_for_what_a_replay_gives_again(face: Face, headers: bytes, last: list[bytes]) -> None:
    """However urgent it is; and it may expire there."""
    house = keeping(face, history_messages=100)
    said(house, 3)
    client, publisher = joined(face, house, ONE_BY_ONE), face.Client(house)
    publisher.say(send(b"/topic/a", b"urgent", b"priority:9\n" + headers))
    (first,) = messages(client.hear())
    client.say(ack(first.ack, b"NACK"))
    house.advance(60_000)
    assert acknowledged(house, client) == [b"1", b"2", b"3", *last]


@pytest.mark.parametrize("mode", [b"auto", b"client"])
@pytest.mark.parametrize("way", ["leave", "unsubscribe"])
def test_subscriber_that_goes_in_the_middle(face: Face, mode: bytes, way: str) -> None:
    house = keeping(face, history_messages=10_000)
    said(house, 10_000)
    before = house.stats
    client = joined(face, house, b"from-seq:0\nack:" + mode)
    said(house, 100, first=10_001)
    if way == "unsubscribe":
        client.say(b"UNSUBSCRIBE\nid:0\n\n\0")
        client.hear()
        assert client.backlog == 0
        said(house, 1, first=10_101)
        assert client.hear() == b""
    client.leave()
    house.turn()
    after = house.stats
    for name in ("subscriptions", "queues", "messages", "deliveries"):
        assert after[name] == before[name]
    assert house.history(b"a")[0] == 10_000


def test_many_who_replay_share_what_is_kept(face: Face) -> None:
    house = keeping(face, history_messages=10_000)
    said(house, 10_000, size=100)
    before = house.stats
    clients = [joined(face, house, b"from-seq:0") for _ in range(50)]
    assert house.stats["messages"] == before["messages"]
    assert house.stats["memory"] - before["memory"] < 50 * (2 * SOFT + 10_000)
    assert all(numbers(drained(house, client)) == [*range(1, 10_001)] for client in clients)


# ---- memory ----------------------------------------------------------------------------------------------------------


def test_histories_have_a_share_of_the_memory(face: Face) -> None:
    house = keeping(face, history_messages=1_000_000, memory=32 << 20)
    for number in range(60_000):
        house.publish(b"/topic/t.%d" % (number % 7), b"x" * 200)
    assert house.stats["memory"] < 14 << 20
    assert 6 << 20 < house.kept[0] <= 8 << 20
    heard = joined(face, house, b"since:epoch-1", b"/topic/t.1").hear()
    assert gaps(heard) == [0]


def test_a_million_topics_are_not_remembered_for_ever(face: Face) -> None:
    house = keeping(face, history_messages=1, memory=32 << 20)
    for number in range(100_000):
        house.publish(b"/topic/t.%d" % number, b"")
    assert house.kept[0] <= 8 << 20
    assert house.stats["messages"] < 20_000
    client = joined(face, house, b"since:epoch-1", b"/topic/t.1")
    house.publish(b"/topic/t.1", b"1")
    assert gaps(client.hear()) == [0]


def test_histories_give_way_when_memory_is_short(face: Face) -> None:
    house = keeping(face, "a", history_messages=1_000_000, memory=32 << 20)
    client = face.Client(house)
    while house.kept[0] < 7 << 20:
        house.publish(b"/topic/a", b"x" * 1000)
    while not house.is_full[0]:
        client.say(send(b"/queue/q", b"x" * 1000))
    client.say(send(b"/queue/q", b"waits"))
    assert client.parked
    face.give_way(house)
    assert not house.is_full[0]
    client.unpark()
    assert client.parked == 0
    assert house.kept[0] < 7 << 20


def test_replay_where_memory_is_short_gives_one_message_at_a_time(face: Face) -> None:
    house = keeping(face, "a", history_messages=10_000, memory=32 << 20)
    said(house, 2000, size=100)
    client = joined(face, house, b"from-seq:0")
    while not house.is_full[1]:
        house.publish(b"/queue/q", b"x" * 10_000)
    for _ in range(20):
        house.publish(b"/queue/q", b"x" * 10_000)
    heard = client.hear()
    house.turn()
    assert 0 < client.pending < 500
    assert numbers(heard + drained(house, client)) == [*range(1, 2001)]


# ---- retained --------------------------------------------------------------------------------------------------------


def retained(stream: bytes) -> list[bytes]:
    return [frame.partition(b"\n\n")[2] for frame in frames(stream) if b"\nretained:true\n" in frame]


@pytest.mark.parametrize("mode", [b"auto", b"client", b"client-individual"])
@pytest.mark.parametrize("header", [b"retain:set\n", b"ActiveMQ.Retain:true\n"])
def test_last_value(face: Face, mode: bytes, header: bytes) -> None:
    house = keeping(face)
    client = face.Client(house)
    client.say(send(b"/topic/a", b"1", header) + send(b"/topic/a", b"2", header) + send(b"/topic/a", b"3"))
    later = joined(face, house, b"ack:" + mode)
    client.say(send(b"/topic/a", b"4"))
    heard = later.hear()
    assert numbers(heard) == [2, 4]
    assert retained(heard) == [b"2"]
    assert house.stats["messages"] == 1 + (mode != b"auto")


def test_retain_is_for_those_who_are_there_too(face: Face) -> None:
    house = keeping(face)
    client = joined(face, house)
    client.say(send(b"/topic/a", b"1", b"retain:set\n"))
    heard = client.hear()
    assert numbers(heard) == [1]
    assert retained(heard) == []


def test_remove(face: Face) -> None:
    house = keeping(face)
    client = joined(face, house)
    client.say(send(b"/topic/a", b"1", b"retain:set\n") + send(b"/topic/a", b"2", b"retain:remove\n"))
    assert numbers(client.hear()) == [1, 2]
    assert joined(face, house).hear() == b""
    assert house.kept == (0, 0)
    assert house.stats["messages"] == 0


def test_history_is_not_touched_when_what_was_retained_goes(face: Face) -> None:
    house = keeping(face, history_bytes=300)
    client = face.Client(house)
    client.say(send(b"/topic/a", b"x" * 1000, b"retain:set\n") + send(b"/topic/a", b"y" * 1000, b"retain:remove\n"))
    assert house.history(b"a") == (0, 0, 2)
    assert house.kept[1] == 1
    said(house, 1, first=3)
    house.advance(2 * HOUR)
    assert house.history(b"a")[0] == 1
    assert house.kept[1] == 0


def test_retained_for_clients_of_activemq(face: Face) -> None:
    house = keeping(face)
    face.Client(house).say(send(b"/topic/a", b"1", b"ActiveMQ.Retain:true\n"))
    heard = joined(face, house, b"activemq.prefetchSize:10").hear()
    assert b"\nActiveMQ.Retained:true\n" in heard
    assert b"\nretained:true\n" not in heard


def test_retained_of_all_topics_of_a_pattern(face: Face) -> None:
    house = keeping(face)
    client = face.Client(house)
    for number in range(1, 2001):
        client.say(send(b"/topic/t.%d" % (number % 1000), b"%d" % number, b"retain:set\n"))
    client.say(send(b"/topic/other", b"0", b"retain:set\n"))
    heard = drained(house, joined(face, house, b"", b"/topic/t.*"))
    assert numbers(heard) == [*range(1001, 2001)]
    assert len(retained(heard)) == 1000


def test_policy_without_retained_messages(face: Face) -> None:
    house = keeping(face, retain=False)
    face.Client(house).say(send(b"/topic/a", b"1", b"retain:set\n"))
    assert joined(face, house).hear() == b""
    assert house.kept == (0, 0)


def test_retained_message_that_has_expired(face: Face) -> None:
    house = keeping(face)
    face.Client(house).say(send(b"/topic/a", b"1", b"retain:set\nttl:1000\n"))
    house.set_time_of_day(2000)
    client = joined(face, house)
    said(house, 1, first=2)
    heard = client.hear()
    assert numbers(heard) == [2]
    assert retained(heard) == []


@pytest.mark.parametrize(
    ("headers", "expected"),
    [(b"last:2", [1, 4, 5]), (b"last:9", [1, 2, 3, 4, 5]), (b"since:epoch-0", [1, 2, 3, 4, 5]),
     (b"since:epoch-1", [2, 3, 4, 5]), (b"", [1])],
)  # fmt: skip
def test_retained_message_and_history_do_not_bring_it_twice(face: Face, headers: bytes, expected: list[int]) -> None:
    house = keeping(face, history_messages=5)
    face.Client(house).say(send(b"/topic/a", b"1", b"retain:set\n"))
    said(house, 4, first=2)
    assert house.stats["messages"] == 5
    for pattern in (b"/topic/a", b"/topic/*"):
        assert numbers(joined(face, house, headers, pattern).hear()) == expected


def test_retained_messages_have_a_share_of_the_memory(face: Face) -> None:
    house = keeping(face, memory=32 << 20)
    client = face.Client(house)
    for number in range(60_000):
        client.say(send(b"/topic/t.%d" % number, b"%d" % number + b"." * 200, b"retain:set\n"))
    assert house.kept[0] <= 8 << 20
    assert house.stats["memory"] < 16 << 20
    assert joined(face, house, b"", b"/topic/t.1").hear() == b""
    assert numbers(joined(face, house, b"", b"/topic/t.59999").hear()) == [59_999]


def test_replays_that_stand_still_cost_work_where_retained_messages_go(face: Face) -> None:
    """They stand in front of the oldest, and it is found behind them."""
    house = keeping(face, memory=8 << 20)  # of which they may have 2
    client, publisher = face.Client(house), face.Client(house)
    for number in range(2):
        publisher.say(send(b"/topic/r.%d" % number, b"x" * 900_000, b"retain:set\n"))
    client.say(subscribe(b"0", b"/topic/much") + send(b"/topic/much", b"x" * SOFT))
    for number in range(1, 500):
        client.say(subscribe(b"%d" % number, b"/topic/r.*"))
    house.turn()
    before = house.stats["work"]
    publisher.say(send(b"/topic/s", b"x" * 900_000, b"retain:set\n"))
    assert house.kept[0] < 2 << 20
    assert house.stats["work"] - before > 499 * 64


def test_plain_topics_hold_nothing(face: Face) -> None:
    house = keeping(face)
    said(house, 100)
    assert house.kept == (0, 0)
    assert house.stats["messages"] == 0
    assert house.stats["queues"] == 0
    client = joined(face, house)
    assert house.stats["queues"] == 0
    assert client.hear() == b""


# ---- all together, against the plainest list -------------------------------------------------------------------------

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.integers(0, 2), st.integers(1, 30)),
        st.tuples(st.just("join"), st.integers(0, 3), st.integers(0, 40)),
        st.tuples(st.just("last"), st.integers(0, 3), st.integers(1, 12)),
        st.tuples(st.just("read"), st.integers(0, 9), st.just(0)),
        st.tuples(st.just("turn"), st.just(0), st.just(0)),
    ),
    max_size=40,
)
TOPICS = [b"/topic/a.0", b"/topic/a.1", b"/topic/a.2", b"/topic/a.*"]


def wanted(published: list[tuple[int, int]], topics: Iterable[int], kind: str, number: int) -> list[int]:
    if kind == "join":
        return [each for topic, each in published if topic in topics and each > number]
    tails = [[each for topic, each in published if topic == of][-number:] for of in topics]
    return sorted(each for tail in tails for each in tail)


@settings(max_examples=150, deadline=None)
@given(steps=STEPS, mode=st.sampled_from([b"auto", b"client"]))
def test_neither_gap_nor_duplicate(face: Face, steps: list[tuple[str, int, int]], mode: bytes) -> None:
    house = keeping(face, history_messages=100_000, outbound_soft=4000)
    published: list[tuple[int, int]] = []
    clients: list[tuple[Face, set[int], list[int], list[int]]] = []

    def read(client: Face, got: list[int]) -> None:
        for message in messages(client.hear()):
            got.append(message.number)
            if message.ack:
                client.say(ack(message.ack))

    for kind, which, number in steps:
        if kind == "publish":
            for _ in range(number):
                published.append((which, len(published) + 1))
                house.publish(TOPICS[which], b"%d" % len(published) + b"." * 60)
            house.settle()
        elif kind in ("join", "last"):
            topics = {0, 1, 2} if which == 3 else {which}
            expected = wanted(published, topics, kind, number)
            header = b"since:epoch-%d" % number if kind == "join" else b"last:%d" % number
            client = face.Client(house)
            client.say(subscribe(b"0", TOPICS[which], header + b"\nack:" + mode))
            clients.append((client, topics, expected, []))
            clients[-1][2].append(-len(published))
        elif kind == "read" and which < len(clients):
            read(clients[which][0], clients[which][3])
        else:
            house.turn()
    for client, topics, expected, got in clients:
        for _ in range(60):
            read(client, got)
            house.turn()
        joined_at = -expected.pop()
        expected += [each for topic, each in published if topic in topics and each > joined_at]
        assert got == expected
        client.leave()
