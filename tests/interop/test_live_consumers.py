"""Priority, exclusive consumers and duplicates, asked for by stomp.py in the words of two brokers."""

from __future__ import annotations

from pathlib import Path

import pytest
import python_peers
from campaign import printed

NEWEST = next(peer for peer in python_peers.TABLE if peer.label.startswith("stomp.py"))


@pytest.mark.parametrize("dialect", ["rabbitmq", "activemq"])
def test_consumers_in_their_words(tmp_path: Path, dialect: str) -> None:
    heard = printed(NEWEST, tmp_path, "-m", "drivers.consumers", dialect)
    assert heard == {
        "priority": [f"p{number}" for number in range(5)],
        "exclusive": ["e0"],
        "next": ["e1", "e2"],
        "usual": [],
    }
