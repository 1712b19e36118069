"""Browsers of queues: they see all that waits, in order, and take nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from broker_frames import Message, ack, bodies, messages, send, subscribe
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from fastbroker.core.frame import Refused

Face = Any  # of a module that the type checker knows nothing of
TICK, PAUSE, IDLE = 10, 200, 50_000
UNSURE = 2 * TICK  # milliseconds; what has expired is seen to be so in the tick behind
BROWSE = b"browser:true\ninclude-seq:seq\n"
STAYS = BROWSE + b"browser-end:false\n"


def new_house(face: Face, **more: Any) -> Face:
    usual = {"redelivery_delay": PAUSE, "redelivery_max_delay": PAUSE, "redelivery_jitter": 0.0}
    return face.House(**{"nack_delay": TICK, "queue_idle_timeout": IDLE, **usual, **more})


@pytest.fixture
def house(face: Face) -> Face:
    return new_house(face)


def fill(client: Face, count: int, headers: bytes = b"", name: bytes = b"a", size: int = 0) -> list[bytes]:
    sent = [b"%d" % number + b"x" * size for number in range(count)]
    client.say(b"".join(send(b"/queue/" + name, body, headers) for body in sent))
    return sent


def browse(client: Face, headers: bytes = b"", id: bytes = b"b", name: bytes = b"a") -> None:
    client.say(subscribe(id, b"/queue/" + name, BROWSE + headers))


def read(house: Face, client: Face) -> list[Message]:
    """Until nothing more comes."""
    heard: list[Message] = []
    for _ in range(10_000):
        house.turn()
        more = messages(client.hear())
        if not more:
            return heard
        heard += more
    raise AssertionError("there is no end")


def is_end(message: Message) -> bool:
    return message.number == 0 and message.headers.get(b"browser") == b"end"


def shown(house: Face, client: Face) -> list[bytes]:
    """The bodies in front of the end marker, which comes last."""
    heard = read(house, client)
    assert is_end(heard[-1])
    assert not any(is_end(message) for message in heard[:-1])
    return [message.body for message in heard[:-1]]


# ---- beside a plain model ------------------------------------------------------------------------


@dataclass
class Kept:
    body: bytes
    place: tuple[int, int]
    even: bool
    expires: int
    state: str = "waits"  # or "out", "rests", "lingers" (it has expired, or will soon), "gone"


@dataclass
class Watcher:
    stays: bool
    chooses: bool
    since: int
    must: set[bytes] = field(default_factory=set)
    seen: list[bytes] = field(default_factory=list)
    ended: bool = False

    def wants(self, kept: Kept) -> bool:
        return kept.place[1] >= self.since and (kept.even or not self.chooses)


picks = st.integers(0, 1000)


class BrowserMachine(RuleBasedStateMachine):
    """One queue with consumers, and browsers that read when they like to."""

    def __init__(self, face: Face) -> None:
        super().__init__()
        self.house = new_house(face, outbound_soft=2000, outbound_hard=10_000)
        self.memory = self.house.stats["memory"]
        self.face = face
        self.client = face.Client(self.house)
        self.reader = face.Client(self.house)
        self.kept: dict[bytes, Kept] = {}
        self.consumers: dict[bytes, dict[bytes, bytes]] = {}  # id -> ack -> body
        self.watchers: dict[bytes, Watcher] = {}
        self.number = 0
        self.ids = 0
        self.waited = 0

    # ---- what happens ----

    @rule(count=st.integers(1, 12), priority=st.sampled_from([4, 4, 4, 0, 9, 5]), size=st.integers(0, 600))
    def publish(self, count: int, priority: int, size: int) -> None:
        self.publish_some(count, priority, size, 0)

    @rule(count=st.integers(1, 4), ttl=st.integers(2 * UNSURE, 20_000))
    def publish_what_expires(self, count: int, ttl: int) -> None:
        self.publish_some(count, 4, 0, ttl)

    def publish_some(self, count: int, priority: int, size: int, ttl: int) -> None:
        for _ in range(count):
            self.number += 1
            body, even = b"%d " % self.number + b"x" * size, self.number % 2 == 0
            headers = b"even:%b\n" % (b"TRUE" if even else b"FALSE")
            headers += (b"priority:%d\n" % priority if priority != 4 else b"") + (b"ttl:%d\n" % ttl if ttl else b"")
            kept = Kept(body, (9 - priority, self.number), even, self.house.wall + ttl if ttl else 0)
            self.kept[body] = kept
            for watcher in self.watchers.values():
                if watcher.stays and watcher.wants(kept):
                    watcher.must.add(body)
            self.client.say(send(b"/queue/a", body, headers))
            self.look()

    @rule(credit=st.integers(1, 5))
    def consume(self, credit: int) -> None:
        if len(self.consumers) < 3:
            self.ids += 1
            self.consumers[b"%d" % self.ids] = {}
            headers = b"ack:client-individual\ncredit:%d\n" % credit
            self.client.say(subscribe(b"%d" % self.ids, b"/queue/a", headers))
            self.look()

    @rule(pick=picks)
    def leave(self, pick: int) -> None:
        if self.consumers:
            id = [*self.consumers][pick % len(self.consumers)]
            for body in self.consumers.pop(id).values():
                self.kept[body].state = "waits"
            self.client.say(b"UNSUBSCRIBE\nid:%b\n\n\0" % id)
            self.look()

    @rule(pick=picks, command=st.sampled_from([b"ACK", b"ACK", b"NACK"]))
    def settle(self, pick: int, command: bytes) -> None:
        out = [(acks, name) for acks in self.consumers.values() for name in acks]
        if out:
            acks, name = out[pick % len(out)]
            self.kept[acks.pop(name)].state = "gone" if command == b"ACK" else "rests"
            self.client.say(ack(name, command))
            self.look()

    @rule(ticks=st.sampled_from([1, 5, 20, 30, 500, 1500]))
    def wait(self, ticks: int) -> None:
        if self.waited + ticks * TICK < IDLE:  # or the queue could go, and another begin with other numbers
            self.waited += ticks * TICK
            self.house.advance(ticks * TICK)
            self.look()

    @rule(
        stays=st.booleans(),
        chooses=st.booleans(),
        since=st.sampled_from([None, None, -1, 0, 1, 7, 20]),
        mode=st.sampled_from([b"auto", b"client"]),
    )
    def browse(self, stays: bool, chooses: bool, since: int | None, mode: bytes) -> None:
        if len(self.watchers) >= 4:
            return
        self.ids += 1
        id = b"%d" % self.ids
        first = 0 if since is None else self.number + 1 if since < 0 else since
        watcher = self.watchers[id] = Watcher(stays, chooses, first)
        watcher.must = {each.body for each in self.kept.values() if each.state == "waits" and watcher.wants(each)}
        headers = b"ack:%b\ncredit:1000\n" % mode
        headers += b"browser-end:false\n" if stays else b""
        headers += b"selector:even = TRUE\n" if chooses else b""
        headers += b"" if since is None else b"from-seq:%d\n" % since
        self.reader.say(subscribe(id, b"/queue/a", BROWSE + headers))
        self.look()

    @rule(pick=picks)
    def browse_no_more(self, pick: int) -> None:
        if self.watchers:
            id = [*self.watchers][pick % len(self.watchers)]
            self.read()
            del self.watchers[id]
            self.reader.say(b"UNSUBSCRIBE\nid:%b\n\n\0" % id)

    @rule()
    def read(self) -> None:
        for message in messages(self.reader.hear()):
            if message.subscription in self.watchers:  # or it was on its way when that one ended
                self.sees(self.watchers[message.subscription], message)
        self.look()

    @rule()
    def lose_the_reader(self) -> None:
        self.reader.leave()
        self.watchers.clear()
        self.reader = self.face.Client(self.house)

    # ---- what should come of it ----

    def look(self) -> None:
        self.house.turn()
        for kept in self.kept.values():
            if kept.expires and kept.expires <= self.house.wall + UNSURE and kept.state in ("waits", "rests"):
                kept.state = "lingers"
        for message in messages(self.client.hear()):
            kept = self.kept[message.body]
            assert kept.state in ("waits", "rests", "lingers"), "a browser has changed what consumers get"
            assert kept.expires == 0 or kept.expires > self.house.wall
            before = [each for each in self.kept.values() if each.state == "waits" and each.place < kept.place]
            assert not before, "or the order of it"
            kept.state = "out"
            self.consumers[message.subscription][message.ack] = message.body
        waits = {kept.body for kept in self.kept.values() if kept.state == "waits"}
        for watcher in self.watchers.values():
            watcher.must &= waits | set(watcher.seen)

    def sees(self, watcher: Watcher, message: Message) -> None:
        assert not watcher.ended
        if is_end(message):
            assert not watcher.stays
            watcher.ended = True
            assert watcher.must <= set(watcher.seen), "it has not seen all that has waited all the time"
            return
        kept = self.kept[message.body]
        assert message.headers[b"seq"] == b"%d" % kept.place[1]
        assert watcher.wants(kept)
        assert message.body not in watcher.seen
        if watcher.seen and not watcher.stays:
            assert self.kept[watcher.seen[-1]].place < kept.place
        watcher.seen.append(message.body)

    @invariant()
    def nothing_is_taken(self) -> None:
        here = self.house.queue(b"a")
        if here is not None:
            count = Counter(kept.state for kept in self.kept.values())
            assert here[1:] == (count["out"], len(self.consumers))
            assert 0 <= here[0] - count["waits"] - count["rests"] <= count["lingers"]

    def teardown(self) -> None:
        for _ in range(200):
            self.read()
        for watcher in self.watchers.values():
            assert watcher.ended != watcher.stays
            assert watcher.must <= set(watcher.seen), "it has not seen all that has waited all the time"
        self.client.leave()
        self.reader.leave()
        taker = self.face.Client(self.house)
        self.house.advance(2 * PAUSE)
        taker.say(subscribe(b"all", b"/queue/a"))
        read(self.house, taker)
        taker.leave()
        self.house.advance(IDLE + 2 * TICK)
        stats = self.house.stats
        assert (stats["messages"], stats["queues"], stats["subscriptions"], stats["memory"]) == (0, 0, 0, self.memory)


@pytest.mark.hypothesis
def test_they_see_what_waits(face: Face) -> None:
    steps = settings(stateful_step_count=40)
    run_state_machine_as_test(lambda: BrowserMachine(face), settings=steps)  # type: ignore[arg-type]


# ---- what it sees --------------------------------------------------------------------------------


def test_all_that_waits_is_seen_and_stays(face: Face, house: Face) -> None:
    client = face.Client(house)
    sent = fill(client, 30)
    client.say(send(b"/queue/a", b"first", b"priority:9\n") + send(b"/queue/a", b"last", b"priority:0\n"))
    for _ in range(2):
        browse(client)
        assert shown(house, client) == [b"first", *sent, b"last"]
        client.say(b"UNSUBSCRIBE\nid:b\n\n\0")
    assert house.queue(b"a") == (32, 0, 0)
    client.say(subscribe(b"c", b"/queue/a"))
    heard = read(house, client)
    assert [message.body for message in heard] == [b"first", *sent, b"last"]
    assert not any(message.redelivered for message in heard)


@pytest.mark.parametrize("version", [b"1.0", b"1.1", b"1.2"])
@pytest.mark.parametrize("mode", [b"auto", b"client"])
def test_the_end_is_marked_as_activemq_does(face: Face, house: Face, version: bytes, mode: bytes) -> None:
    client = face.Client(house, version)
    client.say(send(b"/queue/a", b"x") + subscribe(b"0", b"/queue/a", b"browser:true\nack:%b\n" % mode))
    house.turn()
    _, end, rest = client.hear().split(b"\0\n")
    marked = b"ack:0\n" if version == b"1.2" and mode == b"client" else b""
    assert end == b"MESSAGE\nsubscription:0\nmessage-id:0\n%bdestination:/queue/a\nbrowser:end\n\n" % marked
    assert rest == b""
    client.say(send(b"/queue/a", b"x"))
    assert read(house, client) == [], "nothing comes behind it"


@pytest.mark.parametrize("framing", ["websocket", "sockjs"])
def test_over_other_transports(face: Face, house: Face, framing: str) -> None:
    client = face.Client(house, framing=framing)
    fill(client, 3)
    browse(client)
    house.turn()
    heard = client.hear()
    assert heard.count(b"MESSAGE") == 4
    assert heard.count(b"browser:end") == 1


def test_what_comes_while_it_looks_is_not_its_business(face: Face) -> None:
    house = new_house(face, outbound_soft=2000)
    client, sender = face.Client(house), face.Client(house)
    sent = fill(sender, 100, size=100)
    browse(client)
    house.turn()
    heard = messages(client.hear())
    for round in range(300):
        sender.say(send(b"/queue/a", b"later", b"priority:%d\n" % (round % 10)))
        house.turn()
        heard += messages(client.hear())
    assert is_end(heard.pop())
    assert [message.body for message in heard] == sent


def test_one_that_came_back_says_so(face: Face, house: Face) -> None:
    client, other = face.Client(house), face.Client(house)
    fill(client, 3)
    other.say(subscribe(b"c", b"/queue/a", b"ack:client\ncredit:2\n"))
    assert len(read(house, other)) == 2
    browse(client)
    assert shown(house, client) == [b"2"], "what a consumer has does not wait"
    other.leave()
    browse(client, id=b"d")
    heard = read(house, client)
    assert [message.headers.get(b"delivery-count") for message in heard] == [b"2", b"2", None, None]
    client.say(subscribe(b"c", b"/queue/a"))
    heard = read(house, client)
    assert [message.headers.get(b"delivery-count") for message in heard] == [b"2", b"2", None]


def test_what_rests_does_not_wait(face: Face, house: Face) -> None:
    client, other = face.Client(house), face.Client(house)
    fill(client, 2)
    other.say(subscribe(b"c", b"/queue/a", b"ack:client-individual\ncredit:1\n"))
    other.say(ack(read(house, other)[0].ack, b"NACK", b"delay:5000\n") + b"UNSUBSCRIBE\nid:c\n\n\0")
    browse(client)
    assert shown(house, client) == [b"1"]
    house.advance(5000 + TICK)
    browse(client, id=b"d")
    assert shown(house, client) == [b"0", b"1"]


def test_what_has_expired_is_not_seen(face: Face) -> None:
    house = new_house(face, outbound_soft=1000)
    client = face.Client(house)
    fill(client, 30, b"ttl:100\n", size=100)
    client.say(send(b"/queue/a", b"stays"))
    browse(client)
    house.turn()
    heard = messages(client.hear())
    assert 0 < len(heard) < 15
    house.advance(200)
    assert shown(house, client)[-1] == b"stays"
    assert len(read(house, client)) == 0


def test_a_selector_chooses(face: Face, house: Face) -> None:
    client = face.Client(house)
    for number in range(10):
        client.say(send(b"/queue/a", b"%d" % number, b"n:%d\n" % number))
    browse(client, b"selector:n > 6 AND JMSXDeliveryCount = 1\n")
    assert shown(house, client) == [b"7", b"8", b"9"]


def test_without_ones_own(face: Face, house: Face) -> None:
    client, other = face.Client(house), face.Client(house)
    client.say(send(b"/queue/a", b"own"))
    other.say(send(b"/queue/a", b"other"))
    browse(client, b"no-local:true\n")
    assert shown(house, client) == [b"other"]
    browse(other, b"selector:n IS NULL\nno-local:true\n")
    assert shown(house, other) == [b"own"]


def test_consumers_that_choose_do_not_mind(face: Face, house: Face) -> None:
    client, other = face.Client(house), face.Client(house)
    for number in range(6):
        client.say(send(b"/queue/a", b"%d" % number, b"n:%d\nJMSXGroupID:%d\n" % (number, number % 2)))
    other.say(subscribe(b"c", b"/queue/a", b"selector:n > 1\nack:client\ncredit:1\n"))
    browse(client, b"browser-end:false\nselector:n <> 3\n")
    assert [message.body for message in read(house, client)] == [b"0", b"1", b"4", b"5"]
    assert [message.body for message in read(house, other)] == [b"2"]
    client.say(send(b"/queue/a", b"6", b"n:6\n"))
    assert [message.body for message in read(house, client)] == [b"6"]
    client.say(b"UNSUBSCRIBE\nid:b\n\n\0")
    assert house.queue(b"a") == (6, 1, 1)


@pytest.mark.parametrize(
    ("since", "expected"), [(b"0", 0), (b"1", 0), (b"7", 6), (b"10", 9), (b"11", 10), (b"999", 10), (b"-1", 10)]
)
def test_from_a_number_on(face: Face, house: Face, since: bytes, expected: int) -> None:
    client = face.Client(house)
    sent = fill(client, 10)
    browse(client, b"from-seq:%b\n" % since)
    heard = read(house, client)
    assert [message.body for message in heard[:-1]] == sent[expected:]
    assert [int(message.headers[b"seq"]) for message in heard[:-1]] == [*range(expected + 1, 11)]
    assert b"seq" not in heard[-1].headers


@pytest.mark.parametrize(
    "header",
    [
        b"from-seq:-2",
        b"from-seq:x",
        b"include-seq:destination",
        b"include-seq:message-id",
        b"include-seq:a b",
        b"include-seq:" + b"x" * 65,
        b"browser-end:no",
    ],
)
def test_what_cannot_be_understood(face: Face, house: Face, header: bytes) -> None:
    client = face.Client(house)
    with pytest.raises(Refused) as refused:
        client.say(subscribe(b"0", b"/queue/a", b"browser:true\n%b\n" % header))
    assert refused.value.args[0] == b"bad header"
    assert header.partition(b":")[0] in refused.value.args[1]
    assert house.queue(b"a") is None


def test_from_seq_without_a_browser(face: Face, house: Face) -> None:
    client = face.Client(house)
    with pytest.raises(Refused):
        client.say(subscribe(b"0", b"/queue/a", b"from-seq:5\n"))
    client.say(subscribe(b"0", b"/queue/a", b"from-seq:0\n"))


def test_topics_have_none(face: Face, house: Face) -> None:
    client = face.Client(house)
    for destination in (b"/topic/a", b"/temp-topic/a", b"/exchange/amq.direct/a"):
        with pytest.raises(Refused) as refused:
            client.say(subscribe(b"0", destination, b"browser:true\n"))
        assert refused.value.args[0] == b"bad header"


# ---- acknowledging -------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [b"client", b"client-individual"])
def test_acknowledging_moves_its_window_and_takes_nothing(face: Face, house: Face, mode: bytes) -> None:
    client = face.Client(house)
    sent = fill(client, 7)
    browse(client, b"ack:%b\ncredit:2\n" % mode)
    seen = []
    while heard := read(house, client):
        assert len(heard) <= 3
        seen += heard
        client.say(b"".join(ack(message.ack) for message in heard))
    assert [message.body for message in seen] == [*sent, b""]
    assert is_end(seen[-1])
    assert house.queue(b"a") == (7, 0, 0)


def test_nothing_can_be_refused(face: Face, house: Face) -> None:
    client = face.Client(house)
    fill(client, 2)
    browse(client, b"ack:client\ncredit:5\n")
    heard = read(house, client)
    for command in (b"NACK\nid:%b\n\n\0", b"NACK\nid:%b\ntransaction:t\n\n\0"):
        client.say(b"BEGIN\ntransaction:t\n\n\0")
        with pytest.raises(Refused) as refused:
            client.say(command % heard[0].ack)
        assert refused.value.args[0] == b"unknown ack"
        client.say(b"ABORT\ntransaction:t\n\n\0")
    assert house.queue(b"a") == (2, 0, 0)
    assert house.stats["dead_lettered"] == 0


def test_in_a_transaction(face: Face, house: Face) -> None:
    client = face.Client(house)
    fill(client, 3)
    browse(client, b"ack:client\ncredit:1\n")
    [first] = read(house, client)
    for end in (b"ABORT", b"COMMIT"):
        client.say(b"BEGIN\ntransaction:t\n\n\0" + ack(first.ack, headers=b"transaction:t\n"))
        assert read(house, client) == []
        client.say(end + b"\ntransaction:t\n\n\0")
    assert [message.body for message in read(house, client)] == [b"1"]
    client.leave()
    assert house.queue(b"a") == (3, 0, 0)
    assert house.stats["messages"] == 3


def test_what_it_has_not_acknowledged_outlives_the_queue_and_not_itself(face: Face, house: Face) -> None:
    client, other = face.Client(house), face.Client(house)
    fill(other, 3)
    browse(client, b"ack:client\ncredit:2\n")
    read(house, client)
    other.say(subscribe(b"c", b"/queue/a"))
    assert len(read(house, other)) == 3
    assert house.stats["messages"] == 2
    client.leave()
    assert house.stats["messages"] == 0


# ---- those who stay ------------------------------------------------------------------------------


def test_who_stays_sees_all_that_comes_even_what_is_taken_at_once(face: Face, house: Face) -> None:
    client, other = face.Client(house), face.Client(house)
    sent = fill(client, 3)
    browse(client, b"browser-end:false\n")
    assert [message.body for message in read(house, client)] == sent
    other.say(subscribe(b"c", b"/queue/a"))
    read(house, other)
    for number in range(20):
        other.say(send(b"/queue/a", b"n%d" % number, b"priority:%d\n" % (number % 10)))
        assert bodies(other.hear()) == [b"n%d" % number]
        assert bodies(client.hear()) == [b"n%d" % number]
    assert house.queue(b"a") == (0, 0, 1)


def test_who_does_not_read_misses_what_is_taken(face: Face) -> None:
    house = new_house(face, outbound_soft=2000, outbound_hard=100_000)
    client, other = face.Client(house), face.Client(house)
    browse(client, b"browser-end:false\n")
    other.say(subscribe(b"c", b"/queue/a"))
    read(house, client)
    for number in range(100):
        house.publish(b"/queue/a", b"%d" % number + b"x" * 100)
        assert len(messages(other.hear())) == 1
    assert client.pending < 2500
    other.say(b"UNSUBSCRIBE\nid:c\n\n\0")
    house.publish(b"/queue/a", b"waits")
    heard = read(house, client)
    assert 5 < len(heard) < 20
    assert heard[-1].body == b"waits"


def test_the_newest_of_a_name_is_seen_in_the_place_of_the_older_one(face: Face) -> None:
    house = new_house(face, outbound_soft=2000, outbound_hard=100_000)
    client = face.Client(house)
    names = [b"_AMQ_LVQ_NAME:%d\n" % number for number in range(30)]
    for number, name in enumerate(names):
        house.publish(b"/queue/a", b"%d" % number)
        face.Client(house).say(send(b"/queue/a", b"old %d" % number, name))
    browse(client, b"browser-end:false\n")
    assert len(read(house, client)) == 60
    sender = face.Client(house)
    for number in (5, 17, 5, 0, 29):
        sender.say(send(b"/queue/a", b"new %d" % number, names[number] + b"priority:%d\n" % (number % 10)))
        assert bodies(client.hear()) == [b"new %d" % number]
    for round in range(2):  # and while it does not read
        for number in range(30):
            sender.say(send(b"/queue/a", b"%d of round %d" % (number, round) + b"x" * 100, names[number]))
    newest = {message.body.split(b"x")[0] for message in read(house, client)}
    assert {b"%d of round 1" % number for number in range(30)} <= newest
    assert house.queue(b"a")[0] == 60


def test_one_renewal_among_much_else(face: Face) -> None:
    """While it does not read, so that it finds all of it at once."""
    house = new_house(face, outbound_soft=2000, outbound_hard=100_000)
    client, sender = face.Client(house), face.Client(house)
    sender.say(send(b"/queue/a", b"old", b"_AMQ_LVQ_NAME:x\npriority:2\n"))
    browse(client, b"browser-end:false\n")
    assert bodies(read_some(house, client)) == [b"old"]
    fill(sender, 30, size=100)
    assert client.pending > 1000
    sender.say(send(b"/queue/a", b"new", b"_AMQ_LVQ_NAME:x\npriority:2\n"))
    sender.say(send(b"/queue/a", b"high", b"priority:9\n") + send(b"/queue/a", b"low", b"priority:0\n"))
    seen = [message.body for message in read(house, client)]
    assert len(seen) == len(set(seen)) == 33
    assert {b"new", b"high", b"low"} <= set(seen)


def read_some(house: Face, client: Face) -> bytes:
    house.turn()
    heard: bytes = client.hear()
    return heard


def test_dead_letters_are_seen_as_they_come(face: Face, house: Face) -> None:
    client, other = face.Client(house), face.Client(house)
    browse(client, b"browser-end:false\n", name=b"DLQ.a")
    fill(other, 1)
    other.say(subscribe(b"c", b"/queue/a", b"ack:client\n"))
    other.say(ack(read(house, other)[0].ack, b"NACK", b"requeue:false\nreason:no\n"))
    [letter] = read(house, client)
    assert (letter.body, letter.headers[b"dead-letter-reason"]) == (b"0", b"rejected")
    browse(client, name=b"DLQ.a", id=b"again")
    assert shown(house, client) == [b"0"]
    assert house.queue(b"DLQ.a") == (1, 0, 0)


# ---- queues that are not there, and that go ------------------------------------------------------


def test_it_makes_no_queue(face: Face, house: Face) -> None:
    client = face.Client(house)
    browse(client)
    assert shown(house, client) == []
    assert house.queue(b"a") is None
    for destination in (b"/amq/queue/a", b"/queue/", b"/reply-queue/x"):
        with pytest.raises(Refused):
            client.say(subscribe(b"x", destination, BROWSE))


@pytest.mark.parametrize("others", [0, 3])
def test_who_stays_waits_for_the_queue(face: Face, house: Face, others: int) -> None:
    client = face.Client(house)
    waiting = [face.Client(house) for _ in range(others)]
    for each in (client, *waiting):
        browse(each, b"browser-end:false\n")
        assert read(house, each) == []
    consumer = face.Client(house)
    for _ in range(3):
        consumer.say(subscribe(b"c", b"/queue/a", b"auto-delete:true\n") + send(b"/queue/a", b"x"))
        assert bodies(consumer.hear()) == [b"x"]
        consumer.say(b"UNSUBSCRIBE\nid:c\n\n\0")
        house.turn()
        assert house.queue(b"a") is None
        for each in (client, *waiting):
            assert [message.headers[b"seq"] for message in read(house, each)] == [b"1"]
    if waiting:
        waiting.pop().leave()
    house.publish(b"/queue/a", b"y")
    for each in (client, *waiting):
        assert [message.body for message in read(house, each)] == [b"y"]


def test_very_many_wait_for_the_queue(face: Face) -> None:
    """They look in turns: some of them when it is made, the others in the next one."""
    house = new_house(face, memory=1_000_000_000)
    sender, clients = face.Client(house), [face.Client(house) for _ in range(50)]
    for client in clients:
        client.say(b"".join(subscribe(b"%d" % id, b"/queue/a", STAYS) for id in range(800)))
        house.turn()
    before, seen = house.stats["work"], 0
    sender.say(send(b"/queue/a", b"x"))
    assert house.stats["work"] - before < 2_200_000
    for _ in range(100):
        house.turn()
        seen += sum(len(messages(client.hear())) for client in clients)
    assert seen == 40_000


@pytest.mark.parametrize("stays", [True, False])
def test_it_does_not_keep_a_queue(face: Face, house: Face, stays: bool) -> None:
    client, other = face.Client(house), face.Client(house)
    other.say(subscribe(b"c", b"/queue/a", b"x-expires:500\nack:client\ncredit:1\n"))
    fill(other, 3)
    browse(client, b"ack:client\ncredit:1\n" + (b"browser-end:false\n" if stays else b""))
    heard = read(house, client)
    assert len(heard) == 1
    other.leave()
    house.advance(600)
    assert house.queue(b"a") is None
    client.say(ack(heard[0].ack))
    assert [is_end(message) for message in read(house, client)] == ([] if stays else [True])


def test_an_exclusive_consumer_does_not_mind(face: Face, house: Face) -> None:
    client, other = face.Client(house), face.Client(house)
    other.say(subscribe(b"c", b"/queue/a", b"activemq.exclusive:true\nack:client\ncredit:1\n"))
    fill(other, 3)
    browse(client, b"exclusive:true\nx-priority:9\n")
    assert shown(house, client) == [b"1", b"2"]
    assert house.queue(b"a") == (2, 1, 1)


def test_its_own_temporary_queue(face: Face, house: Face) -> None:
    client, other = face.Client(house), face.Client(house)
    client.say(subscribe(b"c", b"/temp-queue/x", b"ack:client\ncredit:1\n"))
    client.say(b"SEND\ndestination:/queue/ask\nreply-to:/temp-queue/x\n\n?\0")
    other.say(subscribe(b"c", b"/queue/ask"))
    [question] = read(house, other)
    other.say(send(question.headers[b"reply-to"], b"1") + send(question.headers[b"reply-to"], b"2"))
    client.say(subscribe(b"b", b"/temp-queue/x", BROWSE + b"browser-end:false\n"))
    heard = read(house, client)
    assert [(message.subscription, message.body) for message in heard] == [(b"c", b"1"), (b"b", b"2")]
    for each in (client, other):
        each.leave()
    house.turn()
    assert house.stats["queues"] == 1, "only what was asked with"


# ---- hostile -------------------------------------------------------------------------------------


def test_who_never_reads_holds_a_place_and_nothing_more(face: Face) -> None:
    house = new_house(face, outbound_soft=10_000, outbound_hard=1_000_000)
    sender, taker, reader = face.Client(house), face.Client(house), face.Client(house)
    fill(sender, 50, size=1000)
    browse(reader, b"browser-end:false\n")
    browse(reader, id=b"c")
    house.turn()
    held = reader.pending
    assert held < 12_000
    memory = []
    for _ in range(20):
        fill(sender, 1000, size=1000)
        taker.say(subscribe(b"t", b"/queue/a"))
        read(house, taker)
        taker.say(b"UNSUBSCRIBE\nid:t\n\n\0")
        house.turn()
        memory.append(house.stats["memory"])
    assert reader.pending == held
    assert max(memory) - min(memory) < 5000
    assert house.stats["messages"] == 0
    assert not reader.is_slow


def test_a_hundred_at_once(face: Face) -> None:
    house = new_house(face, outbound_soft=20_000, outbound_hard=1_000_000)
    sender = face.Client(house)
    sent = fill(sender, 400, size=100)
    browsers = [face.Client(house) for _ in range(100)]
    for each in browsers:
        browse(each)
    seen: list[list[bytes]] = [[] for _ in browsers]
    for _ in range(100):
        before = house.stats["bytes_out"] + house.stats["work"]
        house.turn()
        assert house.stats["bytes_out"] + house.stats["work"] - before < 6_000_000, "a turn has an end"
        for each, heard in zip(browsers, seen, strict=True):
            heard += bodies(each.hear())
    assert all(heard == [*sent, b""] for heard in seen)


def test_what_nobody_chooses_takes_turns_too(face: Face, house: Face) -> None:
    client, sender = face.Client(house), face.Client(house)
    fill(sender, 200_000)
    browse(client, b"selector:n = 1\n")
    turns, heard = 0, b""
    while not heard:
        before = house.stats["work"]
        house.turn()
        assert house.stats["work"] - before < 6_000_000
        turns += 1
        heard = client.hear()
        sender.say(send(b"/queue/b", b"x"))
    assert turns > 3
    assert is_end(messages(heard)[0])


def test_much_that_came_back_is_moved_a_little_at_a_time(face: Face, house: Face) -> None:
    client, sender, taker = face.Client(house), face.Client(house), face.Client(house)
    sent = fill(sender, 20_000)
    for id in (b"1", b"2", b"3"):
        taker.say(subscribe(id, b"/queue/a", b"ack:client\ncredit:8000\n"))
    assert len(read(house, taker)) == 20_000
    taker.leave()
    while house.queue(b"a") != (20_000, 0, 0):
        house.turn()
    browse(client)
    heard: list[Message] = []
    while not heard or not is_end(heard[-1]):
        before = house.stats["work"]
        house.turn()
        assert house.stats["work"] - before < 6_000_000
        heard += messages(client.hear())
    assert [message.body for message in heard[:-1]] == sent


@pytest.mark.parametrize("stays", [True, False])
def test_a_reset_in_the_middle(face: Face, stays: bool) -> None:
    house = new_house(face, outbound_soft=2000, outbound_hard=100_000)
    memory = house.stats["memory"]
    sender = face.Client(house)
    fill(sender, 100, size=100)
    for mode in (b"auto", b"client"):
        client = face.Client(house)
        browse(client, b"ack:%b\n" % mode + (b"browser-end:false\n" if stays else b""))
        browse(client, b"browser-end:false\n", id=b"x", name=b"absent")
        house.turn()
        client.leave()
    assert house.queue(b"a") == (100, 0, 0)
    house.publish(b"/queue/absent", b"x")
    sender.say(subscribe(b"1", b"/queue/a") + subscribe(b"2", b"/queue/absent"))
    assert len(read(house, sender)) == 101
    sender.leave()
    house.advance(IDLE + 2 * TICK)
    stats = house.stats
    assert (stats["messages"], stats["queues"], stats["subscriptions"]) == (0, 0, 0)
    assert stats["memory"] - memory < 2000, "but for routes"


def test_at_the_memory_ceiling_it_takes_one_after_the_other(face: Face) -> None:
    house = new_house(face, memory=4_000_000)
    client, sender = face.Client(house), face.Client(house)
    fill(sender, 100, size=1000)
    browse(client)
    while not house.is_full[1]:
        house.publish(b"/queue/other", b"x" * 10_000)
    house.turn()
    assert client.pending < 2000
    with pytest.raises(Refused) as refused:
        browse(client, id=b"x")
    assert refused.value.args[0] == b"server busy"
    assert len(shown(house, client)) == 100
