"""Blocks of the documents by themselves: what can be judged without reading a page from top to bottom."""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path

import click
import pytest
from documents import FILE, NOT_RUN, PAGES, Block, commands, everything

from fastbroker.cli import main
from fastbroker.config.overlay import load

BLOCKS = everything()
# What nobody can type here, by page: registries, other machines, root.
NOT_RUN_HERE = {
    "README.md": 2,
    "docs/benchmarking.md": 1,
    "docs/getting-started.md": 2,
    "docs/operating.md": 2,
    "docs/transports.md": 1,
}
# What a reader neither types nor saves.
SHOWN = {"", "ini", "java", "nginx"}


def named(language: str) -> list[object]:
    return [pytest.param(block, id=block.place) for block in BLOCKS if block.language == language]


@pytest.mark.parametrize("block", named("toml"))
def test_a_configuration_is_right(block: Block, tmp_path: Path) -> None:
    file = tmp_path / "fastbroker.toml"
    file.write_text(block.text)
    load(str(file), {}, {})


def test_what_is_not_run_is_counted_and_says_why() -> None:
    left = [block for block in BLOCKS if block.note == NOT_RUN]
    assert all(block.about for block in left)
    assert Counter(block.page for block in left) == NOT_RUN_HERE


def test_all_else_is_done() -> None:
    """Pages and scripts for browsers are saved, and opened from there."""
    done = {"console", "python", "toml", "browser"}
    for block in BLOCKS:
        assert block.language in done | SHOWN or block.note in (FILE, NOT_RUN), block.place


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.note == FILE], ids=lambda block: block.place)
def test_a_reader_is_told_the_name_of_a_file(block: Block) -> None:
    before = PAGES[block.page].read_text().splitlines()[: block.line - 2]
    assert f"`{block.about}`" in " ".join(before[-4:])


@pytest.mark.parametrize("block", [block for block in BLOCKS if block.note == NOT_RUN], ids=lambda block: block.place)
def test_what_is_not_run_is_understood(block: Block) -> None:
    """The options of our own commands exist."""
    for command in commands(block):
        program, *arguments = shlex.split(command.line.partition(" > ")[0], comments=True)
        if Path(program).name == "fastbroker":
            group = click.Context(main)
            name, found, rest = main.resolve_command(group, arguments)
            assert name
            assert found
            found.make_context(name, rest, parent=group)
