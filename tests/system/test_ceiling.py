"""The memory ceiling, whatever clients do: what the process has stays under it, and what ends is given back."""

import time
from contextlib import ExitStack, suppress

import pytest
from harness.broker import Broker
from harness.client import NARROW
from harness.frames import frame
from harness.waiting import SOON, eventually, in_background

KiB, MiB = 1 << 10, 1 << 20
CEILING = 32 * MiB
BESIDE = 64 * MiB
"""What a broker may have beside its ceiling: the interpreter, the loop, code."""
SECONDS = 3
SLAB = 256 * KiB
"""Messages of about the same size lie together in so much memory."""


@pytest.fixture
def broker(tmp_path):
    """A broker with little memory, which nobody has used."""
    broker = Broker(tmp_path, {"limits": {"memory": CEILING, "outbound_timeout": 2}})
    yield broker
    broker.stop()


def until_cut_off(client, *octets):
    """Send the same again and again, for some seconds or until the connection is gone."""
    end, chunk = time.monotonic() + SECONDS, b"".join(map(bytes, octets))
    client.socket.settimeout(0.2)
    while time.monotonic() < end:
        try:
            client.socket.sendall(chunk)
        except TimeoutError:
            return
        except OSError:
            return


def transactions_in_a_loop(talk, queue):
    """BEGIN, SEND, COMMIT without an end."""
    one = frame("BEGIN", "transaction:t") + frame("SEND", f"destination:{queue}", "transaction:t", body="x" * 1000) * 8
    until_cut_off(talk(), (one + frame("COMMIT", "transaction:t")) * 20)


def open_transactions(talk, queue):
    """As many as there may be, each as large as it may be."""
    with ExitStack() as all_of_them:
        for _ in range(10):
            client = talk()
            full = [frame("SEND", f"destination:{queue}", "transaction:{n}", body="x" * 100_000) * 60]
            frames = [
                frame("BEGIN", f"transaction:{n}") + each.replace(b"{n}", b"%d" % n) for n in range(15) for each in full
            ]
            all_of_them.enter_context(
                in_background(lambda client=client, frames=frames: until_cut_off(client, *frames))
            )


def resets(talk, queue):
    """What was sent last by clients that are cut off."""
    chunk = frame("SEND", f"destination:{queue}", body="x" * 1000) * 900
    for _ in range(60):
        client = talk()
        client.socket.settimeout(0.05)
        with suppress(OSError):
            client.socket.sendall(chunk)
        client.reset()


def tiny_messages(talk, queue):
    """Of which the least part is a body."""
    until_cut_off(talk(), frame("SEND", f"destination:{queue}", body="x") * 2000)


def long_ids(talk, queue):
    """Subscriptions with ids as long as they may be."""
    with ExitStack() as all_of_them:
        for client in [talk() for _ in range(3)]:
            frames = [
                frame("SUBSCRIBE", f"id:{n}.{'i' * 7000}", f"destination:/topic/{n}.{'d' * 200}.*") for n in range(9000)
            ]
            all_of_them.enter_context(
                in_background(lambda client=client, frames=frames: until_cut_off(client, *frames))
            )


def fan_out_to_nobody_who_reads(talk, queue):
    """Small messages that each of many has a copy of."""
    readers = [talk(receive_buffer=NARROW) for _ in range(200)]
    for reader in readers:
        reader.send(frame("SUBSCRIBE", "id:1", "destination:/topic/ceiling.fan"))
    until_cut_off(talk(), frame("SEND", "destination:/topic/ceiling.fan", body="x" * 7000) * 100)


def temporary_queues(talk, queue):
    """Each with a long name."""
    frames = [frame("SEND", f"destination:/temp-queue/{n}.{'t' * 4000}", body="x") for n in range(9000)]
    until_cut_off(talk(), *frames)


def acks_in_transactions(talk, queue):
    """Each is one more operation to be kept."""
    client = talk()
    client.subscribe("/temp-queue/own", "prefetch-count:65535", ack="client-individual")
    client.send(frame("SEND", "destination:/temp-queue/own", body="x") * 10_000)
    acks = [frame("ACK", f"id:{n}-1", "transaction:t") for n in range(900)]
    until_cut_off(client, frame("BEGIN", "transaction:t"), *acks, frame("ABORT", "transaction:t"))


