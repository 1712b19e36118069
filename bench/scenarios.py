"""What is measured, and what the broker is expected to reach."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Against(Enum):
    """What a goal compares the broker's value with."""

    RELAY = "relay"
    NATS = "nats-server"
    NOTHING = "nothing"


@dataclass(frozen=True)
class Goal:
    """A bound for the broker's value, or for its ratio to another server's value in the same run."""

    against: Against
    bound: float
    at_most: bool = False

    def met(self, value: float) -> bool:
        """Whether a value, or a ratio, is on the right side of the bound."""
        return value <= self.bound if self.at_most else value >= self.bound


@dataclass(frozen=True)
class Row:
    """One line of the table: which number of a scenario's results it shows, and its goals."""

    title: str
    metric: str
    goals: tuple[Goal, ...] = ()


@dataclass(frozen=True)
class Scenario:
    """One run of the load generator for each server, and the lines of the table it fills."""

    name: str
    arguments: tuple[str, ...]
    rows: tuple[Row, ...]
    queue: bool = False
    idle: bool = False


# Enough to keep both ends busy for some 50 ms; without it the run would measure how fast a queue
# can be filled, and a broker's memory.
QUEUE_WINDOW = 100_000
IDLE_CONNECTIONS = 10_000


def _flood(publishers: int, subscribers: int, *goals: Goal) -> Scenario:
    arguments = ("--workload", "topic", "--publishers", str(publishers), "--subscribers", str(subscribers))
    title = f"flood {publishers}→{subscribers}"
    return Scenario(f"flood-{publishers}-{subscribers}", arguments, (Row(title, "deliveries_per_s", goals),))


def _queue(ack: str, at_least: float) -> Scenario:
    arguments = ("--workload", "queue", "--ack", ack, "--window", str(QUEUE_WINDOW))
    goal = Goal(Against.NOTHING, at_least)
    return Scenario(f"queue-{ack}", arguments, (Row(f"queue 1→1 {ack}", "deliveries_per_s", (goal,)),), queue=True)


SCENARIOS = (
    _flood(1, 1, Goal(Against.RELAY, 0.35), Goal(Against.NATS, 2)),
    _flood(1, 10, Goal(Against.RELAY, 0.5), Goal(Against.NATS, 2.5)),
    _flood(1, 100, Goal(Against.RELAY, 0.5), Goal(Against.NATS, 2)),
    _flood(10, 1),
    _queue("auto", 2_000_000),
    _queue("client-individual", 700_000),
    Scenario(
        "ping",
        ("--workload", "ping"),
        (
            Row("ping-pong p50", "p50_us", (Goal(Against.NATS, 1, at_most=True),)),
            Row("ping-pong p99", "p99_us"),
        ),
    ),
    Scenario(
        "idle",
        ("--workload", "idle", "--connections", str(IDLE_CONNECTIONS)),
        (Row("idle connection", "bytes_per_connection", (Goal(Against.NOTHING, 4096, at_most=True),)),),
        idle=True,
    ),
)
