"""Puts the chat's page together in `build/chat`: its own files, and stompjs from the npm registry.

    python examples/chat/pages.py

Nothing is compiled or bundled: the files are served as they are.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

STOMPJS = "@stomp/stompjs"
VERSION = "7.5.0"
TIME_LIMIT = 180.0

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build"
PACKAGES = BUILD / f"stompjs-{VERSION}"
BUNDLE = PACKAGES / "node_modules" / STOMPJS / "bundles" / "stomp.umd.min.js"
PAGES = BUILD / "chat"


class Missing(Exception):
    """The page cannot be put together; says what to do."""


def main() -> None:
    """Put the page together, or say why not."""
    try:
        put_together()
    except Missing as missing:
        sys.exit(f"The chat cannot be started: {missing}")


def put_together() -> None:
    """Copy all files into one directory, and install stompjs if it is not there yet."""
    if not BUNDLE.exists():
        install()
    shutil.rmtree(PAGES, ignore_errors=True)
    shutil.copytree(HERE / "page", PAGES)
    shutil.copy(BUNDLE, PAGES)


def install() -> None:
    """Let npm fetch exactly this version; none of the package's scripts is run."""
    npm = shutil.which("npm")
    if not npm:
        raise Missing("it needs npm, which comes with Node.js (on Debian: apt-get install npm)")
    PACKAGES.mkdir(parents=True, exist_ok=True)
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--no-save", "--prefix", str(PACKAGES)]
    command = [npm, "install", *options, f"{STOMPJS}@{VERSION}"]
    try:
        done = subprocess.run(command, cwd=PACKAGES, capture_output=True, text=True, timeout=TIME_LIMIT, check=False)
    except subprocess.TimeoutExpired:
        raise Missing(f"npm was not done after {TIME_LIMIT:g} s") from None
    if done.returncode or not BUNDLE.exists():
        raise Missing(f"npm could not install {STOMPJS} {VERSION}:\n{done.stderr.strip()}")


if __name__ == "__main__":
    main()
