"""Client libraries that nobody here wrote, against the real broker process.

The table is (client, STOMP version, scenario): every scenario of `drivers/scenarios.py` runs with every library of
`peers.py` in every version that it speaks, as far as the library can do it at all. Each library lives in a directory of
its own and runs in a process of its own, because three versions of stomp.py do not fit into one.

To install the libraries (`make test` does it first):

    python tests/interop/install_peers.py

To run one of them by hand, against any broker, with the scenarios named at the end (without names, it reads names from
standard input; `-S` keeps it away from what else is installed):

    cd tests/interop
    PYTHONPATH=.:../../build/peers/stomp.py-9.0.0 \\
        python -S -m drivers stomp_py tcp://127.0.0.1:61613 1.2 topic_delivers_in_order nack_brings_the_message_again

A library that is not installed, or that this Python cannot import, is skipped with the reason.
"""

from __future__ import annotations

import json
import os
import platform
import select
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from drivers.scenarios import BEAT, SCENARIOS
from peers import TABLE, Peer
from wire import DEADLINE, Broker, eventually

HERE = Path(__file__).resolve().parent
TIME_LIMIT = 12 * DEADLINE
"""Seconds for one scenario, all its waiting included."""
AT_ONCE = 4
"""Drivers that run at the same time: nearly all their time goes into waiting for one another's packets."""
OF_CLIENTS = ("connections", "sessions", "subscriptions", "deliveries", "transactions")

Outcome = dict[str, Any]
CASES = [
    pytest.param(peer, stomp, scenario.name, id=f"{peer.label}/{stomp}/{scenario.name}")
    for peer in TABLE
    for stomp in peer.stomp
    for scenario in SCENARIOS.values()
    if scenario.applies(stomp, peer.abilities)
]


class DriverLost(Exception):
    """The process of a library died or hung."""


class Driver:
    """The process in which one library runs its scenarios, one after the other."""

    def __init__(self, peer: Peer, stomp: str, url: str, complaints: Path) -> None:
        command = [sys.executable, "-S", "-m", "drivers", peer.adapter, url, stomp]
        path = os.pathsep.join(map(str, (HERE, peer.directory)))
        self.complaints = complaints
        with complaints.open("ab") as stderr:
            self.process = subprocess.Popen(
                command,
                env={**os.environ, "PYTHONPATH": path},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
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
        """End it at once: a library that hangs would not end by itself."""
        self.process.kill()
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

    def __init__(self, wanted: Mapping[tuple[Peer, str], list[str]], url: str, directory: Path) -> None:
        self._url = url
        self._directory = directory
        self._drivers: dict[tuple[Peer, str], Driver] = {}
        self._stopping = False
        self._pool = ThreadPoolExecutor(AT_ONCE)
        self._outcomes = {(*key, name): Future[Outcome]() for key, names in wanted.items() for name in names}
        for (peer, stomp), names in wanted.items():
            self._pool.submit(self._run_all, peer, stomp, names)

    def outcome(self, peer: Peer, stomp: str, scenario: str) -> Outcome:
        """Wait for one scenario."""
        return self._outcomes[peer, stomp, scenario].result()

    def stop(self) -> None:
        """End what still runs; the tests that wanted it are not waiting any more."""
        self._stopping = True
        for driver in list(self._drivers.values()):
            driver.stop()
        self._pool.shutdown(cancel_futures=True)

    def _run_all(self, peer: Peer, stomp: str, names: list[str]) -> None:
        for name in names:
            if self._stopping:
                return
            try:
                self._outcomes[peer, stomp, name].set_result(self._driver(peer, stomp).run(name))
            except Exception as error:
                self._outcomes[peer, stomp, name].set_exception(error)
        if (peer, stomp) in self._drivers:
            self._drivers[peer, stomp].stop()

    def _driver(self, peer: Peer, stomp: str) -> Driver:
        driver = self._drivers.get((peer, stomp))
        if driver is None or not driver.alive():
            driver = Driver(peer, stomp, self._url, self._directory / f"{peer.label}-{stomp}.stderr")
            self._drivers[peer, stomp] = driver
        return driver


@pytest.fixture(scope="module")
def campaign(
    request: pytest.FixtureRequest, broker_with: Callable[..., Broker], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Campaign]:
    """All scenarios of this run, against a broker with short heart-beats so that nobody waits long for one."""
    wanted: dict[tuple[Peer, str], list[str]] = {}
    for item in request.session.items:
        if isinstance(item, pytest.Function) and item.function is test_client:
            case = item.callspec.params
            if not case["peer"].missing():
                wanted.setdefault((case["peer"], case["stomp"]), []).append(case["scenario"])
    broker = broker_with(heart_beat={"send": BEAT, "receive": BEAT})
    campaign = Campaign(wanted, f"tcp://127.0.0.1:{broker.port}", tmp_path_factory.mktemp("drivers"))
    yield campaign
    campaign.stop()
    eventually(lambda: not any(broker.census()[name] for name in OF_CLIENTS), "nothing of the clients is left behind")


@pytest.mark.parametrize(("peer", "stomp", "scenario"), CASES)
def test_client(campaign: Campaign, peer: Peer, stomp: str, scenario: str) -> None:
    if reason := peer.missing():
        pytest.skip(reason)
    outcome = campaign.outcome(peer, stomp, scenario)
    if "reason" in outcome:
        pytest.skip(f"{peer.label} does not run on Python {platform.python_version()}: {outcome['reason']}")
    if not outcome["passed"]:
        pytest.fail("\n".join([outcome["trace"], "the library logged:", *outcome["log"]]), pytrace=False)
