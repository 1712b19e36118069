"""Results as rows and columns, for whoever shows them: a terminal, a page."""

from collections.abc import Sequence
from typing import NamedTuple

from fastbroker.bench.every import EVERY
from fastbroker.bench.metrics import METRICS, Spread, spread
from fastbroker.bench.result import Result

# What a latency is the latency of; a row shows the first that it has.
LATENCIES = {"latency": "message", "receipt": "receipt", "connect": "login"}


class Cell(NamedTuple):
    """A median, and below it the range of the runs where there are several."""

    text: str = ""
    span: str = ""


class Column(NamedTuple):
    """A heading over metrics of which a row shows the first that it has."""

    title: str
    unit: str
    metrics: tuple[str, ...]
    spare: int = 0
    """Where there is no room for all columns, the highest goes first."""


class Row(NamedTuple):
    """A scenario, its numbers, and a word if they do not count."""

    name: str
    cells: list[Cell]
    wrong: str = ""


class Table(NamedTuple):
    """Rows under columns."""

    columns: list[Column]
    rows: list[Row]


def _percentile(title: str, name: str, spare: int = 0) -> Column:
    return Column(title, "", tuple(f"{kind}_{name}_us" for kind in LATENCIES), spare)


HOW_MANY = (
    Column("sent", "1/s", ("sends_per_s",)),
    Column("delivered", "1/s", ("deliveries_per_s",)),
    Column("bodies", "MB/s", ("megabytes_per_s",), 3),
    Column("receipts", "1/s", ("receipts_per_s",), 4),
    Column("operations", "1/s", ("operations_per_s",)),
    Column("server CPU", "µs/message", ("server_cpu_us_per_message",)),
    Column("memory", "peak", ("server_memory_peak",), 2),
    Column("memory", "connection", ("server_memory_per_connection",)),
    Column("memory", "message", ("server_memory_per_message",)),
    Column("generator", "CPU", ("generator_cpu",), 1),
    Column("generator", "µs/message", ("generator_cpu_us_per_message",), 5),
)
OF = Column("latency", "of a", ())
HOW_LONG = (
    OF,
    _percentile("p50", "p50"),
    _percentile("p90", "p90", 2),
    _percentile("p99", "p99"),
    _percentile("p99.9", "p99_9", 1),
    _percentile("max", "max"),
    Column("ping", "beside, p99", ("beside_p99_us",)),
)


def by_scenario(results: Sequence[Result]) -> dict[str, list[Result]]:
    """The runs of each scenario, in the order in which they came."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        groups.setdefault(result.scenario, []).append(result)
    return groups


def tables(results: Sequence[Result]) -> list[Table]:
    """How many, with a row for each scenario, and how long, for those that have latencies."""
    groups = by_scenario(results)
    timed = {name: runs for name, runs in groups.items() if _cell(OF, runs).text}
    return [_table(columns, runs) for columns, runs in ((HOW_MANY, groups), (HOW_LONG, timed)) if runs]


def problems(results: Sequence[Result]) -> list[str]:
    """Each failure once, with where it was met, and of each scenario the worst reason not to believe it."""
    places: dict[str, list[str]] = {}
    for result in results:
        for failure in result.failures:
            places.setdefault(failure, []).append(result.scenario)
    failures = [f"{', '.join(dict.fromkeys(names))}: {failure}" for failure, names in places.items()]
    worst = {each.scenario: each for each in sorted(filter(_is_invalid, results), key=_send_delay)}
    return failures + [f"{name}: not valid: {result.invalid}" for name, result in worst.items()]


def _is_invalid(result: Result) -> bool:
    return bool(result.invalid)


def _send_delay(result: Result) -> float:
    return result.send_delay_p99_us or 0.0


def _table(columns: Sequence[Column], groups: dict[str, list[Result]]) -> Table:
    """A table without the columns that have nothing in them."""
    rows = [Row(name, [_cell(column, runs) for column in columns], _wrong(runs)) for name, runs in groups.items()]
    used = [at for at in range(len(columns)) if any(row.cells[at].text for row in rows)]
    return Table([columns[at] for at in used], [row._replace(cells=[row.cells[at] for at in used]) for row in rows])


def _wrong(runs: Sequence[Result]) -> str:
    if any(run.failures for run in runs):
        return "failed"
    return "not valid" if any(map(_is_invalid, runs)) else ""


def _cell(column: Column, runs: Sequence[Result]) -> Cell:
    if column is OF:
        return Cell(next((what for kind, what in LATENCIES.items() if spread(runs, f"{kind}_p50_us")), ""))
    for metric in column.metrics:
        found = spread(runs, metric)
        if found and _belongs(metric, runs[0]):
            bound = metric == "generator_cpu" and any(run.generator_bound for run in runs)
            text = METRICS[metric].written(found.median) + ("*" if bound else "")
            return Cell(text, _span(metric, found) if len(runs) > 1 else "")
    return Cell()


def _span(metric: str, found: Spread) -> str:
    """The range, with its unit once if both ends have the same."""
    low, high = METRICS[metric].written(found.low), METRICS[metric].written(found.high)
    number, _, unit = low.partition(" ")
    same = unit and high.endswith(f" {unit}")
    return low if low == high else f"{number if same else low}–{high}"


def _belongs(metric: str, result: Result) -> bool:
    """Whether a number is shown; megabytes say nothing but in loads that are about them."""
    if metric != "megabytes_per_s":
        return True
    scenario = EVERY.get(result.scenario)
    return metric in scenario.measures if scenario else result.load.size >= 1000
