"""B5: heart-beats, with an interval of 100 ms. A second client that gets heart-beats serves as the clock.

Where a client must be in time itself it has promised less than it does: it may be late by far more than an interval.
"""

import time
from itertools import pairwise

import pytest
from harness.client import NARROW
from harness.frames import frame, from_1_1, receipt

INTERVAL = 0.1
MARGIN = 2.0
PATIENT = 500
"""Milliseconds between the heart-beats of a client that means to be in time: it has MARGIN times that."""
ENOUGH = 15
"""So many intervals are longer than such a client may be silent."""


@pytest.fixture
def beating(broker_with):
    """A broker that sends and wants heart-beats each 100 ms."""
    return broker_with(heart_beat={"send": 100, "receive": 100, "margin": MARGIN})


@pytest.fixture
def wait_beats(talk, beating):
    """Wait for a number of heart-beat intervals to pass, by the broker's own clock."""
    clock = talk("1.2", "heart-beat:0,100", to=beating)

    def wait(count):
        clock.send(frame("BEGIN", "transaction:t", "receipt:now"), frame("ABORT", "transaction:t"))
        while clock.read(1) == b"\n":
            pass
        clock.read(len(receipt("now")) - 1)
        for _ in range(count):
            clock.expect("\n")

    return wait


@from_1_1
@pytest.mark.item(50)
@pytest.mark.parametrize(
    "value", ["1", "1,", ",1", "a,b", "-1,0", "0,-1", "1,2,3", "1.5,0", "0x1,0", "+1,0", "1;0", "9" * 30 + ",0"]
)
def test_malformed_heart_beat(dial, version, value):
    client = dial()
    client.send(f"CONNECT\naccept-version:{version}\nhost:x\nheart-beat:{value}\n\n\0")
    client.expect_error("bad heart-beat")


@from_1_1
@pytest.mark.item(50)
@pytest.mark.parametrize("value", ["0,0", "1,0", "0,1", "1000,1000", "4294967295,4294967295"])
def test_wellformed_heart_beat(dial, version, value):
    dial().login(version, f"heart-beat:{value}")


@from_1_1
@pytest.mark.item(51, 52, 53)
@pytest.mark.parametrize(
    ("headers", "offered"),
    [
        ([], "0,0"),
        (["heart-beat:0,0"], "0,0"),
        (["heart-beat:20000,0"], "0,1000"),
        (["heart-beat:0,20000"], "2000,0"),
        (["heart-beat:1,1"], "2000,1000"),
    ],
)
def test_nothing_is_offered_in_a_direction_that_the_client_declined(dial, broker_with, version, headers, offered):
    client = dial(to=broker_with(heart_beat={"send": 2000, "receive": 1000}))
    client.send(frame("CONNECT", f"accept-version:{version}", "host:x", *headers))
    assert f"\nheart-beat:{offered}\n".encode() in client.read_frame()


@pytest.fixture
def talk_both(talk):
    """Open a connection in each version that has heart-beats."""

    def connect(*headers, to):
        return [talk(version, *headers, to=to) for version in ("1.1", "1.2")]

    return connect


@pytest.mark.item(51, 52, 53)
def test_no_header_or_zeros_mean_no_heart_beats(talk_both, beating, wait_beats):
    clients = talk_both(to=beating) + talk_both("heart-beat:0,0", to=beating)
    wait_beats(4)
    for client in clients:
        client.expect_nothing()


@pytest.mark.item(52)
def test_very_long_interval_is_not_a_short_one(talk_both, beating, wait_beats):
    clients = [
        client for ms in (1 << 31, 1 << 32, (1 << 32) + 1) for client in talk_both(f"heart-beat:{ms},{ms}", to=beating)
    ]
    wait_beats(4)
    for client in clients:
        client.expect_nothing()


@pytest.mark.item(52, 53)
def test_broker_that_wants_and_sends_none(talk_both, broker_with, wait_beats):
    clients = talk_both("heart-beat:50,50", to=broker_with(heart_beat={"send": 0, "receive": 0}))
    wait_beats(4)
    for client in clients:
        client.expect_nothing()


