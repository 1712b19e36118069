"""``python -m bench.curves``: what a message costs as one thing grows, and where that stops being flat."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from bench.flatness import Point, Verdict, judge
from bench.peers import BROKER, PEERS
from bench.record import Plan, Record, Runs
from bench.run import begun, default_file, fit, in_order, kept, new_record
from bench.turns import measure, turns
from fastbroker.bench import metrics
from fastbroker.bench.load import Load
from fastbroker.bench.metrics import Spread
from fastbroker.bench.result import Result
from fastbroker.bench.scenarios import Scenario

RATE = "deliveries_per_s"
# All that a frame has besides its body costs about what so many bytes do: with them, the cost of a byte can be flat.
FRAME = 128
# A connection may have 10,000 subscriptions, as our broker is configured by default.
SUBSCRIBERS = 20


@dataclass(frozen=True)
class Curve:
    """One thing that grows, and the places at which it is measured."""

    name: str
    title: str
    unit: str
    """What there are more and more of, in the words of the verdict."""
    places: tuple[int, ...]
    load: Callable[[int], Load]
    beside: Callable[[int], tuple[Load, ...]] = lambda at: ()
    by_byte: bool = False
    """Whether it is the cost of a KiB that should be flat, since a byte cannot be free."""

    def scenario(self, at: int) -> Scenario:
        """The scenario of one place."""
        title = f"{self.title}: {self.written(at)}"
        name = f"{self.name}={at}"
        return Scenario(name=name, title=title, load=self.load(at), beside=self.beside(at), measures=(RATE,))

    def scenarios(self) -> list[Scenario]:
        """All places, from the smallest."""
        return [self.scenario(at) for at in self.places]

    def written(self, at: float) -> str:
        """A place, as it is written at the axis."""
        return metrics.size(at) if self.by_byte else f"{at:,.0f}"

    def runs(self, record: Record, peer: str) -> dict[int, Runs]:
        """The good runs of each place; a place without any is left out."""
        made = {at: record.runs(f"{self.name}={at}", peer).good() for at in self.places}
        return {at: runs for at, runs in made.items() if runs}

    def points(self, record: Record, peer: str) -> list[Point]:
        """What a delivery, or a KiB of it, cost at each place."""
        made = self.runs(record, peer).items()
        return [
            Point(at, tuple(self._scaled(cost, at) for cost in several))
            for at, runs in made
            if (several := costs(runs))
        ]

    def lines(self, record: Record, peer: str) -> Iterator[tuple[int, Spread, Spread, str]]:
        """Each place with the cost of a delivery there, the rate, and its marks."""
        for at, runs in self.runs(record, peer).items():
            if (several := costs(runs)) and (rate := runs.spread(RATE)):
                yield at, Spread(median(several), min(several), max(several)), rate, runs.marks(RATE)

    def _scaled(self, cost: float, at: int) -> float:
        return cost * 1024 / (at + FRAME) if self.by_byte else cost

    def in_words(self, verdict: Verdict) -> str:
        """How far it is flat."""
        what = f"a KiB ({FRAME} bytes added for the frame)" if self.by_byte else "a delivery"
        flat = f"Flat up to {self.written(verdict.flat_to.at)} {self.unit}".rstrip()
        if verdict.knee is None:
            most = f"than {verdict.ratio:.2f} times what it did before" if verdict.ratio > 1 else "than before"
            return f"{flat}: {what} never costs more {most}."
        if verdict.flat_to.at == self.places[0]:
            flat = "Not flat from the beginning"
        there, base = self.written(verdict.knee.at), self.written(verdict.base.at)
        return f"{flat}; at {there} {what} costs {verdict.ratio:.2f} times what it does at {base}."


def costs(runs: Iterable[Result]) -> list[float]:
    """What a delivery cost the server in each run, in microseconds of CPU; what is beside a flood is idle."""
    return [1e6 * run.server_cpu / run.deliveries_per_s for run in runs if run.server_cpu and run.deliveries_per_s]


CURVES = {
    curve.name: curve
    for curve in (
        Curve(
            "subscribers",
            "Subscribers to one topic",
            "subscribers",
            (1, 10, 100, 300, 1000, 3000, 10_000),
            lambda at: Load(subscribers=at),
        ),
        Curve(
            "size",
            "Size of the body",
            "",
            (16, 128, 1024, 8 * 1024, 64 * 1024, 1024 * 1024),
            lambda at: Load(size=at),
            by_byte=True,
        ),
        Curve(
            "destinations",
            "Topics in turn",
            "topics",
            (1, 10, 100, 1000, 10_000, 100_000),
            lambda at: Load(destinations=at, subscribers=min(at, SUBSCRIBERS)),
        ),
        Curve(
            "patterns",
            "Patterns that match nothing",
            "patterns",
            (0, 10, 100, 1000, 10_000, 100_000),
            lambda at: Load(bystanders=at),
        ),
        Curve(
            "connections",
            "Idle connections beside a flood",
            "connections",
            (0, 10, 100, 1000, 3000, 10_000),
            lambda at: Load(),
            lambda at: (Load(kind="idle", name="idle", connections=at),) if at else (),
        ),
        Curve(
            "depth",
            "Messages that wait in the queue",
            "messages",
            (0, 100, 1000, 10_000, 100_000, 1_000_000),
            # Without a backlog the window is what keeps the queue short.
            lambda at: Load(queue=True, backlog=at, window=at + 1000),
        ),
    )
}


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--only", multiple=True, type=click.Choice(list(CURVES)), help="Only this curve.")
@click.option(
    "--peers", multiple=True, type=click.Choice([p.name for p in PEERS]), help="These servers, not just ours."
)
@click.option("--seconds", default=2.0, show_default=True, help="Measured time of one run.")
@click.option("--repeat", default=5, show_default=True, type=click.IntRange(1), help="Runs of each point.")
@click.option("--one-core", is_flag=True, help="Hold every server to one core.")
@click.option("--json", "file", type=click.Path(path_type=Path), help="Keep every number here, not in build/bench.")
@click.option("--resume", type=click.Path(exists=True, path_type=Path), help="Go on with what was interrupted.")
def main(
    only: tuple[str, ...],
    peers: tuple[str, ...],
    seconds: float,
    repeat: int,
    one_core: bool,
    file: Path | None,
    resume: Path | None,
) -> None:
    """Measure what a message costs as subscribers, bodies, topics, patterns, connections and queues grow."""
    names = only or tuple(CURVES)
    asked = in_order(peers or [BROKER.name])
    plan = Plan(name="curves", scenarios=names, peers=asked, seconds=seconds, repeat=repeat, one_core=one_core)
    record, file = begun(resume) if resume else (new_record(plan), file or default_file("curves"))
    plan = record.plan or plan
    scenarios = [scenario for name in plan.scenarios for scenario in CURVES[name].scenarios()]
    with kept(file):
        measure(record, plan, turns(scenarios, fit(record), plan.repeat), file, Console(stderr=True))
    show(record)
    sys.exit(1 if record.failures() else 0)


def show(record: Record) -> None:
    """Prints a table for each curve, and what it says."""
    console = Console(highlight=False)
    for name, peer in measured(record):
        curve = CURVES[name]
        console.print(_table(curve, record, peer))
        console.print(curve.in_words(judge(curve.points(record, peer))), markup=False)
    for failure in record.failures():
        console.print(f"fails: {failure}", style="red", markup=False)


def measured(record: Record) -> Sequence[tuple[str, str]]:
    """The curves of a record with the servers that have any point of them."""
    names = dict.fromkeys(name.partition("=")[0] for name in record.scenarios() if "=" in name)
    return [(name, peer) for name in names for peer in record.servers() if CURVES[name].points(record, peer)]


def _table(curve: Curve, record: Record, peer: str) -> Table:
    table = Table(title=f"{curve.title}, {peer}", box=SIMPLE)
    for heading in ("", "CPU µs", "lowest–highest", "deliveries/s"):
        table.add_column(heading, justify="right")
    for at, cost, rate, marks in curve.lines(record, peer):
        span = f"{cost.low:.3f}–{cost.high:.3f}"
        table.add_row(curve.written(at), f"{cost.median:.3f}", span, metrics.rate(rate.median) + marks)
    return table


if __name__ == "__main__":
    main()
