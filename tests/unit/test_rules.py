"""What queues hold by their policies: how long, how many, and what becomes of the rest."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from socket import SHUT_WR
from typing import Any

import pytest
from broker_frames import Message, ack, bodies, messages, send, subscribe
from harness.waiting import DEADLINE
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import bench.micro.turns
from bench.micro.turns import Client, Turns, WebSocketClient
from fastbroker.config import Config, WebSocket, hub_settings
from fastbroker.core.frame import Refused
from fastbroker.core.hub import Hub
from fastbroker.core.policy import Policies
from fastbroker.web.handshake import Handshake

Face = Any  # of a module that the type checker knows nothing of
TICK, SOON, IDLE = 10, 100, 100_000
MANY = 50_000  # more than what expires, or is moved, in one turn
MOST = 3


def new_house(face: Face, **policy: Any) -> Face:
    """Whose queue `a`, and no other, has that policy."""
    return face.House(
        queues=[("a", {"dead_letter": "dead", "redelivery_delay": 0, **policy})],
        dead_letter="dead",
        nack_delay=0,
        queue_idle_timeout=IDLE,
        memory=1 << 30,
    )


def numbered(count: int, headers: bytes = b"", first: int = 1) -> bytes:
    return b"".join(send(b"/queue/a", b"%d" % number, headers) for number in range(first, first + count))


def what_waits(face: Face, house: Face, queue: bytes = b"a") -> list[bytes]:
    client = face.Client(house)
    client.say(subscribe(b"reader", b"/queue/" + queue))
    house.turn()
    return bodies(client.hear())


# ---- priority ------------------------------------------------------------------------------------


def test_the_highest_priority_comes_first_and_order_is_kept_within_one(face: Face) -> None:
    house = new_house(face)
    client = face.Client(house)
    for body, priority in ((b"a", 4), (b"b", 0), (b"c", 9), (b"d", 4), (b"e", 9), (b"f", 5), (b"g", 4)):
        headers = b"" if priority == 4 else b"priority:%d\n" % priority
        client.say(send(b"/queue/a", body, headers))
    assert what_waits(face, house) == [b"c", b"e", b"f", b"a", b"d", b"g", b"b"]


def test_what_came_back_stands_where_it_stood_among_its_own(face: Face) -> None:
    house = new_house(face)
    client = face.Client(house)
    client.say(subscribe(b"1", b"/queue/a", b"ack:client-individual\ncredit:3\n"))
    client.say(numbered(2, b"priority:7\n") + numbered(4, b"", 3))
    had = messages(client.hear())
    assert [each.body for each in had] == [b"1", b"2", b"3"]
    client.say(numbered(1, b"priority:7\n", 7) + b"UNSUBSCRIBE\nid:1\n\n\0")
    assert what_waits(face, house) == [b"1", b"2", b"7", b"3", b"4", b"5", b"6"]


def test_the_queue_of_an_acknowledging_topic_subscription_has_priorities_too(face: Face) -> None:
    house = new_house(face)
    client, sender = face.Client(house), face.Client(house)
    client.say(subscribe(b"1", b"/topic/a", b"ack:client-individual\ncredit:1\n"))
    for body, headers in ((b"first", b""), (b"usual", b""), (b"high", b"priority:9\n"), (b"late", b"ttl:50\n")):
        sender.say(send(b"/topic/a", body, headers))
    assert client.backlog > 0
    heard = messages(client.hear())
    house.advance(SOON)
    while len(heard) < 3:
        client.say(ack(heard[-1].ack))
        house.turn()
        heard += messages(client.hear())
    assert [each.body for each in heard] == [b"first", b"high", b"usual"]
    client.say(ack(heard[-1].ack))
    house.turn()
    assert (client.hear(), client.backlog, house.stats["messages"]) == (b"", 0, 0)


def test_a_long_queue_is_moved_to_the_shelf_over_turns(face: Face) -> None:
    house = new_house(face)
    client = face.Client(house)
    client.say(numbered(MANY))
    house.shelve(b"a")
    house.turn()
    assert 0 < len(house.walk(b"a")) < MANY
    client.say(numbered(1, b"", MANY + 1) + numbered(1, b"priority:5\n", 0))
    for _ in range(9):
        house.turn()
    assert house.walk(b"a") == [b"%d" % number for number in range(MANY + 2)]


def test_a_shelf_is_charged_for_and_its_memory_comes_back(face: Face) -> None:
    house = new_house(face)
    client = face.Client(house)
    before = house.stats["memory"]
    client.say(numbered(MANY, b"priority:5\n"))
    assert house.stats["memory"] - before > MANY * (128 + 80)
    client.say(subscribe(b"reader", b"/queue/a"))
    while house.queue(b"a")[0]:
        house.turn()
        client.hear()
    client.leave()
    house.advance(IDLE + TICK)
    assert house.stats["memory"] < before


# ---- expiry --------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", [b"ttl:1000\n", b"expiration:1000\n", b"expires:%d\n"])
def test_who_waits_too_long_is_gone(face: Face, header: bytes) -> None:
    house = new_house(face)
    client = face.Client(house)
    client.say(send(b"/queue/a", b"late", header.replace(b"%d", b"%d" % (house.wall + 1000))))
    client.say(send(b"/queue/a", b"for ever", b"ttl:0\n"))
    house.advance(900)
    assert house.queue(b"a")[0] == 2
    house.advance(200)
    assert house.queue(b"a")[0] == 1, "nobody had to ask for it"
    assert house.stats["expired"] == 1
    assert what_waits(face, house) == [b"for ever"]


def test_what_has_expired_already_is_given_to_nobody(face: Face) -> None:
    house = new_house(face)
    client = face.Client(house)
    client.say(subscribe(b"1", b"/queue/a") + subscribe(b"2", b"/topic/a"))
    for destination in (b"/queue/a", b"/topic/a"):
        client.say(send(destination, b"late", b"expires:1000\n") + send(destination, b"now", b"ttl:1000\n"))
    assert [(each.subscription, each.body) for each in messages(client.hear())] == [(b"1", b"now"), (b"2", b"now")]


def test_a_message_is_not_delivered_late_after_nack_or_the_end_of_its_consumer(face: Face) -> None:
    house = new_house(face)
    client = face.Client(house)
    client.say(subscribe(b"1", b"/queue/a", b"ack:client-individual\n") + numbered(3, b"ttl:1000\n"))
    had = messages(client.hear())
    client.say(ack(had[0].ack, b"NACK"))
    house.advance(2 * TICK)
    assert bodies(client.hear()) == [b"1"], "there is time left"
    house.advance(1000)
    client.say(ack(had[1].ack, b"NACK"))
    house.advance(SOON)
    client.leave()
    house.turn()
    assert what_waits(face, house) == []
    assert house.stats["expired"] == 3


def test_the_time_of_day_may_be_set(face: Face) -> None:
    house = new_house(face)
    client = face.Client(house)
    client.say(numbered(1, b"ttl:3600000\n") + numbered(1, b"ttl:7200000\n", 2))
    house.set_time_of_day(3_700_000)
    house.advance(60_000 + TICK)
    assert house.queue(b"a")[0] == 1, "within a minute"
    house.set_time_of_day(3_700_000)
    assert what_waits(face, house) == []


def test_the_policy_has_a_default_and_a_ceiling(face: Face) -> None:
    house = new_house(face, ttl=1000, max_ttl=5000)
    client = face.Client(house)
    for body, headers in ((b"default", b""), (b"more", b"ttl:3000\n"), (b"most", b"ttl:9000\n")):
        client.say(send(b"/queue/a", body, headers) + send(b"/queue/b", body))
    left = []
    for _ in range(3):
        left.append(house.queue(b"a")[0])
        house.advance(2000)
    assert left == [3, 2, 1]
    assert house.queue(b"a")[0] == 0
    assert house.queue(b"b")[0] == 3, "it has another policy"


def test_with_a_ceiling_alone_nobody_lives_for_ever(face: Face) -> None:
    house = new_house(face, max_ttl=5000)
    client = face.Client(house)
    client.say(numbered(1))
    house.advance(4000)
    assert house.queue(b"a")[0] == 1
    house.advance(2000)
    assert house.queue(b"a")[0] == 0


def test_very_many_that_expire_at_once_take_several_turns(face: Face) -> None:
    house = new_house(face)
    client = face.Client(house)
    client.say(numbered(MANY, b"ttl:1000\n"))
    house.advance(60_000)
    left = house.queue(b"a")[0]
    assert 0 < left < MANY
    turns = 0
    while house.queue(b"a")[0] and turns < 9:
        turns += 1
        house.turn()
    assert turns >= 2
    assert (house.stats["expired"], house.stats["messages"]) == (MANY, 0)


def test_an_emptied_queue_goes_when_nobody_uses_it(face: Face) -> None:
    house = new_house(face)
    client = face.Client(house)
    client.say(numbered(1, b"ttl:1000\n"))
    house.advance(2000)
    assert house.queue(b"a") == (0, 0, 0)
    house.advance(IDLE + TICK)
    assert house.queue(b"a") is None


def test_what_expires_is_a_dead_letter_if_the_policy_says_so(face: Face) -> None:
    """Which does not die again, and keeps its priority."""
    house = new_house(face, dead_letter_expired=True)
    client = face.Client(house)
    client.say(numbered(2, b"ttl:1000\n") + numbered(1, b"ttl:1000\npriority:9\n_AMQ_LVQ_NAME:x\n", 3))
    client.say(numbered(1, b"expires:1\n", 4))
    house.advance(10_000)
    assert (house.queue(b"a")[0], house.stats["expired"], house.stats["dead_lettered"]) == (0, 4, 4)
    assert what_waits(face, house, b"dead") == [b"3", b"4", b"1", b"2"]


# ---- last values ---------------------------------------------------------------------------------


def test_the_newest_takes_the_place_of_older_ones_that_wait(face: Face) -> None:
    house = new_house(face)
    client = face.Client(house)
    client.say(numbered(1, b"_AMQ_LVQ_NAME:x\n") + numbered(2, b"", 2) + numbered(1, b"_AMQ_LVQ_NAME:y\n", 4))
    client.say(numbered(3, b"_AMQ_LVQ_NAME:x\n", 5))
    assert house.stats["messages"] == 4
    assert what_waits(face, house) == [b"7", b"2", b"3", b"4"]


def test_a_value_that_comes_back_gives_way_to_a_newer_one(face: Face) -> None:
    house = new_house(face)
    client = face.Client(house)
    client.say(subscribe(b"1", b"/queue/a", b"ack:client-individual\ncredit:2\n"))
    client.say(numbered(4, b"_AMQ_LVQ_NAME:x\n"))
    assert bodies(client.hear()) == [b"1", b"2"]
    client.leave()
    assert house.stats["messages"] == 1
    assert what_waits(face, house) == [b"4"]


# ---- limits --------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["auto", "client"])
def test_a_full_queue_refuses_what_is_too_much(face: Face, mode: str) -> None:
    house = new_house(face, max_messages=MOST)
    client, sender = face.Client(house), face.Client(house)
    client.say(subscribe(b"1", b"/queue/a", b"ack:%b\ncredit:2\n" % mode.encode()))
    if mode == "auto":
        sender.say(numbered(100))
        client.say(b"UNSUBSCRIBE\nid:1\n\n\0")
    sender.say(numbered(MOST))
    before = house.stats
    with pytest.raises(Refused, match=r"queue full.*queue a .*max_messages = 3"):
        sender.say(numbered(1))
    after = house.stats
    assert all(after[name] == before[name] for name in after if name != "work")


def test_a_full_queue_may_be_full_of_bytes(face: Face) -> None:
    house = new_house(face, max_bytes=5000)
    sender = face.Client(house)
    sender.say(send(b"/queue/a", b"x" * 1000) * 4)
    with pytest.raises(Refused, match=r"max_bytes = 5000"):
        sender.say(send(b"/queue/a", b"x" * 1000))
    assert house.bytes_in(b"a") <= 5000


def test_the_oldest_of_the_lowest_priority_goes(face: Face) -> None:
    house = new_house(face, max_messages=MOST, overflow="drop-oldest")
    sender = face.Client(house)
    sender.say(numbered(4) + numbered(1, b"priority:8\n", 5) + numbered(2, b"priority:1\n", 6) + numbered(1, b"", 8))
    assert what_waits(face, house) == [b"5", b"4", b"8"]
    assert house.stats["dropped"] == 5


def test_the_newest_stays_whatever_consumers_have(face: Face) -> None:
    house = new_house(face, max_messages=MOST, overflow="drop-oldest")
    client, sender = face.Client(house), face.Client(house)
    client.say(subscribe(b"1", b"/queue/a", b"ack:client\ncredit:10\n"))
    sender.say(numbered(10))
    assert len(messages(client.hear())) == 10
    sender.say(numbered(10, b"", 11))
    assert house.queue(b"a")[:2] == (1, 10)
    client.leave()
    assert what_waits(face, house)[-1] == b"20"


def test_what_is_too_much_may_be_a_dead_letter(face: Face) -> None:
    house = new_house(face, max_messages=MOST, overflow="dead-letter")
    sender = face.Client(house)
    sender.say(numbered(5))
    assert house.stats["dead_lettered"] == 2
    assert what_waits(face, house, b"dead") == [b"4", b"5"]
    assert what_waits(face, house) == [b"1", b"2", b"3"]


# ---- publishers that wait ------------------------------------------------------------------------


def receipts(stream: bytes) -> list[bytes]:
    return [line[11:] for line in stream.split(b"\n") if line.startswith(b"receipt-id:")]


def test_a_publisher_waits_for_room_and_nobody_else_does(face: Face) -> None:
    house = new_house(face, max_messages=MOST, overflow="block")
    sender, other, reader = face.Client(house), face.Client(house), face.Client(house)
    for number in range(1, 6):
        sender.say(send(b"/queue/a", b"%d" % number, b"receipt:%d\n" % number))
    sender.say(send(b"/queue/b", b"behind", b"receipt:behind\n"))
    assert receipts(sender.hear()) == [b"1", b"2", b"3"]
    assert house.stats["messages_in"] == 3
    other.say(send(b"/queue/b", b"x", b"receipt:x\n"))
    assert receipts(other.hear()) == [b"x"]
    reader.say(subscribe(b"1", b"/queue/a", b"ack:client-individual\ncredit:1\n"))
    house.turn()
    for come in ([b"4"], [b"5", b"behind"]):
        assert receipts(sender.hear()) == []
        reader.say(ack(messages(reader.hear())[0].ack))
        house.turn()
        sender.say(b"")
        assert receipts(sender.hear()) == come
    assert house.queue(b"a")[:2] == (2, 1)


@pytest.mark.parametrize("leaver", [False, True])
def test_many_publishers_wait_and_come_in_turn(face: Face, leaver: bool) -> None:
    """If one has gone whose turn it would be, the next one comes a little later."""
    house = new_house(face, max_messages=1, overflow="block")
    senders = [face.Client(house) for _ in range(5)]
    for number, sender in enumerate(senders):
        sender.say(send(b"/queue/a", b"%d" % number))
    reader = face.Client(house)
    expected = [0, 1, 2, 3, 4]
    if leaver:
        senders[1].leave()
        expected.remove(1)
    reader.say(subscribe(b"1", b"/queue/a"))
    heard = []
    for _ in range(10):
        house.advance(SOON)
        for number in expected:
            senders[number].say(b"")
        heard += bodies(reader.hear())
    assert heard == [b"%d" % number for number in expected]


def test_who_is_let_in_and_does_not_come_keeps_nobody_out(face: Face) -> None:
    house = new_house(face, max_messages=1, overflow="block")
    senders = [face.Client(house) for _ in range(3)]
    for sender in senders:
        sender.say(send(b"/queue/a", b"x"))
    assert len(what_waits(face, house)) == 1
    senders[1].leave()  # it was let in and had no time to come
    house.advance(2 * SOON)
    senders[2].say(b"")
    assert house.stats["messages_in"] == 2


@pytest.mark.parametrize("how", ["COMMIT", "death"])
def test_what_one_had_who_is_gone_makes_room_too(face: Face, how: str) -> None:
    """Also where nothing is left that waits, and another consumer is still there."""
    house = new_house(face, max_messages=1, overflow="block", max_deliveries=1)
    sender, reader, other = face.Client(house), face.Client(house), face.Client(house)
    reader.say(subscribe(b"1", b"/queue/a", b"ack:client-individual\n"))
    sender.say(numbered(1))
    other.say(subscribe(b"1", b"/queue/a"))
    sender.say(numbered(1, first=2))
    if how == "COMMIT":
        got = messages(reader.hear())[0].ack
        reader.say(b"BEGIN\ntransaction:t\n\n\0" + ack(got, headers=IN_IT) + b"UNSUBSCRIBE\nid:1\n\n\0")
        house.turn()
        reader.say(b"COMMIT\ntransaction:t\n\n\0")
    else:
        reader.leave()
    house.turn()
    sender.say(b"")
    assert bodies(other.hear()) == [b"2"]


def test_what_could_never_fit_is_refused_at_once(face: Face) -> None:
    house = new_house(face, max_bytes=5000, overflow="block")
    sender = face.Client(house)
    with pytest.raises(Refused, match="queue full"):
        sender.say(send(b"/queue/a", b"x" * 6000))
    for size in (3000, 3000):
        sender.say(send(b"/queue/a", b"x" * size))
    assert house.queue(b"a")[0] == 1
    assert len(what_waits(face, house)) == 1
    sender.say(b"")
    assert len(what_waits(face, house)) == 1


def test_a_queue_that_goes_lets_its_publishers_go(face: Face) -> None:
    house = face.House(queues=[("/reply-queue/#", {"max_messages": 1, "overflow": "block"})])
    owner, sender = face.Client(house), face.Client(house)
    owner.say(send(b"/temp-queue/a", b"x") + send(b"/queue/b", b"ask", b"reply-to:/temp-queue/a\n"))
    owner.leave()
    sender.say(numbered(1))
    house.turn()
    assert house.stats["queues"] == 2


class Limited(Turns):
    """A whole broker, whose queues have that policy."""

    def __init__(self, kind: type[Client], **policy: Any) -> None:
        super().__init__(lambda function, *arguments: function(*arguments), kind)
        settings = {**hub_settings(Config()), "max_connections": 10, "outbound_timeout": 600}
        handshake = Handshake(WebSocket(), server="fastbroker/test")
        policies = Policies([("#", policy)])
        self.log: list[tuple[str, dict[str, Any]]] = []
        loop: Any = self.loop
        self.hub = Hub(loop, settings=settings, policies=policies, log=self.note, server="x", handshake=handshake)

    def note(self, level: str, event: str, **fields: Any) -> None:
        self.log.append((event, fields))

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """The clock goes on."""
        end = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.05)
            self.hub._tick()  # type: ignore[attr-defined]  # which the loop would call
            self.turn()


def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Transports of benchmarks are never held and never end; these may."""
    for name in ("is_closing", "pause_reading", "resume_reading", "write_eof", "abort"):
        monkeypatch.setattr(bench.micro.turns.Transport, name, lambda _: None, raising=False)


