"""Blocks for messages, and the ceiling over all memory."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.micro.compiled import compiled

Face = Any  # of a module that the type checker knows nothing of
STEP, SMALLEST, SLAB, SPARE, LARGEST = 64, 48, 262_144, 8 << 20, 1 << 20
WORTH = 1 << 20  # bytes for which a round begins


@pytest.fixture(scope="module")
def face() -> Face:
    return compiled(Path(__file__).with_name("memory_face.pyx"))


# ---- blocks --------------------------------------------------------------------------------------


class Taken:
    """What was taken from a store, and what is written into it."""

    def __init__(self, face: Face) -> None:
        self.store = face.Store()
        self.blocks: list[tuple[int, int, int]] = []
        self.number = 0

    def take(self, size: int) -> None:
        self.number += 1
        fill = self.number % 251
        self.blocks.append((self.store.take(size, fill), size, fill))

    def give(self, which: int) -> None:
        at, size, fill = self.blocks.pop(which % len(self.blocks))
        assert self.store.give(at, size) == bytes([fill]) * size, "somebody else wrote there"

    def give_all(self, chance: random.Random) -> None:
        chance.shuffle(self.blocks)
        while self.blocks:
            self.give(-1)


class BlocksMachine(RuleBasedStateMachine):
    """Blocks of any size, taken and given back in any order, are one's own meanwhile."""

    def __init__(self, face: Face) -> None:
        super().__init__()
        self.face = face
        self.before = face.mapped()
        self.taken = Taken(face)

    @rule(size=st.integers(1, 1300) | st.integers(1, 300_000), count=st.integers(1, 100))
    def take(self, size: int, count: int) -> None:
        for _ in range(count):
            self.taken.take(size)

    @rule(chance=st.randoms(use_true_random=False), share=st.floats(0, 1))
    def give(self, chance: random.Random, share: float) -> None:
        for _ in range(int(len(self.taken.blocks) * share)):
            self.taken.give(chance.randrange(len(self.taken.blocks)))

    @invariant()
    def they_lie_apart_and_well(self) -> None:
        end = 0
        for at, size, _ in sorted(self.taken.blocks):
            assert at >= end
            assert at % (STEP if size > SMALLEST else 16) == 0
            end = at + size

    @invariant()
    def a_slab_is_mapped_for_what_is_in_it(self) -> None:
        used = {at // SLAB: 1 + (at % SLAB + self.face.cost(size) - 1) // SLAB for at, size, _ in self.taken.blocks}
        assert self.face.mapped() - self.before == sum(used.values()) * SLAB + self.taken.store.spare
        assert self.taken.store.spare <= SPARE

    @invariant()
    def what_is_charged_is_there(self) -> None:
        store = self.taken.store
        assert store.taken == sum(self.face.cost(size) for _, size, _ in self.taken.blocks)
        assert store.taken <= store.charged <= self.face.mapped() - self.before

    def teardown(self) -> None:
        self.taken.give_all(random.Random(1))
        self.a_slab_is_mapped_for_what_is_in_it()
        assert self.taken.store.charged == 0
        del self.taken
        assert self.face.mapped() == self.before


@pytest.mark.hypothesis
def test_blocks_are_ones_own(face: Face) -> None:
    steps = settings(stateful_step_count=15, max_examples=settings.default.max_examples // 4)
    run_state_machine_as_test(lambda: BlocksMachine(face), settings=steps)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [1, 64, 65, 640, 1024, 1025, 5000, 60_000, 100_000, 900_000])
@pytest.mark.parametrize("order", ["the same", "any"])
def test_slabs_go_back_to_the_system(face: Face, size: int, order: str) -> None:
    before, taken = face.mapped(), Taken(face)
    count = 20_000_000 // face.cost(size) // 2
    for _ in range(count):
        taken.take(size)
    held = face.mapped() - before
    assert taken.store.charged == count * face.cost(size) <= held, "a block costs what it is said to cost"
    if order == "any":
        random.Random(1).shuffle(taken.blocks)
    for _ in range(count):
        taken.give(-1)
    assert face.mapped() - before <= SPARE < held
    assert taken.store.charged == 0
    for _ in range(1000):
        taken.take(size)
        taken.give(0)
    assert face.mapped() - before <= SPARE, "what was kept is used again"


@given(size=st.integers(1, 3 * LARGEST))
def test_a_block_is_little_larger_than_what_it_is_for(face: Face, size: int) -> None:
    cost = face.cost(size)
    assert size <= cost < size + max(STEP, size / 8, 4096 if size > LARGEST else 0)
    assert face.cost(cost) == cost


def test_what_is_very_large_goes_at_once(face: Face) -> None:
    before, taken = face.mapped(), Taken(face)
    taken.take(LARGEST + 1)
    assert taken.store.charged == face.cost(LARGEST + 1) <= face.mapped() - before
    taken.give(0)
    assert face.mapped() == before


# ---- moving --------------------------------------------------------------------------------------


def few_stay(face: Face, size: int, one_in: int, total: int = 30_000_000) -> tuple[Taken, list[tuple[int, int, int]]]:
    """A store of which one block in so many is left, and those."""
    taken = Taken(face)
    for _ in range(total // face.cost(size)):
        taken.take(size)
    stay = taken.blocks[::one_in]
    taken.blocks = [block for number, block in enumerate(taken.blocks) if number % one_in]
    taken.give_all(random.Random(1))
    taken.store.kept = [[at, size] for at, size, _ in stay]
    return taken, stay


@pytest.mark.parametrize("size", [1, 100, 500, 1000, 1100, 4000, 16_000, 60_000])
@pytest.mark.parametrize("one_in", [3, 100, "slab"])
def test_a_few_do_not_hold_many_slabs(face: Face, size: int, one_in: int | str) -> None:
    before = face.mapped()
    taken, stay = few_stay(face, size, SLAB // face.cost(size) - 1 if one_in == "slab" else int(one_in))
    store = taken.store
    assert store.charged > 1.9 * store.taken + 1000
    store.begin(0)
    while store.go_on(100_000):
        pass
    assert store.charged <= 1.25 * store.taken + WORTH
    assert face.mapped() - before <= 1.25 * store.taken + WORTH + SLAB + SPARE
    assert store.moved <= store.taken
    for (at, size), (_, _, fill) in zip(store.kept, stay, strict=True):
        assert store.give(at, size) == bytes([fill]) * size
    assert store.charged == 0


def test_a_slice_is_small_and_the_world_goes_on_meanwhile(face: Face) -> None:
    taken, _ = few_stay(face, 1000, 10)
    store, chance = taken.store, random.Random(1)
    store.begin(0)
    for _ in range(1000):
        assert store.go_on(10_000) <= 10_000 + 1000
        taken.take(1000)
        if chance.random() < 0.5:
            taken.give(chance.randrange(len(taken.blocks)))
        if chance.random() < 0.5:
            at, size = store.kept.pop(chance.randrange(len(store.kept)))
            store.give(at, size)
    store.begin(0)
    store.go_on(1 << 30)  # what the first round has missed, as it was moved itself
    assert store.charged <= 1.25 * store.taken + WORTH
    for at, size in store.kept:
        store.give(at, size)
    taken.give_all(chance)
    assert store.charged == 0


def test_what_cannot_be_moved_is_charged_and_its_slab_used_again(face: Face) -> None:
    taken, stay = few_stay(face, 1000, 100)
    store = taken.store
    store.kept = []
    charged = store.charged
    store.begin(0)
    store.go_on(1 << 30)
    assert store.charged == charged > 10 * store.taken
    while store.taken < charged * 0.99:
        taken.take(1000)
    assert store.charged <= charged + SLAB, "of no new slab"
    taken.blocks += stay
    taken.give_all(random.Random(1))


def test_nothing_is_moved_where_that_is_worth_little(face: Face) -> None:
    taken, _ = few_stay(face, 1000, 2)
    store = taken.store
    store.begin(store.charged - store.taken)
    assert store.go_on(1 << 30) == 0
    for at, size in store.kept:
        store.give(at, size)


# ---- the ceiling ---------------------------------------------------------------------------------

LIMITS = st.sampled_from([1 << 20, 32 << 20, 1 << 30]) | st.integers(1 << 20, 1 << 40)


@given(limit=LIMITS)
def test_the_marks_stand_in_their_order(face: Face, limit: int) -> None:
    reserve, closed, parked = face.Roof(limit).marks
    assert reserve == limit // 32
    assert closed + 3 * reserve == limit
    assert reserve <= parked <= max(limit // 2, reserve)
    assert parked >= min(8 << 20, limit // 2)


@given(limit=LIMITS)
def test_it_closes_where_it_says(face: Face, limit: int) -> None:
    roof = face.Roof(limit)
    reserve, closed, parked = roof.marks
    assert roof.at(0) == {"open"}
    assert roof.at(closed - 2 * reserve) == {"open"}
    assert roof.at(closed - 2 * reserve + 1) == roof.at(closed) == set()
    assert roof.at(closed + 1) == {"closed", "closed again"}
    assert roof.at(limit - reserve) == {"closed", "closed again"}
    assert roof.at(limit - reserve + 1) == roof.at(limit) == {"closed", "closed again", "reached"}
    assert roof.at(limit + 1) == {"closed", "closed again", "reached", "input full"}
    assert "parked full" in roof.at(0, parked + 1)
    assert "parked full" not in roof.at(0, parked)
    assert "input full" in roof.at(0, limit // 2 + 1)


@given(limit=LIMITS, memory=st.floats(0, 1.1), input=st.floats(0, 0.6))
def test_frames_that_wait_are_not_in_their_own_way(face: Face, limit: int, memory: float, input: float) -> None:
    """What was open with them closes no earlier for them; for all others they count."""
    roof = face.Roof(limit)
    alone, with_input = roof.at(int(memory * limit)), roof.at(int(memory * limit), int(input * limit))
    for name in ("open", "closed again", "reached"):
        assert (name in alone) == (name in with_input)
    assert {"open", "closed again"} - with_input, "not both"
    assert alone <= with_input
    total = int(memory * limit) + int(input * limit)
    assert ("closed" in with_input) == (total > roof.marks[1])
