"""``python -m bench.run``: measures several servers in alternation, prints a table, and keeps every number."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import click
import msgspec
from rich.console import Console

from bench.peers import EVERY, Peer, named
from bench.peers.disk import NoDisk, directory, file_system, on_disk
from bench.record import DEFAULT_DIRECTORY, Participant, Plan, Record, load
from bench.scenarios import ALL, SETS, chosen
from bench.table import goals, render
from bench.turns import SLOW_START, impossible, measure, turns
from fastbroker.bench.cores import last_core
from fastbroker.bench.machine import in_words, machine
from fastbroker.bench.result import Method, UnknownFormat
from fastbroker.bench.show import console_for_tables


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--set", "set_name", type=click.Choice(list(SETS)), default="goals", show_default=True, help="Which runs."
)
@click.option("--only", multiple=True, type=click.Choice(list(ALL)), metavar="SCENARIO", help="Only this scenario.")
@click.option("--peers", multiple=True, type=click.Choice([p.name for p in EVERY]), help="Only this server.")
@click.option("--seconds", default=3.0, show_default=True, help="Measured time of one run.")
@click.option("--repeat", default=3, show_default=True, type=click.IntRange(1), help="Runs of each.")
@click.option("--one-core", is_flag=True, help="Hold every server to one core.")
@click.option("--json", "file", type=click.Path(path_type=Path), help="Keep every number here, not in build/bench.")
@click.option("--resume", type=click.Path(exists=True, path_type=Path), help="Go on with what was interrupted.")
def main(
    set_name: str,
    only: tuple[str, ...],
    peers: tuple[str, ...],
    seconds: float,
    repeat: int,
    one_core: bool,
    file: Path | None,
    resume: Path | None,
) -> None:
    """Measure servers in alternation and print one table. The exit status is 1 if anything failed.

    The set `goals` has what the broker must reach beside a relay and nats-server, `transports` the broker over
    WebSocket, TLS and Unix sockets beside RabbitMQ, `storms` thousands of clients that come at once, `messaging`
    priorities, selectors, groups, replays and schedules, `durability` persistent messages and restarts, `compare` what
    shows how brokers differ, `all` every scenario.
    --resume takes all settings from the file.
    """
    names = only or SETS[set_name].scenarios
    if any(ALL[name].load.persistent for name in names):
        ensure_disk()
    asked = in_order(peers or [peer.name for peer in SETS[set_name].peers])
    plan = Plan(name=set_name, scenarios=names, peers=asked, seconds=seconds, repeat=repeat, one_core=one_core)
    record, file = begun(resume) if resume else (new_record(plan), file or default_file(set_name))
    plan = record.plan or plan
    with kept(file):
        measure(record, plan, turns(chosen(plan), fit(record), plan.repeat), file, Console(stderr=True))
    show(record)
    sys.exit(1 if record.failures() else 0)


def ensure_disk() -> None:
    """There is a place where what must survive does."""
    try:
        on_disk()
    except NoDisk as error:
        raise click.ClickException(str(error)) from None


def in_order(names: Sequence[str]) -> tuple[str, ...]:
    """The servers as they always stand."""
    return tuple(peer.name for peer in EVERY if peer.name in names)


def new_record(plan: Plan) -> Record:
    """An empty record of what is to be measured, with everybody who takes part."""
    participants = [_participant(named(name)) for name in plan.peers]
    versions = {each.name: each.version for each in participants if each.version}
    method = Method(repeat=plan.repeat, core=last_core(), own_server=True, text=_in_words(plan))
    here = machine()
    facts = msgspec.structs.replace(here, versions={**here.versions, **versions})
    return Record(machine=facts, method=method, results=[], plan=plan, peers=participants)


def _participant(peer: Peer) -> Participant:
    lacks = {str(feature): reason for feature, reason in peer.lacks.items()}
    missing = peer.missing()
    version = "" if missing else peer.version()
    return Participant(name=peer.name, protocol=peer.protocol, version=version, missing=missing, lacks=lacks)


def _in_words(plan: Plan) -> str:
    core = "the first core" if plan.one_core else "no core in particular"
    return (
        f"{plan.repeat} runs of {plan.seconds:g} s after a warm-up, the servers in alternation, on loopback;"
        f" the servers held to {core}, the load generator to the last one. A fresh server for each run; one that takes"
        f" more than {SLOW_START:g} s to start is kept for all runs of a scenario; a fresh JVM has a longer warm-up."
        f" What servers keep is on {file_system(directory()).kind}."
    )


def begun(file: Path) -> tuple[Record, Path]:
    """The record that is to be completed, and its file."""
    try:
        record = load(file)
    except UnknownFormat as error:
        raise click.ClickException(str(error)) from None
    here, there = machine(), record.machine
    if record.plan is None:
        raise click.ClickException(f"{file} does not say what is still to be measured")
    if (here.processor, here.kernel) != (there.processor, there.kernel):
        raise click.ClickException(f"{file} was measured on another machine, with {there.processor}, {there.kernel}")
    return record, file


def default_file(name: str) -> Path:
    """Where the numbers go: a name that no other run has."""
    return DEFAULT_DIRECTORY / f"{name}-{datetime.now().astimezone():%Y%m%d-%H%M%S}.json"


def fit(record: Record) -> list[Peer]:
    """The servers that can be measured here."""
    return [named(each.name) for each in record.peers if not each.missing]


@contextmanager
def kept(file: Path) -> Iterator[None]:
    """Says where the numbers are, and what to do when it was interrupted, by whatever it was."""
    try:
        yield
    except BaseException:
        click.echo(f"interrupted; --resume {file} goes on", err=True)
        raise
    click.echo(f"every number is in {file}", err=True)


def show(record: Record) -> None:
    """Prints the table, and what is to be known of it."""
    console = console_for_tables()
    console.print(render(record, ""))
    for goal in goals(record):
        console.print(goal)
    for failure in record.failures():
        console.print(f"fails: {' '.join(failure.split())}", style="red", markup=False)
    for one in (*missing(record.peers), *left_out(record.plan)):
        console.print(f"not measured: {one}", style="yellow", markup=False)
    console.print(record.method.text, style="dim", markup=False)
    console.print(in_words(record.machine), style="dim", markup=False)


def missing(peers: Sequence[Participant]) -> list[str]:
    """Who could not be measured, and why."""
    return [f"{peer.name}: {peer.missing}" for peer in peers if peer.missing]


def left_out(plan: Plan | None) -> list[str]:
    """Which scenarios could not be measured, and why."""
    names = plan.scenarios if plan else ()
    return [f"{name}: {reason}" for name in names if (reason := impossible(ALL[name]))]


if __name__ == "__main__":
    main()
