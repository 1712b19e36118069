"""What a run over several servers keeps: the report of `fastbroker bench`, and who took part.

    Record ─ machine, method, results     as in fastbroker.bench.result; each result has its scenario and its server
           ├ plan                         what is to be measured, so that an interrupted run can be continued
           └ peers                        who took part, who could not and why

A point of a curve is a scenario too; its name is that of the curve and its place there: "subscribers=100".
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
from msgspec import Struct

from fastbroker.bench.load import Protocol
from fastbroker.bench.metrics import METRICS, Spread, spread
from fastbroker.bench.result import FORMAT, Report, Result, UnknownFormat

# Where numbers are kept when no file was named.
DEFAULT_DIRECTORY = Path("build/bench")


class Plan(Struct, frozen=True, kw_only=True):
    """What is to be measured, and how."""

    name: str
    """The set of scenarios, or "curves"."""
    scenarios: tuple[str, ...]
    peers: tuple[str, ...]
    seconds: float
    repeat: int
    one_core: bool


class Participant(Struct, frozen=True, kw_only=True):
    """A server that was asked for."""

    name: str
    protocol: Protocol = "stomp"
    version: str = ""
    missing: str = ""
    """Why it could not be measured here; empty if it could."""
    lacks: dict[str, str] = {}
    """What it does not have, and why: the scenarios that need it are left out for it."""


class Record(Report, kw_only=True):
    """Everything that one invocation has measured, or that several have, one after the other."""

    plan: Plan | None = None
    peers: list[Participant] = []

    def runs(self, scenario: str, peer: str) -> Runs:
        """The runs of a scenario against a server, in the order in which they were made."""
        return Runs([run for run in self.results if (run.scenario, run.server.name) == (scenario, peer)])

    def scenarios(self) -> list[str]:
        """The names of all that was measured, in that order."""
        return list(dict.fromkeys(run.scenario for run in self.results))

    def servers(self) -> list[str]:
        """The names of all that took part, and of those that could not."""
        return list(dict.fromkeys([peer.name for peer in self.peers] + [run.server.name for run in self.results]))

    def failures(self) -> list[str]:
        """Each failure once, with where it was met."""
        places: dict[str, list[str]] = {}
        for run in self.results:
            for failure in run.failures:
                places.setdefault(f"{run.server.name}: {failure}", []).append(run.scenario)
        return [f"{failure} ({', '.join(dict.fromkeys(where))})" for failure, where in places.items()]


class Runs(list[Result]):
    """The runs of one scenario against one server."""

    def spread(self, metric: str) -> Spread | None:
        """Median, lowest and highest; None when a run failed, since half a result is none."""
        return spread(self.counting(), metric)

    def median(self, metric: str) -> float | None:
        """The median alone."""
        found = self.spread(metric)
        return found.median if found else None

    def good(self) -> Runs:
        """Those that did not fail."""
        return Runs(run for run in self if not run.failures)

    def failures(self) -> list[str]:
        """Every failure once."""
        return list(dict.fromkeys(failure for run in self for failure in run.failures))

    def counting(self) -> Runs:
        """The valid ones; all of them if they are not the most, or if any failed."""
        valid = Runs(run for run in self if not run.invalid or run.failures)
        return valid if len(valid) * 2 > len(self) else self

    def marks(self, metric: str) -> str:
        """`*` when the generator had no time left, so that the server may do more; `‡` when it is not valid."""
        runs = self.counting()
        bound = metric.endswith("_per_s") and sum(run.generator_bound for run in runs) * 2 > len(runs)
        return "*" * bound + "‡" * any(run.invalid for run in runs)


def better(metric: str, one: float, other: float) -> bool:
    """Whether the first value is the better one."""
    return one > other if METRICS[metric].better == "more" else one < other


def with_unit(metric: str, value: float) -> str:
    """A number and what it counts: 4.41 M/s."""
    text, unit = METRICS[metric].written(value), METRICS[metric].unit
    return f"{text}/s" if unit == "1/s" else f"{text} {unit}".rstrip()


def save(record: Record, file: Path) -> None:
    """Write the record; whoever is interrupted meanwhile leaves the file as it was."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(f"{file.name}.{os.getpid()}")
    fresh.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n")
    fresh.replace(file)


def load(file: Path) -> Record:
    """Read what `save`, or `fastbroker bench --json`, has written. Raises UnknownFormat."""
    try:
        record = msgspec.json.decode(file.read_bytes(), type=Record)
    except msgspec.DecodeError as error:
        raise UnknownFormat(f"{file} is no result of a benchmark: {error}") from None
    if record.format != FORMAT:
        raise UnknownFormat(f"{file} has format {record.format}; this program reads format {FORMAT}")
    return record
