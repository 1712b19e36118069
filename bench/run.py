"""``python -m bench.run``: measures the broker, the relay and nats-server in one run and prints a table."""

from __future__ import annotations

import json
import resource
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.progress import Progress

from bench import machine, programs
from bench.measure import applies, measure
from bench.peers import PEERS, Peer, PeerFailed
from bench.results import Results
from bench.scenarios import SCENARIOS, Scenario
from bench.table import render

PIPED_WIDTH = 140  # a table in a file need not be folded to the 80 columns assumed there


@dataclass(frozen=True)
class Method:
    """How everything in one run of the benchmark is measured."""

    seconds: float
    repeat: int
    one_core: bool


@click.command()
@click.option("--only", multiple=True, type=click.Choice([s.name for s in SCENARIOS]), help="Only this scenario.")
@click.option("--peers", multiple=True, type=click.Choice([p.name for p in PEERS]), help="Only this server.")
@click.option("--seconds", default=3.0, show_default=True, help="Measured time of one run.")
@click.option("--repeat", default=3, show_default=True, type=click.IntRange(1), help="Runs of each.")
@click.option("--one-core", is_flag=True, help="Hold every server to one core.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write everything measured here.")
def main(
    only: tuple[str, ...], peers: tuple[str, ...], seconds: float, repeat: int, one_core: bool, json_file: Path | None
) -> None:
    """Measures in alternation and prints one table. The exit status is 1 if anything failed."""
    scenarios = [s for s in SCENARIOS if not only or s.name in only]
    chosen = [p for p in PEERS if not peers or p.name in peers]
    method = Method(seconds, repeat, one_core)
    programs.build()
    _raise_descriptor_limit()
    facts = machine.facts()
    results = _measure_all(scenarios, chosen, method)
    _show(facts, method, results, scenarios, chosen)
    if json_file:
        report = {"machine": facts, "method": asdict(method), "scenarios": results.as_json(scenarios)}
        json_file.write_text(json.dumps(report, indent=1) + "\n")
    sys.exit(1 if results.failures() else 0)


def _raise_descriptor_limit() -> None:
    """The servers inherit it, so that all of them can hold the idle connections."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _measure_all(scenarios: list[Scenario], peers: list[Peer], method: Method) -> Results:
    """The servers take turns, so that whatever else the machine does meets all of them alike."""
    results = Results()
    turns = [
        (scenario, peer)
        for scenario in scenarios
        for _ in range(method.repeat)
        for peer in peers
        if peer.installed() and applies(scenario, peer)
    ]
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("", total=len(turns))
        for scenario, peer in turns:
            progress.update(task, description=f"{scenario.name}: {peer.name}")
            _measure_one(results, scenario, peer, method)
            progress.advance(task)
    return results


def _measure_one(results: Results, scenario: Scenario, peer: Peer, method: Method) -> None:
    cell = results.cell(scenario, peer)
    try:
        cell.runs.append(measure(scenario, peer, method.seconds, method.one_core))
    except PeerFailed as failure:
        cell.failures.append(str(failure))


def _show(
    facts: dict[str, str], method: Method, results: Results, scenarios: list[Scenario], peers: list[Peer]
) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=PIPED_WIDTH)
    servers = "servers held to one core" if method.one_core else "servers free to use every core"
    title = f"100-byte bodies, {method.repeat} × {method.seconds:g} s, {servers}"
    console.print(render(title, results, scenarios, peers))
    for failure in results.failures():
        console.print(f"failed: {failure}", style="red", markup=False)
    console.print(", ".join(f"{name} {value}" for name, value in facts.items()), style="dim", markup=False)


if __name__ == "__main__":
    main()