def test_who_has_ended_its_stream_does_not_wait_for_room_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does it keep what a consumer of its own has not settled, which may be what fills the queue."""
    stand_in(monkeypatch)
    turns = Limited(Client, max_messages=MOST, overflow="block")
    sender = turns.client().subscribe(b"/queue/a", b"ack:client\nprefetch-count:1\n")
    sender.say(b"".join(send(b"/queue/a", b"%d" % each) + b"\n" for each in range(9)))
    turns.turn()
    assert turns.hub.stats()["deliveries"] == 1
    sender.socket.shutdown(SHUT_WR)
    turns.wait_until(lambda: turns.hub.stats()["deliveries"] == 0)
    assert b"queue full" not in sender.hear()
    turns.wait_until(lambda: b"ERROR\nmessage:queue full\n" in sender.hear())
    assert turns.hub.stats()["messages_in"] == MOST


@pytest.mark.parametrize("kind", [Client, WebSocketClient])
def test_what_waits_for_room_waits_in_front_of_what_was_read_behind_it(
    monkeypatch: pytest.MonkeyPatch, kind: type[Client]
) -> None:
    stand_in(monkeypatch)
    turns = Limited(kind, max_messages=MOST, overflow="block")
    sender, reader = turns.client(), turns.client()
    sender.say(
        b"".join(send(b"/queue/a", b"%d" % each, b"receipt:%d\n" % each) + b"\n" for each in range(9))
        + send(b"/queue/b", b"behind", b"receipt:behind\n")
        + b"\n"
    )
    turns.turn()
    assert receipts(sender.hear()) == [b"0", b"1", b"2"]
    reader.subscribe(b"/queue/a", b"ack:client-individual\nprefetch-count:1\n")
    got, told = [], []
    for _ in range(9):
        turns.turn()
        heard = reader.hear()
        got.append(heard.rstrip(b"\0\n")[-1:])
        told += receipts(sender.hear())
        name = next(line[4:] for line in heard.split(b"\n") if line.startswith(b"ack:"))
        reader.say(ack(name) + b"\n")
    turns.turn()
    told += receipts(sender.hear())
    assert got == [b"%d" % each for each in range(9)]
    assert told == [b"%d" % each for each in range(3, 9)] + [b"behind"]


def transaction(frames: bytes, end: bytes = b"COMMIT\ntransaction:t\nreceipt:done\n\n\0") -> bytes:
    return b"BEGIN\ntransaction:t\n\n\0" + frames + end


IN_IT = b"transaction:t\n"


def test_a_commit_that_is_too_much_is_refused_as_a_whole(face: Face) -> None:
    house = new_house(face, max_messages=MOST)
    client = face.Client(house)
    with pytest.raises(Refused, match="queue full"):
        client.say(transaction(send(b"/queue/b", b"x", IN_IT) + numbered(4, IN_IT)))
    assert house.queue(b"a")[0] == 0
    assert house.queue(b"b")[0] == 0


@pytest.mark.parametrize("overflow", ["reject", "block"])
def test_a_commit_may_make_the_room_that_it_needs(face: Face, overflow: str) -> None:
    house = new_house(face, max_messages=MOST, overflow=overflow)
    client = face.Client(house)
    client.say(subscribe(b"1", b"/queue/a", b"ack:client\ncredit:3\n") + numbered(3))
    last = messages(client.hear())[-1]
    client.say(transaction(numbered(3, IN_IT, 4) + ack(last.ack, headers=IN_IT)))
    house.turn()
    assert b"receipt-id:done" in client.hear()


def test_a_commit_waits_for_room_as_a_whole(face: Face) -> None:
    house = new_house(face, max_messages=MOST, overflow="block")
    client, reader = face.Client(house), face.Client(house)
    client.say(numbered(2) + transaction(send(b"/queue/b", b"x", IN_IT) + numbered(2, IN_IT, 3)))
    assert (house.queue(b"a")[0], house.queue(b"b")[0], client.hear()) == (2, 0, b"")
    reader.say(subscribe(b"1", b"/queue/a"))
    house.turn()
    client.say(b"")
    house.turn()
    assert b"receipt-id:done" in client.hear()
    assert bodies(reader.hear()) == [b"1", b"2", b"3", b"4"]
    assert house.queue(b"b")[0] == 1


@pytest.mark.parametrize("overflow", ["reject", "block"])
def test_a_commit_to_several_queues_is_asked_about_at_each(face: Face, overflow: str) -> None:
    house = face.House(queues=[("a", {"max_messages": MOST, "overflow": overflow}), ("#", {"max_messages": 1000})])
    client, reader = face.Client(house), face.Client(house)
    many = transaction(send(b"/queue/b,/queue/a", b"x", IN_IT) * MOST)
    client.say(send(b"/queue/a", b"x"))
    if overflow == "reject":
        with pytest.raises(Refused, match="queue full"):
            client.say(many)
        assert house.queue(b"b")[0] == 0
        return
    client.say(many)
    assert (house.queue(b"a")[0], house.queue(b"b")[0]) == (1, 0)
    reader.say(subscribe(b"1", b"/queue/a"))
    house.turn()
    client.say(b"")
    assert house.queue(b"b")[0] == MOST


def test_a_commit_that_brings_as_many_may_bring_too_much(face: Face) -> None:
    house = new_house(face, max_bytes=5000)
    client = face.Client(house)
    client.say(subscribe(b"1", b"/queue/a", b"ack:client-individual\n") + numbered(1))
    got = messages(client.hear())[0].ack
    with pytest.raises(Refused, match="queue full"):
        client.say(transaction(ack(got, headers=IN_IT) + send(b"/queue/a", b"x" * 6000, IN_IT)))


def test_what_has_come_before_needs_no_room(face: Face) -> None:
    house = new_house(face, max_messages=1)
    client = face.Client(house)
    named = b"message-dedup-id:1\n"
    client.say(numbered(1, named) * 2)
    client.say(send(b"/queue/a,/queue/b", b"x", named))
    client.say(transaction(numbered(1, named + IN_IT)))
    assert b"receipt-id:done" in client.hear()
    assert (house.queue(b"a")[0], house.queue(b"b")[0]) == (1, 1)


def test_a_newer_value_needs_no_room_with_others_either(face: Face) -> None:
    """In a transaction, and as a part."""
    house = new_house(face, max_messages=1)
    client = face.Client(house)
    named = b"_AMQ_LVQ_NAME:x\n"
    client.say(numbered(1, named) + send(b"/queue/a,/queue/b", b"2", named))
    client.say(transaction(numbered(1, named + IN_IT, first=3)))
    assert b"receipt-id:done" in client.hear()
    assert house.stats["messages_in"] == 3
    assert what_waits(face, house) == [b"3"]


def test_a_commit_needs_no_room_for_what_comes_later(face: Face) -> None:
    house = new_house(face, max_messages=MOST)
    client = face.Client(house)
    client.say(transaction(numbered(2 * MOST, IN_IT + b"delay:1000\n")))
    assert b"receipt-id:done" in client.hear()


def test_a_commit_to_a_queue_with_too_much_may_take_as_much_from_it(face: Face) -> None:
    """It may have got it from those whom nobody asks: what comes later."""
    house = new_house(face, max_messages=1)
    client = face.Client(house)
    client.say(numbered(MOST, b"delay:10\n"))
    house.advance(TICK * 2)
    client.say(subscribe(b"1", b"/queue/a", b"ack:client-individual\n"))
    house.turn()
    first = messages(client.hear())[0].ack
    client.say(transaction(ack(first, headers=IN_IT) + numbered(1, IN_IT)))
    assert b"receipt-id:done" in client.hear()


@pytest.mark.parametrize("way", ["part", "COMMIT"])
def test_who_knows_a_queue_that_has_gone_asks_the_one_that_has_come_instead(face: Face, way: str) -> None:
    house = face.House(queues=[("a", {"max_messages": 1, "idle_timeout": SOON})])
    client, other = face.Client(house), face.Client(house)
    frames = {"part": send(b"/topic/x,/queue/a", b"x"), "COMMIT": send(b"/queue/a", b"x", IN_IT)}
    client.say(b"BEGIN\ntransaction:t\n\n\0" + frames[way])
    other.say(subscribe(b"1", b"/queue/a"))
    house.turn()
    other.say(b"UNSUBSCRIBE\nid:1\n\n\0")
    house.advance(2 * SOON)
    assert house.queue(b"a") is None
    other.say(send(b"/queue/a", b"x"))
    came = house.stats["messages_in"]
    with pytest.raises(Refused, match="queue full"):
        client.say(frames[way] if way == "part" else b"COMMIT\ntransaction:t\n\n\0")
    assert house.stats["messages_in"] == came


# ---- limits of all that a queue holds -------------------------------------------------------------


def refuse_all(client: Face, headers: bytes = b"") -> None:
    for message in messages(client.hear()):
        client.say(ack(message.ack, b"NACK", headers))


def test_what_rests_goes_for_what_comes_where_nothing_else_waits(face: Face) -> None:
    house = new_house(face, max_messages=MOST, overflow="drop-oldest", redelivery_delay=IDLE, max_deliveries=0)
    client = face.Client(house)
    client.say(subscribe(b"1", b"/queue/a", b"ack:client-individual\n"))
    for number in range(4 * MOST):
        client.say(numbered(1, first=number))
        house.advance(TICK)
        refuse_all(client)
    assert house.queue(b"a")[0] == MOST
    house.advance(2 * IDLE)
    assert sorted(map(int, bodies(client.hear()))) == [9, 10, 11]


def test_what_rests_in_a_durable_subscription_counts(face: Face) -> None:
    topics = [("#", {"durable_messages": MOST})]
    house = face.House(topics=topics, redelivery_delay=IDLE, max_deliveries=0, nack_delay=0)
    client = face.Client(house, headers=b"client-id:me\n")
    client.say(subscribe(b"1", b"/topic/x", b"ack:client-individual\ndurable:true\nauto-delete:false\n"))
    for _ in range(4 * MOST):
        client.say(send(b"/topic/x", b"x"))
        house.advance(TICK)
        refuse_all(client)
    assert house.stats["messages"] == MOST


@pytest.mark.parametrize("limit", [{"max_messages": MOST}, {"max_bytes": 5000}])
def test_a_dead_letter_queue_has_its_limits(face: Face, limit: dict[str, int]) -> None:
    """Also where its consumer refuses all."""
    dead = {"redelivery_delay": IDLE, "overflow": "reject", **limit}
    house = face.House(queues=[("dead", dead), ("a", {"dead_letter": "dead"})], nack_delay=0)
    client, undertaker = face.Client(house), face.Client(house)
    client.say(subscribe(b"1", b"/queue/a", b"ack:client-individual\n"))
    undertaker.say(subscribe(b"1", b"/queue/dead", b"ack:client-individual\n"))
    for _ in range(20):
        client.say(send(b"/queue/a", b"x" * 1000))
        refuse_all(client, b"requeue:false\n")
        house.advance(TICK)
        refuse_all(undertaker)
    assert 0 < house.queue(b"dead")[0] < 5
    assert house.stats["dead_dropped"] == 20 - house.queue(b"dead")[0]


BOUND = [
    (subscribe(b"1", b"/topic/t", b"x-queue-name:a\nack:client-individual\nprefetch-count:1\n"), b"/topic/t", b"a"),
    (
        subscribe(b"1", b"/queue/Consumer.A.VirtualTopic.t", b"ack:client-individual\nprefetch-count:1\n"),
        b"/topic/VirtualTopic.t",
        b"Consumer.A.VirtualTopic.t",
    ),
]


@pytest.mark.parametrize(("binding", "topic", "queue"), BOUND)
@pytest.mark.parametrize("others", [0, 5])
@pytest.mark.parametrize("overflow", ["reject", "block", "drop-oldest", "dead-letter"])
def test_a_queue_with_the_messages_of_a_topic_has_its_limits(
    face: Face, overflow: str, others: int, binding: bytes, topic: bytes, queue: bytes
) -> None:
    """And nobody who sends to the topic is refused or waits for it, however many others there are."""
    house = face.House(
        queues=[("dead", {}), ("#", {"max_messages": MOST, "overflow": overflow, "dead_letter": "dead"})],
        nack_delay=0,
    )
    sender, consumer, listener = face.Client(house), face.Client(house), face.Client(house)
    consumer.say(binding)
    for number in range(others):
        listener.say(subscribe(b"%d" % number, topic))
    sender.say(b"".join(send(topic, b"%d" % number) for number in range(2 * MOST)))
    house.turn()
    assert not sender.holds
    assert len(messages(listener.hear())) == others * 2 * MOST
    assert sum(house.queue(queue)[:2]) == MOST
    assert house.stats["dropped"] == (MOST if overflow != "dead-letter" else 0)
    got = []
    for _ in range(MOST):
        (message,) = messages(consumer.hear())
        got.append((message.headers[b"message-id"], message.body))
        consumer.say(ack(message.ack))
        house.turn()
    kept = [0, 1, 2] if overflow != "drop-oldest" else [0, 4, 5]
    assert got == [(b"epoch-%d" % (number + 1), b"%d" % number) for number in kept]
    if overflow == "dead-letter":
        consumer.say(subscribe(b"2", b"/queue/dead"))
        house.turn()
        ids = [message.headers[b"original-message-id"] for message in messages(consumer.hear())]
        assert ids == [b"epoch-%d" % number for number in (4, 5, 6)]


def test_what_a_queue_gets_of_a_topic_lives_as_long_as_its_policy_says(face: Face) -> None:
    house = face.House(queues=[("a", {"ttl": SOON})])
    consumer, sender = face.Client(house), face.Client(house)
    consumer.say(subscribe(b"1", b"/topic/t", b"x-queue-name:a\nack:client-individual\nprefetch-count:1\n"))
    sender.say(send(b"/topic/t", b"x") * 3)
    assert house.queue(b"a")[0] == 2
    house.advance(2 * SOON)
    assert house.queue(b"a")[0] == 0


def test_a_dead_letter_lives_as_long_as_its_queue_says(face: Face) -> None:
    house = face.House(queues=[("dead", {"ttl": SOON}), ("a", {"dead_letter": "dead"})])
    client = face.Client(house)
    client.say(subscribe(b"1", b"/queue/a", b"ack:client-individual\n") + numbered(1))
    refuse_all(client, b"requeue:false\n")
    assert house.queue(b"dead")[0] == 1
    house.advance(2 * SOON)
    assert house.queue(b"dead")[0] == 0


@pytest.mark.parametrize("overflow", ["reject", "block", "drop-oldest", "dead-letter"])
def test_a_value_takes_the_place_of_an_older_one_in_a_full_queue(face: Face, overflow: str) -> None:
    house = new_house(face, max_messages=MOST, overflow=overflow)
    client = face.Client(house)
    for value, name in (b"1", b"x"), (b"2", b"y"), (b"3", b"z"), (b"4", b"z"):
        client.say(send(b"/queue/a", value, b"_AMQ_LVQ_NAME:%b\n" % name))
    assert what_waits(face, house) == [b"1", b"2", b"4"]
    assert house.queue(b"dead") is None


def test_very_many_that_go_for_one_do_not_go_at_once(face: Face) -> None:
    """A limit that a consumer declares of what is there already."""
    house = new_house(face)
    client, reader = face.Client(house), face.Client(house)
    client.say(numbered(MANY))
    reader.say(subscribe(b"1", b"/queue/a", b"x-max-length:1\nack:client\ncredit:1\n"))
    client.say(numbered(1))
    assert MANY // 2 < house.queue(b"a")[0] < MANY
    client.say(numbered(MANY // 1000))
    assert house.queue(b"a")[0] == 1


# ---- beside a list -------------------------------------------------------------------------------


class LimitMachine(RuleBasedStateMachine):
    """One full queue after the other: publishers with receipts, one consumer who may take some."""

    def __init__(self, face: Face, overflow: str) -> None:
        super().__init__()
        self.overflow = overflow
        self.house = new_house(face, max_messages=MOST, overflow=overflow)
        self.senders = [face.Client(self.house) for _ in range(3)]
        self.consumer = face.Client(self.house)
        self.consumer.say(subscribe(b"1", b"/queue/a", b"ack:client-individual\ncredit:1\n"))
        self.has: list[Message] = []
        self.waiting: list[bytes] = []
        self.blocked: list[tuple[int, bytes]] = []
        self.dead: list[bytes] = []
        self.number = 0

    def held(self) -> int:
        return len(self.waiting) + len(self.has)

    @rule(which=st.integers(0, 2))
    def publish(self, which: int) -> None:
        if which in [sender for sender, _ in self.blocked]:
            return
        self.number += 1
        body = b"%d" % self.number
        full = self.held() >= MOST
        if full and self.overflow == "reject":
            with pytest.raises(Refused, match="queue full"):
                self.senders[which].say(send(b"/queue/a", body))
        else:
            self.senders[which].say(send(b"/queue/a", body))
        if not full:
            self.waiting.append(body)
        elif self.overflow == "block":
            self.blocked.append((which, body))
        elif self.overflow == "drop-oldest":
            self.waiting = [*self.waiting[1:], body]
        elif self.overflow == "dead-letter":
            self.dead.append(body)
        self.look()

    @rule(command=st.sampled_from([b"ACK", b"NACK"]))
    def settle(self, command: bytes) -> None:
        if self.has:
            message = self.has.pop()
            if command == b"NACK":
                self.waiting.insert(0, message.body)
            self.consumer.say(ack(message.ack, command))
            self.house.advance(SOON)
            self.look()

    def look(self) -> None:
        for _ in range(4):
            self.house.turn()
            self.has += messages(self.consumer.hear())
            if self.waiting and self.has and self.has[-1].body == self.waiting[0]:
                self.waiting.pop(0)
            while self.blocked and self.held() < MOST:
                which, body = self.blocked.pop(0)
                self.senders[which].say(b"")
                self.waiting.append(body)

    @invariant()
    def counts(self) -> None:
        queue = self.house.queue(b"a")
        assert queue[:2] == (len(self.waiting), len(self.has))
        assert sum(queue[:2]) <= MOST
        assert self.house.stats["dead_lettered"] == len(self.dead)


@pytest.mark.hypothesis
@pytest.mark.parametrize("overflow", ["reject", "drop-oldest", "dead-letter", "block"])
def test_a_full_queue_is_a_short_list(face: Face, overflow: str) -> None:
    steps = settings(stateful_step_count=30, max_examples=30)
    run_state_machine_as_test(lambda: LimitMachine(face, overflow), settings=steps)  # type: ignore[arg-type]
