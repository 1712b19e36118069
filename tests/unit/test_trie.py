"""The topic trie: what each wildcard means, and that it agrees with the plainest of matchers."""

from __future__ import annotations

import gc
import random
import weakref
from collections import Counter
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from fastbroker.core.trie import (
    PatternEntry,
    PatternTable,
    check_pattern,
    has_wildcard,
    matches_pattern,
)

# ---- the plainest matcher ------------------------------------------------------------------------

Words = list[tuple[str, str]]  # the separator in front, the word


def words_of(text: bytes) -> Words:
    """Split; no separator stands in front of the first word."""
    words = [("", "")]
    for char in text.decode("latin-1"):
        if char in "./":
            words.append((char, ""))
        else:
            words[-1] = (words[-1][0], words[-1][1] + char)
    return words


def same(separator: str, name_separator: str) -> bool:
    return name_separator in (separator, "")


def plain_match(pattern: Words, name: Words) -> bool:
    """Does the pattern match the name? Written after the rules, without a thought of speed."""
    if not pattern:
        return not name
    (separator, word), rest = pattern[0], pattern[1:]
    if word in ("#", "**") and plain_match(rest, name):
        return True
    if not name or not same(separator, name[0][0]):
        return False
    if word in ("#", "**"):
        return any(plain_match(rest, name[taken:]) for taken in range(1, len(name) + 1))
    if word == ">":
        return True
    return word in ("*", name[0][1]) and plain_match(rest, name[1:])


def table_of(*patterns: bytes) -> PatternTable:
    table = PatternTable()
    for pattern in patterns:
        table.add(pattern, pattern)
    return table


# ---- the rules, one by one -----------------------------------------------------------------------

RULES = [
    # literal names
    ("a.b", "a.b", True),
    ("a.b", "a/b", False),
    ("a/b", "a/b", True),
    ("a.b", "a", False),
    ("a.b", "a.b.c", False),
    ("a", "A", False),
    # '*' is exactly one word, also an empty one
    ("*", "a", True),
    ("*", "", True),
    ("*", "a.b", False),
    ("a.*", "a.b", True),
    ("a.*", "a/b", False),
    ("a.*", "a", False),
    ("a.*", "a.", True),
    ("*.b", "a.b", True),
    ("*.b", "a/b", False),
    ("*.*", "a.b", True),
    # '#' and '**' are any number of words, also none
    ("#", "", True),
    ("#", "a", True),
    ("#", "a.b/c", True),
    ("**", "a.b/c", True),
    ("a.#", "a", True),
    ("a.#", "a.b", True),
    ("a.#", "a.b/c", True),
    ("a.#", "a/b", False),
    ("a.#", "b.a", False),
    ("a/**", "a/b.c", True),
    ("a/**", "a.b", False),
    ("#.c", "c", True),
    ("#/c", "c", True),
    ("#.c", "a.b.c", True),
    ("#.c", "a/c", False),
    ("#.c", "a/b.c", True),
    ("a.#.c", "a.c", True),
    ("a.#.c", "a/c", False),
    ("a/#.c", "a.c", True),
    ("a/#.c", "a/c", False),
    ("a/#.c", "a/b.c", True),
    ("a.#.c", "a.b/x.c", True),
    ("a.#.c", "a.c.c", True),
    ("a.#.c", "a.c.b", False),
    ("#.#", "", True),
    ("#.#", "a.b", True),
    ("#.b.#", "a.b.c", True),
    ("#.b.#", "b", True),
    ("#.b.#", "a.c", False),
    ("#.*.#.*", "a", False),
    ("#.*.#.*", "a.b", True),
    # '>' is one word or more, to the end
    (">", "a", True),
    (">", "", True),
    (">", "a/b", True),
    ("a.>", "a", False),
    ("a.>", "a.b", True),
    ("a.>", "a.b/c", True),
    ("a.>", "a/b", False),
    ("#.>", "a", True),
    ("#.>", "a.b.c", True),
    # only a whole word is a wildcard
    ("a*", "a*", True),
    ("a*", "ab", False),
    ("a#.b", "a#.b", True),
    ("***", "***", True),
    ("***", "a", False),
    (">>.a", ">>.a", True),
    # empty words are ordinary
    ("", "", True),
    ("", "a", False),
    (".", ".", True),
    (".", "/", False),
    ("a..b", "a..b", True),
    ("a..b", "a.b", False),
    ("a.*.b", "a..b", True),
    ("/a", "/a", True),
    ("#/a", "/a", True),
    # any byte but the separators may be part of a word
    ("a\0b.*", "a\0b.c", True),
    ("a\0b.*", "a\0c.c", False),
    ("\xff\xfe.*", "\xff\xfe.\n", True),
]


