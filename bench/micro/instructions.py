"""``python -m bench.micro.instructions``: how many instructions one operation takes, counted by callgrind.

Times differ from run to run and from machine to machine. Counts do not, so they show a change of one per cent; but they
say nothing of caches, branches or the kernel.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatch
from pathlib import Path
from typing import NoReturn

import click
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import track
from rich.table import Table

from bench.micro import baseline
from bench.micro.baseline import Baseline, Change, Verdict
from bench.micro.compiled import FLAGS
from bench.micro.counting import Counted, CountingFailed, count
from bench.micro.kernels import KERNELS
from fastbroker.core import parser

STYLES = {Verdict.FEWER: "green", Verdict.MORE: "yellow", Verdict.TOO_MANY: "red"}


@click.command()
@click.option("--save", is_flag=True, help="Keep the counts as the new baseline.")
@click.option(
    "--baseline", "file", type=click.Path(path_type=Path), default=baseline.COMMITTED, help="Another baseline."
)
@click.option("--only", multiple=True, metavar="PATTERN", help="Only kernels of this name; 'parse-*' are several.")
@click.option("--hot", default=0, metavar="N", help="Also show the N functions of each that take most.")
def main(save: bool, file: Path, only: tuple[str, ...], hot: int) -> None:
    """Counts, and compares with what was kept.

    The exit status is 1 if anything takes over 3 % more than in the baseline and the build is like that one, and 2 if
    it cannot be counted.
    """
    console = Console()
    valgrind = shutil.which("valgrind") or _give_up("valgrind is needed and not installed (apt install valgrind)")
    try:
        counted = list(_watched(count(valgrind, _chosen(only)), len(_chosen(only))))
        before, now = baseline.read(file), _as_baseline(valgrind, counted)
        changes = baseline.changes(before, now.instructions)
        console.print(_table(changes, {each.name: each.functions[:hot] for each in counted}))
        grown = _judge(console, before, now, changes)
        if save:
            baseline.write(baseline.merged(before, now) if only else now, file)
    except (CountingFailed, ValueError) as failure:
        _give_up(str(failure))
    sys.exit(1 if grown and not save else 0)


def _give_up(reason: str) -> NoReturn:
    Console(stderr=True).print(reason, style="red", markup=False, highlight=False)
    sys.exit(2)


def _chosen(only: tuple[str, ...]) -> list[str]:
    names = [name for name in KERNELS if not only or any(fnmatch(name, each) for each in only)]
    if not names:
        raise CountingFailed(f"There is no such kernel, but {', '.join(KERNELS)}.")
    return names


def _watched(counting: Iterator[Counted], total: int) -> Iterator[Counted]:
    return iter(track(counting, total=total, console=Console(stderr=True), transient=True, description="counting"))


def _as_baseline(valgrind: str, counted: Sequence[Counted]) -> Baseline:
    version = subprocess.run([valgrind, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    assert parser.__file__
    return Baseline(
        date=datetime.now(UTC).date().isoformat(),
        flags=baseline.flags(FLAGS),
        build=baseline.build_of(Path(parser.__file__), version),
        instructions={each.name: each.instructions for each in counted},
    )


def _table(changes: list[Change], functions: dict[str, list[tuple[str, float]]]) -> Table:
    table = Table("", box=SIMPLE)
    for heading in ("instructions", "before", "change"):
        table.add_column(heading, justify="right")
    group = ""
    for change in changes:
        if KERNELS[change.name].group != group:
            group = KERNELS[change.name].group
            table.add_row(f"[bold]{group}")
        before = "-" if change.before is None else f"{change.before:,.1f}"
        style = STYLES.get(change.verdict, "")
        moved = f"{change.growth:+.1%}" if change.verdict in STYLES else ""
        table.add_row(change.name, f"{change.now:,.1f}", before, moved, style=style)
        for name, own in functions[change.name]:
            table.add_row(f"   {name}", f"{own:,.1f}", "", f"{own / change.now:.0%}", style="dim")
    return table


def _judge(console: Console, before: Baseline | None, now: Baseline, changes: list[Change]) -> bool:
    """Says what has changed; whether too much has."""
    if before is None:
        console.print("There is no baseline: --save makes one.")
        return False
    moved = [change for change in changes if change.verdict in STYLES]
    console.print(f"{len(moved)} of {len(changes)} changed by more than {baseline.CHANGED:.0%} since {before.date}.")
    if different := now.build.differences(before.build):
        console.print(f"Another build, so nothing is held against it: {'; '.join(different)}.", markup=False)
        return False
    grown = [change.name for change in changes if change.verdict is Verdict.TOO_MANY]
    if grown:
        console.print(f"Over {baseline.TOO_MUCH:.0%} more: {', '.join(grown)}.", style="red")
    return bool(grown)


if __name__ == "__main__":
    main()
