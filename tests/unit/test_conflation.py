"""Conflation: of what waits for a slow subscriber of a topic, only the newest message of each key is kept."""

from __future__ import annotations

from typing import Any

import pytest
from broker_frames import Message, ack, bodies, messages, send, subscribe
from hypothesis import given
from hypothesis import strategies as st

from fastbroker.core.frame import Refused

Face = Any  # of a module that the type checker knows nothing of
REST = 40  # milliseconds, in which the moment after a NACK is over
BY_KEY = b"conflate:key\n"
MODES = [b"auto", b"client", b"client-individual"]
MANY = 100_000
KEEPERS = ["drop-oldest", "drop-newest"]


@pytest.fixture
def house(face: Face) -> Face:
    return face.House(nack_delay=1)


def subscriber(face: Face, house: Face, destination: bytes = b"/topic/a", headers: bytes = BY_KEY, **how: Any) -> Face:
    client = face.Client(house, **how)
    client.say(subscribe(b"0", destination, headers))
    return client


def publish(house: Face, key: bytes | None, body: bytes, destination: bytes = b"/topic/a", more: bytes = b"") -> None:
    house.publish(destination, body, more if key is None else b"key:%b\n" % key + more)


def all_of(face: Face, house: Face, client: Face) -> list[Message]:
    """What comes when it takes everything again."""
    face.block(client, False)
    heard = [client.hear()]
    while True:
        house.turn()
        heard.append(client.hear())
        if not heard[-1]:
            return messages(b"".join(heard))


def leaves_nothing(house: Face, before: dict[str, int]) -> bool:
    """Whether all that came has gone, and memory with it, but for the route that is kept."""
    house.turn()
    house.turn()
    names = ("queues", "messages", "subscriptions", "deliveries")
    return [house.stats[name] for name in names] == [before[name] for name in names]


# ---- a fast one, and a slow one ----


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("others", [0, 3])
def test_who_takes_what_comes_sees_all(face: Face, house: Face, mode: bytes, others: int) -> None:
    client = subscriber(face, house, headers=BY_KEY + b"ack:%b\ncredit:1000\n" % mode)
    rest = [subscriber(face, house, headers=b"") for _ in range(others)]
    for number in range(100):
        publish(house, b"k%d" % (number % 3), b"%d" % number)
    house.settle()
    for each in [client, *rest]:
        assert bodies(each.hear()) == [b"%d" % number for number in range(100)]
    assert house.stats["conflated"] == 0


def test_a_slow_one_gets_the_newest_in_the_place_of_the_oldest(face: Face, house: Face) -> None:
    client, other = subscriber(face, house), subscriber(face, house, headers=b"")
    face.block(client)
    for number, key in enumerate(b"x a b c a b a d x".split()):
        publish(house, key, b"%b%d" % (key, number))
    house.settle()
    assert bodies(client.hear()) == [b"x0"], "one is on its way"
    assert [each.body for each in all_of(face, house, client)] == [b"a6", b"b5", b"c3", b"d7", b"x8"]
    assert house.stats["conflated"] == 3
    assert len(bodies(other.hear())) == 9
    publish(house, b"a", b"fast again")
    assert bodies(client.hear()) == [b"fast again"]


def test_one_that_reads_nothing_while_its_socket_takes_all_is_slow_when_half_its_output_is_full(
    face: Face,
) -> None:
    house = face.House(outbound_soft=8192)
    client = subscriber(face, house)
    for number in range(1000):
        publish(house, b"k", b"%d" % number + b"x" * 1000)
    assert not client.is_slow
    assert not house.must_wait()
    heard = [int(each.body.rstrip(b"x")) for each in all_of(face, house, client)]
    assert heard[:-1] == list(range(len(heard) - 1))
    assert heard[-1] == 999
    assert 3 < len(heard) < 8


@pytest.mark.parametrize("mode", MODES[1:])
def test_without_credit_it_is_slow(face: Face, house: Face, mode: bytes) -> None:
    client = subscriber(face, house, headers=BY_KEY + b"ack:%b\ncredit:1\n" % mode)
    for number in range(10):
        publish(house, b"k%d" % (number % 2), b"%d" % number)
    heard = []
    for _ in range(3):
        (message,) = messages(client.hear())
        heard.append(message.body)
        client.say(ack(message.ack))
        house.turn()
    assert (heard, client.hear()) == ([b"0", b"9", b"8"], b"")


