"""A broker process: the configuration it is given, where it listens, what it logs, and what it costs."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest

from .certificates import tls_table
from .waiting import DEADLINE

if TYPE_CHECKING:
    from .client import Client

ROOT = Path(__file__).resolve().parents[2]
PORT = re.compile(r"([a-z]+)://[^/?]*:([0-9]+)(?:[/?]|$)")


def toml(config: Mapping[str, Any]) -> str:
    """Settings as TOML: single values first, then tables, then arrays of tables."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in config.items() if not has_tables(value)]
    for name, value in config.items():
        if isinstance(value, Mapping):
            lines += [f"[{name}]", toml(value)]
        elif has_tables(value):
            lines += [line for table in value for line in (f"[[{name}]]", *map(pair, table.items()))]
    return "\n".join(lines) + "\n"


def pair(item: tuple[str, Any]) -> str:
    """A key of one of several tables, and its value, which may be a table between braces."""
    key, value = item
    written = f"{{ {', '.join(map(pair, value.items()))} }}" if isinstance(value, Mapping) else json.dumps(value)
    return f"{key} = {written}"


def has_tables(value: object) -> bool:
    """Whether a setting is written as one table or several."""
    return isinstance(value, Mapping) or (isinstance(value, list) and any(isinstance(item, Mapping) for item in value))


def everywhere(path: Path) -> dict[str, Any]:
    """The settings of a broker that listens in every way."""
    listen = [*(f"{scheme}://127.0.0.1:0" for scheme in ("tcp", "tls", "ws", "wss")), f"unix://{path}"]
    return {"listen": listen, "tls": tls_table()}


class Broker:
    """A `fastbroker serve` process; it listens in every way, unless its configuration says where."""

    def __init__(
        self,
        directory: Path,
        config: Mapping[str, Any] | None = None,
        *,
        run: Callable[..., subprocess.Popen[bytes]] = subprocess.Popen,
        **options: Any,
    ) -> None:
        config = config or {}
        self.path = directory / "socket"
        file = directory / "broker.toml"
        # The journal is where the test is, and small.
        kept = {"data_dir": str(directory / "data"), "journal": {"segment_size": 2**20}}
        where = {} if "listen" in config else everywhere(self.path)
        file.write_text(toml({"drain_timeout": 2, **kept, **where, **config}))
        command = [sys.executable, "-m", "fastbroker", "serve", "-c", str(file), "--log-format", "json"]
        self.log: list[dict[str, Any]] = []
        self._news = threading.Condition()
        self._streams = 2
        self.process = run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
        for stream in (self.process.stdout, self.process.stderr):
            threading.Thread(target=self._collect, args=(stream,), daemon=True).start()
        try:
            started = self.wait_log(lambda record: record["event"] == "started", timeout=3 * DEADLINE)
        except AssertionError:
            self.process.kill()
            raise
        self.urls = str(started["addresses"]).split()
        """Where it listens, in the order of the configuration."""
        found = [(match[1], int(match[2])) for match in map(PORT.match, self.urls) if match]
        self.ports = dict(reversed(found))
        """The port of its first address with each scheme."""

    def _collect(self, stream: IO[bytes]) -> None:
        for line in stream:
            try:
                record = json.loads(line)
            except ValueError:
                record = {"event": line.decode(errors="replace").rstrip()}
            with self._news:
                self.log.append(record)
                self._news.notify_all()
        self.process.wait()
        with self._news:
            self._streams -= 1
            self._news.notify_all()

    def wait_log(
        self, wanted: Callable[[dict[str, Any]], Any], *, since: int = 0, timeout: float = DEADLINE
    ) -> dict[str, Any]:
        """The first log record behind position `since` that is wanted; it is waited for."""
        with self._news:
            self._news.wait_for(lambda: any(map(wanted, self.log[since:])) or self._died(), timeout)
            found = next(filter(wanted, self.log[since:]), None)
            assert found is not None, f"no such log record, but: {self.log[since:][-20:]}"
            return found

    def _died(self) -> bool:
        """It has ended, and all that it said was read."""
        return self._streams == 0

    def wait_disconnected(self, client: Client, reason: str, *, timeout: float = DEADLINE) -> dict[str, Any]:
        """Wait for the log record that says why a client is gone; there is one for each connection."""
        record = self.wait_log(
            lambda record: is_disconnect_of(record, client), since=client.log_position, timeout=timeout
        )
        assert re.search(reason, record["reason"]), record
        return record

    def refusal(self, reason: str, *, since: int = 0) -> dict[str, Any]:
        """Wait for the log record of a connection that was refused for this reason."""
        return self.wait_log(
            lambda record: record["event"] == "refused" and reason in record["reason"],
            since=since,
            timeout=2 * DEADLINE,
        )

    def census(self) -> dict[str, int]:
        """The broker's own count of all that is alive in it."""
        since = len(self.log)
        self.process.send_signal(signal.SIGUSR1)
        record = self.wait_log(lambda record: record["event"] == "census", since=since)
        return {name: value for name, value in record.items() if type(value) is int}

    def resident(self) -> int:
        """Resident memory of the broker process in bytes; Linux only.

        Always 0 with the address sanitizer, which keeps freed memory to itself.
        """
        if "libasan" in os.environ.get("LD_PRELOAD", ""):
            return 0
        status = Path(f"/proc/{self.process.pid}/status")
        if not status.exists():
            pytest.skip("resident memory is read from /proc")
        return int(re.search(r"VmRSS:\s+([0-9]+) kB", status.read_text())[1]) * 1024  # type: ignore[index]

    def processor_time(self) -> float:
        """Seconds that the broker's loop has had a processor, which a busy machine does not change; Linux only."""
        schedstat = Path(f"/proc/{self.process.pid}/schedstat")
        if not schedstat.exists():
            pytest.skip("processor time is read from /proc")
        return int(schedstat.read_text().split()[0]) / 1e9

    def stop(self) -> None:
        """End the broker politely; it must leave with exit code 0 and without a stack trace in its log."""
        self.process.terminate()
        try:
            self.process.wait(3 * DEADLINE)
        finally:
            self.process.kill()
        assert self.process.returncode == 0, self.log[-20:]
        assert not [record for record in self.log if "Traceback" in json.dumps(record)]


def is_disconnect_of(record: Mapping[str, Any], client: Client) -> bool:
    """Whether a log record tells of the end of this client's connection."""
    return record["event"] == "disconnected" and client.is_peer(str(record.get("peer", "")))


def complaint(directory: Path, config: Mapping[str, Any]) -> str:
    """What a broker says that does not start with this configuration."""
    file = directory / "wrong.toml"
    file.write_text(toml({"data_dir": "none", **config}))
    command = [sys.executable, "-m", "fastbroker", "serve", "-c", str(file)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=3 * DEADLINE, check=False)
    assert done.returncode == 2, done
    assert "Traceback" not in done.stderr
    return done.stderr
