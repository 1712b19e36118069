"""What a person sees: bars while it runs, on the standard error output, and a table at the end."""

import time
from types import TracebackType

from rich.box import SIMPLE
from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bars
from rich.table import Table as Grid
from rich.text import Text

from fastbroker.bench.events import Progress
from fastbroker.bench.every import EVERY
from fastbroker.bench.machine import in_words
from fastbroker.bench.metrics import rate
from fastbroker.bench.result import Report
from fastbroker.bench.run import OnProgress
from fastbroker.bench.scenarios import Scenario
from fastbroker.bench.table import Row, Table, problems, tables

UNBOUNDED_WIDTH = 10_000
PIPED_WIDTH = 180  # a table in a file need not be folded to the 80 columns assumed there
LOADED = ("warming up", "measuring", "draining")


class Live:
    """Bars for the runs: all of them, and the one that is on."""

    def __init__(self, runs: int, repeat: int, *, quiet: bool) -> None:
        """Expect so many runs; `repeat` of each scenario."""
        console = Console(stderr=True)
        self._lines = None if quiet or console.is_terminal else console
        self._repeat = repeat
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[now]}", style="dim"),
            console=console,
            refresh_per_second=4,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._all = self._bars.add_task("all runs", total=runs, now="", visible=runs > 1)
        self._one = self._bars.add_task("", total=1, now="")
        self._begun = 0

    def __enter__(self) -> "Live":
        # Bars that nobody sees would still end with an empty line.
        if not self._bars.disable:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._bars.disable:
            self._bars.stop()

    def announce(self, scenario: Scenario, number: int) -> OnProgress:
        """Show the next run; what is returned follows it."""
        name = f"{scenario.name} {number}/{self._repeat}" if self._repeat > 1 else scenario.name
        if self._lines:
            self._lines.print(f"{name}: {scenario.title}", markup=False, highlight=False, soft_wrap=True)
        self._bars.update(self._all, completed=self._begun)
        self._begun += 1
        self._bars.reset(self._one, description=name, total=1, now="connecting")
        pace = _Pace()

        def follow(progress: Progress) -> None:
            self._bars.update(self._one, completed=_done(scenario, progress), now=pace.in_words(progress))

        return follow


class _Pace:
    """How fast it goes just now."""

    def __init__(self) -> None:
        self._before: Progress | None = None
        self._time = 0.0

    def in_words(self, progress: Progress) -> str:
        before, now = self._before, time.monotonic()
        elapsed, self._before, self._time = now - self._time, progress, now
        if before is None or elapsed <= 0 or progress.phase not in LOADED:
            return progress.phase
        paces = {
            "sent": progress.sent - before.sent,
            "received": progress.received - before.received,
            "operations": progress.operations - before.operations,
        }
        return "  ".join([progress.phase, *(f"{rate(n / elapsed)}/s {name}" for name, n in paces.items() if n > 0)])


def _done(scenario: Scenario, progress: Progress) -> float:
    """The part of a run that is behind it."""
    load = scenario.load
    if load.kind == "storm":
        return progress.connections / load.connections
    if load.kind in ("schedule", "drain"):
        return (progress.sent + progress.received) / (2 * load.messages)
    if progress.phase == "connecting":
        return 0
    if progress.phase not in ("warming up", "measuring"):
        return 0 if progress.phase == "ready" else 1
    behind = progress.seconds + (load.warm_up if progress.phase == "measuring" else 0)
    return behind / max(load.warm_up + load.seconds, 1e-9)


def console_for_tables() -> Console:
    """The standard output, as wide as it is, or wide enough."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(width=PIPED_WIDTH, highlight=False)


def show_report(report: Report) -> None:
    """Print the tables, what went wrong, and the facts."""
    console = console_for_tables()
    console.print(", ".join(dict.fromkeys(result.server.name for result in report.results)), style="bold", markup=False)
    for table in tables(report.results):
        console.print(_fitting(console, table))
    if any(result.generator_bound for result in report.results):
        console.print("*: the generator used up its core, so the server may be able to do more", style="yellow")
    for line in [*problems(report.results), *_advice(report)]:
        console.print(line, style="red", markup=False)
    console.print(f"{report.method.text}\n{in_words(report.machine)}", style="dim", markup=False)


def show_scenarios() -> None:
    """Print the scenarios."""
    listed = Grid(box=None, show_header=False, pad_edge=False)
    listed.add_column(no_wrap=True, style="bold")
    for scenario in EVERY.values():
        listed.add_row(scenario.name, scenario.title)
    Console(highlight=False).print(listed)


def _fitting(console: Console, table: Table) -> Grid:
    """The table with as many of its columns as there is room for."""
    unbounded = console.options.update(max_width=UNBOUNDED_WIDTH)
    grids = (_grid(table, spare) for spare in sorted({column.spare for column in table.columns}, reverse=True))
    fitting = (grid for grid in grids if Measurement.get(console, unbounded, grid).maximum <= console.width)
    return next(fitting, _grid(table, 0))


def _grid(table: Table, spare: int) -> Grid:
    shown = [at for at, column in enumerate(table.columns) if column.spare <= spare]
    grid = Grid(box=SIMPLE, collapse_padding=True)
    grid.add_column("scenario", no_wrap=True)
    for at in shown:
        column = table.columns[at]
        grid.add_column(f"{column.title}\n{column.unit}".rstrip(), justify="right", no_wrap=True)
    for row in table.rows:
        name = Text(row.name, style="bold red" if row.wrong else "").append(f"\n{row.wrong}" if row.wrong else "")
        grid.add_row(name, *(_cell(row, at) for at in shown))
    return grid


def _cell(row: Row, at: int) -> Text:
    cell = row.cells[at]
    return Text(cell.text, style="red" if row.wrong else "").append(f"\n{cell.span}" if cell.span else "", "dim")


def _advice(report: Report) -> list[str]:
    advice = []
    if any(result.failures for result in report.results):
        advice.append(
            "A failure is the server's answer to this load: look into its log; try a lower --rate, or a --window."
        )
    if any(result.invalid for result in report.results):
        advice.append(
            "What is not valid says nothing of the server: take a lower --rate, end other programs, or give the "
            "generator a core of its own (--core)."
        )
    return advice
