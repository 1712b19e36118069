"""Selectors that begin with a header and its value: who has one is found by it, and gets what he would be asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from broker_frames import bodies, messages, send, subscribe
from hypothesis import given
from hypothesis import strategies as st

from bench.micro.compiled import compiled

Face = Any  # of a module that the type checker knows nothing of

VALUES = ["'a'", "'b'", "'12'", "12", "12.0", "1.2e1", "0", "'c:d'", "''", "9007199254740993", "9007199254740992"]
FOUND = ["12", "12.0", "+12", "0012", "-0", "0.0", "a", "b", "", "c\\cd", "12x", "9007199254740993", "true"]
NAMES = ["one", "two", "three", "four", "five", "six"]
REST = [
    "",
    " AND one = 12",
    " AND two IS NULL",
    " OR two = 'a'",
    " AND two = 'a' OR three = 12",
    " AND (two = 'a' OR three = 12) AND four IS NULL",
    " AND NOT two = 'b' AND three <> 0",
    " AND JMSPriority = 4",
]
SELECTORS = st.builds(
    "{} {} {}{}".format,
    st.sampled_from(NAMES),
    st.sampled_from(["=", "=", "=", "<>"]),
    st.sampled_from(VALUES),
    st.sampled_from(REST),
)
HEADS = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(FOUND)), max_size=8)
WISHES = [b"", b"ack:client\ncredit:1000\n", b"durable:true\nauto-delete:false\n"]


@pytest.fixture(scope="module")
def choice() -> Any:
    return compiled(Path(__file__).with_name("selector_face.pyx")).Choice


@pytest.fixture
def house(face: Face) -> Face:
    return face.House()


def lines(headers: list[tuple[str, str]]) -> bytes:
    return b"".join(b"%b:%b\n" % (name.encode(), value.encode()) for name, value in headers)


def wish(selector: str) -> bytes:
    return b"selector:%b\n" % selector.replace(":", "\\c").encode()


@given(
    selectors=st.lists(st.tuples(SELECTORS, st.sampled_from(WISHES)), max_size=20),
    heads=st.lists(HEADS, max_size=10),
    leaves=st.booleans(),
)
def test_each_gets_what_his_selector_selects(
    face: Face, choice: Any, selectors: list[tuple[str, bytes]], heads: list[list[tuple[str, str]]], leaves: bool
) -> None:
    house = face.House()
    client, publisher = face.Client(house), face.Client(house)
    for at, (selector, wishes) in enumerate(selectors):
        client.say(subscribe(b"%d" % at, b"/topic/a", wishes + wish(selector)))
    if leaves and selectors:
        publisher.say(send(b"/topic/a", b"x"))
        client.say(b"UNSUBSCRIBE\nid:0\ndurable:true\n\n\0")
    client.hear()
    for at, headers in enumerate(heads):
        publisher.say(send(b"/topic/a", b"%d" % at, lines(headers)))
    heard = messages(client.hear())
    for at, (selector, _) in enumerate(selectors):
        asked = choice(selector.encode())
        expected = [b"%d" % number for number, headers in enumerate(heads) if asked.selects(lines(headers))]
        if leaves and at == 0:
            expected = []
        assert [each.body for each in heard if each.subscription == b"%d" % at] == expected


@pytest.mark.parametrize("rest", ["", " AND size > 1", " AND size > 1 AND size < 5"])
def test_nobody_else_is_asked(face: Face, house: Face, rest: str) -> None:
    clients = [face.Client(house) for _ in range(200)]
    for at, client in enumerate(clients):
        client.say(subscribe(b"0", b"/topic/a", wish(f"device = 'd{at}'{rest}")))
    publisher = face.Client(house)
    publisher.say(send(b"/topic/a", b"first", b"device:none\n"))
    before = house.stats["work"]
    publisher.say(send(b"/topic/a", b"x", b"size:3\ndevice:d17\n"))
    house.settle()
    assert house.stats["work"] - before < 2_000
    assert [bodies(client.hear()) for client in clients] == [[b"x"] if at == 17 else [] for at in range(200)]


@pytest.mark.parametrize("rest", [" OR size > 1", " AND size = 9 OR size > 1"])
def test_who_would_take_others_too_is_asked(face: Face, house: Face, rest: str) -> None:
    clients = [face.Client(house) for _ in range(20)]
    for at, client in enumerate(clients):
        client.say(subscribe(b"0", b"/topic/a", wish(f"device = 'd{at}'{rest}")))
    house.publish(b"/topic/a", b"x", b"size:3\n")
    house.settle()
    assert [bodies(client.hear()) for client in clients] == [[b"x"]] * 20


def test_many_with_the_same_value(face: Face, house: Face) -> None:
    clients = [face.Client(house) for _ in range(100)]
    for at, client in enumerate(clients):
        client.say(subscribe(b"0", b"/topic/a", wish(f"kind = {at % 2}")))
    for at in range(10):
        house.publish(b"/topic/a", b"%d" % at, b"kind:%d.0\n" % (at % 2))
    house.settle()
    for at, client in enumerate(clients):
        assert [int(body) for body in bodies(client.hear())] == list(range(at % 2, 10, 2))


def test_a_header_that_is_repeated_counts_once(face: Face, house: Face) -> None:
    clients = [face.Client(house) for _ in range(10)]
    for at, client in enumerate(clients):
        client.say(subscribe(b"0", b"/topic/a", wish(f"kind = {at}")))
    house.publish(b"/topic/a", b"x", b"kind:3\nkind:3\nkind:4\n")
    house.settle()
    assert [len(bodies(client.hear())) for client in clients] == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]


def test_to_find_them_anew_is_counted(face: Face, house: Face) -> None:
    client, other, publisher = face.Client(house), face.Client(house), face.Client(house)
    client.say(b"".join(subscribe(b"%d" % at, b"/topic/a", wish(f"kind = {at}")) for at in range(10_000)))
    publisher.say(send(b"/topic/a", b"x"))
    before = house.stats["work"]
    other.say(subscribe(b"0", b"/topic/a"))
    publisher.say(send(b"/topic/a", b"x"))
    house.settle()
    assert house.stats["work"] - before > 10_000 * 32


def test_what_finds_them_is_counted_and_given_back(face: Face, house: Face) -> None:
    client = face.Client(house)
    publisher = face.Client(house)
    publisher.say(send(b"/topic/a", b"x"))
    memory = house.stats["memory"]
    for at in range(1000):
        client.say(subscribe(b"%d" % at, b"/topic/a", wish(f"kind = {at}")))
    before = house.stats["memory"]
    publisher.say(send(b"/topic/a", b"x"))
    assert house.stats["memory"] - before >= 1000 * 8 + (1024 + 1000) * 4
    client.leave()
    publisher.say(send(b"/topic/a", b"x"))
    publisher.leave()
    house.advance(3000)
    assert house.stats["memory"] - memory < 30_000


def test_who_comes_back_with_another_selector_is_found_by_that(face: Face, house: Face) -> None:
    names = [b"activemq.subscriptionName:s%d\n" % at for at in range(8)]
    client, publisher = face.Client(house, headers=b"client-id:c\n"), face.Client(house)
    for at, name in enumerate(names):
        client.say(subscribe(b"%d" % at, b"/topic/a", name + wish(f"kind = {at}")))
    publisher.say(send(b"/topic/a", b"old", b"kind:3\n"))
    assert [each.subscription for each in messages(client.hear())] == [b"3"]
    client.say(b"UNSUBSCRIBE\nid:3\n\n\0" + subscribe(b"3", b"/topic/a", names[3] + wish("kind = 33")))
    publisher.say(send(b"/topic/a", b"old", b"kind:3\n") + send(b"/topic/a", b"new", b"kind:33\n"))
    assert [(each.subscription, each.body) for each in messages(client.hear())] == [(b"3", b"new")]
