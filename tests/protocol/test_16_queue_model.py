"""Queues against a pure model: whatever clients do in whatever order, nothing is lost, doubled or out of turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import pytest
from harness.broker import Broker, is_disconnect_of
from harness.client import Client, Delivery
from harness.frames import VERSIONS, frame, receipt, unique
from harness.waiting import DEADLINE
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from queue_model import Held, Mode, QueueModel, Settling

MAX_DELIVERIES = 4
DEAD_LETTERS = "model.dead-letters"
MOST_CONNECTIONS = 4

T = TypeVar("T")

picks = st.integers(0, 1000)
versions = st.sampled_from(VERSIONS)
modes = st.sampled_from(["client", "client-individual"] * 4 + ["auto"])  # `auto` leaves nothing for the others
credits = st.integers(1, 4)
ids = st.sampled_from("ab")


def pick(some: Sequence[T], number: int) -> T:
    return some[number % len(some)]


class Message(NamedTuple):
    """A MESSAGE frame."""

    headers: dict[str, str]
    body: str


class Peer:
    """A connection and its number."""

    def __init__(self, broker: Broker, number: int, version: str, patience: float) -> None:
        self.number = number
        self.broker = broker
        self.client = Client(broker)
        self.client.socket.settimeout(patience)
        self.client.login(version)
        self.barrier = b""

    def say(self, command: str, *headers: str) -> list[Message]:
        """Send a frame and return the messages that came before its RECEIPT."""
        name = unique("model")
        self.client.send(frame(command, *headers, f"receipt:{name}"))
        return self.read_up_to(receipt(name))

    def read_up_to(self, end: bytes) -> list[Message]:
        messages = []
        while (got := self.client.read_frame()) != end:
            head, _, body = got.removesuffix(b"\0\n").decode().partition("\n\n")
            command, *lines = head.split("\n")
            assert command == "MESSAGE", got
            messages.append(Message(dict(line.split(":", 1) for line in lines), body))
        return messages

    def raise_barrier(self) -> None:
        """All that comes before the answer to this is the consequence of what was done before."""
        name = unique("barrier")
        self.client.send(f"BEGIN\ntransaction:barrier\nreceipt:{name}\n\n\0ABORT\ntransaction:barrier\n\n\0")
        self.barrier = receipt(name)

    def reach_barrier(self) -> list[Message]:
        return self.read_up_to(self.barrier)

    def vanish(self, how: Callable[[Client], None]) -> None:
        """End the connection without a word, and wait until the broker knows."""
        since = len(self.broker.log)
        how(self.client)
        self.broker.wait_log(lambda record: is_disconnect_of(record, self.client), since=since)


class QueueMachine(RuleBasedStateMachine):
    """Some connections do what they like to one queue. After each step the broker comes to rest, and must then agree
    with the model."""

    patience = DEADLINE

    def __init__(self, broker: Broker) -> None:
        super().__init__()
        self.broker = broker
        self.queue = unique("/queue/model.")
        self.model = QueueModel(MAX_DELIVERIES)
        self.peers: dict[int, Peer] = {}
        self.connected = 0
        self.deliveries: dict[Held, Delivery] = {}
        self.settled: list[tuple[int, Delivery]] = []
        self.message_ids: dict[str, str] = {}
        self.healthy = True

    # ---- from step to step ----

    def begin_step(self) -> None:
        self.healthy = False  # until the end of the step
        self.model.begin_step()

    def end_step(self, *, at_once: bool = True) -> None:
        """Wait until nothing more can come, and compare."""
        end = time.monotonic() + self.patience
        self.see_what_comes()
        while not self.model.is_settled():
            assert time.monotonic() < end, f"{self.model.waiting} are not delivered to {self.model.consumers}"
            time.sleep(0.002)  # a consumer that has just refused something is spared for a moment
            self.see_what_comes()
        self.model.check_order(at_once=at_once)
        self.healthy = True

    def see_what_comes(self) -> None:
        for peer in self.peers.values():
            peer.raise_barrier()
        for peer in self.peers.values():
            self.take(peer, peer.reach_barrier())

    def take(self, peer: Peer, messages: list[Message]) -> None:
        for headers, body in messages:
            id, message_id = headers["subscription"], headers["message-id"]
            assert headers["destination"] == self.queue
            assert self.message_ids.setdefault(body, message_id) == message_id
            assert headers.get("redelivered", "") == ("true" if "delivery-count" in headers else "")
            held = self.model.deliver(peer.number, id, body, int(headers.get("delivery-count", 1)))
            assert ("ack" in headers) == (held is not None and peer.client.version == "1.2")
            if held:
                self.deliveries[held] = Delivery(id, message_id, headers.get("ack", ""))
        assert len(set(self.message_ids.values())) == len(self.message_ids)

    def teardown(self) -> None:
        """At the end the queue holds exactly what the model holds."""
        try:
            if self.healthy:
                self.check_rest()
        finally:
            if not self.healthy:
                QueueMachine.patience = 0.5  # what is looked for now is a shorter way to the same failure
            for peer in self.peers.values():
                peer.client.close()

    def check_rest(self) -> None:
        for peer in list(self.peers.values()):
            self.leave(peer, "DISCONNECT")
        self.connect("1.2")
        (peer,) = self.peers.values()
        self.begin_step()
        self.model.subscribe(peer.number, "rest", "auto", 0)
        self.take(peer, peer.say("SUBSCRIBE", f"destination:{self.queue}", "id:rest"))
        self.end_step()
        assert self.model.waiting == []
        assert sorted(self.dead_letters(peer)) == sorted(self.model.dead)

    def dead_letters(self, peer: Peer) -> list[str]:
        """What has been refused, and is from this queue."""
        messages = peer.say("SUBSCRIBE", f"destination:/queue/{DEAD_LETTERS}", "id:dead")
        for _ in range(2):
            peer.raise_barrier()
            messages += peer.reach_barrier()
        assert all(headers["subscription"] == "dead" for headers, _ in messages)
        return [body for headers, body in messages if headers["original-destination"] == self.queue]

    # ---- what clients do ----

    @initialize(some=st.lists(st.tuples(versions, modes, credits), min_size=2, max_size=3))
    def begin_with(self, some: list[tuple[str, Mode, int]]) -> None:
        for version, mode, credit in some:
            self.connect(version)
            self.subscribe_with(self.peers[self.connected], "a", mode, credit)

    @rule(version=versions)
    def connect(self, version: str) -> None:
        if len(self.peers) == MOST_CONNECTIONS:
            return
        self.connected += 1
        self.peers[self.connected] = Peer(self.broker, self.connected, version, self.patience)

    @rule(who=picks, mode=modes, credit=credits)
    def subscribe(self, who: int, mode: Mode, credit: int) -> None:
        free = [(number, id) for number in self.peers for id in "ab" if (number, id) not in self.model.consumers]
        if not free:
            return
        number, id = pick(free, who)
        self.subscribe_with(self.peers[number], id, mode, credit)

    def subscribe_with(self, peer: Peer, id: str, mode: Mode, credit: int) -> None:
        self.begin_step()
        self.model.subscribe(peer.number, id, mode, credit)
        headers = [f"destination:{self.queue}", f"id:{id}", f"ack:{mode}", f"prefetch-count:{credit}"]
        self.take(peer, peer.say("SUBSCRIBE", *headers))
        self.end_step()

    @rule(which=picks)
    def unsubscribe(self, which: int) -> None:
        if not self.model.consumers:
            self.subscribe(which, "client-individual", 2)
        number, id = pick([*self.model.consumers], which)
        self.begin_step()
        self.model.unsubscribe(number, id)
        self.take(self.peers[number], self.peers[number].say("UNSUBSCRIBE", f"id:{id}"))
        self.end_step()

    @rule(who=picks, count=st.integers(1, 6))
    def send(self, who: int, count: int) -> None:
        """Some messages in one write."""
        peer = pick([*self.peers.values()], who)
        bodies = [unique("body") for _ in range(count)]
        self.begin_step()
        for body in bodies:
            self.model.send(body)
        peer.client.send(*(frame("SEND", f"destination:{self.queue}", body=body) for body in bodies))
        self.end_step()

    @rule(which=picks)
    def ack(self, which: int) -> None:
        self.settle_one(which, "ACK")

    @rule(which=picks)
    def ack_once_more(self, which: int) -> None:
        self.settle_one(which, "ACK")

    @rule(which=picks)
    def nack(self, which: int) -> None:
        self.settle_one(which, "NACK")

    @rule(which=picks)
    def reject(self, which: int) -> None:
        self.settle_one(which, "REJECT")

    def settle_one(self, which: int, how: Settling) -> None:
        """Settle something, or else see to it that there is something to settle."""
        unsettled = self.model.unsettled(self.peers)
        if unsettled:
            self.settle(pick(unsettled, which), how)
        elif self.model.consumers:
            self.send(which, 4)
        else:
            self.subscribe(which, "client", 3)

    def settle(self, held: Held, how: Settling, transaction: str = "") -> None:
        peer = self.peers[held.consumer.connection]
        headers = peer.client.settling_headers(self.deliveries[held])
        headers += [f"transaction:{transaction}"] * bool(transaction) + ["requeue:false"] * (how == "REJECT")
        headers += ["delay:0"] * (how == "NACK")  # what waits for a while may come out of order
        self.begin_step()
        settled = self.model.settle(held, how, transaction)
        if not transaction and (how == "ACK" or peer.client.version == "1.2"):
            self.settled += [(peer.number, self.deliveries[each]) for each in settled]
        self.take(peer, peer.say("ACK" if how == "ACK" else "NACK", *headers))
        self.end_step()

    @rule(which=picks, command=st.sampled_from(["ACK", "NACK"]))
    def settle_again(self, which: int, command: str) -> None:
        """An error, and the end of the connection."""
        settled = [each for each in self.settled if each[0] in self.peers and self.minds(each[0])]
        if len(self.peers) < 3 or not settled:
            return
        number, delivery = pick(settled, which)
        peer = self.peers.pop(number)
        self.begin_step()
        self.model.disconnect(number)
        peer.client.settle(delivery, command=command)
        peer.client.expect_error("unknown ack")
        peer.client.close()
        self.end_step()

    def minds(self, number: int) -> bool:
        """Beside an `auto` subscription, an ACK that only names a message may be one that was not needed."""
        modes = [consumer.mode for (owner, _), consumer in self.model.consumers.items() if owner == number]
        return self.peers[number].client.version == "1.2" or "auto" not in modes

    @rule(who=picks, transaction=st.sampled_from("tu"))
    def begin(self, who: int, transaction: str) -> None:
        peer = pick([*self.peers.values()], who)
        if (peer.number, transaction) not in self.model.transactions:
            self.model.begin(peer.number, transaction)
            assert peer.say("BEGIN", f"transaction:{transaction}") == []

    @rule(which=picks, count=st.integers(1, 3))
    def send_in_transaction(self, which: int, count: int) -> None:
        if not self.model.transactions:
            self.begin(which, "u")
        number, transaction = pick([*self.model.transactions], which)
        headers = [f"destination:{self.queue}", f"transaction:{transaction}"]
        self.begin_step()
        for body in [unique("body") for _ in range(count)]:
            self.model.send_later(number, transaction, body)
            self.peers[number].client.send(frame("SEND", *headers, body=body))
        self.end_step()

    @rule(which=picks, how=st.sampled_from(["ACK", "NACK", "REJECT"]))
    def settle_in_transaction(self, which: int, how: Settling) -> None:
        possible = [(held, key) for key in self.model.transactions for held in self.model.unsettled(key[:1])]
        if possible:
            held, (_, transaction) = pick(possible, which)
            self.settle(held, how, transaction)
        elif self.model.transactions:
            self.settle_one(which, how)
        else:
            self.begin(which, "t")

    @rule(which=picks, command=st.sampled_from(["COMMIT", "COMMIT", "ABORT"]))
    def end_transaction(self, which: int, command: str) -> None:
        if not self.model.transactions:
            self.begin(which, "t")
        number, transaction = pick([*self.model.transactions], which)
        self.begin_step()
        end = self.model.commit if command == "COMMIT" else self.model.abort
        end(number, transaction)
        self.take(self.peers[number], self.peers[number].say(command, f"transaction:{transaction}"))
        self.end_step(at_once=False)

    @rule(who=picks, how=st.sampled_from(["DISCONNECT", "close", "reset"]))
    def disconnect(self, who: int, how: str) -> None:
        if len(self.peers) > 2:
            self.leave(pick([*self.peers.values()], who), how)

    def leave(self, peer: Peer, how: str) -> None:
        del self.peers[peer.number]
        self.begin_step()
        self.model.disconnect(peer.number)
        if how == "DISCONNECT":
            assert peer.say("DISCONNECT") == []
            peer.client.expect_end()
            peer.client.close()
        else:
            peer.vanish(Client.close if how == "close" else Client.reset)
        self.end_step()


@pytest.mark.hypothesis
@pytest.mark.item(89, 90, 91, 92, 93, 94, 95, 96, 100, 101, 102, 118)
def test_a_queue_does_what_the_model_does(broker_with: Callable[..., Broker]) -> None:
    queues = [{"pattern": "#", "max_deliveries": MAX_DELIVERIES, "dead_letter": DEAD_LETTERS}]
    broker = broker_with(subscriptions={"nack_delay": 0.001}, queues=queues)
    run_state_machine_as_test(
        lambda: QueueMachine(broker),  # type: ignore[arg-type]
        settings=settings(
            stateful_step_count=50,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
        ),
    )
