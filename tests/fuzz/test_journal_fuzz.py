"""A journal with any damage: a broker starts with what is left of it, or is refused with a reason; all is as it was."""

from __future__ import annotations

import random
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from mutations import mutated

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from broker_frames import ack, messages, send, subscribe
from harness.waiting import eventually

from bench.micro.compiled import compiled
from fastbroker.core.disk import Disk
from fastbroker.core.journal import StoreError
from fastbroker.core.survey import Survey
from fastbroker.journal.lines import Added

ID, SEGMENT, MESSAGES = bytes(range(16)), 1 << 17, 700
PERSISTENT = b"persistent:true\n"
ADDED = Added.record


def body_of(number: int) -> bytes:
    return b"%d %b" % (number, b"x" * (number % 500))


@pytest.fixture(scope="module")
def face() -> Any:
    return compiled(Path(__file__).parents[1] / "unit" / "broker_face.pyx")


@pytest.fixture(scope="module")
def whole(face: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The segments of a broker that was killed."""
    path = tmp_path_factory.mktemp("journal")
    store = Disk(path, ID, SEGMENT)
    house = face.House(store=store)
    client = face.Client(house)
    client.say(subscribe(b"1", b"/queue/a", b"ack:client-individual\nprefetch-count:50\n"))
    for number in range(MESSAGES):
        client.say(send(b"/queue/a", body_of(number), PERSISTENT))
        house.turn()
        house.hear_store()
    client.say(b"".join(ack(each.ack) for each in messages(client.hear())[::2]))

    def is_idle() -> bool:
        house.turn()
        house.hear_store()
        return bool(face.store_is_idle(house))

    eventually(is_idle, "all is written")
    found = {file.name: file.read_bytes() for file in path.glob("segment-*")}
    store.close()
    return found


def damaged(data: bytes, chance: random.Random) -> bytes:
    """A stretch of it, or its end."""
    start = chance.randrange(len(data))
    end = min(start + chance.choice([1, 16, 600, 9000]), len(data))
    how = chance.randrange(5)
    if how == 0:
        return data[:start]
    if how == 1:
        return data[:start] + bytes(end - start) + data[end:]
    if how == 2:
        other = chance.randrange(len(data)) & ~7
        return data[:start] + data[other : other + end - start] + data[end:]
    return data[:start] + mutated(data[start:end], chance, most=4) + data[end:]


def surveyed(path: Path) -> list[bytes]:
    """What another journal would need of messages; all else is looked at, too."""
    survey = Survey(path, ID, 64, 0)
    while survey.read():
        pass
    survey.queues(), survey.segments(), survey.kept(), survey.front()
    survey.rewind()
    groups = 0
    while survey.group() is not None:
        groups += 1
    survey.rewind()
    needed = []
    for _ in range(groups):
        needed += [payload for kind, _, payload in survey.needed() or () if kind == ADDED]
    assert survey.needed() is None
    return needed


def test_no_journal_breaks_it(
    face: Any, whole: dict[str, bytes], chance: random.Random, seconds: float, tmp_path: Path
) -> None:
    end = time.monotonic() + seconds
    started = 0
    while time.monotonic() < end or not started:
        path = tmp_path / "data"
        path.mkdir()
        for name, data in whole.items():
            text = data
            for _ in range(chance.choice([0, 1, 1, 5])):
                text = damaged(text, chance) or b"\0"
            (path / name).write_bytes(text)
        try:
            needed = surveyed(path)
            store = Disk(path, ID, SEGMENT)
        except StoreError as refused:
            assert "segment-" in str(refused)
        else:
            started += 1
            house = face.House(store=store)
            client = face.Client(house)
            client.say(subscribe(b"1", b"/queue/a", b"ack:client\nprefetch-count:5000\n"))
            house.turn()
            bodies = [message.body for message in messages(client.hear())]
            numbers = [int(body.partition(b" ")[0]) for body in bodies]
            assert bodies == list(map(body_of, numbers))
            assert numbers == sorted(set(numbers))
            assert len(needed) == len(numbers)
            store.close()
        shutil.rmtree(path)
    assert started