# ---- keys ----


def test_what_has_no_key_is_not_replaced(face: Face, house: Face) -> None:
    client = subscriber(face, house)
    face.block(client)
    for number, key in enumerate([b"x", None, b"a", None, b"", b"a", b"", None]):
        publish(house, key, b"%d" % number)
    assert [each.body for each in all_of(face, house, client)] == [b"0", b"1", b"5", b"3", b"4", b"6", b"7"]


def test_each_topic_has_keys_of_its_own(face: Face, house: Face) -> None:
    client = subscriber(face, house, b"/topic/#")
    face.block(client)
    names = [b"/topic/a", b"/topic/b", b"/exchange/amq.topic/a", b"topic://b", b"/topic/a.b"]
    publish(house, b"first", b"")
    for number, name in enumerate(names * 2):
        publish(house, b"k", b"%d" % number, name)
    heard = all_of(face, house, client)[1:]
    assert [each.body for each in heard] == [b"7", b"8", b"9"], "one topic, whatever its sender calls it"


def test_by_destination_the_newest_of_each_topic_stays(face: Face, house: Face) -> None:
    client = subscriber(face, house, b"/topic/*", b"conflate:destination\n")
    face.block(client)
    for number in range(10):
        house.publish(b"/topic/%d" % (number % 3), b"%d" % number)
    assert [each.body for each in all_of(face, house, client)] == [b"0", b"7", b"8", b"9"]


def test_the_first_header_of_a_name_counts_and_only_the_whole_name(face: Face, house: Face) -> None:
    client = subscriber(face, house)
    face.block(client)
    lines = [b"key:x\n", b"xkey:a\nkey:b\n", b"keyx:b\nkey:c\nkey:b\n", b"k:key:b\nother:\\nkey:c\n", b"key:b\nkey:c\n"]
    for number, each in enumerate(lines):
        house.publish(b"/topic/a", b"%d" % number, each)
    assert [each.body for each in all_of(face, house, client)] == [b"0", b"4", b"2", b"3"]


def test_a_name_with_escapes(face: Face, house: Face) -> None:
    client = subscriber(face, house, headers=b"conflate:a\\cb\n")
    face.block(client)
    for number in range(5):
        house.publish(b"/topic/a", b"%d" % number, b"a\\cb:k\n")
    assert [each.body for each in all_of(face, house, client)] == [b"0", b"4"]


# ---- together with others ----


def test_it_chooses_too(face: Face, house: Face) -> None:
    client = subscriber(face, house, headers=BY_KEY + b"selector:key <> 'b' AND number > 2\nno-local:true\n")
    face.block(client)
    for number in range(9):
        publish(house, b"abc"[number % 3 :][:1], b"%d" % number, more=b"number:%d\n" % number)
        client.say(send(b"/topic/a", b"own", b"key:a\nnumber:9\n"))
    assert [each.body for each in all_of(face, house, client)] == [b"3", b"8", b"6"]


def test_priorities_have_places_of_their_own(face: Face, house: Face) -> None:
    client, publisher = subscriber(face, house), face.Client(house)
    face.block(client)
    for number, (key, priority) in enumerate([(b"x", 4), (b"a", 4), (b"b", 9), (b"c", 4), (b"c", 9), (b"a", 4)]):
        publisher.say(send(b"/topic/a", b"%d" % number, b"key:%b\npriority:%d\n" % (key, priority)))
    assert [each.body for each in all_of(face, house, client)] == [b"0", b"2", b"4", b"5"]


def test_what_expires_while_it_waits_does_not_come(face: Face, house: Face) -> None:
    client, publisher = subscriber(face, house), face.Client(house)
    face.block(client)
    for body, more in ((b"x", b""), (b"a1", b""), (b"b1", b"ttl:50\n"), (b"a2", b"ttl:50\n")):
        publisher.say(send(b"/topic/a", body, b"key:%b\n" % body[:1] + more))
    house.advance(100)
    assert [each.body for each in all_of(face, house, client)] == [b"x"]


