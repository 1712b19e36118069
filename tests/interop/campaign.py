"""Runs the drivers of the client libraries, several at the same time and ahead of the tests.

Each library runs in a process of its own, because three versions of stomp.py do not fit into one.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from drivers.scenarios import BEAT
from harness.broker import Broker
from harness.certificates import authority, tls_table
from harness.waiting import DEADLINE
from peers import Peer, Run

TIME_LIMIT = 12 * DEADLINE
"""Seconds for one scenario, all its waiting included."""
AT_ONCE = 8
"""Drivers that run at the same time: nearly all their time goes into waiting for one another's packets."""

WAYS = ("tcp", "tls", "ws", "wss")
EVERYWHERE = tuple(f"{way}://127.0.0.1:0" for way in WAYS)

Outcome = dict[str, Any]


class DriverLost(Exception):
    """The process of a library died or hung."""


class Driver:
    """The process in which one library runs its scenarios, one after the other."""

    def __init__(self, run: Run, url: str, complaints: Path) -> None:
        command = [sys.executable, "-S", "-m", "drivers", run.peer.module, url, run.stomp]
        self.complaints = complaints
        with complaints.open("ab") as stderr:
            self.process = subprocess.Popen(
                command,
                env=run.peer.environment | {"INTEROP_AUTHORITY": authority()},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,
            )
        assert self.process.stdin and self.process.stdout
        self.questions, self.answers = self.process.stdin, self.process.stdout
        self.greeting = self._answer("its start")

    def run(self, scenario: str) -> Outcome:
        """Run one scenario and return what came of it."""
        if not self.greeting["usable"]:
            return self.greeting
        self.questions.write(scenario.encode() + b"\n")
        self.questions.flush()
        return self._answer(scenario)

    def alive(self) -> bool:
        """Whether it can be given another scenario, or has said that it can run none."""
        return self.process.poll() is None or not self.greeting["usable"]

    def stop(self) -> None:
        """End it at once, with what it has started: a library that hangs would not end by itself."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def _answer(self, about: str) -> Outcome:
        ready, _, _ = select.select([self.answers], [], [], TIME_LIMIT)
        line = self.answers.readline() if ready else b""
        if not line:
            self.stop()
            what = "died" if ready else f"gave no answer within {TIME_LIMIT:g} s"
            raise DriverLost(f"the driver {what} in {about}:\n{self.complaints.read_text(errors='replace')[-4000:]}")
        outcome: Outcome = json.loads(line)
        return outcome


class Campaign:
    """Runs the drivers ahead of the tests, which then only look at what came of their scenarios."""

    def __init__(self, wanted: Mapping[Run, list[str]], urls: Mapping[str, str], directory: Path) -> None:
        self._urls = urls
        self._directory = directory
        self._drivers: dict[Run, Driver] = {}
        self._stopping = False
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._outcomes = {(run, name): Future[Outcome]() for run, names in wanted.items() for name in names}
        for run, names in wanted.items():
            self._pool.submit(self._run_all, run, names)

    def outcome(self, run: Run, scenario: str) -> Outcome:
        """Wait for one scenario."""
        return self._outcomes[run, scenario].result()

    def stop(self) -> None:
        """End what still runs; the tests that wanted it are not waiting any more."""
        self._stopping = True
        for driver in list(self._drivers.values()):
            driver.stop()
        self._pool.shutdown(cancel_futures=True)

    def _run_all(self, run: Run, names: list[str]) -> None:
        for name in names:
            if self._stopping:
                return
            try:
                self._outcomes[run, name].set_result(self._driver(run).run(name))
            except Exception as error:
                self._outcomes[run, name].set_exception(error)
        if run in self._drivers:
            self._drivers[run].stop()

    def _driver(self, run: Run) -> Driver:
        driver = self._drivers.get(run)
        if driver is None or not driver.alive():
            complaints = self._directory / f"{run.label.replace('/', '-')}.stderr"
            driver = self._drivers[run] = Driver(run, self._urls[run.way], complaints)
        return driver


def serving(directory: Path, listen: Iterable[str] = EVERYWHERE, **config: Any) -> Broker:
    """A broker that listens in every way, with short heart-beats so that nobody waits long for one."""
    # Twice the usual margin: what is judged is the client, and not how long the machine may leave it alone.
    heart_beat = {"send": BEAT, "receive": BEAT, "margin": 4}
    return Broker(directory, {"listen": list(listen), "heart_beat": heart_beat, "tls": tls_table(), **config})


def urls_of(broker: Broker) -> dict[str, str]:
    """Where clients of each transport find the broker."""
    paths = {"ws": "/ws", "wss": "/ws"}
    return {way: f"{way}://127.0.0.1:{broker.ports[way]}{paths.get(way, '')}" for way in WAYS}


def printed(peer: Peer, directory: Path, *program: str) -> Any:
    """What a program that uses a library of Python's prints, as JSON, when it is told the broker's TCP port and how
    many seconds it may wait. Skips the test where the library is missing."""
    if reason := peer.missing():
        pytest.skip(reason)
    broker = serving(directory)
    command = [sys.executable, "-S", *program, str(broker.ports["tcp"]), str(DEADLINE)]
    try:
        ran = subprocess.run(
            command, env=peer.environment, capture_output=True, text=True, timeout=6 * DEADLINE, check=False
        )
    finally:
        broker.stop()
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)
