"""What the broker says of one frame: what became of a message, and what was wrong, without the end of a connection."""

from __future__ import annotations

import pytest
from harness.frames import every_version, frame, receipt


def told(name: str, receivers: int, more: str = "") -> str:
    """The RECEIPT that says more."""
    return f"RECEIPT\nreceipt-id:{name}\nmessage-id:<message-id>\nreceivers:{receivers}\n{more}\n\0\n"


# ---- receipts that say more ----------------------------------------------------------------------


@every_version
@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_a_receipt_counts_the_subscriptions_of_a_topic(talk, topic, version, count):
    subscribers = [talk(version) for _ in range(count)]
    for subscriber in subscribers:
        subscriber.subscribe(topic)
    publisher = talk(version)
    publisher.send(frame("SEND", f"destination:{topic}", "receipt-info:true", "receipt:r", body="x"))
    named = publisher.expect(told("r", count))["message_id"]
    for subscriber in subscribers:
        assert subscriber.expect_message(topic, "x", "receipt-info:true").message_id == named


@every_version
def test_a_queue_that_keeps_it_counts_as_one(talk, queue, version):
    client = talk(version)
    for _ in range(2):
        client.send(frame("SEND", f"destination:{queue}", "receipt-info:true", "receipt:r", body="x"))
        client.expect(told("r", 1))


@every_version
def test_each_receipt_tells_of_its_own_message(talk, queue, topic, version):
    """Also where messages that nobody asks about go out in between, and are written later."""
    subscribers = [talk(version) for _ in range(3)]
    for subscriber in subscribers:
        subscriber.subscribe(topic)
    client = talk(version)
    asking = frame("SEND", f"destination:{topic}", "receipt-info:true", "receipt:r", body="x")
    plain = frame("SEND", f"destination:{topic}", body="y")
    to_queue = frame("SEND", f"destination:{queue}", "receipt-info:true", "receipt:q", body="x")
    client.send(plain, plain, asking, to_queue, asking)
    numbers = [int(client.expect(told(*what))["message_id"].split("-")[1]) for what in [("r", 3), ("q", 1), ("r", 3)]]
    assert numbers == [numbers[0], numbers[0] + 1, numbers[0] + 2]


@every_version
@pytest.mark.parametrize("asking", ["receipt-info:false", "other:true"])
def test_who_does_not_ask_is_told_nothing(talk, topic, version, asking):
    client = talk(version)
    client.send(frame("SEND", f"destination:{topic}", asking, "receipt:r"))
    client.expect(receipt("r"))


@every_version
def test_it_needs_a_receipt(talk, queue, version):
    client = talk(version)
    client.send(frame("SEND", f"destination:{queue}", "receipt-info:true"))
    client.send(frame("BEGIN", "transaction:t", "receipt:b"))
    client.expect(receipt("b"))


@every_version
def test_in_a_transaction_a_receipt_says_nothing_more(talk, queue, version):
    """It comes before anybody gets the message."""
    client = talk(version)
    client.send(
        frame("BEGIN", "transaction:t"),
        frame("SEND", f"destination:{queue}", "transaction:t", "receipt-info:true", "receipt:s"),
        frame("COMMIT", "transaction:t", "receipt:c"),
    )
    client.expect(receipt("s"))
    client.expect(receipt("c"))


@every_version
def test_an_answer_to_somebody_gone_has_no_receiver(talk, queue, version):
    asking, answering = talk(version), talk(version)
    answering.subscribe(queue)
    asking.send(frame("SEND", f"destination:{queue}", "reply-to:/temp-queue/a", body="?"))
    text = answering.expect(
        f"MESSAGE\nsubscription:1\nmessage-id:<message-id>\ndestination:{queue}\nreply-to:/reply-queue/<token>\n\n?\0\n"
    )
    to = f"destination:/reply-queue/{text['token']}"
    asking.send(frame("DISCONNECT"))
    asking.expect_end()
    answering.send(frame("SEND", to, "receipt-info:true", "receipt:r", body="!"))
    answering.expect(told("r", 0))


# ---- mandatory -----------------------------------------------------------------------------------


@every_version
def test_a_mandatory_message_to_nobody_is_an_error(talk, topic, version):
    client = talk(version)
    client.send(frame("SEND", f"destination:{topic}", "mandatory:true", "receipt:r", body="x"))
    assert "mandatory" in client.expect_error("nobody there", receipt="r")


@every_version
@pytest.mark.parametrize("kind", ["/topic/", "/queue/"])
def test_a_mandatory_message_to_somebody_is_none(talk, queue, version, kind):
    destination = kind + queue.removeprefix("/queue/")
    client = talk(version)
    client.subscribe(destination)
    client.send(frame("SEND", f"destination:{destination}", "mandatory:true", "receipt:r", body="x"))
    client.expect_message(destination, "x", "mandatory:true")
    client.expect(receipt("r"))


@every_version
def test_a_queue_is_somebody_without_consumers(talk, queue, version):
    client = talk(version)
    client.send(frame("SEND", f"destination:{queue}", "mandatory:true", "receipt:r", body="x"))
    client.expect(receipt("r"))


@every_version
def test_mandatory_is_refused_in_a_transaction(talk, queue, version):
    client = talk(version)
    client.send(
        frame("BEGIN", "transaction:t"),
        frame("SEND", f"destination:{queue}", "transaction:t", "mandatory:true", "receipt:r"),
    )
    assert "mandatory" in client.expect_error("bad header", receipt="r")


@every_version
@pytest.mark.parametrize("name", ["mandatory", "receipt-info"])
def test_what_is_neither_true_nor_false_is_refused(talk, queue, version, name):
    client = talk(version)
    client.send(frame("SEND", f"destination:{queue}", f"{name}:perhaps", "receipt:r"))
    assert name in client.expect_error("bad header", receipt="r")
