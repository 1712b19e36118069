"""Starts each peer once, and tries what the scenarios will ask of it.

    python -m bench.peers.check                 all that are installed
    python -m bench.peers.check rabbitmq

What fails must be what the peer's `lacks` says, for a comparison goes by that. Anything else is shown in red, and makes
the exit status 1. Memory is that of the server before anybody used it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack

import click
import psutil
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.peers import PEERS, Peer, PeerFailed, Server, named
from bench.peers.client import Refused
from bench.peers.peer import Feature
from bench.peers.trials import TRIALS, Trial, Wrong

console = Console(highlight=False)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1, type=click.Choice([peer.name for peer in PEERS]), metavar="[PEER]...")
def main(names: Sequence[str]) -> None:
    """Start each of these peers, or of all, and try what it can do. The exit status is 1 if it is not as written."""
    summary = Table("peer", "version", "started in", "memory")
    verdicts = [tried(peer, summary) for peer in (map(named, names) if names else PEERS)]
    console.print(summary)
    sys.exit(not all(verdicts))


def tried(peer: Peer, summary: Table) -> bool:
    """Starts one, tries everything, and adds its line to the summary; whether it is as written."""
    if reason := peer.missing():
        summary.add_row(peer.name, Text(reason))
        return True
    try:
        with peer.running() as server:
            memory = resident_mib(server.pid)
            good = check(peer, server)
    except PeerFailed as failure:
        summary.add_row(peer.name, Text(str(failure), "red"))
        return False
    summary.add_row(peer.name, peer.version(), f"{server.start_seconds:.2f} s", f"{memory:.0f} MiB")
    return good


def check(peer: Peer, server: Server) -> bool:
    """Tries everything with one server, and says what is not as written."""
    if peer.protocol != "stomp":
        console.print(f"{peer.name}: speaks {peer.protocol}; it answers")
        return True
    verdicts = [verdict(peer, server, trial, needs) for trial, needs in TRIALS]
    return all(verdicts)


def verdict(peer: Peer, server: Server, trial: Callable[[Trial], None], needs: frozenset[Feature]) -> bool:
    """Tries one thing, and says how it went."""
    lacking = "; ".join(reason for feature, reason in peer.lacks.items() if feature in needs)
    wrong = failure_of(trial, server)
    expected = bool(lacking) == bool(wrong)
    outcome = Text(f"no: {wrong}" if wrong else "yes", "green" if expected else "red")
    written = f" (written down: {lacking or 'nothing'})" if lacking or wrong else ""
    console.print(f"{peer.name:<12} {trial.__name__:<18}", outcome, written, soft_wrap=True)
    return expected


def failure_of(trial: Callable[[Trial], None], server: Server) -> str:
    """What went wrong; empty if nothing."""
    try:
        with ExitStack() as stack:
            trial(Trial(server.target, stack))
    except (Wrong, Refused, OSError) as failure:
        return str(failure).strip()
    return ""


def resident_mib(pid: int) -> float:
    """Resident memory of a server and what it has started."""
    server = psutil.Process(pid)
    family = [server, *server.children(recursive=True)]
    return float(sum(member.memory_info().rss for member in family)) / 2**20


if __name__ == "__main__":
    main()
