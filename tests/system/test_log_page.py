"""docs/log.md and the source name the same events, with the same levels and fields."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fastbroker.core.reasons import TABLE

ROOT = Path(__file__).parents[2]
SOURCES = [*(ROOT / "csrc").glob("*.pyx"), *(ROOT / "fastbroker").rglob("*.py")]
CALL = re.compile(r"(?<!def )(?<![\w`])(?:[\w.]*\b_?log\(|line\((?=\"))")
ROW = re.compile(r"^\| `([^`]+)` \| ([a-z, ]+) \| [^|]+ \|([^|]*)\|", re.MULTILINE)
CENSUS = re.compile(r"typedef struct Census {(.*?)}", re.DOTALL)
# Those whose level or name is chosen where the call does not show it.
LEVELS = {"disconnected": {row[3] for row in TABLE} | {"debug"}, "refused": {"debug", "warning"}}
NAMES = {"event": {"subscribe", "unsubscribe"}}


class Event(NamedTuple):
    levels: set[str]
    fields: set[str]


def calls() -> Iterator[ast.Call]:
    """Each call of a log, in Python and in Cython: what stands in its brackets is the same in both."""
    for path in SOURCES:
        if "bench" in path.parts or path.parent.name == "client":
            continue
        text = path.read_text()
        for found in CALL.finditer(text):
            end = next(
                end
                for end in range(found.end(), len(text))
                if text.count("(", found.end() - 1, end + 1) == text.count(")", found.end() - 1, end + 1)
            )
            call = ast.parse(f"f({text[found.end() : end]})".replace("\n", " ")).body[0]
            assert isinstance(call, ast.Expr) and isinstance(call.value, ast.Call)
            if len(call.value.args) >= 2:
                yield call.value


def texts(node: ast.expr) -> set[str]:
    """What an argument may be: a text, one of two, or what a name stands for."""
    if isinstance(node, ast.IfExp):
        return texts(node.body) | texts(node.orelse)
    if isinstance(node, ast.Name):
        return NAMES.get(node.id, set())
    return {node.value} if isinstance(node, ast.Constant) and isinstance(node.value, str) else set()


def counted() -> Iterator[str]:
    """The fields of a census."""
    found = CENSUS.search((ROOT / "csrc/census.h").read_text())
    assert found
    for names in re.findall(r" int64_t ([a-z_, ]+);", found[1]):
        yield from names.split(", ")


def in_source() -> dict[str, Event]:
    events: dict[str, Event] = defaultdict(lambda: Event(set(), set()))
    for call in calls():
        for name in texts(call.args[1]):
            event = events[name]
            event.levels.update(texts(call.args[0]) or LEVELS.get(name, {"info", "warning"}))
            event.fields.update(each.arg for each in call.keywords if each.arg)
            if any(each.arg is None for each in call.keywords):
                event.fields.update(counted())
            if len(call.args) > 2 and isinstance(call.args[2], ast.Dict):
                event.fields.update(key.value for key in call.args[2].keys if isinstance(key, ast.Constant))
    return dict(events)


def on_the_page() -> dict[str, Event]:
    text = (ROOT / "docs/log.md").read_text()
    return {
        name: Event(set(levels.split(", ")), set(re.findall("`([a-z_]+)`", fields)))
        for name, levels, fields in ROW.findall(text)
    }


def test_the_same_events() -> None:
    source, page = in_source(), on_the_page()
    assert len(source) > 25, "they are found"
    assert source.keys() == page.keys()


def test_the_same_levels() -> None:
    source, page = in_source(), on_the_page()
    assert {name: event.levels for name, event in source.items()} == {
        name: event.levels for name, event in page.items()
    }


def test_the_same_fields() -> None:
    source, page = in_source(), on_the_page()
    assert {name: event.fields for name, event in source.items()} == {
        name: event.fields for name, event in page.items()
    }