@pytest.mark.parametrize("mode", MODES)
def test_what_is_retained_comes_first(face: Face, house: Face, mode: bytes) -> None:
    publisher = face.Client(house)
    publisher.say(b"".join(send(b"/topic/%b" % name, b"old", b"key:k\nretain:set\n") for name in (b"a", b"b")))
    client = subscriber(face, house, b"/topic/*", BY_KEY + b"ack:%b\n" % mode)
    face.block(client)
    for number in range(10):
        publish(house, b"k", b"%d" % number)
    heard = all_of(face, house, client)
    assert [each.body for each in heard] == [b"old", b"old", b"0", b"9"]


def test_the_last_of_a_history_come_first(face: Face) -> None:
    house = face.House(topics=[("#", {"history_messages": 10})])
    for number in range(20):
        publish(house, b"k", b"%d" % number)
    client = subscriber(face, house, headers=BY_KEY + b"last:3\n")
    face.block(client)
    for number in range(20, 30):
        publish(house, b"k", b"%d" % number)
    assert [each.body for each in all_of(face, house, client)] == [b"17", b"18", b"19", b"20", b"29"]


@pytest.mark.parametrize("framing", ["websocket", "sockjs"])
def test_over_other_transports(face: Face, house: Face, framing: str) -> None:
    client = subscriber(face, house, framing=framing)
    face.block(client)
    for number in range(10):
        publish(house, b"k", b"%d" % number)
    client.hear()
    face.block(client, False)
    house.turn()
    assert client.hear().count(b"key:k") == 1


@pytest.mark.parametrize("version", [b"1.0", b"1.1", b"1.2"])
def test_of_any_version(face: Face, house: Face, version: bytes) -> None:
    client = subscriber(face, house, version=version)
    face.block(client)
    for number in range(5):
        house.publish(b"/topic/a", b"%d" % number, b"key:a\\cb\n")
    heard = client.hear()
    face.block(client, False)
    house.turn()
    assert bodies(heard + client.hear()) == [b"0", b"4"]


def test_a_temporary_topic_and_an_exchange(face: Face, house: Face) -> None:
    for destination in (b"/temp-topic/t", b"/exchange/amq.direct/k", b"/exchange/amq.fanout"):
        client = subscriber(face, house, destination)
        face.block(client)
        for number in range(5):
            client.say(send(destination, b"%d" % number, b"key:k\n"))
        assert [each.body for each in all_of(face, house, client)] == [b"0", b"4"], destination


@pytest.mark.parametrize(
    ("destination", "headers", "says"),
    [
        (b"/queue/q", BY_KEY, b"conflate is for topics"),
        (b"/temp-queue/q", BY_KEY, b"conflate is for topics"),
        (b"/topic/a", b"conflate:\n", b"conflate is the name of a header"),
        (b"/topic/a", BY_KEY + b"since:epoch-1\n", b"Of since, from-seq and conflate"),
        (b"/topic/a", BY_KEY + b"from-seq:0\n", b"Of since, from-seq and conflate"),
        (b"/topic/a", BY_KEY + b"x-queue-name:q\n", b"A queue that x-queue-name names takes"),
        (b"/topic/a", BY_KEY + b"durable:true\n", b"A durable or shared subscription keeps all"),
        (b"/topic/a", BY_KEY + b"subscription-group:g\n", b"A durable or shared subscription keeps all"),
    ],
)
def test_what_it_does_not_go_together_with(
    face: Face, house: Face, destination: bytes, headers: bytes, says: bytes
) -> None:
    before, client = house.stats, face.Client(house)
    with pytest.raises(Refused) as refused:
        client.say(subscribe(b"0", destination, headers))
    assert refused.value.args[0] == b"bad header"
    assert refused.value.args[1].startswith(says)
    client.leave()
    assert leaves_nothing(house, before)


# ---- what comes back ----


