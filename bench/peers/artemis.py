"""ActiveMQ Artemis."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

from bench.peers import debian
from bench.peers.disk import typical_sync_ns
from bench.peers.java import JavaPeer
from bench.peers.launch import Launch, PeerFailed
from bench.peers.peer import Feature
from bench.peers.settings import write_settings
from fastbroker.bench.load import Target

# With it the journal writes without waiting; without it Artemis takes another way by itself.
LIBRARY = "libaio1"
# What uses it lies in a jar, where Java does not find it.
NATIVE = "activemq-artemis-native-*.jar"


class Artemis(JavaPeer):
    """Started by the main class that its container image has: its server, without the console."""

    name = "artemis"
    lacks: Mapping[Feature, str] = {
        "credit": "its credit counts bytes, not messages",
        "persistence": "it is started without its journal",
    }
    settings = "broker.xml"
    artifact = "artemis-server"
    main = "org.apache.activemq.artemis.core.server.embedded.Main"

    def target(self, port: int) -> Target:
        """Its credit counts bytes, so there is no header for it; what a topic keeps comes to whoever subscribes."""
        return Target(
            host="127.0.0.1",
            port=port,
            credit_header="",
            replay_header="",
            durable_headers=("durable-subscription-name:{name}",),
            selector_prefix="convert_string_expressions:",
        )

    def launch(self, directory: Path, port: int) -> Launch:
        """With its settings in bench/compare/artemis."""
        known = self.known(directory)
        write_settings(f"artemis/{self.settings}", directory / "etc" / "broker.xml", port=port, **known)
        write_settings("log4j2.properties", directory / "log4j2.properties")
        return self.start(directory, str(directory))

    def known(self, directory: Path) -> Mapping[str, object]:
        """What its settings need besides the port."""
        return {}

    def fetch(self, directory: Path) -> None:
        """Its jars, and from Debian the library with which its journal writes best; else it does without."""
        super().fetch(directory)
        with suppress(PeerFailed):
            debian.unpack(LIBRARY, LIBRARY, directory)
        for jar in (directory / "lib").glob(NATIVE):
            with ZipFile(jar) as archive:
                archive.extractall(directory / "root", [name for name in archive.namelist() if name.endswith(".so")])

    def wanted(self) -> str:
        """The jars, and that library."""
        return f"{super().wanted()}{LIBRARY}\n{NATIVE}\n"


class ArtemisDurable(Artemis):
    """With its journal, which syncs each write."""

    name = "artemis-durable"
    lacks: Mapping[Feature, str] = {"credit": Artemis.lacks["credit"]}
    on_disk = True
    settings = "durable.xml"

    def known(self, directory: Path) -> Mapping[str, object]:
        """As `artemis create` has it: how long the disk takes is how long writes wait for each other."""
        return {"directory": directory, "timeout": round(typical_sync_ns(directory))}

    def launch(self, directory: Path, port: int) -> Launch:
        """With the library, wherever Debian's package has it."""
        found = [str(library.parent) for library in (self.place / "root").rglob("libaio.so.1")]
        path = os.pathsep.join(filter(None, (*found, os.environ.get("LD_LIBRARY_PATH"))))
        return replace(super().launch(directory, port), environment={"LD_LIBRARY_PATH": path})

    def properties(self, directory: Path) -> dict[str, object]:
        """Where what uses that library was put."""
        return {"java.library.path": self.place / "root" / "lib" / f"linux-{platform.machine()}"}
