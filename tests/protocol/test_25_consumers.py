"""Consumers of which some come before others, and queues that have one at a time."""

import pytest
from harness.frames import frame

both_priorities = pytest.mark.parametrize("header", ["x-priority", "activemq.priority"])
both_exclusives = pytest.mark.parametrize("header", ["activemq.exclusive", "exclusive"])


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
