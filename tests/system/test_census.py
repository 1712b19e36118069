"""Everything that comes goes again: connections that end in every unfriendly way leave nothing behind."""

import socket
from contextlib import contextmanager
from itertools import cycle, islice

import pytest
from harness.client import Client
from harness.frames import frame
from harness.waiting import eventually, in_background

AT_A_TIME = 200
ALIVE = (
    "connections", "sessions", "subscriptions", "queues", "routes", "messages", "deliveries", "transactions", "memory",
)  # fmt: skip

HASTY = {"linger": 0.1, "queue_idle_timeout": 0.1}
SHARED_QUEUE, FLOODED_TOPIC = "/queue/census", "/topic/census.flood"


def begin(client, *frames):
    """Log in and send frames, all in one write and without waiting."""
    client.send(frame("CONNECT", "accept-version:1.2", "host:x"), *frames)


def subscribe(destination, *headers, id="1", mode="client"):
    """A SUBSCRIBE."""
    return frame("SUBSCRIBE", f"id:{id}", f"destination:{destination}", f"ack:{mode}", *headers)


def says_nothing(client):
    """A connection and not a byte."""


def half_a_login(client):
    client.send("CONNECT\naccept-version:1.2\nhost:")


def bad_login(client):
    client.send(frame("CONNECT", "accept-version:9.9"), frame("SEND", f"destination:{SHARED_QUEUE}"))


def half_a_frame(client):
    begin(client, f"SEND\ndestination:{SHARED_QUEUE}\ncontent-length:100000\n\nonly this")


def half_a_header(client):
    begin(client, "SEND\ndestin")


def protocol_error(client):
    begin(client, subscribe(SHARED_QUEUE), frame("NONSENSE"), "x" * 5000)


def unacknowledged(client):
    begin(client, subscribe(SHARED_QUEUE), frame("SEND", f"destination:{SHARED_QUEUE}", body="x" * 100) * 3)


def nacked(client):
    client.settle(get_own_message(client), command="NACK")


def get_own_message(client):
    """Receive a message that nobody else can take."""
    client.login("1.2")
    client.subscribe("/temp-queue/own", ack="client-individual")
    client.send(frame("SEND", "destination:/temp-queue/own", body="x"))
    return client.expect_message("/temp-queue/own", "x")


def open_transaction(client):
    begin(client, subscribe(SHARED_QUEUE), frame("BEGIN", "transaction:t"))
    client.send(frame("SEND", "destination:/queue/census.never", "transaction:t", body="x" * 1000) * 5)


def acknowledged_in_an_open_transaction(client):
    message = get_own_message(client)
    client.send(frame("BEGIN", "transaction:t"))
    client.settle(message, "transaction:t")


def flooded(client):
    begin(client, subscribe(FLOODED_TOPIC, mode="auto"), subscribe(FLOODED_TOPIC, id="2"))


def many_patterns(client):
    begin(client, *[subscribe(f"/topic/census.{n}.#", id=n, mode="auto") for n in range(50)])
    client.send(frame("SEND", "destination:/topic/census.7.a", body="x"))


def hoarding_a_topic(client):
    begin(client, subscribe("/topic/census.hoard", "prefetch-count:1"))
    client.send(frame("SEND", "destination:/topic/census.hoard", body="x" * 1000) * 10)


def temp_queues(client):
    begin(client, subscribe("/temp-queue/a"), frame("SEND", "destination:/temp-queue/a", body="x"))
    client.send(frame("SEND", f"destination:{SHARED_QUEUE}", "reply-to:/temp-queue/b", body="x"))


def unread_receipts(client):
    begin(client, frame("SEND", "destination:/topic/census.nobody", f"receipt:{'r' * 1000}") * 3)


def says_goodbye(client):
    begin(client, subscribe(SHARED_QUEUE), frame("DISCONNECT", "receipt:bye"))


DEEDS = (
    says_nothing, half_a_login, bad_login, half_a_frame, half_a_header, protocol_error, unacknowledged, nacked,
    open_transaction, acknowledged_in_an_open_transaction, flooded, many_patterns, hoarding_a_topic, temp_queues,
    unread_receipts, says_goodbye,
)  # fmt: skip


def half_close(client):
    """Send FIN, but take no notice of what the broker does; closed when the test ends."""
    client.socket.shutdown(socket.SHUT_WR)


ENDS = (Client.close, Client.reset, half_close)


@contextmanager
def flood(broker):
    """A publisher that sends to `FLOODED_TOPIC` all the time."""
    publisher, going = Client(broker), [True]
    publisher.login("1.2")

    def run():
        while going:
            publisher.send(frame("SEND", f"destination:{FLOODED_TOPIC}", body="x" * 1000) * 20)
            publisher.roundtrip()

    with in_background(run):
        try:
            yield
        finally:
            going.clear()
    publisher.close()


def alive(broker):
    """The counters of what is alive."""
    census = broker.census()
    return {name: census[name] for name in ALIVE}


def is_as(before, now):
    """Whether nothing more is alive; lists of subscribers that routes keep may have grown a little."""
    return {**now, "memory": 0} == {**before, "memory": 0} and now["memory"] < before["memory"] + 1024


def empty(client, broker):
    """Take everything out of the queue, and wait until all that can go is gone."""
    begin(client, subscribe(SHARED_QUEUE, mode="auto"))
    eventually(lambda: not any(broker.census()[name] for name in ("messages", "deliveries")), "all messages are gone")
    client.close()
    going = [name for name in ALIVE if name not in ("routes", "memory")]
    eventually(lambda: not any(broker.census()[name] for name in going), "nothing is alive")


@pytest.mark.parametrize("connections", [5_000, pytest.param(500_000, marks=pytest.mark.soak)])
def test_connections_leave_nothing_behind(dial, broker_with, connections):
    broker = broker_with(
        limits={**HASTY, "slow_consumer_grace": 0.1, "outbound_soft": 65536, "outbound_timeout": 0.5},
        subscriptions={"nack_delay": 0.01},
        queues=[{"pattern": "#", "dead_letter": ""}],  # some come back so often that they die
    )
    come_and_go(dial, broker, len(DEEDS) * len(ENDS))  # destinations that were used once are remembered
    before, resident = alive(broker), broker.resident()
    come_and_go(dial, broker, connections)
    eventually(lambda: is_as(before, alive(broker)), f"all is as before: {before}")
    assert broker.resident() - resident < 16 << 20


def come_and_go(dial, broker, amount):
    """Connections that do each deed and come to each end, beside a flood; what is left are known destinations."""
    todo = islice(zip(cycle(DEEDS), cycle(end for end in ENDS for _ in DEEDS)), amount)
    with flood(broker):
        while group := list(islice(todo, AT_A_TIME)):
            clients = [dial(to=broker) for _ in group]
            for client, (deed, _) in zip(clients, group, strict=True):
                deed(client)
            for client, (_, end) in zip(clients, group, strict=True):
                end(client)
    eventually(lambda: broker.census()["connections"] == 0, "all connections are gone")
    empty(dial(to=broker), broker)


@pytest.mark.parametrize("deed", DEEDS)
def test_each_way_alone(dial, broker_with, deed):
    broker = broker_with(limits=HASTY, subscriptions={"nack_delay": 0.01})
    for end in ENDS:
        client = dial(to=broker)
        deed(client)
        end(client)
    eventually(lambda: broker.census()["connections"] == 0, "the connections are gone")
    empty(dial(to=broker), broker)
