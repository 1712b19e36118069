"""The load generator: against the broker every load runs and nothing is missing; against a server that does something
wrong it reports exactly that.
"""

from __future__ import annotations

import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fake_stomp import CONNECTED, FakeStomp, Frame, Session, Subscription, later
from harness.broker import Broker
from harness.frames import unique
from harness.waiting import DEADLINE, eventually

from fastbroker.bench.generator import Generator, GeneratorError
from fastbroker.bench.load import UNBOUNDED, Load, Target

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT))

from bench import programs

CLEAN = {"lost": 0, "duplicated": 0, "disordered": 0, "corrupt": 0, "unsent": 0, "unconfirmed": 0}
OPERATIONS = ("connect", "storm", "churn", "idle")
LETTERS = {chr(ord("0") + value): value for value in range(64)}


def target_of(port: int, **fields: Any) -> Target:
    return Target(host="127.0.0.1", port=port, **fields)


def load_of(**fields: Any) -> Load:
    quick = {"name": unique("bench."), "warm_up": 0.02, "seconds": 0.1, "patience": DEADLINE}
    return Load(**quick | fields)


def finish(generator: Generator) -> dict[str, Any]:
    """To the end of the load."""
    end = time.monotonic() + 6 * DEADLINE
    while generator.step(1):
        if generator.phase == "ready":
            generator.go()
        assert time.monotonic() < end, (generator.phase, generator.progress())
    return generator.result()


def generate(port: int, protocol: Any = "stomp", **load: Any) -> dict[str, Any]:
    return finish(Generator(target_of(port, protocol=protocol), load_of(**load)))


Results = Mapping[Any, Future[dict[str, Any]]]
# A run is mostly a wait, for the time of its window or for what does not come.
AT_ONCE = 6


