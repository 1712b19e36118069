"""Rings, the timers' wheel, and how long a slow subscriber may hold others."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.micro.compiled import compiled

Face = Any  # of a module that the type checker knows nothing of
TICK = 10
REVOLUTION = 1024 * TICK
GRACE, MINUTE = 1000, 60_000
PACE = 4 << 20
"""Bytes a second that cost nobody anything."""


@pytest.fixture(scope="module")
def face() -> Face:
    return compiled(Path(__file__).with_name("turns_face.pyx"))


# ---- rings ---------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(chance=st.randoms(use_true_random=False), steps=st.integers(0, 200))
def test_rings_are_lists(face: Face, chance: random.Random, steps: int) -> None:
    members = [face.Member(number) for number in range(10)]
    rings, models = [face.Ring(), face.Ring()], [[], []]  # type: ignore[var-annotated]
    for _ in range(steps):
        which, member = chance.randrange(2), chance.choice(members)
        what = chance.choice(["join", "join", "leave", "take", "splice"])
        if what in ("join", "leave"):
            for model in models:
                if member.name in model:
                    model.remove(member.name)
        if what == "join":
            rings[which].join(member)
            models[which].append(member.name)
        elif what == "leave":
            member.leave()
        elif what == "take":
            assert rings[which].take() == (models[which].pop(0) if models[which] else None)
        else:
            rings[which].splice(rings[1 - which])
            models[which] += models[1 - which]
            models[1 - which].clear()
        assert [ring.names for ring in rings] == models
        assert [ring.is_empty for ring in rings] == [not model for model in models]
        assert all(each.stands == (each.name in models[0] + models[1]) for each in members)


# ---- the wheel -----------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    start=st.integers(1, 10**9),
    dues=st.lists(st.integers(-50, 3 * REVOLUTION), min_size=1, max_size=30),
    chance=st.randoms(use_true_random=False),
)
def test_timers_fire_once_and_never_early(face: Face, start: int, dues: list[int], chance: random.Random) -> None:
    clock = face.Clock(start)
    alarms = [clock.alarm(number) for number in range(len(dues))]
    for alarm, due in zip(alarms, dues, strict=True):
        clock.arm(alarm, max(start + due, 0))
    gone = {number for number in range(len(dues)) if chance.random() < 0.2}
    for number in gone:
        clock.cancel(alarms[number])
    clock.advance(start + 3 * REVOLUTION + 100)
    fired = dict(clock.fired)
    assert len(fired) == len(clock.fired)
    assert set(fired) == set(range(len(dues))) - gone
    for number, at in fired.items():
        assert 0 <= at - max(start + dues[number], start) <= 2 * TICK
    assert not any(alarm.is_armed for alarm in alarms)


def test_timers_may_arm_and_cancel_each_other(face: Face) -> None:
    clock = face.Clock(1)
    one, two, three = (clock.alarm(name) for name in "abc")

    def then(alarm: Face) -> None:
        clock.cancel(two)
        if len(clock.fired) < 3:
            clock.arm(one, clock.now)

    clock.then = then
    for alarm in (one, two, three):
        clock.arm(alarm, 100)
    clock.advance(1000)
    assert [name for name, _ in clock.fired] == ["a", "c", "a"]


# ---- flow ----------------------------------------------------------------------------------------


def test_who_is_slow_for_the_first_time_has_the_whole_grace(face: Face) -> None:
    subscriber = face.Subscriber()
    assert subscriber.due == 0
    assert subscriber.press(5000, GRACE)
    assert not subscriber.press(5100, GRACE), "nothing is new"
    assert subscriber.due == 5000 + GRACE


@pytest.mark.parametrize("grace", [0, 1, 400, GRACE, MINUTE])
def test_grace_is_a_share_of_a_minute(face: Face, grace: int) -> None:
    """A subscriber that eases whenever it must, and is slow again at once, holds others for no more than that."""
    subscriber = face.Subscriber()
    now, held = 1, 0
    while now < 10 * MINUTE and held <= 20 * grace:
        subscriber.press(now, grace)
        pause = min(subscriber.due - now, 900)
        held += pause
        now += pause
        subscriber.ease(now)
        now += 1  # what it took is gone at once
    assert held <= grace + now * grace // MINUTE + 1


def test_grace_is_filled_again(face: Face) -> None:
    subscriber = face.Subscriber()
    subscriber.press(1000, GRACE)
    subscriber.ease(1000 + GRACE - 1)
    subscriber.press(2000 + MINUTE // 2, GRACE)
    assert GRACE * 0.4 < subscriber.due - (2000 + MINUTE // 2) < GRACE * 0.6
    subscriber.ease(2000 + MINUTE // 2 + 1)
    subscriber.press(2000 + 3 * MINUTE, GRACE)
    assert subscriber.due == 2000 + 3 * MINUTE + GRACE


@pytest.mark.parametrize("every", [1, 7, 100])
def test_who_reads_at_the_pace_is_never_given_up(face: Face, every: int) -> None:
    subscriber = face.Subscriber()
    subscriber.press(1000, GRACE)
    for now in range(1000 + every, 1000 + 3 * MINUTE, every):
        assert now < subscriber.due
        subscriber.take(PACE * every // 1000 + 1, now, GRACE)


def test_who_reads_at_half_of_it_loses_half_of_the_time(face: Face) -> None:
    subscriber = face.Subscriber()
    subscriber.press(1000, GRACE)
    now = 1000
    while (now := now + 10) < subscriber.due:
        subscriber.take(PACE // 200, now, GRACE)
    assert 1.8 * GRACE < now - 1000 < 2.2 * GRACE


def test_nobody_saves_up_more_than_the_grace(face: Face) -> None:
    subscriber = face.Subscriber()
    subscriber.press(1000, GRACE)
    subscriber.take(1 << 40, 1001, GRACE)
    assert subscriber.due <= 1001 + GRACE


def test_who_is_overdue_is_so_until_it_eases(face: Face) -> None:
    subscriber = face.Subscriber()
    subscriber.press(1000, GRACE)
    subscriber.give_up()
    subscriber.take(1 << 20, 5000, GRACE)
    assert (subscriber.due, subscriber.is_overdue) == (0, True)
    subscriber.ease(6000)
    assert not subscriber.is_overdue
    subscriber.press(6001, GRACE)
    assert subscriber.due - 6001 < GRACE // 10
