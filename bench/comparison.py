"""What a record says of servers beside each other: numbers in cells, who is faster, who fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from bench import markdown
from bench.peers import BEFORE, BROKER, DISK, EVERY, OWN, RELAY
from bench.record import Record, better, with_unit
from bench.scenarios import ALL, Row, rows
from bench.turns import unfit
from fastbroker.bench.metrics import METRICS, Spread, spread
from fastbroker.bench.result import Result
from fastbroker.bench.scenarios import Scenario

# What a scenario's name is written as: it leads to all of its numbers.
Link = Callable[[str], str]

VERDICTS = {True: "met", False: "**not met**", None: "?"}
# What stands for a limit is no broker, and the others are ours.
LIMITS = {RELAY.name, DISK.name}
NO_RIVALS = {*LIMITS, *(peer.name for peer in (BROKER, *OWN, *BEFORE))}
LATENCY = ("latency_p50_us", "latency_p90_us", "latency_p99_us", "latency_p99_9_us", "latency_max_us")
# What every scenario tells, as far as it has it.
ALWAYS = ("sends_per_s", "deliveries_per_s", "operations_per_s", "receipts_per_s")
COSTS = ("server_cpu_us_per_message", "server_cpu", "server_memory_peak", "generator_cpu")


def losses(record: Record, link: Link) -> Iterator[str]:
    """Every number in which another broker is better than ours; a limit is none."""
    others = [name for name in measured_servers(record) if name not in NO_RIVALS]
    for scenario in scenarios(record):
        ours = record.runs(scenario.name, BROKER.name)
        for metric in scenario.measures if ours else ():
            theirs = {other: record.runs(scenario.name, other).spread(metric) for other in others}
            known = {other: found for other, found in theirs.items() if found}
            if ahead := list(_ahead(metric, ours.spread(metric), known)):
                value = "fails" if ours.failures() else with_unit(metric, ours.median(metric) or 0)
                title = METRICS[metric].title
                yield f"{link(scenario.name)}, {title}: {BROKER.name} {value}; {', '.join(ahead)}"


def _ahead(metric: str, ours: Spread | None, theirs: Mapping[str, Spread]) -> Iterator[str]:
    for other, found in theirs.items():
        text = f"{other} {with_unit(metric, found.median)}"
        if ours is None:
            yield text
        elif better(metric, found.median, ours.median):
            high, low = max(found.median, ours.median), min(found.median, ours.median)
            overlap = ", the runs overlap" * (found.low <= ours.high and ours.low <= found.high)
            yield f"{text} ({high / low:.2f} ×{overlap})" if low else text


def scenarios(record: Record) -> list[Scenario]:
    """The scenarios of a record that are still known."""
    return [ALL[name] for name in record.scenarios() if name in ALL]


def measured_servers(record: Record) -> list[str]:
    """Those that have any run."""
    return list(dict.fromkeys(name for name in record.servers() if any(r.server.name == name for r in record.results)))


def why_not(record: Record, scenario: str, server: str) -> str:
    """Why a cell has no number, in a word; empty if it has one."""
    runs = record.runs(scenario, server)
    if runs.failures():
        return "fails"
    if runs:
        return ""
    meaningless = any(unfit(ALL[scenario], peer) for peer in EVERY if peer.name == server)
    return "–" if meaningless else "not measured"


def cell(record: Record, row: Row, server: str, best: bool = False) -> str:
    """Median, and below it the lowest and the highest of the runs."""
    if reason := why_not(record, row.scenario, server):
        return reason
    runs = record.runs(row.scenario, server)
    found, written = runs.spread(row.metric), METRICS[row.metric].written
    if not found:
        return ""
    text = f"{written(found.median)}{escaped(runs.marks(row.metric))}"
    return f"{f'**{text}**' if best else text}<br>{written(found.low)}–{written(found.high)}"


def escaped(marks: str) -> str:
    """Marks as Markdown takes them for themselves."""
    return marks.replace("*", "\\*")


def best(record: Record, row: Row, servers: Sequence[str]) -> str:
    """The server with the best median; a limit does not compete."""
    found = {name: record.runs(row.scenario, name).median(row.metric) for name in servers if name not in LIMITS}
    known = {name: value for name, value in found.items() if value is not None}
    most = METRICS[row.metric].better == "more"
    return (max if most else min)(known, key=lambda name: known[name], default="")


def headlines(record: Record, link: Link) -> str:
    """A line for each scenario, a column for each server."""
    servers = measured_servers(record)
    lines = []
    for row in rows(record):
        winner = best(record, row, servers)
        cells = [cell(record, row, server, best=server == winner) for server in servers]
        lines.append([f"{link(row.scenario)}<br>{_heading(row.metric)}", *cells])
    return markdown.table(["", *servers], lines)


def _heading(metric: str) -> str:
    return ", ".join(filter(None, (METRICS[metric].title, METRICS[metric].unit)))


def details(record: Record, scenario: Scenario) -> str:
    """Every number of a scenario: a line for each server."""
    servers = [name for name in measured_servers(record) if record.runs(scenario.name, name)]
    columns = [metric for metric in _metrics(scenario) if any(_has(record, scenario, name, metric) for name in servers)]
    heading = ["", *map(_heading, columns)]
    beside = "beside it, delivered, 1/s"
    lines = [
        [name, *[cell(record, Row(scenario.name, metric), name) for metric in columns]]
        + ([_beside(record.runs(scenario.name, name))] if scenario.beside else [])
        for name in servers
    ]
    return markdown.table([*heading, *([beside] if scenario.beside else [])], lines)


def _metrics(scenario: Scenario) -> list[str]:
    """What to show of a scenario; a latency means nothing where messages wait in line because there are too many."""
    timed = any(metric in LATENCY for metric in scenario.measures)
    shown = {*ALWAYS, *scenario.measures, *(LATENCY if timed else ()), *COSTS}
    return [metric for metric in METRICS if metric in shown]


def _has(record: Record, scenario: Scenario, server: str, metric: str) -> bool:
    return record.runs(scenario.name, server).spread(metric) is not None


def _beside(runs: Sequence[Result]) -> str:
    found = spread([beside for run in runs for beside in run.beside], "deliveries_per_s")
    written = METRICS["deliveries_per_s"].written
    return f"{written(found.median)}<br>{written(found.low)}–{written(found.high)}" if found else ""


def failing(record: Record, link: Link) -> Iterator[str]:
    """Who failed where, how often, why, and what its other runs have reached."""
    for scenario in scenarios(record):
        for server in measured_servers(record):
            runs = record.runs(scenario.name, server)
            if not runs.failures():
                continue
            good, metric = runs.good(), scenario.measures[0]
            others = good.median(metric)
            reached = f" (its other runs: {METRICS[metric].title} {with_unit(metric, others)})" if others else ""
            reasons = "; ".join(markdown.quoted(reason) for reason in runs.failures())
            count = f"{len(runs) - len(good)} of {len(runs)} runs"
            yield f"**{server}**, {link(scenario.name)}, {count}{reached}: {reasons}"


def invalid(record: Record, link: Link) -> Iterator[str]:
    """Whose numbers are not those of the server."""
    for scenario in scenarios(record):
        for server in measured_servers(record):
            runs = record.runs(scenario.name, server)
            if reasons := [run.invalid for run in runs if run.invalid]:
                count = f"{len(reasons)} of {len(runs)} runs"
                yield f"{server}, {link(scenario.name)}, {count}: {markdown.quoted(reasons[-1])}"


def goals(record: Record) -> str:
    """What was to be reached, and what was."""
    lines = [
        [
            f"`{row.scenario}`, {METRICS[row.metric].title}",
            row.in_words(outcome.goal),
            row.reached(outcome),
            VERDICTS[outcome.met],
        ]
        for row in rows(record)
        for outcome in row.outcomes(record)
    ]
    return markdown.words(["", "goal", "reached", ""], lines)
