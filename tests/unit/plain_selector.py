"""Selectors as trees, written as text, and the plainest evaluator of them: what JMS says, as Python says it.

    ("header", name) ("number", 12) ("text", "red") ("truth", True)
    ("compare", "<", a, b) ("between", negated, a, low, high) ("in", negated, a, [literals])
    ("like", negated, a, pattern, escape) ("null", negated, a)
    ("and", a, b) ("or", a, b) ("not", a) ("calculate", "+", a, b) ("negate", a)

Unknown is None.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Mapping
from typing import Any

Tree = tuple[Any, ...]
Value = Any  # a Header, a str that stood in the selector, a number, True or False, or None

NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
RELATIONS = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Header(str):
    """What a header says: text, and a number or a truth if it looks like one."""


# ---- written ----


def written(tree: Tree) -> str:
    kind, *parts = tree
    return WRITERS[kind](*parts)


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _not(negated: bool) -> str:
    return "NOT " if negated else ""


def _written_like(negated: bool, a: Tree, pattern: str, escape: str) -> str:
    return f"({written(a)} {_not(negated)}LIKE {_text(pattern)}" + (f" ESCAPE {_text(escape)})" if escape else ")")


WRITERS: Mapping[str, Any] = {
    "header": lambda name: '"' + name.replace('"', '""') + '"' if re.search(r"[^\w$.-]", name) else name,
    "number": repr,
    "text": _text,
    "truth": lambda truth: str(truth).upper(),
    "compare": lambda relation, a, b: f"({written(a)} {relation} {written(b)})",
    "between": lambda no, a, low, high: f"({written(a)} {_not(no)}BETWEEN {written(low)} AND {written(high)})",
    "in": lambda negated, a, items: f"({written(a)} {_not(negated)}IN ({', '.join(map(written, items))}))",
    "like": _written_like,
    "null": lambda negated, a: f"({written(a)} IS {_not(negated)}NULL)",
    "and": lambda a, b: f"({written(a)} AND {written(b)})",
    "or": lambda a, b: f"({written(a)} OR {written(b)})",
    "not": lambda a: f"(NOT {written(a)})",
    "calculate": lambda sign, a, b: f"({written(a)} {sign} {written(b)})",
    "negate": lambda a: f"(- {written(a)})",
}

# ---- evaluated ----


def evaluated(tree: Tree, headers: Mapping[str, str]) -> Value:
    kind, *parts = tree
    if kind == "header":
        return Header(headers[parts[0]]) if parts[0] in headers else None
    if kind in ("number", "text", "truth"):
        return parts[0]
    return EVALUATORS[kind](headers, *parts)


def number_of(value: Value) -> Value:
    if isinstance(value, Header):
        if len(value) > 64 or not NUMBER.fullmatch(value):
            return None
        is_whole = re.fullmatch(r"[+-]?0*\d{1,18}", value, re.ASCII)
        return int(value) if is_whole else float(value)
    return value if type(value) in (int, float) else None


def truth_of(value: Value) -> Value:
    """Where a condition is wanted."""
    if value is None or isinstance(value, bool):
        return value
    return isinstance(value, Header) and value.lower() == "true"


def compared(relation: str, a: Value, b: Value) -> Value:
    if a is None or b is None:
        return None
    is_equality = relation in ("=", "<>")
    if isinstance(a, bool) or isinstance(b, bool):
        both = [each if isinstance(each, bool) else TRUTHS.get(str(each).lower()) for each in (a, b)]
        alike = all(isinstance(each, bool | Header) for each in (a, b)) and None not in both
        return alike and is_equality and RELATIONS[relation](*both)
    numbers = [number_of(each) for each in (a, b)]
    are_texts = isinstance(a, str) and isinstance(b, str)
    if are_texts and is_equality and (str(a) == str(b) or None in numbers):
        return RELATIONS[relation](str(a), str(b))
    if None in numbers:
        return False
    if float in map(type, numbers):
        numbers = [float(each) for each in numbers]
    return RELATIONS[relation](*numbers)


TRUTHS = {"true": True, "false": False}


def both(a: Value, b: Value) -> Value:
    return False if a is False or b is False else None if a is None or b is None else True


def not_so(value: Value) -> Value:
    return None if value is None else not value


def _between(headers: Mapping[str, str], negated: bool, a: Tree, low: Tree, high: Tree) -> Value:
    value = evaluated(a, headers)
    found = both(compared(">=", value, evaluated(low, headers)), compared("<=", value, evaluated(high, headers)))
    return not_so(found) if negated else found


def _in(headers: Mapping[str, str], negated: bool, a: Tree, items: list[Tree]) -> Value:
    value = evaluated(a, headers)
    found = None if value is None else any(compared("=", value, evaluated(item, headers)) for item in items)
    return not_so(found) if negated else found


def _like(headers: Mapping[str, str], negated: bool, a: Tree, pattern: str, escape: str) -> Value:
    value = evaluated(a, headers)
    if value is None:
        return None
    expression, characters = "", iter(pattern)
    for character in characters:
        if character == escape:
            expression += re.escape(next(characters))
        else:
            expression += {"%": ".*", "_": "."}.get(character) or re.escape(character)
    return (re.fullmatch(expression, value, re.DOTALL) is not None) != negated


def _calculated(headers: Mapping[str, str], sign: str, left: Tree, right: Tree) -> Value:
    a, b = (number_of(evaluated(each, headers)) for each in (left, right))
    if a is None or b is None or (sign in "/%" and b == 0):
        return None
    if type(a) is int and type(b) is int:
        whole = {
            "+": a + b,
            "-": a - b,
            "*": a * b,
            "/": 0 if sign not in "/%" else abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1),
            "%": 0 if sign not in "/%" else abs(a) % abs(b) * (-1 if a < 0 else 1),
        }[sign]
        if -(1 << 63) <= whole < 1 << 63:
            return whole
    try:
        real = REALS[sign](float(a), float(b))
    except OverflowError:
        raise AssertionError("Python's floats do not overflow here") from None
    except ValueError:
        return None
    return None if math.isnan(real) else real


REALS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "%": math.fmod}


def _negated(headers: Mapping[str, str], a: Tree) -> Value:
    value = number_of(evaluated(a, headers))
    return None if value is None else -value


EVALUATORS: Mapping[str, Any] = {
    "compare": lambda headers, relation, a, b: compared(relation, evaluated(a, headers), evaluated(b, headers)),
    "between": _between,
    "in": _in,
    "like": _like,
    "null": lambda headers, negated, a: (evaluated(a, headers) is None) != negated,
    "and": lambda headers, a, b: both(truth_of(evaluated(a, headers)), truth_of(evaluated(b, headers))),
    "or": lambda headers, a, b: not_so(
        both(not_so(truth_of(evaluated(a, headers))), not_so(truth_of(evaluated(b, headers))))
    ),
    "not": lambda headers, a: not_so(truth_of(evaluated(a, headers))),
    "calculate": _calculated,
    "negate": _negated,
}
