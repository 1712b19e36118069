"""Fuzzing takes as long as it is given: FASTBROKER_FUZZ_SECONDS for each test, which `make fuzz` sets."""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit"))

SECONDS = float(os.environ.get("FASTBROKER_FUZZ_SECONDS", "1"))
SEED = os.environ.get("FASTBROKER_FUZZ_SEED", "")


@pytest.fixture
def seconds() -> float:
    """How long one test may take."""
    return SECONDS


@pytest.fixture
def chance(record_property: Callable[[str, object], None]) -> random.Random:
    """Where all chance comes from; pytest prints its seed when the test fails."""
    seed = int(SEED or random.SystemRandom().randrange(1 << 32))
    print(f"FASTBROKER_FUZZ_SEED={seed}")
    record_property("seed", seed)
    return random.Random(seed)
