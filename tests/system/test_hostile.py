"""What clients have used against the broker and one another, each as a kind of its own."""

import threading
from contextlib import ExitStack

import pytest
from harness.frames import frame
from harness.waiting import eventually, in_background

PATIENCE = 0.05
"""Seconds of the broker's work that a bystander's round trip may take."""


def read_until(done, client):
    """Read and forget."""
    while not done.is_set() and client.socket.recv(1 << 20):
        pass


@pytest.fixture
def reading():
    """Let clients read whatever comes while the test goes on."""
    done = threading.Event()
    with ExitStack() as readers:
        yield lambda client: readers.enter_context(in_background(lambda: read_until(done, client)))
        done.set()


def longest_ping(work, broker, client):
    """The most that the broker works in one round trip of `client` while `work` goes on in the background."""
    times = []
    with in_background(work) as working:
        while working.is_alive() or not times:
            start = broker.processor_time()
            client.roundtrip()
            times.append(broker.processor_time() - start)
    return max(times)


# Work


def test_ping_beside_many_consumers_of_a_long_queue(talk, broker_with, queue, reading):
    broker = broker_with()
    publisher, ping, consumers = talk(to=broker), talk(to=broker), [talk(to=broker) for _ in range(200)]
    for _ in range(100):
        publisher.send(frame("SEND", f"destination:{queue}", body="x") * 10_000)
    publisher.roundtrip()

    def work():
        for consumer in consumers:
            consumer.send(frame("SUBSCRIBE", "id:1", f"destination:{queue}"))
        eventually(lambda: broker.census()["messages"] < 10_000, "the queue is empty", pause=0.2)

    for consumer in consumers:
        reading(consumer)
    assert longest_ping(work, broker, ping) < PATIENCE
    for consumer in consumers:
        consumer.socket.shutdown(2)
