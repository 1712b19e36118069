"""What the trie costs, whatever the patterns: steps of a match, memory; and what it tells of itself to its owner."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, target
from hypothesis import strategies as st
from test_trie import HEAVY, LONG_NAMES, PATTERNS, table_of, words_of

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.micro.compiled import compiled
from fastbroker.core.trie import PatternEntry, PatternTable, matches_pattern

ENTRY_BYTES = 24  # of TrieEntry, which is part of its owner

# ---- steps ---------------------------------------------------------------------------------------
# A match counts its steps, so none of these needs a clock; bench/micro says what a step costs.


def steps_of(table: PatternTable, name: bytes) -> int:
    before = table.trie.steps
    table.count(name)
    return table.trie.steps - before


def most_steps(words: int) -> int:
    """Of a walk: nodes with at most two '*' above them, and those with a '#'; below each two '#' may be the last."""
    starred = sum(1 + at + at * (at - 1) // 2 for at in range(words + 1))
    opened = sum((at + 1) * (at + 4) // 2 for at in range(words + 1))
    return 3 * (starred + opened)


def every_walk(levels: int) -> Iterator[bytes]:
    """Patterns that are walked, and together reach all nodes that can be reached."""
    for depth in range(2, levels):
        for one, other in combinations(range(depth), 2):
            words = [b"a"] * depth
            words[one] = words[other] = b"*"
            yield b".".join([*words, b"z"])
    for taken in range(levels - 1):
        for depth in range(1, levels - 1 - taken):
            for separator in (b".#", b"/#"):
                yield b".".join([b"a"] * taken) + separator[taken == 0 :] + b".a" * depth + b".z"


def hostile(chance: random.Random) -> bytes:
    """Nearly matches a name of 32 words 'a'."""
    words = chance.choices([b"a", b"*"], k=chance.randint(4, 31))
    for _ in range(chance.randint(0, 2)):
        words[chance.randrange(len(words))] = b"#"
    return b".".join([*words, chance.choice([b"z", b"a"])])


NAME = b".".join([b"a"] * 32)


def test_a_walk_has_a_bound_whatever_the_patterns() -> None:
    table = table_of(*every_walk(32))
    steps = steps_of(table, NAME)
    assert 12_000 < steps <= most_steps(32) / 3
    for pattern in every_walk(16):  # also with every separator and word, and open at the end
        for end in (b".b.c.*", b".y/#", b"/x.>"):
            table.add(pattern[:-2] + end, None)
    assert steps <= steps_of(table, NAME) <= most_steps(32)


def test_a_tail_is_looked_at_once() -> None:
    """And four of them take one step, unless they match or are very few."""
    chance = random.Random(1)
    few, many = ({hostile(chance) for _ in range(count)} for count in (1000, 20_000))
    spent = [steps_of(table_of(*patterns), NAME) for patterns in (few, many)]
    matching = sum(matches_pattern(pattern, NAME) for pattern in many)
    assert spent[1] - 8 * matching < spent[0] + len(many) / 3


@settings()
@given(st.lists(HEAVY | PATTERNS, max_size=40), LONG_NAMES)
def test_nobody_finds_a_slower_pair(patterns: list[bytes], name: bytes) -> None:
    table = table_of(*patterns)
    steps = steps_of(table, name)
    target(float(steps))
    assert steps <= most_steps(len(words_of(name))) + 10 * len(patterns)


def test_patterns_that_end_differently_cost_little() -> None:
    few, many = PatternTable(), PatternTable()
    for number in range(5000):
        (few if number < 5 else many).add(b"#.a.#.end%d" % number, number)
    assert steps_of(many, NAME) < steps_of(few, NAME) + 5000 / 2


def test_what_cannot_match_is_not_looked_at() -> None:
    """A tail belongs to what stands in front of it."""
    table = table_of(*(b"tenant.%d.*.*.x.*.y.%d" % (n % 1000, n) for n in range(10_000)))
    assert table.find(b"tenant.77.a.b.x.c.y.2077") == [b"tenant.77.*.*.x.*.y.2077"]
    assert steps_of(table, b"tenant.77.a.b.x.c.y.2077") < 120


def test_wide_nodes_cost_no_more_than_narrow_ones() -> None:
    wide, narrow = PatternTable(), PatternTable()
    for number in range(50_000):
        wide.add(b"all.%d.*" % number, number)
    narrow.add(b"all.77.*", 77)
    assert wide.find(b"all.77.x") == [77]
    assert steps_of(wide, b"all.77.x") == steps_of(narrow, b"all.77.x")


# ---- memory --------------------------------------------------------------------------------------


def fill(table: PatternTable, kind: bytes) -> list[PatternEntry]:
    entries = [table.add(kind.replace(b"%d", b"%d" % number), None) for number in range(20_000)]
    random.Random(1).shuffle(entries)
    return entries


@pytest.mark.parametrize("kind", [b"plain.%d", b"walked.%d.*.%d", b"*.*.tail.*.%d", b"a.*", b"*.*.#.*.x"])
def test_memory_is_given_back(kind: bytes) -> None:
    table = PatternTable()
    for _ in range(2):
        for entry in fill(table, kind):
            table.discard(entry)
        assert table.trie.memory == 0


@pytest.mark.parametrize("kind", [b"a.*", b"*.*.#.*.x"])
def test_lists_shrink(kind: bytes) -> None:
    table = PatternTable()
    entries = fill(table, kind)
    full = table.trie.memory
    for entry in entries[100:]:
        table.discard(entry)
    assert table.trie.memory < full / 20


def test_who_stays_does_not_hold_what_others_had() -> None:
    table = PatternTable()
    before = [table.add(b"before.*.%d" % number, None) for number in range(1000)]
    kept = table.trie.memory
    many = [table.add(b"*.*.x.*.%d.*" % number, None) for number in range(20_000)]
    many += [table.add(b"much/%d/*/y" % number, None) for number in range(20_000)]
    after = [table.add(b"after/%d/#" % number, None) for number in range(1000)]
    assert table.trie.memory > 10 * kept
    for entry in many:
        table.discard(entry)
    assert table.trie.memory < 4 * kept
    assert len(table) == len(before) + len(after)


def test_bytes_of_a_subscription() -> None:
    table = PatternTable()
    last = [b"*", *[b"rpm"] * 9]
    patterns = [b"eu.site%d.device%d.%s" % (n % 97, n, last[n % 10]) for n in range(5000)]
    for number in range(10):
        for pattern in patterns:
            table.add(pattern, number)
    assert table.trie.memory / len(table) + ENTRY_BYTES < 250
    lonely = table_of(*patterns)
    assert lonely.trie.memory / len(lonely) + ENTRY_BYTES < 250


OUT_OF_MEMORY = """
import gc, resource, sys
from fastbroker.core.trie import PatternTable

