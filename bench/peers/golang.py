"""Servers written in Go, built from source."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from bench.peers.download import run_tool


def no_go() -> str:
    """Why nothing can be built; empty if it can."""
    return "" if shutil.which("go") else "there is no go to build it with"


def install(package: str, directory: Path) -> None:
    """Build a package, `module/path@version`, into the directory."""
    run_tool(["go", "install", package], directory, {**os.environ, "GOBIN": str(directory)})


def build(module: Path, program: Path) -> None:
    """Build a module of this repository."""
    run_tool(["go", "build", "-o", program, "."], module)
