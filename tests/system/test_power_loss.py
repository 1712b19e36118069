"""Power fails at any time (R2): whatever the disk may hold then, what was promised is there, and nothing else."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "unit")]

from broker_frames import messages, subscribe
from harness.faults import Shim
from harness.power import CUT, MARKED, REMOVED, RENAMED, SYNCED, Choice, Event, Media, Nothing, Some, events_in
from harness.power_life import QUEUES, TOGETHER, open_house

from bench.micro.compiled import compiled

STATES = int(os.environ.get("FASTBROKER_POWER_STATES", "300"))
LIVES = 16
POINTS = 6  # states of the disk that are tried at one point of the trace
LAX = QUEUES[2]


class Promises:
    """What somebody was told."""

    def __init__(self) -> None:
        self.sent: dict[bytes, bytes] = {}
        self.promised: set[bytes] = set()
        self.lasting: set[bytes] = set()  # of what is not synced at once: since then, it was
        self.acked: set[bytes] = set()
        self.gone: set[bytes] = set()
        self.gone_for_good: set[bytes] = set()
        self.together: list[set[bytes]] = []

    def hear(self, event: Event) -> None:
        """The next thing that happened."""
        if event.kind == SYNCED and not event.flags:
            self.lasting |= {each for each in self.promised if self.sent[each] == LAX}
            self.gone_for_good |= {each for each in self.gone if self.sent[each] == LAX}
        if event.kind != MARKED:
            return
        word, *rest = event.data.split(b" ")
        if word == b"sent":
            self.sent[rest[1]] = rest[0]
        elif word == b"promised":
            self.promised.update(rest)
        elif word == b"acked":
            self.acked.add(rest[1])
        elif word == b"gone":
            self.gone.update(rest)
        elif word == TOGETHER:
            self.together.append(set(rest))

    def check(self, there: dict[bytes, list[bytes]]) -> None:
        """Each of them is kept."""
        found = set().union(*there.values())
        for queue, names in there.items():
            assert {self.sent.get(name) for name in names} <= {queue}, "nothing comes that nobody sent"
            numbers = list(map(int, names))
            assert numbers == sorted(set(numbers)), "in order, and once"
        strict = {name for name in self.sent if self.sent[name] != LAX}
        assert not (self.promised & strict | self.lasting) - self.acked - found, "what was promised is there"
        assert not (self.gone & strict | self.gone_for_good) & found, "what is gone does not come again"
        for names in self.together:
            assert names <= found | self.acked or not names & found, "all of a transaction, or nothing"


def what_is_there(face: Any, path: Path) -> dict[bytes, list[bytes]]:
    """By queue; from a broker that starts with it."""
    house, store = open_house(face, path)
    try:
        assert store.damaged[0] == 0, store.damaged
        house.advance(60_000)  # nothing rests any more
        found = defaultdict(list)
        for queue in QUEUES:
            client = face.Client(house)
            client.say(subscribe(b"w", queue, b"ack:client-individual\nprefetch-count:10000\n"))
            house.turn()
            found[queue] = [each.body.partition(b"-")[0] for each in messages(client.hear())]
            client.leave()
        return found
    finally:
        store.close()


@pytest.fixture(scope="module")
def face() -> Any:
    """A broker without sockets."""
    return compiled(ROOT / "tests" / "unit" / "broker_face.pyx")


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> list[Event]:
    """Of some lives, one after the other, on one disk."""
    path = tmp_path_factory.mktemp("power")
    data = path / "data"
    data.mkdir()
    shim = Shim(path, data, traced=True)
    seed = os.environ.get("FASTBROKER_POWER_SEED") or str(random.SystemRandom().randrange(1 << 32))
    print(f"FASTBROKER_POWER_SEED={seed}")
    command = [sys.executable, str(ROOT / "tests/harness/power_life.py"), str(data), seed, str(LIVES)]
    subprocess.run(command, env=shim.environment, cwd=ROOT, check=True, timeout=240)
    return events_in(shim.trace)


def test_what_was_promised_outlives_a_power_cut(face: Any, trace: list[Event], tmp_path: Path) -> None:
    chance = random.Random()
    notable = [at for at, event in enumerate(trace) if event.kind in (CUT, REMOVED, RENAMED)]
    points = [chance.choice(notable) + chance.randint(0, 4) for _ in range(STATES // POINTS // 2)]
    points += chance.choices(range(len(trace)), k=STATES // POINTS // 2)
    points += [at + 1 for at, event in enumerate(trace) if event.kind == CUT]
    points = sorted(min(point, len(trace)) for point in points)
    media, promises, done = Media(), Promises(), 0
    for number, point in enumerate(points):
        for event in trace[done:point]:
            media.do(event)
            promises.hear(event)
        done = point
        for which in range(POINTS):
            choice = [Choice(), Nothing()][which] if which < 2 else Some(chance)
            path = tmp_path / f"{number}-{which}"
            path.mkdir()
            media.write(path, choice)
            before = {file.name: file.stat().st_size for file in path.iterdir()}
            try:
                promises.check(what_is_there(face, path))
            except Exception as failure:
                raise AssertionError(f"event {point} of {len(trace)}, {vars(choice)}, {before}") from failure
            for file in path.iterdir():
                file.unlink()


def test_the_trace_has_what_matters(trace: list[Event]) -> None:
    """Segments were begun, and went, or were used again; all was said and heard."""
    kinds = {(event.kind, re.sub(r"\d+", "", event.name)) for event in trace}
    assert {"spare-", "segment-"} <= {name for _, name in kinds}
    assert (REMOVED, "segment-") in kinds
    renamed = {(event.name[:6], event.data[:6]) for event in trace if event.kind == RENAMED}
    assert {("spare-", b"segmen"), ("segmen", b"spare-")} <= renamed
    words = {event.data.split(b" ")[0] for event in trace if event.kind == MARKED}
    assert words == {b"sent", b"promised", b"acked", b"gone", TOGETHER}
