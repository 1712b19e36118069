"""Installs the peers of `make bench-compare` that are not there.

    python -m bench.peers.install                 all of them
    python -m bench.peers.install artemis gostomp

What is there is left alone. A peer that cannot be installed does not stop the others: the reason is kept, and a
comparison lists it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.peers import PEERS, Peer, PeerFailed, named

console = Console(highlight=False)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("names", nargs=-1, type=click.Choice([peer.name for peer in PEERS]), metavar="[PEER]...")
def main(names: Sequence[str]) -> None:
    """Install what is missing of these peers, or of all, and say how it stands."""
    peers = [named(name) for name in names] if names else list(PEERS)
    for peer in peers:
        if peer.missing():
            install(peer)
    console.print(table(peers))


def install(peer: Peer) -> None:
    """Install one, and say what came of it."""
    start = time.monotonic()
    with console.status(f"installing {peer.name} …"):
        try:
            peer.install()
            outcome = "installed"
        except PeerFailed as failure:
            outcome = f"not installed: {failure}"
    console.print(f"{peer.name}: {outcome} ({time.monotonic() - start:.1f} s)", markup=False)


def table(peers: Sequence[Peer]) -> Table:
    """Name, version, and whether it can be started."""
    result = Table("peer", "version", "")
    for peer in peers:
        reason = peer.missing()
        state = Text(reason, "red") if reason else Text("ready", "green")
        result.add_row(peer.name, "" if reason else peer.version(), state)
    return result


if __name__ == "__main__":
    main()
