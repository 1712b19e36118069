"""Rooms with few doors: no circles, small classes, faces that show no insides, nothing that is carried for nobody."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from tree import (
    COMPILED,
    DECLARATIONS,
    FLOOR,
    HEADERS,
    ROOT,
    SOURCES,
    THIN,
    code_of,
    modules_named_in,
    shown,
)

# What breaks a rule today. An entry that is not needed any more fails its test, so that the list only gets shorter.
NOT_YET: Mapping[str, frozenset[str]] = {
    rule: frozenset()
    for rule in (
        "circles",
        "large classes",
        "insides on faces",
        "unused cimports",
        "long lines",
        "other names of limits",
        "rooms without a file",
    )
}

MOST_METHODS = 25
WIDTH = 120

CYTHON = sorted(
    path
    for folder in ("csrc", "fastbroker", "bench", "tests")
    for path in (ROOT / folder).rglob("*.p[yx][xd]")
    if "build" not in path.relative_to(ROOT).parts
)

CIMPORTED = re.compile(r"^[ ]*(?:from\s+[\w.]+\s+cimport\s+(?:\(([^)]*)\)|([^\n]+))|cimport\s+([^\n]+))", re.MULTILINE)
CYTHON_CLASS = re.compile(r"^(?:cdef +)?class +(\w+)[^\n]*:\n((?:[ ]+[^\n]*\n|\n)*)", re.MULTILINE)
METHOD = re.compile(
    r"^    (?:async def|def|cpdef|cdef)\b(?! (?:class|struct|enum|union)\b)[^=\n]*?(\w+)\(", re.MULTILINE
)
STRUCT = re.compile(r"^cdef struct (\w+):\n((?:[ ]+[^\n]*\n|\n)*)", re.MULTILINE)


def judge(rule: str, broken: Mapping[str, object]) -> None:
    """Fail for what breaks a rule and is not known to, and for what is said to and does not."""
    known = NOT_YET[rule]
    assert not broken.keys() - known, "\n".join(f"{name}: {broken[name]}" for name in sorted(broken.keys() - known))
    assert not known - broken.keys(), f"take these out of NOT_YET[{rule!r}]: {sorted(known - broken.keys())}"


# ---- who uses whom ----


def uses() -> dict[str, set[str]]:
    """For each module (its .pyx and .pxd together) and each header: whom it uses."""
    graph: dict[str, set[str]] = {}
    for path in COMPILED:
        name = path.name if path.suffix == ".h" else path.stem
        graph.setdefault(name, set()).update(set(_used_by(path)) - {name})
    return graph


def _used_by(path: Path) -> Iterator[str]:
    for name in modules_named_in(path):
        if name.startswith("fastbroker.core."):
            yield name.split(".")[2]
        elif name.endswith(".h") and (ROOT / "csrc" / Path(name).name).exists():
            yield Path(name).name


def circles(graph: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Groups whose members all lead to each other."""
    reached = {name: _reached_from(name, graph) for name in graph}
    groups = {frozenset(other for other in reached[name] if name in reached.get(other, ())) for name in graph}
    return sorted(sorted(group) for group in groups if group)


def _reached_from(start: str, graph: Mapping[str, Iterable[str]]) -> set[str]:
    found: set[str] = set()
    ahead = [start]
    while ahead:
        new = set(graph.get(ahead.pop(), ())) - found
        found |= new
        ahead += new
    return found


def test_circles_are_found() -> None:
    graph = {"a": ["b"], "b": ["c"], "c": ["a", "d"], "d": [], "e": ["d"], "f": ["g"], "g": ["f"]}
    assert circles(graph) == [["a", "b", "c"], ["f", "g"]]


def test_what_uses_what_is_found() -> None:
    graph = uses()
    assert {"frame", "wire"} <= graph["parser"]
    assert "wire.h" in graph["wire"]
    assert "ring.h" in graph["outbuf.h"]


def test_there_is_no_circle_on_any_floor() -> None:
    judge("circles", {" ".join(each): "these use each other" for each in circles(uses())})


def thin_uses() -> dict[str, set[str]]:
    """For each Python module: which others it needs before it can be imported."""
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in THIN}
    return {name: (_imported_by(path) & names.keys()) - {name} for name, path in names.items()}


def _imported_by(path: Path) -> set[str]:
    imports = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ImportFrom)]
    return {
        module for node in imports for module in (node.module, *(f"{node.module}.{each.name}" for each in node.names))
    }


def test_there_is_no_circle_among_python_modules() -> None:
    """A package counts as what its `__init__` brings together, so its own modules do not go through it."""
    graph = thin_uses()
    assert "fastbroker.config.schema" in graph["fastbroker.config.conflicts"]
    assert not circles(graph)