PATTERN = sys.argv[1].encode()
table, entries, failures = PatternTable(), [], 0
gc.disable()
pages = int(open("/proc/self/statm").read().split()[0])
limits = resource.getrlimit(resource.RLIMIT_AS)
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (40 << 20), limits[1]))
for number in range(2_000_000):
    try:
        entries.append(table.add(PATTERN % number, number))
    except MemoryError:
        failures += 1
        if failures == 100:
            break
resource.setrlimit(resource.RLIMIT_AS, limits)
assert failures == 100, failures
assert len(table) == table.trie.generation
for entry in entries[:: len(entries) // 1000 + 1]:
    assert table.find(entry.pattern.replace(b"*", b"x").replace(b"#", b"y")) == [entry.value]
for entry in entries:
    table.discard(entry)
print(len(table), table.trie.node_count, table.trie.memory)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on address space")
@pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="sanitizers end it instead")
@pytest.mark.parametrize("pattern", ["%0200d.*", "*.*.#.x.%0200d", "#.%0200d.*.*"])
def test_out_of_memory_leaves_the_trie_as_it_was(pattern: str) -> None:
    command = [sys.executable, "-c", OUT_OF_MEMORY, pattern]
    ran = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ran.stdout == "0 0 0\n", ran.stderr


# ---- what only compiled modules may do -----------------------------------------------------------

