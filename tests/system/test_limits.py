"""Limits under attack: memory before login (S2), header floods (S3), lengths that lie (S4), transactions and ledgers
that are never closed (S5), silent clients (S25)."""

import time

import pytest
from harness.client import Client
from harness.frames import every_version, frame, receipt
from harness.waiting import SOON, eventually, in_background
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

MiB = 1 << 20
LOGIN_TIMEOUT = 1.0


@pytest.fixture
def guarded(broker_with):
    """A broker that is soon tired of clients that do not log in."""
    return broker_with(limits={"login_timeout": LOGIN_TIMEOUT})


@pytest.fixture
def witness(talk, publish, topic):
    """Shows that nothing was published to `topic`: a message sent afterwards is the first to come."""
    client = talk()
    client.subscribe(topic)

    def saw_nothing():
        publish(topic, "marker")
        client.expect_message(topic, "marker")

    return saw_nothing


# S2: before login


def test_s2_half_logins_cost_what_they_sent_and_end(dial, guarded):
    before, count = guarded.resident(), 300
    clients = [dial(to=guarded) for _ in range(count)]
    for client in clients:
        client.send("CONNECT\naccept-version:1.2\n", *[f"x:{'y' * 5000}\n"] * 3)
    eventually(lambda: guarded.census()["connections"] == count, "all are connected")
    assert guarded.resident() - before < count * 40_000 + 8 * MiB
    for client in clients:
        client.expect_error("login timed out")


@pytest.mark.parametrize("octets", ["\n", "x"])
def test_s2_a_byte_now_and_then_does_not_prolong_the_login(dial, talk, guarded, octets):
    probe, client = talk(to=guarded), dial(to=guarded)
    start = time.monotonic()
    client.send("\n" if octets == "\n" else "CONNECT\nlogin:")
    while time.monotonic() < start + LOGIN_TIMEOUT * 1.5:
        client.send(octets)
        probe.roundtrip()
        time.sleep(0.002)
    client.expect_error("login timed out")


@pytest.mark.parametrize("octets", [b"A" * 33, b"\x16\x03\x01", b"\xff", b"GET / HTTP/1.1\r\n", b" CONNECT\n"])
def test_s2_what_is_no_command_is_cut_off_early(dial, octets):
    client = dial()
    client.send(octets)
    client.expect_error("unknown command")


def test_s2_number_of_clients_before_login_is_limited(dial, talk, broker_with):
    broker = broker_with(limits={"max_unauthenticated": 5})
    waiting = [dial(to=broker) for _ in range(5)]
    dial(to=broker).expect_error("server busy")
    waiting[0].login("1.2")
    talk(to=broker).roundtrip()
    waiting[1].login("1.2")


def test_s2_memory_follows_what_came_and_not_what_was_announced(talk, guarded, queue):
    clients = [talk(to=guarded) for _ in range(100)]
    before = guarded.resident()
    for client in clients:
        client.send(f"SEND\ndestination:{queue}\ncontent-length:4000000\n\nonly this")
    talk(to=guarded).roundtrip()
    assert guarded.resident() - before < 8 * MiB
    assert guarded.census()["memory"] < MiB


def test_connections_beyond_the_limit_disturb_nobody(dial, talk, broker_with):
    broker = broker_with(limits={"max_connections": 10})
    clients = [talk(to=broker) for _ in range(10)]
    since = len(broker.log)
    for _ in range(200):
        dial(to=broker).expect_error("server busy")
        clients[0].roundtrip()
    assert len(broker.log) - since < 10
    clients.pop().close()
    eventually(lambda: broker.census()["connections"] == 9, "one is gone")
    talk(to=broker).roundtrip()


# S3: headers


@every_version
@pytest.mark.parametrize("line", ["x:1\n", "x{}:1\n"])
def test_s3_flood_of_headers_is_cut_off(talk, broker, queue, version, line):
    before = broker.resident()
    client = talk(version)
    flood = "".join(line.format(n) for n in range(300_000))
    with in_background(lambda: client.send(f"SEND\ndestination:{queue}\n{flood}")):
        client.expect_error("too many headers")
    assert broker.resident() - before < 8 * MiB


@every_version
def test_s3_endless_header_is_cut_off(talk, broker, queue, version):
    before = broker.resident()
    client = talk(version)
    with in_background(lambda: client.send(f"SEND\ndestination:{queue}\nx:", b"y" * 30 * MiB)):
        client.expect_error("header line too long")
    assert broker.resident() - before < 8 * MiB


