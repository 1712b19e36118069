"""What is part of this repository: the broker, and what stands for the limits of the machine and of its disk."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from bench import programs
from bench.peers import certificates, disk
from bench.peers.launch import Launch, PeerFailed
from bench.peers.peer import ROOT, Peer, first_version, output_of
from fastbroker.bench.load import SchemeName
from fastbroker.bench.messaging import SETTINGS
from fastbroker.bench.secure import SECURE

# Where an earlier tree is, to be measured beside this one.
TREE = "FASTBROKER_BEFORE"


class Broker(Peer):
    """fastbroker as `fastbroker serve` starts it, at one address; this tree's or an earlier one.

    It has its defaults, a directory for what must survive, and a history for the topics of the one scenario that is
    about that. An earlier tree may not know the settings for it.
    """

    def __init__(self, scheme: SchemeName = "tcp", *, before: bool = False) -> None:
        """Over TCP this tree's is the one that others are compared with."""
        name = "before" if before else "fastbroker"
        self.name = name if scheme == "tcp" else f"{name}-{scheme}"
        self._scheme = scheme
        self._before = before
        self.on_disk = scheme == "tcp"
        if before:
            self.lacks = {"history": "its settings may have none", "persistence": "it may have no journal"}
        self._tree = Path(os.environ.get(TREE, "/nowhere")).absolute() if before else ROOT
        self._python = str(self._tree / ".venv" / "bin" / "python") if before else sys.executable

    def missing(self) -> str:
        """Never, for this tree: it is what the repository is."""
        if Path(self._python).exists():
            return ""
        return f"{TREE} names no tree in which `make build` has been run"

    def version(self) -> str:
        """What `--version` says, and Python."""
        python = output_of(self._python, "--version")
        said = output_of(self._python, "-m", "fastbroker", "--version", directory=self._tree)
        return f"{first_version(said)}, Python {first_version(python)}"

    def install(self) -> None:
        """Nothing to do."""

    def launch(self, directory: Path, port: int) -> Launch:
        """With what it must be told: of histories, and of TLS."""
        where = directory / f"socket-{port}" if self._scheme == "unix" else f"127.0.0.1:{port}"
        secured, reached = self._secured(directory)
        settings = directory / "broker.toml"
        settings.write_text(("" if self._before else SETTINGS) + secured)
        listen = ("--listen", f"{self._scheme}://{where}")
        kept = ("--data-dir", str(directory / "data"))
        command = [self._python, "-m", "fastbroker", "serve", "--config", str(settings), *listen, *kept]
        # It starts in a directory where its tree is not. A build that PYTHONPATH names comes first: it is of this tree.
        ours = os.environ.get("PYTHONPATH") if self._tree == ROOT else None
        path = os.pathsep.join(filter(None, (ours, str(self._tree))))
        paths = {"unix": str(where), "ws": "/ws", "wss": "/ws"}
        reached |= {"scheme": self._scheme, "path": paths.get(self._scheme, "")}
        return Launch(command, {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}, reached)

    def _secured(self, directory: Path) -> tuple[str, dict[str, str]]:
        """For TLS its settings, and what its clients have to know."""
        if self._scheme not in SECURE:
            return "", {}
        files = certificates.made(directory / "tls")
        settings = f'\n[tls]\ncertificate = "{files.certificate}"\nkey = "{files.key}"\n'
        return settings, {"ca": str(files.ca)}


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


class Disk(Peer):
    """No server: a program that appends the same bytes to a file, and syncs them (disk.c)."""

    name = "disk"
    protocol = "disk"

    def missing(self) -> str:
        """It is compiled when it is needed."""
        return "" if shutil.which(programs.compiler()) else f"there is no C compiler {programs.compiler()!r}"

    def version(self) -> str:
        """Of what is measured: the file system."""
        return "{0.kind} on {0.device}".format(disk.file_system(disk.directory()))

    def install(self) -> None:
        """Compile it."""
        programs.disk()

    def launch(self, directory: Path, port: int) -> Launch:
        """Nobody can connect to it."""
        raise PeerFailed("it is a program that writes, and no server")