@pytest.mark.parametrize(("pattern", "name", "expected"), RULES)
def test_rule(pattern: str, name: str, expected: bool) -> None:
    raw_pattern, raw_name = pattern.encode("latin-1"), name.encode("latin-1")
    assert plain_match(words_of(raw_pattern), words_of(raw_name)) is expected
    assert matches_pattern(raw_pattern, raw_name) is expected
    assert table_of(raw_pattern).find(raw_name) == ([raw_pattern] if expected else [])


def test_words_of_every_length_up_to_the_limit() -> None:
    table = PatternTable()
    for length in range(256):
        table.add(b"x" * length + b".*", length)
    for length in range(256):
        assert table.find(b"x" * length + b".y") == [length]
    assert table.find(b"x" * 256 + b".y") == []
    assert table.find(b"x" * 255 + b"y" + b".y") == []


def test_a_name_may_be_longer_than_most_patterns() -> None:
    table = table_of(b"#", b"#.z", b"a.>", b"*.*", b"#.*.#.z", b"a.*.*.*.>")
    name = b".".join([b"a"] * 61 + [b"z" * 300, b"z"])
    expected = [b"#", b"#.*.#.z", b"#.z", b"a.*.*.*.>", b"a.>"]
    assert sorted(table.find(name)) == expected
    assert all(matches_pattern(pattern, name) for pattern in expected)
    assert table.find(b"a" * 70000) == [b"#"]


def test_no_name_has_more_words_than_a_pattern_may() -> None:
    table, name = table_of(b"#"), b"." * 63
    for find in (table.find, table.count):
        with pytest.raises(ValueError, match="63 words"):
            find(name)
    assert not matches_pattern(b"#", name)


def test_every_entry_once_however_many_ways_lead_to_it() -> None:
    patterns = [b"#.#", b"#.a.#", b"#.>", b"**.*.#", b"#", b"#.a.>"]
    found = table_of(*patterns).find(b"a.a.a.a.a")
    assert sorted(found) == sorted(patterns)


def test_one_pattern_holds_many_values() -> None:
    table = PatternTable()
    entries = [table.add(b"a.*", number) for number in range(100)]
    assert sorted(table.find(b"a.b")) == list(range(100))
    for entry in entries[10:]:
        table.discard(entry)
    assert sorted(table.find(b"a.b")) == list(range(10))


@pytest.mark.parametrize(("patterns", "nodes"), [((b"a.#", b"a.**"), 2), ((b"*.*.a.**.z", b"*.*.a.#.z"), 5)])
def test_equal_wildcards_are_one_place(patterns: tuple[bytes, bytes], nodes: int) -> None:
    table = table_of(*patterns)
    assert table.trie.node_count == nodes
    assert sorted(table.find(b"a.b.a.z")) == sorted(p for p in patterns if matches_pattern(p, b"a.b.a.z"))


# ---- what is refused -----------------------------------------------------------------------------

REFUSED = [
    (b"a.>.b", "last word"),
    (b">.#", "last word"),
    (b"#.#.#", "more than two"),
    (b"#.**.>", "more than two"),
    (b"x" * 256, "255 bytes"),
    (b"*." + b"x" * 256, "255 bytes"),
    (b"." * 63, "too many words"),
]


@pytest.mark.parametrize(("pattern", "reason"), REFUSED)
def test_refused(pattern: bytes, reason: str) -> None:
    assert reason in (check_pattern(pattern, 1000) or "")
    table = PatternTable()
    with pytest.raises(ValueError, match=reason):
        table.add(pattern, None)
    assert (len(table), table.trie.node_count, table.trie.generation) == (0, 0, 0)


def test_levels() -> None:
    assert check_pattern(b".".join([b"*"] * 32)) is None
    assert check_pattern(b".".join([b"*"] * 33)) == "it has too many words"
    assert check_pattern(b"a.b/c", 3) is None
    assert check_pattern(b"a.b/c", 2) == "it has too many words"
    longest = b"." * 60 + b"*.#"
    assert check_pattern(longest, 63) is None
    assert table_of(longest).find(b"." * 62) == [longest]
    assert matches_pattern(longest, b"." * 62)
    assert not matches_pattern(b"." * 63, b"." * 63)


@pytest.mark.parametrize("pattern", [b"", b".", b"a*.b", b"x" * 255, b"#.#", b"#.>", b"**/a/>"])
def test_fine(pattern: bytes) -> None:
    assert check_pattern(pattern) is None


@pytest.mark.parametrize("name", [b"*", b"a.#", b"a/**/b", b"a.>", b".*."])
def test_has_wildcard(name: bytes) -> None:
    assert has_wildcard(name)


@pytest.mark.parametrize("name", [b"", b".", b"a*", b"***", b"##", b"a.>>", b"a#b/c"])
def test_has_no_wildcard(name: bytes) -> None:
    assert not has_wildcard(name)


