"""What lies on the disk may be damaged: what is left of it is read, nothing that is not as it was, and it is said."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from broker_frames import ack, messages, send, subscribe
from harness.waiting import eventually

from fastbroker.core.disk import Disk
from fastbroker.core.journal import StoreError

ID, SEGMENT = bytes(range(16)), 1 << 17
MESSAGES, ACKED = 1500, 500
PERSISTENT = b"persistent:true\n"
PAGE, HEAD = 4096, 64


def body_of(number: int) -> bytes:
    return b"%d %b" % (number, b"x" * (number % 500))


@pytest.fixture(scope="module")
def directory(face: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The segments of a broker that was killed, with three whole ones and a half."""
    path = tmp_path_factory.mktemp("journal")
    store = Disk(path, ID, SEGMENT)
    house = face.House(store=store)
    client = face.Client(house)
    for first in range(0, MESSAGES, 50):
        client.say(b"".join(send(b"/queue/a", body_of(n), PERSISTENT) for n in range(first, first + 50)))
        settle(house, client, first)
    client.say(subscribe(b"1", b"/queue/a", b"ack:client\nprefetch-count:%d\n" % ACKED))
    house.turn()
    client.say(ack(messages(client.hear())[-1].ack))
    settle(house, client, MESSAGES)
    copy = tmp_path_factory.mktemp("killed")
    shutil.copytree(path, copy, dirs_exist_ok=True)
    store.close()
    return copy


def settle(house: Any, client: Any, number: int) -> None:
    """Until what was said is durable."""
    client.say(send(b"/queue/mark", b"", PERSISTENT + b"receipt:%d\n" % number))

    def told() -> bool:
        house.turn()
        house.hear_store()
        return b"receipt-id:%d\n" % number in client.hear()

    eventually(told, "it is durable")


def what_is_left(face: Any, path: Path) -> tuple[set[int], int]:
    """The numbers of the messages that are there, each as it was sent, and how many bytes were damaged."""
    store = Disk(path, ID, SEGMENT)
    try:
        house = face.House(store=store)
        client = face.Client(house)
        client.say(subscribe(b"1", b"/queue/a", b"ack:client\nprefetch-count:5000\n"))
        house.turn()
        bodies = [each.body for each in messages(client.hear())]
        numbers = [int(body.split(b" ")[0]) for body in bodies]
        assert bodies == list(map(body_of, numbers))
        assert numbers == sorted(set(numbers))
        return set(numbers), store.damaged[0]
    finally:
        store.close()


ALL = set(range(ACKED, MESSAGES))


@pytest.fixture
def copy(directory: Path, tmp_path: Path) -> Iterator[Path]:
    shutil.copytree(directory, tmp_path / "copy")
    yield tmp_path / "copy"


def test_as_it_is(face: Any, copy: Path) -> None:
    assert what_is_left(face, copy) == (ALL, 0)


@pytest.mark.parametrize("more", [0, 1])
def test_a_file_that_was_another_segment_before_has_no_record_of_this_one(face: Any, copy: Path, more: int) -> None:
    """Where its head is damaged, and the numbers of its records would fit, sums tell which segment they are of."""
    last = max(copy.glob("segment-*"))
    number = int(last.name.partition("-")[2], 16)
    data = bytes(HEAD) + last.read_bytes()[HEAD:]
    last.unlink()
    (copy / f"segment-{number + more:016x}").write_bytes(data)
    left, _ = what_is_left(face, copy)
    assert (max(left) == MESSAGES - 1) == (more == 0)


def flip(data: bytearray, at: int) -> None:
    data[at] ^= 1 << random.randrange(8)


def zero(data: bytearray, at: int) -> None:
    at -= at % PAGE
    data[at : at + PAGE] = bytes(len(data[at : at + PAGE]))


def noise(data: bytearray, at: int) -> None:
    data[at : at + 100] = random.randbytes(len(data[at : at + 100]))


@pytest.mark.parametrize("how", [flip, zero, noise])
@pytest.mark.parametrize("attempt", range(15))
def test_damage_in_the_middle_costs_what_it_hits(
    face: Any, copy: Path, how: Callable[[bytearray, int], None], attempt: int
) -> None:
    """A record that is hit is lost: a message, or that one was acknowledged."""
    files = sorted(copy.glob("segment-*"))[:-1]
    file = random.choice(files)
    data = bytearray(file.read_bytes())
    end = len(data.rstrip(b"\0"))
    at = random.randrange(end)
    how(data, at)
    assert file.read_bytes() != data or how is zero
    file.write_bytes(data)
    left, damaged = what_is_left(face, copy)
    least = 0 if how is flip else PAGE // 50
    assert len(ALL - left) <= max(least, 1) or (at < 200 and not damaged)
    assert damaged <= 3 * PAGE or how is flip


