"""What was measured, as a table to read at the end of a run."""

from __future__ import annotations

from collections.abc import Sequence

from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from bench.peers import BROKER, NATS, RELAY
from bench.record import Record
from bench.scenarios import Outcome, Row, ratio, rows
from fastbroker.bench.metrics import METRICS

NOTES = (
    "The median, and below it the lowest and highest of the runs. CPU is the broker's, for each delivery.\n"
    "relay: a C program that copies bytes and parses nothing, the limit of this machine.\n"
    "*: the generator had no time left, the server may do more.   ‡: not valid, the generator was late."
)


def render(record: Record, title: str) -> Table:
    """The table of one run of the benchmark."""
    lines = rows(record)
    servers = [name for name in record.servers() if any(record.runs(row.scenario, name) for row in lines)]
    with_goals = any(row.goals for row in lines)
    table = Table(title=title, box=SIMPLE, caption=NOTES, caption_justify="left")
    table.add_column("", overflow="fold")
    for heading in (*servers, *(("of relay", "× nats", "CPU µs") if with_goals else ())):
        table.add_column(heading, justify="right", no_wrap=True)
    if with_goals:
        table.add_column("goals", overflow="fold")
    for row in lines:
        table.add_row(*_cells(record, row, servers, with_goals))
    return table


def _cells(record: Record, row: Row, servers: Sequence[str], with_goals: bool) -> list[str | Text]:
    metric = METRICS[row.metric]
    title = f"{row.scenario}\n" + ", ".join(filter(None, (metric.title, metric.unit)))
    measured = [_cell(record, row, server) for server in servers]
    return [title, *measured, *(_compared(record, row) if with_goals else ())]


def _cell(record: Record, row: Row, server: str) -> str | Text:
    """A number, or why there is none."""
    runs = record.runs(row.scenario, server)
    if runs.failures():
        return Text("fails", style="red")
    found, metric = runs.spread(row.metric), METRICS[row.metric]
    if found is None:
        return "-"
    median, low, high = (metric.written(value) for value in found)
    return f"{median}{runs.marks(row.metric)}\n{low}–{high}"


def _compared(record: Record, row: Row) -> list[str | Text]:
    cpu = record.runs(row.scenario, BROKER.name).median("server_cpu_us_per_message")
    return [
        _written(ratio(record, row, RELAY.name)),
        _written(ratio(record, row, NATS.name)),
        "-" if cpu is None else f"{cpu:.3f}",
        Text("\n").join(_outcome(outcome, row) for outcome in row.outcomes(record)),
    ]


def _written(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _outcome(outcome: Outcome, row: Row) -> Text:
    styles = {True: ("green", "met"), False: ("red", "not met"), None: ("yellow", "?")}
    style, word = styles[outcome.met]
    return Text(f"{row.in_words(outcome.goal)}: {word}", style=style)