def together(runs: Mapping[Any, Callable[[], dict[str, Any]]]) -> Results:
    """Makes all runs, side by side; what a run raises, its result raises."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return {name: pool.submit(run) for name, run in runs.items()}


def against(server_kind: type[FakeStomp], /, **load: Any) -> dict[str, Any]:
    """One run against a fake server of its own."""
    server = server_kind()
    try:
        return generate(server.port, **load)
    finally:
        server.close()


def faults(result: dict[str, Any]) -> dict[str, int]:
    """What is not as it should be."""
    return {name: result["totals"][name] for name in CLEAN if result["totals"][name]}


def values(result: dict[str, Any], histogram: str) -> list[int]:
    """Nanoseconds, each as often as it was counted."""
    return [ns for ns, count in result["histograms"][histogram] for _ in range(count)]


def digits(text: bytes) -> int:
    number = 0
    for letter in text.decode():
        number = number * 64 + LETTERS[letter]
    return number


def stamp_of(body: bytes) -> tuple[int, int, int]:
    """Stream, number, and intended time in ns since the generator began."""
    return digits(body[:3]), digits(body[3:9]), 100 * digits(body[9:16])


@pytest.fixture
def serve() -> Iterator[Callable[..., Any]]:
    """Start a fake server; it is closed when the test ends."""
    started: list[FakeStomp] = []

    def start(kind: type[FakeStomp] = FakeStomp) -> FakeStomp:
        started.append(kind())
        return started[-1]

    yield start
    for server in started:
        server.close()


# ---- every load against the broker ----

FLOWS: dict[str, dict[str, Any]] = {
    "1 to 1": {},
    "fan-out": {"subscribers": 20},
    "fan-in": {"publishers": 20},
    "all to all": {"publishers": 3, "subscribers": 3, "destinations": 3},
    "nobody subscribes": {"subscribers": 0},
    "more destinations than anybody": {"destinations": 50, "publishers": 3, "subscribers": 7},
    "more subscribers than destinations": {"destinations": 3, "publishers": 2, "subscribers": 7},
    "more publishers than destinations": {"destinations": 3, "publishers": 7, "subscribers": 2},
    "pattern": {"destinations": 20, "publishers": 2, "subscribers": 3, "pattern": "{name}.*"},
    "bystanders": {"bystanders": 300},
    "many subscriptions on one connection": {"destinations": 2000},
    "size 16": {"size": 16},
    "no content-length": {"content_length": False},
    "large": {"size": 300_000},
    "large and verified": {"size": 300_001, "verify": True, "publishers": 2},
    "verified": {"verify": True, "size": 22},
    "window": {"window": 100, "subscribers": 3},
    "window of one": {"window": 1},
    "receipts 1": {"receipts": 1},
    "receipts 10": {"receipts": 10, "publishers": 2},
    "receipts unbounded": {"receipts": UNBOUNDED},
    "transactions": {"transaction": 7},
    "transactions with receipts": {"transaction": 10, "receipts": 2, "destinations": 3},
    "transactions larger than the window": {"transaction": 100, "window": 10},
    "transactions of large messages": {"transaction": 3, "size": 100_000},
    "rate": {"rate": 2000, "publishers": 3, "subscribers": 2},
    "rate with transactions": {"rate": 3000, "publishers": 3, "destinations": 7, "transaction": 5},
    "rate with receipts and window": {"rate": 500, "receipts": 1, "window": 2},
    "rate of large messages": {"rate": 200, "size": 100_000, "verify": True},
    "topic with acks": {"ack": "client-individual", "credit": 5},
    "queue": {"queue": True, "window": 1000},
    "persistent": {"queue": True, "window": 1000, "persistent": True},
    "queue client": {"queue": True, "window": 1000, "ack": "client", "credit": 100},
    "queue client, two subscriptions": {"queue": True, "window": 1000, "ack": "client", "destinations": 2},
    "queue client-individual": {"queue": True, "window": 20, "ack": "client-individual", "credit": 1},
    "queue without credit": {"queue": True, "window": 100, "ack": "client-individual", "credit": 0},
    "competing": {"queue": True, "publishers": 3, "subscribers": 4, "window": 1000, "ack": "client-individual"},
    "competing, several queues": {"queue": True, "publishers": 2, "subscribers": 5, "destinations": 2, "window": 100},
    "backlog": {"queue": True, "backlog": 1000, "publishers": 3, "subscribers": 2},
    "backlog with receipts": {"queue": True, "backlog": 100, "receipts": 10, "window": 50, "transaction": 3},
    "ramp": {"subscribers": 5, "ramp": 200},
    "priorities": {"priorities": 10, "window": 1000},
    "priorities of a queue": {"queue": True, "priorities": 3, "backlog": 500, "ack": "client-individual"},
    "priorities, competing": {"queue": True, "priorities": 4, "publishers": 2, "subscribers": 3, "window": 100},
    "selecting": {"selecting": True, "subscribers": 5, "publishers": 2, "window": 1000},
    "selecting, alone": {"selecting": True, "verify": True, "transaction": 3},
    "selecting from a queue": {"queue": True, "selecting": True, "subscribers": 4, "ack": "client", "window": 100},
    "groups": {
        "queue": True,
        "groups": 7,
        "publishers": 3,
        "subscribers": 3,
        "window": 90,
        "ack": "client-individual",
        "credit": 10,
    },
    "groups, one consumer": {"queue": True, "groups": 7, "window": 500},
}


@pytest.fixture(scope="module")
def flows(broker_with: Callable[..., Broker]) -> Results:
    broker = broker_with(limits={"slow_consumer_grace": "60s"})
    return together({name: partial(measured, broker.ports["tcp"], load) for name, load in FLOWS.items()})


def histograms_of(load: Mapping[str, Any]) -> set[str]:
    """What a flow measures."""
    asks = {"latency": load.get("subscribers", 1), "receipt": load.get("receipts"), "send_delay": load.get("rate")}
    return {name for name, asked in asks.items() if asked}


def measured(port: int, load: Mapping[str, Any], seconds: float = 0.1) -> dict[str, Any]:
    """A machine that is busy with other things may send nothing within a short window; then it is a longer one."""
    result = generate(port, **load, seconds=seconds)
    if seconds < DEADLINE and not all(values(result, name) for name in histograms_of(load)):
        return measured(port, load, 10 * seconds)
    return result


@pytest.mark.parametrize("name", FLOWS)
def test_a_flow_loses_nothing(flows: Results, name: str) -> None:
    load, result = FLOWS[name], flows[name].result()
    totals = result["totals"]
    assert faults(result) == {}
    assert totals["received"] == totals["due"]
    assert totals["sent"] >= result["sends"]
    assert totals["sent"] > 0
    assert result["cpu_seconds"] > 0
    assert result["frame_bytes"] > load.get("size", 100)
    assert histograms_of(load) == {name for name in ("latency", "receipt", "send_delay") if values(result, name)}
    assert (totals["due"] > 0) == (load.get("subscribers", 1) > 0)
    assert (result["receipts"] > 0) == ("receipts" in load)


OTHERS: dict[str, dict[str, Any]] = {
    "ping": {"kind": "ping"},
    "pings": {"kind": "ping", "connections": 5, "rate": 1000},
    "ping over queues": {"kind": "ping", "connections": 3, "queue": True, "ack": "client-individual"},
    "ping, large": {"kind": "ping", "size": 300_000, "verify": True},
    "request": {"kind": "request"},
    "requests": {"kind": "request", "publishers": 5, "subscribers": 3, "rate": 500},
    "requests with acks": {"kind": "request", "ack": "client", "verify": True, "size": 1000, "content_length": False},
    "connect": {"kind": "connect", "connections": 3},
    "storm": {"kind": "storm", "connections": 60},
    "storm with a ramp": {"kind": "storm", "connections": 20, "ramp": 500},
    "churn": {"kind": "churn", "connections": 3, "destinations": 10},
    "idle": {"kind": "idle", "connections": 150},
}
HISTOGRAM = {"ping": "latency", "request": "latency", "connect": "connect", "storm": "connect", "churn": "receipt"}
BEYOND: dict[str, dict[str, Any]] = {
    "replay": {"kind": "replay", "messages": 300},
    "replays": {"kind": "replay", "messages": 1000, "connections": 4, "verify": True},
    "one message": {"kind": "replay", "messages": 1, "content_length": False},
    "schedule": {"kind": "schedule", "messages": 3000, "delay": 0.5, "queue": True},
    "schedule of a topic": {"kind": "schedule", "messages": 5, "delay": 0.3, "verify": True, "size": 200_000},
}
KEPT: dict[str, dict[str, Any]] = {
    "drain": {"kind": "drain", "queue": True, "messages": 3000, "receipts": 100, "ack": "client-individual"},
    "drain, one by one": {"kind": "drain", "queue": True, "messages": 20, "receipts": 1, "verify": True, "size": 3000},
    "drain, unbounded": {"kind": "drain", "queue": True, "messages": 500, "receipts": UNBOUNDED, "ack": "client"},
    "durable": {"durable": True, "subscribers": 3, "receipts": 10, "ack": "client-individual"},
}


@pytest.fixture(scope="module")
def beyond(broker_with: Callable[..., Broker]) -> Results:
    port = broker_with(topics=[{"pattern": "bench.#", "history.count": 1000}]).ports["tcp"]
    return together({name: partial(generate, port, **load) for name, load in BEYOND.items()})


@pytest.mark.parametrize("name", BEYOND)
def test_replays_and_schedules(beyond: Results, name: str) -> None:
    load, result = BEYOND[name], beyond[name].result()
    assert faults(result) == {}
    assert result["totals"]["sent"] == load["messages"]
    if load["kind"] == "replay":
        laps = result["totals"]["due"] / load["messages"]
        assert laps == result["totals"]["received"] / load["messages"] >= max(result["operations"], 1)
        assert 0 < len(values(result, "latency")) <= laps
    else:
        assert result["deliveries"] == load["messages"]
        assert 0 < result["accept_seconds"] < load["delay"] < result["seconds"]
        assert result["deliver_seconds"] == pytest.approx(result["seconds"] - load["delay"])
        assert max(values(result, "latency")) <= result["deliver_seconds"] * 1e9 * 1.001


@pytest.fixture(scope="module")
def kept(broker: Broker) -> Results:
    return together({name: partial(generate, broker.ports["tcp"], **load) for name, load in KEPT.items()})


@pytest.mark.parametrize("name", KEPT)
def test_drains_and_durable_subscriptions(kept: Results, name: str) -> None:
    load, result = KEPT[name], kept[name].result()
    assert faults(result) == {}
    if load.get("kind") == "drain":
        assert result["totals"]["sent"] == result["deliveries"] == load["messages"]
        assert result["accept_seconds"] > 0
        assert 0 < result["first_seconds"] <= result["deliver_seconds"]
    else:
        assert result["totals"]["due"] == load["subscribers"] * result["totals"]["sent"] > 0


@pytest.fixture(scope="module")
def others(broker: Broker) -> Results:
    return together(
        {name: partial(generate, broker.ports["tcp"], **load) for name, load in OTHERS.items() if name != "idle"}
    )


def test_idle_connections_stay(broker: Broker) -> None:
    generator = Generator(target_of(broker.ports["tcp"]), load_of(**OTHERS["idle"]))
    assert faults(finish(generator)) == {}
    assert generator.progress()["connections"] == 150


@pytest.mark.parametrize("name", [name for name in OTHERS if name != "idle"])
def test_other_kinds_of_load(others: Results, name: str) -> None:
    load, result = OTHERS[name], others[name].result()
    assert faults(result) == {}
    assert result["totals"]["received"] == result["totals"]["due"]
    assert result["operations"] > 0
    assert result["seconds"] > 0
    # An operation that the window began in is counted in it, but not timed.
    count = len(values(result, HISTOGRAM[load["kind"]]))
    assert count >= min(result["operations"], 2) - load.get("connections", 1)


def test_connections_come_as_fast_as_the_ramp_says(broker: Broker) -> None:
    result = generate(broker.ports["tcp"], kind="storm", connections=21, ramp=100)
    assert 0.2 <= result["seconds"] < 0.2 + DEADLINE
    assert result["operations"] == 21


def test_a_connect_is_timed_from_the_socket_to_connected(serve: Any) -> None:
    class Thinks(FakeStomp):
        def on_connect(self, session: Session, frame: Frame) -> None:
            later(0.05)
            super().on_connect(session, frame)

    result = generate(serve(Thinks).port, kind="storm", connections=10)
    times = values(result, "connect")
    assert len(times) == 10
    assert 0.05e9 * 0.999 <= min(times) <= max(times) <= result["seconds"] * 1e9 * 1.001


# ---- a storm, and who is turned away in it ----


def test_a_storm_leaves_as_it_came(serve: Any) -> None:
    server = serve()
    result = generate(server.port, kind="storm", connections=20)
    assert faults(result) == {}
    assert (result["operations"], result["hung_up"], result["reconnects"]) == (20, 0, 0)
    order = [frame.command for frame in server.commands("CONNECT", "DISCONNECT")]
    assert order == ["CONNECT"] * 20 + ["DISCONNECT"] * 20
    assert all(frame.headers["receipt"] for frame in server.commands("DISCONNECT"))


class TurnsAway(FakeStomp):
    """Lets every client in but each third of the first 30 tries."""

    def on_connect(self, session: Session, frame: Frame) -> None:
        number = next(self.turn)
        if number < 30 and number % 3 == 0:
            self.turn_away(session)
        else:
            super().on_connect(session, frame)

    def turn_away(self, session: Session) -> None:
        session.hang_up()


class Refuses(TurnsAway):
    """With an ERROR."""

    def turn_away(self, session: Session) -> None:
        session.write(b"ERROR\nmessage:not now\n\n\0")
        session.hang_up()


class Resets(TurnsAway):
    """With a TCP reset."""

    def turn_away(self, session: Session) -> None:
        session.reset()


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (TurnsAway, "the server hung up on a client"),
        (Refuses, "the server refused a client: ERROR\nmessage:not now"),
        (Resets, "the server broke the connection of a client: Connection reset by peer"),
    ],
)
def test_who_is_turned_away_in_a_storm_is_counted_and_comes_back(serve: Any, kind: type[FakeStomp], words: str) -> None:
    server = serve(kind)
    result = generate(server.port, kind="storm", connections=30)
    assert faults(result) == {}
    assert (result["operations"], result["hung_up"], result["reconnects"]) == (30, 10, 10)
    assert result["first_turned_away"] == words
    assert len(server.commands("CONNECT")) == 40
    # Whoever had to come back has waited all that time.
    assert len([ns for ns in values(result, "connect") if ns >= 0.5e9]) == 10


def test_a_storm_that_nobody_wants_ends(serve: Any) -> None:
    class Nobody(TurnsAway):
        def on_connect(self, session: Session, frame: Frame) -> None:
            self.turn_away(session)

    result = generate(serve(Nobody).port, kind="storm", connections=5, patience=1)
    assert faults(result) == {"lost": 5}
    assert result["hung_up"] > result["reconnects"] > 0
    with pytest.raises(GeneratorError, match="hung up on a client"):
        generate(serve(Nobody).port, kind="storm", connections=1)


def test_who_is_hung_up_on_in_a_storm_after_the_login_is_counted_and_stays_away(serve: Any) -> None:
    class Drops(FakeStomp):
        def on_connect(self, session: Session, frame: Frame) -> None:
            super().on_connect(session, frame)
            if next(self.turn) == 3:
                session.hang_up()
                later(0.2)

    result = generate(serve(Drops).port, kind="storm", connections=10, ramp=50)
    assert faults(result) == {}
    assert (result["operations"], result["hung_up"], result["reconnects"]) == (10, 1, 0)


def test_who_must_not_leave_a_storm(serve: Any) -> None:
    class Keeps(FakeStomp):
        def on_disconnect(self, session: Session, frame: Frame) -> None:
            if next(self.turn) < 2:
                frame.headers.pop("receipt")

    assert faults(generate(serve(Keeps).port, kind="storm", connections=10, patience=0.5)) == {"unconfirmed": 2}


# ---- the way through the phases ----


def test_phases(broker: Broker) -> None:
    generator = Generator(target_of(broker.ports["tcp"]), load_of())
    phases = [generator.phase]
    while generator.step(DEADLINE):
        phases.append(generator.phase)
        if generator.phase == "ready":
            assert generator.step(0.01)
            assert generator.progress() == {
                "sent": 0, "received": 0, "receipts": 0, "operations": 0, "connections": 2,
            }  # fmt: skip
            generator.go()
            phases.append(generator.phase)
    phases.append(generator.phase)
    expected = ["connecting", "ready", "warming up", "measuring", "draining", "settling", "over"]
    assert phases == expected
    assert not generator.step(1)
    assert generator.progress()["received"] == generator.result()["totals"]["received"]


def test_a_step_takes_no_longer_than_it_may(broker: Broker) -> None:
    generator = Generator(target_of(broker.ports["tcp"]), load_of(seconds=60))
    while generator.phase != "ready":
        generator.step(0.01)
    generator.go()
    begin = time.monotonic()
    while generator.phase != "measuring":
        generator.step(0.01)
    for _ in range(20):
        generator.step(0.01)
    assert time.monotonic() - begin < DEADLINE
    assert generator.phase == "measuring"


def test_stop_ends_the_measuring_early(broker: Broker) -> None:
    generator = Generator(target_of(broker.ports["tcp"]), load_of(seconds=60, warm_up=0))
    while generator.phase != "ready":
        generator.step(0.1)
    generator.go()
    generator.step(0.1)
    generator.stop()
    assert generator.phase == "draining"
    result = finish(generator)
    assert 0.1 <= result["seconds"] < DEADLINE
    assert faults(result) == {}


@pytest.mark.parametrize("phase", ["connecting", "ready", "warming up"])
def test_stop_before_anything_is_measured(broker: Broker, phase: str) -> None:
    generator = Generator(target_of(broker.ports["tcp"]), load_of(warm_up=60))
    while generator.phase != phase:
        generator.step(0.1)
        if phase == "warming up":
            generator.go()
    generator.stop()
    result = finish(generator)
    assert result["deliveries"] == 0
    assert faults(result) == {}


def test_go_is_for_what_is_ready(broker: Broker) -> None:
    generator = Generator(target_of(broker.ports["tcp"]), load_of())
    with pytest.raises(GeneratorError, match="not ready"):
        generator.go()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="open files are counted in /proc")
def test_nothing_is_left_behind(broker: Broker) -> None:
    generate(broker.ports["tcp"])
    before = len(list(Path("/proc/self/fd").iterdir()))
    for load in ({"subscribers": 5}, {"kind": "connect"}, {"queue": True, "window": 10, "subscribers": 3}):
        generate(broker.ports["tcp"], seconds=0.01, **load)
        with pytest.raises(GeneratorError):
            generate(broker.ports["tcp"], size=1)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_server_may_have_other_addresses_too(serve: Any) -> None:
    server = serve()
    generator = Generator(Target(host="localhost", port=server.port), load_of(rate=100))
    assert faults(finish(generator)) == {}
    assert {frame.headers["host"] for frame in server.commands("CONNECT")} == {"localhost"}


# ---- loads that make no sense ----


@pytest.mark.parametrize(
    ("load", "complaint"),
    [
        ({"size": 15}, "size: 15 is not between 16 and"),
        ({"size": 21, "verify": True}, "size: 21 is not between 22 and"),
        ({"publishers": 0}, "publishers"),
        ({"destinations": 0}, "destinations"),
        ({"connections": 0}, "connections"),
        ({"subscribers": -1}, "subscribers"),
        ({"receipts": -2}, "receipts"),
        ({"publishers": 2**18 + 1}, "publishers"),
        ({"seconds": -1}, "seconds"),
        ({"rate": float("nan")}, "rate"),
        ({"transaction": 2**20, "size": 100}, "a transaction, or a message, of"),
        ({"subscribers": 5000, "destinations": 100_000, "pattern": "x"}, "cannot be checked"),
        ({"queue": True, "slow": 1}, "for topics"),
        ({"queue": True, "pattern": "*"}, "for topics"),
        ({"backlog": 1}, "for queues"),
        ({"kind": "nonsense"}, "no kind of load is called nonsense"),
        ({"ack": "nonsense"}, "no ack mode is called nonsense"),
        ({"name": "a\nb"}, "line break"),
        ({"priorities": 11}, "priorities: 11 is not between 0 and 10"),
        ({"groups": -1}, "groups"),
        ({"messages": 0}, "messages"),
        ({"delay": 9001}, "a delay of 9001 seconds is not between 0 and 9000"),
        ({"priorities": 2, "groups": 2}, "cannot be had at the same time"),
        ({"selecting": True, "destinations": 2}, "for one destination"),
        ({"priorities": 2, "slow": 1}, "nobody who is slow"),
        ({"selecting": True, "subscribers": 0}, "nobody to select anything"),
    ],
)
def test_a_load_that_makes_no_sense(load: dict[str, Any], complaint: str) -> None:
    with pytest.raises(GeneratorError, match=complaint):
        Generator(target_of(1), Load(**load))


@pytest.mark.parametrize(
    ("protocol", "load", "complaint"),
    [
        ("nats", {"queue": True}, "nats has no queues"),
        ("nats", {"receipts": 1}, "nats has no receipts"),
        ("nats", {"transaction": 1}, "nats has no transactions"),
        ("nats", {"ack": "client"}, "nats has no acknowledgements"),
        ("relay", {"receipts": 1}, "relay has no receipts"),
        ("relay", {"transaction": 1}, "relay has no transactions"),
        ("relay", {"kind": "churn"}, "relay has no subscriptions"),
        ("relay", {"destinations": 2}, "relay has one destination"),
        ("relay", {"queue": True, "subscribers": 2}, "everybody gets all"),
        ("mqtt", {}, "no protocol is called mqtt"),
        ("nats", {"selecting": True}, "nats has no priorities, groups, selectors, histories or schedules"),
        ("relay", {"priorities": 2}, "relay has no priorities"),
        ("nats", {"kind": "replay"}, "nats has no priorities"),
        ("nats", {"kind": "drain", "queue": False, "receipts": 1}, "nats has no receipts"),
        ("stomp", {"kind": "drain", "receipts": 1}, "only a queue can be drained"),
        ("stomp", {"kind": "drain", "queue": True}, "only a queue can be drained"),
        ("stomp", {"durable": True, "queue": True}, "durable subscriptions are for topics"),
        ("nats", {"durable": True}, "durable subscriptions are for topics, of a server that stores"),
        ("jetstream", {"queue": True, "backlog": 5}, "jetstream has no backlog"),
        ("jetstream", {"transaction": 2}, "jetstream has no transactions"),
    ],
)
def test_what_a_protocol_has_not(protocol: Any, load: dict[str, Any], complaint: str) -> None:
    with pytest.raises(GeneratorError, match=complaint):
        Generator(target_of(1, protocol=protocol), Load(**load))


def test_a_port_that_is_none() -> None:
    with pytest.raises(GeneratorError, match="port"):
        Generator(target_of(65536), Load())


def test_a_host_that_is_none() -> None:
    with pytest.raises(GeneratorError, match=r"no address of .* is known"):
        Generator(Target(host="no host", port=1), Load())


def test_too_few_open_files() -> None:
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] > 1_000_000:
        pytest.skip("so many files may be open")
    with pytest.raises(GeneratorError, match=r"1000000 connections need 1000064 open files, and the limit"):
        Generator(target_of(1), Load(kind="idle", connections=1_000_000))


# ---- what is sent ----


GEOMETRIES = [(1, 1, 3), (2, 5, 3), (5, 2, 3), (3, 3, 3), (4, 1, 0), (2, 7, 1)]


def test_the_geometry(serve: Any) -> None:
    """Who sends what where, and who subscribes to what, is as load.py says."""
    fields = ("publishers", "destinations", "subscribers")
    servers = {geometry: serve() for geometry in GEOMETRIES}
    results = together(
        {
            each: partial(generate, server.port, rate=2000, name="g", **dict(zip(fields, each, strict=True)))
            for each, server in servers.items()
        }
    )
    for (publishers, destinations, subscribers), server in servers.items():
        assert faults(results[publishers, destinations, subscribers].result()) == {}
        names = [f"/topic/g.{number:07}" for number in range(destinations)] if destinations > 1 else ["/topic/g"]
        streams = defaultdict(list)
        for frame in server.commands("SEND"):
            stream, number, _ = stamp_of(frame.body)
            assert frame.headers["destination"] == names[stream % destinations]
            streams[stream].append(number)
        assert set(streams) == set(range(max(publishers, destinations)))
        assert all(numbers == list(range(len(numbers))) for numbers in streams.values())
        subscribed = Counter(frame.headers["destination"] for frame in server.commands("SUBSCRIBE"))
        pairs = max(subscribers, destinations) if subscribers else 0
        assert subscribed == Counter(names[number % destinations] for number in range(pairs))
        assert len(server.sessions) == publishers + subscribers


def test_intended_times_are_evenly_spaced_over_all_publishers(serve: Any) -> None:
    server = serve()
    generate(server.port, publishers=3, rate=1000)
    stamps = sorted((stamp_of(frame.body) for frame in server.commands("SEND")), key=lambda stamp: stamp[2])
    assert [(stream, number) for stream, number, _ in stamps] == [(at % 3, at // 3) for at in range(len(stamps))]
    times = [moment - stamps[0][2] for *_, moment in stamps]
    assert len(times) >= 119
    assert all(abs(moment - at * 1_000_000) <= 100 for at, moment in enumerate(times))


def test_headers(serve: Any) -> None:
    server = serve()
    target = target_of(
        server.port,
        login="me",
        passcode="pass:word",
        virtual_host="/v",
        queue_prefix="/queue/x:",
        credit_header="credit:{credit},0",
    )
    load = load_of(queue=True, name="n", ack="client", credit=7, persistent=True, receipts=1, rate=100, size=20)
    assert faults(finish(Generator(target, load))) == {}
    connect, subscribe, send = (server.commands(name)[0] for name in ("CONNECT", "SUBSCRIBE", "SEND"))
    assert connect.headers == {
        "accept-version": "1.2",
        "heart-beat": "0,0",
        "host": "/v",
        "login": "me",
        "passcode": "pass:word",
    }
    assert subscribe.headers | {"id": "", "receipt": ""} == {
        "id": "",
        "destination": r"/queue/x\cn",
        "ack": "client",
        "credit": "7,0",
        "receipt": "",
    }
    assert send.headers | {"receipt": ""} == {
        "destination": r"/queue/x\cn",
        "content-length": "20",
        "persistent": "true",
        "receipt": "",
    }
    assert len(send.body) == 20
    assert {frame.headers["id"] for frame in server.commands("ACK")}


def test_headers_that_nobody_asked_for_are_not_sent(serve: Any) -> None:
    server = serve()
    target = target_of(server.port, credit_header="")
    finish(Generator(target, load_of(ack="client", content_length=False, rate=100)))
    assert set(server.commands("SUBSCRIBE")[0].headers) == {"id", "destination", "ack", "receipt"}
    assert set(server.commands("SEND")[0].headers) == {"destination"}
    assert set(server.commands("CONNECT")[0].headers) == {"accept-version", "heart-beat", "host"}


def numbers_of(frames: list[Frame], header: str) -> list[str]:
    """What a header says in each of them."""
    return [frame.headers[header] for frame in frames]


def test_priorities_are_sent_in_turn_and_the_server_told_of_them(serve: Any) -> None:
    server = serve()
    target = target_of(server.port, priority_header="x-max-priority:9")
    assert faults(finish(Generator(target, load_of(queue=True, priorities=3, rate=1000)))) == {}
    sent = server.commands("SEND")
    assert numbers_of(sent[:7], "priority") == ["0", "1", "2", "0", "1", "2", "0"]
    assert {frame.headers["x-max-priority"] for frame in server.commands("SEND", "SUBSCRIBE")} == {"9"}
    assert len({frame.headers["destination"] for frame in sent}) == 1
    streams = [stamp_of(frame.body)[:2] for frame in sent[:4]]
    assert streams == [(0, 0), (1, 0), (2, 0), (0, 1)]


def test_each_group_has_one_sender(serve: Any) -> None:
    server = serve()
    assert faults(generate(server.port, queue=True, groups=5, publishers=2, rate=1000)) == {}
    sent = server.commands("SEND")
    assert {frame.headers["JMSXGroupID"] for frame in sent} == {str(1_000_000 + group) for group in range(5)}
    assert all(int(frame.headers["JMSXGroupID"]) - 1_000_000 == stamp_of(frame.body)[0] for frame in sent)


class Selects(FakeStomp):
    """Knows selectors of one form."""

    def on_subscribe(self, session: Session, frame: Frame) -> None:
        super().on_subscribe(session, frame)
        if "selector" in frame.headers:
            session.selects = frame.headers["selector"]

    def give(self, frame: Frame, body: bytes) -> None:
        for subscription in self.subscriptions[frame.headers["destination"]]:
            if self.wants(subscription.session.selects, frame.headers["key"]):
                subscription.session.write(self.message(subscription, frame, body))

    def wants(self, selector: str, key: str) -> bool:
        return selector == rf"numbers\c key = {key}"


class WantsAll(Selects):
    """Does not care for them."""

    def wants(self, selector: str, key: str) -> bool:
        return True


@pytest.mark.parametrize("queue", [False, True], ids=["topic", "queue"])
def test_every_message_is_selected_by_one(serve: Any, queue: bool) -> None:
    server = serve(Selects)
    target = target_of(server.port, selector_prefix="numbers: ")
    result = finish(Generator(target, load_of(queue=queue, selecting=True, subscribers=3, rate=1000)))
    assert faults(result) == {}
    assert result["totals"]["due"] == result["totals"]["sent"] == len(server.commands("SEND"))
    assert numbers_of(server.commands("SEND")[:4], "key") == ["1000000", "1000001", "1000002", "1000000"]


def test_what_was_not_selected_is_noticed(serve: Any) -> None:
    result = generate(serve(WantsAll).port, selecting=True, subscribers=3, **STEADY)
    assert faults(result) == {"corrupt": 2 * result["totals"]["sent"]}


def test_a_group_that_moves_is_noticed(serve: Any) -> None:
    class Tears(FakeStomp):
        """Gives each message to the consumer of its group, but the twentieth to the other."""

        def give(self, frame: Frame, body: bytes) -> None:
            there = self.subscriptions[frame.headers["destination"]]
            group = int(frame.headers["JMSXGroupID"]) + (len(self.commands("SEND")) == 20)
            chosen = there[group % 2]
            chosen.session.write(self.message(chosen, frame, body))

    result = generate(serve(Tears).port, queue=True, groups=4, subscribers=2, **STEADY)
    assert faults(result) == {"disordered": 1}


class Keeps(FakeStomp):
    """Keeps what a topic was sent, for whoever comes."""

    def on_subscribe(self, session: Session, frame: Frame) -> None:
        super().on_subscribe(session, frame)
        kept = [each for each in self.commands("SEND") if each.headers["destination"] == frame.headers["destination"]]
        there = Subscription(session, frame.headers["id"], "auto")
        for each in self.replayed(kept):
            session.write(self.message(there, each, each.body))

    def replayed(self, kept: list[Frame]) -> list[Frame]:
        return kept


def test_a_replay_is_asked_for_again_and_again(serve: Any) -> None:
    server = serve(Keeps)
    target = target_of(server.port, replay_header="newest:{count}")
    result = finish(Generator(target, load_of(kind="replay", messages=20)))
    assert faults(result) == {}
    assert len(server.commands("SEND")) == 20
    asked = [frame for frame in server.commands("SUBSCRIBE") if "newest" in frame.headers]
    assert set(numbers_of(asked, "newest")) == {"20"}
    assert result["totals"]["due"] == 20 * len(asked) >= 20 * result["operations"] >= 20
    assert "newest" not in server.commands("SUBSCRIBE")[0].headers


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda kept: kept[:7] + kept[8:], {"lost": 1}),
        (lambda kept: [*kept, *kept[-1:]], {"duplicated": 1}),
        (lambda kept: [*kept[:7], kept[8], kept[7], *kept[9:]], {"disordered": 1}),
    ],
    ids=["one is missing", "one comes twice", "one is late"],
)
def test_each_replay_is_checked(serve: Any, change: Callable[[list[Frame]], list[Frame]], fault: Any) -> None:
    class Errs(Keeps):
        erred = False

        def replayed(self, kept: list[Frame]) -> list[Frame]:
            once = len(kept) == 20 and not self.erred
            self.erred = self.erred or once
            return change(kept) if once else kept

    assert faults(generate(serve(Errs).port, kind="replay", messages=20, patience=0.5)) == fault


class Punctual(FakeStomp):
    """Delivers when it is asked to."""

    before, after = 0.0, 0.0

    def on_send(self, session: Session, frame: Frame) -> None:
        delay = int(frame.headers["AMQ_SCHEDULED_DELAY"]) / 1000
        threading.Timer(max(delay * (not self.before) + self.after, 0), self.deliver, [frame]).start()


def test_a_schedule_is_due_at_one_moment(serve: Any) -> None:
    server = serve(Punctual)
    result = generate(server.port, kind="schedule", messages=50, delay=0.4)
    assert faults(result) == {}
    sent = server.commands("SEND")
    assert len(sent) == 50
    assert len({stamp_of(frame.body)[2] for frame in sent}) == 1
    assert all(len(delay) == 7 and int(delay) <= 402 for delay in numbers_of(sent, "AMQ_SCHEDULED_DELAY"))


def test_what_is_scheduled_and_comes_early_is_noticed(serve: Any) -> None:
    class Early(Punctual):
        before = 1.0

    assert faults(generate(serve(Early).port, kind="schedule", messages=50, delay=0.4)) == {"corrupt": 50, "lost": 50}


def test_what_is_scheduled_and_comes_late_is_late(serve: Any) -> None:
    class Late(Punctual):
        after = 0.3

    result = generate(serve(Late).port, kind="schedule", messages=50, delay=0.2)
    assert faults(result) == {}
    assert result["deliver_seconds"] >= 0.3
    assert min(values(result, "latency")) >= 0.3e9


def test_what_is_scheduled_and_never_comes_is_lost(serve: Any) -> None:
    result = generate(serve(Silent).port, kind="schedule", messages=50, delay=0.1, patience=0.3)
    assert faults(result) == {"lost": 50}


def test_transactions_are_whole(serve: Any) -> None:
    server = serve()
    result = generate(server.port, transaction=5, receipts=1, rate=1000)
    assert faults(result) == {}
    text = "".join(frame.command[0] for frame in server.commands("BEGIN", "SEND", "COMMIT"))
    assert re.fullmatch("(BSSSSSC)+", text)
    assert not [frame for frame in server.commands("SEND") if "receipt" in frame.headers]
    assert len({frame.headers["receipt"] for frame in server.commands("COMMIT")}) == len(text) / 7
    assert result["totals"]["sent"] == 5 * len(text) / 7


def test_each_acknowledgement_is_of_a_message(serve: Any) -> None:
    for ack, subscribers in (("client-individual", 3), ("client", 1)):
        server = serve()
        result = generate(server.port, queue=True, ack=ack, subscribers=subscribers, rate=500)
        assert faults(result) == {}
        acks = [int(frame.headers["id"]) for frame in server.commands("ACK")]
        if ack == "client-individual":
            assert sorted(acks) == list(range(result["totals"]["received"]))
        else:
            assert acks == sorted(set(acks))
            assert acks[-1] == result["totals"]["received"] - 1


def test_subscriptions_of_a_server_that_gives_no_receipts_for_them(serve: Any) -> None:
    class NoReceipts(FakeStomp):
        def on_subscribe(self, session: Session, frame: Frame) -> None:
            assert "receipt" not in frame.headers
            super().on_subscribe(session, frame)

    for load in ({"rate": 100, "destinations": 3}, {"kind": "churn"}):
        server = serve(NoReceipts)
        generator = Generator(target_of(server.port, subscribe_receipts=False), load_of(name="s", **load))
        assert faults(finish(generator)) == {}
        assert "/topic/s.confirm" in {frame.headers["destination"] for frame in server.commands("SEND")}


def test_bystanders_and_patterns(serve: Any) -> None:
    server = serve()
    generate(server.port, bystanders=3, pattern="{name}.*.{name}", subscribers=2, name="n", rate=100, patience=0.1)
    destinations = Counter(frame.headers["destination"] for frame in server.commands("SUBSCRIBE"))
    assert destinations == {"/topic/n.*.n": 2, **{f"/topic/n.*.{number:07}": 1 for number in range(3)}}
    assert len(server.sessions) == 1 + 2 + 1


def test_churn_goes_through_all_topics(serve: Any) -> None:
    server = serve()
    result = generate(server.port, kind="churn", connections=2, destinations=5)
    subscribed, ended = server.commands("SUBSCRIBE"), server.commands("UNSUBSCRIBE")
    assert len({frame.headers["destination"] for frame in subscribed}) == 5
    assert len(subscribed) == len(ended) >= result["operations"]
    assert not any(server.subscriptions.values())


def test_the_backlog_is_there_before_the_first_consumer(serve: Any) -> None:
    class Measures(FakeStomp):
        before, deepest = 0, 0

        def on_subscribe(self, session: Session, frame: Frame) -> None:
            if frame.headers["destination"].startswith("/queue/"):
                self.before = self.before or len(self.waiting)
            super().on_subscribe(session, frame)

        def deliver(self, frame: Frame) -> None:
            with self.lock:
                super().deliver(frame)
                self.deepest = max(self.deepest, len(self.commands("SEND")) - self.delivered)

    server = serve(Measures)
    result = generate(server.port, queue=True, backlog=100, publishers=3, window=30, ack="client-individual")
    assert faults(result) == {}
    assert result["totals"]["received"] >= 100  # on a busy machine nothing may come in the window
    assert server.before == 100
    assert 100 <= server.deepest <= 130


# ---- how much is under way ----


class Silent(FakeStomp):
    """Takes everything and delivers nothing."""

    def deliver(self, frame: Frame) -> None:
        pass


def test_the_window_bounds_what_is_under_way() -> None:
    loads: tuple[dict[str, Any], ...] = (
        {"subscribers": 1},
        {"publishers": 3, "subscribers": 1},
        {"publishers": 2, "destinations": 2, "subscribers": 4},
    )
    runs = together({at: partial(against, Silent, window=30, patience=0.1, **load) for at, load in enumerate(loads)})
    for at, load in enumerate(loads):
        result = runs[at].result()
        assert result["totals"]["sent"] == 30
        assert faults(result) == {"lost": 30 * load["subscribers"] // load.get("destinations", 1)}


class NoReceipts(FakeStomp):
    """Confirms subscriptions, and no message."""

    def confirm(self, session: Session, frame: Frame) -> None:
        if frame.command not in ("SEND", "COMMIT"):
            super().confirm(session, frame)


@pytest.mark.parametrize(
    ("load", "sent", "open_"), [({"receipts": 4}, 8, 8), ({"receipts": 2, "transaction": 5}, 20, 4)]
)
def test_receipts_bound_what_each_publisher_sends(load: dict[str, Any], sent: int, open_: int) -> None:
    result = against(NoReceipts, publishers=2, patience=0.1, **load)
    assert result["totals"]["sent"] == result["totals"]["received"] == sent
    assert faults(result) == {"unconfirmed": open_}


def test_receipts_are_timed(serve: Any) -> None:
    class Thinks(FakeStomp):
        def confirm(self, session: Session, frame: Frame) -> None:
            later(0.02 * (frame.command == "SEND"))
            super().confirm(session, frame)

    result = generate(serve(Thinks).port, receipts=1, seconds=0.3)
    assert min(values(result, "receipt")) >= 0.02e9 * 0.999
    assert 0 < result["receipts"] <= result["seconds"] / 0.02 + 1


# ---- a server that does something wrong ----


class Changes(FakeStomp):
    """Delivers something else instead of message 20."""

    instead: Callable[[bytes], list[bytes]]

    def changed(self, number: int, body: bytes) -> list[bytes]:
        return type(self).instead(body) if number == 20 else [body]


def changing(instead: Callable[[bytes], list[bytes]]) -> type[Changes]:
    return type("Changing", (Changes,), {"instead": staticmethod(instead)})


STEADY = {"rate": 1000, "patience": 1}


def flipped(body: bytes, at: int, to: bytes = b"?") -> bytes:
    return body[:at] + (to if body[at : at + 1] != to else b"0") + body[at + 1 :]


Instead = Callable[[bytes], list[bytes]]
GOES_WRONG: dict[str, tuple[Instead, dict[str, int]]] = {
    "lost": (lambda body: [], {"lost": 1}),
    "twice": (lambda body: [body, body], {"duplicated": 1}),
    "three times": (lambda body: [body, body, body], {"duplicated": 2}),
    "cut": (lambda body: [body[:-1]], {"corrupt": 1, "lost": 1}),
    "too long": (lambda body: [body + b"x"], {"corrupt": 1, "lost": 1}),
    "empty": (lambda body: [b""], {"corrupt": 1, "lost": 1}),
    "no letter": (lambda body: [flipped(body, 5, b"~")], {"corrupt": 1, "lost": 1}),
    "two line feeds": (lambda body: [b"\n\n" + body[2:]], {"corrupt": 1, "lost": 1}),
    "another stream": (lambda body: [b"ooo" + body[3:]], {"corrupt": 1, "lost": 1}),
    "a number never sent": (lambda body: [flipped(body, 3, b"1")], {"corrupt": 1, "lost": 1}),
    "a time to come": (lambda body: [flipped(body, 9, b"1")], {"corrupt": 1, "lost": 1}),
    "one that nobody sent": (lambda body: [b"y" * len(body), body], {"corrupt": 1}),
}
TO = {
    (kind, subscribers): {"queue": kind == "queue", "subscribers": subscribers}
    for kind in ("topic", "queue")
    for subscribers in (1, 3)
}


@pytest.fixture(scope="module")
def gone_wrong() -> Results:
    return together(
        {
            (name, *to): partial(against, changing(instead), **load, **STEADY)
            for name, (instead, _) in GOES_WRONG.items()
            for to, load in TO.items()
        }
    )


@pytest.mark.parametrize("name", GOES_WRONG)
@pytest.mark.parametrize(("kind", "subscribers"), TO)
def test_one_message_goes_wrong(gone_wrong: Results, name: str, kind: str, subscribers: int) -> None:
    result, found = gone_wrong[name, kind, subscribers].result(), GOES_WRONG[name][1]
    copies = 1 if kind == "queue" else subscribers
    assert result["totals"]["sent"] > 50
    assert faults(result) == {fault: copies * count for fault, count in found.items()}


def test_verified_bodies_are_compared_to_the_last_byte() -> None:
    def run(at: int) -> dict[str, Any]:
        return against(changing(lambda body: [flipped(body, at)]), verify=True, publishers=2, **STEADY)

    runs = together({at: partial(run, at) for at in (0, 8, 15, 16, 21, 22, 60, 99)})
    assert {at: faults(made.result()) for at, made in runs.items()} == {at: {"corrupt": 1, "lost": 1} for at in runs}


def test_what_is_not_verified_is_not_compared(serve: Any) -> None:
    assert faults(generate(serve(changing(lambda body: [flipped(body, 60)])).port, **STEADY)) == {}


class Disorders(FakeStomp):
    """Delivers message 20 behind message 23."""

    held = b""

    def changed(self, number: int, body: bytes) -> list[bytes]:
        if number == 20:
            self.held = body
        return [] if number == 20 else [body, self.held] if number == 23 else [body]


@pytest.mark.parametrize("queue", [False, True], ids=["topic", "queue"])
def test_one_message_comes_late(serve: Any, queue: bool) -> None:
    result = generate(serve(Disorders).port, queue=queue, **STEADY)
    assert faults(result) == {"disordered": 1}


def test_competing_consumers_each_have_their_order(serve: Any) -> None:
    class Deals(FakeStomp):
        """To two consumers in turn, and each pair of messages for the second in the wrong order."""

        held: Any = None

        def deliver(self, frame: Frame) -> None:
            with self.lock:
                number = next(self.sent)
                there = self.subscriptions[frame.headers["destination"]]
                if number % 4 == 1:
                    self.held = frame
                    return
                there[number % 2].session.write(self.message(there[number % 2], frame, frame.body))
                if number % 4 == 3:
                    there[1].session.write(self.message(there[1], self.held, self.held.body))
                    self.held = None

    server = serve(Deals)
    result = generate(server.port, queue=True, subscribers=2, **STEADY)
    quarters = result["totals"]["sent"] // 4
    assert faults(result).pop("disordered") == quarters
    assert result["totals"]["lost"] <= 1


def test_what_is_delivered_again_may_be_out_of_order() -> None:
    class Redelivers(Disorders):
        def message(self, subscription: Subscription, frame: Frame, body: bytes, *headers: str) -> bytes:
            again = ["redelivered:true"] if body == self.held else []
            return super().message(subscription, frame, body, *again)

    loads: tuple[dict[str, Any], ...] = ({"queue": True}, {"queue": True, "subscribers": 2}, {})
    runs = together({at: partial(against, Redelivers, **load, **STEADY) for at, load in enumerate(loads)})
    assert [faults(runs[at].result()) for at in range(3)] == [{}, {}, {"disordered": 1}]


def test_a_queue_that_gives_everything_to_everybody(serve: Any) -> None:
    class Copies(FakeStomp):
        def receivers(self, destination: str) -> list[Subscription]:
            return self.subscriptions[destination]

    result = generate(serve(Copies).port, queue=True, subscribers=3, **STEADY)
    assert faults(result) == {"duplicated": 2 * result["totals"]["sent"]}


class Mixes(FakeStomp):
    """Gives what is sent to one of two topics to those of the other."""

    def receivers(self, destination: str) -> list[Subscription]:
        return super().receivers(
            destination.translate(str.maketrans("01", "10")) if destination[-1] in "01" else destination
        )


class Drops(FakeStomp):
    """Of ten messages one does not come, and one comes twice."""

    def changed(self, number: int, body: bytes) -> list[bytes]:
        return [] if number % 10 == 3 else [body, body] if number % 10 == 7 else [body]


class Confuses(FakeStomp):
    """Gives message 20 twice to one subscriber and never to the other."""

    def receivers(self, destination: str) -> list[Subscription]:
        there = super().receivers(destination)
        return [there[0], there[0]] if self.number == 20 else there

    def changed(self, number: int, body: bytes) -> list[bytes]:
        self.number = number
        return [body]


@pytest.fixture(scope="module")
def losses() -> Results:
    return together(
        {
            Mixes: partial(against, Mixes, destinations=2, publishers=2, subscribers=2, name="n", **STEADY),
            Silent: partial(against, Silent, subscribers=2, **STEADY),
            Drops: partial(against, Drops, publishers=3, subscribers=2, **STEADY),
            Confuses: partial(against, Confuses, subscribers=2, **STEADY),
        }
    )


def test_a_topic_that_goes_to_the_wrong_subscriber(losses: Results) -> None:
    result = losses[Mixes].result()
    sent = result["totals"]["sent"]
    assert faults(result) in ({"corrupt": sent, "lost": sent}, {"lost": sent})


def test_everything_is_lost(losses: Results) -> None:
    result = losses[Silent].result()
    assert result["totals"]["received"] == 0
    assert faults(result) == {"lost": 2 * result["totals"]["sent"]}


def test_a_loss_does_not_hide_what_comes_after_it(losses: Results) -> None:
    result = losses[Drops].result()
    sent = result["totals"]["sent"]
    assert faults(result) == {
        "lost": 2 * len(range(3, sent, 10)),
        "duplicated": 2 * len(range(7, sent, 10)),
    }


def test_each_subscriber_is_checked_by_itself(losses: Results) -> None:
    result = losses[Confuses].result()
    assert result["totals"]["received"] == result["totals"]["due"]
    assert faults(result) == {"lost": 1, "duplicated": 1}


@pytest.mark.parametrize("kind", ["ping", "request"])
def test_a_round_trip_that_does_not_end(serve: Any, kind: Any) -> None:
    class Forgets(FakeStomp):
        def changed(self, number: int, body: bytes) -> list[bytes]:
            return [body] if number < 21 else []

    result = generate(serve(Forgets).port, kind=kind, warm_up=0, patience=0.2)
    assert faults(result) == {"lost": 1}
    assert result["operations"] == (21 if kind == "ping" else 10)


# ---- a server that is slow ----


class Stalls(FakeStomp):
    """Stands still for a while in the middle of the measuring."""

    def deliver(self, frame: Frame) -> None:
        if next(self.turn) == 100:
            later(0.4)
        super().deliver(frame)


STALLED: dict[str, dict[str, Any]] = {
    "flow": {},
    "ping": {"kind": "ping", "connections": 1},
    "large": {"size": 100_000},
}


@pytest.fixture(scope="module")
def stalled() -> Results:
    return together({name: partial(against, Stalls, rate=400, seconds=0.6, **load) for name, load in STALLED.items()})


@pytest.mark.parametrize("name", STALLED)
def test_a_stalled_server_shows_in_the_latency(stalled: Results, name: str) -> None:
    """All that was meant to be sent while it stood still counts, whether or not it could be sent."""
    result = stalled[name].result()
    assert faults(result) == {}
    times = values(result, "latency")
    assert len(times) == pytest.approx(result["seconds"] * 400, abs=2)
    assert max(times) >= 0.4e9 * 0.999
    slow = len([ns for ns in times if ns > 0.1e9])
    assert slow >= 0.25 * 400
    if name == "flow":
        assert max(values(result, "send_delay")) < max(times)


def test_what_the_server_never_takes_is_reported(serve: Any) -> None:
    class Clogs(FakeStomp):
        def deliver(self, frame: Frame) -> None:
            self.clog.acquire()

        def __init__(self) -> None:
            from threading import Semaphore

            self.clog = Semaphore(3)
            super().__init__()

        def close(self) -> None:
            self.clog.release(10**6)
            super().close()

    result = generate(serve(Clogs).port, rate=200, size=1_000_000, seconds=0.5, patience=0.3)
    totals = result["totals"]
    assert totals["unsent"] > 0
    assert totals["sent"] + totals["unsent"] >= (0.02 + result["seconds"]) * 200 - 1
    assert totals["lost"] == totals["sent"]
    assert result["blocked_seconds"] > 0


def test_slow_subscribers_do_not_read(serve: Any) -> None:
    class Drops(FakeStomp):
        """Hangs up on those that do not read."""

        def receivers(self, destination: str) -> list[Subscription]:
            if next(self.turn) == 50:
                self.sessions[-1].write(b"ERROR\nmessage:too slow\n\n\0")
                self.sessions[-1].hang_up()
            return super().receivers(destination)

    for kind, hung_up in ((FakeStomp, 0), (Drops, 1)):
        server = serve(kind)
        result = generate(server.port, slow=2, destinations=3, **STEADY)
        assert (faults(result), result["hung_up"]) == ({}, hung_up)
        assert result["totals"]["due"] == result["totals"]["sent"]
        subscribed = Counter(frame.headers["destination"] for frame in server.commands("SUBSCRIBE"))
        assert set(subscribed.values()) == {3}


def test_a_slow_subscriber_of_the_broker_is_dropped(broker_with: Callable[..., Broker]) -> None:
    broker = broker_with(limits={"outbound_soft": "64 KiB", "outbound_hard": "5 MiB", "slow_consumer_grace": "400ms"})
    # Not all that it can: on a busy machine the one that reads would be slow too.
    result = generate(broker.ports["tcp"], slow=1, seconds=1.2, size=5000, rate=4000)
    assert faults(result) == {}
    assert result["hung_up"] == 1


# ---- a server that ends it ----


class AnswersWith(FakeStomp):
    """Answers the 20th SEND with bytes, and then hangs up."""

    last_words = b""

    def on_send(self, session: Session, frame: Frame) -> None:
        if next(self.turn) < 20:
            super().on_send(session, frame)
        else:
            session.write(self.last_words)
            session.hang_up()


def answering(last_words: bytes) -> type[AnswersWith]:
    return type("Answering", (AnswersWith,), {"last_words": last_words})


@pytest.mark.parametrize(
    ("last_words", "message"),
    [
        (b"", r"the server hung up on a publisher"),
        (b"ERROR\nmessage:enough\n\nof you\0", r"the server refused a publisher: ERROR\nmessage:enough\n\nof you"),
        (b"ERROR\nmessage:en\x1b[0m", r"the server hung up on a publisher: ERROR\nmessage:en\.\[0m"),
        (b"HELLO\n\n\0", r"the server sent something unexpected to a publisher: HELLO"),
        (CONNECTED, r"the server sent something unexpected to a publisher: CONNECTED"),
        (b"RECEIPT\nreceipt-id:77\n\n\0", r"the server sent a receipt that was not asked for to a publisher: RECEIPT"),
        (b"RECEIPT\n\n\0", r"the server sent a receipt that was not asked for to a publisher"),
        (b"RECEIPT\nreceipt-id:" + b"a" * 24 + b"\n\n\0", r"the server sent a receipt that is not open to a publisher"),
        (b"MESSAGE\nsubscription:1\n\nhello\0", r"the server sent a message that is none of theirs to a publisher"),
    ],
)
def test_the_last_words_of_a_server(serve: Any, last_words: bytes, message: str) -> None:
    with pytest.raises(GeneratorError, match=message):
        generate(serve(answering(last_words)).port, **STEADY)


def test_a_long_error_is_cut(serve: Any) -> None:
    with pytest.raises(GeneratorError) as raised:
        generate(serve(answering(b"ERROR\nmessage:" + b"x" * 5000 + b"\n\n\0")).port, **STEADY)
    assert len(str(raised.value)) < 400


def test_a_failed_load_stays_failed(serve: Any) -> None:
    generator = Generator(target_of(serve(answering(b"")).port), load_of(**STEADY))
    for _ in range(2):
        with pytest.raises(GeneratorError, match="hung up"):
            finish(generator)
    assert generator.result()["totals"]["sent"] > 0


def test_an_error_is_found_even_when_nobody_reads_what_we_send(serve: Any) -> None:
    class Cuts(FakeStomp):
        def on_send(self, session: Session, frame: Frame) -> None:
            session.write(b"ERROR\nmessage:no more of these\n\n\0")
            session.reset()

    for _ in range(5):
        with pytest.raises(GeneratorError, match=r"no more of these|broke the connection of a publisher"):
            generate(serve(Cuts).port, size=100_000)


def test_a_subscriber_is_hung_up_on(serve: Any) -> None:
    class Leaves(FakeStomp):
        def deliver(self, frame: Frame) -> None:
            if next(self.turn) < 20:
                super().deliver(frame)
            else:
                for subscription in self.receivers(frame.headers["destination"]):
                    subscription.session.hang_up()

    with pytest.raises(GeneratorError, match="the server hung up on a subscriber"):
        generate(serve(Leaves).port, **STEADY)


def test_a_receipt_that_comes_twice(serve: Any) -> None:
    class Twice(FakeStomp):
        def confirm(self, session: Session, frame: Frame) -> None:
            super().confirm(session, frame)
            if frame.command == "SEND":
                super().confirm(session, frame)

    with pytest.raises(GeneratorError, match="a receipt that is not open"):
        generate(serve(Twice).port, receipts=10, **STEADY)


def test_a_subscription_that_is_confirmed_twice(serve: Any) -> None:
    class Twice(FakeStomp):
        def confirm(self, session: Session, frame: Frame) -> None:
            super().confirm(session, frame)
            super().confirm(session, frame)

    with pytest.raises(GeneratorError, match="confirmed what was not asked for to a subscriber"):
        generate(serve(Twice).port, **STEADY)


def test_a_message_that_cannot_be_acknowledged(serve: Any) -> None:
    class NoAck(FakeStomp):
        def message(self, subscription: Subscription, frame: Frame, body: bytes, *headers: str) -> bytes:
            return super().message(subscription._replace(ack="auto"), frame, body, *headers)

    for ack in ("client", "client-individual"):
        with pytest.raises(GeneratorError, match="a message without an ack header to a subscriber"):
            generate(serve(NoAck).port, queue=True, ack=ack, **STEADY)


def test_a_request_that_does_not_say_where_the_answer_goes(serve: Any) -> None:
    class NoReply(FakeStomp):
        def deliver(self, frame: Frame) -> None:
            frame.headers.pop("reply-to", None)
            super().deliver(frame)

    with pytest.raises(GeneratorError, match="a request with no reply-to"):
        generate(serve(NoReply).port, kind="request")


def test_a_frame_without_an_end(serve: Any) -> None:
    class Endless(FakeStomp):
        def on_connect(self, session: Session, frame: Frame) -> None:
            session.write(b"CONNECTED\n" + b"x" * (65 << 20))

    with pytest.raises(GeneratorError, match="a frame without an end to a"):
        generate(serve(Endless).port)


def test_a_message_for_a_bystander(serve: Any) -> None:
    class Wide(FakeStomp):
        def receivers(self, destination: str) -> list[Subscription]:
            return [each for there in self.subscriptions.values() for each in there]

    with pytest.raises(GeneratorError, match="a message that is none of theirs to the bystander"):
        generate(serve(Wide).port, bystanders=2, **STEADY)


# ---- a server that lets nobody in ----


def test_nobody_listens() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        with pytest.raises(GeneratorError, match=rf"no connection to 127\.0\.0\.1:{port}: .*refused"):
            generate(port)


def test_nobody_answers(serve: Any) -> None:
    class Mute(FakeStomp):
        def handle(self, session: Session, frame: Frame) -> None:
            pass

    message = r"did not answer for 0\.1 seconds: 0 of 3 connections are logged in"
    with pytest.raises(GeneratorError, match=message):
        generate(serve(Mute).port, subscribers=2, patience=0.1)
    for kind in ("connect", "storm"):
        result = generate(serve(Mute).port, kind=kind, connections=5, patience=0.1)
        assert faults(result) == {"lost": 5}
        assert result["operations"] == 0


def test_nobody_accepts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, pytest.raises(GeneratorError, match="did not answer"):
        generate(server.getsockname()[1], patience=0.1)


def test_subscriptions_are_not_confirmed(serve: Any) -> None:
    class Forgets(FakeStomp):
        def confirm(self, session: Session, frame: Frame) -> None:
            pass

    with pytest.raises(GeneratorError, match="1 of 2 connections are logged in"):
        generate(serve(Forgets).port, patience=0.1)
    result = generate(serve(Forgets).port, kind="churn", connections=3, patience=0.1)
    assert faults(result) == {"lost": 3}


def test_the_login_is_refused(serve: Any) -> None:
    class Asks(FakeStomp):
        def on_connect(self, session: Session, frame: Frame) -> None:
            known = frame.headers.get("login") == "me" and frame.headers.get("passcode") == "secret"
            session.write(CONNECTED if known else b"ERROR\nmessage:who are you?\n\n\0")

    with pytest.raises(
        GeneratorError, match=r"the server refused a (publisher|subscriber): ERROR\nmessage:who are you\?$"
    ):
        generate(serve(Asks).port)
    generator = Generator(target_of(serve(Asks).port, login="me", passcode="secret"), load_of(rate=100))
    assert faults(finish(generator)) == {}


def test_something_else_answers(serve: Any) -> None:
    class Web(FakeStomp):
        def on_connect(self, session: Session, frame: Frame) -> None:
            session.write(b"HTTP/1.1 400 Bad Request\r\n\r\n\0")

    with pytest.raises(GeneratorError, match=r"something unexpected to a \w+: HTTP/1\.1 400"):
        generate(serve(Web).port)


def test_disconnect_without_a_receipt(serve: Any) -> None:
    class Leaves(FakeStomp):
        def on_disconnect(self, session: Session, frame: Frame) -> None:
            session.hang_up()

    with pytest.raises(GeneratorError, match="hung up on a client"):
        generate(serve(Leaves).port, kind="connect")


# ---- how bytes come ----


class Crumbles(FakeStomp):
    """Writes in small pieces, and with as many line feeds between frames as it likes."""

    def greet(self, connection: socket.socket) -> None:
        super().greet(connection)
        session = self.sessions[-1]
        whole = session.write

        def write(data: bytes) -> None:
            data += b"\n\r\n\n"
            for at in range(0, len(data), 37):
                whole(data[at : at + 37])

        session.write = write  # type: ignore[method-assign]


PIECES: tuple[dict[str, Any], ...] = (
    {},
    {"ack": "client-individual"},
    {"receipts": 3},
    {"verify": True, "size": 5000},
)


def test_frames_may_come_in_pieces() -> None:
    runs = {at: partial(against, Crumbles, publishers=2, rate=500, **load) for at, load in enumerate(PIECES)}
    assert not {at: found for at, run in together(runs).items() if (found := faults(run.result()))}


def test_lines_may_end_in_two_characters(serve: Any) -> None:
    class Windows(FakeStomp):
        def greet(self, connection: socket.socket) -> None:
            super().greet(connection)
            session = self.sessions[-1]
            whole = session.write

            def write(data: bytes) -> None:
                head, _, body = data.partition(b"\n\n")
                whole(head.replace(b"\n", b"\r\n") + b"\r\n\r\n" + body)

            session.write = write  # type: ignore[method-assign]

    for load in ({"ack": "client-individual", "receipts": 1}, {"kind": "request"}, {"kind": "connect"}):
        assert faults(generate(serve(Windows).port, **{"rate": 500, **load})) == {}


def test_receipts_may_come_in_any_order(serve: Any) -> None:
    class Shuffles(FakeStomp):
        held: list[Frame] = []

        def confirm(self, session: Session, frame: Frame) -> None:
            if frame.command != "SEND":
                super().confirm(session, frame)
                return
            self.held = [*self.held, frame]
            if len(self.held) == 3:
                for each in reversed(self.held):
                    super().confirm(session, each)
                self.held = []

    result = generate(serve(Shuffles).port, receipts=UNBOUNDED, rate=600, patience=0.2)
    assert faults(result).pop("unconfirmed", 0) == result["totals"]["sent"] % 3
    assert result["totals"]["received"] == result["totals"]["sent"]


# ---- the other protocols ----


@contextmanager
def a_relay() -> Iterator[int]:
    """It gives everybody everything."""
    with subprocess.Popen([programs.relay()], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        listening = re.fullmatch(r"listening on tcp://127\.0\.0\.1:(\d+)\n", process.stdout.readline())
        assert listening
        yield int(listening[1])
        process.kill()


@pytest.fixture(scope="module")
def compiler() -> None:
    if not shutil.which(programs.compiler()):
        pytest.skip("no C compiler")
    programs.relay()


RELAYED: dict[str, dict[str, Any]] = {
    "1 to 1": {},
    "fan-out": {"subscribers": 10},
    "mixed": {"publishers": 3, "subscribers": 4},
    "window": {"queue": True, "window": 2000},
    "as if acknowledged": {"queue": True, "window": 100, "ack": "client-individual"},
    "verified": {"verify": True, "size": 100_000},
    "rate": {"rate": 1000},
    "ping": {"kind": "ping"},
    "connect": {"kind": "connect"},
    "storm": {"kind": "storm", "connections": 20},
    "idle": {"kind": "idle", "connections": 20},
}


@pytest.fixture(scope="module")
def relayed(compiler: None) -> Results:
    def run(load: dict[str, Any]) -> dict[str, Any]:
        with a_relay() as port:
            return generate(port, "relay", **load)

    return together({name: partial(run, load) for name, load in RELAYED.items()})


@pytest.mark.parametrize("name", RELAYED)
def test_loads_on_the_relay(relayed: Results, name: str) -> None:
    load, result = RELAYED[name], relayed[name].result()
    assert faults(result) == {}
    assert result["totals"]["received"] == result["totals"]["due"]
    assert result["totals"]["due"] > 0 or load.get("kind") == "idle"


def test_the_relay_is_no_stomp_server(compiler: None) -> None:
    refusal = pytest.raises(GeneratorError, match=r"hung up on a publisher|broke the connection of a publisher")
    with a_relay() as port, refusal:
        generate(port)


def test_a_stomp_server_is_no_relay(broker: Broker) -> None:
    with pytest.raises(GeneratorError, match=r"did not answer|refused|hung up|is not the relay"):
        generate(broker.ports["tcp"], "relay", patience=0.1)


# `python -m bench.peers.install` puts it there.
BUILT = Path(__file__).parents[2] / "build" / "bench-peers" / "nats-server"


@pytest.fixture(scope="module")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    program = shutil.which("nats-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin:{BUILT}")
    if not program:
        pytest.skip("there is no nats-server")
    directory = tmp_path_factory.mktemp("nats")
    log = directory / "log"
    command = [program, "-a", "127.0.0.1", "-p", "-1", "-js", "-sd", str(directory)]
    with log.open("w") as out, subprocess.Popen(command, stderr=out) as process:
        listening = eventually(
            lambda: re.search(r"Listening for client connections on 127\.0\.0\.1:(\d+)", log.read_text()),
            "nats-server listens",
        )
        yield int(listening[1])
        process.terminate()


ON_NATS: dict[str, dict[str, Any]] = {
    "1 to 1": {},
    "several": {"publishers": 3, "subscribers": 4, "destinations": 5},
    "pattern": {"destinations": 20, "subscribers": 2, "pattern": "{name}.*", "bystanders": 10},
    "verified": {"verify": True, "size": 100_000},
    "window": {"window": 100},
    "rate": {"rate": 1000},
    "slow": {"slow": 1},
    "ping": {"kind": "ping", "connections": 2},
    "request": {"kind": "request", "publishers": 3, "subscribers": 2},
    "connect": {"kind": "connect"},
    "storm": {"kind": "storm", "connections": 20},
    "churn": {"kind": "churn", "destinations": 3},
    "idle": {"kind": "idle", "connections": 20},
}


@pytest.fixture(scope="module")
def on_nats(nats: int) -> Results:
    return together({name: partial(generate, nats, "nats", **load) for name, load in ON_NATS.items()})


@pytest.mark.parametrize("name", ON_NATS)
def test_loads_on_nats(on_nats: Results, name: str) -> None:
    load, result = ON_NATS[name], on_nats[name].result()
    assert faults(result) == {}
    assert result["totals"]["received"] == result["totals"]["due"]
    assert result["totals"]["due"] > 0 or load.get("kind") == "idle"


def test_nats_refuses(nats: int) -> None:
    with pytest.raises(GeneratorError, match="the server refused a publisher: -ERR 'Maximum Payload Violation'"):
        generate(nats, "nats", size=2_000_000)


ON_JETSTREAM: dict[str, dict[str, Any]] = {
    "queue": {"queue": True, "receipts": 10},
    "queues": {
        "queue": True,
        "receipts": 100,
        "publishers": 4,
        "subscribers": 4,
        "destinations": 4,
        "persistent": True,
    },
    "topic": {"durable": True, "subscribers": 3, "receipts": UNBOUNDED, "window": 1000},
    "rate": {"queue": True, "receipts": UNBOUNDED, "rate": 500},
    "drain": {"kind": "drain", "queue": True, "receipts": 100, "messages": 1000, "verify": True},
}


@pytest.fixture(scope="module")
def on_jetstream(nats: int) -> Results:
    loads = {name: {"ack": "client-individual", **load} for name, load in ON_JETSTREAM.items()}
    return together({name: partial(generate, nats, "jetstream", **load) for name, load in loads.items()})


@pytest.mark.parametrize("name", ON_JETSTREAM)
def test_loads_on_jetstream(on_jetstream: Results, name: str) -> None:
    load, result = ON_JETSTREAM[name], on_jetstream[name].result()
    assert faults(result) == {}
    assert result["totals"]["received"] == result["totals"]["due"] > 0
    assert values(result, "receipt") or load.get("kind") == "drain"


def test_jetstream_refuses(nats: int) -> None:
    with pytest.raises(GeneratorError, match=r"the server refused a (publisher|subscriber)"):
        generate(nats, "jetstream", queue=True, receipts=1, name="a..b")
