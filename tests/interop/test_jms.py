"""A program that knows only JMS, over STOMP, with a broker that looks like ActiveMQ: it gets what it asks for."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from campaign import serving
from harness.waiting import DEADLINE
from java_peers import STOMPJMS


def test_stompjms(tmp_path: Path) -> None:
    if reason := STOMPJMS.missing():
        pytest.skip(reason)
    broker = serving(tmp_path, ["tcp://127.0.0.1:0"], compat={"profile": "activemq"})
    command = [*STOMPJMS.command, f"tcp://127.0.0.1:{broker.ports['tcp']}"]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=9 * DEADLINE, check=False)
    finally:
        broker.stop()
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == [
        "priorities with-9 with-5 with-1",
        "expiry long",
        "selector for-5",
        "chosen red red-too blue blue-too",
        "groups a1 a2 a3 a1 a2 a3 b1 c1",
        "closed a1 a2 a3",
        "transaction committed committed redelivered",
        "durable one two",
    ]