def test_what_comes_back_gives_way_to_a_newer_one_that_waits(face: Face, house: Face) -> None:
    client = subscriber(face, house, headers=BY_KEY + b"ack:client-individual\ncredit:2\n")
    for number, key in enumerate(b"abacb"):
        publish(house, b"%c" % key, b"%c%d" % (key, number))
    a, b = messages(client.hear())
    client.say(ack(a.ack, b"NACK", b"delay:0\n") + ack(b.ack))
    house.advance(REST)
    assert [(each.body, each.redelivered) for each in messages(client.hear())] == [(b"a2", False), (b"c3", False)]
    assert house.stats["conflated"] == 1


def test_what_comes_back_alone_stands_where_it_stood(face: Face, house: Face) -> None:
    client = subscriber(face, house, headers=BY_KEY + b"ack:client-individual\ncredit:1\n")
    for key in (b"a", b"b", b"c"):
        publish(house, key, key)
    (message,) = messages(client.hear())
    client.say(ack(message.ack, b"NACK", b"delay:0\n"))
    house.advance(REST)
    (message,) = messages(client.hear())
    assert (message.body, message.redelivered) == (b"a", True)


# ---- slow for long, and hostile ----


def test_few_keys_hold_nobody(face: Face) -> None:
    house = face.House(outbound_soft=65536)
    client = subscriber(face, house)
    face.block(client)
    for number in range(MANY):
        publish(house, b"%d" % (number % 10), b"x" * 100)
    assert not client.is_slow
    assert house.stats["messages"] == 10
    assert client.backlog < 10 * 512


@pytest.mark.parametrize("policy", ["disconnect", *KEEPERS])
def test_keys_without_end_are_a_backlog_like_any_other(face: Face, policy: str) -> None:
    house = face.House([("#", policy)], outbound_soft=65536)
    before = house.stats
    client = subscriber(face, house)
    face.block(client)
    for number in range(MANY):
        publish(house, b"%d" % number, b"")
        if house.must_wait() and client.is_slow:
            client.give_up()
    assert house.stats["memory"] - before["memory"] < 1 << 20
    if policy == "disconnect":
        assert client.doom
    else:
        heard = [int(each.headers[b"key"]) for each in all_of(face, house, client)]
        assert heard[1:] == list(range(MANY - len(heard) + 1, MANY)), "the newest stay, whatever the policy of others"
        assert house.stats["dropped"] == MANY - len(heard)
    client.leave()
    assert leaves_nothing(house, before)


def test_a_million_messages_of_many_keys_are_not_searched_for(face: Face) -> None:
    """However many keys wait, one more finds its place at once."""
    house = face.House(outbound_soft=1 << 30, outbound_hard=1 << 31)
    client = subscriber(face, house)
    face.block(client)
    work = house.stats["work"]
    for number in range(2 * MANY):
        publish(house, b"%d" % (number % MANY), b"")
    assert house.stats["messages"] == MANY
    assert house.stats["work"] - work < 2 * MANY * 4096


@pytest.mark.parametrize("mode", MODES)
def test_one_that_goes_leaves_nothing(face: Face, house: Face, mode: bytes) -> None:
    before = house.stats
    client = subscriber(face, house, headers=BY_KEY + b"ack:%b\ncredit:2\n" % mode)
    charged = client.charged
    face.block(client)
    for number in range(100):
        publish(house, b"%d" % number, b"")
    client.say(b"UNSUBSCRIBE\nid:0\n\n\0")
    assert client.charged < charged
    publish(house, b"k", b"")
    assert house.stats["messages"] == 0
    client.say(subscribe(b"0", b"/topic/a", BY_KEY))
    for number in range(100):
        publish(house, b"%d" % number, b"")
    client.leave()
    assert leaves_nothing(house, before)


def test_at_the_ceiling_it_keeps_the_newest(face: Face) -> None:
    house = face.House(memory=8 << 20)
    client, filler = subscriber(face, house), face.Client(house)
    while not house.is_full[1]:
        house.publish(b"/queue/full", b"x" * 10_000)
    for number in range(100):
        publish(house, b"k", b"%d" % number)
    assert bodies(client.hear())[-1] == b"99" or [each.body for each in all_of(face, house, client)][-1] == b"99"
    filler.leave()


