"""Selectors: what they select, what is refused and where, what they may take; against the plainest evaluator."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_selector import Tree, evaluated, truth_of, written

from fastbroker.core.frame import Refused

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.micro.compiled import compiled

Face = Any  # of a module that the type checker knows nothing of
HEAD = (
    b"destination:/topic/a\nprice:12\ncolour:red\ncontent-type:text/plain\nurgent:True\nlate:false\nempty:\n"
    b"where:a\\cb\\\\c\\nd\nrate:1.50\nname:J\xc3\xb3zef\nprice:13\n_x$1:1\nAND:and\ncustom.key:v\nsmall:-5\nlong:"
    + b"7" * 70
    + b"\n"
)


@pytest.fixture(scope="module")
def face() -> Face:
    return compiled(Path(__file__).with_name("selector_face.pyx"))


def selects(face: Face, text: str, head: bytes = HEAD, **message: Any) -> bool:
    return bool(face.Choice(text.encode()).selects(head, **message))


TRUE = """
price = 12 | price = 12.0 | price = '12' | price <> 13 | price > 11 AND price < 13 | price >= 12 | price <= 12
12 = price | 11 < price | '12' = price | price + 1 = 13 | price - 1 = 11 | price * 2 = 24 | price / 5 = 2
price % 5 = 2
price / 5.0 = 2.4 | -price = -12 | +price = 12 | - - price = 12 | small / 2 = -2 | small % 2 = -1 | 2 + 3 * 4 = 14
(2 + 3) * 4 = 20 | 10 - 3 - 2 = 5 | 0x1F = 31 | 0xCl = price | 014 = price | 12L = price | 1.2e1 = price
.12E+2 = price
120e-1 = price | 12. = price | rate = 1.5 | rate > 1.4999 | rate <> '1.5' | rate = '1.50' | price = price
late <> price
price BETWEEN 1 AND 12 | price NOT BETWEEN 13 AND 20 | price BETWEEN 12 AND 12 AND price = 12
colour IN ('blue', 'red') | colour NOT IN ('blue') | price IN (1, 12) | small IN (-5) | price IN ('12') | rate IN (1.5)
colour LIKE 'r%' | colour LIKE '%d' | colour LIKE '%e%' | colour LIKE 'r_d' | colour LIKE '%' | colour LIKE '___'
colour LIKE 'red' | colour NOT LIKE 'R%' | colour NOT LIKE 're' | colour NOT LIKE '____' | price LIKE '1%'
empty LIKE ''
name LIKE 'J_zef' | name LIKE 'Jó%' | where LIKE 'a_b%' | where LIKE 'a:b%' | where NOT LIKE '%:c%'
empty LIKE '%' | empty = '' | empty IS NOT NULL | nobody IS NULL | price IS NOT NULL | (price = 12) IS NOT NULL
colour = 'red' AND price = 12 | colour = 'blue' OR price = 12 | NOT colour = 'blue' | not (colour = 'blue' or price = 1)
nobody = 1 OR price = 12 | NOT (nobody = 1 AND price = 1) | (nobody = 1) IS NULL | (nobody = 1 OR nobody = 2) IS NULL
(NOT nobody) IS NULL | (nobody LIKE 'x') IS NULL | (nobody IN (1)) IS NULL | (nobody BETWEEN 1 AND 2) IS NULL
(price / 0) IS NULL | (price % 0.0) IS NULL | (colour + 1) IS NULL | (nobody + 1) IS NULL
urgent | NOT late | urgent = TRUE | late = FALSE | urgent <> late | TRUE | NOT FALSE | urgent = (price = 12)
content-type = 'text/plain' | content-type LIKE 'text/%' | "content-type" = 'text/plain' | "AND" = 'and' | _x$1 = 1
custom.key = 'v' | NOT (colour > 5) | NOT (colour = 5) | NOT colour | price = 12 -- a comment
price /* one */ = /* two */ 12
Price IS NULL | destination = '/topic/a' | JMSDestination = '/topic/a' | AMQAddress LIKE '/topic/%' | 1 = 1
1e999 = 1e1000 | 9223372036854775807 + 1 > 9.2e18 | long LIKE '7%' | price-1 IS NULL | price -1 = 11
convert_string_expressions:price = 12 | hyphenated_props:content-type = 'text/plain'
hyphenated_props:convert_string_expressions:price = 12
"""

FALSE = """
price = 13 | price = '12.0' | price <> 12 | price > 12 | nobody = 1 | NOT nobody = 1 | nobody <> 1 | nobody = 'x'
NOT (nobody = 1 OR nobody = 2) | nobody IN ('x') | nobody NOT IN ('x') | nobody LIKE '%' | nobody NOT LIKE '%'
nobody BETWEEN 1 AND 2 | nobody NOT BETWEEN 1 AND 2 | colour > 5 | colour <> 5 | colour BETWEEN 1 AND 2 | price
colour | nobody | price / 0 = 1 | colour = 'Red' | colour LIKE 'e' | colour LIKE 'r' | colour LIKE '' | price IS NULL
late | FALSE | NOT TRUE | urgent = FALSE | colour = TRUE | colour <> TRUE | empty IS NULL | 1 = 2
long = 7 | long > 7 | long <> 7
where = 'a' | name LIKE 'J__zef' | "nobody's" = 1 | empty = 0 | empty | price > colour | colour < colour
"""


def listed(text: str) -> list[str]:
    return [each.strip() for line in text.strip().split("\n") for each in line.split(" | ")]


@pytest.mark.parametrize("text", listed(TRUE))
def test_what_is_true(face: Face, text: str) -> None:
    assert selects(face, text)


@pytest.mark.parametrize("text", listed(FALSE))
def test_what_is_not(face: Face, text: str) -> None:
    assert not selects(face, text)


def test_texts_are_compared_as_they_were_before_they_were_encoded(face: Face) -> None:
    assert selects(face, "where = 'a:b\\c\nd'")
    assert selects(face, "where LIKE 'a_b_c_d'")
    assert selects(face, "where LIKE '%\\c%'")
    assert not selects(face, "where LIKE '%\\n%'")
    assert selects(face, "\"x:y\" = 'it''s'", b"x\\cy:it's\n")


@pytest.mark.parametrize(
    ("pattern", "escape", "text"),
    [
        ("a!%b", "!", "a%b"),
        ("a!_b%", "!", "a_bcd"),
        ("!!%", "!", "!x"),
        ("ó%", "ó", "%"),
        ("%%a%%", "", "xay"),
        ("%_%_", "", "abc"),
        ("_%b", "", "aab"),
        ("%abc", "", "abcabc"),
        ("%ab%bc", "", "abbc"),
    ],
)
def test_like(face: Face, pattern: str, escape: str, text: str) -> None:
    ending = f" ESCAPE '{escape}'" if escape else ""
    assert selects(face, f"a LIKE '{pattern}'{ending}", f"a:{text}\n".encode())


def test_the_first_of_several_headers_counts(face: Face) -> None:
    assert selects(face, "a = 1", b"a:1\na:2\n")
    assert not selects(face, "a = 2", b"a:1\na:2\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("JMSPriority = 4 AND AMQPriority = 4", {}),
        ("JMSPriority > 6", {"priority": 7}),
        ("JMSExpiration = 0", {}),
        ("JMSExpiration > 1700000000000 AND AMQExpiration = JMSExpiration", {"expires": 1_800_000_000_000}),
        ("JMSMessageID = 'epoch-77' AND AMQUserID LIKE 'epoch-%'", {"number": 77}),
        ("JMSXDeliveryCount = 1 AND NOT JMSRedelivered", {}),
        ("JMSXDeliveryCount = 3 AND JMSRedelivered = TRUE", {"deliveries": 3}),
        ("AMQSize = 25", {"head": b"a:1\nb:2\n", "body": b"x" * 17}),
        ("JMSDeliveryMode = 'NON_PERSISTENT' AND AMQDurable = 'NON_DURABLE'", {}),
        ("JMSDeliveryMode = 'PERSISTENT' AND AMQDurable = 'DURABLE'", {"head": b"persistent:true\n"}),
        ("JMSDeliveryMode IN ('NON_PERSISTENT')", {"head": b"persistent:false\n"}),
        (
            "JMSCorrelationID = 'c' AND JMSReplyTo = 'r' AND JMSType = 't'",
            {"head": b"type:t\ncorrelation-id:c\nreply-to:r\n"},
        ),
        ("JMSTimestamp > 5 AND AMQTimestamp = 7", {"head": b"timestamp:7\n"}),
        ("JMSXGroupID = 'g' AND AMQGroupID = 'g'", {"head": b"JMSXGroupID:g\n"}),
        ("JMSXGroupID = 'g' AND JMSXGroupSeq IS NULL", {"head": b"message_group:g\n"}),
        (
            "JMSXGroupID IS NULL AND JMSXGroupSeq = 3 AND JMSXUserID = 'me'",
            {"head": b"JMSXGroupSeq:3\nJMSXUserID:me\n"},
        ),
        ("priority = 7 AND JMSPriority = 7", {"head": b"priority:7\n", "priority": 7}),
    ],
)
def test_names_of_what_a_message_is(face: Face, text: str, message: dict[str, Any]) -> None:
    assert selects(face, text, **message)


@pytest.mark.parametrize(
    "text", ["", " ", "/* nothing */ -- at all", "convert_string_expressions:", "hyphenated_props: "]
)
def test_one_that_says_nothing_is_none(face: Face, text: str) -> None:
    assert face.Choice(text.encode()).is_none


NO_XPATH = "XPATH and XQUERY are not supported: bodies are not looked into."
WRONG = [
    ("price >", "ends too early, at character 8: a name, a number or text is wanted here."),
    ("price = 1 colour", "wrong at character 11, before `colour`: AND, OR or the end is wanted here."),
    ("TRUE ó", "wrong at character 6, before `ó`: AND, OR or the end is wanted here."),
    ("(price = 1", "ends too early, at character 11: ) is wanted here."),
    ("price = 1)", "wrong at character 10, before `)`: AND, OR or the end is wanted here."),
    ("price == 1", "wrong at character 8, before `= 1`: a name, a number or text is wanted here."),
    ("price != 1", "wrong at character 7, before `!= 1`: this means nothing here."),
    ("headers.foo == 'bar'", "wrong at character 14, before `= 'bar'`: a name, a number or text is wanted here."),
    ("price > 'x'", "wrong at character 9, before `'x'`: a number is wanted here, and this is text."),
    ("'x' > 1", "wrong at character 1, before `'x' > 1`: a number is wanted here, and this is text."),
    ("1", "wrong at character 1, before `1`: a condition is wanted here, and this is a number."),
    ("'x'", "wrong at character 1, before `'x'`: a condition is wanted here, and this is text."),
    ("a AND 1 + 2", "wrong at character 7, before `1 + 2`: a condition is wanted here, and this is a number."),
    ("1 OR a", "wrong at character 1, before `1 OR a`: a condition is wanted here, and this is a number."),
    ("NOT 'a'", "wrong at character 5, before `'a'`: a condition is wanted here, and this is text."),
    ("(a = 1) + 1 = 2",
     "wrong at character 1, before `(a = 1) + 1 = 2`: a number is wanted here, and this is a condition."),
    ("a BETWEEN 1", "ends too early, at character 12: AND is wanted here."),
    ("a BETWEEN 'x' AND 'y'",
     "wrong at character 11, before `'x' AND 'y'`: a number is wanted here, and this is text."),
    ("a IN ()", "wrong at character 7, before `)`: text or a number is wanted here."),
    ("a IN (b)", "wrong at character 7, before `b)`: text or a number is wanted here."),
    ("a IN (-'b')", "wrong at character 8, before `'b')`: text or a number is wanted here."),
    ("a IN ('b'", "ends too early, at character 10: ) is wanted here."),
    ("1 IN ('b')", "wrong at character 7, before `'b')`: text cannot be equal to a number."),
    ("1 = 'b'", "wrong at character 5, before `'b'`: text cannot be equal to a number."),
    ("a LIKE b", "wrong at character 8, before `b`: text is wanted here."),
    ("1 LIKE 'b'", "wrong at character 1, before `1 LIKE 'b'`: text is wanted here, and this is a number."),
    ("a LIKE 'b' ESCAPE 'cc'", "wrong at character 19, before `'cc'`: one character is wanted here."),
    ("a LIKE 'b!' ESCAPE '!'", "ends too early, at character 23: the text of LIKE ends with its ESCAPE."),
    ("a IS 1", "wrong at character 6, before `1`: NULL is wanted here."),
    ("a NOT = 1", "wrong at character 7, before `= 1`: BETWEEN, LIKE or IN is wanted here."),
    ("a = NULL", "wrong at character 5, before `NULL`: nothing is equal to NULL; write IS NULL."),
    ("a = 'b", "wrong at character 5, before `'b`: the text has no end."),
    ('"a = 1', 'wrong at character 1, before `"a = 1`: the text has no end.'),
    ("a /* = 1", "wrong at character 3, before `/* = 1`: the comment has no end."),
    ("a = 09", "wrong at character 5, before `09`: this is no number."),
    ("a = 0x", "wrong at character 5, before `0x`: this is no number."),
    ("a = 12z", "wrong at character 5, before `12z`: this is no number."),
    ("a = 1.2.3", "wrong at character 5, before `1.2.3`: this is no number."),
    ("a = 1e", "wrong at character 5, before `1e`: this is no number."),
    ("a = 1.5L", "wrong at character 5, before `1.5L`: this is no number."),
    ("a = " + "1" * 65, f"wrong at character 5, before `{'1' * 20}`: this is no number."),
    ("a = AND", "wrong at character 5, before `AND`: a name, a number or text is wanted here."),
    ("XPATH '//a'", "wrong at character 1, before `XPATH '//a'`: " + NO_XPATH),
    ("a = 1 AND XQUERY 'x'", "wrong at character 11, before `XQUERY 'x'`: " + NO_XPATH),
    ("convert_string_expressions:a =", "ends too early, at character 31: a name, a number or text is wanted here."),
    ("a = 1 AND\n\nb >", "ends too early, at character 15: a name, a number or text is wanted here."),
]  # fmt: skip


@pytest.mark.parametrize(("text", "told"), WRONG)
def test_what_is_wrong_is_told_with_its_place(face: Face, text: str, told: str) -> None:
    with pytest.raises(Refused) as refused:
        face.Choice(text.encode())
    assert refused.value.args[0] == b"bad selector"
    assert refused.value.args[1].decode() == f"The selector {'' if told.startswith('ends') else 'is '}{told}"


# ---- what they may take ----


@pytest.mark.parametrize(
    "text",
    [
        "(" * 65 + "a" + ")" * 65,
        "NOT " * 65 + "a",
        "a = " + "- " * 65 + "1",
        "1+(" * 40 + "1" + ")" * 40 + "=1",
        " AND ".join(f"a{number} = 1" for number in range(33)),
        "a = '" + "x" * 4092 + "'",
        "a IN (" + ",".join(["1"] * 512) + ")",
        "+".join(["a"] * 256) + " = 1",
    ],
    ids=["brackets", "not", "signs", "stack", "names", "length", "lists", "sums"],
)
def test_what_is_too_much(face: Face, text: str) -> None:
    with pytest.raises(
        Refused, match=r"bad selector.*(?:too deep|kept in mind|32 headers|longer than 4096|may have 512)"
    ):
        face.Choice(text.encode())


@pytest.mark.parametrize(
    "text",
    [
        "(" * 64 + "a" + ")" * 64,
        "1+(" * 30 + "a" + ")" * 30 + " = 30 + a",
        " AND ".join(f"a{number} IS NULL" for number in range(32)),
        "a = '" + "x" * 4089 + "'",
        "+".join(["a"] * 250) + " = 250",
        "a IN (" + ",".join(map(str, range(500, 0, -1))) + ")",
    ],
    ids=["brackets", "stack", "names", "length", "sums", "lists"],
)
def test_what_is_not_too_much(face: Face, text: str) -> None:
    assert selects(face, text, b"a:1\n") or text.startswith(("((", "a0", "a = '"))


MUCH = {
    "backtracking": ("a LIKE '%" + "_" * 400 + "b'", b"a:" + b"a" * 8000 + b"\n"),
    "long texts": ("a LIKE '%" + "a" * 2000 + "b'", b"a:" + b"a" * 8000 + b"\n"),
    "long lines": ("a = 1", b"b:" + b"x" * 1_000_000 + b"\n"),
    "many lines": ("a = 1", b"b:1\n" * 10_000),
    "many lines of one name": (" OR ".join(f"a{n:02} = 1" for n in range(32)), b"a00:2\n" + b"a31:2\n" * 100),
    "many lines of names alike": (" OR ".join(f"a{n:02} = 1" for n in range(32)), b"bbb:1\n" * 10_000),
}


@pytest.mark.parametrize("text, head", MUCH.values(), ids=MUCH)
def test_what_takes_too_many_steps_selects_nothing(face: Face, text: str, head: bytes) -> None:
    for each in (text, f"NOT ({text})"):
        choice = face.Choice(each.encode())
        assert not choice.selects(head)
        assert face.MOST_STEPS <= choice.steps < face.MOST_STEPS + 20_000


def test_what_it_takes_is_told(face: Face) -> None:
    plain = face.Choice(b"a = 1")
    plain.selects(b"a:1\n")
    assert plain.steps == 4
    dear = face.Choice(b"a LIKE '%_y'")
    dear.selects(b"a:" + b"x" * 100 + b"\n")
    assert dear.steps > 100
    assert face.Choice(b"a = 1 OR a = 2").parsing > plain.parsing > 0
    assert face.Choice(b"a = 'long text'").cost > plain.cost > 100


# ---- against the plainest evaluator ----

NAMES = ["a", "b", "content-type", "c.d", "e f", "x:y", "ż"]
TEXTS = st.sampled_from(["", "a", "ab", "a%b", "a_b", "it's", "a:b", "a\\b", "ż", "x\ny", "12", "true", "%", "\r"])
NUMBERS = st.integers(0, 20) | st.sampled_from([0.5, 1.5, 12.0, 1e18, 9223372036854775807, 123456789.125])
VALUES = (
    TEXTS
    | st.integers(-20, 20).map(str)
    | st.sampled_from(
        ["1.5", "-0.5", "+7", "1e3", ".5", "5.", "9223372036854775807", "1" * 40, "0.1234567890123456789"]
    )
    | st.sampled_from(["True", "FALSE", "1 ", "- 1", "0x10", "e5", "1e", "inf", "nan", "7" * 70])
    | st.text(max_size=6).filter(lambda text: "\0" not in text)
)
LITERALS = st.builds(lambda number: ("number", number), NUMBERS) | st.builds(lambda text: ("text", text), TEXTS)
HEADERS = st.builds(lambda name: ("header", name), st.sampled_from(NAMES))
SOME_NUMBERS = st.recursive(
    HEADERS | st.builds(lambda number: ("number", number), NUMBERS),
    lambda inner: (
        st.builds(lambda sign, a, b: ("calculate", sign, a, b), st.sampled_from("+-*/%"), inner, inner)
        | st.builds(lambda a: ("negate", a), inner)
    ),
    max_leaves=4,
)
PATTERNS = st.text(alphabet="ab%_:\\ż1", max_size=6)
COMPARISONS = (
    st.builds(lambda r, a, b: ("compare", r, a, b), st.sampled_from(["<", "<=", ">", ">="]), SOME_NUMBERS, SOME_NUMBERS)
    | st.builds(lambda r, a, b: ("compare", r, a, b), st.sampled_from(["=", "<>"]), SOME_NUMBERS, SOME_NUMBERS)
    | st.builds(lambda r, a, b: ("compare", r, a, b), st.sampled_from(["=", "<>"]), HEADERS, LITERALS)
    | st.builds(lambda r, a, b: ("compare", r, a, ("truth", b)), st.sampled_from(["=", "<>"]), HEADERS, st.booleans())
    | st.builds(lambda no, a, b, c: ("between", no, a, b, c), st.booleans(), SOME_NUMBERS, SOME_NUMBERS, SOME_NUMBERS)
    | st.builds(lambda no, a, items: ("in", no, a, items), st.booleans(), HEADERS, st.lists(LITERALS, min_size=1))
    | st.builds(lambda no, a, pattern: ("like", no, a, pattern, ""), st.booleans(), HEADERS, PATTERNS)
    | st.builds(lambda no, a, p: ("like", no, a, p.replace("1", "1%"), "1"), st.booleans(), HEADERS, PATTERNS)
    | st.builds(lambda no, a: ("null", no, a), st.booleans(), HEADERS | SOME_NUMBERS)
)
SELECTORS = st.recursive(
    COMPARISONS | HEADERS,
    lambda inner: (
        st.builds(lambda kind, a, b: (kind, a, b), st.sampled_from(["and", "or"]), inner, inner)
        | st.builds(lambda a: ("not", a), inner)
        | st.builds(lambda no, a: ("null", no, a), st.booleans(), inner)
    ),
    max_leaves=6,
)


def encoded(text: str) -> bytes:
    for plain, escape in (("\\", "\\\\"), ("\n", "\\n"), (":", "\\c"), ("\r", "\\r")):
        text = text.replace(plain, escape)
    return text.encode("utf-8", "surrogatepass")


def fits(text: str) -> bool:
    return all(not 0xD800 <= ord(character) < 0xE000 for character in text)


@given(
    tree=SELECTORS,
    headers=st.dictionaries(st.sampled_from(NAMES), VALUES.filter(fits)),
    others=st.dictionaries(st.sampled_from(["z", "aa", "content-typo"]), VALUES.filter(fits)),
)
def test_it_selects_what_the_plainest_evaluator_does(
    face: Face, tree: Tree, headers: dict[str, str], others: dict[str, str]
) -> None:
    choice = face.Choice(written(tree).encode())
    head = b"".join(b"%b:%b\n" % (encoded(n), encoded(v)) for n, v in [*others.items(), *headers.items()])
    assert choice.selects(head) == (truth_of(evaluated(tree, headers)) is True)


@given(number=st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**30), 10**30))
def test_a_header_is_the_number_that_it_looks_like(face: Face, number: float) -> None:
    text = repr(number)
    literal = text if not text.startswith("-") else f"- {text[1:]}"
    assert selects(face, f"a = {literal}", b"a:%b\n" % text.encode())
    if not math.isinf(float(number)) and abs(number) > 1e-300:
        nearby = repr(math.nextafter(float(number), math.inf))
        assert not selects(face, f"a + 0.0 = {literal}", b"a:%b\n" % nearby.encode())
