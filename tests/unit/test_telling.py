"""What a client is told of one frame: where the clock, slow subscribers, memory and the journal have a say in it."""

from __future__ import annotations

from typing import Any

import pytest
from broker_frames import ack, messages, send, subscribe

Face = Any  # of a module that the type checker knows nothing of
SOFT, HARD = 10_000, 100_000
ASKING = b"receipt-info:true\nreceipt:r\n"


def head(stream: bytes) -> list[bytes]:
    """The header lines of the one frame in it, which is a RECEIPT."""
    command, *lines = stream.removesuffix(b"\n\n\0\n").split(b"\n")
    assert command == b"RECEIPT"
    assert b"\0" not in stream[:-2]
    return lines


def test_a_subscriber_that_is_too_slow_is_no_receiver(face: Face) -> None:
    house = face.House(policies=[("#", "drop-newest")], outbound_soft=SOFT, outbound_hard=HARD)
    slow, quick, publisher = (face.Client(house) for _ in range(3))
    slow.say(subscribe(b"1", b"/topic/a"))
    quick.say(subscribe(b"1", b"/topic/a"))
    publisher.say(send(b"/topic/a", b"x" * 2 * SOFT))
    slow.give_up()
    publisher.say(send(b"/topic/a", b"y", ASKING))
    assert head(publisher.hear()) == [b"receipt-id:r", b"message-id:epoch-2", b"receivers:1", b"dropped:1"]
    slow.hear()
    publisher.say(send(b"/topic/a", b"y", ASKING))
    assert head(publisher.hear()) == [b"receipt-id:r", b"message-id:epoch-3", b"receivers:2"]


def test_who_was_too_slow_was_not_nobody(face: Face) -> None:
    house = face.House(policies=[("#", "drop-newest")], outbound_soft=SOFT, outbound_hard=HARD)
    slow, publisher = face.Client(house), face.Client(house)
    slow.say(subscribe(b"1", b"/topic/a"))
    publisher.say(send(b"/topic/a", b"x" * 2 * SOFT))
    slow.give_up()
    publisher.say(send(b"/topic/a", b"y", ASKING + b"mandatory:true\n"))
    assert head(publisher.hear()) == [b"receipt-id:r", b"message-id:epoch-2", b"receivers:0", b"dropped:1"]


@pytest.mark.parametrize("others", [0, 3])
def test_who_chooses_is_a_receiver_of_what_it_wants(face: Face, others: int) -> None:
    """Whatever was sent before, and was put into a batch for it."""
    house = face.House()
    client, beside, publisher = (face.Client(house) for _ in range(3))
    client.say(subscribe(b"1", b"/topic/a", b"selector:x = 1\n"))
    client.say(subscribe(b"2", b"/topic/a", b"selector:x > 1\nack:client\n"))
    for number in range(others):
        beside.say(subscribe(b"%d" % number, b"/topic/a"))
    for value, receivers in ((1, 1), (2, 1), (0, 0)):
        publisher.say(5 * send(b"/topic/a", b"", b"x:1\n") + send(b"/topic/a", b"", ASKING + b"x:%d\n" % value))
        assert head(publisher.hear())[2:] == [b"receivers:%d" % (others + receivers)]


def test_a_receipt_that_waits_for_the_journal_says_it_later(face: Face) -> None:
    house = face.House()
    client = face.Client(house)
    client.records(b"/queue/a")
    client.say(send(b"/queue/a", b"x", ASKING) + send(b"/queue/a", b"x", b"receipt:s\n"))
    assert client.hear() == b""
    house.report(1)
    assert head(client.hear()) == [b"receipt-id:r", b"message-id:epoch-1", b"receivers:0"]
    house.report(2)
    assert head(client.hear()) == [b"receipt-id:s"]


def test_what_a_queue_is_too_full_for_is_dropped(face: Face) -> None:
    """Also where it is a dead letter then."""
    house = face.House(queues=[("a", {"max_messages": 1, "overflow": "dead-letter"})])
    client = face.Client(house)
    client.say(send(b"/queue/a", b"x") + send(b"/queue/a", b"x", ASKING))
    assert head(client.hear()) == [b"receipt-id:r", b"message-id:epoch-2", b"receivers:0", b"dropped:1"]


def test_a_durable_subscription_that_is_full_is_no_receiver(face: Face) -> None:
    house = face.House(topics=[("#", {"durable_messages": 1, "durable_overflow": "reject"})])
    subscriber, client = face.Client(house), face.Client(house)
    subscriber.say(subscribe(b"1", b"/topic/a", b"durable:true\nauto-delete:false\n"))
    subscriber.leave()
    client.say(send(b"/topic/a", b"x") + send(b"/topic/a", b"x", ASKING))
    assert head(client.hear()) == [b"receipt-id:r", b"message-id:epoch-2", b"receivers:0", b"dropped:1"]


