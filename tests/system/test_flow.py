"""Flow: slow consumers, credit, limits of unsent bytes, and the memory ceiling. Nothing grows without bound."""

import contextlib
import signal
import socket
import threading
import time
from itertools import count

import pytest
from harness.client import NARROW
from harness.frames import frame, receipt, unique
from harness.waiting import SOON, eventually, in_background

KiB, MiB = 1 << 10, 1 << 20
GRACE = 0.4
SIZE = 10_000
MANY = 1500
"""Messages of SIZE bytes that are more than the kernel keeps for a socket that nobody reads."""
KERNEL = 10 * MiB
"""More than the kernel keeps for such a socket."""


def body(number):
    """The body of a numbered message."""
    return f"{number:08d}{'x' * (SIZE - 8)}"


def flood(client, destination, amount=MANY):
    """Send numbered messages, then wait until the broker has taken them all."""
    for number in range(amount):
        client.send(frame("SEND", f"destination:{destination}", body=body(number)))
    client.roundtrip()


def read_number(client):
    """The number of the next MESSAGE."""
    got = client.read_frame()
    assert got.startswith(b"MESSAGE\n"), got
    return int(got.split(b"\n\n", 1)[1][:8])


def read_what_is_left(client, publisher, topic):
    """The numbers of all messages that the client is owed.

    Its receipt shows that it has caught up; a message that is sent after that comes behind all others.
    """
    client.send(frame("BEGIN", "transaction:end", "receipt:end"))
    numbers = []
    while (got := client.read_frame()) != receipt("end"):
        numbers.append(int(got.split(b"\n\n", 1)[1][:8]))
    publisher.publish(topic, "99999999")
    while (number := read_number(client)) != 99999999:
        numbers.append(number)
    return numbers


@pytest.fixture
def tight(broker_with):
    """A broker with little patience, and one topic for each policy."""
    return broker_with(
        limits={"outbound_soft": 64 * KiB, "slow_consumer_grace": GRACE},
        topics=[
            {"pattern": "drop-oldest.#", "slow_consumer": "drop-oldest"},
            {"pattern": "drop-newest.#", "slow_consumer": "drop-newest"},
        ],
    )


@pytest.fixture
def audience(talk, tight):
    """A subscriber that never reads, one that does, and a publisher."""

    def gather(topic):
        stalled, good = talk(to=tight, receive_buffer=NARROW), talk(to=tight)
        stalled.subscribe(topic)
        good.subscribe(topic)
        return stalled, good, talk(to=tight)

    return gather


# Topics


def test_stalled_subscriber_is_disconnected_and_others_lose_nothing(audience, tight, topic):
    stalled, good, publisher = audience(topic)
    start = time.monotonic()
    with in_background(lambda: flood(publisher, topic)):
        assert [read_number(good) for _ in range(MANY)] == list(range(MANY))
    assert GRACE * 0.9 < time.monotonic() - start < GRACE + SOON
    tight.wait_disconnected(stalled, "slow consumer")


def test_publishers_to_other_topics_are_not_held_back(talk, broker_with, topic):
    broker = broker_with(limits={"outbound_soft": 64 * KiB, "slow_consumer_grace": 60, "outbound_timeout": 60})
    stalled, publisher, other = talk(to=broker, receive_buffer=NARROW), talk(to=broker), talk(to=broker)
    stalled.subscribe(topic)
    other.subscribe(f"{topic}.other")
    with in_background(lambda: flood(publisher, topic)) as flooding:
        wait_held_back(broker)
        for _ in range(20):
            talk_once(other, f"{topic}.other")
        assert flooding.is_alive(), "the flood was held back all the while"
        stalled.close()


def talk_once(client, topic):
    """Send a message to oneself and read it."""
    client.send(frame("SEND", f"destination:{topic}", body="x"))
    client.expect_message(topic, "x")


def test_publishers_go_on_when_a_stalled_subscriber_breaks_the_protocol(talk, broker_with, topic):
    """Nobody waits any more for a connection that is being closed."""
    broker = broker_with(limits={"outbound_soft": 64 * KiB, "slow_consumer_grace": 60, "outbound_timeout": 60})
    stalled, publisher = talk(to=broker, receive_buffer=NARROW), talk(to=broker)
    stalled.subscribe(topic)
    with in_background(lambda: flood(publisher, topic)):
        wait_held_back(broker)
        stalled.send(frame("NONSENSE"))


