"""SIGTERM and SIGINT: what was received is finished and answered, then connections are closed."""

import signal
import socket
import time

import pytest
from harness.broker import Broker
from harness.client import NARROW
from harness.frames import every_version, frame, receipt
from harness.transports import CLIENTS
from harness.waiting import DEADLINE, SOON

pytestmark = pytest.mark.over(*CLIENTS)  # each transport has a last byte of its own


@pytest.fixture
def mortal(tmp_path):
    """Start a broker that the test ends itself."""
    started = []

    def start(**config):
        started.append(Broker(tmp_path, {"drain_timeout": DEADLINE, **config}))
        return started[-1]

    yield start
    for broker in started:
        broker.process.kill()
        broker.process.wait()


def exit_code(broker):
    """Wait for the broker's end."""
    return broker.process.wait(2 * DEADLINE)


def stall(talk, broker, queue):
    """A client that is owed more than the kernel holds for it, and that reads nothing."""
    stalled = talk(to=broker, receive_buffer=NARROW)
    stalled.subscribe(queue)
    sender = talk(to=broker)
    for _ in range(4):
        sender.publish(queue, b"x" * 4_000_000)
    sender.close()
    return stalled


@pytest.mark.item(107)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_what_was_received_is_answered(talk, mortal, queue, number):
    broker = mortal()
    client = talk(to=broker)
    client.send(*[frame("SEND", f"destination:{queue}", f"receipt:{n}", body="x" * 100) for n in range(300)])
    client.expect(receipt("0"))
    broker.process.send_signal(number)
    for n in range(1, 300):
        client.expect(receipt(str(n)))
    client.expect_end()
    client.close()
    assert exit_code(broker) == 0


@every_version
@pytest.mark.parametrize("told", [False, True])
def test_idle_clients_are_told_by_an_error_only_on_wish(talk, mortal, version, told):
    broker = mortal(**({"compat": {"error_at_stop": True}} if told else {}))
    client = talk(version, to=broker)
    broker.process.terminate()
    if told:
        client.expect_error("server shutting down")
    else:
        client.expect_end()
    client.close()
    broker.wait_disconnected(client, "^server shutting down$")
    assert exit_code(broker) == 0


@pytest.mark.item(116)
@pytest.mark.over("tcp", "unix")
def test_what_is_still_sent_makes_no_reset_of_the_end(talk, mortal, queue):
    broker = mortal()
    client = talk(to=broker)
    client.subscribe(queue, ack="client")
    client.send(frame("SEND", f"destination:{queue}", "receipt:1", body="=" * 3_000_000))
    client._find(b"\n\n")  # it has come, and is not read
    broker.process.terminate()
    broker.wait_log(lambda record: record["event"] == "draining")
    received, more = bytes(client.received), frame("SEND", f"destination:{queue}", body="y" * 1000) * 100
    client.send(more)
    while data := client.socket.recv(1 << 18):  # which raises for a reset
        received += data
        client.send(more)
    assert received.count(b"=") == 3_000_000
    assert b"ERROR" not in received
    client.close()
    assert exit_code(broker) == 0


def test_clients_that_are_not_logged_in_do_not_hold_it_up(dial, mortal):
    broker = mortal()
    clients = [dial(to=broker) for _ in range(3)]
    clients[1].send("CONNECT\naccept-ver")
    clients[2].send("\n")
    broker.process.terminate()
    start = time.monotonic()
    assert exit_code(broker) == 0
    assert time.monotonic() - start < SOON


def test_nobody_else_is_let_in(talk, mortal, queue):
    broker = mortal()
    stall(talk, broker, queue)
    broker.process.terminate()
    broker.wait_log(lambda record: record["event"] == "draining")
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", broker.ports["tcp"]), timeout=DEADLINE).recv(1)
        raise ConnectionError("closed at once")


def test_clients_have_time_to_take_what_they_are_owed(talk, mortal, queue):
    broker = mortal()
    client = stall(talk, broker, queue)
    broker.process.terminate()
    broker.wait_log(lambda record: record["event"] == "draining")
    assert len(client.read_all()) > 4_000_000
    client.close()
    assert exit_code(broker) == 0


def test_drain_has_an_end(talk, mortal, queue):
    broker = mortal(drain_timeout=0.2)
    stall(talk, broker, queue)
    broker.process.terminate()
    start = time.monotonic()
    assert exit_code(broker) == 0
    assert time.monotonic() - start < SOON


def test_second_signal_ends_at_once(talk, mortal, queue):
    broker = mortal()
    stall(talk, broker, queue)
    broker.process.terminate()
    broker.wait_log(lambda record: record["event"] == "draining")
    broker.process.terminate()
    start = time.monotonic()
    exit_code(broker)
    assert time.monotonic() - start < SOON
