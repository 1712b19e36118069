"""Retained messages, and what a SUBSCRIBE may ask for of those that were there before it."""

import pytest
from harness.frames import every_version, frame, only_1_2, receipt, unique

MODES = ["auto", "client", "client-individual"]


@every_version
@pytest.mark.parametrize("mode", MODES)
def test_who_comes_later_gets_the_retained_message_first(talk, publish, topic, version, mode):
    publish(topic, "old", "retain:set")
    publish(topic, "kept", "retain:set", "unit:C")
    publish(topic, "passing")
    client = talk(version)
    client.subscribe(topic, ack=mode)
    ack = ["ack:<ack>"] if version == "1.2" and mode != "auto" else []
    head = ["subscription:1", "message-id:<message-id>", *ack, "retained:true"]
    client.expect(frame("MESSAGE", *head, f"destination:{topic}", "retain:set", "unit:C", body="kept") + b"\n")
    publish(topic, "live")
    client.expect_message(topic, "live")


@pytest.mark.parametrize("header", ["retain:set", "ActiveMQ.Retain:true"])
def test_receipt_comes_before_the_retained_message(talk, publish, topic, header):
    publish(topic, "kept", header)
    client = talk()
    client.send(frame("SUBSCRIBE", "id:1", f"destination:{topic}", "receipt:r"))
    client.expect(receipt("r"))
    head = ["subscription:1", "message-id:<message-id>", "retained:true"]
    client.expect(frame("MESSAGE", *head, f"destination:{topic}", header, body="kept") + b"\n")


def test_client_of_activemq_sees_its_own_mark(talk, publish, topic):
    publish(topic, "kept", "ActiveMQ.Retain:true")
    client = talk()
    client.subscribe(topic, "activemq.prefetchSize:10")
    head = ["subscription:1", "message-id:<message-id>", "ActiveMQ.Retained:true"]
    client.expect(frame("MESSAGE", *head, f"destination:{topic}", "ActiveMQ.Retain:true", body="kept") + b"\n")


@only_1_2
def test_removed(talk, publish, topic, version):
    listener = talk()
    listener.subscribe(topic)
    publish(topic, "kept", "retain:set")
    publish(topic, "gone", "retain:remove")
    listener.expect_message(topic, "kept", "retain:set")
    listener.expect_message(topic, "gone", "retain:remove")
    client = talk()
    client.subscribe(topic)
    client.expect_nothing()


def test_each_topic_of_a_pattern_retains_its_own(talk, publish):
    name = unique("/topic/retain")
    for word in ("a", "b", "c"):
        publish(f"{name}.{word}", word, "retain:set")
    publish(f"{name}.b", "b2", "retain:set")
    client = talk()
    client.subscribe(f"{name}.*")
    for destination, body in ((f"{name}.a", "a"), (f"{name}.c", "c"), (f"{name}.b", "b2")):
        head = ["subscription:1", "message-id:<message-id>", "retained:true"]
        client.expect(frame("MESSAGE", *head, f"destination:{destination}", "retain:set", body=body) + b"\n")


def test_retained_message_comes_with_its_commit(talk, publish, topic):
    sender, early = talk(), talk()
    sender.send(frame("BEGIN", "transaction:t"))
    sender.send(frame("SEND", f"destination:{topic}", "transaction:t", "retain:set", body="kept"))
    sender.roundtrip()
    early.subscribe(topic)
    early.expect_nothing()
    sender.send(frame("COMMIT", "transaction:t", "receipt:c"))
    sender.expect(receipt("c"))
    early.expect_message(topic, "kept", "retain:set")
    late = talk()
    late.subscribe(topic)
    head = ["subscription:1", "message-id:<message-id>", "retained:true"]
    late.expect(frame("MESSAGE", *head, f"destination:{topic}", "retain:set", body="kept") + b"\n")


def test_large_retained_message(talk, publish, topic):
    body = "x" * 300_000
    publish(topic, body, "retain:set")
    for _ in range(3):
        client = talk()
        client.subscribe(topic)
        head = ["subscription:1", "message-id:<message-id>", "retained:true"]
        client.expect(frame("MESSAGE", *head, f"destination:{topic}", "retain:set", body=body) + b"\n")


def test_senders_cannot_forge_the_marks(talk, publish, topic):
    client = talk()
    client.subscribe(topic)
    publish(topic, "x", "retained:true", "gap:true", "ActiveMQ.Retained:true", "a:b")
    client.expect_message(topic, "x", "a:b")


def test_retain_is_set_or_remove(talk, topic):
    client = talk()
    client.send(frame("SEND", f"destination:{topic}", "retain:yes", "receipt:r"))
    assert "retain" in client.expect_error("bad header", receipt="r")


@pytest.mark.parametrize(
    "headers",
    [["last:0"], ["last:-1"], ["last:all"], ["last:"], ["from-seq:-1"], ["from-seq:x"], ["since:"], ["since:7"],
     ["since:x-"], ["last:1", "from-seq:1"]],
)  # fmt: skip
def test_what_nobody_can_ask_for(talk, topic, headers):
    client = talk()
    client.send(frame("SUBSCRIBE", "id:1", f"destination:{topic}", *headers, "receipt:r"))
    assert headers[0].partition(":")[0] in client.expect_error("bad header", receipt="r")


@pytest.mark.parametrize("header", ["last:1", "since:x-1"])
def test_a_queue_has_no_history(talk, queue, header):
    client = talk()
    client.send(frame("SUBSCRIBE", "id:1", f"destination:{queue}", header, "receipt:r"))
    client.expect_error("bad header", receipt="r")


def test_topic_without_a_history_tells_that_something_may_be_missing(talk, publish, topic):
    client = talk()
    client.subscribe(topic)
    publish(topic, "1")
    seen = client.expect_message(topic, "1").message_id
    client.close()
    publish(topic, "2")
    client = talk()
    client.subscribe(topic, f"since:{seen}")
    publish(topic, "3")
    head = ["subscription:1", "message-id:<message-id>", "gap:true"]
    client.expect(frame("MESSAGE", *head, f"destination:{topic}", body="3") + b"\n")
    publish(topic, "4")
    client.expect_message(topic, "4")