def wait_held_back(broker):
    """Wait until publishers have sent something and are not read any more."""
    seen = []

    def stands_still():
        seen.append(broker.census()["messages_in"])
        return seen[-1] and seen[-10:] == seen[-1:] * 10

    eventually(stands_still, "publishers are held back", pause=0.01)


def test_large_fan_out_reaches_everybody_in_order(broker_with, talk, topic):
    """Far more output than the cache and a narrow socket hold: some of it is sent at once, some later."""
    broker = broker_with(limits={"slow_consumer_grace": 60})
    wide = [talk(to=broker) for _ in range(60)]
    narrow = [talk(to=broker, receive_buffer=NARROW) for _ in range(4)]
    for client in wide + narrow:
        client.subscribe(topic)
    publisher = talk(to=broker)
    amount = 3000
    frames = b"".join(frame("SEND", f"destination:{topic}", body=f"{number:08d}{'x' * 92}") for number in range(amount))
    with in_background(lambda: (publisher.send(frames), publisher.roundtrip())):
        for client in wide + narrow:
            assert [read_number(client) for _ in range(amount)] == list(range(amount))


def test_subscriber_that_leaves_amid_a_large_fan_out_hurts_nobody(broker_with, talk, topic):
    """Its descriptor may be another's from then on: nothing meant for it may be written there."""
    broker = broker_with(limits={"slow_consumer_grace": 60})
    staying = talk(to=broker)
    staying.subscribe(topic)
    leaving = [talk(to=broker, receive_buffer=NARROW) for _ in range(40)]
    for client in leaving:
        client.subscribe(topic)
    publisher = talk(to=broker)
    amount = 3000
    frames = b"".join(frame("SEND", f"destination:{topic}", body=f"{number:08d}{'x' * 92}") for number in range(amount))
    with in_background(lambda: (publisher.send(frames), publisher.roundtrip())):
        for client in leaving:
            client.read_frame()
            client.reset()
            newcomer = talk(to=broker)
            newcomer.roundtrip()
        assert [read_number(staying) for _ in range(amount)] == list(range(amount))


@pytest.mark.parametrize("policy", ["drop-oldest", "drop-newest"])
def test_policy_that_drops_keeps_the_subscriber(audience, tight, policy):
    topic = unique(f"/topic/{policy}.")
    stalled, good, publisher = audience(topic)
    dropped = tight.census()["dropped"]
    start = time.monotonic()
    with in_background(lambda: flood(publisher, topic)):
        assert [read_number(good) for _ in range(MANY)] == list(range(MANY))
    assert time.monotonic() - start < GRACE + SOON
    numbers = read_what_is_left(stalled, publisher, topic)
    assert tight.census()["dropped"] - dropped == MANY - len(numbers) > 0
    if policy == "drop-oldest":
        assert numbers == sorted(set(numbers)) and numbers[0] == 0 and numbers[-1] == MANY - 1
    else:
        assert numbers == list(range(len(numbers)))


def test_slow_but_steady_subscriber_is_kept(audience, tight, topic):
    """It never gets what the kernel could take at once, but it drains within the grace again and again."""
    slow, good, publisher = audience(topic)
    with (
        in_background(lambda: flood(publisher, topic)),
        in_background(lambda: [read_number(good) for _ in range(MANY)]),
    ):
        for number in range(MANY):
            assert read_number(slow) == number
            if number % 100 == 0:
                time.sleep(0.02)


def test_subscriber_that_reads_a_burst_now_and_then_has_no_grace_again_and_again(talk, broker_with, topic):
    """Each burst brings it under half of the limit, and others would wait for the next one, for ever."""
    broker = broker_with(limits={"outbound_soft": 64 * KiB, "slow_consumer_grace": 1.0})
    teaser, good, publisher = talk(to=broker, receive_buffer=NARROW), talk(to=broker), talk(to=broker)
    teaser.subscribe(topic)
    good.subscribe(topic)
    done, bursts = threading.Event(), count()

    def tease():
        with contextlib.suppress(OSError):
            while not done.wait(0.5):
                next(bursts)
                left = 1_200_000  # as much as makes the kernel take some more
                while left > 0 and (read := teaser.socket.recv(left)):
                    left -= len(read)

    amount = 4 * MANY
    with (
        in_background(tease),
        in_background(lambda: flood(publisher, topic, amount)),
        in_background(lambda: [read_number(good) for _ in range(amount)]),
    ):
        try:
            broker.wait_disconnected(teaser, "slow consumer")
        finally:
            done.set()
            teaser.reset()
    assert next(bursts) < 16, "what it earns by reading lasts for a few"