def one_message_in_each_slab(talk, queue):
    """Of one size after the other; and two clients have them, so that they cannot be moved."""
    for client in (talk(), talk()):
        client.subscribe("/topic/ceiling.stay", "prefetch-count:65535", ack="client")
        client.roundtrip()
    for size in range(300, 1000, 64):
        passing = talk()
        body = "x" * size
        group = frame("SEND", "destination:/topic/ceiling.stay", body=body)
        group += frame("SEND", "destination:/temp-queue/go", body=body) * (SLAB // (size + 200))
        passing.socket.settimeout(0.2)
        with suppress(TimeoutError):
            for _ in range(80):
                passing.socket.sendall(group)
        passing.close()


DEEDS = (
    transactions_in_a_loop, open_transactions, resets, tiny_messages, long_ids, fan_out_to_nobody_who_reads,
    temporary_queues, acks_in_transactions, one_message_in_each_slab,
)  # fmt: skip


@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: deed.__name__)
def test_resident_memory_stays_under_the_ceiling(talk, broker, queue, deed):
    with in_background(lambda: deed(lambda **how: talk(to=broker, **how), queue)) as working:
        highest = 0
        while working.is_alive():
            highest = max(highest, broker.resident())
            time.sleep(0.02)
    assert highest < CEILING + BESIDE, f"{highest / MiB:.0f} MiB; {broker.census()}"


def test_consumers_come_in_at_the_ceiling_and_free_memory(talk, broker, queue):
    """Publishers that have gone keep no socket, and whoever takes messages away finds room."""
    publishers = [talk(to=broker) for _ in range(20)]
    for publisher in publishers:
        publisher.socket.settimeout(0.1)
        until_blocked(publisher, frame("SEND", f"destination:{queue}", body="x" * 10_000) * 50)
    for publisher in publishers:
        publisher.close()
    eventually(lambda: broker.census()["connections"] == 0, "who has gone keeps no socket")
    consumer = talk(to=broker)
    consumer.subscribe(queue, ack="client")
    for _ in range(500):
        consumer.settle(consumer.expect_message(queue, "x" * 10_000))
    talk(to=broker).publish(f"{queue}.other", "there is room again")


def until_blocked(client, chunk):
    """Send until the broker reads no more."""
    try:
        for _ in range(1000):
            client.socket.sendall(chunk)
    except TimeoutError:
        pass


def test_memory_of_subscriptions_is_given_back(talk, broker_with):
    """Counted while they are there; and gone, within a quarter, when their owners are."""
    broker = broker_with(limits={"memory": 1024 * MiB})
    talk(to=broker).roundtrip()
    before = broker.resident()
    clients = [talk(to=broker) for _ in range(4)]
    for client in clients:
        client.send(
            *[
                frame("SUBSCRIBE", f"id:{n}.{'i' * 7000}", f"destination:/topic/a.{n}.*.{'d' * 200}")
                for n in range(4000)
            ]
        )
        client.roundtrip()
    there = broker.resident() - before
    counted = broker.census()["memory"]
    assert counted > there * 0.75, f"{counted / MiB:.0f} of {there / MiB:.0f} MiB"
    for client in clients:
        client.close()
    eventually(lambda: broker.resident() - before < there / 4, "memory is given back", timeout=4 * SOON, pause=0.2)


def test_memory_of_messages_is_what_they_count(talk, broker_with, queue):
    """Tiny ones, too."""
    broker = broker_with(limits={"memory": 1024 * MiB})
    client = talk(to=broker)
    client.roundtrip()
    before = broker.resident()
    for _ in range(40):
        client.send(frame("SEND", f"destination:{queue}", body="x") * 10_000)
        client.roundtrip()
    there, counted = broker.resident() - before, broker.census()["memory"]
    assert counted * 0.75 < there < counted * 1.25 + 4 * MiB, f"{counted / MiB:.0f} of {there / MiB:.0f} MiB"
    client.subscribe(queue)
    for _ in range(400_000):
        client.read_frame()
    eventually(lambda: broker.resident() - before < there / 4, "memory is given back", timeout=4 * SOON, pause=0.2)


