"""WebSocket frames of clients: whatever a read cuts off, they say the same."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[1] / "fuzz")]

from harness.websocket import BINARY, CONTINUATION, PING, PONG, TEXT, head, masked
from reference_websocket import read

from bench.micro.compiled import compiled

Face = Any  # of a module that the type checker knows nothing of
SIZES = st.sampled_from([0, 1, 15, 16, 17, 125, 126, 127, 1000, 65535, 65536, 70_000])


@pytest.fixture(scope="module")
def face() -> Face:
    return compiled(Path(__file__).with_name("wsframe_face.pyx"))


def frame(chance: random.Random, opcode: int, payload: bytes, *, final: bool = True) -> bytes:
    mask = chance.randbytes(4)
    return head(opcode, len(payload), final=final, mask=mask) + masked(payload, mask)


def cut(chance: random.Random, stream: bytes) -> list[bytes]:
    most = chance.choice([1, 3, 20, 5000]) if len(stream) < 2000 else chance.choice([500, 70_000])
    parts, at = [], 0
    while at < len(stream):
        parts.append(stream[at : at + chance.randint(1, most)])
        at += len(parts[-1])
    return parts


@settings(max_examples=100, deadline=None)
@given(
    sizes=st.lists(st.lists(SIZES, min_size=1, max_size=4), max_size=6),
    by_message=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_messages_and_control_frames(face: Face, sizes: list[list[int]], by_message: bool, seed: int) -> None:
    chance = random.Random(seed)
    stream, messages, controls = b"", [], []
    for fragments in sizes:
        message = b""
        for at, size in enumerate(fragments):
            part = chance.randbytes(size)
            opcode = chance.choice([TEXT, BINARY]) if at == 0 else CONTINUATION
            stream += frame(chance, opcode, part, final=at == len(fragments) - 1)
            message += part
            if chance.random() < 0.3:
                controls.append((chance.choice([PING, PONG]), chance.randbytes(chance.choice([0, 1, 125]))))
                stream += frame(chance, *controls[-1])
        messages.append(message)
    frames = face.Frames(by_message)
    for part in cut(chance, stream):
        frames.read(part)
    assert frames.controls == controls
    assert frames.wrong is None
    assert not frames.is_unfinished
    assert frames.messages == (messages if by_message else [])
    assert frames.payload == (b"" if by_message else b"".join(messages))


@settings(max_examples=300, deadline=None)
@given(
    stream=st.lists(
        st.tuples(st.booleans(), st.integers(0, 15), st.sampled_from([0, 0, 0, 1]), st.sampled_from([0, 5, 125, 126])),
        max_size=8,
    ),
    seed=st.integers(0, 2**32),
    noise=st.binary(max_size=30),
)
def test_what_is_wrong_is_found_where_it_is(
    face: Face, stream: list[tuple[bool, int, int, int]], seed: int, noise: bytes
) -> None:
    """As the plainest reader finds it, who sees all at once."""
    chance = random.Random(seed)
    written = b""
    for final, opcode, reserved, size in stream:
        mask = chance.choice([None, b"\0\0\0\0", b"mask", b"mask", b"mask"])
        payload = chance.randbytes(size)
        written += head(opcode, size, final=final, reserved=reserved, mask=mask) + masked(payload, mask or bytes(4))
    written += noise
    heard = read(written)
    frames = face.Frames()
    for part in cut(chance, written):
        frames.read(part)
    closes = [at for at, (opcode, _) in enumerate(frames.controls) if opcode == 8]
    if closes:  # the reader stops there
        return
    assert (frames.wrong is not None) == (heard.code != 0)
    assert frames.payload == heard.payload
    assert [payload for opcode, payload in frames.controls if opcode == PING] == heard.pings


@pytest.mark.parametrize(
    "beginning",
    [
        head(TEXT, 100)[:1],
        head(TEXT, 100),
        head(TEXT, 100) + b"x",
        head(TEXT, 0, final=False),
        head(PING, 5) + b"x",
    ],
)
def test_what_is_not_complete_is_known(face: Face, beginning: bytes) -> None:
    frames = face.Frames()
    assert not frames.is_unfinished
    frames.read(beginning)
    assert frames.is_unfinished


def test_so_many_fragments_and_no_more(face: Face) -> None:
    frames = face.Frames()
    frames.read(head(TEXT, 0, final=False) + head(CONTINUATION, 0, final=False) * 16383)
    assert frames.wrong is None
    frames.read(head(CONTINUATION, 0))
    assert frames.wrong == "too many fragments"
