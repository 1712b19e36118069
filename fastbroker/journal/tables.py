"""What takes how much of a journal, for people."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

_PIPED_WIDTH = 200


def show(facts: Mapping[str, Any]) -> None:
    """Print what `fastbroker journal stats --json` prints as tables."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(width=_PIPED_WIDTH, highlight=False)
    segments = ((each["file"], each["bytes"], each["needed"]) for each in facts["segments"])
    console.print(_table(("segment", "bytes", "needed"), segments))
    queues = ((each["name"] or "(cannot be read)", each["messages"], each["bytes"]) for each in facts["queues"])
    console.print(_table(("queue", "messages", "bytes"), queues))
    console.print(
        f"{facts['scheduled']:,} scheduled, {facts['histories']:,} in histories, {facts['retained']:,} retained; "
        f"ended {facts['ended']}; {facts['damaged_bytes']:,} bytes damaged"
    )


def _table(names: tuple[str, ...], rows: Iterable[tuple[str, int, int]]) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column(names[0], overflow="fold")
    for name in names[1:]:
        table.add_column(name, justify="right")
    for name, *counts in rows:
        table.add_row(name, *(f"{count:,}" for count in counts))
    return table
