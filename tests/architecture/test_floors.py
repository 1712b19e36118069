"""The house has floors: a file uses its own and those below, and the compiled half knows nothing of the thin one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tree import (
    COMPILED,
    DECLARATIONS,
    FLOOR,
    GENERATOR,
    ROOT,
    SOURCES,
    THIN,
    code_of,
    modules_named_in,
    rooms_of,
    shown,
)

WRITES = re.compile(r"\b(outbuf_send|transport\s*\.\s*(?:write|writelines|sendto))\s*\(")
SYSTEM_CALL = re.compile(r"(?<![\w.])(?<!def )(?<!cdef int )(send|sendto|sendmsg|write|writev)\s*\(")


@pytest.mark.parametrize("path", COMPILED, ids=shown)
def test_every_file_has_its_floor(path: Path) -> None:
    assert path.stem in FLOOR, f"say in tests/architecture/tree.py which floor {shown(path)} belongs to"


@pytest.mark.parametrize("path", COMPILED, ids=shown)
def test_a_file_uses_its_own_floor_and_those_below(path: Path) -> None:
    above = {room for room in rooms_of(path) if FLOOR[room] > FLOOR[path.stem]}
    assert not above, f"{shown(path)} is on floor {FLOOR[path.stem]} and must not know of {sorted(above)}"


@pytest.mark.parametrize("path", COMPILED, ids=shown)
def test_the_compiled_half_imports_nothing_from_the_other(path: Path) -> None:
    ours = {name for name in modules_named_in(path) if name.split(".")[0] == "fastbroker"}
    assert not {name for name in ours if not name.startswith("fastbroker.core.")}


@pytest.mark.parametrize("path", GENERATOR, ids=shown)
def test_the_generator_uses_nothing_of_the_broker(path: Path) -> None:
    """Or a mistake of the broker's parser could hide from the witness against it."""
    own = {each.name for each in GENERATOR}
    named = {name.removeprefix("bench/generator/") for name in modules_named_in(path)}
    foreign = {name for name in named if name not in own and ("csrc" in name or name.split(".")[0] == "fastbroker")}
    beside = {name for name in named if name.endswith(".h") and name not in own}
    assert not foreign | beside


@pytest.mark.parametrize("path", [*COMPILED, *THIN], ids=shown)
def test_the_broker_uses_nothing_of_the_generator(path: Path) -> None:
    if "bench" not in path.relative_to(ROOT).parts:
        assert not {name for name in modules_named_in(path) if "bench/generator" in name or "bench.generator" in name}


def test_what_is_looked_for_is_found() -> None:
    rooms = {path.name: rooms_of(path) for path in COMPILED}
    assert "session" in rooms["connection.pyx"]
    assert "ring" in rooms["outbuf.h"]
    assert "census" in rooms["wire.pxd"]
    assert "stamp.h" in modules_named_in(ROOT / "bench" / "generator" / "engine.h")
    assert "bench/generator/load.h" in modules_named_in(ROOT / "bench" / "generator" / "generator.pyx")
    assert "fastbroker.bench.generator" in modules_named_in(ROOT / "fastbroker" / "bench" / "worker.py")
    assert WRITES.search(code_of(ROOT / "csrc" / "connection.pyx"))


@pytest.mark.parametrize("path", SOURCES, ids=shown)
def test_every_module_is_declared(path: Path) -> None:
    assert ROOT / "fastbroker" / "core" / f"{path.stem}.pxd" in DECLARATIONS


def test_only_connections_write_to_a_socket() -> None:
    writers = {path.name for path in SOURCES if WRITES.search(code_of(path))}
    callers = {path.name for path in COMPILED if path.suffix != ".pxd" and SYSTEM_CALL.search(code_of(path))}
    assert writers == {"connection.pyx", "tls.pyx"}
    assert callers <= {"outbuf.h", "writer.h", "reader.h"}
    for thread in ("writer.h", "reader.h"):  # to the pipe by which the loop is woken
        assert SYSTEM_CALL.findall(code_of(ROOT / "csrc" / thread)) == ["write"]


@pytest.mark.parametrize(("file", "function"), [("connection.pyx", "int transmit"), ("tls.pyx", "int hand_over")])
def test_it_writes_in_one_function(file: str, function: str) -> None:
    functions = re.split(r"(?m)^(?:    )?(?:cdef|def|async def) (?=[^\n]*\()", code_of(ROOT / "csrc" / file))
    assert [text.split("(")[0] for text in functions if WRITES.search(text)] == [function]


def test_the_thin_layer_writes_to_no_client() -> None:
    serving = [path for path in THIN if "client" not in path.parts]
    assert not [shown(path) for path in serving if re.search(r"\b(transport|writer)\s*\.\s*write", code_of(path))]
