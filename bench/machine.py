"""What a result depends on besides the code: machine, kernel, versions, date."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from bench import programs
from bench.peers import NATS, ROOT


def facts() -> dict[str, str]:
    """Everything that belongs beside the numbers, by name."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        "kernel": platform.release(),
        "load before": f"{os.getloadavg()[0]:.2f}",
        "python": platform.python_version(),
        "fastbroker": _version([sys.executable, "-m", "fastbroker", "--version"]),
        "uvloop": _package("uvloop"),
        "nats-server": _version([NATS.command()[0], "--version"]) if NATS.installed() else "not installed",
        "compiler": _version([programs.compiler(), "--version"]),
    }


def _processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return found[1] if found else platform.machine()


def _package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _version(command: Sequence[str]) -> str:
    """The last word of the first line: every one of these programs puts its version there."""
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return next((line.split()[-1] for line in run.stdout.splitlines() if line), "unknown")
