"""Writes the tables of docs/clients.md: what each client is asked, and what it is not asked and why.

python tests/interop/client_table.py
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import debian_peers
import node_peers
import python_peers
from drivers.scenarios import SCENARIOS
from peers import HERE, Peer, Run

PAGE = HERE.parents[1] / "docs" / "clients.md"
TABLES = {"js": node_peers.TABLE, "py": python_peers.TABLE, "deb": debian_peers.TABLE}
GENERAL = (node_peers.TRIMS, node_peers.NO_ESCAPES, node_peers.NO_BYTES)
"""Gaps that the options of a library do not change."""
HEAD = "| client | STOMP | over | scenarios | not asked |\n|---|---|---|---|---|\n"
MARKED = re.compile(r"(<!-- (js|py|deb) -->\n).*?(?=<!-- end -->)", re.DOTALL)
UNTOLD = {"silence", "headers of each SUBSCRIBE anew"}
"""Abilities that no program needs, and those that follow from others."""


def main() -> None:
    """Write them into the page."""
    PAGE.write_text(with_tables(PAGE.read_text()))


def with_tables(page: str) -> str:
    """The page with its tables between their marks."""
    return MARKED.sub(lambda mark: mark[1] + HEAD + "".join(map(row, TABLES[mark[2]])), page)


def row(peer: Peer) -> str:
    """One client."""
    runs = list(peer.runs())
    cells = (name_of(peer), ", ".join(peer.stomp), ", ".join(peer.ways), counts(runs), "; ".join(reasons(peer)))
    return f"| {' | '.join(cells)} |\n"


def name_of(peer: Peer) -> str:
    """Name, version, and what is special."""
    return f"{peer.name} {peer.version}" + (f", {peer.variant}" if peer.variant else "")


def counts(runs: list[Run]) -> str:
    """How many scenarios: fewest and most of its runs."""
    sizes = sorted({len(run.scenarios) for run in runs})
    return f"{sizes[0]}" if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"


def reasons(peer: Peer) -> Iterator[str]:
    """Why some are left out; of a library with other options what differs."""
    if not peer.variant:
        yield f"no {', '.join(sorted(needs_of(peer) - peer.abilities - UNTOLD))}"
    for gap in peer.gaps:
        if gap in GENERAL and peer.variant:
            continue
        if any(gap.covers(name, run.way, run.stomp) for run in peer.runs() for name in gap.scenarios):
            yield gap.why + (f" ({', '.join(gap.ways)})" if gap.ways else "")


def needs_of(peer: Peer) -> set[str]:
    """What scenarios need that a client could be asked over its transports."""
    scenarios = SCENARIOS.values()
    return {each.needs for each in scenarios if each.needs and (not each.over or {*each.over} & {*peer.ways})}


if __name__ == "__main__":
    main()
