"""What a result depends on besides the server: machine, kernel, versions, date."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

from fastbroker import __version__
from fastbroker.bench.result import Machine

CPUINFO = Path("/proc/cpuinfo")


def machine() -> Machine:
    """The facts of this machine, now."""
    return Machine(
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        processor=_processor(),
        cores=os.cpu_count() or 1,
        memory=psutil.virtual_memory().total,
        system=platform.system(),
        kernel=platform.release(),
        python=platform.python_version(),
        load_before=os.getloadavg()[0],
        versions={"fastbroker": __version__, "uvloop": _package("uvloop")},
    )


def in_words(facts: Machine) -> str:
    """One line for people."""
    return (
        f"{facts.processor}, {facts.cores} cores, {facts.memory / 2**30:.0f} GiB, {facts.system} {facts.kernel}, "
        f"Python {facts.python}, {', '.join(f'{name} {text}' for name, text in facts.versions.items())}, "
        f"{facts.date}, load before {facts.load_before:.2f}"
    )


def _processor() -> str:
    return _of_proc() or _of_sysctl() or platform.processor() or platform.machine()


def _of_proc() -> str:
    lines = CPUINFO.read_text().splitlines() if CPUINFO.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")


def _of_sysctl() -> str:
    if platform.system() != "Darwin":
        return ""
    command = ["sysctl", "-n", "machdep.cpu.brand_string"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def _package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