@from_1_1
@pytest.mark.item(52, 57, 58)
@pytest.mark.parametrize("promised", [1, 400, 600])
def test_silent_client_is_given_up(talk, broker_with, version, promised):
    """Never within the interval; a broker that stood still for a moment may take a part of the margin for silence."""
    broker = broker_with(heart_beat={"send": 0, "receive": 400, "margin": MARGIN})
    start = time.monotonic()
    client = talk(version, f"heart-beat:{promised},0", to=broker)
    client.expect_error("no heart-beat")
    assert time.monotonic() - start > max(promised, 400) / 1000


@pytest.mark.item(53)
def test_slower_wish_counts(talk_both, beating, wait_beats):
    start = time.monotonic()
    clients = talk_both("heart-beat:0,300", to=beating)
    wait_beats(5)
    for client in clients:
        client.send(frame("DISCONNECT", "receipt:bye"))
        beats = client.read_all().removesuffix(receipt("bye"))
        assert beats and not beats.strip(b"\n")
        assert len(beats) <= (time.monotonic() - start) / (2 * INTERVAL)


@from_1_1
@pytest.mark.item(53, 54, 55)
def test_heart_beat_is_a_line_feed_in_time(talk, beating, version):
    client = talk(version, "heart-beat:0,50", to=beating)
    times = []
    for _ in range(6):
        client.expect("\n")
        times.append(time.monotonic())
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert min(gaps) <= INTERVAL, "it always comes too late"


@pytest.mark.item(54)
def test_no_heart_beat_while_there_is_data(talk_both, beating, wait_beats):
    """One comes when nothing was written for two thirds of the interval: where the test itself is late."""
    start = time.monotonic()
    last = dict.fromkeys(talk_both("heart-beat:0,500", to=beating), start)
    for number in range(12):
        wait_beats(1)
        for client in last:
            was_silent = client.is_silent()
            assert was_silent or time.monotonic() - last[client] > 0.3, "it had data a moment ago"
            last[client] = time.monotonic()
            client.send(frame("BEGIN", f"transaction:{number}", f"receipt:{number}"))
            client.skip_heart_beats()
            client.expect(receipt(f"{number}"))


@pytest.mark.item(56)
def test_every_byte_is_a_sign_of_life(talk_both, beating):
    clients = talk_both(f"heart-beat:{PATIENT},100", to=beating)
    begin = frame("BEGIN", "transaction:t", "receipt:1")
    for at in range(ENOUGH):
        for client in clients:
            client.expect("\n")
            client.send(begin[at : at + 1])
    for client in clients:
        client.send(begin[ENOUGH:])
        client.skip_heart_beats()
        client.expect(receipt("1"))


@pytest.mark.item(56)
def test_line_feeds_are_a_sign_of_life(talk_both, beating):
    clients = talk_both(f"heart-beat:{PATIENT},100", to=beating)
    for _ in range(ENOUGH):
        for client in clients:
            client.expect("\n")
            client.send("\n")
    for client in clients:
        client.send(frame("BEGIN", "transaction:t", "receipt:1"))
        client.skip_heart_beats()
        client.expect(receipt("1"))


@pytest.mark.item(59)
def test_heart_beat_never_within_a_frame(talk, beating, queue, wait_beats):
    body = "x" * 4_000_000
    client = talk("1.2", "heart-beat:0,100", to=beating, receive_buffer=NARROW)
    client.subscribe(queue)
    talk(to=beating).publish(queue, body)
    wait_beats(4)
    client.skip_heart_beats()
    client.expect_message(queue, body)


@pytest.mark.item(60)
def test_no_heart_beats_in_1_0(talk, beating, wait_beats):
    clients = [talk("1.0", f"heart-beat:{value}", to=beating) for value in ("100,100", "1,1", "nonsense")]
    wait_beats(4)
    for client in clients:
        client.expect_nothing()


@pytest.mark.item(61)
def test_client_that_is_held_back_is_not_given_up(talk, broker_with, topic):
    """For three seconds, where it may be silent for one; when it is not held back, it is at work and not silent."""
    broker = broker_with(
        heart_beat={"send": 0, "receive": 500}, limits={"outbound_soft": 65536, "slow_consumer_grace": 3}
    )
    stalled = talk(to=broker, receive_buffer=NARROW)
    stalled.subscribe(topic)
    publisher = talk("1.2", "heart-beat:500,0", to=broker)
    flood = frame("SEND", f"destination:{topic}", body="x" * 16000) * 1000
    publisher.send(flood, frame("SEND", f"destination:{topic}", "receipt:done"))
    publisher.expect(receipt("done"))
    broker.wait_disconnected(stalled, "slow consumer")
