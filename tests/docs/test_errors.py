"""docs/troubleshooting.md has every ERROR that the broker can send and every other reason of an end, and no others."""

from __future__ import annotations

import re
from pathlib import Path

from documents import PAGES, ROOT

from fastbroker.core.reasons import TABLE

SAID = re.compile(r'(?:\bRefused|\bfail|\bturn_away)\(\s*b"([^"]+)"')
PARSED = re.compile(r'^(?:MALFORMED = |    PARSE_\w+: \(\s*)b"([^"]+)"', re.MULTILINE)
NAMED = re.compile(r"^\| `([^`]+)` \|", re.MULTILINE)


def errors_in(directory: Path) -> set[str]:
    """The headers `message` of all ERRORs."""
    texts = [path.read_text() for path in directory.glob("*.pyx")]
    return {match for text in texts for pattern in (SAID, PARSED) for match in pattern.findall(text)}


def section(title: str) -> str:
    """What stands below a heading of the page."""
    text = PAGES["docs/troubleshooting.md"].read_text()
    return re.split(r"^## ", text.partition(f"\n## {title}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]


def test_every_error_is_there() -> None:
    errors = errors_in(ROOT / "csrc")
    assert {"malformed frame", "frame too large", "unknown ack", "server busy", "too slow while others wait"} <= errors
    assert sorted(NAMED.findall(section("Every ERROR"))) == sorted(errors)


def test_every_other_reason_is_there() -> None:
    others = {row[0] for row in TABLE} - errors_in(ROOT / "csrc")
    assert sorted(NAMED.findall(section("Other reasons"))) == sorted(others)


def test_the_protocol_lists_the_same() -> None:
    text = PAGES["docs/protocol.md"].read_text()
    listed = re.search(r"The `message` values are: (.*?)\.\n\n", text, re.DOTALL)
    assert listed
    assert set(re.findall(r"`([^`]+)`", " ".join(listed[1].split()))) == errors_in(ROOT / "csrc")
