"""``python -m bench.micro.hostile``: looks for patterns and a name that make a match slow, as an attacker would.

A hill climber: it draws many patterns from one description, measures a match, changes the description a little and
keeps what is slower. What is found shows whether the trie's steps are what time is made of, and what a step costs.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations, islice, product

import click
from rich.console import Console

from fastbroker.core.trie import PatternTable, check_pattern

LEVELS = 32
CHOICES = ["a", "*", "a*", "a*", "ab*", "b", "#", "*#", "aaa*", "a***"]
STUCK = 25
"""Changes in vain until it begins anew, elsewhere."""
PATIENCE = 4
"""Patterns are drawn so many times as often as they are wanted, then what there is must do."""


@dataclass(frozen=True)
class Attack:
    """How patterns are drawn: a word of each of `slots`, from any number of slots, then one of `ends`."""

    slots: tuple[str, ...]
    ends: tuple[str, ...]
    separators: str
    shortest: int
    name: bytes

    def patterns(self, count: int, chance: random.Random) -> list[bytes]:
        drawn = (self._pattern(chance) for _ in range(PATIENCE * count))
        found = dict.fromkeys(pattern for pattern in drawn if not check_pattern(pattern, LEVELS))
        return list(found)[:count]

    def _pattern(self, chance: random.Random) -> bytes:
        slots = self.slots[: chance.randint(min(self.shortest, len(self.slots)), len(self.slots))]
        words = [*(chance.choice(slot) for slot in slots), *chance.choice(self.ends)]
        for at in [at for at, word in enumerate(words) if word == "#"][2:]:
            words[at] = "*"
        return "".join(chance.choice(self.separators) + word for word in words)[1:].encode()


START = Attack(("#", *["a*"] * 14, "#", *["a*"] * 14), ("z",), ".", 30, b".".join([b"a"] * LEVELS))


def changed(attack: Attack, chance: random.Random) -> Attack:
    """The description, a little different."""
    slots, name = list(attack.slots), bytearray(attack.name)
    match chance.randrange(7):
        case 0 | 1:
            slots[chance.randrange(len(slots))] = chance.choice(CHOICES)
        case 2 if len(slots) > 2:
            del slots[chance.randrange(len(slots))]
        case 3 if len(slots) < LEVELS - 1:
            slots.insert(chance.randrange(len(slots)), chance.choice(CHOICES))
        case 4:
            name[chance.randrange(0, len(name), 2)] = ord(chance.choice("aab"))
        case 5:
            return replace(attack, shortest=chance.randint(2, LEVELS - 1))
        case _:
            ends = chance.choice([("z",), ("az", "z"), (".z", "*z"), ("#z", "z"), ("*z", "az", "z")])
            return replace(attack, ends=ends, separators=chance.choice([".", ".", "../", "./"]))
    return replace(attack, slots=tuple(slots), name=bytes(name))


def every_walk(levels: int = LEVELS) -> Iterator[bytes]:
    """Patterns that a walk for a name of so many 'a' visits all nodes of: the most it ever visits."""
    for depth in range(2, levels):
        for one, other in combinations(range(depth), 2):
            words = [b"a"] * depth
            words[one] = words[other] = b"*"
            yield b".".join([*words, b"z"])
    for taken in range(levels - 1):
        for depth in range(1, levels - 1 - taken):
            for separator in (b".#", b"/#"):
                yield b".".join([b"a"] * taken) + separator[taken == 0 :] + b".a" * depth + b".z"


def walks_and_tails(count: int) -> list[bytes]:
    """A walk that visits nearly all it can, and tails at each node of it."""
    length = 1 if count <= 50_000 else 6
    walked = [pattern[:-1] for pattern in every_walk(LEVELS - 2 - length)]
    middles = [b".".join(words) for words in product([b"a", b"*", b"#"], repeat=length) if words.count(b"#") < 2]
    ends = (b"*.%b.%b" % (middle, last) for middle in middles for last in (b"z", b"*.z"))
    found = (pattern + end for end in ends for pattern in walked)
    return list(islice((pattern for pattern in found if not check_pattern(pattern, LEVELS)), count))


@dataclass(frozen=True)
class Cost:
    """Of one match: CPU seconds of the quickest of several, and what was counted."""

    seconds: float
    steps: int
    found: int

    def __str__(self) -> str:
        return f"{self.seconds * 1e3:8.3f} ms  {self.steps:9,} steps of {self.seconds / self.steps * 1e9:4.0f} ns"


def cost(patterns: list[bytes], name: bytes, rounds: int = 5) -> Cost:
    table = PatternTable()
    for pattern in patterns:
        table.add(pattern, None)
    before = table.trie.steps
    found = table.count(name)
    steps = table.trie.steps - before
    return Cost(min(_seconds(table, name) for _ in range(rounds)), steps, found)


def _seconds(table: PatternTable, name: bytes) -> float:
    start = time.process_time()
    table.count(name)
    return time.process_time() - start


def climb(count: int, seconds: float, chance: random.Random) -> Iterator[tuple[Cost, Attack]]:
    """Ever slower ones. What many patterns match is no attack: finding those is what a match is for."""
    end, attack, here, worst, tries = time.monotonic() + seconds, START, 0.0, 0.0, 0
    while time.monotonic() < end:
        tried, tries = changed(attack, chance), tries + 1
        found = cost(tried.patterns(count, chance), tried.name)
        if found.seconds > here and found.found < count / 100:
            attack, here, tries = tried, found.seconds, 0
        if here > worst:
            worst = here
            yield found, attack
        if tries > STUCK:
            attack, here, tries = elsewhere(chance), 0.0, 0


def elsewhere(chance: random.Random) -> Attack:
    """Somewhere to begin anew."""
    attack = replace(START, slots=tuple(chance.choices(CHOICES, k=chance.randint(2, LEVELS - 1))))
    for _ in range(20):
        attack = changed(attack, chance)
    return attack


@click.command()
@click.option("--patterns", "count", default=10_000, help="So many.")
@click.option("--seconds", default=60.0, help="So long it looks.")
@click.option("--seed", default=1, help="Another one finds others.")
def main(count: int, seconds: float, seed: int) -> None:
    """Says what was found, and what the worst that is known costs."""
    console, chance = Console(), random.Random(seed)
    for found, attack in climb(count, seconds, chance):
        console.print(f"{found}  {attack}", highlight=False, soft_wrap=True)
    name = START.name
    known = {"every walk": list(islice(every_walk(), count)), "walks and tails": walks_and_tails(count)}
    known["two '#' and many '*'"] = START.patterns(count, chance)
    for title, patterns in known.items():
        console.print(f"{title}, {len(patterns):,} patterns: {cost(patterns, name)}", highlight=False)


if __name__ == "__main__":
    main()
