"""The results as a table to read."""

from __future__ import annotations

from collections.abc import Callable

from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from bench.measure import applies
from bench.peers import BROKER, NATS, PEERS, RELAY, Peer
from bench.results import Cell, Outcome, Results
from bench.scenarios import Against, Goal, Row, Scenario

NOTES = (
    "Rates are deliveries per second: median, and below it the lowest and highest of the runs."
    " CPU is the broker's processor time per delivery.\n"
    "relay: a C program that copies bytes and parses nothing, the limit of this machine.   "
    "*: the generator had no time left, the server may do more."
)


def _million(value: float) -> str:
    return f"{value / 1e6:.2f}"


def _plain(value: float) -> str:
    return f"{value:.0f}"


# How a metric is written, and its unit.
FORMATS: dict[str, tuple[Callable[[float], str], str]] = {
    "deliveries_per_s": (_million, "M/s"),
    "p50_us": (_plain, "µs"),
    "p99_us": (_plain, "µs"),
    "bytes_per_connection": (_plain, "B"),
}


def render(title: str, results: Results, scenarios: list[Scenario], peers: list[Peer]) -> Table:
    """The table of one run of the benchmark."""
    table = Table(title=title, box=SIMPLE, caption=NOTES, caption_justify="left")
    table.add_column("", overflow="fold")
    for peer in PEERS:
        table.add_column(peer.name, justify="right", no_wrap=True)
    for heading in ("of relay", "× nats", "CPU µs"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("goals", overflow="fold")
    for scenario in scenarios:
        for row in scenario.rows:
            table.add_row(*_cells(results, scenario, row, peers))
    return table


def _cells(results: Results, scenario: Scenario, row: Row, peers: list[Peer]) -> list[str | Text]:
    cpu = results.cell(scenario, BROKER).median("server_cpu_us_per_delivery")
    return [
        row.title,
        *(_measured(results.cell(scenario, peer), scenario, row, peer, peer in peers) for peer in PEERS),
        _ratio(results.ratio(scenario, row, RELAY)),
        _ratio(results.ratio(scenario, row, NATS)),
        "-" if cpu is None else f"{cpu:.3f}",
        Text("\n").join(_outcome(outcome, row) for outcome in results.outcomes(scenario, row)),
    ]


def _measured(cell: Cell, scenario: Scenario, row: Row, peer: Peer, wanted: bool) -> str | Text:
    if cell.failures:
        return Text("failed", style="red")
    if not applies(scenario, peer):
        return "-"
    if not peer.installed():
        return "not installed"
    value = cell.median(row.metric)
    if not wanted or value is None:
        return ""
    form, unit = FORMATS[row.metric]
    values = cell.values(row.metric)
    mark = "*" if cell.generator_bound() else ""
    return f"{form(value)} {unit}{mark}\n{form(min(values))}–{form(max(values))}"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _outcome(outcome: Outcome, row: Row) -> Text:
    styles = {True: ("green", "met"), False: ("red", "not met"), None: ("yellow", "?")}
    style, word = styles[outcome.met]
    return Text(f"{_bound(outcome.goal, row)}: {word}", style=style)


def _bound(goal: Goal, row: Row) -> str:
    sign = "≤" if goal.at_most else "≥"
    if goal.against is Against.NOTHING:
        form, unit = FORMATS[row.metric]
        return f"{sign} {form(goal.bound)} {unit}"
    return f"{sign} {goal.bound:g} × {goal.against.value}"
