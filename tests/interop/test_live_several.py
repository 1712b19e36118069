"""Subscriptions to queues that match a pattern, and to several destinations, by stomp.py."""

from __future__ import annotations

from pathlib import Path

import python_peers
from campaign import printed

NEWEST = next(peer for peer in python_peers.TABLE if peer.label.startswith("stomp.py"))


def test_several_destinations(tmp_path: Path) -> None:
    heard = printed(NEWEST, tmp_path, "-m", "drivers.several")
    assert heard == {
        "pattern": [f"/queue/live.several.{name}" for name in "abcd"],
        "composite": ["/queue/live.several.d", "/topic/live.several.e"],
        "more": [],
    }