def test_topic_messages_with_acks_wait_for_credit(talk, publish, topic):
    client = talk()
    client.subscribe(topic, "prefetch-count:10", ack="client-individual")
    for number in range(30):
        publish(topic, str(number))
    waiting = [client.expect_message(topic, str(number)) for number in range(10)]
    client.expect_nothing()
    for number in range(10, 30):
        client.settle(waiting.pop(0))
        waiting.append(client.expect_message(topic, str(number)))


def test_topic_subscriber_that_never_acknowledges_is_slow_too(audience, talk, tight, topic):
    hoarder, publisher = talk(to=tight), talk(to=tight)
    hoarder.subscribe(topic, "prefetch-count:1", ack="client")
    start = time.monotonic()
    flood(publisher, topic, 100)
    assert time.monotonic() - start < GRACE + SOON
    tight.wait_disconnected(hoarder, "slow consumer")


# Queues


@pytest.mark.parametrize("credit", [1, 10])
def test_queue_gives_as_much_as_credit_allows(talk, publish, queue, credit):
    for number in range(30):
        publish(queue, str(number))
    client = talk()
    client.subscribe(queue, f"prefetch-count:{credit}", ack="client-individual")
    waiting = [client.expect_message(queue, str(number)) for number in range(credit)]
    client.expect_nothing()
    for number in range(credit, 30):
        client.settle(waiting.pop(0))
        waiting.append(client.expect_message(queue, str(number)))


def test_credit_counts_bytes_as_well(talk, queue):
    client, publisher = talk(), talk()
    client.subscribe(queue, ack="client-individual")
    for _ in range(10):
        publisher.publish(queue, "x" * 300 * KiB)
    client.expect_bodies(queue, ["x" * 300 * KiB] * 4)
    client.expect_nothing()


def test_message_larger_than_all_credit_is_given(talk, publish, queue):
    client = talk()
    client.subscribe(queue, ack="client-individual")
    for body in "ab":
        publish(queue, body * 2 * MiB)
    client.ack(client.expect_message(queue, "a" * 2 * MiB))
    client.expect_message(queue, "b" * 2 * MiB)


@pytest.mark.parametrize("mode", ["auto", "client-individual"])
def test_consumer_that_never_reads_takes_a_bounded_share(audience, talk, tight, queue, mode):
    stalled, good = talk(to=tight, receive_buffer=NARROW), talk(to=tight)
    stalled.subscribe(queue, "prefetch-count:65535", ack=mode)
    good.subscribe(queue)
    numbers = []
    with in_background(lambda: flood(talk(to=tight), queue, 2 * MANY)):
        while not numbers or numbers[-1] != 2 * MANY - 1:
            numbers.append(read_number(good))
    assert numbers == sorted(numbers)
    assert (2 * MANY - len(numbers)) * SIZE < KERNEL


def test_unread_messages_of_a_consumer_that_left_are_given_to_others(talk, tight, queue):
    stalled, good = talk(to=tight, receive_buffer=NARROW), talk(to=tight)
    stalled.subscribe(queue, ack="client")
    flood(talk(to=tight), queue, 500)
    stalled.reset()
    good.subscribe(queue)
    assert [read_number(good) for _ in range(500)] == list(range(500))


# Unsent bytes


def test_connection_without_progress_is_closed(talk, broker_with, topic):
    broker = broker_with(limits={"outbound_soft": 32 * MiB, "outbound_hard": 64 * MiB, "outbound_timeout": 0.5})
    stalled, good, publisher = talk(to=broker, receive_buffer=NARROW), talk(to=broker), talk(to=broker)
    stalled.subscribe(topic)
    good.subscribe(topic)
    start = time.monotonic()
    with in_background(lambda: flood(publisher, topic)):
        assert [read_number(good) for _ in range(MANY)] == list(range(MANY))
    broker.wait_disconnected(stalled, "slow consumer")
    assert time.monotonic() - start < SOON


def test_connection_with_slow_progress_is_kept(talk, broker_with, topic):
    broker = broker_with(limits={"outbound_soft": 32 * MiB, "outbound_hard": 64 * MiB, "outbound_timeout": 1.5})
    slow, publisher = talk(to=broker), talk(to=broker)
    slow.subscribe(topic)
    flood(publisher, topic)
    for number in range(MANY):
        assert read_number(slow) == number
        if number % 100 == 99:
            time.sleep(0.2)


