"""What the documents tell a reader to type, save and open, in the order in which it stands there.

A block of code is what its language says: `console` is typed (lines that begin with `$`; what stands below one is what
it prints), `python`, `js`, `html` and `toml` are snippets. A comment in front of a block says more:

    <!-- file: jobs.py -->                                      it is saved under this name
    <!-- not run: it is for another machine -->                 it cannot be run here, and why

and one by itself is what a reader does in a browser, and then sees:

    <!-- browser: http://127.0.0.1:15674/ shows: hello, world -->
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = {path.relative_to(ROOT).as_posix(): path for path in (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")))}

COMMENT = re.compile(r"<!-- (file|not run|browser)(?:: (.*?))? -->$")
FENCE = re.compile(r"( *)```(\w*)$")
BROWSER, NOT_RUN, FILE = "browser", "not run", "file"


@dataclass(frozen=True)
class Block:
    """A block of code, or what is done in a browser."""

    page: str
    line: int
    language: str
    text: str
    note: str = ""
    """What the comment in front of it says: `file`, `not run`, or nothing."""
    about: str = ""
    """What stands behind the colon there."""

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Command:
    """A line that is typed, and what is shown to be printed."""

    line: str
    shown: list[str]


def blocks(page: str) -> Iterator[Block]:
    """The blocks of a page, in order."""
    lines = enumerate(PAGES[page].read_text().splitlines(), 1)
    note, about = "", ""
    for number, line in lines:
        if said := COMMENT.match(line):
            note, about = said[1], said[2] or ""
            if note == BROWSER:
                yield Block(page, number, BROWSER, about)
        elif opened := FENCE.match(line):
            indent = len(opened[1])
            text = []
            for _, inner in lines:
                if inner.strip() == "```":
                    break
                text.append(inner[indent:])
            yield Block(page, number, opened[2], "".join(f"{each}\n" for each in text), note, about)
        if line.strip() and not said:
            note, about = "", ""


def everything() -> list[Block]:
    """The blocks of all pages."""
    return [block for page in PAGES for block in blocks(page)]


def commands(block: Block) -> list[Command]:
    """The commands of a console."""
    found: list[Command] = []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            found.append(Command(line[2:], []))
        else:
            assert found, f"{block.place}: a console begins with a command"
            found[-1].shown.append(line)
    return found
