"""Runs scenarios with one library: `python -m drivers ADAPTER URL VERSION [SCENARIO...]`.

Prints one JSON object for each scenario. Without names it reads names from standard input, line by
line, until the end; a first object then says whether the library can be imported here at all.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import sys
import time
import traceback
from collections import deque
from typing import IO, Any

from drivers.messaging import SCENARIOS
from drivers.scenarios import Lab


class RecentLog(logging.Handler):
    """Keeps what the library logged last, to be shown beside a failure."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: deque[str] = deque(maxlen=20)
        self.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def main() -> int:
    """Run what the command line asks for; the exit code is the number of failures."""
    adapter, url, stomp, *names = sys.argv[1:]
    answers = private_stdout()
    log = RecentLog()
    logging.basicConfig(level=logging.INFO, handlers=[log])
    try:
        module = importlib.import_module(f"drivers.{adapter}")
    except Exception as error:
        say(answers, usable=False, reason=f"{type(error).__name__}: {error}")
        return 1
    if not names:
        say(answers, usable=True)
    failures = 0
    for name in names or (line.strip() for line in sys.stdin):
        result = outcome(name, module.ADAPTER, url, stomp, log)
        failures += not result["passed"]
        say(answers, **result)
    return failures


def outcome(name: str, adapter: Any, url: str, stomp: str, log: RecentLog) -> dict[str, Any]:
    """Run one scenario."""
    lab = Lab(adapter, url, stomp)
    log.lines.clear()
    start = time.monotonic()
    try:
        SCENARIOS[name].run(lab)
        result: dict[str, Any] = {"passed": True}
    except Exception:
        result = {"passed": False, "trace": traceback.format_exc(), "log": list(log.lines)}
    finally:
        lab.close()
    return {"scenario": name, **result, "seconds": round(time.monotonic() - start, 3)}


def private_stdout() -> IO[str]:
    """The real standard output; what a library prints goes to standard error from now on."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def say(answers: IO[str], **fields: Any) -> None:
    """Write one answer."""
    print(json.dumps(fields), file=answers, flush=True)


if __name__ == "__main__":
    code = main()
    # The libraries leave threads behind that would keep the process.
    os._exit(code)
