"""``python -m bench.report FILE.json...``: Markdown and pictures of what bench.run and bench.curves have measured."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import click

from bench import comparison, markdown
from bench.curves import CURVES, Curve, measured
from bench.figures import BEYOND, FRONT, SURVIVING, THROUGHPUT, draw_costs, draw_latency, draw_throughput
from bench.flatness import LIMIT, judge
from bench.markdown import ROOT
from bench.peers import BROKER, DISK, RELAY
from bench.plots import Form
from bench.record import Participant, Record, load
from bench.scenarios import ALL, Row, with_goals
from fastbroker.bench import metrics
from fastbroker.bench.evaluate import MESSAGES
from fastbroker.bench.result import Machine, UnknownFormat

GOALS, COMPARISON, TRANSPORTS, STORMS = "Goals", "Comparison", "TCP, Unix sockets, WebSocket, TLS", "Storms"
MESSAGING, DURABILITY = "Priorities, selectors, groups, replays, schedules", "Durability"
# By set.
HEADINGS = {
    "goals": GOALS,
    "transports": TRANSPORTS,
    "storms": STORMS,
    "messaging": MESSAGING,
    "durability": DURABILITY,
}
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"
LEGEND = (
    "Each cell: the median of the runs, and below it the lowest and the highest. **Bold**: the best broker of the line."
    " \\*: the load generator had no time left, the server may do more. ‡: not valid, the generator itself was late."
    f" “fails”: [a run went wrong](#what-failed), and half a result is none. –: means nothing for that server."
    f" `{RELAY.name}` is no broker: it copies bytes and parses nothing, and stands for the limit of the machine."
)
# What stands above the tables of a set, if that needs words.
WORDS = {
    DURABILITY: (
        "Messages are persistent, and each has a receipt: with `receipts-N` a publisher has at most N of them open,"
        " whoever the server is. All are set to have a message on the disk before they confirm it; JetStream's"
        f" confirmations are its own, since it speaks no STOMP. `{DISK.name}` is no broker either: it appends the same"
        " bytes to a file that is there already, as many messages at a time as may be confirmed together, and syncs"
        " after each time; its latency is that of the write and the sync. So it stands for the limit of the disk."
        " `restart-…` is the time from the start of the process, after kill -9, to the first message, with so many in"
        " a queue."
    ),
}

# What the README shows of a broker: heading, scenario, metric.
COLUMNS = (
    ("1 → 1<br>messages/s", "flood-1-1", "deliveries_per_s"),
    ("1 → 100<br>deliveries/s", "fan-out-100", "deliveries_per_s"),
    ("queue, each acked<br>messages/s", "queue-client-individual", "deliveries_per_s"),
    ("CPU of a message<br>µs", "flood-1-1", "server_cpu_us_per_message"),
    ("ping-pong<br>p50", "ping", "latency_p50_us"),
    ("ping-pong<br>p99", "ping", "latency_p99_us"),
    ("idle connection<br>memory", "idle-1k", "server_memory_per_connection"),
)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), default=ROOT / "docs" / "benchmarks.md", help="The report.")
@click.option("--readme", type=click.Path(exists=True, path_type=Path), help="Also show a table and a picture there.")
def main(files: tuple[Path, ...], out: Path, readme: Path | None) -> None:
    """Write the report, with its pictures in images/ beside it."""
    try:
        records = [load(file) for file in files]
    except UnknownFormat as error:
        raise click.ClickException(str(error)) from None
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n\n".join(report(records, out.parent / "images")) + "\n")
    if readme:
        readme.write_text(with_front(readme.read_text(), front(records, out, readme)))
    click.echo(f"wrote {out}")


def report(records: Sequence[Record], images: Path) -> Iterator[str]:
    """The paragraphs of the report."""
    yield "# Benchmarks"
    yield (
        "What `make bench`, `make bench-compare` and `python -m bench.curves` have measured, put together by"
        " `python -m bench.report`. [bench/README.md](../bench/README.md) says how to measure it on your machine, and"
        " how it is measured. Losses are published too: [where others are faster](#where-others-are-faster),"
        " [what failed](#what-failed)."
    )
    yield "## Machine and servers"
    yield machines([record.machine for record in records])
    yield markdown.bullets(f"{record.machine.date}, `{_name(record)}`: {record.method.text}" for record in records)
    yield servers(records)
    compared = [record for record in records if any(name in ALL for name in record.scenarios())]
    for number, record in enumerate(compared, 1):
        yield from _compared(record, images, number)
    yield from _losses(compared)
    yield from _curves([record for record in records if measured(record)], images)
    for number, record in enumerate(compared, 1):
        yield from _details(record, number)


def _name(record: Record) -> str:
    return record.plan.name if record.plan else "fastbroker bench"


def machines(facts: Iterable[Machine]) -> str:
    """Where it was measured; what differs between the files stands side by side."""
    several = list(facts)
    lines = {
        "processor": [f"{each.processor}, {each.cores} cores" for each in several],
        "memory": [metrics.size(each.memory) for each in several],
        "kernel": [f"{each.system} {each.kernel}" for each in several],
        "Python": [each.python for each in several],
        "load before": [f"{each.load_before:.2f}" for each in several],
    }
    return markdown.words(["", ""], [[name, " / ".join(dict.fromkeys(texts))] for name, texts in lines.items()])


def servers(records: Iterable[Record]) -> str:
    """Who took part, who could not and why, and who lacks what."""
    every = {peer.name: peer for record in records for peer in record.peers}
    lines = [[peer.name, peer.protocol, _state(peer), _lacks(peer)] for peer in every.values()]
    return markdown.words(["server", "protocol", "version", "lacks"], lines)


def _state(peer: Participant) -> str:
    return f"not measured: {markdown.quoted(peer.missing)}" if peer.missing else markdown.quoted(peer.version)


def _lacks(peer: Participant) -> str:
    return "; ".join(f"{feature}: {markdown.quoted(reason)}" for feature, reason in peer.lacks.items())


def _compared(record: Record, images: Path, number: int) -> Iterator[str]:
    yield f"## {number}. {_kind(record)}"
    if words := WORDS.get(_kind(record)):
        yield words
    if with_goals(record):
        yield comparison.goals(record)
    if _kind(record) not in (GOALS, STORMS):
        throughput, latency = f"throughput-{number}.png", f"latency-{number}.png"
        if draw_throughput(record, images / throughput, (*THROUGHPUT, *BEYOND, *SURVIVING)):
            yield markdown.image("Messages per second of each broker", f"{images.name}/{throughput}")
        if draw_latency(record, images / latency):
            yield markdown.image("Percentiles of the latency of each broker", f"{images.name}/{latency}")
    yield LEGEND
    yield comparison.headlines(record, _link(number))


def _link(number: int) -> Callable[[str], str]:
    # GitHub makes the anchor "1-ping" of the heading "1. ping".
    return lambda scenario: f"[{scenario}](#{number}-{scenario})"


def _kind(record: Record) -> str:
    return HEADINGS.get(record.plan.name if record.plan else "", COMPARISON)


def _losses(compared: Sequence[Record]) -> Iterator[str]:
    numbered = [(record, _link(number)) for number, record in enumerate(compared, 1)]
    yield "## Where others are faster"
    lost = [line for record, link in numbered for line in comparison.losses(record, link)]
    yield markdown.bullets(lost) if lost else "In nothing that was measured here."
    yield "## What failed"
    failed = [line for record, link in numbered for line in comparison.failing(record, link)]
    yield markdown.bullets(failed) if failed else "Nothing."
    if late := [line for record, link in numbered for line in comparison.invalid(record, link)]:
        yield "Not valid, since the load generator was late:"
        yield markdown.bullets(late)


def _curves(records: Sequence[Record], images: Path) -> Iterator[str]:
    if not records:
        return
    yield "## Curves"
    yield (
        "What a delivery costs the server in CPU, as one thing grows. A curve stops being flat at the first point that"
        f" costs more than {LIMIT} times what the cheapest point before it does (medians), if each of its runs costs"
        " more than that one and the next point is above the limit too; a ring marks it."
    )
    for number, record in enumerate(records):
        name = f"curves{f'-{number}' if number else ''}.png"
        draw_costs(record, images / name)
        yield markdown.image("Cost of a delivery along each curve", f"{images.name}/{name}")
        for curve, server in measured(record):
            yield from _curve(CURVES[curve], record, server)
        if failures := record.failures():
            yield markdown.bullets(f"fails: {markdown.quoted(failure)}" for failure in failures)


def _curve(curve: Curve, record: Record, server: str) -> Iterator[str]:
    yield f"### {curve.title}{'' if server == BROKER.name else f', {server}'}"
    points = {point.at: point for point in curve.points(record, server)}
    yield curve.in_words(judge(list(points.values())))
    of = "times the cheapest KiB so far" if curve.by_byte else "times the cheapest so far"
    lines = []
    for at, cost, rate, marks in curve.lines(record, server):
        base = min(point.cost for place, point in points.items() if place <= at)
        rates = _written(rate, metrics.rate) + comparison.escaped(marks)
        lines.append([curve.written(at), _written(cost, metrics.cost), rates, f"{points[at].cost / base:.2f}"])
    yield markdown.table(["", "CPU µs per delivery", "deliveries/s", of], lines)


def _written(spread: metrics.Spread, form: Form) -> str:
    return f"{form(spread.median)} ({form(spread.low)}–{form(spread.high)})"


def _details(record: Record, number: int) -> Iterator[str]:
    yield f"## {number}. {_kind(record)}: every number"
    for scenario in comparison.scenarios(record):
        yield f"### {number}. {scenario.name}"
        yield f"{scenario.title[0].upper()}{scenario.title[1:]}{_load(record, scenario.name)}."
        yield comparison.details(record, scenario)


def _load(record: Record, scenario: str) -> str:
    load = next(run.load for run in record.results if run.scenario == scenario)
    sized = f"; {load.size:,} bytes" if load.kind in (*MESSAGES, "ping", "request") else ""
    return sized + (f"; at most {load.window:,} messages under way" if load.window else "")


def front(records: Sequence[Record], out: Path, readme: Path) -> str:
    """What the README shows: of all records of brokers the one with most of them."""
    brokers = [
        record for record in records if _kind(record) not in (TRANSPORTS, STORMS, MESSAGING, DURABILITY)
    ] or records
    record = max(brokers, key=lambda each: len(comparison.measured_servers(each)))
    images = out.parent / "images"
    draw_throughput(record, images / "front.png", FRONT)
    beside = Path(os.path.relpath(out.parent, readme.parent)).as_posix()
    return "\n\n".join(
        (
            markdown.image("Messages per second of each broker", f"{beside}/images/front.png"),
            _front_table(record),
            _small_print(record, f"{beside}/{out.name}"),
        )
    )


def _front_table(record: Record) -> str:
    shown = [column for column in COLUMNS if column[1] in record.scenarios()]
    lines = [
        [_with_version(record, server), *[_front_cell(record, server, *column[1:]) for column in shown]]
        for server in comparison.measured_servers(record)
    ]
    return markdown.table(["", *[heading for heading, _, _ in shown]], lines)


def _with_version(record: Record, server: str) -> str:
    version = next((markdown.quoted(peer.version) for peer in record.peers if peer.name == server), "")
    name = f"**{server}**" if server == BROKER.name else server
    return f"{name}<br>{version}" if version else name


def _front_cell(record: Record, server: str, scenario: str, metric: str) -> str:
    return comparison.cell(record, Row(scenario, metric), server, best=server == BROKER.name)


def _small_print(record: Record, link: str) -> str:
    machine, method = record.machine, record.method
    return (
        f"{machine.date[:10]}: the median of {method.repeat} runs, below it the lowest and the highest, on"
        f" {machine.processor}, {machine.cores} cores, {machine.system} {machine.kernel}; 100-byte bodies, everything"
        f" on loopback of one machine, the load generator on its last core. `{RELAY.name}` copies bytes and parses"
        f" nothing: the limit of the machine. nats-server speaks its own protocol. [All of it]({link}), with every"
        f" number, other transports, what failed, and [where others are faster]({link}#where-others-are-faster)."
    )


def with_front(readme: str, text: str) -> str:
    """The README with the text between its marks. Raises ClickException when there are none."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise click.ClickException(f"the README has no {BEGIN} and {END} to write between")
    return f"{before}{BEGIN}\n{text}\n{END}{after}"


if __name__ == "__main__":
    main()
