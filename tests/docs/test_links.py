"""Links from document to document lead somewhere: the file is there, and the heading in it."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from documents import PAGES, ROOT

MORE = (
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    "bench/README.md",
    "bench/micro/README.md",
    "examples/chat/README.md",
)
DOCUMENTS = [*PAGES.values(), *(ROOT / name for name in MORE)]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def prose(path: Path) -> str:
    """The text of a document without its blocks of code, and without what it does not show."""
    return re.sub(r"^ *```.*?^ *```$|<!--.*?-->", "", path.read_text(), flags=re.DOTALL | re.MULTILINE)


def anchors(path: Path) -> set[str]:
    """What links to a document may have behind `#`, as GitHub makes it of its headings."""
    found: Counter[str] = Counter()
    names = set()
    for heading in re.findall(r"^#+ (.*)$", prose(path), re.MULTILINE):
        name = re.sub(r"[^\w\- ]", "", re.sub(r"\]\([^)]*\)", "", heading).lower()).replace(" ", "-")
        names.add(f"{name}-{found[name]}" if found[name] else name)
        found[name] += 1
    return names


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(path: Path) -> None:
    for link in LINK.findall(prose(path)):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_the_readme_names_every_document() -> None:
    linked = LINK.findall(prose(PAGES["README.md"]))
    assert {page for page in PAGES if page != "README.md"} <= set(linked)
