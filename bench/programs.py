"""Builds the relay and the appender, C programs, into ``bench/build``; ``python -m bench.programs``."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = HERE / "build"
FLAGS = ("-std=gnu17", "-D_GNU_SOURCE", "-O3", "-march=native", "-Wall", "-Wextra", "-Werror")


def compiler() -> str:
    """The C compiler: what ``CC`` names, or ``cc``."""
    return os.environ.get("CC", "cc")


def relay() -> Path:
    """The relay's executable, built if it is older than its source."""
    return _build("relay", HERE / "relay.c")


def disk() -> Path:
    """The executable that appends and syncs, built if it is older than its source."""
    return _build("disk", HERE / "disk.c")


def _build(name: str, source: Path) -> Path:
    program = BUILD / name
    newest = max(path.stat().st_mtime for path in (source, Path(__file__)))
    if not program.exists() or program.stat().st_mtime < newest:
        _compile(program, source)
    return program


def _compile(program: Path, source: Path) -> None:
    BUILD.mkdir(exist_ok=True)
    # A run that is under way keeps the program it started: the new one takes its name at the end.
    fresh = program.with_name(f"{program.name}.{os.getpid()}")
    subprocess.run([compiler(), *FLAGS, str(source), "-o", str(fresh)], check=True)
    fresh.replace(program)


if __name__ == "__main__":
    print(relay(), disk())
