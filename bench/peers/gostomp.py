"""The server of the go-stomp library."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from bench.peers import golang
from bench.peers.download import Downloaded
from bench.peers.launch import Launch
from bench.peers.peer import PLAIN, SETTINGS, Feature, first_version, output_of
from fastbroker.bench.load import Target

MODULE = SETTINGS / "gostomp"


class GoStomp(Downloaded):
    """A library: the program around it is bench/compare/gostomp/main.go."""

    name = "gostomp"
    lacks: Mapping[Feature, str] = {
        **PLAIN,
        "persistence": "it keeps messages in memory only",
        "subscribe-receipts": "it does not answer the receipt of a SUBSCRIBE",
    }

    def needs(self) -> str:
        """Go, to build it."""
        return "" if self.installed() else golang.no_go()

    def wanted(self) -> str:
        """The program and the library's version."""
        return "\n".join((MODULE / name).read_text() for name in ("main.go", "go.mod"))

    def fetch(self, directory: Path) -> None:
        """Builds it."""
        golang.build(MODULE, directory / "gostomp")

    def version(self) -> str:
        """The library's, and Go's, as they are written in the program."""
        facts = output_of("go", "version", "-m", str(self.place / "gostomp"))
        required = re.search(r"go-stomp/stomp/v3 v(\S+)", (MODULE / "go.mod").read_text())
        return f"{required[1] if required else 'unknown'}, Go {first_version(facts)}"

    def target(self, port: int) -> Target:
        """It answers no receipt on SUBSCRIBE, and lets one unacknowledged message be under way."""
        return Target(host="127.0.0.1", port=port, subscribe_receipts=False, credit_header="")

    def launch(self, directory: Path, port: int) -> Launch:
        """It has no settings but its address."""
        return Launch([str(self.place / "gostomp"), f"127.0.0.1:{port}"])
