"""Subscribers that choose: of a topic they get what their selectors select, and not what they have sent themselves."""

from __future__ import annotations

from typing import Any

import pytest
from broker_frames import ack, bodies, messages, send, subscribe
from hypothesis import given
from hypothesis import strategies as st

from fastbroker.core.frame import Refused

Face = Any  # of a module that the type checker knows nothing of
SHARED = 8192
MODES = [b"auto", b"client", b"client-individual"]
EVEN = b"selector:even = TRUE\n"


@pytest.fixture
def house(face: Face) -> Face:
    return face.House()


def numbered(count: int, size: int = 0) -> list[tuple[bytes, bytes]]:
    """(body, header lines), of which every other one is even."""
    evens = (b"even:true\n", b"even:false\n")
    return [(b"%03d" % number + b"x" * size, b"number:%d\n" % number + evens[number % 2]) for number in range(count)]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("others", [0, 1, 2, 5])
@pytest.mark.parametrize("size", [0, 3000, SHARED])
def test_it_gets_what_it_selects_and_others_get_all(
    face: Face, house: Face, mode: bytes, others: int, size: int
) -> None:
    chooser = face.Client(house)
    chooser.say(subscribe(b"0", b"/topic/a", b"ack:%b\ncredit:1000\n" % mode + EVEN))
    all_of_it = [face.Client(house) for _ in range(others)]
    for at, client in enumerate(all_of_it):
        client.say(subscribe(b"0", b"/topic/a", b"credit:1000\nack:%b\n" % MODES[at % 2]))
    publisher = face.Client(house)
    sent = numbered(20, size)
    publisher.say(b"".join(send(b"/topic/a", body, headers) for body, headers in sent))
    assert bodies(chooser.hear()) == [body for body, headers in sent if b"true" in headers]
    for client in all_of_it:
        assert bodies(client.hear()) == [body for body, _ in sent]


def test_many_with_selectors_of_their_own(face: Face, house: Face) -> None:
    clients = [face.Client(house) for _ in range(30)]
    for number, client in enumerate(clients):
        client.say(subscribe(b"0", b"/topic/#", b"selector:number %% %d = 0\n" % (number + 1)))
    for body, headers in numbered(200):
        house.publish(b"/topic/a.b", body, headers)
    house.settle()
    for number, client in enumerate(clients):
        assert [int(body) for body in bodies(client.hear())] == list(range(0, 200, number + 1))


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("version", [b"1.0", b"1.1", b"1.2"])
def test_each_reads_it_by_his_version(face: Face, house: Face, version: bytes, count: int) -> None:
    clients = [face.Client(house, version) for _ in range(count)]
    for client in clients:
        client.say(
            b"SUBSCRIBE\nid:0\ndestination:/topic/a\nselector:x %b 'a%bb'\n\n\0"
            % (b"=", b":" if version == b"1.0" else b"\\c")
        )
    for value in (b"a\\cb", b"a", b"a\\cb\\r", b"a\\cb"):
        house.publish(b"/topic/a", b"body", b"x:%b\n" % value)
    house.settle()
    for client in clients:
        heard = client.hear()
        assert len(bodies(heard)) == 2
        assert heard.count(b"\nx:a:b\n" if version == b"1.0" else b"\nx:a\\cb\n") == 2


@pytest.mark.parametrize("framing", ["websocket", "sockjs"])
def test_over_other_transports(face: Face, house: Face, framing: str) -> None:
    clients = [face.Client(house, framing=framing) for _ in range(4)]
    for client in clients:
        client.say(subscribe(b"0", b"/topic/a", EVEN))
    for body, headers in numbered(10):
        house.publish(b"/topic/a", body, headers)
    house.settle()
    assert all(client.messages == 5 and client.hear().count(b"even:true") == 5 for client in clients)


def test_what_the_sender_asks_for_is_known(face: Face, house: Face) -> None:
    client, publisher = face.Client(house), face.Client(house)
    client.say(subscribe(b"0", b"/topic/a", b"selector:JMSPriority > 4 AND JMSExpiration > 0\n"))
    for number, headers in enumerate([b"priority:7\nttl:60000\n", b"priority:7\n", b"ttl:60000\n", b""]):
        publisher.say(send(b"/topic/a", b"%d" % number, headers), is_all=False)
    publisher.say(b"")
    assert bodies(client.hear()) == [b"0"]


def test_a_message_is_known_by_its_id(face: Face, house: Face) -> None:
    client = face.Client(house)
    client.say(subscribe(b"0", b"/topic/a", b"selector:JMSMessageID IN ('epoch-2', 'epoch-9')\n"))
    for _ in range(10):
        house.publish(b"/topic/a", b"x")
    house.settle()
    assert [message.number for message in messages(client.hear())] == [2, 9]


# ---- acknowledging ----