def test_receipts_that_nobody_reads_are_bounded(talk, broker_with, queue):
    """A client that asks for receipts and reads none is no longer read either, and then closed."""
    broker = broker_with(
        limits={"max_frame": 64 * KiB, "outbound_soft": 64 * KiB, "outbound_hard": 256 * KiB, "outbound_timeout": 0.5}
    )
    greedy = talk(to=broker, receive_buffer=NARROW)
    highest = 0
    asking = frame("BEGIN", "transaction:t", f"receipt:{'r' * 8000}") + frame("ABORT", "transaction:t")
    with in_background(lambda: send_until_cut_off(greedy, asking)) as sending:
        while sending.is_alive():
            highest = max(highest, broker.census()["memory"])
    assert highest < 2 * MiB
    broker.wait_disconnected(greedy, "slow consumer")


def test_answers_that_were_held_up_all_come(talk, broker_with, topic):
    """Neither the answers that wait nor the messages that wait for credit keep the other from going on."""
    broker = broker_with(limits={"max_frame": 64 * KiB, "outbound_soft": 64 * KiB, "outbound_hard": 256 * KiB})
    client, publisher = talk(to=broker), talk(to=broker)
    client.subscribe(topic, "prefetch-count:1", ack="client")
    flood(publisher, topic, 5)
    asking = [frame("SEND", f"destination:{topic}.nobody", f"receipt:{n}.{'r' * 5000}") for n in range(2000)]
    with in_background(lambda: client.send(*asking)):
        wait_held_back(broker)
        client.expect_message(topic, body(0))
        for number in range(2000):
            assert client.read_frame() == receipt(f"{number}.{'r' * 5000}")


def send_until_cut_off(client, octets):
    """Send the same again and again until the connection is gone."""
    try:
        for _ in count():
            client.send(octets)
    except ConnectionError:
        pass


def test_many_publishers_at_once_do_not_cost_a_reader_its_connection(talk, broker_with, topic):
    """What they send in one moment is more than the subscriber's hard limit; it waits outside its output."""
    broker = broker_with(
        limits={
            "max_frame": 256 * KiB,
            "outbound_soft": 64 * KiB,
            "outbound_hard": 512 * KiB,
            "max_header_block": 8 * KiB,
        }
    )
    reader = talk(to=broker)
    reader.subscribe(topic)
    publishers = [talk(to=broker) for _ in range(20)]
    for number, publisher in enumerate(publishers):
        publisher.send(frame("SEND", f"destination:{topic}", body=body(number) + "x" * 200 * KiB))
    assert {read_number(reader) for _ in publishers} == set(range(20))
    reader.roundtrip()


# Time


def test_broker_that_stood_still_gives_nobody_up(talk, broker_with):
    """After a stop it reads what came meanwhile before it judges who was silent."""
    broker = broker_with(heart_beat={"send": 0, "receive": 300})
    client = talk("1.2", "heart-beat:300,0", to=broker)
    broker.process.send_signal(signal.SIGSTOP)
    client.send("\n")
    time.sleep(1)
    client.send("\n")
    broker.process.send_signal(signal.SIGCONT)
    client.roundtrip()


def test_idle_subscribers_are_not_taken_for_stalled(talk, broker_with, topic):
    """Output that is older than the deadline by the time it is flushed is the broker's own delay, not the client's."""
    broker = broker_with(limits={"outbound_timeout": 0.1}, heart_beat={"send": 20, "receive": 0})
    readers, publisher = [talk("1.2", "heart-beat:0,20", to=broker) for _ in range(200)], talk(to=broker)
    for reader in readers:
        reader.send(frame("SUBSCRIBE", "id:1", f"destination:{topic}"))
    publisher.expect_nothing()
    for number in range(6):
        time.sleep(0.15)
        publisher.publish(topic, body(number))
    for reader in readers:
        for number in range(6):
            reader.skip_heart_beats()
            assert read_number(reader) == number


# The memory ceiling

CEILING = 2 * MiB
RESERVE = 3 * CEILING // 32
"""What SENDs leave of it to those who free memory."""
OVER = CEILING // SIZE + 5
"""Messages of SIZE bytes of which the last few go beyond the ceiling."""
FAR_OVER = 2 * OVER
SMALL = {"max_frame": 64 * KiB, "memory": CEILING, "max_parked": MiB, "outbound_soft": 4 * MiB}


