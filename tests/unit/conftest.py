"""What unit tests share: the core without sockets."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.micro.compiled import compiled


@pytest.fixture(scope="session")
def face() -> Any:
    """House and Client: a broker whose frames come without a network, and whose clock is the test's."""
    return compiled(Path(__file__).with_name("broker_face.pyx"))
