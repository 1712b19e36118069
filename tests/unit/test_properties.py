"""What the sender of a message asks for in its headers, in the words of several brokers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.micro.compiled import compiled
from fastbroker.core.frame import Refused

Face = Any  # of a module that the type checker knows nothing of
RETAIN, FORGET, SOMEBODY, INFO, CLOSES = 1, 2, 4, 8, 16
PERSISTS = 128
SOON = 60_000  # a test takes no longer


@pytest.fixture(scope="module")
def face() -> Face:
    return compiled(Path(__file__).with_name("properties_face.pyx"))


@pytest.mark.parametrize("head", [b"", b"x:1\n", b"Priority:9\n", b"priority9:1\n", b"xttl:1\n"])
def test_other_headers_ask_for_nothing(face: Face, head: bytes) -> None:
    assert face.read(head) is False


@pytest.mark.parametrize(
    "head",
    [
        b"priority:4\n", b"expires:0\n", b"ttl:0\n", b"expiration:0\n", b"delay:0\n", b"JMSXGroupID:\n",
        b"mandatory:false\n", b"receipt-info:false\n", b"persistent:false\n", b"JMSXGroupSeq:1\n",
        b"ActiveMQ.Retain:false\n",
    ],
)  # fmt: skip
def test_what_is_usual_anyway_costs_nothing(face: Face, head: bytes) -> None:
    assert face.read(head) is None


@pytest.mark.parametrize(("text", "priority"), [(b"0", 0), (b"9", 9), (b"10", 9), (b"255", 9), (b"007", 7)])
def test_priorities(face: Face, text: bytes, priority: int) -> None:
    assert face.read(b"priority:%b\n" % text)["priority"] == priority


@pytest.mark.parametrize("name", [b"ttl", b"expiration"])
@pytest.mark.parametrize("ahead", [0, 10**12])
def test_a_time_to_live_begins_now(face: Face, name: bytes, ahead: int) -> None:
    before = face.now() + ahead
    assert before + 500 <= face.read(b"%b:500\n" % name, ahead=ahead)["expires"] <= before + 500 + SOON


def test_of_several_times_the_earliest_counts(face: Face) -> None:
    assert face.read(b"expires:5\nttl:500\n")["expires"] == 5
    assert face.read(b"ttl:500\nexpires:5\n")["expires"] == 5
    assert face.read(b"expires:0\nttl:500\n")["expires"] > 500


@pytest.mark.parametrize("name", [b"delay", b"AMQ_SCHEDULED_DELAY"])
def test_a_delay(face: Face, name: bytes) -> None:
    assert face.read(b"%b:700\n" % name)["delay"] == 700


def test_a_time_of_day_is_a_delay(face: Face) -> None:
    delay = face.read(b"AMQ_SCHEDULED_TIME:%d\n" % (face.now() + 2 * SOON))["delay"]
    assert SOON <= delay <= 2 * SOON
    assert face.read(b"AMQ_SCHEDULED_TIME:1\n") is None, "which is over"


@pytest.mark.parametrize(
    ("names", "field"),
    [
        ((b"JMSXGroupID", b"message_group"), "group"),
        ((b"_AMQ_DUPL_ID", b"message-dedup-id"), "duplicate"),
        ((b"_AMQ_LVQ_NAME",), "last_value"),
    ],
)
def test_names_are_told_apart_and_the_same_is_the_same(face: Face, names: tuple[bytes, ...], field: str) -> None:
    seen = {
        face.read(b"%b:%b\n" % (name, value), version)[field]
        for name in names
        for value in (b"a", b"b", b"a b")
        for version in (11, 12)
    }
    assert len(seen) == 3
    assert 0 not in seen


def test_a_name_is_the_same_in_each_encoding(face: Face) -> None:
    assert face.read(b"JMSXGroupID:a\\cb\n", 12)["group"] == face.read(b"JMSXGroupID:a:b\n", 10)["group"]


@pytest.mark.parametrize(
    ("head", "flags"),
    [
        (b"retain:set\n", RETAIN), (b"retain:remove\n", FORGET), (b"ActiveMQ.Retain:true\n", RETAIN),
        (b"mandatory:true\n", SOMEBODY), (b"receipt-info:True\n", INFO), (b"JMSXGroupSeq:-1\n", CLOSES),
        (b"mandatory:true\nreceipt-info:true\n", SOMEBODY | INFO), (b"persistent:true\n", PERSISTS),
    ],
)  # fmt: skip
def test_flags(face: Face, head: bytes, flags: int) -> None:
    assert face.read(head)["flags"] == flags


@pytest.mark.parametrize(
    ("one", "other"), [(b"priority:1\n", b"priority:2\n"), (b"delay:1\n", b"AMQ_SCHEDULED_DELAY:2\n")]
)
def test_the_first_of_those_that_mean_the_same_counts(face: Face, one: bytes, other: bytes) -> None:
    assert face.read(one + other) == face.read(one)
    assert face.read(other + one) == face.read(other)


@pytest.mark.parametrize(
    "head",
    [
        b"priority:high\n", b"priority:-1\n", b"priority:\n", b"priority: 1\n", b"expires:soon\n", b"ttl:1.5\n",
        b"expiration:1234567890123456789\n", b"delay:-1\n", b"AMQ_SCHEDULED_DELAY:x\n", b"AMQ_SCHEDULED_TIME:x\n",
        b"retain:yes\n", b"mandatory:1\n", b"receipt-info:\n", b"persistent:yes\n", b"ActiveMQ.Retain:set\n",
    ],
)  # fmt: skip
def test_a_value_that_says_nothing_is_refused_with_its_name(face: Face, head: bytes) -> None:
    with pytest.raises(Refused) as refused:
        face.read(head)
    message, body = refused.value.args
    assert message == b"bad header"
    assert head.partition(b":")[0] in body


@given(st.lists(st.tuples(st.sampled_from([b"priority", b"expires", b"ttl", b"delay", b"JMSXGroupID", b"retain"]),
                          st.binary(max_size=24).filter(lambda text: not set(text) & set(b"\n\0\r\\:")))))  # fmt: skip
def test_any_values_are_read_or_refused(face: Face, lines: list[tuple[bytes, bytes]]) -> None:
    try:
        found = face.read(b"".join(b"%b:%b\n" % line for line in lines), 10)
    except (Refused, ValueError):
        return
    assert not lines or found is None or 0 <= found["priority"] <= 9
