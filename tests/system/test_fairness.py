"""Fairness: nobody is starved by a flood, a fan-out, or a greedy consumer.

What a client waits for is told in the time that the broker works meanwhile: what else runs on the machine adds nothing
to that.
"""

import threading
import time
from contextlib import ExitStack

import pytest
from harness.frames import frame, receipt
from harness.waiting import in_background

PATIENCE = 0.05
"""A generous bound of the work that goes before a ping; what it really takes is for the benchmark to say."""


@pytest.fixture
def ping(talk, broker, queue):
    """Times round trips of a client that sends to itself."""
    return pinger(talk(), broker, queue)


def pinger(client, broker, queue):
    """Make a client that tells how long the broker worked until its message was back."""
    client.subscribe(queue)

    def once():
        start = broker.processor_time()
        client.send(frame("SEND", f"destination:{queue}", body="ping"))
        client.expect_message(queue, "ping")
        return broker.processor_time() - start

    return once


def flood_until(done, client, destination):
    """Send small messages as fast as possible."""
    chunk = frame("SEND", f"destination:{destination}", body="x" * 100) * 500
    while not done.is_set():
        client.send(chunk)


def percentile_99(times):
    """The time that one of a hundred exceeds."""
    return sorted(times)[len(times) * 99 // 100]


@pytest.mark.parametrize("subscribers", [0, 1])
def test_ping_beside_two_floods(talk, topic, ping, subscribers):
    done = threading.Event()
    with ExitStack() as floods:
        for _ in range(subscribers):
            reader = talk()
            reader.subscribe(topic)
            floods.enter_context(in_background(lambda: read_until(done, reader)))  # noqa: B023
        for publisher in (talk(), talk()):
            floods.enter_context(in_background(lambda client=publisher: flood_until(done, client, topic)))
        times = [ping() for _ in range(300)]
        done.set()
    assert percentile_99(times) < PATIENCE, sorted(times)[-10:]


def read_until(done, client):
    """Read and forget."""
    while not done.is_set():
        client.socket.recv(1 << 20)


def test_ping_beside_a_fan_out(talk, topic, ping):
    readers, publisher = [talk() for _ in range(1000)], talk()
    for reader in readers:
        reader.send(frame("SUBSCRIBE", "id:1", f"destination:{topic}", "receipt:1"))
        reader.ack_modes["1"] = "auto"
    for reader in readers:
        reader.expect(receipt("1"))
    publisher.send(*[frame("SEND", f"destination:{topic}", body=str(n)) for n in range(20)])
    times = [ping() for _ in range(50)]
    for reader in readers:
        reader.expect_bodies(topic, map(str, range(20)))
    assert max(times) < PATIENCE, sorted(times)[-10:]


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_ping_beside_a_fan_out_of_large_bodies(talk, broker_with, topic, queue):
    """What is small is served before all that is large has left."""
    roomy = broker_with(limits={"outbound_soft": "16 MiB", "outbound_hard": "64 MiB"})
    for _ in range(200):
        talk(to=roomy).subscribe(topic)
    ping = pinger(talk(to=roomy), roomy, queue)
    ping()
    longest = longest_ping(lambda: talk(to=roomy).publish(topic, "x" * 4_000_000), ping)
    assert longest < PATIENCE


def test_floods_of_many_publishers_are_read_in_turn(talk, topic):
    """A publisher that came last is not kept waiting until those before it are done."""
    done = threading.Event()
    late = talk()
    with ExitStack() as floods:
        for publisher in [talk() for _ in range(4)]:
            floods.enter_context(in_background(lambda client=publisher: flood_until(done, client, topic)))
        for _ in range(100):
            late.roundtrip()
        done.set()


def longest_ping(work, ping):
    """The longest round trip while `work` goes on in the background."""
    with in_background(work) as working:
        times = [ping()]
        while working.is_alive():
            times.append(ping())
    return max(times)


def test_ping_beside_thousands_of_subscriptions_without_id(talk, topic, ping):
    client = talk("1.0")

    def work():
        client.send(frame("SUBSCRIBE", f"destination:{topic}") * 9999)
        client.roundtrip()

    assert longest_ping(work, ping) < PATIENCE


def test_ping_beside_acks_from_the_newest_to_the_oldest(talk, broker_with, queue):
    broker = broker_with(subscriptions={"prefetch_bytes": 1 << 26})
    client, ping, busy = talk("1.1", to=broker), pinger(talk(to=broker), broker, queue), f"{queue}.busy"
    client.subscribe(busy, "prefetch-count:65535", ack="client-individual")
    talk(to=broker).send(frame("SEND", f"destination:{busy}") * 20_000)
    acks = [frame("ACK", *client.settling_headers(client.expect_message(busy))) for _ in range(20_000)]

    def work():
        client.send(*acks[::-1])
        client.roundtrip()

    assert longest_ping(work, ping) < PATIENCE


def test_idle_broker_sleeps(talk, publish, queue, broker):
    clients = [talk() for _ in range(20)]
    publish(queue, "x")
    before = broker.processor_time()
    time.sleep(0.5)
    assert broker.processor_time() - before < 0.1
    for client in clients:
        client.roundtrip()


@pytest.mark.parametrize("mode", ["auto", "client", "client-individual"])
def test_consumers_take_turns(talk, publish, queue, mode):
    consumers = [talk() for _ in range(4)]
    for consumer in consumers:
        consumer.subscribe(queue, ack=mode)
    for number in range(40):
        publish(queue, str(number))
    for place, consumer in enumerate(consumers):
        numbers = [int(consumer.read_frame().split(b"\n\n")[1][:-2]) for _ in range(10)]
        assert sorted(numbers) == numbers and len({n % 4 for n in numbers}) == 1, (place, numbers)
        consumer.expect_nothing()


def test_consumer_with_credit_takes_what_others_cannot(talk, publish, queue):
    busy, idle = talk(), talk()
    busy.subscribe(queue, "prefetch-count:1", ack="client")
    idle.subscribe(queue, "prefetch-count:100", ack="client")
    for number in range(20):
        publish(queue, str(number))
    busy.read_frame()
    for _ in range(19):
        idle.read_frame()
    busy.expect_nothing()
    idle.expect_nothing()


@pytest.mark.parametrize("kind", ["/topic/", "/queue/"])
def test_order_of_one_publisher_is_kept(talk, queue, kind):
    destination = kind + queue.removeprefix("/queue/")
    client, publishers = talk(), [talk() for _ in range(3)]
    client.subscribe(destination)
    with ExitStack() as sending:
        for name, publisher in zip("abc", publishers, strict=True):
            sends = [frame("SEND", f"destination:{destination}", body=f"{name}{n:05d}") for n in range(2000)]
            sending.enter_context(in_background(lambda client=publisher, sends=sends: send_all(client, sends)))
        bodies = [client.read_frame().split(b"\n\n", 1)[1][:-2].decode() for _ in range(6000)]
    for name in "abc":
        assert [body for body in bodies if body[0] == name] == [f"{name}{n:05d}" for n in range(2000)]


def send_all(client, frames):
    """Send frames in several writes."""
    for at in range(0, len(frames), 7):
        client.send(*frames[at : at + 7])
