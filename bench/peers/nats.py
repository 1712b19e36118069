"""nats-server, the yardstick, in its own protocol."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from bench.peers import golang
from bench.peers.download import Downloaded
from bench.peers.launch import Launch
from bench.peers.peer import SETTINGS, Feature, first_version, output_of
from bench.peers.settings import write_settings
from fastbroker.bench.load import Protocol

VERSION = "v2.15.2"


class NatsServer(Downloaded):
    """The system's program if there is one, else built from source."""

    name = "nats-server"
    protocol: Protocol = "nats"
    lacks: Mapping[Feature, str] = {
        "queues": "its core protocol has no queues that keep messages",
        "transactions": "its protocol has no transactions",
        "acks": "its core protocol has no acknowledgements",
        "receipts": "its protocol has no receipts",
        "persistence": "its core protocol keeps no messages",
        "selectors": "its subscribers choose by subject alone",
        "history": "its core protocol keeps no messages",
        "schedule": "its core protocol has no delays",
    }

    @staticmethod
    def of_the_system() -> str | None:
        """The system's program."""
        # Debian keeps servers where an ordinary user's PATH does not look.
        return shutil.which("nats-server", path=os.environ.get("PATH", os.defpath) + ":/usr/sbin")

    def program(self) -> str:
        """What is started."""
        return self.of_the_system() or str(self.place / "nats-server")

    def needs(self) -> str:
        """Go, if it must be built."""
        return "" if self.installed() else golang.no_go()

    def installed(self) -> bool:
        """Whether there is one, of the system or built."""
        return self.of_the_system() is not None or super().installed()

    def wanted(self) -> str:
        """The package that is built."""
        return f"github.com/nats-io/nats-server/v2@{VERSION}"

    def fetch(self, directory: Path) -> None:
        """Builds it."""
        golang.install(self.wanted(), directory)

    def version(self) -> str:
        """What it says."""
        return first_version(output_of(self.program(), "--version"))

    def launch(self, directory: Path, port: int) -> Launch:
        """With the settings of bench/compare/nats-server.conf."""
        settings = SETTINGS / "nats-server.conf"
        return Launch([self.program(), "--config", str(settings), "--addr", "127.0.0.1", "--port", str(port)])


class JetStream(NatsServer):
    """The same program, with JetStream: streams on disk, each message synced before it is confirmed."""

    name = "jetstream"
    protocol: Protocol = "jetstream"
    on_disk = True
    fill_rate = 500.0
    lacks: Mapping[Feature, str] = {
        feature: reason
        for feature, reason in NatsServer.lacks.items()
        if feature not in ("queues", "acks", "receipts", "persistence")
    }

    @property
    def package(self) -> str:
        """It is one program."""
        return NatsServer.name

    def launch(self, directory: Path, port: int) -> Launch:
        """With the settings of bench/compare/jetstream.conf."""
        settings = write_settings("jetstream.conf", directory / "nats.conf", port=port, directory=directory)
        return Launch([self.program(), "--config", str(settings)])
