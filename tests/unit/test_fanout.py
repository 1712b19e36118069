"""The fan-out: who gets a message, when and in which form; what it does to those who do not read; what it counts."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import pytest
from broker_frames import bodies, messages, send, subscribe
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.micro.compiled import compiled

Face = Any  # of a module that the type checker knows nothing of
FEW, BATCH_MESSAGES, BATCH_BYTES, BATCH_DELIVERIES = 2, 256, 65_536, 32_768
SHARED = 8192
SOFT, HARD = 20_000, 200_000


@pytest.fixture(scope="module")
def face() -> Face:
    return compiled(Path(__file__).with_name("broker_face.pyx"))


@pytest.fixture
def house(face: Face) -> Face:
    return face.House()


def audience(face: Face, house: Face, count: int, pattern: bytes = b"/topic/a", **how: Any) -> list[Face]:
    clients = [face.Client(house, **how) for _ in range(count)]
    for client in clients:
        client.say(subscribe(b"0", pattern))
    return clients


SENDS = st.lists(
    st.tuples(
        st.sampled_from([b"/topic/a", b"/topic/a", b"/topic/a", b"/exchange/amq.topic/a", b"/topic/b", b"/queue/a"]),
        st.sampled_from([0, 1, 100, 100, 3000, SHARED - 10, SHARED, 3 * SHARED]),
        st.sampled_from([b"", b"", b"x:a\\cb\n", b"x:a\\rb\n"]),
    ),
    max_size=60,
)
AUDIENCES = st.lists(
    st.tuples(
        st.sampled_from([b"/topic/a", b"/topic/b", b"/topic/#", b"/topic/*"]),
        st.sampled_from([b"auto", b"auto", b"auto", b"client"]),
        st.sampled_from([b"1.0", b"1.1", b"1.2", b"1.2"]),
    ),
    min_size=1,
    max_size=8,
)


@given(sends=SENDS, those=AUDIENCES, chance=st.randoms(use_true_random=False))
def test_everybody_gets_his_in_the_order_in_which_they_came(
    face: Face, sends: list[tuple[bytes, int, bytes]], those: list[tuple[bytes, bytes, bytes]], chance: random.Random
) -> None:
    """Whatever their sizes, wherever they go to, and however many come with one read."""
    house = face.House()
    publisher, subscribers = face.Client(house), []
    for pattern, mode, version in those:
        client = face.Client(house, version)
        client.say(subscribe(b"0", pattern, b"ack:%b\ncredit:60000\n" % mode) + subscribe(b"1", b"/queue/a"))
        subscribers.append((client, pattern))
    expected: list[tuple[bytes, bytes]] = []
    for number, (destination, size, headers) in enumerate(sends):
        body = b"%d " % number + b"x" * size
        expected.append((destination.replace(b"/exchange/amq.topic", b"/topic"), body))
        publisher.say(send(destination, body, headers), is_all=chance.random() < 0.1)
    publisher.say(b"")
    house.turn()
    queued = []
    for client, pattern in subscribers:
        heard = messages(client.hear())
        wanted = {b"/topic/a", b"/topic/b"} if pattern[-1:] in b"#*" else {pattern}
        assert [each.body for each in heard if each.subscription == b"0"] == [b for d, b in expected if d in wanted]
        queued += [each.body for each in heard if each.subscription == b"1"]
    assert sorted(queued) == sorted(body for destination, body in expected if destination == b"/queue/a")


def test_a_large_body_overtakes_no_small_one(face: Face, house: Face) -> None:
    publisher, clients = face.Client(house), audience(face, house, 5)
    for body in (b"1", b"2" * SHARED, b"3", b"4" * SHARED):
        publisher.say(send(b"/topic/a", body), is_all=False)
    publisher.say(b"")
    for client in clients:
        assert [body[:1] for body in bodies(client.hear())] == [b"1", b"2", b"3", b"4"]


@pytest.mark.parametrize("count", [1, FEW + 1])
@pytest.mark.parametrize("framing", ["", "websocket", "sockjs"])
@pytest.mark.parametrize("size", [20, 400, SHARED + 100])
def test_what_an_output_cannot_take_waits_in_a_queue(face: Face, count: int, framing: str, size: int) -> None:
    """Nobody is cut off for what the broker wrote to him, wherever between two of its bytes the limit lies."""
    house = face.House(outbound_soft=40_000, outbound_hard=65_536)
    for first in range(0, size + 120, 5):
        clients = audience(face, house, count, framing=framing)
        house.publish(b"/topic/a", b"x" * (first if size > 100 else 60_000 + first))
        while not clients[0].backlog and not clients[0].doom:
            house.publish(b"/topic/a", b"x" * size)
        house.settle()
        assert not any(client.doom for client in clients)
        assert all(client.backlog for client in clients)
        for client in clients:
            client.leave()


WRITINGS = {
    "tcp": {},
    "tcp, no LF": {"frame_end": 1},
    "websocket": {"framing": "websocket"},
    "sockjs": {"framing": "sockjs"},
    "1.0": {"version": b"1.0"},
}
PATHS = {
    "topic to one": (1, b"/topic/a", b"auto"),
    "topic to two": (FEW, b"/topic/a", b"auto"),
    "batch": (FEW + 3, b"/topic/a", b"auto"),
    "bulk": (300, b"/topic/a", b"auto"),
    "topic, acknowledged": (3, b"/topic/a", b"client"),
    "queue": (1, b"/queue/a", b"auto"),
    "queue, acknowledged": (1, b"/queue/a", b"client-individual"),
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("writing", WRITINGS)
@pytest.mark.parametrize("size", [10, SHARED])
def test_what_nobody_gets_is_not_counted(face: Face, writing: str, path: str, size: int) -> None:
    """Its connection is about to end."""
    count, destination, mode = PATHS[path]
    house = face.House(policies=[("#", "disconnect")])
    clients = [face.Client(house, **WRITINGS[writing]) for _ in range(count)]
    for client in clients:
        client.say(subscribe(b"0", destination, b"ack:%b\ncredit:100\n" % mode))
        client.be_doomed()
    house.publish(destination, b"x" * size)
    house.settle()
    assert (house.stats["messages_out"], house.stats["bytes_out"]) == (0, 0)