@pytest.mark.parametrize("destination", [b"/topic/a", b"/topic/a,/topic/b"])
def test_what_is_refused_as_nobody_is_there_is_not_kept_either(face: Face, destination: bytes) -> None:
    house = face.House(topics=[("#", {"history_messages": 5})])
    client = softly(face, house)
    client.say(send(destination, b"x", b"mandatory:true\nretain:set\nreceipt:r\n"))
    assert answers(client.hear()) == [(b"MESSAGE", b"r")]
    assert house.history(b"a") is None
    client.say(subscribe(b"1", b"/topic/a"))
    assert client.hear() == b""


def test_what_is_done_with_the_schedule_is_done_by_somebody(face: Face) -> None:
    house = face.House()
    client = face.Client(house)
    client.say(send(b"/queue/a", b"x", b"delay:1000\n"))
    asked = b"AMQ_SCHEDULER_ACTION:REMOVEALL\nmandatory:true\nreceipt:r\n"
    client.say(send(b"/topic/ActiveMQ.Scheduler.Management", b"", asked))
    assert head(client.hear()) == [b"receipt-id:r"]


# ---- soft errors ---------------------------------------------------------------------------------


def softly(face: Face, house: Face) -> Face:
    return face.Client(house, headers=b"soft-errors:true\n")


def answers(stream: bytes) -> list[tuple[bytes, bytes]]:
    """(command, receipt-id) of each frame in it."""
    found = []
    for text in stream.split(b"\0\n")[:-1]:
        command, *lines = text.partition(b"\n\n")[0].split(b"\n")
        found.append((command, dict(line.split(b":", 1) for line in lines)[b"receipt-id"]))
    return found


def test_soft_errors_wait_behind_frames_that_wait_for_memory(face: Face) -> None:
    """Those of frames that waited themselves, and of those that need not have."""
    house = face.House(memory=4 << 20)
    filler, client = face.Client(house), softly(face, house)
    filler.say(subscribe(b"0", b"/queue/fill", b"ack:client\ncredit:60000\n"))
    while not house.is_full[0]:
        house.publish(b"/queue/fill", b"x" * 1000)
    client.say(
        send(b"/queue/a", b"1", b"receipt:a\n")
        + ack(b"99-1", headers=b"receipt:b\n")
        + send(b"/nowhere", b"2", b"receipt:c\n")
        + send(b"/queue/a", b"3", b"receipt:d\n")
    )
    assert client.hear() == b""
    filler.say(ack(messages(filler.hear())[-1].ack))
    while client.parked:
        client.unpark()
    order = [(b"RECEIPT", b"a"), (b"MESSAGE", b"b"), (b"MESSAGE", b"c"), (b"RECEIPT", b"d")]
    assert answers(client.hear()) == order
    assert house.queue(b"a") == (2, 0, 0)
    assert house.stats["input"] == 0


@pytest.mark.parametrize("destination", [b"/temp-queue/r", b"/queue/none?consumer.none=1"])
def test_a_subscribe_that_is_refused_leaves_alone_where_replies_come(face: Face, destination: bytes) -> None:
    house = face.House()
    client, other = softly(face, house), face.Client(house)
    other.say(subscribe(b"1", b"/queue/q"))
    client.say(send(b"/queue/q", b"x", b"reply-to:/temp-queue/r\n"))
    (asked,) = messages(other.hear())
    client.say(subscribe(b"/temp-queue/r", destination, b"ack:none\nreceipt:r\n"))
    assert answers(client.hear()) == [(b"MESSAGE", b"r")]
    other.say(send(asked.headers[b"reply-to"], b"y"))
    assert [message.body for message in messages(client.hear())] == [b"y"]
    client.say(subscribe(b"/temp-queue/r", b"/temp-queue/r"))
    other.say(send(asked.headers[b"reply-to"], b"z"))
    assert [message.subscription for message in messages(client.hear())] == [b"/temp-queue/r"]


def test_a_subscribe_needs_no_place_beside_the_one_that_it_replaces(face: Face) -> None:
    client = face.Client(face.House(max_subscriptions=1))
    client.say(send(b"/queue/q", b"x", b"reply-to:/temp-queue/r\n"))
    client.say(subscribe(b"/temp-queue/r", b"/temp-queue/r", b"receipt:r\n"))
    assert head(client.hear()) == [b"receipt-id:r"]


def test_so_many_within_a_second_and_no_more(face: Face) -> None:
    house = face.House()
    client = softly(face, house)
    bad = b"UNSUBSCRIBE\nid:none\nreceipt:r\n\n\0"
    for _ in range(3):
        client.say(bad * 100)
        assert answers(client.hear()) == [(b"MESSAGE", b"r")] * 100
        house.advance(1000)
    client.say(bad * 101)
    assert answers(client.hear()) == [(b"MESSAGE", b"r")] * 100 + [(b"ERROR", b"r")]


def test_each_is_counted_as_work(face: Face) -> None:
    house = face.House()
    client = softly(face, house)
    before = house.stats["work"]
    client.say(b"UNSUBSCRIBE\nid:none\n\n\0" * 10)
    assert house.stats["work"] - before > 40_000
