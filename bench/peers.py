"""The servers that are measured, and how each is started and stopped."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench import programs

ROOT = Path(__file__).resolve().parent.parent
SERVER_CORE = 0
GENERATOR_CORE = 1
START_TIMEOUT = 20.0
STOP_TIMEOUT = 10.0
# The second form is nats-server's.
LISTENING = re.compile(r"(?:listening on tcp://|Listening for client connections on )[\d.]+:(\d+)")


class PeerFailed(Exception):
    """A server did not start, or a measurement of it went wrong."""


@dataclass(frozen=True)
class Server:
    """A running server."""

    pid: int
    port: int

    def resident_bytes(self) -> int:
        """The server's resident memory now."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise PeerFailed(f"process {self.pid} has no resident memory")


@dataclass(frozen=True)
class Peer:
    """A kind of server: its column in the table, the load generator's protocol, its command line."""

    name: str
    protocol: str
    command: Callable[[], list[str]]
    has_queues: bool = False
    program: str = ""

    def installed(self) -> bool:
        """Whether it can be started here; what is part of this repository always can."""
        return not self.program or _find(self.program) is not None

    @contextmanager
    def running(self, pinned: bool) -> Iterator[Server]:
        """Starts a fresh server, so that no measurement inherits anything from the one before."""
        command = [*(on_core(SERVER_CORE) if pinned else ()), *self.command()]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, env=environment)
            try:
                yield Server(process.pid, _await_port(process, log.fileno(), self.name))
            finally:
                _stop(process)


def _find(program: str) -> str | None:
    # Debian keeps servers where an ordinary user's PATH does not look.
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin")


def _await_port(process: subprocess.Popen[bytes], log: int, name: str) -> int:
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None and time.monotonic() < deadline:
        if found := LISTENING.search(_written(log)):
            return int(found[1])
        time.sleep(0.02)
    last_words = _written(log).splitlines()[-1:] or ["it printed nothing"]
    raise PeerFailed(f"{name} did not start: {last_words[0]}")


def _written(log: int) -> str:
    return os.pread(log, 1 << 20, 0).decode(errors="replace")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def on_core(number: int) -> tuple[str, ...]:
    """What to put in front of a command so that it runs on one core; nothing where there is no second."""
    usable = sorted(os.sched_getaffinity(0))
    return ("taskset", "--cpu-list", str(usable[number])) if len(usable) > 1 else ()


def _broker_command() -> list[str]:
    return [sys.executable, "-m", "fastbroker", "serve", "--listen", "tcp://127.0.0.1:0"]


def _relay_command() -> list[str]:
    return [str(programs.relay())]


def _nats_command() -> list[str]:
    return [_find("nats-server") or "nats-server", "-a", "127.0.0.1", "-p", "-1"]


BROKER = Peer("fastbroker", "stomp", _broker_command, has_queues=True)
# The relay has no queues, but one copy of each frame is the least that a queue must do.
RELAY = Peer("relay", "relay", _relay_command, has_queues=True)
NATS = Peer("nats-server", "nats", _nats_command, program="nats-server")
PEERS = (BROKER, RELAY, NATS)
