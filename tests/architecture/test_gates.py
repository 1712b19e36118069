"""What must not be in the tree: ways to run what a client sent, and where somebody's machine keeps things."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from tree import COMPILED, ROOT, THIN, code_of, modules_named_in, shown, texts

DANGEROUS = {"pickle", "cPickle", "dill", "marshal", "shelve", "yaml", "jsonpickle"}
CALLS = re.compile(r"(?<![\w.])(eval|exec|compile|__import__)\s*\(")
# Matching by `re` can be made slow by what is matched, so what clients send does not meet it. These look at something
# else: settings, the operator's own pages when they are read, one capped value in a log line, and what the broker says
# to the command line.
MAY_MATCH = {"csrc/logline.pyx"} | {
    f"fastbroker/{name}.py"
    for name in ("config/units", "config/conflicts", "client/frames", "transports/certificate", "web/pages")
}

MACHINE = re.compile(r"(?<![\w.~/>])/(?:work|root|home|Users)/\w|/tmp/(?:venv|plan)\b")
REGISTRY = re.compile(
    r"pypi\.org|pythonhosted\.org|registry\.npmjs|npmjs\.com|registry\.yarnpkg|proxy\.golang\.org"
    r"|repo1?\.maven\.(?:apache\.)?org|crates\.io|deb\.debian\.org"
)


def imports_of(path: Path) -> set[str]:
    if path.suffix != ".py":
        return {name.split(".")[0] for name in modules_named_in(path)}
    nodes = list(ast.walk(ast.parse(path.read_text())))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return {
        name.split(".")[0] for name in plain | {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    }


@pytest.mark.parametrize("path", [*COMPILED, *THIN], ids=shown)
def test_s15_bodies_stay_opaque(path: Path) -> None:
    assert not imports_of(path) & DANGEROUS
    assert not CALLS.findall(re.sub(r"\bre\.compile\(", "(", code_of(path)))


def test_s13_no_regular_expression_on_what_clients_send() -> None:
    matching = {shown(path) for path in [*COMPILED, *THIN] if imports_of(path) & {"re", "regex", "fnmatch"}}
    assert matching <= MAY_MATCH


def test_gates_close() -> None:
    assert MACHINE.search("in /home/" + "somebody/code")
    assert MACHINE.search(f"cd {Path('/', 'root', 'x')}")
    assert not MACHINE.search("docs at https://example.com/home/x, ~/home/x, a/root/b")
    assert REGISTRY.search("files." + "pythonhosted" + ".org")
    assert "re" in imports_of(ROOT / "fastbroker" / "config" / "units.py")


@pytest.mark.parametrize("pattern", [MACHINE, REGISTRY], ids=["paths", "registries"])
def test_nothing_names_a_machine(pattern: re.Pattern[str]) -> None:
    found = [
        f"{shown(path)}:{number}: {line.strip()[:100]}"
        for path in texts()
        for number, line in enumerate(path.read_text(errors="replace").split("\n"), start=1)
        if pattern.search(line)
    ]
    assert not found, "\n".join(found)
