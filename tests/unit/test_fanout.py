"""The fan-out: who gets a message, when and in which form; what it does to those who do not read; what it counts."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from broker_frames import bodies, messages, send, subscribe
from hypothesis import given
from hypothesis import strategies as st

Face = Any  # of a module that the type checker knows nothing of
FEW, BATCH_MESSAGES, BATCH_BYTES, BATCH_DELIVERIES = 2, 256, 65_536, 32_768
SHARED = 8192
HOLD_SLOW = 2
SOFT, HARD = 20_000, 200_000


@pytest.fixture
def house(face: Face) -> Face:
    return face.House()


def small(face: Face, policy: str = "drop-oldest", **more: Any) -> Face:
    """Outputs are soon full."""
    return face.House(policies=[("#", policy)], outbound_soft=SOFT, outbound_hard=HARD, **more)


def audience(face: Face, house: Face, count: int, pattern: bytes = b"/topic/a", **how: Any) -> list[Face]:
    clients = [face.Client(house, **how) for _ in range(count)]
    for client in clients:
        client.say(subscribe(b"0", pattern))
    return clients


# ---- order ---------------------------------------------------------------------------------------

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


# ---- the batch -----------------------------------------------------------------------------------


def test_to_few_it_is_written_at_once(face: Face, house: Face) -> None:
    clients = audience(face, house, FEW)
    house.publish(b"/topic/a", b"x")
    assert all(client.pending for client in clients)


@pytest.mark.parametrize(
    ("size", "receivers", "filled"),
    [(1, 3, BATCH_MESSAGES), (4000, 3, BATCH_BYTES // 4000 + 1), (1, 200, BATCH_DELIVERIES // 200 + 1)],
    ids=["messages", "bytes", "deliveries"],
)
def test_a_batch_is_written_when_it_is_full(face: Face, house: Face, size: int, receivers: int, filled: int) -> None:
    clients = audience(face, house, receivers)
    head = len(b"1\ndestination:/topic/a\n\n\0\n")
    for _ in range(filled - 1 if size < 4000 else BATCH_BYTES // (size + head + 2)):
        house.publish(b"/topic/a", b"x" * size)
    assert not any(client.pending for client in clients)
    house.publish(b"/topic/a", b"x" * size)
    assert all(client.pending for client in clients)


@pytest.mark.parametrize("other", [b"/topic/b", b"/queue/a", b"/exchange/amq.topic/a"])
def test_a_batch_is_written_before_a_message_that_goes_elsewhere(face: Face, house: Face, other: bytes) -> None:
    clients = audience(face, house, 3)
    house.publish(b"/topic/a", b"1")
    assert not any(client.pending for client in clients)
    house.publish(other, b"2")
    assert all(client.pending for client in clients)


@pytest.mark.parametrize("mode", [b"auto", b"client"])
def test_who_subscribes_gets_nothing_that_was_sent_before(face: Face, house: Face, mode: bytes) -> None:
    clients = audience(face, house, 3)
    house.publish(b"/topic/a", b"1")
    late = face.Client(house)
    late.say(subscribe(b"0", b"/topic/#", b"ack:%b\n" % mode))
    house.publish(b"/topic/a", b"2")
    house.settle()
    assert bodies(late.hear()) == [b"2"]
    assert all(bodies(client.hear()) == [b"1", b"2"] for client in clients)


@pytest.mark.parametrize("way", ["unsubscribes", "is lost"])
def test_who_leaves_gets_all_that_was_sent_before(face: Face, house: Face, way: str) -> None:
    clients = audience(face, house, 4)
    house.publish(b"/topic/a", b"1")
    if way == "is lost":
        clients.pop().leave()
    else:
        clients[3].say(b"UNSUBSCRIBE\nid:0\n\n\0")
        assert bodies(clients.pop().hear()) == [b"1"]
    house.publish(b"/topic/a", b"2")
    house.settle()
    assert all(bodies(client.hear()) == [b"1", b"2"] for client in clients)


# ---- forms ---------------------------------------------------------------------------------------

FORMS = {
    b"x:a\\cb\\\\c\\nd\n": {b"1.0": b"x:a:b\\c d\n", b"1.1": b"x:a\\cb\\\\c\\nd\n"},
    b"x:a\\rb\n": {b"1.0": b"x:a b\n", b"1.1": b"x:a b\n"},
    b"x:\ny:1\n": {b"1.0": b"y:1\n"},
}


@pytest.mark.parametrize("size", [1, SHARED], ids=["small", "large"])
@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("headers", FORMS)
def test_each_reads_it_by_his_version(face: Face, house: Face, headers: bytes, count: int, size: int) -> None:
    clients = {version: audience(face, house, count, version=version) for version in (b"1.0", b"1.1", b"1.2")}
    house.publish(b"/topic/a", b"plain")
    house.publish(b"/topic/a", b"x" * size, headers)
    house.publish(b"/topic/a", b"plain")
    house.settle()
    for version in clients:
        for client in clients[version]:
            plain, other, last = client.hear().split(b"\0\n")[:-1]
            assert b"x:" not in plain + last
            assert b"\ndestination:/topic/a\n" + FORMS[headers].get(version, headers) + b"\n" in other
            assert other.endswith(b"\n\n" + b"x" * size)


@pytest.mark.parametrize("count", [1, 2, 3, 50])
@pytest.mark.parametrize("size", [SHARED - 1, SHARED, 100_000])
def test_a_large_body_is_there_once(face: Face, house: Face, count: int, size: int) -> None:
    clients = audience(face, house, count)
    before = house.stats["memory"]
    house.publish(b"/topic/a", b"x" * size)
    house.settle()
    copies = 1 if size >= SHARED and count > 1 else 0
    assert house.stats["messages"] == copies
    if copies:
        assert house.stats["memory"] - before < 1.125 * size + 2100 * count
    assert all(bodies(client.hear()) == [b"x" * size] for client in clients)
    assert house.stats["messages"] == 0


# ---- those who do not read -----------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, FEW + 1])
def test_a_publisher_is_told_of_an_output_that_is_full(face: Face, count: int) -> None:
    house = small(face)
    publisher, clients = face.Client(house), audience(face, house, count)
    publisher.say(send(b"/topic/a", b"x" * 1000) * 18)
    assert (publisher.holds, any(client.is_slow for client in clients)) == (0, False)
    publisher.say(send(b"/topic/a", b"x" * 1000))
    assert publisher.holds == HOLD_SLOW
    assert all(client.is_slow for client in clients)
    house.publish(b"/topic/a", b"x")
    house.settle()
    assert house.must_wait()
    for client in clients:
        client.give_up()
    house.publish(b"/topic/a", b"x")
    house.settle()
    assert not house.must_wait(), "nobody waits for one whose grace is over"


@pytest.mark.parametrize("mode", [b"auto", b"client-individual"])
@pytest.mark.parametrize("policy", ["disconnect", "drop-oldest", "drop-newest"])
@pytest.mark.parametrize("count", [1, FEW + 1])
def test_a_policy_is_for_those_whose_grace_is_over(face: Face, policy: str, mode: bytes, count: int) -> None:
    house = small(face, policy)
    readers, slow = audience(face, house, count - 1), face.Client(house)
    slow.say(subscribe(b"0", b"/topic/a", b"ack:%b\ncredit:10000\n" % mode))
    sent = [b"%03d" % number + b"x" * 1000 for number in range(100)]
    for body in sent:
        house.publish(b"/topic/a", body)
        house.settle()
        if slow.is_slow:
            slow.give_up()
    assert all(bodies(client.hear()) == sent for client in readers)
    if policy == "disconnect":
        assert slow.doom
        return
    heard = written = bodies(slow.hear())
    house.turn()
    while (more := bodies(slow.hear())) or slow.backlog:
        heard = heard + more
        house.turn()
    lost = house.stats["dropped"]
    assert lost == len(sent) - len(heard) > 0
    first = len(heard) if policy == "drop-newest" else len(written)
    assert heard == sent[:first] + sent[first + lost :]
    house.publish(b"/topic/a", b"again")
    house.settle()
    assert bodies(slow.hear()) == [b"again"]


def fill(house: Face, name: bytes = b"/queue/fill") -> None:
    """Up to the memory that is left for consumers."""
    while not house.is_full[1]:
        house.publish(name, b"x" * 1000)


@pytest.mark.parametrize("size", [10, 3000, SHARED])
@pytest.mark.parametrize("count", [1, FEW + 1])
@pytest.mark.parametrize("framing", ["", "websocket", "sockjs"])
def test_where_memory_has_run_out_nothing_is_copied_into_outputs_with_something(
    face: Face, count: int, size: int, framing: str
) -> None:
    house = face.House(memory=1 << 20)
    clients = audience(face, house, count, framing=framing)
    fill(house)
    for _ in range(20):
        house.publish(b"/topic/a", b"x" * size)
        house.settle()
    stored = house.stats["messages"]
    assert all(0 < client.pending < 2 * size + 300 for client in clients)
    assert stored >= 19
    for _ in range(20):
        before = [client.hear() for client in clients]
        assert all(before)
        house.turn()
    assert not any(client.backlog for client in clients)


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


# ---- what is counted -----------------------------------------------------------------------------

WRITINGS: dict[str, dict[str, Any]] = {
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


@pytest.mark.parametrize("headers", [b"", b"x:a\\cb\n"], ids=["plain", "escaped"])
@pytest.mark.parametrize("size", [0, 10, 126, 3000, SHARED, 70_000])
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("writing", WRITINGS)
def test_what_is_counted_is_what_is_written(face: Face, writing: str, path: str, size: int, headers: bytes) -> None:
    count, destination, mode = PATHS[path]
    house = face.House()
    clients = [face.Client(house, **WRITINGS[writing]) for _ in range(count)]
    for client in clients:
        client.say(subscribe(b"0", destination, b"ack:%b\ncredit:100\n" % mode))
    for _ in range(3):
        house.publish(destination, b"x" * size, headers)
    house.settle()
    assert sum(client.messages for client in clients) == 3 * count
    assert house.stats["bytes_out"] == sum(len(client.hear()) for client in clients)


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
    assert (sum(client.messages for client in clients), house.stats["bytes_out"]) == (0, 0)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("body", [b"x", b"\xff\0", b"y" * SHARED, b"\xff" * SHARED, "ż".encode() * 70_000])
def test_each_frame_is_one_message_of_the_websocket(face: Face, house: Face, path: str, body: bytes) -> None:
    count, destination, mode = PATHS[path]
    clients = [face.Client(house, framing=("websocket", "sockjs")[at % 2]) for at in range(count)]
    for client in clients:
        client.say(subscribe(b"0", destination, b"ack:%b\n" % mode))
    house.publish(destination, body)
    house.publish(destination, b"last")
    house.settle()
    for at, client in enumerate(clients):
        found = unframed(client.hear())
        if at % 2:
            texts = [text for _, payload in found for text in json.loads(payload[1:])]
            assert [text[:8] + text[-1] for text in texts] == ["MESSAGE\n\0"] * 2
        assert len(found) == 2
        assert all(opcode == (1 if at % 2 or is_text(payload) else 2) for opcode, payload in found)
        assert found[0][1].startswith(b'a["MESSAGE' if at % 2 else b"MESSAGE\n")
        assert found[1][1].endswith(b'last\\u0000"]' if at % 2 else b"\n\nlast\0")


def is_text(payload: bytes) -> bool:
    try:
        return bool(payload.decode())
    except UnicodeDecodeError:
        return False


def unframed(stream: bytes) -> list[tuple[int, bytes]]:
    """(opcode, payload) of each frame of a WebSocket."""
    found, at = [], 0
    while at < len(stream):
        size = {126: 2, 127: 8}.get(stream[at + 1], 0)
        length = int.from_bytes(stream[at + 2 : at + 2 + size], "big") if size else stream[at + 1]
        at += 2 + size + length
        found.append((stream[at - length - 2 - size] & 15, stream[at - length : at]))
    return found