def test_its_queue_takes_only_what_it_selects(face: Face, house: Face) -> None:
    client = face.Client(house)
    client.say(subscribe(b"0", b"/topic/a", b"ack:client-individual\nprefetch-count:2\n" + EVEN))
    before = house.stats["messages"]
    for body, headers in numbered(20):
        house.publish(b"/topic/a", body, headers)
    house.settle()
    assert house.stats["messages"] - before == 10
    heard: list[bytes] = []
    while found := messages(client.hear()):
        assert len(found) <= 2
        heard += [message.body for message in found]
        client.say(b"".join(ack(message.ack) for message in found))
        house.turn()
    assert heard == [b"%03d" % number for number in range(0, 20, 2)]
    assert house.stats["messages"] == before


def test_what_it_refused_comes_again(face: Face, house: Face) -> None:
    client = face.Client(house)
    client.say(subscribe(b"0", b"/topic/a", b"ack:client-individual\nselector:JMSXDeliveryCount = 1\n"))
    house.publish(b"/topic/a", b"x")
    client.say(ack(messages(client.hear())[0].ack, b"NACK"))
    house.advance(2000)
    (again,) = messages(client.hear())
    assert again.redelivered


# ---- detours ----


@pytest.mark.parametrize("mode", [b"auto", b"client"])
@pytest.mark.parametrize("count", [1, 4])
def test_a_slow_one_is_waited_for_and_loses_nothing(face: Face, mode: bytes, count: int) -> None:
    house = face.House(policies=[("#", "drop-oldest")], outbound_soft=20_000, outbound_hard=60_000)
    clients = [face.Client(house) for _ in range(count)]
    for client in clients:
        client.say(subscribe(b"0", b"/topic/a", b"ack:%b\ncredit:10000\n" % mode + EVEN))
    sent = numbered(200, 1000)
    for body, headers in sent:
        house.publish(b"/topic/a", body, headers)
    house.settle()
    assert house.must_wait()
    wanted = [body for body, headers in sent if b"true" in headers]
    for client in clients:
        heard = bodies(client.hear())
        assert 0 < len(heard) < len(wanted)
        house.turn()
        while more := bodies(client.hear()):
            heard += more
            house.turn()
        assert heard == wanted
    assert house.stats["dropped"] == 0


def test_one_that_is_given_up_loses_only_what_it_wanted(face: Face) -> None:
    house = face.House(policies=[("#", "drop-newest")], outbound_soft=20_000, outbound_hard=60_000)
    client = face.Client(house)
    client.say(subscribe(b"0", b"/topic/a", EVEN))
    for body, headers in numbered(200, 1000):
        house.publish(b"/topic/a", body, headers)
        if client.is_slow:
            client.give_up()
    heard = len(bodies(client.hear()))
    house.turn()
    heard += len(bodies(client.hear()))
    assert heard + house.stats["dropped"] == 100


# ---- one's own ----


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", [b"no-local", b"activemq.noLocal"])
@pytest.mark.parametrize("others", [0, 4])
def test_one_who_does_not_want_its_own(face: Face, house: Face, mode: bytes, name: bytes, others: int) -> None:
    client, publisher = face.Client(house), face.Client(house)
    client.say(subscribe(b"0", b"/topic/a", b"%b:true\nack:%b\n" % (name, mode)))
    client.say(subscribe(b"1", b"/topic/a", b"ack:%b\n" % mode))
    rest = [face.Client(house) for _ in range(others)]
    for each in rest:
        each.say(subscribe(b"0", b"/topic/#", b"%b:true\n" % name))
    client.say(send(b"/topic/a", b"own"))
    publisher.say(send(b"/topic/a", b"other"))
    house.turn()
    heard = messages(client.hear())
    assert [each.body for each in heard if each.subscription == b"0"] == [b"other"]
    assert [each.body for each in heard if each.subscription == b"1"] == [b"own", b"other"]
    assert all(bodies(each.hear()) == [b"own", b"other"] for each in rest)


def test_its_own_in_a_transaction(face: Face, house: Face) -> None:
    client, publisher = face.Client(house), face.Client(house)
    client.say(subscribe(b"0", b"/topic/a", b"no-local:true\nselector:even = TRUE\n"))
    for each in (client, publisher):
        each.say(b"BEGIN\ntransaction:t\n\n\0")
        for body, headers in numbered(4):
            each.say(send(b"/topic/a", body, headers + b"transaction:t\n"))
        each.say(b"COMMIT\ntransaction:t\n\n\0")
    assert bodies(client.hear()) == [b"000", b"002"]


def test_another_connection_in_the_same_place_is_another(face: Face, house: Face) -> None:
    """Whatever of the memory of one that has gone the next one gets."""
    listener = face.Client(house)
    listener.say(subscribe(b"0", b"/topic/a", b"no-local:true\n"))
    for number in range(20):
        client = face.Client(house)
        client.say(subscribe(b"0", b"/topic/a", b"no-local:true\n") + send(b"/topic/a", b"%d" % number))
        assert bodies(client.hear()) == []
        client.leave()
        assert bodies(listener.hear()) == [b"%d" % number]


