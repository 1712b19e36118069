"""ActiveMQ Classic."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bench.peers.java import JavaPeer
from bench.peers.launch import Launch
from bench.peers.peer import Feature
from bench.peers.settings import write_settings
from fastbroker.bench.load import Target


class ActiveMQ(JavaPeer):
    """Started as its own script does it, without the web console."""

    name = "activemq"
    lacks: Mapping[Feature, str] = {"persistence": "it is started without its store"}
    settings = "activemq.xml"
    artifact = "activemq-broker"
    main = "org.apache.activemq.console.Main"

    def target(self, port: int) -> Target:
        """With its own headers for credit, and for what a topic keeps: bench/compare/activemq says how much that is."""
        return Target(
            host="127.0.0.1",
            port=port,
            credit_header="activemq.prefetchSize:{credit}",
            replay_header="activemq.retroactive:true",
            durable_headers=("activemq.subscriptionName:{name}",),
        )

    def launch(self, directory: Path, port: int) -> Launch:
        """With its settings in bench/compare/activemq."""
        settings = write_settings(f"activemq/{self.settings}", directory / "activemq.xml", port=port)
        write_settings("log4j2.properties", directory / "log4j2.properties")
        # It takes file:///… for a file of another machine.
        return self.start(directory, "start", f"xbean:file:{settings}")

    def properties(self, directory: Path) -> dict[str, object]:
        """It would look for its files, and write some, where its jars are."""
        return {f"activemq.{name}": directory for name in ("home", "base", "conf", "data")}


class ActiveMQDurable(ActiveMQ):
    """With its store, KahaDB, which syncs each write."""

    name = "activemq-durable"
    lacks: Mapping[Feature, str] = {}
    on_disk = True
    settings = "durable.xml"
