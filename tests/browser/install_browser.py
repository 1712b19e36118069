"""Installs what the tests in a browser need: Debian's Chromium, Playwright to drive it, and stompjs for the chat.

    python tests/browser/install_browser.py

What is there is left alone. What cannot be installed ends nothing: the tests that need it are skipped and say why.
Playwright goes into a directory of its own, without the browsers that it would fetch itself.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import chromium
from chromium import DIRECTORY, FAILURE, PLAYWRIGHT

sys.path.insert(0, str(chromium.ROOT / "examples" / "chat"))
import pages

PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--retries", "1", "--timeout", "20", "--quiet")
TIME_LIMIT = 300.0


def main() -> None:
    """Install what is missing, and say so."""
    for name, install in (("chromium", browser), ("playwright", playwright), ("stompjs", stompjs)):
        print(f"{name}: {install()}", flush=True)


def browser() -> str:
    """The browser comes from Debian; only root can install it, and only root in a machine of its own should."""
    if chromium.program():
        return "there"
    if not shutil.which("apt-get") or os.getuid() != 0:
        return "MISSING: install Chromium to run the tests that need a browser"
    complaint = ""
    for arguments in (("update",), ("install", "--yes", "--no-install-recommends", "chromium")):
        complaint = run(["apt-get", "-qq", *arguments])
    return f"FAILED: {complaint}" if complaint else "installed"


def playwright() -> str:
    """Playwright and what it needs, all of it pinned."""
    if chromium.is_installed():
        return "there"
    FAILURE.parent.mkdir(exist_ok=True)
    FAILURE.unlink(missing_ok=True)
    partial = DIRECTORY.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    complaint = run([*PIP, "install", "--no-deps", "--only-binary", ":all:", "--target", str(partial), *PLAYWRIGHT])
    if complaint:
        FAILURE.write_text(complaint)
        return f"FAILED: {complaint}"
    (partial / "installed.json").write_text(chromium.stamp())
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    partial.rename(DIRECTORY)
    return "installed"


def stompjs() -> str:
    """The chat's page with stompjs beside it."""
    try:
        pages.put_together()
    except pages.Missing as missing:
        return f"MISSING: {missing}"
    return "there"


def run(command: list[str]) -> str:
    """Run a program; return the last line of its complaint when it fails."""
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIME_LIMIT, check=False, env=quiet)
    except subprocess.TimeoutExpired:
        return f"{Path(command[0]).name} was not done after {TIME_LIMIT:g} s"
    complaints = [line for line in done.stderr.splitlines() if line.strip()]
    return "" if done.returncode == 0 else (complaints or [f"it ended with code {done.returncode}"])[-1]


if __name__ == "__main__":
    main()
