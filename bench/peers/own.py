"""What is part of this repository: the broker, and the relay that stands for the limit of the machine."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from bench import programs
from bench.peers import certificates
from bench.peers.launch import Launch
from bench.peers.peer import ROOT, Feature, Peer, first_version, output_of
from fastbroker.bench.load import SchemeName
from fastbroker.bench.secure import SECURE


class Broker(Peer):
    """fastbroker, with its defaults, as `fastbroker serve` starts it, at one address."""

    lacks: Mapping[Feature, str] = {"persistence": "it has no journal yet"}

    def __init__(self, scheme: SchemeName = "tcp") -> None:
        """Over TCP it is the one that others are compared with."""
        self.name = "fastbroker" if scheme == "tcp" else f"fastbroker-{scheme}"
        self._scheme = scheme

    def missing(self) -> str:
        """Never: it is what the repository is."""
        return ""

    def version(self) -> str:
        """What `--version` says, and Python."""
        said = output_of(sys.executable, "-m", "fastbroker", "--version")
        return f"{first_version(said)}, Python {sys.version.split()[0]}"

    def install(self) -> None:
        """Nothing to do."""

    def launch(self, directory: Path, port: int) -> Launch:
        """With its defaults."""
        where = directory / f"socket-{port}" if self._scheme == "unix" else f"127.0.0.1:{port}"
        settings, reached = self._secured(directory)
        listen = ("--listen", f"{self._scheme}://{where}")
        command = [sys.executable, "-m", "fastbroker", "serve", *settings, *listen]
        # It starts in a directory where this tree is not. A build that PYTHONPATH names comes first.
        path = os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(ROOT))))
        paths = {"unix": str(where), "ws": "/ws", "wss": "/ws"}
        reached |= {"scheme": self._scheme, "path": paths.get(self._scheme, "")}
        return Launch(command, {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}, reached)

    def _secured(self, directory: Path) -> tuple[list[str], dict[str, str]]:
        """For TLS the options of the command, and what its clients have to know."""
        if self._scheme not in SECURE:
            return [], {}
        files = certificates.made(directory / "tls")
        settings = directory / "broker.toml"
        settings.write_text(f'[tls]\ncertificate = "{files.certificate}"\nkey = "{files.key}"\n')
        return ["--config", str(settings)], {"ca": str(files.ca)}


class Relay(Peer):
    """Copies bytes and parses nothing (relay.c)."""

    name = "relay"
    protocol = "relay"

    def missing(self) -> str:
        """It is compiled when it is needed."""
        return "" if shutil.which(programs.compiler()) else f"there is no C compiler {programs.compiler()!r}"

    def version(self) -> str:
        """It has none; the compiler's."""
        return output_of(programs.compiler(), "--version").partition("\n")[0]

    def install(self) -> None:
        """Compile it."""
        programs.relay()

    def launch(self, directory: Path, port: int) -> Launch:
        """It has no settings."""
        return Launch([str(programs.relay()), str(port)])
