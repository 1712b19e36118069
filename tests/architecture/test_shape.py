"""Files and functions that can be read in one sitting, under names that say what they are."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest
from tree import COMPILED, DECLARATIONS, GENERATOR, HEADERS, ROOT, SOURCES, THIN, Function, functions_of, shown

MEDIAN, MOST, LONGEST = 12, 40, 90
VAGUE = {"packet", "manager", "util", "utils", "helper", "helpers", "data", "process"}
# Words that are part of a name people know: the option --data-dir.
KNOWN = ("data_dir",)
CLASS = re.compile(r"^\s*(?:cdef\s+|ctypedef\s+)*(?:class|struct|enum|union)\s+(\w+)", re.MULTILINE)

GROUPS = {
    "csrc/*.pyx": SOURCES,
    "csrc/*.h": HEADERS,
    "bench/generator": GENERATOR,
    "fastbroker/core/*.pxd": DECLARATIONS,
    "fastbroker/*.py": THIN,
}


def functions(paths: list[Path]) -> list[Function]:
    return [function for path in paths for function in functions_of(path)]


@pytest.mark.parametrize("group", GROUPS)
def test_half_of_all_functions_are_short(group: str) -> None:
    assert median(function.length for function in functions(GROUPS[group])) <= MEDIAN


@pytest.mark.parametrize("group", GROUPS)
def test_nine_of_ten_functions_fit_a_screen(group: str) -> None:
    found = functions(GROUPS[group])
    long = [function for function in found if function.length > MOST]
    assert len(long) <= len(found) / 10, "\n".join(map(str, long))


@pytest.mark.parametrize("group", GROUPS)
def test_no_function_is_endless(group: str) -> None:
    endless = [each for each in functions(GROUPS[group]) if each.length > LONGEST]
    assert not endless, "\n".join(map(str, endless))


CYTHON = '''cdef int one(int a,
             int b) except -1:
    """Text:

cdef int no():
    """
    return 1


cdef class Two:
    cdef int declared(self)

    def inside(self):
        pass
# a comment
'''

C = """static int declared(int a);

typedef struct Some {
    int a;
} Some;

static inline int one(int a,
                      int b) {
    return a;
}
"""


def test_functions_are_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tree.ROOT", tmp_path)
    (tmp_path / "some.pyx").write_text(CYTHON)
    for name in ("some.h", "some.c"):
        (tmp_path / name).write_text(C)
    measured = {path.name: [each[1:] for each in functions_of(path)] for path in tmp_path.iterdir()}
    one = [(7, "one", 4)]
    assert measured == {"some.pyx": [(1, "one", 7), (13, "inside", 2)], "some.h": one, "some.c": one}


@pytest.mark.parametrize("path", [*COMPILED, *GENERATOR, *THIN], ids=shown)
def test_every_file_says_what_it_is(path: Path) -> None:
    start = path.read_text().lstrip()
    assert not start or start.startswith(("/*", '"""', "# ")), f"{shown(path)} begins without a word about itself"


def names_in(path: Path) -> Iterator[str]:
    yield path.stem
    if path.suffix == ".py":
        yield from (node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ClassDef))
    else:
        yield from CLASS.findall(path.read_text())


def words_of(name: str) -> set[str]:
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    for known in KNOWN:
        parts = parts.replace(known, "")
    return set(parts.split("_"))


def test_names_say_something() -> None:
    paths = [*COMPILED, *GENERATOR, *THIN, *(ROOT / "bench").glob("*.py")]
    vague = [f"{shown(path)}: {name}" for path in paths for name in names_in(path) if words_of(name) & VAGUE]
    assert not vague, "\n".join(vague)
