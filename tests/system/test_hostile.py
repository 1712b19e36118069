"""What clients have used against the broker and one another, each as a kind of its own."""

import threading
from contextlib import ExitStack

import pytest
from harness.client import NARROW
from harness.frames import frame, receipt
from harness.waiting import eventually, in_background

KiB, MiB = 1 << 10, 1 << 20
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


def subscribe_often(client, destination, count):
    """Many subscriptions of one client."""
    client.send(*[frame("SUBSCRIBE", f"id:{number}", f"destination:{destination}") for number in range(count)])
    client.roundtrip()


def longest_ping(work, broker, client):
    """The most that the broker works in one round trip of `client` while `work` goes on in the background."""
    return pings(work, broker, client)[-1]


def long_ping(work, broker, client):
    """What all but one in a hundred of them take at most."""
    times = pings(work, broker, client)
    return times[len(times) * 99 // 100]


def pings(work, broker, client):
    """How long the broker works in each round trip of `client` while `work` goes on, the longest last."""
    times = []
    with in_background(work) as working:
        while working.is_alive() or not times:
            start = broker.processor_time()
            client.roundtrip()
            times.append(broker.processor_time() - start)
    return sorted(times)


# Memory


def test_what_the_trie_said_is_forgotten_before_it_uses_up_memory(talk, broker_with, reading):
    """A thousand topics, known before there were 5,000 subscribers to each of them: 64 MiB of places in audiences."""
    broker = broker_with(limits={"memory": 32 * MiB})
    subscriber, publisher, topics = talk(to=broker), talk(to=broker), range(1000)
    sends = [frame("SEND", f"destination:/topic/known.{number}") for number in topics]
    publisher.send(*sends)
    publisher.roundtrip()
    subscribe_often(subscriber, "/topic/known.#", 5000)
    reading(subscriber)
    for number in topics:
        publisher.publish(f"/topic/known.{number}")
    eventually(lambda: broker.census()["memory"] < 16 * MiB, "the memory of audiences is free again")
    subscriber.socket.shutdown(2)


def test_memory_between_messages_that_stay_goes_back(talk, broker_with, queue):
    """Of bodies that malloc keeps side by side, every hundredth stays."""
    broker = broker_with(limits={"memory": 100 * MiB})
    client, others = talk(to=broker), frame("SEND", f"destination:{queue}", body="x" * 4000) * 99
    for _ in range(200):
        client.send(frame("SEND", f"destination:{queue}.stays", body="x" * 4000), others)
    client.roundtrip()
    full = broker.resident()
    client.subscribe(queue)
    for _ in range(99 * 200):
        client.read_frame()
    eventually(lambda: broker.resident() < full - 40 * MiB or not full, "memory is given back")


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


@pytest.fixture
def deaf(talk, broker_with, topic):
    """Make a broker with a client that has many subscriptions to the topic and reads nothing: each SEND is work."""

    def make(subscriptions, policy="drop-newest", **limits):
        broker = broker_with(
            limits={"slow_consumer_grace": 0.1, "outbound_soft": 64 * KiB, "outbound_timeout": 50, **limits},
            topics=[{"pattern": "#", "slow_consumer": policy}],
        )
        stalled, publisher = talk(to=broker, receive_buffer=NARROW), talk(to=broker)
        subscribe_often(stalled, topic, subscriptions)
        for _ in range(10):
            publisher.publish(topic, "x" * 1000)
        return broker

    return make


@pytest.mark.parametrize("policy", ["drop-newest", "drop-oldest"])
def test_ping_beside_messages_that_are_dropped(talk, deaf, topic, policy):
    """To drop a message for each of thousands of subscriptions is work, too."""
    broker = deaf(5000, policy)
    publisher, ping = talk(to=broker), talk(to=broker)
    sends = frame("SEND", f"destination:{topic}") * 5000

    def work():
        publisher.send(sends)
        publisher.roundtrip()

    assert longest_ping(work, broker, ping) < PATIENCE
    assert broker.census()["dropped"] > 0


def test_ping_beside_copies_of_a_large_body(talk, broker_with, topic):
    """What others are sent does not wait behind what the kernel takes for all subscribers."""
    broker = broker_with()
    subscribers, publisher, ping = [talk(to=broker) for _ in range(150)], talk(to=broker), talk(to=broker)
    for subscriber in subscribers:
        subscriber.subscribe(topic)
    assert longest_ping(lambda: publisher.publish(topic, "x" * 2_000_000), broker, ping) < PATIENCE


def test_ping_beside_unsubscriptions_by_a_destination(talk, broker_with, topic):
    """The oldest of many to the same destination is found at once."""
    broker = broker_with()
    client, ping = talk("1.0", to=broker), talk(to=broker)
    client.send(frame("SUBSCRIBE", f"destination:{topic}") * 9999)
    client.roundtrip()

    def work():
        client.send(frame("UNSUBSCRIBE", f"destination:{topic}") * 9999)
        client.roundtrip()

    assert longest_ping(work, broker, ping) < PATIENCE / 2


@pytest.mark.parametrize("many", [60, 300])
def test_ping_beside_many_publishers(talk, deaf, topic, many):
    """The more there are that have much to do, the less each of them does in a turn."""
    broker = deaf(2000)
    publishers, ping = [talk(to=broker) for _ in range(many)], talk(to=broker)
    sends = frame("SEND", f"destination:{topic}") * (18_000 // many)

    def work():
        for publisher in publishers:
            publisher.send(sends)
        for publisher in publishers:
            publisher.roundtrip()

    assert long_ping(work, broker, ping) < PATIENCE


CHEAP = {
    "SEND": frame("SEND", "destination:/topic/hostile.nobody") * 10_000,
    "SUBSCRIBE": (frame("SUBSCRIBE", "id:1", "destination:/topic/hostile.a.*") + frame("UNSUBSCRIBE", "id:1")) * 2000,
    "ABORT": (frame("BEGIN", "transaction:t") + frame("ABORT", "transaction:t")) * 5000,
}


@pytest.mark.parametrize("what", CHEAP)
def test_ping_beside_very_many_cheap_frames(talk, broker_with, what):
    """To handle a frame is work, also if nothing comes of it."""
    broker = broker_with()
    clients, ping, frames = [talk(to=broker) for _ in range(200)], talk(to=broker), CHEAP[what]

    def work():
        for client in clients:
            client.send(frames)
        for client in clients:
            client.roundtrip()

    assert long_ping(work, broker, ping) < PATIENCE


@pytest.mark.parametrize("then", ["goes on", "disconnects", "is reset"])
def test_ping_beside_a_commit(talk, deaf, topic, then):
    """Once it was taken it is carried out, in order and to its end, whatever becomes of its client."""
    broker = deaf(5000, max_transaction_frames=10_000)
    # In one piece it takes 0.25 s, each time. The broker works on until the test has read the answer, for which a busy
    # machine may take its time.
    assert any(ping_beside_a_commit(talk, broker, topic, then) < 2 * PATIENCE for _ in range(3))


def ping_beside_a_commit(talk, broker, topic, then):
    """The longest; all else is as it should be."""
    publisher, witness, ping = talk(to=broker), talk(to=broker), talk(to=broker)
    publisher.subscribe(topic)  # so that it will be noticed that it has gone
    witness.subscribe(topic)
    bodies = list(map(str, range(5000)))
    publisher.send(frame("BEGIN", "transaction:t"))
    publisher.send(*[frame("SEND", f"destination:{topic}", "transaction:t", body=body) for body in bodies])
    publisher.roundtrip()

    def work():
        publisher.send(frame("COMMIT", "transaction:t", "receipt:1"))
        publisher.send(
            frame("DISCONNECT") if then == "disconnects" else frame("SEND", f"destination:{topic}", body="x")
        )
        witness.expect_message(topic, bodies[0])
        if then == "is reset":
            publisher.reset()
        witness.expect_bodies(topic, bodies[1:])

    longest = longest_ping(work, broker, ping)
    if then == "goes on":
        witness.expect_message(topic, "x")
        publisher.expect_bodies(topic, bodies)
        publisher.expect(receipt("1"))
        publisher.expect_message(topic, "x")
    eventually(lambda: broker.census()["transactions"] == 0, "it has ended")
    publisher.close()
    witness.close()
    return longest


def test_ping_beside_what_a_client_had_sent_that_is_gone(talk, deaf, topic):
    """It is processed, and everybody else is served in between."""
    broker = deaf(5000)
    publisher, ping, connections = talk(to=broker), talk(to=broker), broker.census()["connections"]
    before = broker.census()["messages_in"]

    def work():
        publisher.send(frame("SEND", f"destination:{topic}", "receipt:1") * 4000)
        eventually(lambda: broker.census()["messages_in"] > before, "it has begun", pause=0.001)
        publisher.reset()
        eventually(lambda: broker.census()["connections"] < connections, "it is gone")

    assert longest_ping(work, broker, ping) < PATIENCE
    assert broker.census()["messages_in"] - before > 500


# Order


def stands_still(broker, name):
    """Wait until a number of the census does not change any more."""
    seen = []

    def same():
        seen.append(broker.census()[name])
        return len(seen) > 5 and len(set(seen[-5:])) == 1

    eventually(same, f"{name} stands still", pause=0.1)


@pytest.mark.parametrize("last", [b"SEND\nno colon\n\n\0", frame("NONSENSE"), frame("CONNECT")])
def test_nothing_comes_behind_error(talk, topic, last):
    """Not even a message that the same client has sent in front of what is wrong, and to itself."""
    client = talk()
    for number in "123":
        client.subscribe(topic, id=number)
    client.send(frame("SEND", f"destination:{topic}", body="x"), last)
    got = client.read_all()
    assert got.count(b"MESSAGE\n") == 3
    assert b"MESSAGE\n" not in got[got.index(b"ERROR\n") :]


def test_publisher_that_waited_for_memory_waits_for_a_slow_subscriber(talk, broker_with, topic, queue):
    """Also if what it had published goes out because of a SUBSCRIBE that waited behind it."""
    broker = broker_with(
        limits={"memory": 24 * MiB, "outbound_soft": 64 * KiB, "slow_consumer_grace": 60, "outbound_timeout": 50}
    )
    stalled, other, filler = talk(to=broker, receive_buffer=NARROW), talk(to=broker), talk(to=broker)
    publisher, consumer = talk(to=broker), talk(to=broker)
    for number in "1234":
        stalled.subscribe(topic, id=number)
    flood = frame("SEND", f"destination:{topic}", body="x" * 6000) * 2000
    with in_background(lambda: other.send(flood)):
        stands_still(broker, "messages_in")
        filler.send(frame("SEND", f"destination:{queue}", body="x" * 60_000) * 400)
        stands_still(broker, "messages_in")
        publisher.send(
            frame("SEND", f"destination:{topic}", body="x"),
            frame("SUBSCRIBE", "id:1", f"destination:{topic}.other", "receipt:subscribed"),
            frame("SEND", f"destination:{topic}.other", "receipt:sent"),
        )
        consumer.subscribe(queue, ack="auto")
        for _ in range(400):
            consumer.read_frame()
        publisher.expect(receipt("subscribed"))
        consumer.expect_nothing()
        assert publisher.is_silent()
        stalled.reset()
        publisher.ack_modes["1"] = "auto"
        publisher.expect_message(f"{topic}.other")
        publisher.expect(receipt("sent"))
