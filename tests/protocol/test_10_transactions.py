"""B10: transactions."""

import pytest
from harness.frames import every_version, frame, receipt

begin = frame("BEGIN", "transaction:t")
commit = frame("COMMIT", "transaction:t", "receipt:commit")
abort = frame("ABORT", "transaction:t", "receipt:abort")


@every_version
@pytest.mark.item(97)
@pytest.mark.parametrize("command", ["BEGIN", "COMMIT", "ABORT"])
def test_transaction_is_required(talk, version, command):
    client = talk(version)
    client.send(frame(command, "receipt:1"))
    client.expect_error("missing header", receipt="1")


@every_version
@pytest.mark.item(98)
def test_begin_of_an_open_transaction(talk, version):
    client = talk(version)
    client.send(begin, frame("BEGIN", "transaction:t", "receipt:1"))
    client.expect_error("duplicate transaction", receipt="1")


@every_version
@pytest.mark.item(98)
@pytest.mark.parametrize("end", [commit, abort])
def test_name_is_free_again_at_the_end(talk, version, end):
    client = talk(version)
    client.send(begin, end, frame("BEGIN", "transaction:t", "receipt:1"))
    client.expect(receipt("commit" if end is commit else "abort"))
    client.expect(receipt("1"))


@every_version
@pytest.mark.item(98)
def test_two_connections_may_use_one_name(talk, version):
    clients = [talk(version), talk(version)]
    for client in clients:
        client.send(frame("BEGIN", "transaction:t", "receipt:1"))
    for client in clients:
        client.expect(receipt("1"))


@every_version
@pytest.mark.item(99)
@pytest.mark.parametrize("command", ["COMMIT", "ABORT"])
def test_end_of_an_unknown_transaction(talk, version, command):
    client = talk(version)
    client.send(frame(command, "transaction:t", "receipt:1"))
    client.expect_error("unknown transaction", receipt="1")


@every_version
@pytest.mark.item(99)
@pytest.mark.parametrize("end", [commit, abort])
def test_transaction_ends_once(talk, version, end):
    client = talk(version)
    client.send(begin, end, frame("COMMIT", "transaction:t", "receipt:1"))
    client.expect(receipt("commit" if end is commit else "abort"))
    client.expect_error("unknown transaction", receipt="1")


@every_version
@pytest.mark.item(100)
def test_commit_sends_all_in_order(talk, queue, topic, version):
    client, sender = talk(version), talk(version)
    client.subscribe(topic, id="1")
    client.subscribe(queue, id="2")
    sends = [frame("SEND", f"destination:{topic}", "transaction:t", body=body) for body in "abc"]
    sends.insert(1, frame("SEND", f"destination:{queue}", "transaction:t", body="q"))
    sender.send(begin, *sends)
    sender.expect_nothing()
    client.expect_nothing()
    sender.send(commit)
    sender.expect(receipt("commit"))
    got = [client.read_frame() for _ in range(4)]
    assert [body[-3:] for body in got if topic.encode() in body] == [b"a\0\n", b"b\0\n", b"c\0\n"]


@every_version
@pytest.mark.item(100)
def test_sends_outside_are_not_held_up(talk, queue, version):
    client = talk(version)
    client.subscribe(queue)
    client.send(begin, frame("SEND", f"destination:{queue}", "transaction:t", body="within"))
    client.send(frame("SEND", f"destination:{queue}", body="outside"))
    client.expect_message(queue, "outside")
    client.send(commit)
    client.expect_message(queue, "within")
    client.expect(receipt("commit"))


@every_version
@pytest.mark.item(100)
def test_two_transactions_at_once(talk, queue, version):
    client, sender = talk(version), talk(version)
    client.subscribe(queue)
    for name in "ab":
        sender.send(frame("BEGIN", f"transaction:{name}"))
    for name in "aabb":
        sender.send(frame("SEND", f"destination:{queue}", f"transaction:{name}", body=name))
    sender.send(frame("COMMIT", "transaction:b"), frame("ABORT", "transaction:a"))
    client.expect_bodies(queue, "bb")
    sender.expect_nothing()
    client.expect_nothing()


