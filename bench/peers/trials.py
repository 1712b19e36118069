"""What the scenarios will ask of a STOMP server, each tried once in its simplest form."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from bench.peers.client import Client, encoded
from bench.peers.peer import Feature
from fastbroker.bench.load import Target

PIPELINED = 10_000
LARGE = 1 << 20
KEYS = (1000007, 1000010)


class Wrong(Exception):
    """The server did something else than it should."""


def must(holds: bool, otherwise: str) -> None:
    """Fails the trial unless it holds."""
    if not holds:
        raise Wrong(otherwise)


class Trial:
    """One server, and new connections to it."""

    def __init__(self, target: Target, stack: ExitStack) -> None:
        self._target = target
        self._stack = stack

    def client(self) -> Client:
        """Another connection; it is closed when the trial is over."""
        return self._stack.enter_context(Client(self._target))

    def credit(self, count: int) -> dict[str, str]:
        """The header that asks for at most so many unacknowledged messages."""
        return header_of(self._target.credit_header.format(credit=count))

    def priorities(self) -> dict[str, str]:
        """The header with which a queue has priorities."""
        return header_of(self._target.priority_header)

    def replay(self, count: int) -> dict[str, str]:
        """The header that asks for what a topic keeps."""
        return header_of(self._target.replay_header.format(count=count))

    def selector(self, number: int) -> dict[str, str]:
        """The header that selects messages with that key."""
        prefix = self._target.selector_prefix.replace(":", "\\c")
        return {"selector": f"{prefix}key = {number}"}


def header_of(line: str) -> dict[str, str]:
    """A header line as headers; none if it is empty."""
    name, colon, value = line.partition(":")
    return {name: value} if colon else {}


def topic(trial: Trial) -> None:
    """Each of two subscribers gets the message."""
    subscribers = [trial.client(), trial.client()]
    for subscriber in subscribers:
        subscriber.subscribe("/topic/check.fan")
    trial.client().ask("SEND", {"destination": "/topic/check.fan"}, b"hello")
    must(all(each.expect("MESSAGE").body == b"hello" for each in subscribers), "the body differs")


def queue(trial: Trial) -> None:
    """Of two consumers, one gets the message."""
    consumers = [trial.client(), trial.client()]
    for consumer in consumers:
        consumer.subscribe("/queue/check.once")
    trial.client().ask("SEND", {"destination": "/queue/check.once"}, b"hello")
    must(sum(not each.nothing_comes() for each in consumers) == 1, "not exactly one consumer got it")


def stored(trial: Trial) -> None:
    """A queue keeps what was sent before its consumer came, in order."""
    sender, consumer = trial.client(), trial.client()
    for number in range(10):
        sender.ask("SEND", {"destination": "/queue/check.kept"}, b"%d" % number)
    consumer.subscribe("/queue/check.kept")
    must([int(consumer.expect("MESSAGE").body) for _ in range(10)] == list(range(10)), "the order differs")


def patterns(trial: Trial) -> None:
    """A `*` stands for one word, at any place."""
    subscriber, sender = trial.client(), trial.client()
    subscriber.subscribe("/topic/check.*.x")
    subscriber.subscribe("/topic/other.*")
    for name in ("check.0000001.x", "check.0000001.y", "other.0000001"):
        sender.ask("SEND", {"destination": f"/topic/{name}"}, name.encode())
    bodies = {subscriber.expect("MESSAGE").body for _ in range(2)}
    must(bodies == {b"check.0000001.x", b"other.0000001"}, f"{sorted(bodies)} matched")
    must(subscriber.nothing_comes(), "what does not match came too")


def receipts(trial: Trial) -> None:
    """A SEND gets its RECEIPT."""
    client = trial.client()
    for _ in range(3):
        client.ask("SEND", {"destination": "/topic/check.receipts"}, b"hello")


def subscribe_receipts(trial: Trial) -> None:
    """A SUBSCRIBE gets its RECEIPT."""
    trial.client().ask("SUBSCRIBE", {"id": "1", "destination": "/topic/check.receipts"})


def pipelined_receipts(trial: Trial) -> None:
    """Each SEND gets its RECEIPT, in order, also when the client waits for none before the next."""
    client, numbers = trial.client(), [f"n{number}" for number in range(100)]
    headers = {"destination": "/topic/check.receipts"}
    client.send_many(b"".join(encoded("SEND", {**headers, "receipt": number}, b"hello") for number in numbers))
    came = [client.expect("RECEIPT").headers["receipt-id"] for _ in numbers]
    must(came == numbers, "the receipts' order differs")


def acks(trial: Trial, mode: str = "client") -> None:
    """What was not acknowledged comes again when its consumer has gone; the rest does not."""
    destination = f"/queue/check.{mode}"
    for body in (b"first", b"second"):
        trial.client().ask("SEND", {"destination": destination}, body)
    with trial.client() as consumer:
        consumer.subscribe(destination, mode, **trial.credit(10))
        consumer.ask("ACK", {"id": consumer.expect("MESSAGE").headers.get("ack", "")})
        consumer.expect("MESSAGE")
    another = trial.client()
    another.subscribe(destination)
    must(another.expect("MESSAGE").body == b"second", "what was acknowledged came again")
    must(another.nothing_comes(), "more came again than was not acknowledged")


def acks_individual(trial: Trial) -> None:
    """The same, where an ACK is of one message."""
    acks(trial, "client-individual")


def acks_out_of_order(trial: Trial) -> None:
    """An individual ACK of the second message leaves the first alone."""
    destination = "/queue/check.out-of-order"
    for body in (b"first", b"second"):
        trial.client().ask("SEND", {"destination": destination}, body)
    with trial.client() as consumer:
        consumer.subscribe(destination, "client-individual", **trial.credit(10))
        _, second = (consumer.expect("MESSAGE") for _ in range(2))
        consumer.ask("ACK", {"id": second.headers.get("ack", "")})
    another = trial.client()
    another.subscribe(destination)
    must(another.expect("MESSAGE").body == b"first", "what was acknowledged came again")


def credit(trial: Trial) -> None:
    """No more come than there is credit for, and an ACK gives new credit."""
    sender, consumer = trial.client(), trial.client()
    consumer.subscribe("/queue/check.credit", "client-individual", **trial.credit(2))
    for number in range(5):
        sender.ask("SEND", {"destination": "/queue/check.credit"}, b"%d" % number)
    first, _ = (consumer.expect("MESSAGE") for _ in range(2))
    must(consumer.nothing_comes(), "more than 2 came")
    consumer.ask("ACK", {"id": first.headers["ack"]})
    consumer.expect("MESSAGE")


def transactions(trial: Trial) -> None:
    """What was sent in a transaction comes at its COMMIT."""
    sender, consumer = trial.client(), trial.client()
    consumer.subscribe("/queue/check.transaction")
    sender.send("BEGIN", {"transaction": "t"})
    for body in (b"1", b"2"):
        sender.send("SEND", {"destination": "/queue/check.transaction", "transaction": "t"}, body)
    must(consumer.nothing_comes(), "it came before COMMIT")
    sender.ask("COMMIT", {"transaction": "t"})
    must([consumer.expect("MESSAGE").body for _ in range(2)] == [b"1", b"2"], "the order differs")


def reply_to(trial: Trial) -> None:
    """The one who answers finds where to."""
    asker, responder = trial.client(), trial.client()
    asker.subscribe("/queue/check.reply.1")
    responder.subscribe("/queue/check.requests")
    asker.send("SEND", {"destination": "/queue/check.requests", "reply-to": "/queue/check.reply.1"}, b"ping")
    request = responder.expect("MESSAGE")
    must(request.headers.get("reply-to") == "/queue/check.reply.1", f"reply-to is {request.headers.get('reply-to')}")
    responder.send("SEND", {"destination": request.headers["reply-to"]}, b"pong")
    must(asker.expect("MESSAGE").body == b"pong", "the body differs")


def pipelining(trial: Trial) -> None:
    """Many SENDs at once all arrive, once and in order."""
    subscriber, sender = trial.client(), trial.client()
    subscriber.subscribe("/topic/check.pipelined")
    headers = {"destination": "/topic/check.pipelined"}
    sender.send_many(b"".join(encoded("SEND", headers, b"%d" % number) for number in range(PIPELINED)))
    for number in range(PIPELINED):
        body = subscriber.expect("MESSAGE").body
        must(int(body) == number, f"after {number} messages number {int(body)} came")


def large(trial: Trial) -> None:
    """A body of 1 MiB arrives as it was sent."""
    subscriber, body = trial.client(), bytes(range(256)) * (LARGE // 256)
    subscriber.subscribe("/topic/check.large")
    trial.client().send("SEND", {"destination": "/topic/check.large"}, body)
    must(subscriber.expect("MESSAGE").body == body, "the body differs")


def priorities(trial: Trial) -> None:
    """Of what waits the highest priority comes first."""
    sender, consumer, headers = trial.client(), trial.client(), trial.priorities()
    for priority in ("1", "9", "5"):
        sender.ask("SEND", {"destination": "/queue/priority.check", "priority": priority, **headers}, priority.encode())
    consumer.subscribe("/queue/priority.check", **headers)
    came = [consumer.expect("MESSAGE").body for _ in range(3)]
    must(came == [b"9", b"5", b"1"], f"{came} came, in that order")


def selectors(trial: Trial, destination: str = "/topic/check.selected") -> None:
    """A message comes to whoever selects its number, and it is a number that is compared."""
    consumers = {number: trial.client() for number in KEYS}
    for number, consumer in consumers.items():
        consumer.subscribe(destination, **trial.selector(number))
    sender = trial.client()
    for number in reversed(KEYS):
        sender.ask("SEND", {"destination": destination, "key": str(number)}, b"%d" % number)
    for number, consumer in consumers.items():
        must(consumer.expect("MESSAGE").body == b"%d" % number, "another message was selected")
        must(consumer.nothing_comes(), "more came than was selected")


def queue_selectors(trial: Trial) -> None:
    """The same in a queue, where what one consumer does not want holds up nobody."""
    selectors(trial, "/queue/check.selected")


def groups(trial: Trial) -> None:
    """All messages of a group come to one consumer."""
    consumers, sender = [trial.client(), trial.client()], trial.client()
    for consumer in consumers:
        consumer.subscribe("/queue/check.groups", "client-individual", **trial.credit(10))
    for _ in range(4):
        sender.ask("SEND", {"destination": "/queue/check.groups", "JMSXGroupID": "a"}, b"hello")
    must(sum(not each.nothing_comes() for each in consumers) == 1, "not exactly one consumer got them")


def history(trial: Trial) -> None:
    """Who subscribes later gets the last messages, each time."""
    sender = trial.client()
    for number in range(5):
        sender.ask("SEND", {"destination": "/topic/history.check"}, b"%d" % number)
    for _ in range(2):
        with trial.client() as subscriber:
            subscriber.subscribe("/topic/history.check", **trial.replay(5))
            came = [int(subscriber.expect("MESSAGE").body) for _ in range(5)]
            must(came == list(range(5)), f"{came} came")


def schedule(trial: Trial) -> None:
    """A message comes when its delay is over, and not before."""
    sender, consumer = trial.client(), trial.client()
    consumer.subscribe("/queue/check.later")
    sender.ask("SEND", {"destination": "/queue/check.later", "AMQ_SCHEDULED_DELAY": "0001000"}, b"hello")
    must(consumer.nothing_comes(), "it came at once")
    must(consumer.expect("MESSAGE").body == b"hello", "the body differs")


# What is tried, and the features that a server must have for it.
TRIALS: Sequence[tuple[Callable[[Trial], None], frozenset[Feature]]] = (
    (topic, frozenset()),
    (large, frozenset()),
    (pipelining, frozenset({"pipelining"})),
    (receipts, frozenset({"receipts"})),
    (pipelined_receipts, frozenset({"receipts", "pipelining"})),
    (subscribe_receipts, frozenset({"subscribe-receipts"})),
    (patterns, frozenset({"patterns"})),
    (queue, frozenset({"queues"})),
    (stored, frozenset({"queues"})),
    (acks, frozenset({"queues", "acks"})),
    (acks_individual, frozenset({"queues", "acks", "client-individual"})),
    (acks_out_of_order, frozenset({"queues", "acks", "client-individual", "credit"})),
    (credit, frozenset({"queues", "acks", "client-individual", "credit"})),
    (transactions, frozenset({"transactions"})),
    (reply_to, frozenset({"queues", "reply-to"})),
    (priorities, frozenset({"queues", "priorities"})),
    (selectors, frozenset({"selectors"})),
    (queue_selectors, frozenset({"queues", "queue-selectors"})),
    (groups, frozenset({"queues", "groups"})),
    (history, frozenset({"history"})),
    (schedule, frozenset({"queues", "schedule"})),
)
