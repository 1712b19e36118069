"""The tables of the clients say what is tested, and name scenarios that exist."""

from __future__ import annotations

import debian_peers
import node_peers
import pytest
import python_peers
from client_table import PAGE, with_tables
from drivers.scenarios import SCENARIOS
from peers import Peer

EVERY_TABLE = (node_peers.TABLE, python_peers.TABLE, debian_peers.TABLE)
EVERY_PEER = [pytest.param(peer, id=peer.label) for table in EVERY_TABLE for peer in table]


def test_page_says_what_is_tested() -> None:
    page = PAGE.read_text()
    assert with_tables(page) == page, "run python tests/interop/client_table.py"


@pytest.mark.parametrize("peer", EVERY_PEER)
def test_every_gap_leaves_out_something(peer: Peer) -> None:
    for gap in peer.gaps:
        assert set(gap.scenarios) <= set(SCENARIOS)
        assert set(gap.ways) <= set(peer.ways)


def test_every_scenario_is_asked_of_a_client_in_each_language() -> None:
    for table in (node_peers.TABLE, python_peers.TABLE):
        asked = {name for peer in table for run in peer.runs() for name in run.scenarios}
        assert set(SCENARIOS) - asked <= {
            "header_names_are_escaped",
            "client_without_heart_beats_is_dropped",
            "close_codes_say_why",
            "library_that_comes_back_by_itself_misses_nothing",
        }
