"""The client libraries that the interop tests use: how they are installed, and what each is asked.

The tables of `python_peers.py` and `node_peers.py` drive the installer (`install_peers.py`), the tests, and those of
docs/clients.md (`client_table.py`).
"""

from __future__ import annotations

import abc
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from drivers.messaging import SCENARIOS

HERE = Path(__file__).resolve().parent
PEERS = HERE.parents[1] / "build" / "peers"
ALL_VERSIONS = ("1.0", "1.1", "1.2")

RECEIPTS = frozenset({"receipts", "ack receipts", "ack transactions", "error headers"})
"""What a client can do whose programs choose the headers of every frame, and see all of those that come."""

HEADERS = frozenset(f"headers of {command}" for command in ("CONNECT", "SUBSCRIBE", "UNSUBSCRIBE", "NACK", "RECEIPT"))
"""What a client can do whose programs give more headers to these frames, or see those of a RECEIPT."""

SOFT_ERRORS = frozenset({"messages of no subscription"})
"""What a client can do whose programs may ask for soft errors, and see each MESSAGE, of whatever subscription."""

CONFIGURATION = {
    "auth": {"last_will": True},
    "topics": [{"pattern": "kept.#", "presence": True, "history": {"count": 10}}],
}
"""What the broker must be told so that every scenario can be played."""


class Gap(NamedTuple):
    """Scenarios that a library is not asked, and why."""

    why: str
    scenarios: tuple[str, ...]
    stomp: tuple[str, ...] = ALL_VERSIONS
    ways: tuple[str, ...] = ()
    """The transports that it is about; all, if none is named."""

    def covers(self, scenario: str, way: str, stomp: str) -> bool:
        """Whether this scenario is left out here."""
        return scenario in self.scenarios and stomp in self.stomp and (not self.ways or way in self.ways)


@dataclass(frozen=True)
class Peer(abc.ABC):
    """One version of one client library, with one set of options."""

    name: str
    version: str
    adapter: str
    """Who knows how to use it: a module of `drivers`, or of `drivers-node`."""
    stomp: tuple[str, ...]
    """The versions of STOMP that it speaks."""
    abilities: frozenset[str]
    """What it can do beyond what every client can; a scenario that needs one runs only with those that have it."""
    ways: tuple[str, ...] = ("tcp",)
    """The transports that it can use: the first with every version of STOMP, the others with the newest only."""
    gaps: tuple[Gap, ...] = ()
    """What it cannot do although every client should."""
    variant: str = ""
    """What is special about its options."""

    @property
    def label(self) -> str:
        """Name and version in one word."""
        return f"{self.name}-{self.version}"

    @property
    @abc.abstractmethod
    def directory(self) -> Path:
        """Where it is installed."""

    @property
    def failure(self) -> Path:
        """The file that says why it could not be installed."""
        return self.directory.with_name(f"{self.directory.name}.failed")

    @property
    @abc.abstractmethod
    def stamp(self) -> str:
        """What an installation must have been made from to be used."""

    @property
    @abc.abstractmethod
    def module(self) -> str:
        """The module of `drivers` that runs it."""

    @property
    @abc.abstractmethod
    def environment(self) -> dict[str, str]:
        """The environment of its driver."""

    @abc.abstractmethod
    def fill(self, directory: Path) -> str:
        """Install it into a new directory; return why not when that fails."""

    def installed(self) -> bool:
        """Whether it is there, complete."""
        stamp = self.directory / "installed.json"
        return stamp.exists() and stamp.read_text() == self.stamp

    def missing(self) -> str:
        """Why it cannot be used; empty when it can."""
        if self.installed():
            return ""
        if self.failure.exists():
            return f"{self.label} could not be installed: {self.failure.read_text()}"
        return f"{self.label} is not installed: run python tests/interop/install_peers.py"

    @property
    def usual(self) -> tuple[str, str, str]:
        """The transport, version and options that stand for all where these make no difference."""
        return self.ways[0], self.stomp[-1], ""

    def runs(self) -> Iterator[Run]:
        """Every transport and version that it is tried with."""
        for way in self.ways:
            for stomp in self.stomp if way == self.ways[0] else self.stomp[-1:]:
                yield Run(self, way, stomp)


class Run(NamedTuple):
    """One client library over one transport in one version."""

    peer: Peer
    way: str
    stomp: str

    @property
    def label(self) -> str:
        """All three in one word."""
        return f"{self.peer.label}/{self.way}/{self.stomp}"

    @property
    def scenarios(self) -> list[str]:
        """What it is asked."""
        return [scenario.name for scenario in SCENARIOS.values() if self._asks(scenario.name)]

    def _asks(self, scenario: str) -> bool:
        if SCENARIOS[scenario].once and (self.way, self.stomp, self.peer.variant) != self.peer.usual:
            return False
        applies = SCENARIOS[scenario].applies(self.way, self.stomp, self.peer.abilities)
        return applies and not any(gap.covers(scenario, self.way, self.stomp) for gap in self.peer.gaps)


def driver_environment(*directories: Path, **more: str) -> dict[str, str]:
    """The environment of a driver that imports from these directories only."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (HERE, *directories))), **more}


def stamp_of(**what: object) -> str:
    """What an installation was made from."""
    return json.dumps(what)
