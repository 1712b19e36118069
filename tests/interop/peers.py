"""The client libraries that the interop tests use: what to install, and what each can do.

This table drives the installer (`install_peers.py`) and the tests (`test_clients.py`).
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PEERS = Path(__file__).resolve().parents[2] / "build" / "peers"
ALL_VERSIONS = ("1.0", "1.1", "1.2")


def rename_async_package(directory: Path) -> None:
    """`async` became a keyword with Python 3.7, so that a package of this name cannot be imported any more."""
    package = (directory / "stompest" / "async").rename(directory / "stompest" / "async_")
    for file in package.rglob("*.py"):
        file.write_text(re.sub(r"\bstompest\.async\b", "stompest.async_", file.read_text()))


@dataclass(frozen=True)
class Peer:
    """One version of one client library."""

    name: str
    version: str
    adapter: str
    """The module in `drivers` that knows how to use it."""
    stomp: tuple[str, ...]
    """The versions of STOMP that it speaks."""
    abilities: frozenset[str]
    """What it can do beyond what every client can; a scenario that needs one runs only with those that have it."""
    with_it: tuple[str, ...] = ()
    """What it needs beside itself, all of it pinned: an old release does not know which newer ones break it."""
    adapt: Callable[[Path], None] | None = None
    """What must be changed in the installed files so that this Python can import them."""

    @property
    def label(self) -> str:
        """Name and version in one word."""
        return f"{self.name}-{self.version}"

    @property
    def requirements(self) -> list[str]:
        """What pip is asked for."""
        return [f"{self.name}=={self.version}", *self.with_it]

    @property
    def directory(self) -> Path:
        """Where it is installed, apart from all the others."""
        return PEERS / self.label

    @property
    def failure(self) -> Path:
        """The file that says why it could not be installed."""
        return PEERS / f"{self.label}.failed"

    @property
    def stamp(self) -> str:
        """What an installation must have been made from to be used; compiled parts fit one Python only."""
        return json.dumps({"requirements": self.requirements, "python": sys.implementation.cache_tag})

    def installed(self) -> bool:
        """Whether it is there, complete, for this Python."""
        stamp = self.directory / "installed.json"
        return stamp.exists() and stamp.read_text() == self.stamp

    def missing(self) -> str:
        """Why it cannot be used; empty when it can."""
        if self.installed():
            return ""
        if self.failure.exists():
            return f"{self.label} could not be installed: {self.failure.read_text()}"
        return f"{self.label} is not installed: run python tests/interop/install_peers.py"


STOMP_PY = frozenset({"receipts", "ack receipts", "ack transactions", "anonymous subscriptions", "error headers"})
STOMPEST = STOMP_PY | {"escaped names"}
TWISTED = (
    "stompest==2.3.0",
    "Twisted==26.10.0",
    "attrs==26.1.0",
    "Automat==25.4.16",
    "constantly==23.10.4",
    "hyperlink==21.0.0",
    "idna==3.20",
    "incremental==24.11.0",
    "packaging==26.3",
    "typing_extensions==4.16.0",
    "zope.interface==8.7",
)

TABLE = (
    Peer("stomp.py", "9.0.0", "stomp_py", ALL_VERSIONS, STOMP_PY, ("websocket-client==1.9.2",)),
    Peer("stomp.py", "8.2.0", "stomp_py", ALL_VERSIONS, STOMP_PY, ("websocket-client==1.9.2",)),
    Peer("stomp.py", "4.1.24", "stomp_py", ALL_VERSIONS, STOMP_PY),
    Peer("stompest", "2.3.0", "stompest_sync", ALL_VERSIONS, STOMPEST | {"silence"}),
    Peer("stompest.async", "2.3.0", "stompest_twisted", ALL_VERSIONS, STOMPEST, TWISTED, rename_async_package),
    Peer(
        "aiostomp",
        "1.7.3",
        "aiostomp_loop",
        ("1.1",),
        frozenset({"receipts", "ack transactions", "reconnects"}),
    ),
    Peer("stompman", "3.16.0", "stompman_loop", ("1.2",), frozenset({"reconnects", "escaped names"})),
)
