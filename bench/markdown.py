"""Markdown, as far as the report needs it."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Longer words of a server are cut: the JSON has all of them.
LONGEST = 300


def table(heading: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table; the first column is of words, the others are of numbers."""
    rule = ["---", *["---:"] * (len(heading) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heading, rule, *lines))


def words(heading: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """A table of words."""
    rule = ["---"] * len(heading)
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heading, rule, *lines))


def bullets(lines: Iterable[str]) -> str:
    """A list."""
    return "\n".join(f"- {line}" for line in lines)


def image(title: str, path: str) -> str:
    """A picture."""
    return f"![{title}]({path})"


def quoted(text: str) -> str:
    """What a program has said, in one line: short, without the names of this machine's directories, and harmless."""
    text = text.replace(f"{ROOT}/", "")
    text = re.sub(rf"{re.escape(tempfile.gettempdir())}/[^\s:;,)'\"]*", "…", text)
    text = " ".join(text.split())
    text = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", text)
