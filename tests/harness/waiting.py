"""How long anything may take, and waiting for it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

DEADLINE = float(os.environ.get("FASTBROKER_TEST_DEADLINE", "20"))
"""Seconds that one wait may take before its test fails: many, as a busy machine is no failure. Slow builds raise it."""
SOON = DEADLINE / 4
"""Seconds for what is over in a moment on a quiet machine: still less than any default that would end it instead."""


def eventually(condition: Callable[[], Any], what: str, *, timeout: float = DEADLINE, pause: float = 0.005) -> Any:
    """Wait until `condition()` is true and return what it gave; `what` names it when it never becomes true."""
    end = time.monotonic() + timeout
    while not (value := condition()):
        assert time.monotonic() < end, f"in {timeout} s it never came about that {what}"
        time.sleep(pause)
    return value


@contextmanager
def in_background(work: Callable[[], object]) -> Iterator[threading.Thread]:
    """Run `work` in a thread beside the test; an exception of its fails the test at the end of the block."""
    failures: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as failure:
            failures.append(failure)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield thread
    thread.join(4 * DEADLINE)
    assert not thread.is_alive(), f"{work} did not end"
    if failures:
        raise failures[0]
