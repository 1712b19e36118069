"""What waits: frames for memory, receipts for the journal. All of it comes, in its order, and nothing is left."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import pytest
from broker_frames import ack, bodies, messages, send, subscribe
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.micro.compiled import compiled

Face = Any  # of a module that the type checker knows nothing of
HEAD, SMALLEST = 5, 256
HOLD_MEMORY = 4
MEMORY = 4 << 20


@pytest.fixture(scope="module")
def parking_face() -> Face:
    return compiled(Path(__file__).with_name("parking_face.pyx"))


def receipts(stream: bytes) -> list[bytes]:
    return re.findall(rb"RECEIPT\nreceipt-id:(.*)\n", stream)


# ---- records that are parked ---------------------------------------------------------------------


class ParkingMachine(RuleBasedStateMachine):
    """Beside a list."""

    def __init__(self, face: Face) -> None:
        super().__init__()
        self.park = face.Park()
        self.model: list[tuple[str, bytes]] = []

    @rule(kind=st.sampled_from(["frame", "receipt"]), text=st.binary(max_size=20), times=st.integers(0, 300))
    def put(self, kind: str, text: bytes, times: int) -> None:
        self.park.put(kind, text * times)
        self.model.append((kind, text * times))

    @rule(share=st.floats(0, 1))
    def take(self, share: float) -> None:
        for _ in range(int(len(self.model) * share)):
            assert self.park.first() == self.model.pop(0)
            self.park.drop_first()

    @rule()
    def take_all(self) -> None:
        self.take(1)

    @rule()
    def clear(self) -> None:
        self.park.clear()
        self.model.clear()

    @invariant()
    def is_as_large(self) -> None:
        size = sum(HEAD + len(text) for _, text in self.model)
        assert self.park.size == size
        assert self.park.memory >= size
        if self.model:
            assert self.park.first() == self.model[0], "looking takes nothing away"

    @invariant()
    def holds_nothing_when_nothing_waits(self) -> None:
        if not self.model:
            assert self.park.memory == 0


@pytest.mark.hypothesis
def test_records_wait_in_their_order(parking_face: Face) -> None:
    steps = settings(stateful_step_count=30)
    run_state_machine_as_test(lambda: ParkingMachine(parking_face), settings=steps)  # type: ignore[arg-type]


def test_its_memory_is_that_of_what_waits(parking_face: Face) -> None:
    """However much has gone through it meanwhile."""
    park = parking_face.Park()
    for number in range(10_000):
        park.put("frame", b"%05d" % number * 20)
        if number >= 10:
            assert park.first() == ("frame", b"%05d" % (number - 10) * 20)
            park.drop_first()
    assert park.memory <= 8 * park.size


def test_what_depends_does_so_until_all_has_gone(parking_face: Face) -> None:
    park = parking_face.Park()
    park.put("frame", b"x")
    park.put("end", b"")
    park.depends = True
    assert park.ended
    park.drop_first()
    assert park.depends
    park.drop_first()
    assert not park.depends


# ---- frames that wait ----------------------------------------------------------------------------

FRAMES = {
    "send": b"SEND\ndestination:/queue/a\nreceipt:%d\n\nbody %d\0",
    "send to topic": b"SEND\ndestination:/topic/a\nreceipt:%d\n\nbody %d\0",
    "large": b"SEND\ndestination:/queue/a\nreceipt:%d\n\nbody %d" + b"x" * 9000 + b"\0",
    "begin": b"BEGIN\ntransaction:%d\nreceipt:%d\n\n\0",
    "whole transaction": b"BEGIN\ntransaction:t\nreceipt:%d\n\n\0"
    b"SEND\ndestination:/queue/a\ntransaction:t\n\nbody %d\0COMMIT\ntransaction:t\nreceipt:commit\n\n\0",
    "taken back": b"BEGIN\ntransaction:t\nreceipt:%d\n\n\0"
    b"SEND\ndestination:/queue/a\ntransaction:t\n\nbody %d\0ABORT\ntransaction:t\n\n\0",
    "unsubscribe": b"UNSUBSCRIBE\nid:s%d\nreceipt:%d\n\n\0",
    "subscribe": b"SUBSCRIBE\nid:%d\nreceipt:%d\ndestination:/topic/none\n\n\0UNSUBSCRIBE\nid:%d\n\n\0",
}


def fill(face: Face, house: Face) -> Face:
    """Memory is closed to SENDs; the client returned can free it."""
    client = face.Client(house)
    client.say(subscribe(b"0", b"/queue/fill", b"ack:client\ncredit:60000\n"))
    while not house.is_full[0]:
        house.publish(b"/queue/fill", b"x" * 1000)
    return client


def free(client: Face) -> None:
    had = messages(client.hear())
    client.say(ack(had[-1].ack))


def told(face: Face, house: Face, frames: list[bytes], is_full: bool) -> tuple[list[bytes], list[bytes]]:
    """(receipts of who says the frames, bodies that come of it)"""
    publisher, witness = face.Client(house), face.Client(house)
    witness.say(subscribe(b"1", b"/queue/a") + subscribe(b"2", b"/topic/a"))
    for number in range(len(frames)):
        publisher.say(subscribe(b"s%d" % number, b"/topic/none"))
    filler = fill(face, house) if is_full else None
    for frame in frames:
        publisher.say(frame)
    if filler is not None:
        wanting = [frame.startswith((b"SEND", b"BEGIN")) for frame in frames]
        assert publisher.parked > 0 or not wanting or not wanting[0]  # UNSUBSCRIBE in front of it may make room
        assert publisher.parked == 0 or any(wanting)
        assert house.stats["input"] >= publisher.parked
        free(filler)
        while publisher.parked:
            publisher.unpark()
    house.turn()
    assert house.stats["input"] == 0
    return receipts(publisher.hear()), bodies(witness.hear())


@given(kinds=st.lists(st.sampled_from([*FRAMES]), max_size=10))
def test_what_waited_comes_to_the_same(face: Face, kinds: list[str]) -> None:
    frames = [FRAMES[kind].replace(b"%d", b"%d" % number) for number, kind in enumerate(kinds)]
    at_once = told(face, face.House(memory=MEMORY), frames, is_full=False)
    assert told(face, face.House(memory=MEMORY), frames, is_full=True) == at_once


def test_who_has_parked_his_share_is_not_read_from(face: Face) -> None:
    house = face.House(memory=MEMORY, max_parked=5000)
    filler, publisher = fill(face, house), face.Client(house)
    publisher.say(send(b"/queue/a", b"x" * 4000))
    assert publisher.holds == 0
    publisher.say(send(b"/queue/a", b"x" * 4000))
    assert publisher.holds == HOLD_MEMORY
    free(filler)
    publisher.unpark()
    assert (publisher.holds, publisher.parked, house.queue(b"a")) == (0, 0, (2, 0, 0))


def test_how_long_frames_have_waited_is_known(face: Face) -> None:
    """Since the first of them, whatever comes behind it; and since the last one that was handled."""
    house = face.House(memory=MEMORY)
    filler, publisher = fill(face, house), face.Client(house)
    publisher.say(send(b"/queue/a", b"x" * 4000))
    house.advance(100)
    publisher.say(send(b"/queue/a", b"x" * 4000))
    publisher.unpark()
    assert publisher.parked_for >= 100
    free(filler)
    publisher.unpark()
    assert (publisher.parked, publisher.parked_for) == (0, 0)


def test_a_client_that_is_lost_leaves_nothing(face: Face) -> None:
    house = face.House(memory=MEMORY)
    filler, publisher = fill(face, house), face.Client(house)
    publisher.say(send(b"/queue/a", b"x" * 4000) * 5)
    assert house.stats["input"] > 20_000
    publisher.leave()
    assert house.stats["input"] == 0
    free(filler)
    assert house.queue(b"a") is None


def test_what_is_refused_behind_a_wait_ends_the_session(face: Face) -> None:
    house = face.House(memory=MEMORY)
    filler, publisher = fill(face, house), face.Client(house)
    publisher.say(send(b"/queue/a", b"1") + send(b"/nowhere/a", b"2", b"receipt:r\n") + send(b"/queue/a", b"3"))
    free(filler)
    publisher.unpark()
    heard = publisher.hear()
    assert heard.startswith(b"ERROR\nmessage:unknown destination")
    assert b"receipt-id:r\n" in heard
    assert (house.queue(b"a"), house.stats["input"]) == ((1, 0, 0), 0)
    publisher.say(send(b"/queue/a", b"4"))
    assert house.queue(b"a") == (1, 0, 0)


# ---- receipts that wait for the journal ----------------------------------------------------------


class ReceiptsMachine(RuleBasedStateMachine):
    """Two clients; what they SEND is recorded, and a receipt promises that all before it is durable."""

    def __init__(self, face: Face) -> None:
        super().__init__()
        self.house = face.House()
        self.clients = [face.Client(self.house) for _ in range(2)]
        for client in self.clients:
            client.records(b"/queue/journal")
        self.promised = [0, 0]
        self.waiting: list[list[tuple[int, bytes]]] = [[], []]
        self.recorded = self.reported = self.number = 0

    @rule(who=st.integers(0, 1), wants=st.booleans())
    def send(self, who: int, wants: bool) -> None:
        self.recorded += 1
        self.promised[who] = self.recorded
        self.clients[who].say(send(b"/queue/journal", b"x", self.receipt(who) if wants else b""))
        self.hear()

    @rule(who=st.integers(0, 1))
    def other(self, who: int) -> None:
        """A frame that the journal knows nothing of; its receipt comes behind all others."""
        self.clients[who].say(b"UNSUBSCRIBE\nid:x\n%b\n\0" % self.subscribed(who))
        self.hear()

    def subscribed(self, who: int) -> bytes:
        self.clients[who].say(subscribe(b"x", b"/topic/none"))
        return self.receipt(who)

    def receipt(self, who: int) -> bytes:
        self.number += 1
        self.waiting[who].append((self.promised[who], b"%d" % self.number))
        return b"receipt:%d\n" % self.number

    @rule(share=st.floats(0, 1))
    def report(self, share: float) -> None:
        self.reported += int((self.recorded - self.reported) * share)
        self.house.report(self.reported)
        self.hear()

    def hear(self) -> None:
        assert self.house.recorded == self.recorded
        for client, waiting in zip(self.clients, self.waiting, strict=True):
            expected = []
            while waiting and waiting[0][0] <= self.reported:
                expected.append(waiting.pop(0)[1])
            assert receipts(client.hear()) == expected

    @invariant()
    def waits_in_the_account(self) -> None:
        assert (self.house.stats["input"] > 0) == any(self.waiting)

    def teardown(self) -> None:
        self.clients.pop(0).leave()
        self.waiting.pop(0)
        self.report(1)
        assert self.house.stats["input"] == 0


@pytest.mark.hypothesis
def test_receipts_wait_for_the_journal(face: Face) -> None:
    steps = settings(stateful_step_count=30)
    run_state_machine_as_test(lambda: ReceiptsMachine(face), settings=steps)  # type: ignore[arg-type]


def test_a_receipt_that_waits_is_lost_with_its_client(face: Face) -> None:
    house = face.House()
    client = face.Client(house)
    client.records(b"/queue/journal")
    client.say(send(b"/queue/journal", b"x", b"receipt:r\n"))
    assert house.stats["input"] > 0
    client.leave()
    assert house.stats["input"] == 0
    house.report(1)
