"""The benchmark's own tools: what they count must be what was sent."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT))

from bench import programs
from bench.peers import BROKER, NATS, RELAY
from bench.results import Results
from bench.scenarios import SCENARIOS, Against, Goal

needs_compiler = pytest.mark.skipif(not shutil.which(programs.compiler()), reason="no C compiler")


@pytest.fixture
def relay_port() -> Iterator[str]:
    with subprocess.Popen([programs.relay()], stdout=subprocess.PIPE, text=True) as relay:
        assert relay.stdout
        line = relay.stdout.readline()
        listening = re.fullmatch(r"listening on tcp://127\.0\.0\.1:(\d+)\n", line)
        assert listening, line
        yield listening[1]
        relay.kill()


def run_loadgen(port: str, *arguments: str, protocol: str = "relay") -> subprocess.CompletedProcess[str]:
    command = [str(programs.loadgen()), "--protocol", protocol, "--port", port, *arguments]
    command += ["--warm-up", "0.02", "--seconds", "0.1", "--patience", "0.2"]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def generate(port: str, *arguments: str) -> dict[str, Any]:
    run = run_loadgen(port, *arguments)
    assert run.returncode == 0, run.stderr
    measured: dict[str, Any] = json.loads(run.stdout)
    return measured


class StompStub(StreamRequestHandler):
    """As little of a STOMP server as a subscriber can be measured with; `copies` decides what it gets wrong."""

    subscriber: StreamRequestHandler
    copies: Callable[[int], int]
    sent = 0

    def handle(self) -> None:
        stub, pending = type(self), b""
        while data := self.request.recv(65536):
            *frames, pending = (pending + data).split(b"\0")
            for frame in frames:
                self.answer(stub, frame)

    def answer(self, stub: type[StompStub], frame: bytes) -> None:
        if frame.startswith(b"CONNECT\n"):
            self.wfile.write(b"CONNECTED\nversion:1.2\n\n\0\n")
        elif frame.startswith(b"SUBSCRIBE\n"):
            stub.subscriber = self
            self.wfile.write(b"RECEIPT\nreceipt-id:s0\n\n\0\n")
        elif frame.startswith(b"SEND\n"):
            stub.sent += 1
            message = b"MESSAGE\nsubscription:s0\nmessage-id:%d\nack:%d\n\nbody\0\n" % (stub.sent, stub.sent)
            stub.subscriber.wfile.write(message * stub.copies(stub.sent))


@contextmanager
def stomp_stub(copies: Callable[[int], int]) -> Iterator[str]:
    handler = type("Stub", (StompStub,), {"copies": staticmethod(copies)})
    with ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield str(server.server_address[1])
        server.shutdown()


@needs_compiler
@pytest.mark.parametrize(("publishers", "subscribers"), [(1, 1), (1, 10), (3, 1), (3, 4)])
def test_every_message_of_a_flood_arrives(relay_port: str, publishers: int, subscribers: int) -> None:
    measured = generate(
        relay_port, "--workload", "topic", "--publishers", str(publishers), "--subscribers", str(subscribers)
    )
    assert measured["sent"] > 10_000
    assert measured["received"] == measured["due"] == measured["sent"] * subscribers
    assert measured["lost"] == measured["surplus"] == 0
    assert measured["deliveries_per_s"] > 0


@needs_compiler
def test_a_window_bounds_what_is_under_way_and_loses_nothing(relay_port: str) -> None:
    measured = generate(relay_port, "--workload", "queue", "--window", "2000")
    assert measured["received"] == measured["sent"] > 10_000


@needs_compiler
def test_ping_pong_reports_ordered_quantiles(relay_port: str) -> None:
    measured = generate(relay_port, "--workload", "ping")
    assert measured["round_trips"] > 100
    assert 0 < measured["p50_us"] <= measured["p99_us"] <= measured["max_us"]


@needs_compiler
def test_idle_connections_stay_until_standard_input_ends(relay_port: str) -> None:
    assert generate(relay_port, "--workload", "idle", "--connections", "50")["connections"] == 50


@needs_compiler
@pytest.mark.parametrize("ack", ["auto", "client-individual"])
@pytest.mark.parametrize(
    ("copies", "status", "lost", "surplus"),
    [
        (lambda n: 1, 0, 0, 0),
        (lambda n: n != 7, 1, 1, 0),
        (lambda n: 1 + (n == 7), 1, 0, 1),
    ],
    ids=["right", "one lost", "one twice"],
)
def test_loss_and_surplus_are_found(
    ack: str, copies: Callable[[int], int], status: int, lost: int, surplus: int
) -> None:
    with stomp_stub(copies) as port:
        run = run_loadgen(port, "--workload", "queue", "--ack", ack, "--window", "500", protocol="stomp")
    measured = json.loads(run.stdout)
    assert measured["sent"] > 100
    assert (run.returncode, measured["lost"], measured["surplus"]) == (status, lost, surplus)


@needs_compiler
def test_what_is_no_server_of_the_protocol_is_not_measured(relay_port: str) -> None:
    run = run_loadgen(relay_port, "--workload", "topic", protocol="stomp")
    assert run.returncode == 2
    assert "hung up" in run.stderr


@pytest.mark.parametrize(
    ("goal", "value", "met"),
    [
        (Goal(Against.RELAY, 0.35), 0.35, True),
        (Goal(Against.RELAY, 0.35), 0.34, False),
        (Goal(Against.NATS, 1, at_most=True), 1.0, True),
        (Goal(Against.NATS, 1, at_most=True), 1.01, False),
    ],
)
def test_a_goal_is_met_on_its_side_of_the_bound(goal: Goal, value: float, met: bool) -> None:
    assert goal.met(value) is met


def test_ratios_are_of_medians_and_goals_are_judged_by_them() -> None:
    flood, results = SCENARIOS[0], Results()
    for peer, rates in ((BROKER, (5e6, 6e6, 4e6)), (RELAY, (10e6, 20e6, 9e6)), (NATS, (2.5e6,))):
        results.cell(flood, peer).runs.extend({"deliveries_per_s": rate} for rate in rates)
    outcomes = results.outcomes(flood, flood.rows[0])
    assert [(outcome.value, outcome.met) for outcome in outcomes] == [(0.5, True), (2.0, True)]


def test_one_failed_run_leaves_nothing_to_compare() -> None:
    flood, results = SCENARIOS[0], Results()
    for peer in (BROKER, RELAY, NATS):
        results.cell(flood, peer).runs.append({"deliveries_per_s": 1e6})
    results.cell(flood, BROKER).failures.append("3 messages were lost")
    assert [outcome.met for outcome in results.outcomes(flood, flood.rows[0])] == [None, None]
    assert results.failures() == ["fastbroker: 3 messages were lost (flood-1-1)"]
