"""What is measured in which set, and what the broker is expected to reach."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

import msgspec

from bench.peers import (
    ACTIVEMQ,
    ACTIVEMQ_DURABLE,
    ARTEMIS,
    ARTEMIS_DURABLE,
    BROKER,
    DISK,
    JETSTREAM,
    NATS,
    OWN,
    PEERS,
    RABBITMQ,
    RABBITMQ_QUORUM,
    RABBITMQ_TLS,
    RABBITMQ_WS,
    RELAY,
    TLS,
    WS,
    WSS,
    Peer,
)
from bench.record import Plan, Record, with_unit
from fastbroker.bench.durability import DURABILITY, PLENTIFUL, drained
from fastbroker.bench.every import EVERY
from fastbroker.bench.load import Load
from fastbroker.bench.messaging import MESSAGING
from fastbroker.bench.scenarios import FLOOD, SCENARIOS, Scenario
from fastbroker.bench.series import in_order

# Low enough for every server that is not broken, so that all are asked for the same.
SAME_RATE = 5_000.0
# Enough to tell what a connection costs; ten times as many take some servers a minute.
SOME_IDLE = 1_000


@dataclass(frozen=True)
class Goal:
    """A bound for the broker's median, or for its ratio to another server's median in the same run."""

    bound: float
    against: str = ""
    at_most: bool = False
    of: str = BROKER.name
    """The broker, over TCP unless it says so."""

    def met(self, value: float) -> bool:
        """Whether a value, or a ratio, is on the right side of the bound."""
        return value <= self.bound if self.at_most else value >= self.bound


@dataclass(frozen=True)
class Outcome:
    """A goal and what became of it; `value` is None when there is nothing to compare."""

    goal: Goal
    value: float | None

    @property
    def met(self) -> bool | None:
        """None when it could not be decided."""
        return None if self.value is None else self.goal.met(self.value)


@dataclass(frozen=True)
class Row:
    """One line of a table: which number of a scenario it shows, and its goals."""

    scenario: str
    metric: str
    goals: tuple[Goal, ...] = ()

    def outcomes(self, record: Record) -> list[Outcome]:
        """Every goal, decided if it can be."""
        return [Outcome(goal, self._compared(record, goal)) for goal in self.goals]

    def in_words(self, goal: Goal) -> str:
        """One of its goals."""
        who = "" if goal.of == BROKER.name else f"{goal.of} "
        bound = f"{goal.bound:g} × {goal.against}" if goal.against else with_unit(self.metric, goal.bound)
        return f"{who}{'≤' if goal.at_most else '≥'} {bound}"

    def reached(self, outcome: Outcome) -> str:
        """What became of one of its goals."""
        if outcome.value is None:
            return "nothing to compare"
        return f"{outcome.value:.2f} ×" if outcome.goal.against else with_unit(self.metric, outcome.value)

    def _compared(self, record: Record, goal: Goal) -> float | None:
        ours = record.runs(self.scenario, goal.of).median(self.metric)
        return ratio(record, self, goal.against, goal.of) if goal.against else ours


@dataclass(frozen=True)
class Set:
    """Scenarios that are measured together."""

    name: str
    scenarios: tuple[str, ...]
    peers: tuple[Peer, ...] = PEERS
    rows: tuple[Row, ...] = ()
    """Those with goals, if it has any; without them each scenario has one with its headline."""


def needs_of(scenario: Scenario) -> set[str]:
    """What the server must know: "queues", "patterns", "transactions" ..."""
    return set(chain.from_iterable(map(_needs, (scenario.load, *scenario.beside))))


def _needs(load: Load) -> Iterator[str]:
    features = {
        "queues": load.queue,
        "patterns": bool(load.pattern or load.bystanders),
        "transactions": load.transaction > 0,
        "acks": load.ack != "auto",
        "credit": load.ack != "auto" and load.credit > 0,
        "client-individual": load.ack == "client-individual",
        "receipts": load.receipts != 0,
        "reply-to": load.kind == "request",
        "persistence": load.persistent,
        "priorities": load.priorities > 0,
        "selectors": load.selecting and not load.queue,
        "queue-selectors": load.selecting and load.queue,
        "groups": load.groups > 0,
        "history": load.kind == "replay",
        "schedule": load.kind == "schedule",
        "durable": load.durable,
    }
    return (name for name, needed in features.items() if needed)


def ratio(record: Record, row: Row, peer: str, of: str = BROKER.name) -> float | None:
    """The broker's median over another server's."""
    ours = record.runs(row.scenario, of).median(row.metric)
    theirs = record.runs(row.scenario, peer).median(row.metric)
    return ours / theirs if ours is not None and theirs else None


def _renamed(name: str, title: str, scenario: Scenario) -> Scenario:
    return msgspec.structs.replace(scenario, name=name, title=title)


LATENCY_SAME = _renamed(
    "latency-5k",
    f"1 to 1 at {SAME_RATE:,.0f} messages a second for every server, each timed from when it was due",
    SCENARIOS["latency-50"].with_load(rate=SAME_RATE),
)
IDLE_SOME = _renamed(
    "idle-1k",
    f"{SOME_IDLE:,} connections with a subscription each: memory",
    SCENARIOS["idle"].with_load(connections=SOME_IDLE),
)
STORM_LARGE = _renamed(
    "connect-storm-10k",
    SCENARIOS["connect-storm"].title.replace("5000", "10,000"),
    SCENARIOS["connect-storm"].with_load(connections=10_000),
)
PING_ONE_CORE = _renamed(
    "ping-one-core",
    "ping with the server and the generator held to one core: what the code costs, and no core has to be woken",
    SCENARIOS["ping"],
)
# The server is killed when the queue is full, and started anew: what it had given a receipt for must come.
RESTARTS = {
    scenario.name: scenario
    for scenario in (
        drained(
            f"restart-{name}",
            f"the server is killed with {messages:,} persistent messages: from its next start to the first message",
            ("restart_us", "deliveries_per_s", "sends_per_s", "server_memory_peak"),
            messages,
        )
        for name, messages in (("10k", 10_000), ("100k", 100_000), ("1m", 1_000_000))
    )
}
MORE = (LATENCY_SAME, IDLE_SOME, STORM_LARGE, PING_ONE_CORE)
ALL = {**EVERY, **RESTARTS, **{each.name: each for each in MORE}}

# The table of goals.
GOALS = (
    Row("flood-1-1", "deliveries_per_s", (Goal(0.35, RELAY.name), Goal(2, NATS.name))),
    Row("fan-out-10", "deliveries_per_s", (Goal(0.5, RELAY.name), Goal(2.5, NATS.name))),
    Row("fan-out-100", "deliveries_per_s", (Goal(0.5, RELAY.name), Goal(2, NATS.name))),
    Row("fan-in-10", "deliveries_per_s"),
    Row("queue-auto", "deliveries_per_s", (Goal(2_000_000),)),
    Row("queue-client-individual", "deliveries_per_s", (Goal(700_000),)),
    Row("ping", "latency_p50_us", (Goal(1, NATS.name, at_most=True),)),
    Row("ping", "latency_p99_us"),
    Row("ping-one-core", "latency_p50_us", (Goal(0.75, NATS.name, at_most=True),)),
    Row("idle", "server_memory_per_connection", (Goal(4096, at_most=True),)),
)

# The table of what is around STOMP.
KIB = 1024
TRANSPORTS = (
    Row("flood-1-1", "deliveries_per_s", (Goal(0.6, BROKER.name, of=WS.name), Goal(0.35, BROKER.name, of=TLS.name))),
    Row("fan-out-100", "deliveries_per_s"),
    Row("queue-client-individual", "deliveries_per_s"),
    Row("body-16k", "deliveries_per_s"),
    Row("ping", "latency_p50_us"),
    Row("ping", "latency_p99_us"),
    Row("connect-rate", "operations_per_s"),
    Row("connect-rate", "server_cpu_us_per_message"),
    Row(
        "idle-1k",
        "server_memory_per_connection",
        (Goal(24 * KIB, at_most=True, of=WS.name), Goal(40 * KIB, at_most=True, of=TLS.name)),
    ),
)

# The table of those who come all at once, and of what somebody notices who is there already.
_NOTICED = tuple(Goal(50_000, at_most=True, of=each.name) for each in (BROKER, WS, TLS, WSS))
STORMS = tuple(
    row
    for storm in ("connect-storm", "connect-storm-10k")
    for row in (
        Row(storm, "operations_per_s"),
        Row(storm, "connect_p99_us"),
        Row(storm, "server_cpu_us_per_message"),
        Row(storm, "beside_p99_us", _NOTICED),
    )
)

# The table of what queues and topics can do beyond passing messages on.
_RIVALS = (ARTEMIS, ACTIVEMQ, RABBITMQ)


def _beyond(scenario: Scenario) -> Row:
    """Ten times each that can do it."""
    rivals = [peer for peer in _RIVALS if not needs_of(scenario) & peer.lacks.keys() - {"credit"}]
    return Row(scenario.name, "deliveries_per_s", tuple(Goal(10, peer.name) for peer in rivals))


BEYOND = (
    *map(_beyond, MESSAGING.values()),
    *(
        row
        for schedule in ("scheduled-100k", "scheduled-1m")
        for row in (
            Row(schedule, "sends_per_s", (Goal(10, ARTEMIS.name), Goal(10, ACTIVEMQ.name))),
            Row(schedule, "server_memory_per_message"),
        )
    ),
)

# The table of what must survive.
_DURABLE = (ARTEMIS_DURABLE, ACTIVEMQ_DURABLE, RABBITMQ, RABBITMQ_QUORUM, JETSTREAM)
_SURPASSED = (
    *(Goal(15, peer.name) for peer in (RABBITMQ, RABBITMQ_QUORUM, ACTIVEMQ_DURABLE)),
    Goal(3, ARTEMIS_DURABLE.name),
)
# What can be had of the disk where its syncs are shared by many, and how long a receipt may take where they are not.
_OF_THE_DISK = dict.fromkeys((f"durable-1-1-receipts-{PLENTIFUL}", "durable-body-16k"), Goal(0.5, DISK.name))
_DELAYED = {"durable-latency-1k": Goal(3, DISK.name, at_most=True)}


def _durable(scenario: Scenario) -> Iterator[Row]:
    name, headline = scenario.name, scenario.measures[0]
    tens = _SURPASSED if name.endswith("-receipts-10") else ()
    more = [goals[name] for goals in (_OF_THE_DISK, _DELAYED) if name in goals]
    yield Row(name, headline, (*tens, *more))
    if scenario.load.durable:
        yield Row(name, "receipts_per_s")
    if scenario.load.rate:
        yield Row(name, "receipt_p50_us")
        yield Row(name, "receipt_p99_9_us")
    if scenario.load.kind == "drain":
        yield Row(name, "sends_per_s")


SURVIVING = tuple(chain.from_iterable(map(_durable, (*DURABILITY.values(), *RESTARTS.values()))))

# Where brokers are compared, so many deliveries are under way at most (of KiB, if bodies are larger). Some take in all
# they are offered and deliver it long after: they would be measured by how fast they can be filled.
UNDER_WAY, FEWEST = 50_000, 1_000

# What tells how brokers differ, without telling the same thing twice.
COMPARED = (
    "flood-1-1",
    "fan-out-100",
    "fan-in-10",
    "queue-auto",
    "queue-client-individual",
    "competing-consumers",
    "receipts-100",
    "body-16k",
    "ping",
    "request-reply",
    "latency-5k",
    "latency-50",
    "firehose-ping",
    "connect-rate",
    "idle-1k",
)


def _set(name: str, scenarios: Iterable[str]) -> Set:
    return Set(name, tuple(scenarios))


def _set_with_goals(name: str, rows: tuple[Row, ...], peers: tuple[Peer, ...]) -> Set:
    return Set(name, tuple(dict.fromkeys(row.scenario for row in rows)), peers, rows)


SETS = {
    each.name: each
    for each in (
        _set_with_goals("goals", GOALS, (BROKER, RELAY, NATS)),
        _set_with_goals("transports", TRANSPORTS, (BROKER, *OWN, RABBITMQ, RABBITMQ_WS, RABBITMQ_TLS)),
        _set_with_goals("storms", STORMS, (BROKER, WS, TLS, WSS)),
        _set_with_goals("messaging", BEYOND, (BROKER, *_RIVALS)),
        _set_with_goals("durability", SURVIVING, (BROKER, DISK, *_DURABLE)),
        _set("compare", COMPARED),
        _set("all", ALL),
    )
}


def chosen(plan: Plan) -> list[Scenario]:
    """The scenarios of a plan, and in front what one of them needs to be measured before it."""
    scenarios = in_order([ALL[name] for name in plan.scenarios], ALL[FLOOD])
    return scenarios if plan.name == "goals" else [bounded(scenario) for scenario in scenarios]


def bounded(scenario: Scenario) -> Scenario:
    """The scenario with a bound on what is under way, if it floods without any."""
    load = scenario.load
    if load.kind != "flow" or not load.subscribers or load.rate or load.window or load.receipts > 0 or scenario.share:
        return scenario
    fan = 1 if load.queue or load.selecting or load.destinations > 1 else load.subscribers
    window = max(UNDER_WAY // fan, FEWEST) * 1024 // max(load.size, 1024)
    return scenario.with_load(window=max(window, 1))


def with_goals(record: Record) -> tuple[Row, ...]:
    """The lines of the set that was measured, if it has goals."""
    return SETS[record.plan.name].rows if record.plan and record.plan.name in SETS else ()


def rows(record: Record) -> list[Row]:
    """The lines of the table of a record: those with goals for the goals, else the headline of each scenario."""
    if goals := with_goals(record):
        return [row for row in goals if row.scenario in record.scenarios()]
    return [Row(name, ALL[name].measures[0]) for name in record.scenarios() if name in ALL]
