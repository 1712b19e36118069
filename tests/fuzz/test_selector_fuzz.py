"""Selectors of any bytes, and messages of any bytes: each is refused with a place in it, or judges what it is given."""

from __future__ import annotations

import random
import re
import sys
import time
from pathlib import Path

from mutations import mutated

from fastbroker.core.frame import Refused

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.micro.compiled import compiled

WORDS = [
    *b"AND OR NOT BETWEEN LIKE ESCAPE IN IS NULL TRUE FALSE XPATH = <> < <= > >= + - * / % ( ) , ; -- /* */".split(),
    *[b"a", b"b", b"a-b", b'"a"', b"JMSPriority", b"JMSMessageID", b"JMSXGroupID", b"JMSDeliveryMode", b"AMQSize"],
    *[b"1", b"0", b"-1", b"1.5", b"1e300", b"0x7fffffffffffffff", b"017", b"9223372036854775807", b"1e-400"],
    *[b"'a'", b"'%'", b"'_%a%'", b"'\\'", b"''", b"'\xc5\xbc'", b"IS NULL", b"(1, 'a')", b"BETWEEN 1 AND 2", b"a = 1"],
]
LINES = [
    b"a:1\n",
    b"a:a\n",
    b"b:\n",
    b"a-b:1e5\n",
    b"a:\\c\\\\\n",
    b"b:true\n",
    b"a:" + b"1" * 63 + b".5\n",
    b"b:\xc5\xbc\n",
]
PLACE = re.compile(r"The selector (?:is wrong|ends too early,) at character (\d+)|longer than 4096 bytes")


def a_selector(chance: random.Random) -> bytes:
    words = chance.choices(WORDS, k=chance.choice([3, 8, 30, 400]))
    text = b" ".join(words) if chance.random() < 0.8 else b"".join(words)
    return text if chance.random() < 0.7 else mutated(text, chance, most=4)


def balanced(chance: random.Random, depth: int = 0) -> bytes:
    """One that most likely can be understood."""
    if depth > 6 or chance.random() < 0.2:
        return chance.choice(
            [b"a = 1", b"b IS NULL", b"a LIKE '%a_'", b"a BETWEEN 1 AND b", b"a-b IN ('1', 2)", b"b", b"a + 1 < b / 0"]
        )
    inner = [balanced(chance, depth + 1) for _ in range(2)]
    return chance.choice([b"(%b AND %b)", b"(%b OR NOT %b)", b"((%b) = (%b))", b"NOT (%b AND (%b) IS NULL)"]) % tuple(
        inner
    )


def test_no_selector_breaks_it(chance: random.Random, seconds: float) -> None:
    face = compiled(Path(__file__).parents[1] / "unit" / "selector_face.pyx")
    end = time.monotonic() + seconds
    understood = 0
    while time.monotonic() < end:
        text = chance.choice([a_selector, balanced])(chance)
        try:
            choice = face.Choice(text)
        except Refused as refused:
            message, body = refused.args
            place = PLACE.search(body.decode())
            assert message == b"bad selector"
            assert place
            assert not place[1] or 1 <= int(place[1]) <= len(text) + 1
            continue
        if choice.is_none:
            continue
        understood += 1
        for _ in range(5):
            head = b"".join(chance.choices(LINES, k=chance.randint(0, 20)))
            head = head if chance.random() < 0.7 else mutated(head, chance, most=3)
            assert choice.selects(head, b"body", priority=chance.randint(0, 9)) in (True, False)
            assert choice.steps < 2 * face.MOST_STEPS + len(head)
    assert understood
