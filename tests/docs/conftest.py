"""Where the tests of the documents find the browser, and the clients from the package index."""

from __future__ import annotations

import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path += [str(TESTS / "browser"), str(TESTS / "interop"), str(TESTS.parent / "examples" / "chat")]

import chromium

sys.path.append(str(chromium.DIRECTORY))
