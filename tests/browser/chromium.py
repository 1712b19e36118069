"""The browser of the tests: which one, how it is started, and where what drives it is installed."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLAYWRIGHT = ("playwright==1.65.2", "greenlet==3.5.6")
DIRECTORY = ROOT / "build" / "browser"
FAILURE = ROOT / "build" / "browser.failed"
NAMES = ("chromium", "chromium-browser", "google-chrome")

# It must not look for hosts of its maker. Its sandbox refuses to run as root.
QUIET = ("background-networking", "component-update", "sync", "quic", "gpu", "dev-shm-usage")
FLAGS = (
    "--no-first-run",
    *(f"--disable-{name}" for name in QUIET),
    *(["--no-sandbox"] if os.getuid() == 0 else []),
)


def program() -> str:
    """The browser on the PATH; empty if there is none."""
    return next(filter(None, map(shutil.which, NAMES)), "")


def stamp() -> str:
    """What an installation must have been made from to be used; greenlet's compiled parts fit one Python only."""
    return json.dumps({"requirements": PLAYWRIGHT, "python": sys.implementation.cache_tag})


def is_installed() -> bool:
    """Whether Playwright is there, complete, for this Python."""
    file = DIRECTORY / "installed.json"
    return file.exists() and file.read_text() == stamp()


def missing() -> str:
    """Why no browser can be driven; empty when one can."""
    if not program():
        return f"no browser: none of {', '.join(NAMES)} is on the PATH"
    if is_installed():
        return ""
    if FAILURE.exists():
        return f"no browser: {FAILURE.read_text()}"
    return "no browser: run python tests/browser/install_browser.py"