def test_parked_frames_of_a_client_that_is_reset_cost_little(talk, broker, queue):
    """What waits is not handled again and again."""
    hoarder = talk(to=broker)
    hoarder.socket.settimeout(0.1)
    until_blocked(hoarder, frame("SEND", f"destination:{queue}", body="x" * 10_000) * 50)
    start = broker.processor_time()
    for _ in range(20):
        client = talk(to=broker)
        client.socket.settimeout(0.1)
        until_blocked(client, frame("SEND", f"destination:{queue}", body="x") * 1000)
        client.reset()
    newcomer = talk(to=broker)
    newcomer.send(frame("BEGIN", "transaction:t"))
    eventually(lambda: broker.census()["connections"] == 2, "those who were reset are gone")
    assert broker.processor_time() - start < 1


BLOCKS = {100: 256, 1000: 1152, 4000: 4352, 60_000: 61_440}
"""Sizes of bodies, and of the blocks that their messages have."""


def send_of_which_few_stay(client, size, one_in, stay):
    """64 MiB of messages, of which one in so many goes to `stay`, and all others end with the client."""
    body = "x" * size
    group = frame("SEND", f"destination:{stay}", body=body)
    group += frame("SEND", "destination:/temp-queue/go", body=body) * (one_in - 1)
    groups = 64 * MiB // (one_in * BLOCKS[size])
    at_once = max(1, MiB // len(group))
    for sent in range(0, groups, at_once):
        client.send(group * min(at_once, groups - sent))
        client.roundtrip()
    client.close()
    return groups


@pytest.fixture
def roomy(tmp_path):
    """A broker with much memory, which nobody has used."""
    subscriptions = {"prefetch": 65535, "prefetch_bytes": 1024 * MiB}
    broker = Broker(tmp_path, {"limits": {"memory": 1024 * MiB}, "subscriptions": subscriptions})
    yield broker
    broker.stop()


WAIT = [(size, one_in, "queue") for size in BLOCKS for one_in in (100, SLAB // BLOCKS[size])]
UNACKNOWLEDGED = [(100, 100, "1.0"), (100, 100, "1.2"), (4000, 60, "1.0"), (4000, 60, "1.2")]


REST = [(100, 100, "rest"), (4000, 60, "rest")]


@pytest.mark.parametrize(("size", "one_in", "holder"), WAIT + UNACKNOWLEDGED + REST)
def test_a_few_messages_do_not_hold_the_memory_of_many(dial, roomy, queue, size, one_in, holder):
    """Whether they wait in a queue, rest there, or a client has not settled them; and they are the same afterwards."""
    broker = roomy
    consumer, publisher = dial(to=broker), dial(to=broker)
    consumer.login("1.2" if holder in ("queue", "rest") else holder)
    publisher.login("1.2")
    publisher.roundtrip()
    before = broker.resident()
    if holder != "queue":
        consumer.subscribe(queue, ack="client")
    stay = send_of_which_few_stay(publisher, size, one_in, queue)
    received = [consumer.expect_message(queue, "x" * size) for _ in range(stay if holder != "queue" else 0)]
    if holder == "rest":
        consumer.nack(received[-1], "delay:5000")
    eventually(
        lambda: broker.resident() - before < 1.25 * stay * BLOCKS[size] + 16 * MiB,
        "memory is given back",
        timeout=4 * SOON,
        pause=0.2,
    )
    if holder == "queue":
        consumer.subscribe(queue, ack="client")
        received = [consumer.expect_message(queue, "x" * size) for _ in range(stay)]
    elif holder == "rest":
        received = [consumer.expect_message(queue, "x" * size, redelivered=True) for _ in range(stay)]
    for message in received:
        consumer.settle(message)
    eventually(lambda: broker.census()["messages"] == 0, "all are acknowledged")