@pytest.fixture
def small(broker_with):
    """A broker with little memory, and none of it still held for the test before.

    A publisher that ran into the ceiling goes on only when a sixteenth is free: what is freed late would leave it
    waiting just below.
    """
    broker = broker_with(limits=SMALL)
    eventually(lambda: broker.census()["memory"] < CEILING // 4, "the test before has given its memory back")
    return broker


def sends(queue, first, last):
    """Numbered messages, each with its number as receipt."""
    return [frame("SEND", f"destination:{queue}", f"receipt:{n}", body=body(n)) for n in range(first, last)]


def expect_receipts(client, first, last):
    """The receipts of numbered messages, in order."""
    for number in range(first, last):
        client.expect(receipt(str(number)))


def wait_for_ceiling(broker):
    """Wait until the broker's memory is used up but for the reserve: less than a message is free, and it stays so.

    Output that was counted when the ceiling was reached may have left since, so what stays can be a little below.
    """
    seen = []

    def stands_still():
        census = broker.census()
        seen.append(census["memory"] + census["input"])
        return seen[-1] > CEILING - RESERVE - 2 * SIZE and seen[-5:] == seen[-1:] * 5

    eventually(stands_still, "memory is at its ceiling", pause=0.01)


def test_sends_wait_at_the_ceiling_and_go_on_when_others_acknowledge(talk, small, queue):
    publisher, late, bystander = talk(to=small), talk(to=small), talk(to=small)
    for id in "12":
        bystander.subscribe(queue.replace("/queue/", "/topic/"), id=id)
    with in_background(lambda: publisher.send(*sends(queue, 0, FAR_OVER), frame("DISCONNECT", "receipt:bye"))):
        wait_for_ceiling(small)
        late.send(frame("SEND", f"destination:{queue}.other", "receipt:late"))
        bystander.unsubscribe("1")
        bystander.unsubscribe("2")
        assert late.is_silent()
        bystander.send(frame("DISCONNECT", "receipt:bye"))
        bystander.expect(receipt("bye"))
        bystander.expect_end()
        consumer = talk(to=small)
        consumer.subscribe(queue, ack="client")
        for number in range(FAR_OVER):
            consumer.settle(consumer.expect_message(queue, body(number)))
    expect_receipts(publisher, 0, FAR_OVER)
    publisher.expect(receipt("bye"))
    publisher.expect_end()
    late.expect(receipt("late"))


@pytest.mark.parametrize("command", ["ACK", "UNSUBSCRIBE"])
def test_client_at_the_ceiling_can_free_memory_itself(talk, small, queue, command):
    """Its SENDs wait while the ACK behind them is handled; receipts come in the order of the frames all the same."""
    client, topic = talk(to=small), queue.replace("/queue/", "/topic/")
    client.subscribe(topic, ack="client")
    client.send(*sends(topic, 0, 90))
    got = [client.read_frame() for _ in range(180)]
    last = ack_of([octets for octets in got if octets.startswith(b"MESSAGE")][-1])
    freeing = {
        "ACK": frame("ACK", f"id:{last}", "receipt:freed"),
        "UNSUBSCRIBE": frame("UNSUBSCRIBE", "id:1", "receipt:freed"),
    }[command]
    client.send(*sends(queue, 90, OVER))
    wait_for_ceiling(small)
    client.send(freeing)
    expect_receipts(client, 90, OVER)
    client.expect(receipt("freed"))
    drain(talk, small, queue, OVER - 90)


def ack_of(message):
    """The value of the ack header of a MESSAGE."""
    return message.split(b"\nack:", 1)[1].split(b"\n", 1)[0].decode()


def drain(talk, broker, queue, amount):
    """Take messages out of a queue, so that the next test finds memory free."""
    client = talk(to=broker)
    client.subscribe(queue, ack="auto")
    for _ in range(amount):
        read_number(client)


def test_subscriber_that_leaves_frees_memory(talk, small, queue):
    hoarder, publisher, topic = talk(to=small), talk(to=small), queue.replace("/queue/", "/topic/")
    hoarder.subscribe(topic, "prefetch-count:1", ack="client")
    publisher.send(*sends(topic, 0, 150))
    expect_receipts(publisher, 0, 150)
    publisher.send(*sends(queue, 150, 250))
    wait_for_ceiling(small)
    hoarder.close()
    expect_receipts(publisher, 150, 250)
    drain(talk, small, queue, 100)


def test_more_than_may_be_parked_is_not_read(talk, small, queue):
    """The sender is slowed down by TCP; the broker keeps what it has read and no more."""
    publisher, consumer = talk(to=small), talk(to=small)
    consumer.subscribe(queue.replace("/queue/", "/topic/"))
    amount = 3 * FAR_OVER
    with in_background(lambda: publisher.send(*sends(queue, 0, amount))):
        wait_for_ceiling(small)
        consumer.unsubscribe()
        assert small.census()["memory"] < CEILING + 2 * MiB
        consumer.subscribe(queue)
        for number in range(amount):
            assert read_number(consumer) == number
    expect_receipts(publisher, 0, amount)


def test_frames_that_wait_keep_their_order(talk, small, queue):
    """What depends on a frame that waits for memory waits too, and nothing is an error that was right when sent."""
    hoarder, client, topic = talk(to=small), talk(to=small), queue.replace("/queue/", "/topic/")
    hoarder.send(*sends(queue, 0, OVER))
    wait_for_ceiling(small)
    client.send(
        frame("SEND", f"destination:{queue}.other", "receipt:1", body="first"),
        frame("SUBSCRIBE", "id:1", f"destination:{topic}", "receipt:2"),
        frame("UNSUBSCRIBE", "id:1", "receipt:3"),
        frame("BEGIN", "transaction:t", "receipt:4"),
        frame("SEND", f"destination:{queue}.other", "transaction:t", "receipt:5", body="second"),
        frame("COMMIT", "transaction:t", "receipt:6"),
        frame("DISCONNECT", "receipt:7"),
        frame("SEND", f"destination:{queue}.other", "receipt:8", body="never"),
    )
    drain(talk, small, queue, OVER)
    for number in range(1, 8):
        client.expect(receipt(str(number)))
    client.expect_end()
    heir = talk(to=small)
    heir.subscribe(f"{queue}.other")
    heir.expect_bodies(f"{queue}.other", ["first", "second"])
    heir.expect_nothing()


def test_frames_that_wait_outlive_the_end_of_the_stream(talk, small, queue):
    hoarder, client = talk(to=small), talk(to=small)
    hoarder.send(*sends(queue, 0, OVER))
    wait_for_ceiling(small)
    client.send(*[frame("SEND", f"destination:{queue}.other", f"receipt:{n}", body=str(n)) for n in range(5)])
    client.socket.shutdown(socket.SHUT_WR)
    drain(talk, small, queue, OVER)
    expect_receipts(client, 0, 5)
    client.expect_end()
    heir = talk(to=small)
    heir.subscribe(f"{queue}.other")
    heir.expect_bodies(f"{queue}.other", map(str, range(5)))


@pytest.mark.parametrize("ending", ["", ".long" * 30])
def test_destinations_that_are_remembered_do_not_use_up_memory(talk, small, ending):
    client = talk(to=small)
    for start in range(0, 20_000, 1000):
        client.send(*[frame("SEND", f"destination:/topic/{n}{ending}") for n in range(start, start + 1000)])
    client.roundtrip()
    assert small.census()["memory"] < CEILING // 2


def test_empty_queues_count_as_memory(talk, broker_with):
    broker = broker_with(limits={**SMALL, "queue_idle_timeout": 60})
    before = broker.resident()
    client = talk(to=broker)
    for start in range(0, 50_000, 1000):
        numbered = range(start, start + 1000)
        try:
            client.send(
                *[
                    frame("SUBSCRIBE", "id:1", f"destination:/queue/{n}.{'x' * 1000}") + frame("UNSUBSCRIBE", "id:1")
                    for n in numbered
                ]
            )
        except ConnectionError:
            break
    client.expect_error("server busy")
    assert broker.resident() - before < 16 * MiB


def test_clients_that_vanish_while_they_wait_are_noticed(talk, small, queue, topic):
    """Nothing is read from them, so it is not the end of their stream that tells."""
    hoarder = talk(to=small)
    hoarder.send(*sends(queue, 0, OVER))
    wait_for_ceiling(small)
    clients = [talk(to=small) for _ in range(10)]
    for client in clients:
        client.send(*sends(topic, 0, 50))
    wait_held_back(small)
    for client in clients:
        client.reset()
    eventually(lambda: small.census()["connections"] == 1, "only one is left")
    drain(talk, small, queue, OVER)
