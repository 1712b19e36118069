"""The trie and the plainest matcher, with patterns and names of any bytes."""

from __future__ import annotations

import random
import time

from mutations import mutated
from test_trie import plain_match, words_of

from fastbroker.core.trie import PatternTable, check_pattern, matches_pattern

WORDS = [b"a", b"b", b"", b"*", b"#", b"**", b">", b"a*", b"\xff", b"x" * 20]


def random_name(chance: random.Random) -> bytes:
    words = chance.choices(WORDS, k=chance.randint(1, 7))
    name = b"".join(chance.choice([b".", b"/"]) + word for word in words)[1:]
    return mutated(name, chance, most=2)[:40]


def test_agrees_with_the_plainest_matcher(chance: random.Random, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        table = PatternTable()
        patterns = {pattern for pattern in (random_name(chance) for _ in range(20)) if not check_pattern(pattern)}
        entries = [table.add(pattern, pattern) for pattern in patterns]
        for entry in chance.sample(entries, len(entries) // 3):
            table.discard(entry)
            patterns.remove(entry.pattern)
        for name in [random_name(chance) for _ in range(10)]:
            expected = {pattern for pattern in patterns if plain_match(words_of(pattern), words_of(name))}
            assert set(table.find(name)) == expected, (patterns, name)
            assert {pattern for pattern in patterns if matches_pattern(pattern, name)} == expected, (patterns, name)
