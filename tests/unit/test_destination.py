"""Destinations: what a client may write, and the one name that each thing has."""

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
PREFIXES = {
    b"/topic/": ("topic", b"/topic/"),
    b"/exchange/amq.topic/": ("topic", b"/topic/"),
    b"/queue/": ("queue", b"/queue/"),
    b"/amq/queue/": ("existing queue", b"/queue/"),
    b"/temp-queue/": ("temporary", b"/temp-queue/"),
    b"/reply-queue/": ("reply", b"/reply-queue/"),
    b"/remote-temp-queue/": ("reply", b"/reply-queue/"),
    b"/queue//reply-queue/": ("reply", b"/reply-queue/"),
    b"/queue//remote-temp-queue/": ("reply", b"/reply-queue/"),
    b"queue://": ("queue", b"/queue/"),
    b"topic://": ("topic", b"/topic/"),
    b"/exchange/amq.direct/": ("direct", b"/exchange/amq.direct/"),
    b"/temp-topic/": ("temporary topic", b"/temp-topic/"),
    b"/reply-topic/": ("reply topic", b"/reply-topic/"),
    b"/remote-temp-topic/": ("reply topic", b"/reply-topic/"),
}
NAMES = st.text(min_size=1, max_size=20).map(str.encode) | st.sampled_from(
    [b"a", b"a.b", b"a/b", b"/", b"//", b"/queue/a", b"/topic/", *PREFIXES]
)


@pytest.fixture(scope="module")
def face() -> Face:
    return compiled(Path(__file__).with_name("destination_face.pyx"))


@given(prefix=st.sampled_from([*PREFIXES]), name=NAMES)
def test_a_prefix_and_a_name(face: Face, prefix: bytes, name: bytes) -> None:
    kind, stands_for = PREFIXES[prefix]
    assert face.parts(prefix + name) == (kind, name, stands_for + name)


@given(name=NAMES.filter(lambda name: b"/" not in name))
def test_a_bare_name_is_a_queue(face: Face, name: bytes) -> None:
    assert face.parts(name) == ("queue", name, b"/queue/" + name)


@given(prefix=st.sampled_from([*PREFIXES]), name=NAMES)
def test_a_canonical_name_stands_for_itself(face: Face, prefix: bytes, name: bytes) -> None:
    made = face.parts(prefix + name)[2]
    assert face.parts(made)[1:] == (name, made)


@pytest.mark.parametrize(
    "destination",
    [
        b"",
        *(prefix for prefix in PREFIXES if not prefix.startswith(b"/queue//")),
        b"/",
        b"/nowhere/a",
        b"topic/a",
        b"queue/a",
        b"/Queue/a",
        b" /queue/a",
        b"/topicx/a",
    ],
)
def test_what_names_nothing(face: Face, destination: bytes) -> None:
    with pytest.raises(Refused, match="unknown destination") as refusal:
        face.parts(destination)
    told = refusal.value.args[1]
    assert (b"Did you mean /" + destination in told) == destination.startswith((b"topic/", b"queue/"))


@pytest.mark.parametrize("name", [b"*", b"a.*", b"#", b"a.#", b"a/**", b"a.>", b"*.b"])
def test_patterns_are_subscribed_to_and_not_sent_to(face: Face, name: bytes) -> None:
    face.pattern(name, 8)
    with pytest.raises(Refused, match="pattern not allowed"):
        face.topic(name, 8)


def test_levels_have_a_bound(face: Face) -> None:
    for check in (face.topic, face.pattern):
        check(b"a.b/c", 3)
        with pytest.raises(Refused, match="bad destination"):
            check(b"a.b/c.d", 3)


@given(name=NAMES)
def test_the_key_of_a_fanout_means_nothing(face: Face, name: bytes) -> None:
    fanout = b"/exchange/amq.fanout"
    for destination in (fanout, fanout + b"/" + name):
        assert face.parts(destination) == ("fanout", b"", fanout)


@pytest.mark.parametrize(
    ("destination", "parts"),
    [
        (b"/queue/a", [b"/queue/a"]),
        (b"/queue/a,b", [b"/queue/a,b"]),
        (b"a,b", [b"a,b"]),
        (b"/queue/a,/b", [b"/queue/a,/b"]),
        (b"/queue/a,/topic/b", [b"/queue/a", b"/topic/b"]),
        (b"/queue/a, b ,/topic/c,d", [b"/queue/a", b"/queue/b", b"/topic/c", b"/topic/d"]),
        (b"a,b,queue://c", [b"a", b"b", b"queue://c"]),
        (b"/topic/a,/exchange/amq.fanout", [b"/topic/a", b"/exchange/amq.fanout"]),
        (b"/queue/a?consumer.priority=1,/queue/b", [b"/queue/a", b"/queue/b"]),
        (b"/queue/a,,/queue/b", [b"/queue/a", b"/queue/", b"/queue/b"]),
        (b"/queue/" + b"," * 33 + b"/queue/b", [b"/queue/" + b"," * 33 + b"/queue/b"]),
    ],
)
def test_the_parts_of_a_destination(face: Face, destination: bytes, parts: list[bytes]) -> None:
    assert face.divided(destination) == parts


@given(text=st.lists(st.sampled_from([b",", b" ", b"a", b"/queue/", b"topic://", b"?consumer."]), max_size=80))
def test_any_text_has_parts_or_is_refused(face: Face, text: list[bytes]) -> None:
    try:
        assert 1 <= len(face.divided(b"".join(text))) <= 32
    except Refused:
        assert text.count(b",") >= 32


def test_options_are_headers(face: Face) -> None:
    assert face.options(b"/queue/a") == {}
    assert face.options(b"/queue/a?consumer.selector=a%3D1+AND+b%3E2&consumer.noLocal=true") == {
        b"selector": b"a=1 AND b>2",
        b"activemq.noLocal": b"true",
    }


@pytest.mark.parametrize(
    ("queue", "topic"),
    [
        (b"Consumer.A.VirtualTopic.x.y", b"VirtualTopic.x.y"),
        (b"Consumer.A.VirtualTopic.", b"VirtualTopic."),
        (b"Consumer.A.b.VirtualTopic.x", None),
        (b"Consumer.VirtualTopic.x", None),
        (b"VirtualTopic.x", None),
        (b"Consumer.A", None),
    ],
)
def test_the_virtual_topic_of_a_queue(face: Face, queue: bytes, topic: bytes | None) -> None:
    assert face.followed(queue) == topic
