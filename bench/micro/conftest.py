"""Micro benchmarks: one operation many times, the loop in C, and what one of them takes.

pytest bench/micro --benchmark-only       measure; the table "each" at the end is in nanoseconds
pytest bench/micro --benchmark-disable    only see whether they run
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

from bench.micro import times
from bench.micro.compiled import compiled


class Measure(Protocol):
    """The fixture `each`."""

    def __call__(self, run: Callable[[int], object], count: int, operations: int = 0) -> None: ...


@pytest.fixture(scope="session")
def micro() -> Any:
    """The loops in C (micro.pyx)."""
    return compiled(Path(__file__).with_name("micro.pyx"))


@pytest.fixture(scope="session")
def measuring(pytestconfig: pytest.Config) -> bool:
    """Whether times matter, or only that it runs."""
    return not pytestconfig.getoption("benchmark_disable")


@pytest.fixture
def each(benchmark: Any) -> Measure:
    """Measure `run(count)`: what one operation takes. There are `count` of them unless `operations` says otherwise."""

    def measure(run: Callable[[int], object], count: int, operations: int = 0) -> None:
        benchmark.extra_info["operations"] = operations or count
        benchmark.pedantic(run, args=(count,), rounds=15, warmup_rounds=1)

    return measure


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """One line for each benchmark: nanoseconds for one operation, the median and the best of all rounds."""
    session: Any = getattr(config, "_benchmarksession", None)
    saved = getattr(session, "compared_mapping", None) or {}
    measured = times.timed(getattr(session, "benchmarks", []), next(iter(saved.values()), {}))
    if not measured:
        return
    terminalreporter.section("each, in nanoseconds")
    terminalreporter.write_line(times.HEADING)
    for one in measured:
        terminalreporter.write_line(one.line())
    terminalreporter.write_line(times.compared_with(saved))
    for name, excess in session.performance_regressions:  # --benchmark-compare-fail; otherwise it is empty
        terminalreporter.write_line(f"{name}: {excess}", red=True)
