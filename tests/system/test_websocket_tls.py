"""WebSocket in TLS: the frames are the same, but only the transport may write, and a socket ends in two steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from harness.broker import Broker
from harness.certificates import tls_table
from harness.client import NARROW
from harness.frames import frame, receipt
from harness.waiting import in_background
from harness.websocket import PING, SecureWebSocketClient, packed
from harness.websocket import closing as close_frame
from test_websocket_framing import CASES, TOPIC, Case, expect_outcome

KiB = 2**10


def secure_broker(directory: Path, **limits: float) -> Broker:
    """With a wss:// address alone."""
    return Broker(directory, {"listen": ["wss://127.0.0.1:0"], "tls": tls_table(), "limits": limits})


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = secure_broker(tmp_path_factory.mktemp("secure"), outbound_soft=128 * KiB, slow_consumer_grace=30.0)
    yield broker
    broker.stop()


@pytest.fixture
def talk_wss(secure: Broker) -> Iterator[Callable[..., SecureWebSocketClient]]:
    """Open a WebSocket in TLS and log in."""
    with ExitStack() as stack:

        def connect(to: Broker = secure, receive_buffer: int = 0) -> SecureWebSocketClient:
            client = stack.enter_context(closing(SecureWebSocketClient(to, receive_buffer=receive_buffer)))
            client.login("1.2")
            return client

        yield connect


@pytest.mark.parametrize("case", CASES[::3], ids=lambda case: case.name.replace(" ", "_"))
def test_case(talk_wss: Callable[..., SecureWebSocketClient], case: Case) -> None:
    expect_outcome(talk_wss(), case)


@pytest.mark.parametrize("size", [10_000, 300_000, 2**20])
def test_slow_consumer_gets_everything(talk_wss: Callable[..., SecureWebSocketClient], size: int, queue: str) -> None:
    client, publisher = talk_wss(receive_buffer=NARROW), talk_wss()
    client.subscribe(queue)
    count, body = 8 * 2**20 // size, "x" * size
    with in_background(lambda: [publisher.publish(queue, body) for _ in range(count)]):
        for number in range(count):
            client.expect_message(queue, body)
            if number % 50 == 0:
                client.send_raw(packed(f"{number}", PING))
                client.expect_pong(b"%d" % number)


def test_publisher_waits_for_a_slow_subscriber(secure: Broker, talk_wss: Callable[..., SecureWebSocketClient]) -> None:
    slow, publisher = talk_wss(receive_buffer=NARROW), talk_wss()
    slow.subscribe(TOPIC)
    before = secure.resident()
    body = "x" * 20_000
    sent = packed(frame("SEND", f"destination:{TOPIC}", body=body)) * 600
    with in_background(lambda: publisher.socket.sendall(sent)):
        slow.expect_message(TOPIC, body)
        assert secure.resident() - before < 16 * 2**20
        slow.expect_bodies(TOPIC, [body] * 599)


def test_peer_that_shuts_its_side_without_close(talk_wss: Callable[..., SecureWebSocketClient], queue: str) -> None:
    client = talk_wss()
    client.send(frame("SEND", f"destination:{queue}", "receipt:1"))
    client.stop_sending()
    client.expect(receipt("1"))
    client.expect_close(1000)


def test_what_a_peer_sends_behind_its_close_costs_nothing(talk_wss: Callable[..., SecureWebSocketClient]) -> None:
    client = talk_wss(receive_buffer=NARROW)
    client.subscribe(TOPIC)
    client.send_raw(packed(frame("SEND", f"destination:{TOPIC}", body="x" * 20_000)) * 20 + close_frame())
    client.send_raw(packed(bytes(100_000)))
    client.expect_bodies(TOPIC, ["x" * 20_000] * 20)
    client.expect_close(1000)


def test_stalled_subscriber_is_dropped(tmp_path: Path, talk_wss: Callable[..., SecureWebSocketClient]) -> None:
    broker = secure_broker(tmp_path, slow_consumer_grace=0.2, outbound_soft=64 * KiB)
    slow, publisher = talk_wss(broker, receive_buffer=NARROW), talk_wss(broker)
    slow.subscribe(TOPIC)
    publisher.send(frame("SEND", f"destination:{TOPIC}", body="x" * 16_000) * 1000)
    broker.wait_disconnected(slow, "slow consumer")
    publisher.roundtrip()
    slow.close()
    publisher.close()
    broker.stop()


def test_shutdown_says_1012(tmp_path: Path, talk_wss: Callable[..., SecureWebSocketClient]) -> None:
    broker = secure_broker(tmp_path)
    client = talk_wss(broker)
    broker.process.terminate()
    client.expect_close(1012)
    broker.stop()
