"""Apollo, which was to be ActiveMQ's successor."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bench.peers.java import JavaPeer
from bench.peers.launch import Launch
from bench.peers.peer import Feature
from bench.peers.settings import write_settings
from fastbroker.bench.load import Target


class Apollo(JavaPeer):
    """Started as its own script does it."""

    name = "apollo"
    lacks: Mapping[Feature, str] = {
        "persistence": "it is started without its store",
        "priorities": "its queues have no priorities",
        "groups": "its groups are named by another header",
        "history": "its topics keep one message",
        "schedule": "it delays nothing",
    }
    artifact = "apollo-broker"
    main = "org.apache.activemq.apollo.cli.Apollo"

    def target(self, port: int) -> Target:
        """With its own header for credit."""
        return Target(host="127.0.0.1", port=port, credit_header="credit:{credit},0")

    def launch(self, directory: Path, port: int) -> Launch:
        """With bench/compare/apollo/apollo.xml."""
        write_settings("apollo/apollo.xml", directory / "etc" / "apollo.xml", port=port)
        write_settings("apollo/log4j.properties", directory / "etc" / "log4j.properties")
        return self.start(directory, "run")

    def properties(self, directory: Path) -> dict[str, object]:
        """It looks for its files below a base directory."""
        return {"apollo.base": directory, "apollo.home": directory}
