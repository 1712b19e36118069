"""CoilMQ."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from bench.peers.download import Downloaded, run_tool
from bench.peers.launch import Launch
from bench.peers.peer import PLAIN, Feature
from bench.peers.settings import write_settings
from fastbroker.bench.load import Target

VERSION = "1.1.0"


class CoilMQ(Downloaded):
    """A broker in Python, on the interpreter that runs this."""

    name = "coilmq"
    lacks: Mapping[Feature, str] = {
        **PLAIN,
        "persistence": "it is started with its queues in memory",
        "pipelining": "it hangs up when a read ends within the header lines of a frame",
    }

    def wanted(self) -> str:
        """The package, and the Python it is for."""
        return f"CoilMQ=={VERSION} on Python {sys.version_info.major}.{sys.version_info.minor}"

    def fetch(self, directory: Path) -> None:
        """Lets pip fetch it, and what it needs, into a directory that no environment contains."""
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        run_tool([*pip, "--root-user-action", "ignore", "--target", directory / "lib", f"CoilMQ=={VERSION}"], directory)

    def version(self) -> str:
        """The package's, and Python's."""
        return f"{VERSION}, Python {sys.version.split()[0]}"

    def target(self, port: int) -> Target:
        """It knows one virtual host, the machine's own name."""
        return Target(host="127.0.0.1", port=port, virtual_host=socket.getfqdn(), credit_header="")

    def launch(self, directory: Path, port: int) -> Launch:
        """With bench/compare/coilmq/coilmq.cfg."""
        settings = write_settings("coilmq/coilmq.cfg", directory / "coilmq.cfg", port=port)
        command = [sys.executable, "-c", "from coilmq.start import main; main()", "--config", str(settings)]
        return Launch(command, {"PYTHONPATH": str(self.place / "lib"), "PYTHONUNBUFFERED": "1"})
