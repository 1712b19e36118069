"""RabbitMQ with its STOMP plugin, or with the one for STOMP over WebSocket."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from bench.peers import certificates, debian
from bench.peers.download import Downloaded
from bench.peers.launch import Launch, free_port
from bench.peers.peer import Feature, first_version
from bench.peers.settings import write_settings
from fastbroker.bench.load import Target

# What `rabbitmq-server` of PATH starts on Debian would run as another user, in the system's directories.
DEBIAN = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
# epmd tells Erlang nodes where the others are. The server would start one that outlives it, for the whole machine.
START = 'epmd -port "$ERL_EPMD_PORT" -address 127.0.0.1 & exec "$0" "$@"'


class RabbitMQ(Downloaded):
    """The system's if there is one, else Debian's packages, unpacked where they do not touch the system."""

    lacks: Mapping[Feature, str] = {
        "selectors": "it has no selectors",
        "queue-selectors": "it has no selectors",
        "groups": "it has no message groups",
        "history": "its topics keep nothing; its streams are on disk",
        "schedule": "it needs a plugin for that, which is not part of it",
    }

    on_disk = True

    def __init__(self, scheme: Literal["tcp", "tls", "ws"] = "tcp", *, quorum: bool = False) -> None:
        """One address, of that kind; its queues are classic ones or quorum queues, which are durable both."""
        kind = "quorum" if quorum else "" if scheme == "tcp" else scheme
        self.name = f"rabbitmq-{kind}" if kind else "rabbitmq"
        self._scheme = scheme
        self._queue_header = "x-queue-type:quorum" if quorum else ""
        # The table of its quorum queues is not synced: one declared just before a kill has no leader afterwards.
        self.settles = 15.0 if quorum else 0.0

    @property
    def package(self) -> str:
        """One for all schemes."""
        return "rabbitmq"

    @staticmethod
    def of_the_system() -> Path | None:
        """The system's script."""
        found = str(DEBIAN) if DEBIAN.exists() else shutil.which("rabbitmq-server")
        return Path(found) if found else None

    def script(self) -> Path:
        """What is started."""
        return self.of_the_system() or self.place / "root" / DEBIAN.relative_to("/")

    def needs(self) -> str:
        """Debian's tools, if it must be fetched."""
        return "" if self.installed() else debian.no_debian()

    def installed(self) -> bool:
        """Whether there is one, of the system or unpacked."""
        return self.of_the_system() is not None or super().installed()

    def wanted(self) -> str:
        """The package."""
        return "rabbitmq-server"

    def fetch(self, directory: Path) -> None:
        """Unpacks it and Erlang."""
        debian.unpack("rabbitmq-server", "erlang-", directory)
        debian.write_erl(directory)

    def version(self) -> str:
        """RabbitMQ's, and Erlang's."""
        erlang = debian.otp_version(shutil.which("erl", path=self._path()) or "erl")
        return f"{first_version(str(self.script().resolve().parent))}, Erlang/OTP {erlang or 'unknown'}"

    def target(self, port: int) -> Target:
        """With the login that a fresh RabbitMQ has, for loopback only."""
        return Target(
            host="127.0.0.1",
            port=port,
            login="guest",
            passcode="guest",
            virtual_host="/",
            priority_header="x-max-priority:9",
            queue_header=self._queue_header,
            durable_headers=("durable:true", "auto-delete:false", "x-queue-name:{name}"),
        )

    def launch(self, directory: Path, port: int) -> Launch:
        """With the settings of bench/compare/rabbitmq, in a directory and with Erlang ports of its own."""
        reached = self._write_settings(directory, port)
        return Launch(["sh", "-c", START, str(self.script())], self._environment(directory, port), reached)

    def _write_settings(self, directory: Path, port: int) -> Mapping[str, str]:
        """What is in the way of a client is what it must know."""
        plugins = "enabled_web_plugins" if self._scheme == "ws" else "enabled_plugins"
        write_settings(f"rabbitmq/{plugins}", directory / "enabled_plugins")
        target = directory / "rabbitmq.conf"
        if self._scheme == "ws":
            write_settings("rabbitmq/web_stomp.conf", target, port=port)
            return {"scheme": "ws", "path": "/ws"}
        if self._scheme == "tls":
            files = certificates.made(directory / "tls")
            write_settings("rabbitmq/tls.conf", target, port=port, certificate=files.certificate, key=files.key)
            return {"scheme": "tls", "ca": str(files.ca)}
        write_settings("rabbitmq/rabbitmq.conf", target, port=port)
        return {}

    def _environment(self, directory: Path, port: int) -> Mapping[str, str]:
        return {
            "PATH": self._path(),
            # The cookie is kept there.
            "HOME": str(directory),
            # Then the script becomes the server, instead of waiting for it.
            "RUNNING_UNDER_SYSTEMD": "true",
            "RABBITMQ_NODENAME": f"bench-{port}@localhost",
            "RABBITMQ_CONF_ENV_FILE": str(directory / "rabbitmq-env.conf"),
            "RABBITMQ_CONFIG_FILE": str(directory / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(directory / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(directory / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(directory / "mnesia"),
            "RABBITMQ_LOG_BASE": str(directory / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_PORT": str(free_port()),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }

    def _path(self) -> str:
        path = os.environ.get("PATH", os.defpath)
        return path if self.of_the_system() else f"{self.place / 'bin'}{os.pathsep}{path}"
