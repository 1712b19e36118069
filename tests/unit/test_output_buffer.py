"""Output: it is a queue of bytes, whatever goes by reference; and frames are wrapped as they are written."""

from __future__ import annotations

import json
import random
import socket
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
TEXT, BINARY = 1, 2
SMALLEST = 1024
SIZES = [0, 1, 100, 119, 120, 121, 125, 126, 127, 1000, 65530, 65535, 65536, 70_000]


@pytest.fixture(scope="module")
def face() -> Face:
    return compiled(Path(__file__).with_name("output_face.pyx"))


# ---- as a queue of bytes -------------------------------------------------------------------------


class OutputMachine(RuleBasedStateMachine):
    """Every call beside the same call of a bytearray."""

    def __init__(self, face: Face) -> None:
        super().__init__()
        self.output = face.Output()
        self.model = bytearray()

    @rule(text=st.binary(max_size=50), times=st.integers(1, 100))
    def put(self, text: bytes, times: int) -> None:
        self.output.put(text * times)
        self.model += text * times

    @rule(text=st.binary(min_size=1, max_size=50), times=st.integers(1, 100))
    def put_shared(self, text: bytes, times: int) -> None:
        self.output.put_shared(text * times)
        self.model += text * times

    @rule(share=st.floats(0, 1))
    def take(self, share: float) -> None:
        length = int(len(self.model) * share)
        assert self.output.take(length) == bytes(self.model[:length])
        del self.model[:length]

    @rule()
    def take_all(self) -> None:
        assert self.output.take(sys.maxsize) == bytes(self.model)
        self.model.clear()

    @invariant()
    def is_as_long(self) -> None:
        assert self.output.pending == len(self.model)

    @invariant()
    def holds_nothing_when_all_is_sent(self) -> None:
        if not self.model:
            assert (self.output.memory, self.output.bodies) == (0, 0)

    def teardown(self) -> None:
        self.output.clear()
        assert (self.output.memory, self.output.bodies) == (0, 0)


def test_it_is_a_queue_of_bytes(face: Face) -> None:
    steps = settings(max_examples=60, stateful_step_count=40, deadline=None)
    run_state_machine_as_test(lambda: OutputMachine(face), settings=steps)  # type: ignore[arg-type]


@pytest.mark.parametrize("way", ["put", "put_shared"])
def test_too_much_dooms_it(face: Face, way: str) -> None:
    output = face.Output(hard=16_000)
    getattr(output, way)(b"x" * 15_000)
    assert not output.doom
    assert not output.is_dirty
    getattr(output, way)(b"y" * 2000)
    assert output.doom
    assert output.is_dirty, "somebody must look at it"
    assert output.pending <= 16_000
    output.put(b"z")
    assert output.pending <= 16_000


def test_buffers_that_grow_are_given_back(face: Face) -> None:
    output = face.Output()
    for size in (100, 5000, 100_000, 5_000_000):
        output.put(b"x" * size)
        assert size <= output.memory <= 8 * size + SMALLEST
        output.take(size)
        assert output.memory == 0


def test_what_is_large_and_alone_is_sent_at_once(face: Face) -> None:
    here, there = socket.socketpair()
    output = face.Output()
    output.put(b"x" * 1000)
    output.push(here.fileno(), 1000)
    assert output.pending == 1000, "it is not worth a system call"
    output.put(b"y" * 50_000)
    output.push(here.fileno(), 50_000)
    assert output.pending == 51_000, "something stands before it"
    output.take(51_000)
    output.put(b"z" * 50_000)
    output.push(here.fileno(), 50_000)
    assert output.pending == 0
    assert there.recv(100_000).startswith(b"z")
    here.close()
    there.close()