def test_entries_belong_to_their_table() -> None:
    table, other = PatternTable(), PatternTable()
    entry = table.add(b"a", 1)
    assert (entry.pattern, entry.value) == (b"a", 1)
    with pytest.raises(KeyError):
        other.discard(entry)
    table.discard(entry)
    with pytest.raises(KeyError):
        table.discard(entry)
    with pytest.raises(TypeError):
        PatternEntry()


def test_generation_grows_with_every_change() -> None:
    table = PatternTable()
    seen = [table.trie.generation]
    entries = []
    for pattern in (b"a", b"a", b"a.*"):
        entries.append(table.add(pattern, None))
        seen.append(table.trie.generation)
    table.find(b"a")
    assert table.trie.generation == seen[-1]
    for entry in entries:
        table.discard(entry)
        seen.append(table.trie.generation)
    assert seen == sorted(set(seen))


class Thing:
    """Something with an address that may hold other things."""

    table: PatternTable


def test_values_live_as_long_as_their_entries() -> None:
    table = PatternTable()
    kept, dropped = Thing(), Thing()
    kept_ref, dropped_ref = weakref.ref(kept), weakref.ref(dropped)
    table.add(b"a", kept)
    entry = table.add(b"a", dropped)
    table.discard(entry)
    del kept, dropped, entry
    assert dropped_ref() is None
    assert table.find(b"a") == [kept_ref()]
    del table
    assert kept_ref() is None


class LastLook(Thing):
    """Looks itself up once more when it goes."""

    seen = 0

    def __del__(self) -> None:
        LastLook.seen += self.table.find(b"a.b") == [self]


def test_a_value_that_holds_its_table_is_collected() -> None:
    thing = LastLook()
    thing.table = PatternTable()
    thing.table.add(b"a.#", thing)
    del thing
    gc.collect()
    assert LastLook.seen == 1


# ---- against the plainest matcher ----------------------------------------------------------------

NAME_WORDS = st.sampled_from(["a", "b", "", "a*", "a-word-longer-than-sixteen"])
WILD_WORDS = st.sampled_from(["*", "#", "**", ">"])


def joined(words: st.SearchStrategy[str], most: int) -> st.SearchStrategy[bytes]:
    parts = st.lists(st.tuples(st.sampled_from("../"), words), min_size=1, max_size=most)
    return parts.map(lambda row: "".join(sep + word for sep, word in row)[1:].encode())


NAMES = joined(NAME_WORDS, 6)
PATTERNS = joined(NAME_WORDS | WILD_WORDS, 6).filter(lambda pattern: not check_pattern(pattern))


# So many wildcards that nearly all are tails, and so many of them that they are sieved.
FEW_WORDS = st.sampled_from(["a", "b", "a-word-longer-than-sixteen"])
LONG_NAMES = joined(FEW_WORDS, 12)
HEAVY_WORDS = st.sampled_from(["a", "b", "a-word-longer-than-sixteen", "*", "*", "*", "#", "**"])
HEAVY = joined(HEAVY_WORDS, 12).filter(lambda pattern: not check_pattern(pattern))


@settings(max_examples=5 * settings.default.max_examples)
@given(st.lists(PATTERNS, max_size=30), st.lists(NAMES, min_size=1, max_size=5))
def test_agrees_with_the_plainest_matcher(patterns: list[bytes], names: list[bytes]) -> None:
    table = table_of(*patterns)
    for name in names:
        expected = [p for p in patterns if plain_match(words_of(p), words_of(name))]
        assert sorted(table.find(name)) == sorted(expected)
        assert [p for p in patterns if matches_pattern(p, name)] == expected


@settings()
@given(st.randoms(use_true_random=False), st.lists(HEAVY, max_size=20), st.lists(LONG_NAMES, min_size=1, max_size=5))
def test_tails_agree_with_the_plainest_matcher(
    chance: random.Random, patterns: list[bytes], names: list[bytes]
) -> None:
    more = {variation(chance.choice(names), chance) for _ in range(40)}
    patterns = [*patterns, *(pattern for pattern in more if not check_pattern(pattern))]
    table = table_of(*patterns)
    for name in names:
        expected = sorted(p for p in patterns if plain_match(words_of(p), words_of(name)))
        assert sorted(table.find(name)) == expected
        assert sorted(p for p in patterns if matches_pattern(p, name)) == expected


def variation(name: bytes, chance: random.Random) -> bytes:
    """A pattern that matches the name, or nearly."""
    words = words_of(name)
    for _ in range(chance.randint(1, len(words))):
        at = chance.randrange(len(words))
        words[at] = (words[at][0], "*")
    for _ in range(chance.randint(0, 2)):
        at = chance.randrange(len(words))
        words[at : at + chance.randint(0, 3)] = [(chance.choice("./"), chance.choice(["#", "**", "#", ">"]))]
    if chance.random() < 0.4:
        words[chance.randrange(len(words))] = (chance.choice("./"), chance.choice(["b", "z", "*"]))
    return "".join(sep + word for sep, word in words)[len(words[0][0]) :].encode()


