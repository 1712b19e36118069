"""The clients in Python, each installed by pip into a directory of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from peers import ALL_VERSIONS, HEADERS, PEERS, RECEIPTS, SOFT_ERRORS, Gap, Peer, driver_environment, stamp_of

PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--retries", "1", "--timeout", "20")
TIME_LIMIT = 180.0


def rename_async_package(directory: Path) -> None:
    """`async` became a keyword with Python 3.7, so that a package of this name cannot be imported any more."""
    package = (directory / "stompest" / "async").rename(directory / "stompest" / "async_")
    for file in package.rglob("*.py"):
        file.write_text(re.sub(r"\bstompest\.async\b", "stompest.async_", file.read_text()))


@dataclass(frozen=True)
class PythonPeer(Peer):
    """A client from PyPI."""

    with_it: tuple[str, ...] = ()
    """What it needs beside itself, all of it pinned: an old release does not know which newer ones break it."""
    adapt: Callable[[Path], None] | None = None
    """What must be changed in the installed files so that this Python can import them."""

    @property
    def requirements(self) -> list[str]:
        """What pip is asked for."""
        return [f"{self.name}=={self.version}", *self.with_it]

    @property
    def directory(self) -> Path:
        return PEERS / self.label

    @property
    def stamp(self) -> str:
        """Compiled parts fit one Python only."""
        return stamp_of(requirements=self.requirements, python=sys.implementation.cache_tag)

    @property
    def module(self) -> str:
        return self.adapter

    @property
    def environment(self) -> dict[str, str]:
        return driver_environment(self.directory)

    def fill(self, directory: Path) -> str:
        """Let pip fetch exactly what the table says; return the last line of its complaint when it cannot."""
        command = [*PIP, "install", "--quiet", "--no-deps", "--target", str(directory), *self.requirements]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=TIME_LIMIT, check=False)
        except subprocess.TimeoutExpired:
            return f"not done after {TIME_LIMIT:g} s"
        if done.returncode:
            complaints = [line for line in done.stderr.splitlines() if line.strip()]
            return complaints[-1] if complaints else f"pip ended with code {done.returncode}"
        if self.adapt:
            self.adapt(directory)
        return ""


STOMP_PY = RECEIPTS | HEADERS | SOFT_ERRORS | {"anonymous subscriptions"}
STOMPEST = STOMP_PY - SOFT_ERRORS | {"escaped names"}
WEBSOCKET_CLIENT = ("websocket-client==1.9.2",)
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
# Not over wss, nor with 8.2.0 over TLS: it reads and writes one TLS connection in two threads, and OpenSSL crashes.
NEVER_ENDS = Gap(
    "does not notice that a TLS connection was closed",
    (
        "error_says_what_was_wrong",
        "second_ack_is_an_error",
        "unknown_transaction_is_an_error",
        "error_of_one_does_not_touch_another",
    ),
    ways=("tls",),
)

TABLE = (
    PythonPeer(
        "stomp.py",
        "9.0.0",
        "stomp_py",
        ALL_VERSIONS,
        STOMP_PY,
        ("tcp", "tls", "ws"),
        (NEVER_ENDS,),
        with_it=WEBSOCKET_CLIENT,
    ),
    PythonPeer("stomp.py", "8.2.0", "stomp_py", ALL_VERSIONS, STOMP_PY, ("tcp", "ws"), with_it=WEBSOCKET_CLIENT),
    PythonPeer("stomp.py", "4.1.24", "stomp_py", ALL_VERSIONS, STOMP_PY - {"headers of NACK"}),
    PythonPeer("stompest", "2.3.0", "stompest_sync", ALL_VERSIONS, STOMPEST | {"silence"}),
    PythonPeer(
        "stompest.async",
        "2.3.0",
        "stompest_twisted",
        ALL_VERSIONS,
        STOMPEST,
        with_it=TWISTED,
        adapt=rename_async_package,
    ),
    PythonPeer(
        "aiostomp",
        "1.7.3",
        "aiostomp_loop",
        ("1.1",),
        frozenset({"receipts", "ack transactions", "reconnects", "headers of SUBSCRIBE", "headers of RECEIPT"}),
    ),
    PythonPeer(
        "stompman",
        "3.16.0",
        "stompman_loop",
        ("1.2",),
        frozenset({"reconnects", "escaped names", "headers of SUBSCRIBE"}),
        ("tcp", "tls", "ws"),
        with_it=("websockets==17.4",),
    ),
)