Face = Any  # of a module that the type checker knows nothing of


@pytest.fixture(scope="module")
def face() -> Face:
    return compiled(Path(__file__).with_name("trie_face.pyx"))


def test_first_and_last_interest_are_told(face: Face) -> None:
    watched = face.Watched(8)
    watched.insert(0, b"before.#")
    watched.listen()
    for slot, pattern in enumerate([b"a.b", b"a.*", b"a.*", b"**/x", b"#/x", b"a.*.*./.>", b"before.#"], start=1):
        watched.insert(slot, pattern)
    patterns = [b"a.b", b"a.*", b"#/x", b"a.*.*./.>"]
    assert [(pattern, wanted) for pattern, wanted, _ in watched.told] == [(each, True) for each in patterns]
    watched.told.clear()
    for slot in (1, 2, 4, 5, 6, 0, 7, 3):
        watched.remove(slot)
    gone = [b"a.b", b"#/x", b"a.*.*./.>", b"before.#", b"a.*"]
    assert [(pattern, wanted) for pattern, wanted, _ in watched.told] == [(each, False) for each in gone]


def test_the_trie_is_whole_when_interest_is_told(face: Face) -> None:
    watched = face.Watched(2)
    watched.listen()
    watched.insert(0, b"a.b")
    watched.insert(1, b"#")
    watched.remove(0)
    watched.remove(1)
    assert [found for _, _, found in watched.told] == [1, 1, 1, 0]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(patterns=st.lists(PATTERNS | HEAVY, min_size=1, max_size=20), chance=st.randoms(use_true_random=False))
def test_interest_is_what_has_values(face: Face, patterns: list[bytes], chance: random.Random) -> None:
    watched = face.Watched(len(patterns))
    wanted: set[bytes] = set()
    there: set[int] = set()
    watched.listen()
    for slot in chance.choices(range(len(patterns)), k=3 * len(patterns)):
        if slot in there:
            watched.remove(slot)
        else:
            watched.insert(slot, patterns[slot])
        there ^= {slot}
        for pattern, is_wanted, _ in watched.told:
            assert (pattern in wanted) is not is_wanted
            wanted ^= {pattern}
        watched.told.clear()
        assert wanted == {as_told(patterns[slot]) for slot in there}


def as_told(pattern: bytes) -> bytes:
    return "".join(sep + ("#" if word == "**" else word) for sep, word in words_of(pattern)).encode("latin-1")


@pytest.mark.skipif("libasan" in os.environ.get("LD_PRELOAD", ""), reason="the sanitizer has a heap of its own")
@pytest.mark.parametrize(
    "kind", [b"plain.%d", b"walked.%d.*.a-word-longer-than-sixteen%d", b"*.*.tail.*.%d.#.z", b"a.*"]
)
def test_memory_is_what_the_heap_gave(face: Face, kind: bytes) -> None:
    patterns = [kind.replace(b"%d", b"%d" % number) for number in range(20_000)]
    watched = face.Watched(len(patterns))
    taken = watched.insert_all(patterns)
    memory, work, told = watched.counted
    assert (memory, work) == (told, 0)
    if taken >= 0:
        assert taken == pytest.approx(memory, rel=0.03)
    for slot in range(len(patterns)):
        watched.remove(slot)
    assert watched.counted == (0, 0, 0)


def test_steps_are_counted_as_work(face: Face) -> None:
    watched = face.Watched(2)
    watched.insert(0, b"a.*")
    watched.insert(1, b"*.*.*.*")
    for name in (b"a.b", b"a.b.c.d", b"x"):
        watched.match(name)
    _, work, _ = watched.counted
    assert work == watched.steps * face.STEP > 0