class Subscriptions(RuleBasedStateMachine):
    """Values come and go in any order; what is found is always what is there."""

    entries = Bundle("entries")

    def __init__(self) -> None:
        super().__init__()
        self.table = PatternTable()
        self.attached: dict[int, bytes] = {}
        self.generation = 0

    @rule(target=entries, pattern=PATTERNS | HEAVY)
    def add(self, pattern: bytes) -> PatternEntry:
        self.generation += 1
        self.attached[self.generation] = pattern
        return self.table.add(pattern, self.generation)

    @rule(target=entries, entry=entries)
    def add_once_more(self, entry: PatternEntry) -> PatternEntry:
        self.generation += 1
        self.attached[self.generation] = entry.pattern
        return self.table.add(entry.pattern, self.generation)

    @rule(entry=consumes(entries))
    def discard(self, entry: PatternEntry) -> None:
        self.generation += 1
        del self.attached[entry.value]
        self.table.discard(entry)

    @rule(name=NAMES | LONG_NAMES)
    def find(self, name: bytes) -> None:
        words = words_of(name)
        expected = [n for n, p in self.attached.items() if plain_match(words_of(p), words)]
        assert sorted(self.table.find(name)) == expected
        assert self.table.count(name) == len(expected)

    @invariant()
    def keeps_count(self) -> None:
        trie = self.table.trie
        assert len(trie) == len(self.table) == len(self.attached)
        assert trie.generation == self.generation
        assert trie.node_count == nodes_of(self.attached.values())
        if not self.attached:
            assert trie.memory == 0


def nodes_of(patterns: Iterable[bytes]) -> int:
    """One node for a pattern without wildcards, else one for every different beginning, and two where tails are."""
    names: set[bytes] = set()
    beginnings: set[Any] = set()
    for pattern in patterns:
        words = [(sep or ".", "#" if word == "**" else word) for sep, word in words_of(pattern)]
        walked = walked_words(words)
        if not has_wildcard(pattern):
            names.add(pattern)
            continue
        beginnings.update(tuple(words[: end + 1]) for end in range(walked))
        if walked < len(words):
            beginnings.update([(tuple(words[:walked]), "tails"), (tuple(words[:walked]), tuple(words[walked:]))])
    return len(names) + len(beginnings)


def walked_words(words: Words) -> int:
    """Up to the first wildcard that would weigh more than two together; one at the end that is open weighs nothing."""
    weight = 0
    for at, (_, word) in enumerate(words):
        weight += 1 if word == "*" else 2 if word == "#" and at < len(words) - 1 else 0
        if weight > 2:
            return at
    return len(words)


TestSubscriptions = Subscriptions.TestCase
TestSubscriptions.settings = settings(stateful_step_count=50)


def test_many_come_and_go() -> None:
    """Enough of them that every array and the edges grow and shrink several times."""
    table = PatternTable()
    patterns = [b"room.%d/*.seat-number-%d.#" % (n % 50, n) for n in range(3000)]
    for _ in range(2):
        entries = [table.add(p, n) for n, p in enumerate(patterns * 2)]
        for n in range(0, 3000, 7):
            assert sorted(table.find(b"room.%d/x.seat-number-%d" % (n % 50, n))) == [n, n + 3000]
        for entry in entries[::2] + entries[1::4]:
            table.discard(entry)
        left = Counter(entry.value % 3000 for entry in entries[3::4])
        for n in range(3000):
            found = table.find(b"room.%d/x.seat-number-%d.y" % (n % 50, n))
            assert [value % 3000 for value in found] == [n] * left[n]
        for entry in entries[3::4]:
            table.discard(entry)
        assert (len(table), table.trie.node_count, table.trie.memory) == (0, 0, 0)


def test_many_tails_come_and_go() -> None:
    """Of so many shapes that shelves, their rows and the sieve are all in use; whoever is left is found."""
    chance, table = random.Random(1), PatternTable()
    name = b"a.b/a.a-word-longer-than-sixteen.b.a.b/b.a.a.b.a"
    patterns = sorted({variation(name, chance) for _ in range(1500)})
    patterns = [pattern for pattern in patterns if not check_pattern(pattern)]
    for _ in range(2):
        entries = [table.add(pattern, pattern) for pattern in patterns]
        chance.shuffle(entries)
        while entries:
            expected = sorted(e.pattern for e in entries if plain_match(words_of(e.pattern), words_of(name)))
            assert sorted(table.find(name)) == expected
            for entry in entries[len(entries) // 3 :]:
                table.discard(entry)
            del entries[len(entries) // 3 :]
        assert (table.trie.node_count, table.trie.memory) == (0, 0)
