"""What the runs of one ``make bench`` say together: medians, spreads, ratios, goals."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median

from bench.measure import Measured
from bench.peers import BROKER, NATS, PEERS, RELAY, Peer
from bench.scenarios import Against, Goal, Row, Scenario

# From here on the generator had no time left: the server might have done more.
GENERATOR_BUSY = 0.97


@dataclass
class Cell:
    """All that is known of one server in one scenario."""

    runs: list[Measured] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def values(self, metric: str) -> list[float]:
        """One number of each run that has it."""
        return [run[metric] for run in self.runs if metric in run]

    def median(self, metric: str) -> float | None:
        """The median of the runs; none when one of them failed, since half a result is none."""
        values = self.values(metric)
        return median(values) if values and not self.failures else None

    def generator_bound(self) -> bool:
        """Whether the generator, not the server, may have been what limited the rate."""
        return (self.median("generator_cpu") or 0) >= GENERATOR_BUSY


@dataclass(frozen=True)
class Outcome:
    """A goal and what became of it; `value` is None when there is nothing to compare."""

    goal: Goal
    value: float | None

    @property
    def met(self) -> bool | None:
        """None when it could not be decided."""
        return None if self.value is None else self.goal.met(self.value)

    def as_json(self) -> dict[str, object]:
        """The goal, what was reached, and whether that is enough."""
        bound = "at_most" if self.goal.at_most else "at_least"
        return {"against": self.goal.against.value, bound: self.goal.bound, "value": self.value, "met": self.met}


class Results:
    """The cells of the table, by scenario and server."""

    def __init__(self) -> None:
        self._cells: dict[tuple[str, str], Cell] = {}

    def cell(self, scenario: Scenario, peer: Peer) -> Cell:
        """The cell, empty if nothing was measured."""
        return self._cells.setdefault((scenario.name, peer.name), Cell())

    def ratio(self, scenario: Scenario, row: Row, peer: Peer) -> float | None:
        """The broker's median over another server's."""
        ours = self.cell(scenario, BROKER).median(row.metric)
        theirs = self.cell(scenario, peer).median(row.metric)
        return ours / theirs if ours is not None and theirs else None

    def outcomes(self, scenario: Scenario, row: Row) -> list[Outcome]:
        """Every goal of a row, decided if it can be."""
        return [Outcome(goal, self._compared(scenario, row, goal)) for goal in row.goals]

    def failures(self) -> list[str]:
        """Each failure once, with where it was met."""
        places: dict[str, list[str]] = {}
        for (scenario, peer), cell in self._cells.items():
            for failure in dict.fromkeys(cell.failures):
                places.setdefault(f"{peer}: {failure}", []).append(scenario)
        return [f"{failure} ({', '.join(scenarios)})" for failure, scenarios in places.items()]

    def _compared(self, scenario: Scenario, row: Row, goal: Goal) -> float | None:
        if goal.against is Against.NOTHING:
            return self.cell(scenario, BROKER).median(row.metric)
        return self.ratio(scenario, row, RELAY if goal.against is Against.RELAY else NATS)

    def as_json(self, scenarios: list[Scenario]) -> list[dict[str, object]]:
        """All of it, single runs included."""
        return [self._scenario_as_json(scenario) for scenario in scenarios]

    def _scenario_as_json(self, scenario: Scenario) -> dict[str, object]:
        cells = {peer.name: self.cell(scenario, peer) for peer in PEERS}
        return {
            "name": scenario.name,
            "arguments": scenario.arguments,
            "runs": {name: cell.runs for name, cell in cells.items()},
            "failures": {name: cell.failures for name, cell in cells.items()},
            "rows": [self._row_as_json(scenario, row, cells) for row in scenario.rows],
        }

    def _row_as_json(self, scenario: Scenario, row: Row, cells: dict[str, Cell]) -> dict[str, object]:
        return {
            "title": row.title,
            "metric": row.metric,
            "median": {name: cell.median(row.metric) for name, cell in cells.items()},
            "goals": [outcome.as_json() for outcome in self.outcomes(scenario, row)],
        }