def test_every_room_has_its_file() -> None:
    there = {path.stem for path in COMPILED}
    judge("rooms without a file", {room: "tree.py gives it a floor" for room in FLOOR if room not in there})


# ---- classes and faces ----


def methods_of(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Each class of a file with the methods that are written in it."""
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                yield (
                    node.name,
                    [each.name for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)],
                )
    else:
        for name, body in CYTHON_CLASS.findall(code_of(path) + "\n"):
            yield name, METHOD.findall(body)


SOME_CLASS = '''cdef class One(Base):
    """class Text:"""
    cdef int field
    cdef public object table

    cdef int _inside(self) except -1
    cdef const char *_text(self, size_t length) noexcept
    cdef inline bint shown(self) noexcept:
        return self._inside() and one(1)

    def seen(self, int a=f(2)):
        def within():
            pass


cdef int function(int a):
    pass


class Two:
    async def wait(self): pass
'''


def test_methods_are_counted(tmp_path: Path) -> None:
    file = tmp_path / "some.pyx"
    file.write_text(SOME_CLASS)
    assert dict(methods_of(file)) == {"One": ["_inside", "_text", "shown", "seen"], "Two": ["wait"]}
    counted = dict(methods_of(ROOT / "csrc" / "hub.pyx"))
    assert {"drain", "_turn"} <= set(counted["Hub"])


def test_no_class_is_large() -> None:
    counts = {
        f"{shown(path)}: {name}": len(set(methods))
        for path in [*SOURCES, *THIN, *CYTHON]
        if path.suffix != ".pxd"
        for name, methods in methods_of(path)
    }
    judge("large classes", {name: f"{count} methods" for name, count in counts.items() if count > MOST_METHODS})


def test_a_declaration_file_is_a_face() -> None:
    """Cython wants every cdef method of a class in its .pxd, so what only a class itself needs is no method of it."""
    inside = {
        path.stem: [name for _, methods in methods_of(path) for name in methods if re.match("_(?!_)", name)]
        for path in DECLARATIONS
    }
    judge("insides on faces", {stem: names for stem, names in inside.items() if names})


# ---- what is carried along ----


def cimports_of(path: Path) -> Iterator[str]:
    """The names that a file gets by cimport, as it calls them."""
    for many, some, modules in CIMPORTED.findall(code_of(path)):
        for entry in (many or some or modules).replace("\\\n", " ").split(","):
            if words := entry.split():
                # `cimport a.b` without `as` is used as a.b, that is by its first name.
                yield words[-1] if " as " in entry else words[-1].split(".")[0]


def unused_cimports(path: Path) -> list[str]:
    """What is cimported and named nowhere else; what a .pxd gets, its .pyx may use."""
    codes = [code_of(path)]
    source = ROOT / "csrc" / f"{path.stem}.pyx"
    if path.suffix == ".pxd" and source.exists():
        codes.append(code_of(source))
    words = Counter(word for code in codes for word in re.findall(r"\w+", CIMPORTED.sub("", code)))
    return [name for name in cimports_of(path) if not words[name] and name != "*"]


def test_cimports_are_read(tmp_path: Path) -> None:
    file = tmp_path / "some.pyx"
    file.write_text(
        "cimport cython\nfrom a.b cimport (\n    c, d as e,\n    f,  # g\n)\nfrom h cimport i\ne(cython.x)\n'f'\n"
    )
    assert list(cimports_of(file)) == ["cython", "c", "e", "f", "i"]
    assert unused_cimports(file) == ["c", "f", "i"]


def test_what_is_cimported_is_used() -> None:
    unused = {shown(path): unused_cimports(path) for path in CYTHON}
    judge("unused cimports", {path: names for path, names in unused.items() if names})


def test_lines_fit() -> None:
    """Ruff sees to it in Python."""
    long = {
        shown(path): [number for number, line in enumerate(path.read_text().split("\n"), 1) if len(line) > WIDTH]
        for path in [*CYTHON, *HEADERS]
    }
    judge("long lines", {path: f"longer than {WIDTH} in {lines}" for path, lines in long.items() if lines})


# ---- one name for one thing ----


def test_a_limit_has_the_name_of_its_key() -> None:
    """What docs/configuration.md calls it: in every struct of limits of the core, whatever uses it there."""
    from fastbroker.config import Config, hub_settings

    keys = hub_settings(Config())
    fields = {
        f"{struct}.{field}": "is no key of the configuration"
        for path in DECLARATIONS
        for struct, body in STRUCT.findall(code_of(path))
        if struct.endswith("Limits")
        for field in re.findall(r"(\w+)\n", body)
        if field not in keys
    }
    judge("other names of limits", fields)


def test_limits_are_found() -> None:
    structs = {name for path in DECLARATIONS for name, _ in STRUCT.findall(code_of(path)) if name.endswith("Limits")}
    assert {"Limits", "ParserLimits"} <= structs
