"""The hash table: it is a dict of bytes, in an order that keeps look-ups short."""

from __future__ import annotations

import gc
import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.micro.compiled import compiled

SLOT = 24
SMALLEST = 4 * SLOT

Face = Any  # of a module that the type checker knows nothing of


@pytest.fixture(scope="module")
def face() -> Face:
    return compiled(Path(__file__).with_name("table_face.pyx"))


def fill(table: Face, count: int) -> list[bytes]:
    keys = [b"/queue/%d" % number for number in range(count)]
    for number, key in enumerate(keys):
        assert table.put(key, number) == 0
    return keys


# ---- as a dict -----------------------------------------------------------------------------------

KEYS = st.binary(max_size=3) | st.integers(0, 60).map(lambda number: b"k" * number)
SEEDS = st.integers(0, 2**64 - 1)


class TableMachine(RuleBasedStateMachine):
    """Every call beside the same call of a dict."""

    def __init__(self, face: Face, seed: int) -> None:
        super().__init__()
        self.table = face.BytesTable(seed)
        self.model: dict[bytes, int] = {}
        self.number = 0

    @rule(key=KEYS)
    def put(self, key: bytes) -> None:
        self.number += 1
        assert self.table.put(key, self.number) == (key in self.model)
        self.model[key] = self.number

    @rule(keys=st.lists(KEYS, min_size=5, max_size=40))
    def put_many(self, keys: list[bytes]) -> None:
        for key in keys:
            self.put(key)

    @rule(key=KEYS)
    def remove(self, key: bytes) -> None:
        assert self.table.remove(key) == self.model.pop(key, None)

    @rule(chance=st.randoms(use_true_random=False), share=st.floats(0, 1))
    def remove_many(self, chance: random.Random, share: float) -> None:
        for key in [key for key in self.model if chance.random() < share]:
            assert self.table.remove(key) == self.model.pop(key)

    @rule(key=KEYS)
    def get(self, key: bytes) -> None:
        assert self.table.get(key) == self.model.get(key)

    @rule()
    def clear(self) -> None:
        self.table.clear()
        self.model.clear()
        assert self.table.memory == 0

    @invariant()
    def is_the_same(self) -> None:
        assert len(self.table) == len(self.model)
        assert {key: value for _, _, key, value in self.table.items()} == self.model
        assert all(self.table.get(key) == value for key, value in self.model.items())

    @invariant()
    def is_neither_full_nor_far_too_large(self) -> None:
        slots = self.table.memory // SLOT
        assert slots == 0 or len(self.model) < slots
        assert slots <= max(4, 16 * len(self.model))


@pytest.mark.hypothesis
@pytest.mark.parametrize("seed", [1, 2])
def test_it_is_a_dict(face: Face, seed: int) -> None:
    steps = settings(stateful_step_count=20)
    run_state_machine_as_test(lambda: TableMachine(face, seed), settings=steps)  # type: ignore[arg-type]


@given(seed=SEEDS, chance=st.randoms(use_true_random=False), count=st.integers(0, 2000))
def test_grows_and_shrinks(face: Face, seed: int, chance: random.Random, count: int) -> None:
    table = face.BytesTable(seed)
    keys = fill(table, count)
    assert table.memory <= max(SMALLEST, 3 * count * SLOT)
    chance.shuffle(keys)
    kept, gone = keys[: count // 20], keys[count // 20 :]
    assert all(table.remove(key) is not None for key in gone)
    assert sorted(key for _, _, key, _ in table.items()) == sorted(kept)
    assert table.memory <= max(SMALLEST, 16 * len(kept) * SLOT)
    assert all(table.get(key) is None for key in gone)
    for key in kept:
        table.remove(key)
    assert (len(table), table.items()) == (0, [])
    assert table.memory <= SMALLEST


# ---- its order -----------------------------------------------------------------------------------


def distances(table: Face) -> dict[int, int]:
    """How far the key in each used slot is from its home, which the top bits of its hash say."""
    slots = table.memory // SLOT
    shift = 33 - slots.bit_length()
    return {slot: (slot - (hash >> shift)) % slots for slot, hash, _, _ in table.items()}


@given(seed=SEEDS, chance=st.randoms(use_true_random=False), count=st.integers(1, 300))
def test_nobody_is_further_from_home_than_who_stands_before(
    face: Face, seed: int, chance: random.Random, count: int
) -> None:
    table = face.BytesTable(seed)
    for key in chance.sample(fill(table, count), count // 3):
        table.remove(key)
    far = distances(table)
    for slot, distance in far.items():
        before = (slot - 1) % (table.memory // SLOT)
        assert distance <= far.get(before, -1) + 1


def test_nobody_is_far_from_home(face: Face) -> None:
    """Not even in a table filled in the order of another, which would crowd its front if the seeds were the same."""
    one, other = face.BytesTable(1), face.BytesTable(2)
    fill(one, 114_000)  # a table of 2**17 slots is full to 7/8
    for _, _, key, value in one.items():
        other.put(key, value)
    for table in (one, other):
        far = distances(table).values()
        assert sum(far) / len(far) < 6
        assert max(far) < 150


def test_values_live_as_long_as_they_are_in_it(face: Face) -> None:
    table = face.BytesTable(1)
    value = object()
    before = sys.getrefcount(value)
    for number in range(100):
        table.put(b"%d" % (number % 50), value)
    assert sys.getrefcount(value) == before + 50
    table.remove(b"7")
    assert sys.getrefcount(value) == before + 49
    del table
    gc.collect()
    assert sys.getrefcount(value) == before


# ---- its hash ------------------------------------------------------------------------------------


@settings(max_examples=2 * settings.default.max_examples)
@given(key=st.binary(max_size=80), seed=SEEDS)
def test_a_hash_depends_on_every_byte_and_on_the_seed(face: Face, key: bytes, seed: int) -> None:
    hash = face.bytes_hash(key, seed)
    assert hash == face.bytes_hash(bytes(bytearray(key)), seed)
    assert hash != face.bytes_hash(key, seed ^ 1)
    assert hash != face.bytes_hash(key + b"\0", seed)
    for at in range(len(key)):
        changed = key[:at] + bytes([key[at] ^ 1]) + key[at + 1 :]
        assert hash != face.bytes_hash(changed, seed)


@pytest.mark.parametrize(
    "form", [b"%d", b"/queue/%d", b"%08d", b"/topic/eu.site%d.temperature", b"%d/a/much/longer/name"]
)
def test_similar_keys_spread(face: Face, form: bytes) -> None:
    """Over the top bits, which choose the home: as evenly as chance would do it."""
    count = 1 << 14
    for seed in (0, 1, 2**63):
        used = Counter((face.bytes_hash(form % number, seed) & 0xFFFFFFFF) >> 18 for number in range(count))
        empty = count - len(used)
        assert abs(empty / count - 0.3679) < 0.02  # 1/e
        assert max(used.values()) < 12


def test_tables_with_other_seeds_have_another_order(face: Face) -> None:
    one, other = face.BytesTable(1), face.BytesTable(2)
    fill(one, 200)
    fill(other, 200)
    assert [key for _, _, key, _ in one.items()] != [key for _, _, key, _ in other.items()]
