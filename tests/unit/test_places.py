"""Who makes room for a newcomer when those who have not logged in have all places."""

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
MOST, LEAST, START = 40, 1000, 1_000_000
LOOK, FAIR = 16, 2


@pytest.fixture(scope="module")
def face() -> Face:
    return compiled(Path(__file__).with_name("places_face.pyx"))


@pytest.fixture
def crowd(face: Face) -> Face:
    return face.Crowd(MOST, LEAST)


def peer(host: int, port: int = 1) -> bytes:
    return b"10.0.%d.%d:%d" % (host // 256, host % 256, port)


def fill(crowd: Face, number: int, host: int = 1) -> list[Face]:
    return [crowd.enters(f"{host}.{each}", START + each, peer(host, each)) for each in range(number)]


def test_places_are_counted(crowd: Face) -> None:
    guests = fill(crowd, MOST)
    assert (crowd.taken, crowd.is_too_large) == (MOST, False)
    fill(crowd, 1)
    assert crowd.is_too_large
    guests[7].leaves()
    guests[7].leaves()
    assert (crowd.taken, crowd.is_too_large) == (MOST, False)


def test_the_oldest_goes_when_it_has_had_its_time(crowd: Face) -> None:
    guests = fill(crowd, MOST)
    newcomer = crowd.enters("new", START + 500, peer(1))
    assert newcomer.makes_room(START + LEAST - 1) is None
    assert newcomer.makes_room(START + LEAST) == "1.0"
    guests[0].leaves()
    assert newcomer.makes_room(START + LEAST) is None
    assert newcomer.makes_room(START + LEAST + 1) == "1.1"


def test_nobody_makes_room_for_itself(crowd: Face) -> None:
    assert crowd.enters("new", START).makes_room(START + 10 * LEAST) is None


def test_whom_we_keep_waiting_has_a_place_and_is_not_late(crowd: Face) -> None:
    for guest in fill(crowd, MOST)[:3]:
        guest.says_what_it_has_to()
    newcomer = crowd.enters("new", START, peer(1))
    assert crowd.taken == MOST + 1
    assert newcomer.makes_room(START + 10 * LEAST) == "1.3"


def test_the_host_with_the_most_makes_room_first(crowd: Face) -> None:
    crowd.enters("slow", START, peer(2))
    fill(crowd, MOST)
    newcomer = crowd.enters("new", START, peer(3))
    assert newcomer.makes_room(START + 10 * LEAST) == "1.0"


def test_only_some_of_the_oldest_are_compared(crowd: Face) -> None:
    for each in range(LOOK):
        crowd.enters(f"slow {each}", START, peer(100 + each))
    fill(crowd, MOST)
    newcomer = crowd.enters("new", START, peer(3))
    assert newcomer.makes_room(START + 10 * LEAST) == "slow 0"


@pytest.mark.parametrize("number", [FAIR, FAIR + 1])
def test_a_host_that_has_much_more_makes_room_at_once(crowd: Face, number: int) -> None:
    """But for itself: who comes back faster than others may be asked to go, keeps out its own."""
    fill(crowd, number)
    newcomer = crowd.enters("new", START, peer(2))
    assert newcomer.makes_room(START) == ("1.0" if number > FAIR else None)
    same = crowd.enters("same", START, peer(1))
    assert same.makes_room(START) is None


def test_a_host_that_we_keep_waiting_has_its_places_too(crowd: Face) -> None:
    guests = fill(crowd, FAIR + 1)
    guests[0].says_what_it_has_to()
    assert crowd.enters("new", START, peer(2)).makes_room(START) == "1.1"


SAME = [
    (b"10.1.2.3:1", b"10.1.2.3:65535"),
    (b"[2001:db8:0:1::1]:1", b"[2001:db8::1:ffff:0:0:7]:2"),
    (b"[fe80::1%eth0]:1", b"[fe80::2%eth1]:1"),
    (b"unix:pid=1,uid=0,gid=0", b"unix:pid=77,uid=1000,gid=1000"),
    (b"unknown", b"unknown"),
    (b"", b""),
]
OTHERS = [
    (b"10.1.2.3:1", b"10.1.2.4:1"),
    (b"[2001:db8:0:1::1]:1", b"[2001:db8:0:2::1]:1"),
    (b"[::ffff:10.1.2.3]:1", b"[::ffff:10.1.2.4]:1"),
    (b"unknown", b"unix:pid=1,uid=0,gid=0"),
    (b"[", b"[::1]:1"),
    (b"[" + b"1" * 100, b"[" + b"1" * 101),
]


@pytest.mark.parametrize(
    ("one", "other", "same"), [(*pair, True) for pair in SAME] + [(*pair, False) for pair in OTHERS]
)
def test_who_counts_as_one_host(crowd: Face, one: bytes, other: bytes, same: bool) -> None:
    for each in range(FAIR + 1):
        crowd.enters(each, START, one)
    newcomer = crowd.enters("new", START, other)
    assert newcomer.makes_room(START) == (None if same else 0)


@settings(max_examples=settings.default.max_examples, deadline=None)
@given(chance=st.randoms(use_true_random=False), steps=st.integers(0, 300))
def test_whatever_happens_the_rule_holds(face: Face, chance: random.Random, steps: int) -> None:
    """Beside a model of it that looks at everybody."""
    crowd = face.Crowd(MOST, LEAST, 7)
    guests: dict[int, tuple[Face, int, int]] = {}
    spoken: set[int] = set()
    now = START
    for step in range(steps):
        now += chance.randrange(100)
        host = chance.choice([1, 1, 1, 2, 3, 4])
        guest = crowd.enters(step, now, peer(host))
        guests[step] = (guest, host, now)
        has = {each: sum(of == each for _, of, _ in guests.values()) for each in range(5)}
        oldest = [name for name in guests if name not in spoken][:LOOK]
        may_go = [
            name
            for name in oldest
            if name != step and (now >= guests[name][2] + LEAST or has[guests[name][1]] > FAIR * has[host])
        ]
        expected = max(may_go, key=lambda name: has[guests[name][1]], default=None)
        assert guest.makes_room(now) == expected
        for name in chance.sample(sorted(guests), chance.randrange(min(3, len(guests)))):
            if chance.random() < 0.5:
                guests[name][0].says_what_it_has_to()
                spoken.add(name)
            else:
                guests.pop(name)[0].leaves()
        assert crowd.taken == len(guests)
