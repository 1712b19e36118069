"""Settings files of the peers: those in bench/compare, with what only a run knows put in."""

from __future__ import annotations

import re
from pathlib import Path

from bench.peers.peer import SETTINGS

# Not ${name}: that is what several of the brokers have in their own files.
PLACEHOLDER = re.compile(r"@([a-z_]+)@")


def write_settings(template: str, target: Path, **values: object) -> Path:
    """Writes a file of bench/compare with each `@name@` replaced, and returns where."""
    text = (SETTINGS / template).read_text()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(filled_in(text, values))
    return target


def filled_in(text: str, values: dict[str, object]) -> str:
    """The text with each `@name@` replaced. Every name must be known, and every value used."""
    names = set(PLACEHOLDER.findall(text))
    if names != set(values):
        raise ValueError(f"the settings ask for {sorted(names)} and are given {sorted(values)}")
    return PLACEHOLDER.sub(lambda found: str(values[found[1]]), text)
