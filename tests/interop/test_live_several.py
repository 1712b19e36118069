"""Subscriptions to queues that match a pattern, and to several destinations, by stomp.py."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import python_peers
from campaign import serving, urls_of
from harness.waiting import DEADLINE

NEWEST = next(peer for peer in python_peers.TABLE if peer.label.startswith("stomp.py"))


def test_several_destinations(tmp_path: Path) -> None:
    if reason := NEWEST.missing():
        pytest.skip(reason)
    broker = serving(tmp_path)
    address = urlsplit(urls_of(broker)["tcp"])
    command = [sys.executable, "-S", "-m", "drivers.several", str(address.hostname), str(address.port)]
    try:
        heard = subprocess.run(
            command, env=NEWEST.environment, capture_output=True, text=True, timeout=6 * DEADLINE, check=False
        )
    finally:
        broker.stop()
    assert heard.returncode == 0, heard.stderr
    assert json.loads(heard.stdout) == {
        "pattern": [f"/queue/live.several.{name}" for name in "abcd"],
        "composite": ["/queue/live.several.d", "/topic/live.several.e"],
        "more": [],
    }
