"""What was measured, as a table to read at the end of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from bench.peers import BROKER, NATS, RELAY
from bench.record import Record
from bench.scenarios import Row, ratio, rows
from fastbroker.bench.metrics import METRICS

CPU = "CPU µs"
# What stands beside goals: the broker against a server, and its own cost.
MEASURES = {"of relay": RELAY.name, "× nats": NATS.name, CPU: BROKER.name}
STYLES = {True: ("green", "met"), False: ("red", "not met"), None: ("yellow", "?")}
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
    measures = [heading for heading, name in MEASURES.items() if with_goals and name in servers]
    table = Table(title=title, box=SIMPLE, caption=NOTES, caption_justify="left")
    table.add_column("", min_width=max(len(row.scenario) for row in lines) if lines else 0)
    for heading in (*servers, *measures):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in lines:
        table.add_row(*_cells(record, row, servers), *(_measured(record, row, each) for each in measures))
    return table


def _cells(record: Record, row: Row, servers: Sequence[str]) -> list[str | Text]:
    metric = METRICS[row.metric]
    title = f"{row.scenario}\n" + ", ".join(filter(None, (metric.title, metric.unit)))
    return [title, *(_cell(record, row, server) for server in servers)]


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


def _measured(record: Record, row: Row, heading: str) -> str:
    if heading == CPU:
        cpu = record.runs(row.scenario, BROKER.name).median("server_cpu_us_per_message")
        return "-" if cpu is None else f"{cpu:.3f}"
    compared = ratio(record, row, MEASURES[heading])
    return "-" if compared is None else f"{compared:.2f}"


def goals(record: Record) -> Iterator[Text]:
    """A line for each goal: what was to be reached, and what was."""
    for row in rows(record):
        for outcome in row.outcomes(record):
            style, word = STYLES[outcome.met]
            wanted = f"{row.scenario}, {METRICS[row.metric].title}: {row.in_words(outcome.goal)}"
            yield Text(f"{wanted}: {row.reached(outcome)}, {word}", style=style)