# ---- what it takes, and what is refused ----


def test_what_a_selector_holds_is_charged_and_given_back(face: Face, house: Face) -> None:
    client = face.Client(house)
    before, free = client.charged, house.stats["memory"]
    client.say(subscribe(b"0", b"/topic/a") + subscribe(b"1", b"/topic/a", b"selector:a = '%b'\n" % (b"x" * 4000)))
    client.say(subscribe(b"2", b"/topic/a", b"ack:client\nselector:a = '%b'\n" % (b"x" * 4000)))
    assert client.charged - before > 8000
    client.say(b"".join(b"UNSUBSCRIBE\nid:%d\n\n\0" % number for number in range(3)))
    assert (client.charged, house.stats["memory"]) == (before, free)


def test_reading_and_asking_are_work(face: Face, house: Face) -> None:
    client = face.Client(house)
    before = house.stats["work"]
    client.say(subscribe(b"0", b"/topic/a", b"selector:" + b" OR ".join([b"a LIKE '%_b'"] * 70) + b"\n"))
    read = house.stats["work"] - before
    assert read > 1_000_000
    before = house.stats["work"]
    for _ in range(100):
        house.publish(b"/topic/a", b"x", b"a:%b\n" % (b"a" * 1000))
    house.settle()
    assert house.stats["work"] - before > 100 * 10_000


def test_a_batch_to_many_who_choose_is_a_small_one(face: Face, house: Face) -> None:
    """What they take is not known before they are asked."""
    client = face.Client(house)
    for number in range(100):
        client.say(subscribe(b"%d" % number, b"/topic/a", b"selector:a > 2\n"))
    house.publish(b"/topic/a", b"x", b"a:2\n")
    house.settle()
    before, sent = house.stats["work"], 0
    while house.stats["work"] == before:
        house.publish(b"/topic/a", b"x", b"a:2\n")
        sent += 1
    assert sent == 32_768 // 1600 + 1


@pytest.mark.parametrize("destination", [b"/queue/a", b"/topic/a"])
def test_a_selector_that_is_empty_asks_for_nothing(face: Face, house: Face, destination: bytes) -> None:
    client = face.Client(house)
    client.say(subscribe(b"0", destination, b"selector:\n"))
    house.publish(destination, b"x")
    assert bodies(client.hear()) == [b"x"]


def test_one_that_is_wrong_leaves_nothing_behind(face: Face, house: Face) -> None:
    client = face.Client(house)
    before = house.stats["memory"]
    with pytest.raises(Refused, match=r"bad selector.*at character 5"):
        client.say(subscribe(b"0", b"/topic/a", b"ack:client\nselector:a = \n"))
    assert (house.stats["memory"], house.stats["queues"], house.stats["subscriptions"]) == (before, 0, 0)


# ---- all together ----

CHOICES = [b"", b"", b"selector:number > 5\n", b"selector:even AND number < 20\n", b"no-local:true\n"]
THOSE = st.lists(
    st.tuples(st.sampled_from([b"/topic/a", b"/topic/#"]), st.sampled_from(MODES), st.sampled_from(CHOICES)), max_size=8
)
SENDS = st.lists(st.tuples(st.integers(0, 30), st.sampled_from([0, 100, SHARED]), st.booleans()), max_size=60)


@given(those=THOSE, sends=SENDS, pauses=st.sets(st.integers(0, 60)))
def test_everybody_gets_his_in_order(
    face: Face, those: list[tuple[bytes, bytes, bytes]], sends: list[tuple[int, int, bool]], pauses: set[int]
) -> None:
    """Choosing or not, in batches or one by one, and whoever sends."""
    house = face.House()
    client, publisher = face.Client(house), face.Client(house)
    for at, (pattern, mode, choice) in enumerate(those):
        client.say(subscribe(b"%d" % at, pattern, b"credit:60000\nack:%b\n%b" % (mode, choice)))
    sent = []
    for at, (number, size, own) in enumerate(sends):
        body = b"%d " % at + b"x" * size
        even = number % 2 == 0
        frame = send(b"/topic/a", body, b"number:%d\neven:%b\n" % (number, b"true" if even else b"no"))
        (client if own else publisher).say(
            frame, is_all=at in pauses or at + 1 == len(sends) or sends[at + 1][2] != own
        )
        sent.append((body, number, even, own))
    wants = {
        b"": lambda number, even, own: True,
        b"selector:number > 5\n": lambda number, even, own: number > 5,
        b"selector:even AND number < 20\n": lambda number, even, own: even and number < 20,
        b"no-local:true\n": lambda number, even, own: not own,
    }
    heard = messages(client.hear())
    for at, (_, _, choice) in enumerate(those):
        expected = [body for body, *about in sent if wants[choice](*about)]
        assert [each.body for each in heard if each.subscription == b"%d" % at] == expected
