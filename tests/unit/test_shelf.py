"""The shelf of a queue, beside a plain dictionary."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.micro.compiled import compiled

Face = Any  # of a module that the type checker knows nothing of
MANY = 20_000


@pytest.fixture(scope="module")
def face() -> Face:
    return compiled(Path(__file__).with_name("shelf_face.pyx"))


picks = st.integers(0, 1000)


class ShelfMachine(RuleBasedStateMachine):
    """Places with when they expire and their names, put in and taken in any order."""

    def __init__(self, face: Face) -> None:
        super().__init__()
        self.face = face
        self.shelf = face.Shelved()
        self.there: dict[int, tuple[int | None, int]] = {}
        self.stamps: dict[int, int] = {}

    @rule(priority=st.integers(0, 9), number=st.integers(0, 300), expires=st.none() | st.integers(1, 50), name=picks)
    def put(self, priority: int, number: int, expires: int | None, name: int) -> None:
        place = self.face.place(priority, number)
        if place not in self.there and (not name or name not in {each for _, each in self.there.values()}):
            self.shelf.put(place, expires, name, number)
            self.there[place] = expires, name
            self.stamps[place] = self.shelf.stamp or 0

    @rule(pick=picks)
    def take(self, pick: int) -> None:
        if self.there:
            place = [*self.there][pick % len(self.there)]
            del self.there[place]
            assert self.shelf.take(place) == place % 2**60

    @rule(priority=st.integers(0, 9), number=st.integers(0, 300))
    def walk(self, priority: int, number: int) -> None:
        place = self.face.place(priority, number)
        assert self.shelf.after(place) == min((each for each in self.there if each >= place), default=None)

    @rule(stamps=st.booleans())
    def stamp(self, stamps: bool) -> None:
        if stamps and self.shelf.stamp is None:
            self.shelf.begin_to_stamp()
            self.stamps = dict.fromkeys(self.there, self.shelf.stamp)
        elif not stamps:
            self.shelf.stop_stamping()

    @rule(pick=picks, seen=st.booleans())
    def show_or_hide(self, pick: int, seen: bool) -> None:
        if self.there and self.shelf.stamp is not None:
            place = [*self.there][pick % len(self.there)]
            self.shelf.see(place, seen)
            self.stamps[place] = self.shelf.stamp if seen else -1

    @rule(priority=st.integers(0, 9), number=st.integers(0, 300), age=st.integers(-1, 20))
    def find_what_is_newer(self, priority: int, number: int, age: int) -> None:
        if self.shelf.stamp is None:
            return
        place, since = self.face.place(priority, number), self.shelf.stamp - age
        newer = sorted(each for each in self.there if self.stamps[each] >= since)
        assert self.shelf.newer(place, since) == next((each for each in newer if each >= place), None)
        for each in self.there:
            assert self.shelf.newer_behind(each, since) == next((other for other in newer if other > each), None)

    @rule()
    def take_all_that_expire(self) -> None:
        while (found := self.shelf.expiring()) is not None:
            expires, place = found
            assert expires == self.there[place][0]
            first = min((each, where) for where, (each, _) in self.there.items() if each is not None)
            assert first == (expires, place)
            self.shelf.take(place)
            del self.there[place]
        assert not any(expires for expires, _ in self.there.values())

    @invariant()
    def looks_the_same(self) -> None:
        assert len(self.shelf) == len(self.there)
        assert self.shelf.after(0) == min(self.there, default=None)
        assert self.shelf.last() == max(self.there, default=None)
        assert {name: self.shelf.named(name) for _, name in self.there.values() if name} == {
            name: place for place, (_, name) in self.there.items() if name
        }
        assert self.shelf.named(1001) is None
        assert self.shelf.depth <= len(self.there)
        assert self.shelf.memory == self.shelf.room


@pytest.mark.hypothesis
def test_it_is_a_dictionary(face: Face) -> None:
    run_state_machine_as_test(lambda: ShelfMachine(face))  # type: ignore[arg-type]


def test_high_priorities_come_first_and_older_ones_within_one(face: Face) -> None:
    places = [face.place(priority, number) for priority in range(9, -1, -1) for number in (0, 1, 2**60 - 1)]
    assert places == sorted(places)
    assert [face.lane(place) for place in places[:3]] == [face.place(9, 0)] * 3


@pytest.mark.parametrize("order", ["rising", "falling", "any"])
def test_however_it_is_filled_it_is_flat_and_gives_its_memory_back(face: Face, order: str) -> None:
    chance = random.Random(1)
    numbers = list(range(1, MANY + 1))
    if order == "any":
        chance.shuffle(numbers)
    elif order == "falling":
        numbers.reverse()
    shelf = face.Shelved()
    for number in numbers:
        shelf.put(face.place(number % 10, number), number, number, number)
    assert shelf.depth < 60, "2 to 3 times the logarithm"
    assert shelf.memory <= 2 * MANY * (face.NODE + 4) + 4096
    assert all(shelf.named(number) == face.place(number % 10, number) for number in numbers)
    chance.shuffle(numbers)
    while numbers:
        number = numbers.pop()
        assert shelf.take(face.place(number % 10, number)) == number
        assert shelf.memory <= 4 * max(len(numbers), 8) * face.NODE + 8 * MANY
    assert shelf.memory <= 8 * face.NODE