@pytest.mark.parametrize("attempt", range(15))
def test_a_tail_that_is_torn_is_cut_off(face: Any, copy: Path, attempt: int) -> None:
    file = max(copy.glob("segment-*"))
    data = file.read_bytes()
    end = len(data.rstrip(b"\0"))
    cut = random.randrange(64, end)
    file.write_bytes(data[:cut])
    left, damaged = what_is_left(face, copy)
    assert damaged == 0
    assert left >= {number for number in ALL if number < MESSAGES // 2}
    again, _ = what_is_left(face, copy)
    assert again == left


def test_a_segment_that_is_missing_is_named(copy: Path) -> None:
    missing = sorted(copy.glob("segment-*"))[1]
    missing.unlink()
    with pytest.raises(StoreError, match=f"{missing.name} is missing"):
        Disk(copy, ID, SEGMENT)


def test_an_empty_file_stands_for_a_segment_that_is_given_up(face: Any, copy: Path) -> None:
    sorted(copy.glob("segment-*"))[1].write_bytes(b"")
    left, _ = what_is_left(face, copy)
    assert left
    assert ALL - left
    assert what_is_left(face, copy)[0] == left


def test_a_segment_of_another_directory_is_refused(copy: Path) -> None:
    with pytest.raises(StoreError, match="segment-0000000000000001 belongs to another data directory"):
        Disk(copy, bytes(16), SEGMENT)


def test_a_segment_of_another_version_is_refused(copy: Path) -> None:
    file = min(copy.glob("segment-*"))
    data = bytearray(file.read_bytes())
    data[8] += 1
    file.write_bytes(data)
    with pytest.raises(StoreError, match="another version"):
        Disk(copy, ID, SEGMENT)


def test_a_copy_of_a_segment_under_another_name_is_refused(copy: Path) -> None:
    """It would be taken for the newest, and what it does not name would be deleted."""
    files = sorted(copy.glob("segment-*"))
    shutil.copy(files[0], copy / "segment-00000000000000ff")
    with pytest.raises(StoreError, match="segment-00000000000000ff is a copy of another segment"):
        Disk(copy, ID, SEGMENT)
    assert sorted(copy.glob("segment-*")) == [*files, copy / "segment-00000000000000ff"]


@pytest.mark.parametrize("which", [0, -1])
def test_a_copy_without_a_head_says_nothing(face: Any, copy: Path, which: int) -> None:
    files = sorted(copy.glob("segment-*"))
    (copy / "segment-00000000000000ff").write_bytes(bytes(64) + files[which].read_bytes()[64:])
    assert what_is_left(face, copy)[0] == ALL
    assert not (copy / "segment-00000000000000ff").exists()


def test_a_segment_of_long_ago_is_not_read(face: Any, copy: Path) -> None:
    """As somebody puts it back from a backup."""
    data = bytearray(min(copy.glob("segment-*")).read_bytes())
    file = copy / "segment-0000000000000000"
    file.write_bytes(bytes(64) + data[64:])
    assert what_is_left(face, copy) == (ALL, 0)
    assert not file.exists()


@pytest.mark.parametrize("at", range(64, 64 + 16 + 8))
def test_each_byte_of_a_record_matters(face: Any, copy: Path, at: int) -> None:
    """Lengths that overflow, kinds that there are not, sums that are wrong."""
    file = sorted(copy.glob("segment-*"))[1]
    data = bytearray(file.read_bytes())
    data[at] ^= 0xFF
    file.write_bytes(data)
    left, _ = what_is_left(face, copy)
    assert len(ALL - left) <= 1


def test_what_begins_like_a_record_everywhere_takes_no_long_time(face: Any, copy: Path) -> None:
    """Content of clients, behind a record that is damaged: each of its words claims to be the longest one."""
    file = sorted(copy.glob("segment-*"))[1]
    data = bytearray(file.read_bytes())
    sequence = int.from_bytes(data[76:80], "little") + 5
    word = b"\xe0\xff\0\0" + b"\x01\x02\x03\x04" + b"\x07\0\0\0" + sequence.to_bytes(4, "little")
    data[1024 : SEGMENT // 2] = (word * SEGMENT)[: SEGMENT // 2 - 1024]
    file.write_bytes(data)
    before = time.process_time()
    what_is_left(face, copy)
    assert time.process_time() - before < 5
