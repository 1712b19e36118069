"""What a queue is, without sockets and without speed: the model that the broker must agree with.

The model does not say which consumer gets a message. It is told, and says whether that may be: the oldest goes first,
only to somebody with credit, with the right count. `is_settled` says when nothing more may come.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Mode = Literal["auto", "client", "client-individual"]
Settling = Literal["ACK", "NACK", "REJECT"]  # the last is NACK with requeue:false


@dataclass(eq=False)
class Message:
    """Its place in the queue never changes."""

    place: int
    body: str
    deliveries: int = 0


@dataclass(eq=False)
class Held:
    """A message that a consumer has and has not settled."""

    message: Message
    consumer: Consumer
    transaction: str = ""  # the open one in which it was settled


@dataclass(eq=False)
class Consumer:
    """A subscription."""

    connection: int
    id: str
    mode: Mode
    credit: int
    held: list[Held] = field(default_factory=list)
    open: bool = True

    def has_credit(self) -> bool:
        return self.mode == "auto" or len(self.held) < self.credit


@dataclass
class Sent:
    """A SEND in a transaction."""

    body: str


@dataclass
class Settled:
    """A message that was settled in a transaction."""

    held: Held
    how: Settling


class QueueModel:
    """One queue, and all that connections do to it."""

    def __init__(self, max_deliveries: int) -> None:
        self.max_deliveries = max_deliveries
        self.sent = 0
        self.waiting: list[Message] = []
        self.dead: list[str] = []
        self.consumers: dict[tuple[int, str], Consumer] = {}
        self.transactions: dict[tuple[int, str], list[Sent | Settled]] = {}
        self.begin_step()

    # ---- what clients do ----

    def send(self, body: str) -> None:
        self.sent += 1
        self.waiting.append(Message(self.sent, body))

    def subscribe(self, connection: int, id: str, mode: Mode, credit: int) -> None:
        self.consumers[connection, id] = Consumer(connection, id, mode, credit)

    def unsubscribe(self, connection: int, id: str) -> None:
        """What it holds goes back, except what an open transaction has settled."""
        consumer = self.consumers.pop((connection, id))
        consumer.open = False
        for held in [held for held in consumer.held if not held.transaction]:
            self._give_back(held)

    def settle(self, held: Held, how: Settling, transaction: str = "") -> list[Held]:
        """Settle it, and in `client` mode all that was delivered before; returns what was settled."""
        consumer = held.consumer
        settled = [held]
        if consumer.mode == "client":
            settled = consumer.held[: consumer.held.index(held) + 1]
        settled = [each for each in settled if not each.transaction]
        for each in settled:
            if transaction:
                each.transaction = transaction
                self.transactions[consumer.connection, transaction].append(Settled(each, how))
            else:
                self._settle(each, how)
        return settled

    def begin(self, connection: int, transaction: str) -> None:
        self.transactions[connection, transaction] = []

    def send_later(self, connection: int, transaction: str, body: str) -> None:
        self.transactions[connection, transaction].append(Sent(body))

    def commit(self, connection: int, transaction: str) -> None:
        for operation in self.transactions.pop((connection, transaction)):
            if isinstance(operation, Sent):
                self.send(operation.body)
            else:
                self._settle(operation.held, operation.how)

    def abort(self, connection: int, transaction: str) -> None:
        for operation in self.transactions.pop((connection, transaction)):
            if isinstance(operation, Settled):
                operation.held.transaction = ""
                if not operation.held.consumer.open:
                    self._give_back(operation.held)

    def disconnect(self, connection: int) -> None:
        for owner, transaction in [key for key in self.transactions if key[0] == connection]:
            self.abort(owner, transaction)
        for owner, id in [key for key in self.consumers if key[0] == connection]:
            self.unsubscribe(owner, id)

    def _settle(self, held: Held, how: Settling) -> None:
        if how == "REJECT":
            held.consumer.held.remove(held)
            self.dead.append(held.message.body)
        elif how == "NACK":
            self._give_back(held)
        else:
            held.consumer.held.remove(held)

    def _give_back(self, held: Held) -> None:
        """To where it stood, unless it has been given out too often."""
        held.consumer.held.remove(held)
        if held.message.deliveries >= self.max_deliveries:
            self.dead.append(held.message.body)
            return
        self.returned.add(held.message.place)
        self.waiting = sorted([*self.waiting, held.message], key=lambda message: message.place)

    # ---- what the broker does ----

    def begin_step(self) -> None:
        """The next deliveries are the consequence of what is done now."""
        self.delivered: dict[int, list[int]] = {}
        self.returned: set[int] = set()

    def deliver(self, connection: int, id: str, body: str, count: int) -> Held | None:
        """A consumer got a message; it is returned unless it counts as settled by that."""
        consumer = self.consumers.get((connection, id))
        assert consumer, f"a MESSAGE for a subscription {id} that is not there"
        assert consumer.has_credit(), f"more than the credit of {consumer}"
        message = next((message for message in self.waiting if message.body == body), None)
        assert message, f"{body} was delivered, and there are only {self.waiting}"
        message.deliveries += 1
        assert message.deliveries == count, f"delivery-count is wrong: {message}"
        self.waiting.remove(message)
        self.delivered.setdefault(connection, []).append(message.place)
        if consumer.mode == "auto":
            return None
        held = Held(message, consumer)
        consumer.held.append(held)
        return held

    def is_settled(self) -> bool:
        """Whether nobody who has credit could get a message."""
        return not self.waiting or not any(consumer.has_credit() for consumer in self.consumers.values())

    def check_order(self, *, at_once: bool) -> None:
        """All that was delivered in this step came before all that still waits, and oldest first.

        A COMMIT that sends and gives back does one after the other, so there the two are looked at apart.
        """
        everything = set(range(1, self.sent + 1))
        for places in [everything] if at_once else [self.returned, everything - self.returned]:
            rest = [message.place for message in self.waiting if message.place in places]
            for delivered in self.delivered.values():
                some = [place for place in delivered if place in places]
                assert some == sorted(some), f"delivered out of order: {self.delivered}"
                assert not some or not rest or some[-1] < rest[0], f"{rest[0]} is older than some of {self.delivered}"

    # ---- what a test chooses from ----

    def unsettled(self, connections: Iterable[int]) -> list[Held]:
        """What could be settled now."""
        wanted = set(connections)
        return [
            held
            for consumer in self.consumers.values()
            for held in consumer.held
            if consumer.connection in wanted and not held.transaction
        ]
