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
STEP, LARGEST, SLAB, SLABS_KEPT = 64, 1024, 262_144, 32


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

    @rule(size=st.integers(1, 1300), count=st.integers(1, 300))
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
            assert at % (STEP if size <= LARGEST else 16) == 0
            end = at + size

    @invariant()
    def a_slab_is_mapped_for_what_is_in_it(self) -> None:
        used = {at // SLAB for at, size, _ in self.taken.blocks if size <= LARGEST}
        assert len(used) * SLAB <= self.face.mapped() - self.before <= (len(used) + SLABS_KEPT) * SLAB

    def teardown(self) -> None:
        self.taken.give_all(random.Random(1))
        self.a_slab_is_mapped_for_what_is_in_it()


@pytest.mark.hypothesis
def test_blocks_are_ones_own(face: Face) -> None:
    steps = settings(stateful_step_count=15, max_examples=settings.default.max_examples // 4)
    run_state_machine_as_test(lambda: BlocksMachine(face), settings=steps)  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [1, 64, 65, 640, 1024])
@pytest.mark.parametrize("order", ["the same", "any"])
def test_slabs_go_back_to_the_system(face: Face, size: int, order: str) -> None:
    before, taken = face.mapped(), Taken(face)
    count = 20_000_000 // face.cost(size) // 2
    for _ in range(count):
        taken.take(size)
    held = face.mapped() - before
    assert held < 1.02 * count * face.cost(size) + 2 * SLAB, "a block costs what it is said to cost"
    if order == "any":
        random.Random(1).shuffle(taken.blocks)
    for _ in range(count):
        taken.give(-1)
    assert face.mapped() - before <= SLABS_KEPT * SLAB < held
    for _ in range(1000):
        taken.take(size)
        taken.give(0)
    assert face.mapped() - before <= SLABS_KEPT * SLAB, "what was kept is used again"


@pytest.mark.parametrize("size", [LARGEST + 1, 5000, 1 << 20])
def test_what_is_large_is_in_no_slab(face: Face, size: int) -> None:
    before, taken = face.mapped(), Taken(face)
    for _ in range(10):
        taken.take(size)
    assert face.mapped() == before
    assert size < face.cost(size) <= size + 16
    taken.give_all(random.Random(1))


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
