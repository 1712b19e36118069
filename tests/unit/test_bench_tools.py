"""The repository's benchmark: who is measured when, what is compared with what, and what the report says of it."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import click
import pytest
from rich.console import Console

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT))

from bench import comparison, markdown, turns
from bench.curves import CURVES
from bench.flatness import LIMIT, Point, judge
from bench.peers import (
    ACTIVEMQ_DURABLE,
    ARTEMIS,
    BROKER,
    DISK,
    JETSTREAM,
    NATS,
    RABBITMQ,
    RELAY,
    Peer,
    PeerFailed,
    Server,
)
from bench.record import Participant, Plan, Record, load, save
from bench.run import left_out
from bench.scenarios import ALL, BEYOND, GOALS, SETS, SURVIVING, Goal, chosen, needs_of
from bench.table import goals, render
from bench.turns import ON_ONE_CORE, Turn, delay_of, unfit
from fastbroker.bench import result
from fastbroker.bench.load import Load, Target
from fastbroker.bench.messaging import MESSAGING
from fastbroker.bench.result import Latency, Machine, Method, Result, UnknownFormat
from fastbroker.bench.run import Restarted
from fastbroker.bench.scenarios import Scenario

FLOOD, PING = ALL["flood-1-1"], ALL["ping"]
MACHINE = Machine(
    date="2026-01-02T03:04:05+00:00",
    processor="A Processor",
    cores=2,
    memory=2**33,
    system="Linux",
    kernel="6.1",
    python="3.11.7",
    load_before=0.1,
    versions={"fastbroker": "1.0"},
)


def a_plan(name: str, *scenarios: str) -> Plan:
    return Plan(name=name, scenarios=scenarios, peers=("fastbroker",), seconds=1, repeat=3, one_core=False)


PLAN, TRANSPORTS = a_plan("goals", "flood-1-1"), a_plan("transports", "flood-1-1")


def a_record(*results: Result, peers: tuple[Participant, ...] = (), plan: Plan = PLAN) -> Record:
    method = Method(repeat=3, core=1, own_server=True, text="3 runs of 1 s")
    return Record(machine=MACHINE, method=method, results=list(results), plan=plan, peers=list(peers))


def a_run(scenario: str, peer: str, rate: float | None = None, **numbers: object) -> Result:
    load = ALL[scenario].load if scenario in ALL else Load()
    made = Result(scenario=scenario, server=result.Server(name=peer, host="", port=0), load=load)
    made.deliveries_per_s = rate
    for name, value in numbers.items():
        setattr(made, name, value)
    return made


def a_latency(microseconds: float) -> Latency:
    p50 = microseconds
    return Latency(count=9, p50_us=p50, p90_us=p50 * 2, p99_us=p50 * 3, p99_9_us=p50 * 4, max_us=p50 * 5, histogram="")


# ---- goals, medians, ratios ----


@pytest.mark.parametrize(
    ("goal", "value", "met"),
    [
        (Goal(0.35, "relay"), 0.35, True),
        (Goal(0.35, "relay"), 0.34, False),
        (Goal(1, "nats-server", at_most=True), 1.0, True),
        (Goal(1, "nats-server", at_most=True), 1.01, False),
    ],
)
def test_a_goal_is_met_on_its_side_of_the_bound(goal: Goal, value: float, met: bool) -> None:
    assert goal.met(value) is met


def floods(**rates: tuple[float, ...]) -> list[Result]:
    names = {"nats": "nats-server"}
    return [a_run("flood-1-1", names.get(name, name), rate) for name, several in rates.items() for rate in several]


def test_ratios_are_of_medians_and_goals_are_judged_by_them() -> None:
    record = a_record(*floods(fastbroker=(5e6, 6e6, 4e6), relay=(10e6, 20e6, 9e6), nats=(2.5e6,)))
    assert [(outcome.value, outcome.met) for outcome in GOALS[0].outcomes(record)] == [(0.5, True), (2.0, True)]


def test_one_failed_run_leaves_nothing_to_compare() -> None:
    record = a_record(*floods(fastbroker=(1e6, 1e6), relay=(1e6,), nats=(1e6,)))
    record.results[0].failures.append("3 messages were lost")
    assert [outcome.met for outcome in GOALS[0].outcomes(record)] == [None, None]
    assert record.failures() == ["fastbroker: 3 messages were lost (flood-1-1)"]


@pytest.mark.parametrize(("late", "shown"), [(1, (3e6, "")), (2, (3e6, "‡"))])
def test_runs_with_a_late_generator_do_not_count_unless_they_are_the_most(late: int, shown: tuple[float, str]) -> None:
    runs = a_record(*floods(fastbroker=(9e6, 3e6, 3e6))).runs("flood-1-1", "fastbroker")
    for run in runs[:late]:
        run.invalid = "late"
    found = runs.spread("deliveries_per_s")
    assert found
    assert (found.median, runs.marks("deliveries_per_s")) == shown
    assert (found.high == 3e6) is (late == 1)


def test_the_table_has_medians_spreads_marks_and_goals() -> None:
    record = a_record(*floods(fastbroker=(5e6, 6e6, 4e6), relay=(10e6,), nats=(1e6,)))
    record.results[3].generator_bound = True
    console = Console(width=200, file=StringIO())
    console.print(render(record, "title"))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    for expected in ("5.00 M", "4.00 M–6.00 M", "10.0 M*", "of relay", "× nats", "CPU µs"):
        assert expected in text
    assert [goal.plain for goal in goals(record)] == [
        "flood-1-1, delivered: ≥ 0.35 × relay: 0.50 ×, met",
        "flood-1-1, delivered: ≥ 2 × nats-server: 5.00 ×, met",
    ]


def test_transports_are_judged_against_our_own_tcp() -> None:
    rates = {"fastbroker": 4e6, "fastbroker-ws": 2.4e6, "fastbroker-tls": 1.3e6, "rabbitmq-ws": 9e6}
    runs = [a_run("flood-1-1", name, rate) for name, rate in rates.items()]
    idle = [a_run("idle-1k", "fastbroker-ws", None, server_memory_per_connection=25 * 1024)]
    record = a_record(*runs, *idle, plan=TRANSPORTS)
    assert [goal.plain for goal in goals(record)] == [
        "flood-1-1, delivered: fastbroker-ws ≥ 0.6 × fastbroker: 0.60 ×, met",
        "flood-1-1, delivered: fastbroker-tls ≥ 0.35 × fastbroker: 0.33 ×, not met",
        "idle-1k, memory of a connection: fastbroker-ws ≤ 24.0 KiB: 25.0 KiB, not met",
        "idle-1k, memory of a connection: fastbroker-tls ≤ 40.0 KiB: nothing to compare, ?",
    ]
    console = Console(width=200, file=StringIO())
    console.print(render(record, ""))
    assert "of relay" not in console.file.getvalue()  # type: ignore[attr-defined]


# ---- what is measured ----


def test_every_goal_and_every_name_of_a_set_is_a_scenario() -> None:
    assert all({row.scenario for row in each.rows} <= set(each.scenarios) for each in SETS.values())
    assert [name for name, each in SETS.items() if each.rows] == [
        "goals",
        "transports",
        "storms",
        "messaging",
        "durability",
    ]
    assert all(name in ALL for each in SETS.values() for name in each.scenarios)


def test_ten_times_everybody_who_can_do_it() -> None:
    goals = {row.scenario: [(goal.bound, goal.against) for goal in row.goals] for row in BEYOND if row.goals}
    assert set(goals) == set(MESSAGING)
    assert goals["priority-queue"] == [(10, "artemis"), (10, "activemq"), (10, "rabbitmq")]
    others = [each for name, each in goals.items() if name != "priority-queue"]
    assert all(each == [(10, "artemis"), (10, "activemq")] for each in others)


def test_what_survives_is_held_against_the_others_and_the_disk() -> None:
    goals = {
        row.scenario: [(goal.bound, goal.against, goal.at_most) for goal in row.goals] for row in SURVIVING if row.goals
    }
    tens = [
        (15, "rabbitmq", False),
        (15, "rabbitmq-quorum", False),
        (15, "activemq-durable", False),
        (3, "artemis-durable", False),
    ]
    assert goals == {
        "durable-1-1-receipts-10": tens,
        "durable-4-4-receipts-10": tens,
        "durable-1-1-receipts-1000": [(0.5, "disk", False)],
        "durable-body-16k": [(0.5, "disk", False)],
        "durable-latency-1k": [(3, "disk", True)],
    }


def test_a_share_of_the_flood_needs_the_flood_before_it() -> None:
    assert [scenario.name for scenario in chosen(a_plan("goals", "latency-50"))] == ["flood-1-1", "latency-50"]
    assert [scenario.name for scenario in chosen(a_plan("goals", "latency-5k"))] == ["latency-5k"]


def test_what_is_under_way_is_bounded_where_brokers_are_compared() -> None:
    messaging = ("select-topic-100", "select-queue-10", "priority-queue", "replay-100k", "scheduled-1m")
    assert [each.load.window for each in chosen(a_plan("messaging", *messaging))] == [50_000, 10_000, 10_000, 0, 0]
    names = ("flood-1-1", "fan-out-100", "body-16k", "queue-auto", "receipts-100", "ping", "latency-5k", "sink")
    windows = [scenario.load.window for scenario in chosen(a_plan("compare", *names))]
    assert windows == [50_000, 1000, 3125, 100_000, 0, 0, 0, 0]
    assert [scenario.load.window for scenario in chosen(a_plan("goals", *names))] == [0, 0, 0, 100_000, 0, 0, 0, 0]


@pytest.mark.parametrize(
    ("scenario", "peer", "fits"),
    [
        ("queue-auto", RELAY, True),  # it queues nothing, but it is the measure
        ("queue-client-individual", RABBITMQ, True),
        ("queue-auto", NATS, False),
        ("request-reply", NATS, True),
        ("competing-consumers", RELAY, False),
        ("receipts-100", RELAY, False),
        ("idle", RELAY, False),
        ("idle", NATS, True),
        ("priority-queue", RELAY, False),
        ("scheduled-1m", RELAY, False),
        ("select-topic-1", RABBITMQ, False),
        ("priority-queue", RABBITMQ, True),
        ("select-queue-100", ARTEMIS, True),
        ("durable-1-1-receipts-10", BROKER, True),
        ("durable-1-1-receipts-10", ACTIVEMQ_DURABLE, True),
        ("durable-1-1-receipts-10", ARTEMIS, False),
        ("durable-1-1-receipts-10", RELAY, False),
        ("durable-1-1-receipts-10", DISK, True),
        ("durable-fan-out-10", JETSTREAM, True),
        ("durable-fan-out-10", NATS, False),
        ("restart-10k", DISK, False),
        ("restart-1m", RABBITMQ, True),
        ("restart-1m", JETSTREAM, False),  # it would take too long to fill it
        ("receipts-100", DISK, False),
    ],
)
def test_scenarios_that_mean_nothing_for_a_server_are_left_out(scenario: str, peer: Peer, fits: bool) -> None:
    assert (unfit(ALL[scenario], peer) == "") is fits


# ---- taking turns ----


class Stub(Peer):
    """A server that is none."""

    def __init__(self, name: str, start_seconds: float = 0.0) -> None:
        self.name = name
        self.start_seconds = start_seconds
        self.started = self.ended = 0

    def missing(self) -> str:
        return ""

    def version(self) -> str:
        return "1"

    def install(self) -> None:
        raise NotImplementedError

    def launch(self, directory: Path, port: int) -> object:  # type: ignore[override]
        raise NotImplementedError

    @contextmanager
    def running(self, core: int | None = None) -> Iterator[Server]:
        self.started += 1
        # This process rests while it waits for a server to rest.
        target, log = Target(host="", port=0), Path("no log")
        yield Server(self.name, os.getpid(), target, self.start_seconds, log, self.restart)
        self.ended += 1

    def restart(self) -> Restarted:
        return Restarted(os.getpid(), 0.0)


@pytest.fixture
def running(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, float | None]]:
    """What was run: scenario, server, rate."""
    made: list[tuple[str, str, float | None]] = []

    def run(scenario: result.Result, target: Target, *, name: str, rate: float | None, **_: object) -> Result:
        made.append((scenario.name, name, rate))  # type: ignore[attr-defined]
        run = a_run(scenario.name, name, 100.0, sends_per_s=120.0)  # type: ignore[attr-defined]
        run.failures = ["it broke"] if name == "broken" else []
        return run

    monkeypatch.setattr(turns, "run", run)
    return made


def take(record: Record, file: Path, *every: Turn) -> None:
    turns.measure(record, PLAN, every, file, Console(file=StringIO()))


def test_servers_take_turns_within_each_repeat() -> None:
    every = turns.turns([FLOOD, PING], [BROKER, RABBITMQ], 2)
    order = [(turn.scenario.name, turn.number, turn.peer.name) for turn in every]
    names = ("fastbroker", "rabbitmq")
    assert order == [(scenario, n, name) for scenario in ("flood-1-1", "ping") for n in (0, 1) for name in names]


def test_a_fresh_server_for_each_run_unless_it_starts_slowly(running: object, tmp_path: Path) -> None:
    quick, slow = Stub("quick"), Stub("slow", start_seconds=9.0)
    every = [Turn(s, peer, n) for s in (FLOOD, PING) for n in range(3) for peer in (quick, slow)]
    take(a_record(), tmp_path / "x.json", *every)
    assert (quick.started, quick.ended, slow.started, slow.ended) == (6, 6, 2, 2)


def test_where_a_core_is_shared_both_are_held_to_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    held: list[tuple[str, int | None, int | None]] = []

    class Held(Stub):
        @contextmanager
        def running(self, core: int | None = None) -> Iterator[Server]:
            self.core = core
            with super().running() as server:
                yield server

    def run(scenario: Scenario, *_: object, core: int | None, **__: object) -> Result:
        held.append((scenario.name, peer.core, core))
        return a_run(scenario.name, "held")

    peer = Held("held")
    monkeypatch.setattr(turns, "run", run)
    monkeypatch.setattr(turns, "usable_cores", lambda: [3, 5])
    monkeypatch.setattr(turns, "last_core", lambda: 5)
    (one_core,) = ON_ONE_CORE
    take(a_record(), tmp_path / "x.json", Turn(ALL[one_core], peer, 0), Turn(PING, peer, 0))
    # A server's core is its place among the usable ones.
    assert held == [(one_core, 0, 3), ("ping", None, 5)]


def test_where_no_process_is_held_to_a_core_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    (one_core,) = ON_ONE_CORE
    every = [ALL[one_core], PING]
    assert [turn.scenario.name for turn in turns.turns(every, [BROKER], 1)] == [one_core, "ping"]
    monkeypatch.setattr(turns, "usable_cores", list)
    assert [turn.scenario.name for turn in turns.turns(every, [BROKER], 1)] == ["ping"]
    assert left_out(a_plan("goals", one_core, "ping")) == [f"{one_core}: this system does not hold processes to a core"]


def test_only_what_is_about_restarts_restarts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    restarts: dict[str, object] = {}

    def run(scenario: Scenario, *_: object, restart: object, **__: object) -> Result:
        restarts[scenario.name] = restart
        return a_run(scenario.name, "some")

    monkeypatch.setattr(turns, "run", run)
    peer = Stub("some")
    names = ("restart-10k", "durable-drain-100k")
    take(a_record(), tmp_path / "x.json", *(Turn(ALL[name], peer, 0) for name in names))
    assert restarts == {"restart-10k": peer.restart, "durable-drain-100k": None}


def test_a_server_that_fails_is_restarted_and_in_the_end_given_up(running: list[object], tmp_path: Path) -> None:
    broken, record = Stub("broken", start_seconds=9.0), a_record()
    take(record, tmp_path / "x.json", *(Turn(FLOOD, broken, n) for n in range(5)))
    assert (len(running), broken.started, broken.ended) == (2, 2, 2)
    assert record.failures() == ["broken: it broke (flood-1-1)"]


def test_a_server_that_does_not_start_is_shown_as_failing(running: object, tmp_path: Path) -> None:
    class Unwilling(Stub):
        @contextmanager
        def running(self, core: int | None = None) -> Iterator[Server]:
            raise PeerFailed("no port")
            yield

    record = a_record()
    take(record, tmp_path / "x.json", Turn(FLOOD, Unwilling("unwilling"), 0))
    assert record.failures() == ["unwilling: no port (flood-1-1)"]


def test_what_was_measured_is_on_disk_and_not_measured_again(running: list[object], tmp_path: Path) -> None:
    file, every = tmp_path / "x.json", [Turn(FLOOD, Stub("one"), n) for n in range(3)]
    take(a_record(), file, *every[:2])
    record = load(file)
    assert len(record.runs("flood-1-1", "one")) == 2
    take(record, file, *every)
    assert len(running) == len(load(file).results) == 3


def test_a_slow_server_has_more_time_to_take_what_is_scheduled() -> None:
    delays = {
        (name, peer.name): delay_of(Turn(ALL[name], peer, 0))
        for name in ("scheduled-100k", "scheduled-1m")
        for peer in (BROKER, ARTEMIS)
    }
    assert list(delays.values()) == [30, 30, 30, 125]


def test_a_share_is_taken_of_the_servers_own_flood(running: list[object], tmp_path: Path) -> None:
    one = Stub("one")
    take(a_record(), tmp_path / "x.json", Turn(FLOOD, one, 0), Turn(ALL["latency-50"], one, 0))
    assert running == [("flood-1-1", "one", None), ("latency-50", "one", 50.0)]


def test_a_file_that_is_no_record_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(UnknownFormat, match=r"x\.json"):
        load(tmp_path / "x.json")


# ---- where a curve stops being flat ----


def curve(*costs: float | tuple[float, ...]) -> list[Point]:
    return [Point(10**n, cost if isinstance(cost, tuple) else (cost,)) for n, cost in enumerate(costs)]


@pytest.mark.parametrize(
    ("costs", "knee"),
    [
        ((1.0, 1.1, 0.9, 1.2), None),
        ((1.0, 1.0, 1.6, 1.7), 100),
        ((1.0, 1.0, 1.0, 1.6), 1000),
        ((3.0, 1.0, 1.2, 2.0), 1000),  # beside the cheapest, which is not the first
        ((1.0, 1.3, 1.6, 2.0), 100),  # slowly, but surely
        ((1.0, 1.8, 1.0, 1.0), None),  # one point that was disturbed
        ((1.0, 1.0, (1.4, 1.6, 1.7), 1.0), None),
        (((0.9, 1.0, 1.8), 1.0, (1.6, 1.7, 1.8), 2.0), 100),  # the cheapest is the undisturbed one
        ((1.0, (0.9, 1.8, 1.8)), None),  # it can be had for less
        ((1.0,), None),
        ((0.0, 0.0), None),
    ],
)
def test_a_knee_is_found_where_it_is_not_noise(costs: tuple[float, ...], knee: float | None) -> None:
    verdict = judge(curve(*costs))
    assert (verdict.knee.at if verdict.knee else None) == knee
    if verdict.knee:
        assert verdict.ratio > LIMIT
        assert verdict.flat_to.at == verdict.knee.at / 10


def cost_runs(name: str, *costs: float) -> Record:
    several = zip(CURVES[name].places, costs, strict=False)
    return a_record(*(a_run(f"{name}={at}", "fastbroker", 1e6, server_cpu=cost) for at, cost in several))


def verdict(name: str, *costs: float) -> str:
    return CURVES[name].in_words(judge(CURVES[name].points(cost_runs(name, *costs), "fastbroker")))


def test_the_verdict_in_words() -> None:
    assert (
        verdict("subscribers", 0.3, 0.2, 0.1, 0.1, 0.1, 0.2, 0.4)
        == "Flat up to 1,000 subscribers; at 3,000 a delivery costs 2.00 times what it does at 100."
    )
    assert (
        verdict("patterns", 0.2, 0.2, 0.22)
        == "Flat up to 100 patterns: a delivery never costs more than 1.10 times what it did before."
    )


def test_a_curve_that_is_never_flat() -> None:
    assert verdict("subscribers", 0.1, 0.2, 0.3) == (
        "Not flat from the beginning; at 10 a delivery costs 2.00 times what it does at 1."
    )


def test_a_body_costs_by_the_byte_once_it_is_large() -> None:
    flat = [0.1 + at / 1024 * 0.5 for at in CURVES["size"].places]
    assert verdict("size", *flat).startswith("Flat up to 1.00 MiB: a KiB")
    assert "; at 1.00 MiB a KiB" in verdict("size", *flat[:-1], flat[-1] * 2)


def test_the_points_of_a_curve_begin_where_they_should_and_grow() -> None:
    for each in CURVES.values():
        assert list(each.places) == sorted(each.places)
        assert [scenario.name for scenario in each.scenarios()] == [f"{each.name}={at}" for at in each.places]


# ---- the report ----


@pytest.fixture
def compared() -> Record:
    """Two servers, one that fails, one that is missing: a small comparison."""
    runs = floods(fastbroker=(4e6, 5e6, 6e6), relay=(9e6,), rabbitmq=(40e3,))
    runs += [a_run("ping", "fastbroker", latency=a_latency(90)), a_run("ping", "rabbitmq", latency=a_latency(80))]
    runs += [a_run("fan-out-100", "fastbroker", 10e6), a_run("fan-out-100", "rabbitmq", 20e3)]
    runs[-1].failures.append("the server hung up: a|b in /tmp/bench-x/log")
    missing = Participant(name="apollo", missing="there is no Java here")
    peers = (Participant(name="fastbroker", version="1.0"), Participant(name="rabbitmq", version="3.10"), missing)
    return a_record(*runs, peers=peers, plan=a_plan("compare"))


def test_losses_are_published(compared: Record) -> None:
    lines = list(comparison.losses(compared, str))
    assert lines[0] == "ping, latency p50: fastbroker 90.0 µs; rabbitmq 80.0 µs (1.12 ×)"
    assert not any("relay" in line or "flood" in line for line in lines)


def test_a_failing_broker_of_ours_is_a_loss_too(compared: Record) -> None:
    compared.results[0].failures.append("it broke")
    assert "flood-1-1, delivered: fastbroker fails; rabbitmq 40.0 k/s" in list(comparison.losses(compared, str))


def test_who_fails_is_shown_with_the_reason_and_nothing_of_this_machine(compared: Record) -> None:
    assert list(comparison.failing(compared, str)) == [
        r"**rabbitmq**, fan-out-100, 1 of 1 runs: the server hung up: a\|b in …"
    ]


def test_what_a_server_says_is_short_harmless_and_in_one_line() -> None:
    said = markdown.quoted(f"<b>*a*</b>\n| {ROOT}/bench " + "x" * 1000)
    assert said.startswith(r"\<b\>\*a\*\</b\> \| ")
    assert str(ROOT) not in said
    assert len(said) < 400


@pytest.fixture
def write_report() -> Callable[..., str]:
    pytest.importorskip("matplotlib")
    from bench import report

    def write(out: Path, *records: Record, readme: Path | None = None) -> str:
        files = [out.parent / f"{number}.json" for number in range(len(records))]
        for record, file in zip(records, files, strict=True):
            save(record, file)
        assert report.main.callback
        report.main.callback(files=tuple(files), out=out, readme=readme)
        return out.read_text()

    return write


def test_the_report_has_everything(compared: Record, write_report: Callable[..., str], tmp_path: Path) -> None:
    text = write_report(tmp_path / "docs.md", compared, cost_runs("subscribers", 0.2, 0.2, 0.2, 0.5, 0.6))
    for expected in (
        "|  | fastbroker | rabbitmq | relay |",
        "**5.00 M**<br>4.00 M–6.00 M",
        "fails",
        "A Processor, 2 cores",
        "| apollo | stomp | not measured: there is no Java here |",
        "## Where others are faster",
        "at 300 a delivery costs 2.50 times what it does at",
        "3 runs of 1 s",
        "2026-01-02",
    ):
        assert expected in text, expected
    for picture in re.findall(r"!\[.*?\]\((.*?)\)", text):
        assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG"), picture
        assert (tmp_path / picture).stat().st_size < 150_000
    headings = {re.sub(r"[^\w -]", "", line.lstrip("# ")).replace(" ", "-").lower() for line in text.split("\n")}
    assert set(re.findall(r"\]\(#(.*?)\)", text)) <= headings


def test_the_readme_gets_its_table_between_the_marks(
    compared: Record, write_report: Callable[..., str], tmp_path: Path
) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- bench:begin -->\nold\n<!-- bench:end -->\nafter\n")
    for _ in range(2):  # the second time changes nothing
        write_report(tmp_path / "docs" / "benchmarks.md", compared, readme=readme)
        text = readme.read_text()
        assert text.startswith("before\n<!-- bench:begin -->\n![")
        assert text.endswith("\n<!-- bench:end -->\nafter\n")
        assert "| **fastbroker**<br>1.0 | **5.00 M**<br>4.00 M–6.00 M |" in text
        assert "2026-01-02: the median of 3 runs" in text
        assert "(docs/images/front.png)" in text
        assert "old" not in text


def test_the_readme_shows_brokers_and_the_report_transports_too(
    compared: Record, write_report: Callable[..., str], tmp_path: Path
) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("<!-- bench:begin -->\n<!-- bench:end -->\n")
    names = ("fastbroker", "fastbroker-ws", "fastbroker-tls", "rabbitmq-ws")
    around = a_record(*(a_run("flood-1-1", name, 3e6) for name in names), plan=TRANSPORTS)
    everybody = [f"{name}-{at}" for name in names for at in range(9)]
    storms = a_record(*(a_run("connect-storm", name) for name in everybody), plan=a_plan("storms", "connect-storm"))
    more = [a_run("groups", name, rate) for name, rate in (("fastbroker", 9e5), ("activemq", 9e4), ("artemis", 8e4))]
    messaging = a_record(*more, plan=a_plan("messaging", "groups"))
    survived = [
        a_run("durable-1-1-receipts-10", name, receipts_per_s=rate)
        for name, rate in (("fastbroker", 9e4), ("disk", 2e5))
    ]
    durability = a_record(*survived, plan=a_plan("durability", "durable-1-1-receipts-10"))
    records = (compared, around, storms, messaging, durability)
    text = write_report(tmp_path / "docs" / "benchmarks.md", *records, readme=readme)
    assert "## 5. Durability" in text
    assert "(images/throughput-5.png)" in text
    assert "| `durable-1-1-receipts-10`, receipts | ≥ 3 × artemis-durable | nothing to compare | ? |" in text
    assert "## 4. Priorities, selectors, groups, replays, schedules" in text
    assert "| `groups`, delivered | ≥ 10 × activemq | 10.00 × | met |" in text
    assert "(images/throughput-4.png)" in text
    assert "## 3. Storms" in text
    assert "## 2. TCP, Unix sockets, WebSocket, TLS" in text
    assert "fastbroker-ws ≥ 0.6 × fastbroker | 1.00 × | met" in text
    front = readme.read_text()
    assert "| rabbitmq<br>3.10 |" in front
    assert "fastbroker-ws" not in front
    assert front.count("| --- |") == 1


def test_a_readme_without_marks_is_left_alone(
    compared: Record, write_report: Callable[..., str], tmp_path: Path
) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("mine\n")
    with pytest.raises(click.ClickException, match="bench:begin"):
        write_report(tmp_path / "docs.md", compared, readme=readme)
    assert readme.read_text() == "mine\n"


def test_what_a_server_must_know_for_a_scenario():
    assert needs_of(FLOOD) == set()
    assert needs_of(ALL["queue-credit-10"]) == {"queues", "acks", "credit", "client-individual"}
    assert needs_of(ALL["wildcards"]) == {"patterns"}
    assert needs_of(ALL["transactions"]) == {"transactions"}
    assert needs_of(ALL["request-reply"]) == {"reply-to"}
    assert needs_of(ALL["receipts-unbounded"]) == {"receipts"}
    assert needs_of(ALL["select-topic-10"]) == {"selectors"}
    assert needs_of(ALL["select-queue-10"]) >= {"queues", "queue-selectors"}
    assert needs_of(ALL["groups"]) >= {"queues", "groups"}
    assert needs_of(ALL["priority-queue"]) >= {"queues", "priorities"}
    assert needs_of(ALL["replay-100k"]) == {"history"}
    assert needs_of(ALL["scheduled-1m"]) == {"queues", "schedule"}
