"""Priority, exclusive consumers and duplicates, asked for by stomp.py in the words of two brokers."""

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


@pytest.mark.parametrize("dialect", ["rabbitmq", "activemq"])
def test_consumers_in_their_words(tmp_path: Path, dialect: str) -> None:
    if reason := NEWEST.missing():
        pytest.skip(reason)
    broker = serving(tmp_path)
    address = urlsplit(urls_of(broker)["tcp"])
    command = [sys.executable, "-S", "-m", "drivers.consumers", str(address.hostname), str(address.port), dialect]
    try:
        heard = subprocess.run(
            command, env=NEWEST.environment, capture_output=True, text=True, timeout=6 * DEADLINE, check=False
        )
    finally:
        broker.stop()
    assert heard.returncode == 0, heard.stderr
    assert json.loads(heard.stdout) == {
        "priority": [f"p{number}" for number in range(5)],
        "exclusive": ["e0"],
        "next": ["e1", "e2"],
        "usual": [],
    }
