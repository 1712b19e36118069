"""Times of one operation, and what became of them since the last ones that were saved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NANOSECONDS = 1e9
HEADING = f"{'million/s':>10} {'median':>10} {'best':>10} {'before':>10} {'change':>8}"


@dataclass(frozen=True)
class Timed:
    """One benchmark: seconds of a round of so many operations."""

    name: str
    median: float
    best: float
    operations: int
    notes: Mapping[str, object] = field(default_factory=dict)
    before: float | None = None
    """Nanoseconds of one operation, the best of then. Whatever disturbs makes it longer, so the best tells most."""

    def each(self, seconds: float) -> float:
        """Nanoseconds of one operation."""
        return seconds / self.operations * NANOSECONDS

    def line(self) -> str:
        """A line under HEADING."""
        median, best = self.each(self.median), self.each(self.best)
        before = "" if self.before is None else f"{self.before:.1f}"
        change = "" if self.before is None else f"{best / self.before - 1:+.1%}"
        name = ", ".join([self.name, *(f"{value} {note}" for note, value in self.notes.items())])
        return f"{1e3 / median:10.2f} {median:10.1f} {best:10.1f} {before:>10} {change:>8}  {name}"


def timed(benchmarks: Iterable[Any], saved: Mapping[str, Mapping[str, Any]]) -> list[Timed]:
    """Those of pytest-benchmark that say how many operations they were; `saved` are its records of then, by name."""
    return [_timed(each, saved.get(each.fullname)) for each in benchmarks if each and "operations" in each.extra_info]


def _timed(one: Any, then: Mapping[str, Any] | None) -> Timed:
    notes = dict(one.extra_info)
    operations = notes.pop("operations")
    before = None
    if then and "operations" in then["extra_info"]:
        before = then["stats"]["min"] / then["extra_info"]["operations"] * NANOSECONDS
    name = one.name.removeprefix("test_kernel[").removesuffix("]") if one.name.startswith("test_kernel") else one.name
    return Timed(name, one.stats.median, one.stats.min, operations, notes, before)


def compared_with(saved: Mapping[Path, object]) -> str:
    """What the changes are changes of."""
    if not saved:
        return "No times were saved on this machine: make bench-micro-save keeps those of a run."
    return f"Before: the best of {Path(next(iter(saved))).name}. A few per cent are noise, on a busy machine many."
