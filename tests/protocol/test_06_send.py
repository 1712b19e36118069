"""B6: SEND."""

import pytest
from harness.frames import every_version, frame, receipt


@every_version
@pytest.mark.item(62)
def test_destination_is_required(talk, version):
    client = talk(version)
    client.send(frame("SEND", "receipt:1", body="x"))
    client.expect_error("missing header", receipt="1")


@every_version
@pytest.mark.item(63)
@pytest.mark.parametrize("name", ["a b", "a.b/c", "*", "a*.b#.c>", "ąę日本🜁", "%2F?&=+", "UPPER", "-", "a" * 255])
def test_name_of_a_queue_is_any_string(talk, publish, version, name):
    client = talk(version)
    destination = f"/queue/{version}{name}"
    client.subscribe(destination)
    publish(destination, "x")
    client.expect_message(destination, "x")


@every_version
@pytest.mark.item(64)
def test_all_user_headers_are_passed_on_in_order(talk, publish, queue, version):
    headers = ["b:2", "a:1", "content-type:text/x", "b:3", "empty:", "Receipt:1", "ąę:żź", "a:1"]
    client = talk(version)
    client.subscribe(queue)
    client.send(frame("SEND", *headers[:4], f"destination:{queue}", *headers[4:], body="x"))
    lines = [*headers[:4], f"destination:{queue}", *headers[4 + (version == "1.0") :]]  # none that is empty in 1.0
    client.expect(frame("MESSAGE", "subscription:1", "message-id:<message-id>", *lines, body="x") + b"\n")


@every_version
@pytest.mark.item(65)
@pytest.mark.parametrize(
    ("destination", "message"),
    [
        ("/nowhere/x", "unknown destination"),
        ("/topic/a.*", "pattern not allowed"),
        ("/topic/a.#", "pattern not allowed"),
        ("/topic/", "unknown destination"),
        ("/queue/", "unknown destination"),
        ("/topic/" + "w" * 256, "bad destination"),
        ("/topic/" + ".".join("a" * 33), "bad destination"),
        ("", "missing header"),
    ],
)
def test_send_that_cannot_be_processed(talk, version, destination, message):
    client = talk(version)
    client.send(frame("SEND", f"destination:{destination}", "receipt:1", body="x"))
    client.expect_error(message, receipt="1")


@every_version
@pytest.mark.item(66)
def test_transaction_defers_the_send(talk, queue, version):
    client = talk(version)
    client.subscribe(queue)
    client.send(frame("BEGIN", "transaction:t"), frame("SEND", f"destination:{queue}", "transaction:t", body="x"))
    client.expect_nothing()
    client.send(frame("COMMIT", "transaction:t"))
    client.expect_message(queue, "x")


@every_version
@pytest.mark.item(66)
def test_send_in_an_unknown_transaction(talk, queue, version):
    client = talk(version)
    client.send(frame("SEND", f"destination:{queue}", "transaction:t", "receipt:1"))
    client.expect_error("unknown transaction", receipt="1")


@every_version
@pytest.mark.item(67)
def test_protocol_headers_are_not_passed_on(talk, queue, version):
    client = talk(version)
    client.subscribe(queue)
    protocol = ["receipt:1", "transaction:t", "content-length:1"]
    client.send(frame("BEGIN", "transaction:t"), frame("SEND", f"destination:{queue}", "a:1", *protocol, body="x"))
    client.expect(receipt("1"))
    client.send(frame("COMMIT", "transaction:t"))
    client.expect_message(queue, "x", "a:1", "content-length:1")


@every_version
@pytest.mark.item(67)
@pytest.mark.parametrize("mode", ["auto", "client"])
@pytest.mark.parametrize(
    "forged",
    [
        "message-id", "subscription", "ack", "redelivered", "delivery-count", "dead-letter-reason", "dead-letter-text",
        "original-destination", "original-message-id",
    ],
)  # fmt: skip
def test_forged_headers_are_not_passed_on(talk, publish, queue, version, mode, forged):
    client = talk(version)
    client.subscribe(queue, ack=mode)
    publish(queue, "x", f"{forged}:forged", "a:1", f"{forged}:true")
    client.expect_message(queue, "x", "a:1")


@every_version
@pytest.mark.item(67)
def test_repeated_content_length_is_not_passed_on(talk, publish, queue, version):
    client = talk(version)
    client.subscribe(queue)
    publish(queue, "xyz", "content-length:3", "a:1", "content-length:99")
    client.expect_message(queue, "xyz", "content-length:3", "a:1")


@every_version
@pytest.mark.item(68)
def test_headers_of_other_brokers_are_passed_on(talk, publish, queue, version):
    headers = ["persistent:true", "expires:0", "priority:4", "correlation-id:7", "type:t", "timestamp:1"]
    client = talk(version)
    client.subscribe(queue)
    publish(queue, "x", *headers)
    client.expect_message(queue, "x", *headers)
