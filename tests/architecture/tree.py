"""What the architecture tests look at: the tree's files, who names whom, and where functions begin and end."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]

FLOORS = (
    (
        "wire ring census text blocks moving outbuf flow wrapping wheel table places peer wsframe property "
        "ranks choosers groups duplicates crc record segment reading locating picking writer reader"
    ),
    (
        "frame parser pattern entries nodes tails paths walk trie request reasons logline log backlog limits policy "
        "selector profile journal disk space"
    ),
    (
        "message stored kept names lasting properties redelivery resting conflation subscription keyed ledger settling "
        "consumers fetching shelf queue grouping choosing rules deadletters durables topic fanout route transaction "
        "access receipts schedule composite replies history replay browser soft several carrying spilling"
    ),
    (
        "destination bindings declaring scheduling namespace presence broker login will wishes titles parking "
        "temporaries subscriptions transactions session remains finding recovery survey rewriting"
    ),
    "turntaker hub framing input deadlines connection upgrade websocket sockjs tls",
)
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names.split()}

SOURCES = sorted((ROOT / "csrc").glob("*.pyx"))
HEADERS = sorted((ROOT / "csrc").glob("*.h"))
DECLARATIONS = sorted((ROOT / "fastbroker" / "core").glob("*.pxd"))
COMPILED = [*SOURCES, *HEADERS, *DECLARATIONS]
# The load generator: a house of its own. What Cython makes of its .pyx may lie beside it.
GENERATOR = sorted(
    path
    for path in (ROOT / "bench" / "generator").glob("*")
    if path.suffix in (".c", ".h", ".pyx") and path.name != "generator.c"
)
THIN = sorted(path for path in (ROOT / "fastbroker").rglob("*.py"))

CIMPORT = re.compile(r"^\s*(?:from\s+([\w.]+)\s+c?import\b|c?import\s+([\w., ]+))", re.MULTILINE)
INCLUDE = re.compile(r'^\s*(?:#\s*include|cdef extern from|include)\s+"([^"]+)"', re.MULTILINE)
CYTHON_DEF = re.compile(
    r"^( *)(?:(?:cdef|cpdef|async def|def)\b(?!\s+(?:class|struct|enum|union|extern|packed)\b).*\()"
)
C_DEF = re.compile(r"^\w[\w *]*?\b(\w+)\([^;{}]*\{\n.*?^\}", re.MULTILINE | re.DOTALL)


class Function(NamedTuple):
    """A function, and how many lines it has from its first to its last."""

    file: str
    line: int
    name: str
    length: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.name}: {self.length} lines"


def shown(path: Path) -> str:
    """A path as people write it."""
    return path.relative_to(ROOT).as_posix()


def code_of(path: Path) -> str:
    """A file's text with comments and strings blanked out; lines stay where they are."""
    text = path.read_text()
    if path.suffix in (".c", ".h"):
        pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"'
    else:
        pattern = r'"""(?:\\.|[^\\])*?"""|#[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    return re.sub(pattern, lambda found: re.sub(r"[^\n]", " ", found[0]), text, flags=re.DOTALL)


def modules_named_in(path: Path) -> set[str]:
    """What a file imports, cimports or includes, as it names it."""
    text = re.sub(r'"""(?:\\.|[^\\])*?"""|#(?!\s*include)[^\n]*', "", path.read_text(), flags=re.DOTALL)
    found = {name.strip().split(" as ")[0] for one, many in CIMPORT.findall(text) for name in (one or many).split(",")}
    return found | set(INCLUDE.findall(text))


def rooms_of(path: Path) -> set[str]:
    """The names of those of our own compiled modules and headers that a file uses."""
    rooms = set()
    for name in modules_named_in(path):
        if name.startswith("fastbroker.core."):
            rooms.add(name.split(".")[2])
        elif name.startswith("csrc/"):
            rooms.add(Path(name).stem)
    return rooms


def functions_of(path: Path) -> Iterator[Function]:
    """Every function in a file, also those inside of others."""
    if path.suffix == ".py":
        yield from _python_functions(path)
    elif path.suffix in (".c", ".h"):
        yield from _c_functions(path)
    else:
        yield from _cython_functions(path)


def _python_functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno
            yield Function(shown(path), node.lineno, node.name, node.end_lineno - node.lineno + 1)


def _cython_functions(path: Path) -> Iterator[Function]:
    """By indentation."""
    code, raw = code_of(path).split("\n"), path.read_text().split("\n")
    for at, line in enumerate(code):
        if (found := CYTHON_DEF.match(line)) and (head := _end_of_head(code, at)) is not None:
            end = _end_of_block(code, raw, head, len(found[1]))
            yield Function(shown(path), at + 1, line.partition("(")[0].split()[-1], end - at + 1)


def _end_of_head(lines: list[str], at: int) -> int | None:
    """The line where a function's head ends with a colon, or None if it is a declaration."""
    depth = 0
    for number in range(at, len(lines)):
        depth += sum(map(lines[number].count, "([{")) - sum(map(lines[number].count, ")]}"))
        if depth == 0:
            return number if lines[number].rstrip().endswith(":") else None
    return None


def _end_of_block(code: list[str], raw: list[str], head: int, indent: int) -> int:
    """The last line in front of code that is not indented deeper than the function."""
    end = head
    for number in range(head + 1, len(code)):
        if code[number].strip() and _indent(code[number]) <= indent:
            break
        is_outside = raw[number].lstrip().startswith("#") and _indent(raw[number]) <= indent
        if raw[number].strip() and not is_outside:
            end = number
    return end


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _c_functions(path: Path) -> Iterator[Function]:
    """A definition begins at the left margin and ends with a brace there."""
    for found in C_DEF.finditer(code := code_of(path)):
        line = code.count("\n", 0, found.start())
        yield Function(shown(path), line + 1, found[1], found[0].count("\n") + 1)


def texts() -> list[Path]:
    """Every text file that is committed or about to be; without git, what a release has of them."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0:
        found = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    else:
        found = [path for folder in ("csrc", "fastbroker", "tests", "docs") for path in (ROOT / folder).rglob("*.*")]
    return [path for path in found if path.is_file() and b"\0" not in path.read_bytes()[:8192]]
