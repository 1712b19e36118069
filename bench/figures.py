"""Which numbers of a record go into which picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.comparison import LATENCY, measured_servers, why_not
from bench.curves import CURVES, measured
from bench.flatness import judge
from bench.peers import BROKER
from bench.plots import Dots, Line, Percentiles, draw_curves, draw_dots, draw_percentiles
from bench.record import Record
from fastbroker.bench import metrics
from fastbroker.bench.metrics import METRICS, Spread

# What the README shows, and what the report adds: scenario, metric, title.
FRONT = (
    ("flood-1-1", "deliveries_per_s", "1 → 1, messages/s"),
    ("fan-out-100", "deliveries_per_s", "1 → 100, deliveries/s"),
    ("queue-client-individual", "deliveries_per_s", "queue, each acked, messages/s"),
)
THROUGHPUT = (
    *FRONT,
    ("fan-in-10", "deliveries_per_s", "10 → 1, messages/s"),
    ("receipts-100", "receipts_per_s", "receipt for each, messages/s"),
    ("body-16k", "deliveries_per_s", "bodies of 16 KiB, messages/s"),
)
# Of the scenarios that not every broker can do.
BEYOND = (
    ("priority-queue", "deliveries_per_s", "10 priorities, messages/s"),
    ("select-topic-10", "deliveries_per_s", "topic, 10 selectors, messages/s"),
    ("select-queue-10", "deliveries_per_s", "queue, 10 selectors, messages/s"),
    ("groups", "deliveries_per_s", "100 groups, messages/s"),
    ("replay-100k", "deliveries_per_s", "replay of a topic, messages/s"),
    ("scheduled-100k", "deliveries_per_s", "100,000 due at once, messages/s"),
)
# Of those that are about what survives.
SURVIVING = (
    ("durable-1-1-receipts-1", "receipts_per_s", "1 receipt open, messages/s"),
    ("durable-1-1-receipts-10", "receipts_per_s", "10 receipts open, messages/s"),
    ("durable-1-1-receipts-100", "receipts_per_s", "100 receipts open, messages/s"),
    ("durable-4-4-receipts-10", "receipts_per_s", "4 → 4, 10 open each, messages/s"),
    ("durable-fan-out-10", "deliveries_per_s", "1 → 10 durable, deliveries/s"),
    ("durable-drain-100k", "deliveries_per_s", "100,000 drained, messages/s"),
)
MESSAGE, RECEIPT = "latency", "receipt"
LATENCIES = (
    ("ping", "ping, one at a time", MESSAGE),
    ("latency-5k", "5,000 messages/s", MESSAGE),
    ("latency-50", "half of its own flood", MESSAGE),
    ("durable-latency-1k", "receipts, 1,000 messages/s", RECEIPT),
    ("durable-latency-10k", "receipts, 10,000 messages/s", RECEIPT),
)
PERCENTILES = ("p50", "p90", "p99", "p99.9", "max")


def draw_throughput(record: Record, path: Path, chosen: Sequence[tuple[str, str, str]]) -> bool:
    """The rates; whether there are any."""
    servers = measured_servers(record)
    panels = [
        Dots(title, {server: _spread(record, scenario, metric, server) for server in servers}, METRICS[metric].written)
        for scenario, metric, title in chosen
        if scenario in record.scenarios()
    ]
    if panels:
        draw_dots(path, panels)
    return bool(panels)


def _spread(record: Record, scenario: str, metric: str, server: str) -> Spread | str:
    return record.runs(scenario, server).spread(metric) or why_not(record, scenario, server)


def draw_latency(record: Record, path: Path) -> bool:
    """The latencies; whether there are any."""
    panels = []
    for scenario, title, kind in LATENCIES:
        values = {server: _percentiles(record, scenario, server, kind) for server in measured_servers(record)}
        if known := {server: numbers for server, numbers in values.items() if numbers}:
            panels.append(Percentiles(title, PERCENTILES, known, metrics.time_us))
    if panels:
        draw_percentiles(path, panels)
    return bool(panels)


def _percentiles(record: Record, scenario: str, server: str, kind: str) -> list[float]:
    names = [metric.replace(MESSAGE, kind, 1) for metric in LATENCY]
    medians = [record.runs(scenario, server).median(metric) for metric in names]
    return [value for value in medians if value is not None]


def draw_costs(record: Record, path: Path) -> bool:
    """The curves; whether there are any."""
    names = dict.fromkeys(name for name, _ in measured(record))
    lines = [_line(record, name, [server for curve, server in measured(record) if curve == name]) for name in names]
    if lines:
        draw_curves(path, lines)
    return bool(lines)


def _line(record: Record, name: str, servers: Sequence[str]) -> Line:
    curve = CURVES[name]
    points = {server: curve.points(record, server) for server in servers}
    values = {
        server: ([p.at for p in several], [Spread(p.cost, min(p.costs), max(p.costs)) for p in several])
        for server, several in points.items()
    }
    knee = judge(points[BROKER.name]).knee if BROKER.name in points else None
    label = "CPU µs per KiB, frame and all" if curve.by_byte else "CPU µs per delivery"
    form = metrics.size if curve.by_byte else metrics.rate
    return Line(curve.title, label, values, knee.at if knee else None, form, lambda cost: f"{cost:.2g}")
