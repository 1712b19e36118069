"""The load generator's house: a part names only parts of lower floors, and calls only what they define."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tree import C_DEF, GENERATOR, ROOT, code_of, modules_named_in, shown

FLOORS = (
    ("buffer", "clock", "histogram", "load", "secure", "stamp", "tally"),
    ("connection", "poller"),
    ("frames", "geometry", "pace"),
    ("seams",),
    ("engine",),
    ("failure", "names", "waiting"),
    ("check", "plan", "receipts", "stomp_frames", "tls", "websocket", "window"),
    ("compose", "report", "session"),
    ("jetstream",),
    ("nats", "publish", "relay", "stomp"),
    ("transfer",),
    ("dial", "fill", "publishers"),
    ("churn", "connect", "drain", "flow", "idle", "replay", "schedule", "trip"),
    ("prepare",),
    ("loop",),
    ("generator",),
)
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}
# Through a table of functions, or as a field, a name is not called by who writes it.
CALL = re.compile(r"(?<![\w.>])(\w+)\s*\(")


def parts_named_in(path: Path) -> set[str]:
    """The other parts whose headers a file includes."""
    headers = {Path(name).stem for name in modules_named_in(path) if name.endswith(".h") and "<" not in name}
    return headers - {path.stem}


def defined_in(path: Path) -> set[str]:
    """Functions that a file lets others call: those of a .c that are not static, and all of a header."""
    if path.suffix == ".pyx":
        return set()
    found = C_DEF.finditer(code_of(path))
    return {each[1] for each in found if path.suffix == ".h" or not each[0].startswith("static ")}


def own_names(path: Path) -> set[str]:
    return {each[1] for each in C_DEF.finditer(code_of(path))}


DEFINED = {name: path.stem for path in GENERATOR for name in defined_in(path)}


def parts_called_in(path: Path) -> set[str]:
    """The parts that define what a file calls."""
    names = set(CALL.findall(code_of(path))) - own_names(path)
    return {DEFINED[name] for name in names if name in DEFINED} - {path.stem}


@pytest.mark.parametrize("path", GENERATOR, ids=shown)
def test_a_part_names_only_lower_floors(path: Path) -> None:
    assert path.stem in FLOOR, f"say in {Path(__file__).name} which floor {shown(path)} belongs to"
    above = {name for name in parts_named_in(path) if FLOOR[name] >= FLOOR[path.stem]}
    assert not above, f"{shown(path)} must not include {sorted(above)}"


@pytest.mark.parametrize("path", GENERATOR, ids=shown)
def test_a_part_calls_only_lower_floors(path: Path) -> None:
    """Whatever it includes: a declaration can be written anywhere."""
    above = {name for name in parts_called_in(path) if FLOOR[name] >= FLOOR[path.stem]}
    assert not above, f"{shown(path)} must not call {sorted(above)}"


@pytest.mark.parametrize("path", [path for path in GENERATOR if path.suffix == ".c"], ids=shown)
def test_what_a_part_offers_is_in_its_header(path: Path) -> None:
    """A part whose only offer is a table (seams.h declares them) needs none."""
    header = path.with_suffix(".h")
    declared = code_of(header) if header.exists() else ""
    assert not [name for name in defined_in(path) if not re.search(rf"\b{name}\(", declared)]


def test_nothing_is_defined_twice() -> None:
    assert sorted(DEFINED) == sorted(name for path in GENERATOR for name in defined_in(path))


def test_what_is_looked_for_is_found() -> None:
    dial = ROOT / "bench" / "generator" / "dial.c"
    assert {"transfer", "tls"} <= parts_named_in(dial)
    assert {"transfer", "failure", "clock"} <= parts_called_in(dial)
    assert DEFINED["connection_write"] == "transfer"
    assert {"loop", "load"} <= parts_named_in(ROOT / "bench" / "generator" / "generator.pyx")
