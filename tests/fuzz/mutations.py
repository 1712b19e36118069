"""Bytes that are nearly what they should be."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

WORDS = [
    *(
        b"\n",
        b"\r\n",
        b"\r",
        b"\0",
        b"\n\n",
        b"\n\n\0",
        b"\0\n",
        b":",
        b"\\",
        b"\\c",
        b"\\r",
        b" ",
        b"\t",
        b"\xff",
        b"\xc3\xa9",
    ),
    *(
        b"SEND\n",
        b"SUB\n",
        b"CONNECT\n",
        b"STOMP\n",
        b"ACK\n",
        b"destination:/queue/a\n",
        b"content-length:",
        b"id:1\n",
    ),
    *(b"0", b"1", b"9" * 10, b"9" * 30, b"-1", b"x" * 15, b"x" * 16, b"x" * 17, b"x" * 33),
]


def insert(stream: bytes, chance: random.Random) -> bytes:
    at = chance.randint(0, len(stream))
    return stream[:at] + chance.choice(WORDS) + stream[at:]


def remove(stream: bytes, chance: random.Random) -> bytes:
    at = chance.randint(0, len(stream))
    return stream[:at] + stream[at + chance.choice([1, 1, 2, 8, 40]) :]


def flip(stream: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(stream) or 1)
    return stream[:at] + bytes([chance.randrange(256)]) + stream[at + 1 :]


def repeat(stream: bytes, chance: random.Random) -> bytes:
    at, end = sorted(chance.choices(range(len(stream) + 1), k=2))
    return stream[:end] + stream[at:end] * chance.choice([1, 1, 2, 5]) + stream[end:]


def swap(stream: bytes, chance: random.Random) -> bytes:
    a, b, c = sorted(chance.choices(range(len(stream) + 1), k=3))
    return stream[:a] + stream[b:c] + stream[a:b] + stream[c:]


MUTATIONS: list[Callable[[bytes, random.Random], bytes]] = [insert, insert, remove, flip, repeat, swap]


def mutated(stream: bytes, chance: random.Random, most: int = 10) -> bytes:
    """Less and less like itself, but mostly only a little."""
    for _ in range(min(most, chance.choice([0, 1, 1, 2, 3, 5, 10]))):
        stream = chance.choice(MUTATIONS)(stream, chance)
    return stream


def spliced(corpus: Sequence[bytes], chance: random.Random) -> bytes:
    """One of them, one after another, or the beginning of one and the end of another."""
    one, other = chance.choice(corpus), chance.choice(corpus)
    if chance.random() < 0.3:
        one, other = one[: chance.randint(0, len(one))], other[chance.randint(0, len(other)) :]
    return chance.choice([one, one + other])


def pieces(stream: bytes, chance: random.Random, most: int) -> list[bytes]:
    """The stream, cut at random into pieces of at most so many bytes."""
    cut = []
    while stream:
        size = chance.randint(1, most)
        cut.append(stream[:size])
        stream = stream[size:]
    return cut
