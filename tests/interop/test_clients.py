"""Client libraries that nobody here wrote, against the real broker process.

The table is (client, transport, STOMP version, scenario): every scenario of `drivers/scenarios.py` runs with every
library of `python_peers.py`, `node_peers.py` and `debian_peers.py` over its transports, as far as the library can do it
at all.

To install the libraries (`make test` does it first):

    python tests/interop/install_peers.py

To run one of them by hand, against any broker, with the scenarios named at the end (without names, it reads names from
standard input; `-S` keeps it away from what else is installed):

    cd tests/interop
    PYTHONPATH=.:../../build/peers/stomp.py-9.0.0 \\
        python -S -m drivers stomp_py tcp://127.0.0.1:61613 1.2 topic_delivers_in_order nack_brings_the_message_again
    INTEROP_ADAPTER=stompjs INTEROP_OPTIONS={} INTEROP_PACKAGES=../../build/peers/node INTEROP_AUTHORITY=ca.pem \\
        python -S -m drivers node_process ws://127.0.0.1:15674/ws 1.2 topic_delivers_in_order

A library that is not installed, or that this Python cannot import, is skipped with the reason.
"""

from __future__ import annotations

import platform
from collections.abc import Iterator

import debian_peers
import node_peers
import pytest
import python_peers
from campaign import Campaign, serving, urls_of
from harness.waiting import eventually
from peers import CONFIGURATION, Run

OF_CLIENTS = ("connections", "sessions", "subscriptions", "deliveries", "transactions")
CASES = [
    pytest.param(run, scenario, id=f"{run.label}/{scenario}")
    for peer in (*node_peers.TABLE, *python_peers.TABLE, *debian_peers.TABLE)
    for run in peer.runs()
    for scenario in run.scenarios
]


@pytest.fixture(scope="module")
def campaign(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    """All scenarios of this run, against one broker."""
    wanted: dict[Run, list[str]] = {}
    for item in request.session.items:
        if isinstance(item, pytest.Function) and item.function is test_client:
            run, scenario = (item.callspec.params[name] for name in ("run", "scenario"))
            if not run.peer.missing():
                wanted.setdefault(run, []).append(scenario)
    broker = serving(tmp_path_factory.mktemp("broker"), **CONFIGURATION)
    campaign = Campaign(wanted, urls_of(broker), tmp_path_factory.mktemp("drivers"))
    yield campaign
    campaign.stop()
    eventually(lambda: not any(broker.census()[name] for name in OF_CLIENTS), "nothing of the clients is left behind")
    broker.stop()


@pytest.mark.parametrize(("run", "scenario"), CASES)
def test_client(campaign: Campaign, run: Run, scenario: str) -> None:
    if reason := run.peer.missing():
        pytest.skip(reason)
    outcome = campaign.outcome(run, scenario)
    if "reason" in outcome:
        pytest.skip(f"{run.peer.label} does not run on Python {platform.python_version()}: {outcome['reason']}")
    if not outcome["passed"]:
        pytest.fail("\n".join([outcome["trace"], "the library logged:", *outcome["log"]]), pytrace=False)
