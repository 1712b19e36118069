"""B11: receipts."""

import pytest
from harness.frames import every_version, frame, only_1_2, receipt


@every_version
@pytest.mark.item(104)
def test_every_frame_but_connect_may_ask_for_a_receipt(talk, publish, queue, version):
    client = talk(version)
    client.subscribe(queue, ack="client-individual")
    for body in "ab":
        publish(queue, body)
    a, b = client.expect_bodies(queue, "ab")
    conversation = [
        frame("SEND", f"destination:{queue}.other", "receipt:send"),
        frame("ACK", *client.settling_headers(a), "receipt:ack"),
        frame("NACK", *client.settling_headers(b), "requeue:false", "receipt:nack"),
        frame("UNSUBSCRIBE", "id:1", "receipt:unsubscribe"),
        frame("BEGIN", "transaction:t", "receipt:begin"),
        frame("COMMIT", "transaction:t", "receipt:commit"),
        frame("BEGIN", "transaction:t", "receipt:begin"),
        frame("ABORT", "transaction:t", "receipt:abort"),
        frame("SUBSCRIBE", "id:2", f"destination:{queue}", "receipt:subscribe"),
        frame("DISCONNECT", "receipt:disconnect"),
    ]
    client.send(*conversation)
    for name in ("send", "ack", "nack", "unsubscribe", "begin", "commit", "begin", "abort", "subscribe", "disconnect"):
        client.expect(receipt(name))
    client.expect_end()


@every_version
@pytest.mark.item(104)
@pytest.mark.parametrize("value", ["1", "a b", "ąę", "x" * 8000, " ", "receipt-id", "0"])
def test_receipt_id_is_the_value(talk, version, value):
    client = talk(version)
    client.send(frame("BEGIN", "transaction:t", f"receipt:{value}"))
    client.expect(receipt(value.strip() if version == "1.0" else value))


@every_version
@pytest.mark.item(105)
@pytest.mark.parametrize("mode", ["auto", "client"])
@pytest.mark.parametrize("kind", ["/topic/", "/queue/"])
def test_own_message_comes_before_the_receipt_of_its_send(talk, queue, version, mode, kind):
    destination = kind + queue.removeprefix("/queue/")
    client = talk(version)
    client.subscribe(destination, ack=mode)
    client.send(*(frame("SEND", f"destination:{destination}", f"receipt:{body}", body=body) for body in "abc"))
    for body in "abc":
        client.expect_message(destination, body)
        client.expect(receipt(body))


@every_version
@pytest.mark.item(105)
@pytest.mark.parametrize(
    "failing",
    [
        "SEND\ndestination:/nowhere/x",
        "SUBSCRIBE\nid:1\ndestination:/nowhere/x",
        "UNSUBSCRIBE\nid:never",
        "ACK\nid:never\nmessage-id:never\nsubscription:never",
        "NACK\nid:never\nmessage-id:never\nsubscription:never",
        "COMMIT\ntransaction:never",
        "ABORT\ntransaction:never",
        "NONSENSE",
    ],
)
def test_failure_has_an_error_and_no_receipt(talk, version, failing):
    client = talk(version)
    client.send(f"{failing}\nreceipt:1\n\n\0")
    got = client.read_all()
    assert got.startswith(b"ERROR\n") and b"\nreceipt-id:1\n" in got and b"RECEIPT" not in got


@only_1_2
@pytest.mark.item(106)
def test_receipt_covers_all_frames_before_it(talk, queue, version):
    client, watcher = talk(version), talk(version)
    client.send(frame("SEND", f"destination:{queue}", body="x") * 500, frame("BEGIN", "transaction:t", "receipt:1"))
    client.expect(receipt("1"))
    watcher.subscribe(queue)
    watcher.expect_bodies(queue, ["x"] * 500)


@only_1_2
@pytest.mark.item(107)
@pytest.mark.parametrize("leave", ["DISCONNECT", "close"])
def test_frames_of_a_client_that_left_are_processed(talk, queue, version, leave):
    client, watcher = talk(version), talk(version)
    watcher.subscribe(queue)
    client.send(frame("SEND", f"destination:{queue}", body="x") * 500, frame(leave) if leave.isupper() else "")
    client.close()
    watcher.expect_bodies(queue, ["x"] * 500)


@every_version
@pytest.mark.item(108)
def test_each_receipt_is_answered_in_order(talk, queue, version):
    client = talk(version)
    names = ["same", "same", "other", "same", *map(str, range(200))]
    client.send(*[frame("SEND", f"destination:{queue}", f"receipt:{name}") for name in names])
    for name in names:
        client.expect(receipt(name))
    client.expect_nothing()
