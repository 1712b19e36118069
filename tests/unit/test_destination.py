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
