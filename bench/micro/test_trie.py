"""Topic trie: what a match, a subscribe and an unsubscribe cost among a million subscriptions.

Run with ``pytest bench/micro/test_trie.py``. Times are of rounds of BATCH calls from Python;
`ns_each` in the extra information is one call, with some 50 ns of Python in it.
"""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from fastbroker.core.trie import PatternTable, matches_pattern

PATTERNS = 100_000
SUBSCRIBERS = 10  # of each pattern
BATCH = 1_000
REGIONS = [b"eu", b"us", b"asia", b"africa", b"oceania", b"latam"]
METRICS = [b"temperature", b"humidity", b"pressure", b"status", b"alarm", b"voltage"]


def name(rng: random.Random) -> bytes:
    place = (rng.choice(REGIONS), rng.randrange(200), rng.randrange(2000), rng.choice(METRICS))
    return b"%s.site%d.device%d.%s" % place


def pattern(rng: random.Random) -> bytes:
    """Nine of ten are plain names; the others have one wildcard somewhere."""
    words = name(rng).split(b".")
    chance = rng.random()
    if chance < 0.06:
        words[rng.choice([1, 2, 3])] = b"*"
    elif chance < 0.08:
        words[3] = b"#"
    elif chance < 0.10:
        words[:2] = [b"#"]
    return b".".join(words)


def some(make: Callable[[random.Random], bytes], count: int, seed: int) -> list[bytes]:
    """So many different ones."""
    rng = random.Random(seed)
    found: dict[bytes, None] = {}
    while len(found) < count:
        found[make(rng)] = None
    return list(found)


@pytest.fixture(scope="module")
def patterns() -> list[bytes]:
    return some(pattern, PATTERNS, 1)


@pytest.fixture(scope="module")
def million(patterns: list[bytes]) -> Iterator[PatternTable]:
    table = PatternTable()
    gc.disable()
    for number in range(SUBSCRIBERS):
        for each in patterns:
            table.add(each, number)
    yield table
    gc.enable()


def measure(benchmark: Any, batch: Callable[[], object]) -> None:
    benchmark(batch)
    benchmark.extra_info["ns_each"] = round(benchmark.stats.stats.median / BATCH * 1e9)


def test_match_names_at_random(benchmark: Any, million: PatternTable, patterns: list[bytes]) -> None:
    """Every round takes other names, so that what it needs is rarely in the processor's caches."""
    subscribed = [each for each in patterns if b"*" not in each and b"#" not in each]
    random.Random(2).shuffle(subscribed)
    names = iter(subscribed * 1000)
    count = million.count
    measure(benchmark, lambda: [count(next(names)) for _ in range(BATCH)])
    benchmark.extra_info["bytes_per_subscription"] = round(million.trie.memory / len(million)) + 24


def test_match_few_names(benchmark: Any, million: PatternTable, patterns: list[bytes]) -> None:
    names = random.Random(3).sample(patterns, 20) * (BATCH // 20)
    count = million.count
    measure(benchmark, lambda: [count(each) for each in names])


def test_match_nothing(benchmark: Any, million: PatternTable) -> None:
    names = [b"nowhere.site%d.device%d.status" % (n, n) for n in range(BATCH)]
    count = million.count
    measure(benchmark, lambda: [count(each) for each in names])


def test_find_values(benchmark: Any, million: PatternTable, patterns: list[bytes]) -> None:
    """As above with a list of the values, as Python sees them."""
    names = random.Random(4).sample(patterns, BATCH)
    find = million.find
    measure(benchmark, lambda: [find(each) for each in names])


def test_insert_and_remove(benchmark: Any, million: PatternTable) -> None:
    """A pattern that is not there yet comes and goes: both together."""
    fresh = [each + b".x" for each in some(pattern, BATCH, 5) if not each.endswith(b">")]
    add, discard = million.add, million.discard
    measure(benchmark, lambda: [discard(add(each, 0)) for each in fresh])


def test_one_pattern_against_one_name(benchmark: Any) -> None:
    names = some(name, BATCH, 6)
    measure(benchmark, lambda: [matches_pattern(b"eu.#.status", each) for each in names])
