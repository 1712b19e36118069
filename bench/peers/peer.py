"""What every peer is: a server that can be installed, and started for one measurement."""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from bench.peers import disk
from bench.peers.launch import Launch, PeerFailed, free_port, kill, launched
from fastbroker.bench.load import Protocol, Target
from fastbroker.bench.run import Restart, Restarted
from fastbroker.bench.serving import Unreachable, logged_in

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = ROOT / "bench" / "compare"

# With a million messages to read.
START_TIMEOUT = 180.0
ANSWER_TIMEOUT = 5.0
# How long it took to start is known as exactly.
POLL = 0.005
# What is shown of a server's log when it failed.
LAST_LINES = 12

Feature = Literal[
    "queues",
    "patterns",
    "transactions",
    "acks",
    "client-individual",
    "credit",
    "reply-to",
    "receipts",
    "persistence",
    "priorities",
    "selectors",
    "queue-selectors",
    "groups",
    "history",
    "schedule",
    "durable",
    # No scenario is left out for want of these. It fails, if it must.
    "pipelining",
    "subscribe-receipts",
    "order",
]

# What a server lacks that knows queues and topics and no more.
PLAIN: Mapping[Feature, str] = {
    "patterns": "its topics have no patterns",
    "acks": "it refuses the ACK of STOMP 1.2, which has an id and no message-id",
    "priorities": "its queues have no priorities",
    "selectors": "it has no selectors",
    "queue-selectors": "it has no selectors",
    "groups": "it has no message groups",
    "history": "its topics keep nothing",
    "schedule": "it delays nothing",
    "durable": "its subscriptions end with their connections",
}


@dataclass(frozen=True)
class Server:
    """A running server."""

    name: str
    pid: int
    target: Target
    start_seconds: float
    log: Path
    restart: Restart

    def last_words(self) -> str:
        """The end of its log: the reason, when it hung up on somebody."""
        return last_words(self.log)


class Peer(ABC):
    """A kind of server."""

    name: str
    protocol: Protocol = "stomp"
    lacks: Mapping[Feature, str] = {}
    """What it cannot do of what the scenarios ask for, and why they are not run on it."""
    on_disk: bool = False
    """Whether it keeps messages in files: its directory is where the disk is that is to be measured, then."""
    warm_up: float = 0.5
    """Seconds of load before it is as fast as it gets: what compiles itself while it runs needs more of them."""
    fill_rate: float = 5_000.0
    """Persistent messages that it takes in a second, at least nearly: so deep a queue can be filled in some time."""
    settles: float = 0.0
    """Seconds after which it has on its disk what it had confirmed, if that is not at once; it is not killed before."""
    schedule_rate: float = 100_000.0
    """Messages of a schedule that it surely takes in a second: they are not due before it has all of them."""

    @property
    def has_queues(self) -> bool:
        """Whether queue scenarios mean anything for it."""
        return "queues" not in self.lacks

    @abstractmethod
    def missing(self) -> str:
        """Why it cannot be started here, for people; empty when it can."""

    @abstractmethod
    def version(self) -> str:
        """The server's version, and that of what it runs on."""

    @abstractmethod
    def install(self) -> None:
        """Puts it where `missing` looks for it. Raises PeerFailed."""

    @abstractmethod
    def launch(self, directory: Path, port: int) -> Launch:
        """Writes its settings into the fresh directory, and says how it is started there."""

    def target(self, port: int) -> Target:
        """How a client gets in."""
        return Target(host="127.0.0.1", port=port, protocol=self.protocol)

    @contextmanager
    def running(self, core: int | None = None) -> Iterator[Server]:
        """Starts a fresh server, so that no measurement inherits anything from the one before."""
        if reason := self.missing():
            raise PeerFailed(f"{self.name} is missing: {reason}")
        place = disk.directory() if self.on_disk else None
        with tempfile.TemporaryDirectory(prefix=f"bench-{self.name}-", dir=place, ignore_cleanup_errors=True) as name:
            directory, port = Path(name), free_port()
            launch = self.launch(directory, port)
            target = msgspec.structs.replace(self.target(port), **launch.reached)
            with _Running(self, launch, target, directory, core) as running:
                started = running.start()
                seconds = time.monotonic() - started.at
                yield Server(self.name, started.pid, target, seconds, running.log, running.restart)


class _Running(AbstractContextManager["_Running"]):
    """The process of a server, and the next one when that was killed."""

    def __init__(self, peer: Peer, launch: Launch, target: Target, directory: Path, core: int | None) -> None:
        self.log = directory / "output.log"
        self._peer, self._launch, self._target = peer, launch, target
        self._directory, self._core = directory, core
        self._stack = ExitStack()

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self) -> Restarted:
        """Comes back when it answers."""
        begin = time.monotonic()
        self._process = self._stack.enter_context(launched(self._launch, self._directory, self.log, self._core))
        await_answer(self._peer.name, self._process, self._target, self.log)
        return Restarted(self._process.pid, begin)

    def restart(self) -> Restarted:
        """Kills it as kill -9 does, with all that it has started, and starts it anew where it was."""
        time.sleep(self._peer.settles)
        kill(self._process)
        self._stack.close()
        return self.start()


def await_answer(name: str, process: subprocess.Popen[bytes], target: Target, log: Path) -> None:
    """Comes back when the server answers a client."""
    deadline = time.monotonic() + START_TIMEOUT
    while process.poll() is None:
        if answers(target):
            return
        if time.monotonic() > deadline:
            raise PeerFailed(f"{name} did not answer within {START_TIMEOUT:g} s; it said:\n{last_words(log)}")
        time.sleep(POLL)
    raise PeerFailed(f"{name} ended with status {process.returncode}; it said:\n{last_words(log)}")


def answers(target: Target) -> bool:
    """Whether a client of the server's protocol is welcome."""
    try:
        logged_in(target, ANSWER_TIMEOUT)
    except Unreachable:
        return False
    return True


def last_words(log: Path) -> str:
    """The last lines of a log that say something: of a Java stack trace the causes, not the frames."""
    text = log.read_text(errors="replace") if log.exists() else ""
    lines = [line for line in text.splitlines() if line.strip() and not re.match(r"\s+(at |\.\.\. )", line)]
    return "\n".join(lines[-LAST_LINES:]) or "nothing"


def first_version(text: str) -> str:
    """The first thing in a text that looks like a version."""
    found = re.search(r"\d+(?:\.\d+)+[\w.+~-]*", text)
    return found[0] if found else "unknown"


def output_of(*command: str, directory: Path = ROOT) -> str:
    """What a program prints, on either channel; nothing when it cannot be run."""
    try:
        run = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, timeout=START_TIMEOUT)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return run.stdout + run.stderr
