"""Consumers of which some come before others, queues that go, what clients declare of them, and duplicates."""

import pytest
from harness.frames import frame, receipt
from harness.waiting import eventually

both_priorities = pytest.mark.parametrize("header", ["x-priority", "activemq.priority"])
both_exclusives = pytest.mark.parametrize("header", ["activemq.exclusive", "exclusive"])
both_names = pytest.mark.parametrize("header", ["_AMQ_DUPL_ID", "message-dedup-id"])


@both_priorities
def test_the_highest_priority_with_credit_has_it(talk, publish, queue, header):
    high, low = talk(), talk()
    low.subscribe(queue, "prefetch-count:10", ack="client-individual")
    high.subscribe(queue, f"{header}:5", "prefetch-count:1", ack="client-individual")
    publish(queue, "a")
    held = high.expect_message(queue, "a")
    publish(queue, "b")
    low.expect_message(queue, "b")
    high.ack(held)
    publish(queue, "c")
    high.expect_message(queue, "c")
    low.expect_nothing()


def test_within_one_priority_they_take_turns(talk, publish, queue):
    clients = [talk() for _ in range(3)]
    for client in clients:
        client.subscribe(queue, "x-priority:-1")
    for body in "abcdef":
        publish(queue, body)
    for client, bodies in zip(clients, ("ad", "be", "cf"), strict=True):
        client.expect_bodies(queue, bodies)


@both_priorities
def test_a_priority_is_a_number(talk, queue, header):
    client = talk()
    client.send(frame("SUBSCRIBE", f"destination:{queue}", "id:1", f"{header}:high", "receipt:1"))
    assert header in client.expect_error("bad header", receipt="1")


@both_exclusives
@pytest.mark.parametrize("end", ["unsubscribe", "reset", "close", "DISCONNECT"])
def test_the_next_exclusive_consumer_takes_over_in_order(talk, publish, queue, header, end):
    first, second, usual = talk(), talk(), talk()
    for client in (first, second):
        client.subscribe(queue, f"{header}:true", "prefetch-count:2", ack="client-individual")
    usual.subscribe(queue)
    for body in "abc":
        publish(queue, body)
    first.expect_bodies(queue, "ab")
    second.expect_nothing()
    usual.expect_nothing()
    if end == "DISCONNECT":
        first.send(frame("DISCONNECT"))
        first.expect_end()
    else:
        getattr(first, end)()
    held = [second.expect_message(queue, body, redelivered=True) for body in "ab"]
    for each in held:
        second.ack(each)
        if each is held[0]:
            second.expect_message(queue, "c")
    usual.expect_nothing()


def test_without_an_exclusive_consumer_they_take_turns_again(talk, publish, queue):
    only, usual = talk(), talk()
    usual.subscribe(queue)
    only.subscribe(queue, "exclusive:true")
    publish(queue, "a")
    only.expect_message(queue, "a")
    only.unsubscribe()
    publish(queue, "b")
    usual.expect_message(queue, "b")


@pytest.mark.parametrize("end", ["unsubscribe", "reset", "close"])
def test_auto_delete_takes_what_it_holds_along(talk, publish, queue, end):
    """An answer that comes too late makes it anew."""
    client = talk()
    client.subscribe(queue, "auto-delete:true", "prefetch-count:1", ack="client")
    for body in "abc":
        publish(queue, body)
    client.expect_message(queue, "a")
    getattr(client, end)()
    eventually(lambda: is_gone(talk(), queue), "there is no such queue any more")
    publish(queue, "d")
    heir = talk()
    heir.subscribe(queue)
    heir.expect_message(queue, "d")
    heir.expect_nothing()


def test_x_expires_without_a_consumer(talk, publish, queue):
    client = talk()
    client.subscribe(queue, "x-expires:200", "prefetch-count:1", ack="client")
    publish(queue, "a")
    publish(queue, "b")
    client.expect_message(queue, "a")
    client.unsubscribe()
    eventually(lambda: is_gone(talk(), queue), "there is no such queue any more")


def is_gone(client, queue):
    """Asked by a SEND, which does not put its end off."""
    client.send(frame("SEND", f"destination:/amq{queue}", "receipt:1", body="too late"))
    return client.read_frame().startswith(b"ERROR")


@pytest.mark.parametrize("command", ["SEND", "SUBSCRIBE"])
def test_a_contradiction_names_header_and_both_values(talk, queue, command):
    first, second = talk(), talk()
    first.subscribe(queue, "x-max-length:10", "x-message-ttl:60000", "x-overflow:reject-publish")
    second.publish(queue, "a", "x-max-length:10")
    second.publish(queue, "b")
    second.send(frame(command, f"destination:{queue}", "id:1", "x-max-length:20", "receipt:1"))
    text = second.expect_error("bad header", receipt="1")
    assert "x-max-length:10" in text
    assert "x-max-length:20" in text


@pytest.mark.parametrize("command", ["SEND", "SUBSCRIBE"])
@pytest.mark.parametrize(
    "header", ["x-expires:soon", "x-dead-letter-exchange:other", "x-overflow:drop-tail", "auto-delete:maybe"]
)
def test_what_cannot_be_declared(talk, queue, command, header):
    client = talk()
    client.send(frame(command, f"destination:{queue}", "id:1", header, "receipt:1"))
    assert header.partition(":")[0] in client.expect_error("bad header", receipt="1")


@both_names
def test_a_duplicate_has_a_receipt_and_does_not_come(talk, queue, header):
    client = talk()
    client.subscribe(queue)
    client.send(frame("SEND", f"destination:{queue}", f"{header}:1", body="a"))
    client.expect_message(queue, "a", f"{header}:1")
    client.publish(queue, "b", f"{header}:1")
    client.send(frame("SEND", f"destination:{queue}", f"{header}:2", body="c"))
    client.expect_message(queue, "c", f"{header}:2")


@both_names
def test_duplicates_of_another_client_and_in_transactions(talk, queue, header):
    consumer, sender = talk(), talk()
    consumer.subscribe(queue)
    sender.send(frame("BEGIN", "transaction:t"))
    sender.publish(queue, "a", f"{header}:1", "transaction:t")
    talk().publish(queue, "b", f"{header}:1")
    consumer.expect_message(queue, "b", f"{header}:1")
    sender.publish(queue, "c", f"{header}:2", "transaction:t")
    sender.send(frame("COMMIT", "transaction:t", "receipt:1"))
    sender.expect(receipt("1"))
    consumer.expect_message(queue, "c", f"{header}:2")
    consumer.expect_nothing()
