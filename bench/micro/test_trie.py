"""Topic trie: what a match, a subscribe and an unsubscribe cost among a million subscriptions."""

from __future__ import annotations

import gc
import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from bench.micro.conftest import Measure
from bench.micro.hostile import START, walks_and_tails
from bench.micro.streams import pattern, some, topic
from fastbroker.core.trie import PatternTable, matches_pattern

SUBSCRIBERS = 10  # of each pattern
BATCH = 1_000

pytestmark = pytest.mark.benchmark(group="trie")


@pytest.fixture(scope="module")
def patterns(measuring: bool) -> list[bytes]:
    return some(pattern, 100_000 if measuring else BATCH, 1)


@pytest.fixture(scope="module")
def million(patterns: list[bytes]) -> Iterator[PatternTable]:
    table = PatternTable()
    gc.disable()
    for number in range(SUBSCRIBERS):
        for each in patterns:
            table.add(each, number)
    yield table
    gc.enable()


def shuffled_names(patterns: list[bytes]) -> list[bytes]:
    """So many, in no order, that what a match needs is rarely in the processor's caches."""
    names = [each for each in patterns if b"*" not in each and b"#" not in each]
    random.Random(2).shuffle(names)
    return names


def test_match_names_at_random(
    micro: Any, each: Measure, benchmark: Any, million: PatternTable, patterns: list[bytes]
) -> None:
    names = shuffled_names(patterns)
    benchmark.extra_info["bytes of a subscription"] = round(million.trie.memory / len(million)) + 24
    each(lambda count: micro.match(million.trie, names, count), 1, len(names))


def test_match_few_names(micro: Any, each: Measure, million: PatternTable, patterns: list[bytes]) -> None:
    names = random.Random(3).sample(patterns, 20)
    each(lambda count: micro.match(million.trie, names, count), BATCH, BATCH * len(names))


def test_match_nothing(micro: Any, each: Measure, million: PatternTable) -> None:
    names = [b"nowhere.site%d.device%d.status" % (n, n) for n in range(BATCH)]
    each(lambda count: micro.match(million.trie, names, count), 10, 10 * BATCH)


def test_find_values_from_python(each: Measure, million: PatternTable, patterns: list[bytes]) -> None:
    """With a list of the values, as Python sees them."""
    names = random.Random(4).sample(patterns, BATCH)
    find = million.find
    each(lambda count: [find(each) for each in names], BATCH)


def test_insert_and_remove(each: Measure, million: PatternTable) -> None:
    """A pattern that is not there yet comes and goes: both together, with an object of Python's."""
    fresh = [each + b".x" for each in some(pattern, BATCH, 5)]
    add, discard = million.add, million.discard
    each(lambda count: [discard(add(each, 0)) for each in fresh], BATCH)


def test_one_pattern_against_one_name(each: Measure) -> None:
    names = some(topic, BATCH, 6)
    each(lambda count: [matches_pattern(b"eu.#.status", each) for each in names], BATCH)


@pytest.mark.parametrize(
    "draw", [walks_and_tails, partial(START.patterns, chance=random.Random(7))], ids=["walks", "tails"]
)
def test_match_under_attack(
    micro: Any, each: Measure, benchmark: Any, measuring: bool, draw: Callable[..., list[bytes]]
) -> None:
    """The worst that 10,000 patterns can do: one match, and how many steps that is."""
    table = PatternTable()
    for hostile in draw(10 * BATCH if measuring else BATCH):
        table.add(hostile, None)
    table.count(START.name)
    benchmark.extra_info["steps"] = table.trie.steps
    each(lambda count: micro.match(table.trie, [START.name], count), 1)
