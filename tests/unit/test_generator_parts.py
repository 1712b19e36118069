"""What the load generator is made of: histogram, stamps, checksums, tallies."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.micro.compiled import compiled

NEXT, AHEAD, LATE, AGAIN = range(4)
LONGEST = 2**47 - 1

Face = Any  # of a module that the type checker knows nothing of


@pytest.fixture(scope="module")
def face() -> Face:
    return compiled(Path(__file__).with_name("generator_face.pyx"))


# ---- histogram ----


@given(st.integers(0, LONGEST))
def test_a_bucket_is_within_a_thousandth_of_what_falls_into_it(face: Face, ns: int) -> None:
    middle = face.middle_of(face.bucket_of(ns))
    assert middle == ns if ns < 2048 else abs(middle - ns) <= ns / 2000


def test_buckets_follow_each_other_without_a_gap(face: Face) -> None:
    middles = [face.middle_of(bucket) for bucket in range(face.bucket_count())]
    assert middles == sorted(set(middles))
    assert [face.bucket_of(middle) for middle in middles] == list(range(face.bucket_count()))


@pytest.mark.parametrize("power", range(48))
def test_powers_of_two_are_where_buckets_begin(face: Face, power: int) -> None:
    assert face.bucket_of(2**power) == min(face.bucket_of(2**power - 1) + 1, face.bucket_count() - 1)


def test_what_takes_longer_than_a_day_and_a_half_counts_as_that(face: Face) -> None:
    assert face.bucket_of(2**64 - 1) == face.bucket_of(LONGEST) == face.bucket_count() - 1


# ---- stamps ----

STAMPS = st.tuples(st.integers(0, 2**18 - 1), st.integers(0, 2**36 - 1), st.integers(0, 2**42 - 1))
LETTERS = bytes(range(ord("0"), ord("o") + 1))


@given(STAMPS)
def test_stamps_are_read_as_they_were_written(face: Face, stamp: tuple[int, int, int]) -> None:
    text = face.stamped(*stamp)
    assert set(text) <= set(LETTERS)
    assert face.read_stamp(text) == stamp


@given(STAMPS, STAMPS)
def test_stamps_are_in_the_order_of_their_numbers(face: Face, one: Any, other: Any) -> None:
    assert (face.stamped(*one) < face.stamped(*other)) == (one < other)


@pytest.mark.parametrize("at", range(16))
def test_any_other_byte_spoils_a_stamp(face: Face, at: int) -> None:
    text = bytearray(face.stamped(5, 6, 7))
    for byte in set(range(256)) - set(LETTERS):
        text[at] = byte
        assert face.read_stamp(bytes(text)) is None


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**42 - 1))
def test_receipt_ids_need_no_escapes(face: Face, number: int, time: int) -> None:
    text = face.receipt_id(number, time)
    assert set(text) <= set(b"abcdefghijklmnop")
    assert face.read_receipt(text) == (number, time)


@pytest.mark.parametrize("at", range(24))
def test_other_letters_are_no_receipt_id(face: Face, at: int) -> None:
    text = bytearray(face.receipt_id(2**40, 2**40))
    for byte in set(range(256)) - set(b"abcdefghijklmnop"):
        text[at] = byte
        assert face.read_receipt(bytes(text)) is None


# ---- checksums ----


@pytest.mark.parametrize("size", [22, 23, 29, 30, 31, 100, 1000])
def test_every_changed_bit_is_found(face: Face, size: int) -> None:
    body = face.verified_body(size, 3, 4)
    assert face.is_verified(body)
    assert not {0, 10, 13} & set(body)
    for bit in range(8 * size):
        changed = bytearray(body)
        changed[bit // 8] ^= 1 << bit % 8
        assert not face.is_verified(bytes(changed)), bit


def test_bodies_differ_from_message_to_message(face: Face) -> None:
    fillers = {face.verified_body(100, stream, number)[22:] for stream in range(5) for number in range(20)}
    assert len(fillers) == 100


# ---- tallies ----

NUMBERS = st.lists(st.integers(0, 300), max_size=400)


@given(NUMBERS)
def test_a_tally_knows_what_has_come(face: Face, numbers: list[int]) -> None:
    tally, came, end = face.Tallied(2**20), set[int](), 0
    for number in numbers:
        expected = AGAIN if number in came else LATE if number < end else NEXT if number == end else AHEAD
        assert tally.take(number) == expected
        came.add(number)
        end = max(end, number + 1)
        assert tally.base == next(least for least in range(302) if least not in came)


def test_in_order_a_tally_takes_no_memory(face: Face) -> None:
    tally = face.Tallied(2**20)
    assert {tally.take(number) for number in range(10_000)} == {NEXT}
    assert tally.capacity == 0


@given(st.integers(64, 4096))
def test_the_memory_of_a_tally_has_a_bound(face: Face, last: int) -> None:
    tally = face.Tallied(64)
    assert [tally.take(number) for number in range(1, last + 1)] == [AHEAD] + [NEXT] * (last - 1)
    assert tally.capacity == 64
    assert tally.take(0) == (LATE if last < 64 else AGAIN)  # given up, so it counts as having come
    assert tally.base == last + 1
    assert tally.take(2**35) == AHEAD
    assert tally.take(2**35 - 1) == LATE
