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


def near(name: bytes, chance: random.Random) -> bytes:
    """With wildcards for some of its words, so many that it will be a tail."""
    words = words_of(name)
    for _ in range(chance.randint(3, 5)):
        at = chance.randrange(len(words))
        words[at] = (words[at][0], chance.choice(["*", "*", "#"]))
    return "".join(separator + word for separator, word in words).encode("latin-1")


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


def test_tails_agree_with_the_plainest_matcher(chance: random.Random, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        names = [b".".join(random_name(chance) for _ in range(3)) for _ in range(4)]
        drawn = [near(chance.choice(names), chance) for _ in range(chance.choice([5, 50]))]
        patterns = {mutated(each, chance, most=1) for each in drawn}
        patterns = {pattern for pattern in patterns if not check_pattern(pattern)}
        table = PatternTable()
        entries = [table.add(pattern, pattern) for pattern in patterns]
        for entry in chance.sample(entries, len(entries) // 3):
            table.discard(entry)
            patterns.remove(entry.pattern)
        for name in names:
            expected = {pattern for pattern in patterns if plain_match(words_of(pattern), words_of(name))}
            assert set(table.find(name)) == expected, (patterns, name)
            assert {pattern for pattern in patterns if matches_pattern(pattern, name)} == expected, (patterns, name)
