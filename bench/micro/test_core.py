"""Parser, route look-up, trie, encoding, fan-out and queue, each by itself."""

from __future__ import annotations

from typing import Any

import pytest

from bench.micro.conftest import Measure
from bench.micro.kernels import TIMED, Kernel

LONGER = 50  # than counting needs
MANY = 100_000


@pytest.mark.parametrize(
    "kernel", [pytest.param(each, id=each.name, marks=pytest.mark.benchmark(group=each.group)) for each in TIMED]
)
def test_kernel(micro: Any, each: Measure, measuring: bool, kernel: Kernel) -> None:
    rounds = kernel.rounds * (LONGER if measuring else 1)
    each(kernel.make(micro), rounds, rounds * kernel.operations)


@pytest.mark.parametrize("kind", ["topic", "queue"])
@pytest.mark.benchmark(group="route")
def test_look_up_of_many(micro: Any, each: Measure, kind: str) -> None:
    """So many destinations that were used before that a look-up rarely finds one in the processor's caches."""
    broker = micro.make_broker()
    names = [f"/{kind}/eu.site{number % 97}.device{number}.temperature".encode() for number in range(MANY)]
    micro.look_up(broker, names, 1)
    each(lambda count: micro.look_up(broker, names, count), 1, MANY)
