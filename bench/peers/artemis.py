"""ActiveMQ Artemis."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bench.peers.java import JavaPeer
from bench.peers.launch import Launch
from bench.peers.peer import Feature
from bench.peers.settings import write_settings
from fastbroker.bench.load import Target


class Artemis(JavaPeer):
    """Started by the main class that its container image has: its server, without the console."""

    name = "artemis"
    lacks: Mapping[Feature, str] = {
        "credit": "its credit counts bytes, not messages",
        "persistence": "it is started without its journal",
    }
    artifact = "artemis-server"
    main = "org.apache.activemq.artemis.core.server.embedded.Main"

    def target(self, port: int) -> Target:
        """Its credit counts bytes, so there is no header for it; what a topic keeps comes to whoever subscribes."""
        return Target(
            host="127.0.0.1",
            port=port,
            credit_header="",
            replay_header="",
            selector_prefix="convert_string_expressions:",
        )

    def launch(self, directory: Path, port: int) -> Launch:
        """With bench/compare/artemis/broker.xml."""
        write_settings("artemis/broker.xml", directory / "etc" / "broker.xml", port=port)
        write_settings("log4j2.properties", directory / "log4j2.properties")
        return self.start(directory, str(directory))
