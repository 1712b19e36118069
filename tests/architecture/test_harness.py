"""Tests start brokers in one way, that of tests/harness: what is learnt about waiting for one is learnt once."""

from __future__ import annotations

import ast
from pathlib import Path

from tree import ROOT, shown

HARNESS = "tests/harness/broker.py"
# Where the process itself is what a test is about.
OWN_PROCESS = {
    "tests/system/test_server.py": "what it prints, how it ends, and when it does not start",
    "tests/system/test_systemd.py": "what it does not take from who started it",
}


def starts_a_broker(text: str) -> bool:
    """Whether there is a command line that runs `fastbroker serve`."""
    lists = (node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.List))
    return any({"fastbroker", "serve"} <= {getattr(each, "value", None) for each in node.elts} for node in lists)


def test_brokers_are_started_in_one_place() -> None:
    found = {shown(path) for path in (ROOT / "tests").rglob("*.py") if starts_a_broker(path.read_text())}
    assert found == {HARNESS, *OWN_PROCESS}


def test_who_starts_a_broker_is_found() -> None:
    assert starts_a_broker('run([sys.executable, "-m", "fastbroker", "serve", *more], cwd=ROOT)')
    assert not starts_a_broker('run([sys.executable, "-m", "fastbroker", "bench", *more], cwd=ROOT)')
    assert starts_a_broker(Path(ROOT, HARNESS).read_text())