def test_s3_headers_in_small_pieces_take_no_undue_time(talk, queue):
    client = talk()
    start = time.monotonic()
    client.send(f"SEND\ndestination:{queue}\nreceipt:1\n")
    for _ in range(8):
        for _ in range(100):
            client.send("x:" if _ == 0 else "", "y" * 80)
        client.send("\n")
    client.send("\n\0")
    client.expect(receipt("1"))
    assert time.monotonic() - start < SOON


# S4: lengths


def never_a_number(text):
    """Whether no reading of this text as content-length is right."""
    return text != "" and not (text.isascii() and text.isdigit())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    value=st.one_of(
        st.text(st.characters(exclude_characters="\n\r\0", exclude_categories=["Cs"]), min_size=1),
        st.integers(max_value=-1).map(str),
        st.integers(min_value=10**10).map(str),
        st.floats().map(str),
    ).filter(lambda text: never_a_number(text) or len(text) > 10)
)
def test_s4_length_that_is_no_number(broker, value):
    client = Client(broker)
    client.login("1.2")
    client.send(f"SEND\ndestination:/queue/never\ncontent-length:{value}\n\nbody\0")
    client.expect_error("malformed frame")
    client.close()


@every_version
def test_s4_frame_within_a_body_is_never_executed(talk, witness, topic, version):
    body = f"\nSEND\ndestination:{topic}\n\nforged"
    for length in [*range(len(body)), *range(len(body) + 1, len(body) + 5)]:
        client = talk(version)
        client.send(frame("SEND", "destination:/queue/never", f"content-length:{length}", body=body), "\n" * 10)
        client.expect_error("malformed frame")
    witness()


@every_version
def test_s4_counted_frame_within_a_body_is_a_body(talk, witness, topic, queue, version):
    body = b"\0" + frame("SEND", f"destination:{topic}", body="forged") + b"\n"
    client = talk(version)
    client.subscribe(queue)
    client.send(frame("SEND", f"destination:{queue}", f"content-length:{len(body)}", body=body))
    client.expect_message(queue, body, f"content-length:{len(body)}")
    witness()


# What is remembered of destinations


def test_distinct_destinations_are_remembered_up_to_a_bound(talk, broker_with):
    broker = broker_with(limits={"queue_idle_timeout": 0.1})
    before = broker.resident()
    client = talk(to=broker)
    for start in range(0, 400_000, 10_000):
        client.send(*[frame("SEND", f"destination:/topic/distinct.{n}") for n in range(start, start + 10_000)])
        client.roundtrip()
    assert broker.census()["routes"] <= 300_000
    assert broker.resident() - before < 200 * MiB


# S5: what is never closed


@every_version
def test_s5_flood_of_transactions(talk, broker, version):
    before = broker.census()
    client = talk(version)
    client.send(*[frame("BEGIN", f"transaction:{n}") for n in range(1000)])
    client.expect_error("too many transactions")
    eventually(lambda: broker.census()["transactions"] == before["transactions"], "all transactions are gone")


@every_version
@pytest.mark.parametrize(("count", "size"), [(1100, 10), (300, 30_000)])
def test_s5_flood_within_a_transaction(talk, broker, queue, version, count, size):
    before = broker.census()
    client = talk(version)
    sends = frame("SEND", f"destination:{queue}", "transaction:t", body="x" * size) * count
    with in_background(lambda: client.send(frame("BEGIN", "transaction:t"), sends)):
        client.expect_error("transaction too large")
    eventually(lambda: broker.census()["messages"] == before["messages"], "its messages are gone")


@every_version
def test_s5_consumer_that_never_acknowledges(talk, broker, queue, version):
    client, sender = talk(version), talk()
    client.subscribe(queue, ack="client-individual")
    before = broker.census()["deliveries"]
    sender.send(frame("SEND", f"destination:{queue}", body="x") * 1500)
    sender.roundtrip()
    client.expect_bodies(queue, ["x"] * 1000)
    client.expect_nothing()
    assert broker.census()["deliveries"] - before == 1000


# S25: silence


def test_s25_silent_clients_without_heart_beats_are_dismissed(talk, broker_with):
    broker = broker_with(limits={"idle_timeout": 1}, heart_beat={"send": 100, "receive": 500})
    silent = [talk("1.0", to=broker), talk("1.1", to=broker), talk("1.2", "heart-beat:0,0", to=broker)]
    lively = talk("1.2", "heart-beat:500,100", to=broker)
    chatty = talk("1.0", to=broker)
    while any(client.is_silent() for client in silent):
        lively.expect("\n")
        lively.send("\n")
        chatty.send("\n")
    for client in silent:
        client.skip_heart_beats()
        client.expect_error("idle too long")
    chatty.roundtrip()
    lively.send(frame("BEGIN", "transaction:t", "receipt:alive"))
    lively.skip_heart_beats()
    lively.expect(receipt("alive"))
