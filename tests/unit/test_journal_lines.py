"""A journal as lines of JSON: each says all of its record, and what is wrong is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from harness.broker import ROOT
from hypothesis import given
from hypothesis import strategies as st

from fastbroker.errors import JournalError
from fastbroker.journal import lines
from fastbroker.journal.transfer import imported

U16, U32, U64 = (st.integers(0, 2**bits - 1) for bits in (16, 32, 64))
HASH = U64.map(lambda value: f"{value:x}")
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
HEADER = st.text(st.characters(exclude_characters="\n\0", exclude_categories=["Cs"]), max_size=20).map("a:{}".format)
CONTENT = {
    "id": U64,
    "priority": st.integers(0, 9),
    "expires": U64,
    "group": HASH,
    "duplicate": HASH,
    "last_value": HASH,
    "seen": st.integers(0, 255),
    "flags": st.integers(0, 255),
}
PLACE = {"place": U64, "deliveries": U32, "refusals": U32}
FIELDS = {
    lines.Numbers: {"messages": U64, "dead_letters": U64, "keys": U64},
    lines.Queue: {"queue": U32, "not_by": U64, "given": U64, "name": TEXT, "declared": st.lists(TEXT)},
    lines.Durable: {"queue": U32, "not_by": U64, "given": U64, "name": TEXT, "to": st.lists(TEXT, min_size=1)},
    lines.Added: CONTENT | PLACE | {"queue": U32},
    lines.Shared: PLACE | {"queue": U32, "id": U64},
    lines.Returned: {
        "queue": U32,
        "id": U64,
        "segment": U32,
        "due": U64,
        "rest": U64,
        "deliveries": U32,
        "refusals": U32,
    },
    lines.Kept: CONTENT
    | dict.fromkeys(("key", "time", "delay", "later", "left", "times", "before"), U64)
    | {"what": st.sampled_from(["job", "past", "retained"]), "name": TEXT, "lax": st.booleans()},
    lines.Names: {"queue": U64, "id": U64, "names": st.lists(HASH)},
}


@st.composite
def said(draw: st.DrawFn) -> lines.Line:
    kind = draw(st.sampled_from(list(FIELDS)))
    values = draw(st.fixed_dictionaries(FIELDS[kind]))  # type: ignore[arg-type]
    if "priority" in FIELDS[kind]:
        values |= draw(
            st.one_of(
                st.fixed_dictionaries({"headers": st.lists(HEADER)}),
                st.just({"headers_base64": b"\xff:\n"}),
            )
        )
        values |= draw(st.one_of(st.fixed_dictionaries({"body": TEXT}), st.just({"body_base64": b"\xff\0"})))
    return kind(shard=draw(U16), **values)


@given(said())
def test_a_line_says_all_of_its_record(line: lines.Line) -> None:
    record = lines.record_of(line)
    assert lines.line_of(*record) == line
    assert lines.decoded(lines.encoded(line)) == line


def test_every_kind_of_record_has_its_line() -> None:
    """But those that a store writes by itself."""
    text = (ROOT / "csrc" / "record.h").read_text()
    enum = text[text.index("enum {\n    RECORD_NOTHING") : text.index("RECORD_KINDS\n")]
    kinds = re.findall(r"^    RECORD_(\w+),", enum, re.MULTILINE)
    assert kinds[-1] == "NAMES"
    for number, name in enumerate(kinds):
        if name in ("NOTHING", "MORE", "SEGMENTS"):
            with pytest.raises(JournalError, match=f"kind {number}"):
                lines.line_of(number, 0, bytes(100))
        else:
            line = lines.line_of(number, 0, bytes(200) if name != "CLOSED" else b"")
            assert (line.record, line.__struct_config__.tag) == (number, name.lower())


@pytest.mark.parametrize("kind", range(18))
@given(st.binary(max_size=200))
def test_a_record_that_says_something_else_is_told(kind: int, payload: bytes) -> None:
    try:
        line = lines.line_of(kind, 0, payload)
    except JournalError as error:
        assert str(kind) in str(error)
    else:
        lines.encoded(line)


FIRST = b'{"kind":"journal","format":1,"version":"0","epoch":"aaaaaaaa","seed":"7","shards":64}'
NUMBERS = b'{"kind":"numbers","messages":9,"dead_letters":0,"keys":0}'
QUEUE = b'{"kind":"queue","queue":1,"name":"a"}'
MESSAGE = b'{"kind":"added","queue":1,"place":0,"id":1,"headers":["destination:/queue/a"],"body":"x"}'
END = b'{"kind":"end","lines":5}'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ([], "line 1: Input data was truncated"),
        ([b"rubbish"], "line 1: "),
        ([NUMBERS], "line 1: an export begins with the line"),
        ([FIRST.replace(b'"format":1', b'"format":2'), END], "line 1: format 2 is one of another version, 0"),
        ([FIRST], 'ends behind line 1, and not with a line {"kind": "end"'),
        ([FIRST, NUMBERS, QUEUE, MESSAGE], "ends behind line 4"),
        ([FIRST, QUEUE, END], "line 2: here stands"),
        ([FIRST, NUMBERS, FIRST, END], "line 3: another export begins here"),
        ([FIRST, NUMBERS, MESSAGE, END], "line 3: no line before says what queue 1 is - at `$.queue`"),
        ([FIRST, NUMBERS, QUEUE, END], "5 lines were written, and these are 4"),
        ([FIRST, NUMBERS, QUEUE, MESSAGE, END, QUEUE], "something stands behind the end"),
        ([FIRST, b'{"kind":"settled","queue":1}'], "line 2: Invalid value 'settled' - at `$.kind`"),
        (
            [FIRST, NUMBERS, MESSAGE.replace(b'"queue":1', b'"queue":"a"')],
            "line 3: Expected `int`, got `str` - at `$.queue`",
        ),
        ([FIRST, NUMBERS, MESSAGE.replace(b'"place"', b'"plaice"')], "line 3: Object contains unknown field `plaice`"),
        ([FIRST, NUMBERS, QUEUE, MESSAGE.replace(b'"id":1', b'"id":%d' % 2**64)], "line 4: "),
        (
            [FIRST, NUMBERS, MESSAGE.replace(b'"body"', b'"body_base64"')],
            "line 3: Invalid base64 encoded string - at `$.body_base64`",
        ),
        (
            [FIRST, NUMBERS, QUEUE, MESSAGE.replace(b',"body":"x"', b"")],
            "line 4: Expected either `body` or `body_base64`",
        ),
        (
            [FIRST, NUMBERS, QUEUE, MESSAGE.replace(b"destination:", b"destination")],
            "Expected a header line, `name:value` - at `$.headers[0]`",
        ),
        ([FIRST, NUMBERS, QUEUE, MESSAGE.replace(b"destination:", rb"a:\n")], "at `$.headers[0]`"),
        ([FIRST, b"\xff"], "line 2: "),
    ],
)
def test_what_is_wrong_in_a_file_is_told_and_nothing_is_made(tmp_path: Path, text: list[bytes], message: str) -> None:
    with pytest.raises(JournalError, match=re.escape(message)):
        imported([line + b"\n" for line in text], tmp_path / "new", lambda _: None)
    assert not list(tmp_path.glob("new/*"))