def test_buffers_of_all_sizes_together_are_kept_up_to_a_bound(face: Face) -> None:
    output = face.Output()
    assert output.come_and_go(3 << 20, 2) == 8 << 20, "large ones are used again, too"
    for size in (1 << size for size in range(9, 22)):
        assert output.come_and_go(size, (48 << 20) // size) <= 32 << 20


# ---- frames --------------------------------------------------------------------------------------


def messages(stream: bytes) -> list[tuple[int, bytes]]:
    """(opcode, payload) of each WebSocket frame, whose length must be in its shortest form."""
    found, at = [], 0
    while at < len(stream):
        assert stream[at] & 0xF0 == 0x80
        length, size = stream[at + 1], {126: 2, 127: 8}.get(stream[at + 1], 0)
        if size:
            length = int.from_bytes(stream[at + 2 : at + 2 + size], "big")
            assert length >= (126 if size == 2 else 65536)
        start = at + 2 + size
        found.append((stream[at] & 15, stream[start : start + length]))
        at = start + length
    return found


PARTS = st.lists(
    st.builds(lambda kind, size: kind(b"p" * size), st.sampled_from([bytes, bytearray]), st.sampled_from(SIZES[1:])),
    min_size=1,
    max_size=4,
)


@settings(max_examples=150, deadline=None)
@given(frames=st.lists(PARTS, min_size=1, max_size=6), chance=st.randoms(use_true_random=False))
def test_each_frame_is_a_message(face: Face, frames: list[list[Any]], chance: random.Random) -> None:
    output = face.Output("websocket")
    sent = b""
    expected = []
    for number, parts in enumerate(frames):
        parts = [b"%d:" % number, *parts]
        opcode = chance.choice([TEXT, BINARY])
        output.put_frame(parts, opcode)
        expected.append((opcode, b"".join(map(bytes, parts))))
        sent += output.take(chance.choice([0, 1, 10, 100, 70_000]))
    sent += output.take(sys.maxsize)
    assert messages(sent) == expected
    output.clear()
    assert (output.memory, output.bodies) == (0, 0)


@pytest.mark.parametrize("size", SIZES)
def test_sockjs_messages(face: Face, size: int) -> None:
    output = face.Output("sockjs")
    text = ('"ż\n\\x' * size)[:size]
    for _ in range(3):
        output.put_frame([b"MESSAGE\n\n", text.encode(), b"\0"], BINARY)
    found = messages(output.take(sys.maxsize))
    assert [opcode for opcode, _ in found] == [TEXT] * 3
    for _, payload in found:
        assert payload[:1] == b"a"
        assert json.loads(payload[1:]) == [f"MESSAGE\n\n{text}\0"]


def test_without_framing_a_frame_is_its_bytes(face: Face) -> None:
    output = face.Output()
    output.put_frame([b"a", bytearray(b"b" * 10_000), b"c\0\n"], BINARY)
    assert output.take(sys.maxsize) == b"a" + b"b" * 10_000 + b"c\0\n"


def test_what_swells_is_not_doomed_for_it(face: Face) -> None:
    output = face.Output("sockjs", hard=10_000)
    output.put_frame([b"\x01" * 9900], TEXT)
    assert not output.doom
    for _ in range(10):
        output.put_frame([b"\x01" * 9900], TEXT)
    assert output.doom
    assert output.pending <= 60_000


# ---- JSON ----------------------------------------------------------------------------------------


def questioned(text: bytes) -> str:
    """As text, with a question mark for each byte that is no UTF-8."""
    found = []
    at = 0
    while at < len(text):
        for length in (1, 2, 3, 4):
            try:
                found.append(text[at : at + length].decode())
            except UnicodeDecodeError:
                continue
            at += length
            break
        else:
            found.append("?")
            at += 1
    return "".join(found)


@settings(max_examples=400, deadline=None)
@given(
    text=st.binary(max_size=100)
    | st.text(max_size=100).map(str.encode)
    | st.text(max_size=9).map(lambda t: t.encode() * 20),
    room=st.integers(16, 200),
)
def test_json_says_the_same(face: Face, text: bytes, room: int) -> None:
    made = face.escaped(text, room)
    assert made is not None, "it comes to an end, however little room there is"
    assert json.loads(b'"' + made + b'"') == questioned(text)
    assert len(made) <= 6 * len(text)


def test_json_of_every_character(face: Face) -> None:
    everything = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x11_0000, 7)]))
    assert json.loads(b'"' + face.escaped(everything.encode(), 4096) + b'"') == everything
    for byte in range(256):
        assert json.loads(b'"' + face.escaped(bytes([byte]), 16) + b'"') == (chr(byte) if byte < 0x80 else "?")


@pytest.mark.parametrize("text", [b"x" * 100_000, b"\x01" * 100_000, b"\xff\n" * 50_000, "ż".encode() * 5000, b"x"])
def test_bodies_in_json_are_charged(face: Face, text: bytes) -> None:
    made, charged, left = face.wrapped(text)
    assert json.loads(b'"' + made + b'"') == questioned(text)
    assert len(made) < charged < len(made) + 100
    assert left == 0