@every_version
@pytest.mark.item(100)
def test_commit_with_an_ack_that_failed_does_nothing(talk, publish, queue, version):
    """A message that is settled twice within a transaction makes all of it fail."""
    client, watcher = talk(version), talk(version)
    watcher.subscribe(queue + ".out")
    client.subscribe(queue, ack="client-individual")
    publish(queue, "x")
    message = client.expect_message(queue, "x")
    client.send(begin, frame("SEND", f"destination:{queue}.out", "transaction:t", body="never"))
    client.settle(message, "transaction:t")
    client.settle(message, "transaction:t", "receipt:1")
    client.expect_error("unknown ack", receipt="1")
    watcher.expect_nothing()
    watcher.subscribe(queue, id="2")
    watcher.expect_message(queue, "x", id="2", redelivered=True)


@every_version
@pytest.mark.item(100)
def test_abort_drops_all(talk, queue, version):
    client = talk(version)
    client.subscribe(queue)
    client.send(begin, frame("SEND", f"destination:{queue}", "transaction:t", body="x") * 3, abort)
    client.expect(receipt("abort"))
    client.expect_nothing()


@every_version
@pytest.mark.item(101)
@pytest.mark.parametrize("leave", ["DISCONNECT", "close", "reset", "ERROR"])
def test_leaving_aborts_open_transactions(talk, broker, publish, queue, version, leave):
    watcher, client = talk(version), talk(version)
    watcher.subscribe(queue + ".out")
    client.subscribe(queue, ack="client")
    publish(queue, "x")
    message = client.expect_message(queue, "x")
    client.send(begin, frame("SEND", f"destination:{queue}.out", "transaction:t", body="never"))
    client.settle(message, "transaction:t", "receipt:1")
    client.expect(receipt("1"))
    if leave in ("close", "reset"):
        getattr(client, leave)()
    else:
        client.send(frame(leave))
    watcher.subscribe(queue, id="2")
    watcher.expect_message(queue, "x", id="2", redelivered=True)
    watcher.expect_nothing()


@every_version
@pytest.mark.item(93)
def test_credit_used_up_in_a_transaction_comes_back_with_its_commit(talk, publish, queue, version):
    client = talk(version)
    client.subscribe(queue, "prefetch-count:2", ack="client")
    for body in "abc":
        publish(queue, body)
    _, b = client.expect_bodies(queue, "ab")
    client.send(begin)
    client.settle(b, "transaction:t")
    client.expect_nothing()
    client.send(commit)
    client.expect(receipt("commit"))
    client.expect_message(queue, "c")


@every_version
@pytest.mark.item(102)
@pytest.mark.parametrize("mode", ["client", "client-individual"])
@pytest.mark.parametrize("command", ["ACK", "NACK"])
def test_abort_makes_messages_unacknowledged_again(talk, publish, queue, version, mode, command):
    client = talk(version)
    client.subscribe(queue, ack=mode)
    for body in "ab":
        publish(queue, body)
    _, message = client.expect_bodies(queue, "ab")
    client.send(begin)
    client.settle(message, "transaction:t", command=command)
    client.send(abort)
    client.expect(receipt("abort"))
    client.expect_nothing()
    client.ack(message)
    client.unsubscribe()
    client.subscribe(queue, id="2")
    for body in "a" if mode == "client-individual" else "":
        client.expect_message(queue, body, id="2", redelivered=True)
    client.expect_nothing()


@every_version
@pytest.mark.item(77, 93, 102)
@pytest.mark.parametrize("end", [commit, abort])
def test_subscription_may_end_before_the_transaction(talk, publish, queue, version, end):
    client, heir = talk(version), talk(version)
    client.subscribe(queue, ack="client-individual")
    for body in "ab":
        publish(queue, body)
    a, _ = client.expect_bodies(queue, "ab")
    client.send(begin)
    client.settle(a, "transaction:t")
    client.unsubscribe()
    heir.subscribe(queue)
    heir.expect_message(queue, "b", redelivered=True)
    heir.expect_nothing()
    client.send(end)
    client.expect(receipt("commit" if end is commit else "abort"))
    for body in "" if end is commit else "a":
        heir.expect_message(queue, body, redelivered=True)
    heir.expect_nothing()


@every_version
@pytest.mark.item(103)
def test_receipt_of_a_send_within_comes_at_once(talk, queue, version):
    client = talk(version)
    client.subscribe(queue)
    client.send(begin, frame("SEND", f"destination:{queue}", "transaction:t", "receipt:send", body="x"))
    client.expect(receipt("send"))
    client.expect_nothing()
    client.send(commit)
    client.expect_message(queue, "x")
    client.expect(receipt("commit"))