def test_other_subscriptions_of_the_connection_do_not_starve_it(face: Face, house: Face) -> None:
    """They fill its output again and again; it gets one message whenever its last one has left."""
    client = subscriber(face, house)
    client.say(subscribe(b"plain", b"/topic/flood"))
    face.block(client)
    for key in b"abc":
        publish(house, b"%c" % key, b"%c" % key)
    heard = []
    for _ in range(5):
        house.publish(b"/topic/flood", b"x" * 1000)
        heard += [each.body for each in messages(client.hear()) if each.subscription == b"0"]
        house.publish(b"/topic/flood", b"x" * 1000)
        house.turn()
    assert heard == [b"a", b"b", b"c"]


# ---- models ----

KEYS = [b"a", b"b", b"c", None]
STEPS = st.one_of(st.sampled_from(KEYS), st.just("take"))


class Waiting:
    """What waits: [key, body], in order."""

    def __init__(self) -> None:
        self.entries: list[tuple[bytes | None, bytes]] = []
        self.conflated = 0

    def put(self, key: bytes | None, body: bytes) -> None:
        for place, (other, _) in enumerate(self.entries):
            if key is not None and other == key:
                self.entries[place] = (key, body)
                self.conflated += 1
                return
        self.entries.append((key, body))


@given(st.lists(STEPS, max_size=60))
def test_one_that_takes_one_at_a_time(face: Face, steps: list[Any]) -> None:
    house = face.House()
    client = subscriber(face, house)
    face.block(client)
    model, on_its_way, expected, heard = Waiting(), False, [], []
    for number, step in enumerate(steps):
        if step == "take":
            heard += bodies(client.hear())
            house.turn()
            on_its_way = False
        else:
            publish(house, step, b"%d" % number)
            model.put(step, b"%d" % number)
        if not on_its_way and model.entries:
            expected.append(model.entries.pop(0)[1])
            on_its_way = True
        house.settle()
    assert heard == expected[: len(heard)]
    assert len(heard) >= len(expected) - on_its_way
    assert house.stats["messages"] == len(model.entries)
    assert house.stats["conflated"] == model.conflated
    rest = [each.body for each in all_of(face, house, client)]
    assert heard + rest == expected + [body for _, body in model.entries]


@given(st.integers(1, 3), st.lists(st.tuples(st.sampled_from(["ack", "nack", *KEYS]), st.integers(0, 2)), max_size=60))
def test_one_that_acknowledges(face: Face, credit: int, steps: list[Any]) -> None:
    """What waits stands by the number that it came with, or that the one had whose place it took."""
    house = face.House(nack_delay=1, max_deliveries=0)
    client = subscriber(face, house, headers=BY_KEY + b"ack:client-individual\ncredit:%d\n" % credit)
    waiting: list[list[Any]] = []  # [place, number, key]
    out: dict[int, tuple[bytes, list[Any]]] = {}  # number: (ack, as above)
    for number, (step, which) in enumerate(steps):
        if step in ("ack", "nack") and out:
            settled = sorted(out)[which % len(out)]
            said, entry = out.pop(settled)
            client.say(ack(said, b"ACK" if step == "ack" else b"NACK", b"" if step == "ack" else b"delay:0\n"))
            if step == "nack":
                came(waiting, entry)
        elif step not in ("ack", "nack"):
            publish(house, step, b"%d" % number)
            came(waiting, [number, number, step])
        house.advance(REST)
        given_now = waiting[: credit - len(out)]
        del waiting[: len(given_now)]
        heard = messages(client.hear())
        assert [int(each.body) for each in heard] == [entry[1] for entry in given_now]
        out.update({entry[1]: (each.ack, entry) for each, entry in zip(heard, given_now, strict=True)})
    assert house.stats["messages"] == len(waiting) + len(out)


def came(waiting: list[list[Any]], entry: list[Any]) -> None:
    _, number, key = entry
    for other in waiting:
        if key is not None and other[2] == key:
            other[1] = max(other[1], number)
            return
    waiting.append(entry)
    waiting.sort()
