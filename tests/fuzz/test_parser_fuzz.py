"""The parser and the plainest parser read the same mutilated streams, in the same random pieces.

What ever went wrong is kept as a stream in tests/unit/streams.py, where all mutations start from.
"""

from __future__ import annotations

import random
import time
from typing import Any

from mutations import mutated, pieces, spliced
from reference_parser import Frame, ReferenceReader
from streams import BROKEN, GOLDEN, LIMITS

from fastbroker.core.parser import FrameReader

STREAMS = [case.stream for case in [*GOLDEN, *LIMITS]] + [case.stream for case in BROKEN]
CORPUS = [stream[:2000] for stream in STREAMS if stream]


def random_options(chance: random.Random) -> dict[str, Any]:
    options: dict[str, Any] = {
        "version": chance.choice([0, 10, 11, 12]),
        "strict": chance.random() < 0.2,
        "lenient_content_length": chance.random() < 0.3,
    }
    if chance.random() < 0.3:
        options["max_frame"] = chance.randrange(8, 300)
        options["max_header_line"] = chance.randrange(1, 60)
        options["max_header_block"] = chance.randrange(8, 200)
        options["max_headers"] = chance.randrange(1, 6)
    return options


def random_pieces(stream: bytes, chance: random.Random) -> list[bytes]:
    most = chance.choice([1, 3, 17, 200, 5000])
    return pieces(stream[: 300 * most], chance, most)  # the reference starts over with every piece


def outcome(reader: FrameReader | ReferenceReader, parts: list[bytes]) -> tuple[list[Frame], str, int]:
    """All frames, the error if there is one, and the number of pieces it took."""
    frames: list[Frame] = []
    for number, part in enumerate(parts):
        try:
            frames += reader.feed(part)
        except ValueError as error:
            return frames, str(error), number
    return frames, "", len(parts)


def test_agrees_with_the_plainest_parser(chance: random.Random, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        options = random_options(chance)
        parts = random_pieces(mutated(spliced(CORPUS, chance), chance), chance)
        found, expected = outcome(FrameReader(**options), parts), outcome(ReferenceReader(**options), parts)
        assert found == expected, (options, parts)


def test_agrees_through_a_long_life(chance: random.Random, seconds: float) -> None:
    """One reader: whole frames of all kinds, the same ones often again, cut anywhere."""
    good = [case.stream for case in GOLDEN if not case.options]
    end = time.monotonic() + seconds
    reader, reference = FrameReader(), ReferenceReader()
    while time.monotonic() < end:
        some = chance.choices(good, k=3)
        stream = b"".join(chance.choices(some, k=chance.randint(1, 12)))
        for part in pieces(stream, chance, 30) if len(stream) < 300 else [stream]:
            assert reader.feed(part) == reference.feed(part), part
