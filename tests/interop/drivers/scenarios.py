"""The scenarios: what a user of any STOMP client library does with a broker.

A scenario never sleeps to find out that something did not happen. It makes the broker do something
later whose effect is seen (a receipt, a marker message behind the others) and looks what came.
"""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from drivers.client import Client, Late, Message, Refused

MEBIBYTE = 1024 * 1024
EVERY_BYTE = bytes(range(256)) * 2
BEAT = 900
"""Milliseconds between heart-beats that a client offers and asks for: stomp.py gives up after half as much again."""


class Lab:
    """What a scenario works with: fresh clients and names that nobody used before."""

    def __init__(self, adapter: type[Client], url: str, stomp: str) -> None:
        self._adapter = adapter
        self._url = url
        self._clients: list[Client] = []
        self.stomp = stomp

    def client(self, **options: object) -> Client:
        """A new connection."""
        client = self._adapter(self._url, self.stomp)
        client.connect(**options)  # type: ignore[arg-type]
        self._clients.append(client)
        return client

    def name(self, kind: str = "/queue", use: str = "interop") -> str:
        """A new destination; topics with the use `kept` have a history and presence."""
        return f"{kind}/{use}.{uuid.uuid4().hex}"

    def close(self) -> None:
        """Drop whoever is still there, so that no scenario sees another one's clients."""
        for client in self._clients:
            with suppress(Exception):
                client.drop()


@dataclass(frozen=True)
class Scenario:
    """One scenario, the versions and transports in which it means something, and what a library must be able to do."""

    name: str
    run: Callable[[Lab], None]
    since: str
    until: str
    needs: str
    over: tuple[str, ...]
    once: bool
    """Whether one of a library's transports, versions and sets of options is enough."""

    def applies(self, way: str, stomp: str, abilities: frozenset[str]) -> bool:
        """Whether a library with these abilities can do it over this transport in this version."""
        able = not self.needs or self.needs in abilities
        return able and self.since <= stomp <= self.until and (not self.over or way in self.over)


SCENARIOS: dict[str, Scenario] = {}


def scenario(
    since: str = "1.0", until: str = "1.2", needs: str = "", over: tuple[str, ...] = (), once: bool = False
) -> Callable[[Callable[[Lab], None]], Callable[[Lab], None]]:
    """Enter a function into the table."""

    def enter(run: Callable[[Lab], None]) -> Callable[[Lab], None]:
        SCENARIOS[run.__name__] = Scenario(run.__name__, run, since, until, needs, over, once)
        return run

    return enter


def same(actual: object, expected: object, what: str) -> None:
    """Fail with both values when they differ."""
    if actual != expected:
        raise AssertionError(f"{what}: expected {shortened(expected)}, got {shortened(actual)}")


def true(condition: object, what: str) -> None:
    """Fail with what should have been so."""
    if not condition:
        raise AssertionError(what)


def shortened(value: object) -> str:
    """A representation that fits on a screen."""
    text = repr(value)
    return text if len(text) <= 400 else f"{text[:200]} … {text[-100:]}"


def numbered(count: int) -> list[bytes]:
    """Bodies that tell their place."""
    return [b"message %d" % number for number in range(1, count + 1)]


def send_all(client: Client, destination: str, bodies: list[bytes]) -> None:
    """Send and make sure that the broker has them."""
    for body in bodies:
        client.send(destination, body)
    client.sync()


def received(client: Client, destination: str, ack: str, count: int) -> list[Message]:
    """Fill a queue with `count` messages and take them without acknowledging any."""
    client.subscribe(destination, ack=ack)
    send_all(client, destination, numbered(count))
    return [client.next_message() for _ in range(count)]


def left_in(lab: Lab, queue: str) -> list[Message]:
    """What another consumer still finds in a queue, up to a marker sent now."""
    client = lab.client()
    client.send(queue, b"marker")
    client.subscribe(queue)
    messages = [client.next_message()]
    while messages[-1].body != b"marker":
        messages.append(client.next_message())
    client.leave()
    return messages[:-1]


def bodies_of(messages: list[Message]) -> list[bytes]:
    """Only the bodies."""
    return [message.body for message in messages]


# Connecting and going away.


@scenario()
def connects_in_the_asked_version(lab: Lab) -> None:
    client = lab.client()
    same(client.connected_headers.get("version", "1.0"), lab.stomp, "version")
    client.leave()


@scenario()
def connects_without_login(lab: Lab) -> None:
    lab.client(login=None, passcode=None).sync()


@scenario()
def connects_with_delicate_credentials(lab: Lab) -> None:
    lab.client(login="a:b", passcode="back\\slash c:d").sync()


@scenario()
def connects_and_leaves_many_times(lab: Lab) -> None:
    for _ in range(10):
        lab.client().leave()


@scenario(since="1.1")
def is_told_that_the_broker_refuses_it(lab: Lab) -> None:
    lab.client().leave()
    try:
        lab.client(heart_beat=("x", 1000))
    except Refused:
        return
    raise AssertionError("connected with a heart-beat header that is not a number")


# Topics and queues.


@scenario()
def topic_delivers_in_order(lab: Lab) -> None:
    client, topic = lab.client(), lab.name("/topic")
    client.subscribe(topic)
    send_all(client, topic, numbered(20))
    same(client.next_bodies(20), numbered(20), "bodies")


@scenario()
def topic_reaches_every_subscriber(lab: Lab) -> None:
    topic, clients = lab.name("/topic"), [lab.client() for _ in range(3)]
    for client in clients:
        client.subscribe(topic)
        client.sync()
    send_all(lab.client(), topic, numbered(5))
    for client in clients:
        same(client.next_bodies(5), numbered(5), "bodies")


@scenario()
def topic_pattern_matches_a_word(lab: Lab) -> None:
    client, topic = lab.client(), lab.name("/topic")
    client.subscribe(f"{topic}.*")
    for word in ("one", "two", "three.deep"):
        client.send(f"{topic}.{word}", word.encode())
    client.send(f"{topic}.last", b"last")
    messages = [client.next_message() for _ in range(3)]
    same(bodies_of(messages), [b"one", b"two", b"last"], "bodies")
    same(messages[0].headers["destination"], f"{topic}.one", "destination")


@scenario()
def message_names_its_subscription(lab: Lab) -> None:
    client = lab.client()
    topics = [lab.name("/topic") for _ in range(2)]
    for topic in topics:
        client.subscribe(topic)
    for topic in topics:
        client.send(topic, b"body")
    messages = [client.next_message() for _ in topics]
    same([message.headers["destination"] for message in messages], topics, "destinations")
    same(len({message.headers["subscription"] for message in messages}), 2, "subscriptions")
    same(len({message.headers["message-id"] for message in messages}), 2, "message ids")


@scenario()
def two_subscriptions_to_one_topic_get_a_copy_each(lab: Lab) -> None:
    client, topic = lab.client(), lab.name("/topic")
    client.subscribe(topic)
    client.subscribe(topic)
    client.send(topic, b"body")
    messages = [client.next_message() for _ in range(2)]
    same(bodies_of(messages), [b"body", b"body"], "bodies")
    same(len({message.headers["subscription"] for message in messages}), 2, "subscriptions")


@scenario(until="1.0", needs="anonymous subscriptions")
def subscription_without_id(lab: Lab) -> None:
    client, queue = lab.client(), lab.name()
    subscription = client.subscribe(queue, anonymous=True)
    client.send(queue, b"body")
    message = client.next_message()
    same(message.body, b"body", "body")
    true("subscription" not in message.headers, "MESSAGE names a subscription that has no id")
    client.unsubscribe(subscription)
    client.sync()


@scenario()
def queue_keeps_what_nobody_awaits(lab: Lab) -> None:
    queue = lab.name()
    sender = lab.client()
    send_all(sender, queue, numbered(10))
    sender.leave()
    same(bodies_of(left_in(lab, queue)), numbered(10), "bodies")


@scenario()
def queue_gives_each_message_to_one_consumer(lab: Lab) -> None:
    queue, consumers = lab.name(), [lab.client() for _ in range(2)]
    for consumer in consumers:
        consumer.subscribe(queue)
        consumer.sync()
    bodies = numbered(40)
    send_all(lab.client(), queue, bodies)
    taken: list[bytes] = []
    for consumer in itertools.islice(itertools.cycle(consumers), 40):
        taken += arrived(consumer)
        if len(taken) >= len(bodies):
            break
    same(sorted(taken), sorted(bodies), "bodies")


def arrived(consumer: Client) -> list[bytes]:
    """What a consumer got so far."""
    bodies: list[bytes] = []
    with suppress(Late):
        while True:
            bodies.append(consumer.next_message(timeout=0.05).body)
    return bodies


@scenario()
def unsubscribe_ends_delivery(lab: Lab) -> None:
    client, topic, marker = lab.client(), lab.name("/topic"), lab.name("/topic")
    subscription = client.subscribe(topic)
    client.send(topic, b"before")
    same(client.next_message().body, b"before", "body")
    client.subscribe(marker)
    client.unsubscribe(subscription)
    client.sync()
    client.send(topic, b"after")
    client.send(marker, b"marker")
    same(client.next_message().body, b"marker", "body")


@scenario()
def request_and_reply_over_a_temporary_queue(lab: Lab) -> None:
    service, asker, queue = lab.client(), lab.client(), lab.name()
    service.subscribe(queue)
    asker.subscribe("/temp-queue/answers")
    asker.send(queue, b"question", {"reply-to": "/temp-queue/answers"})
    question = service.next_message()
    service.send(question.headers["reply-to"], question.body + b" answered")
    same(asker.next_message().body, b"question answered", "body")


# Acknowledgement.


@scenario()
def auto_needs_no_ack(lab: Lab) -> None:
    client, queue = lab.client(), lab.name()
    same(bodies_of(received(client, queue, "auto", 3)), numbered(3), "bodies")
    client.drop()
    same(left_in(lab, queue), [], "left in the queue")


@scenario()
def client_ack_settles_all_before_it(lab: Lab) -> None:
    client, queue = lab.client(), lab.name()
    messages = received(client, queue, "client", 4)
    client.ack(messages[2])
    client.sync()
    client.drop()
    left = left_in(lab, queue)
    same(bodies_of(left), [b"message 4"], "left in the queue")
    true(left[0].redelivered, "redelivered:true is missing")


@scenario()
def individual_ack_settles_one(lab: Lab) -> None:
    client, queue = lab.client(), lab.name()
    messages = received(client, queue, "client-individual", 3)
    client.ack(messages[1])
    client.sync()
    client.drop()
    left = left_in(lab, queue)
    same(bodies_of(left), [b"message 1", b"message 3"], "left in the queue")
    true(all(message.redelivered for message in left), "redelivered:true is missing")


@scenario()
def first_delivery_is_not_marked_as_redelivered(lab: Lab) -> None:
    client = lab.client()
    message = received(client, lab.name(), "client", 1)[0]
    true(not message.redelivered, "redelivered:true on the first delivery")
    client.ack(message)
    client.sync()


@scenario()
def unacknowledged_messages_go_back_on_leaving(lab: Lab) -> None:
    client, queue = lab.client(), lab.name()
    received(client, queue, "client", 3)
    client.leave()
    same(bodies_of(left_in(lab, queue)), numbered(3), "left in the queue")


@scenario()
def unacknowledged_messages_go_back_on_unsubscribe(lab: Lab) -> None:
    client, queue = lab.client(), lab.name()
    subscription = client.subscribe(queue, ack="client-individual")
    send_all(client, queue, numbered(2))
    same(client.next_bodies(2), numbered(2), "bodies")
    client.unsubscribe(subscription)
    client.sync()
    same(bodies_of(left_in(lab, queue)), numbered(2), "left in the queue")


@scenario(needs="ack receipts")
def ack_with_receipt(lab: Lab) -> None:
    client, queue = lab.client(), lab.name()
    message = received(client, queue, "client-individual", 1)[0]
    client.ack(message, receipt="acked")
    client.await_receipt("acked")
    client.drop()
    same(left_in(lab, queue), [], "left in the queue")


@scenario(since="1.1")
def nack_brings_the_message_again(lab: Lab) -> None:
    client, queue = lab.client(), lab.name()
    first = received(client, queue, "client-individual", 1)[0]
    client.nack(first)
    again = client.next_message()
    same(again.body, first.body, "body")
    same(again.headers["message-id"], first.headers["message-id"], "message-id")
    true(again.redelivered, "redelivered:true is missing")
    same(again.headers["delivery-count"], "2", "delivery-count")
    client.ack(again)
    client.sync()
    client.drop()
    same(left_in(lab, queue), [], "left in the queue")


@scenario(since="1.1")
def individual_nack_leaves_the_others_alone(lab: Lab) -> None:
    client, queue = lab.client(), lab.name()
    messages = received(client, queue, "client-individual", 3)
    client.nack(messages[1])
    same(client.next_message().body, b"message 2", "body")
    client.ack(messages[0])
    client.ack(messages[2])
    client.sync()
    client.drop()
    same(bodies_of(left_in(lab, queue)), [b"message 2"], "left in the queue")


@scenario(since="1.1")
def client_nack_covers_all_before_it(lab: Lab) -> None:
    client, queue = lab.client(), lab.name()
    client.nack(received(client, queue, "client", 3)[2])
    again = [client.next_message() for _ in range(3)]
    same(bodies_of(again), numbered(3), "bodies")
    true(all(message.redelivered for message in again), "redelivered:true is missing")
    client.ack(again[2])
    client.sync()
    client.drop()
    same(left_in(lab, queue), [], "left in the queue")


@scenario()
def topic_can_be_acknowledged_too(lab: Lab) -> None:
    client, topic = lab.client(), lab.name("/topic")
    for message in received(client, topic, "client-individual", 3):
        client.ack(message)
    client.sync()
    client.send(topic, b"next")
    same(client.next_message().body, b"next", "body")


@scenario()
def many_messages_are_acknowledged_one_by_one(lab: Lab) -> None:
    client, queue, count = lab.client(), lab.name(), 300
    client.subscribe(queue, ack="client-individual")
    sender = lab.client()
    for body in numbered(count):
        sender.send(queue, body)
    for body in numbered(count):
        message = client.next_message()
        same(message.body, body, "body")
        client.ack(message)
    client.sync()
    client.drop()
    same(left_in(lab, queue), [], "left in the queue")


# Transactions.


@scenario()
def commit_delivers_what_was_sent(lab: Lab) -> None:
    sender, receiver, queue = lab.client(), lab.client(), lab.name()
    receiver.subscribe(queue)
    sender.begin("tx")
    for body in numbered(3):
        sender.send(queue, body, transaction="tx")
    send_all(sender, queue, [b"outside"])
    same(receiver.next_message().body, b"outside", "first body")
    sender.commit("tx")
    same(receiver.next_bodies(3), numbered(3), "bodies after the commit")


@scenario()
def abort_forgets_what_was_sent(lab: Lab) -> None:
    client, queue = lab.client(), lab.name()
    client.begin("tx")
    client.send(queue, b"never", transaction="tx")
    client.abort("tx")
    client.sync()
    same(left_in(lab, queue), [], "in the queue")


@scenario()
def transaction_name_can_be_used_again(lab: Lab) -> None:
    client, queue = lab.client(), lab.name()
    for body in numbered(3):
        client.begin("tx")
        client.send(queue, body, transaction="tx")
        client.commit("tx")
    client.sync()
    same(bodies_of(left_in(lab, queue)), numbered(3), "in the queue")


@scenario()
def lost_connection_aborts_its_transaction(lab: Lab) -> None:
    client, queue = lab.client(), lab.name()
    client.begin("tx")
    client.send(queue, b"never", transaction="tx")
    client.sync()
    client.drop()
    same(left_in(lab, queue), [], "in the queue")


@scenario(needs="ack transactions")
def commit_settles_what_was_acknowledged(lab: Lab) -> None:
    client, queue = lab.client(), lab.name()
    message = received(client, queue, "client-individual", 1)[0]
    client.begin("tx")
    client.ack(message, transaction="tx")
    client.commit("tx")
    client.sync()
    client.drop()
    same(left_in(lab, queue), [], "left in the queue")


@scenario(needs="ack transactions")
def abort_restores_what_was_acknowledged(lab: Lab) -> None:
    client, queue = lab.client(), lab.name()
    messages = received(client, queue, "client-individual", 2)
    client.begin("tx")
    client.ack(messages[0], transaction="tx")
    client.abort("tx")
    client.ack(messages[1])
    client.sync()
    client.drop()
    same(bodies_of(left_in(lab, queue)), [b"message 1"], "left in the queue")


@scenario(since="1.1", needs="ack transactions")
def commit_of_a_nack_brings_the_message_again(lab: Lab) -> None:
    client, queue = lab.client(), lab.name()
    message = received(client, queue, "client-individual", 1)[0]
    client.begin("tx")
    client.nack(message, transaction="tx")
    client.commit("tx")
    again = client.next_message()
    same(again.headers["message-id"], message.headers["message-id"], "message-id")
    client.ack(again)
    client.sync()


@scenario(since="1.1", needs="ack transactions")
def abort_takes_back_a_nack(lab: Lab) -> None:
    client, queue = lab.client(), lab.name()
    message = received(client, queue, "client-individual", 1)[0]
    client.begin("tx")
    client.nack(message, transaction="tx")
    client.abort("tx")
    client.ack(message)
    client.sync()
    client.drop()
    same(left_in(lab, queue), [], "left in the queue")


# Receipts.


@scenario(needs="receipts")
def receipts_come_in_order(lab: Lab) -> None:
    client, queue = lab.client(), lab.name()
    wanted = [f"receipt-{number}" for number in range(50)]
    for receipt in wanted:
        client.send(queue, b"body", receipt=receipt)
    client.await_receipt(wanted[-1])
    same(client.receipts, wanted, "receipts")


@scenario(since="1.1", needs="receipts")
def receipt_id_comes_back_as_it_was(lab: Lab) -> None:
    client = lab.client()
    receipt = f"a {client.escapable} żółć 🐇"
    client.send(lab.name(), b"body", receipt=receipt)
    client.await_receipt(receipt)


@scenario(needs="receipts")
def receipt_of_subscribe_comes_before_its_messages(lab: Lab) -> None:
    client, queue = lab.client(), lab.name()
    send_all(client, queue, numbered(1))
    client.subscribe(queue, receipt="subscribed")
    same(client.next_message().body, b"message 1", "body")
    true("subscribed" in client.receipts, "the message came before the receipt of SUBSCRIBE")


@scenario(needs="receipts")
def receipt_inside_a_transaction_comes_at_once(lab: Lab) -> None:
    client = lab.client()
    client.begin("tx")
    client.send(lab.name(), b"body", transaction="tx", receipt="inside")
    client.await_receipt("inside")
    client.commit("tx")
    client.sync()


# Bodies and headers.


def there_and_back(lab: Lab, body: bytes, headers: dict[str, str] | None = None) -> Message:
    """Send one message to oneself."""
    client, queue = lab.client(), lab.name()
    client.subscribe(queue)
    client.send(queue, body, headers)
    return client.next_message(timeout=20)


@scenario()
def body_in_unicode(lab: Lab) -> None:
    text = "zażółć gęślą jaźń · Ελληνικά · 日本語 · 🐇🕳"
    message = there_and_back(lab, text.encode(), {"content-type": "text/plain;charset=utf-8"})
    same(message.body.decode(), text, "body")
    same(message.headers["content-type"], "text/plain;charset=utf-8", "content-type")


@scenario()
def body_with_every_byte(lab: Lab) -> None:
    same(there_and_back(lab, EVERY_BYTE).body, EVERY_BYTE, "body")


@scenario()
def body_that_looks_like_frames(lab: Lab) -> None:
    body = b"\n\n\0SEND\ndestination:/queue/x\n\ninjected\0\n\0"
    same(there_and_back(lab, body).body, body, "body")


@scenario()
def body_that_is_empty(lab: Lab) -> None:
    same(there_and_back(lab, b"").body, b"", "body")


@scenario()
def bodies_of_many_sizes(lab: Lab) -> None:
    client, queue = lab.client(), lab.name()
    client.subscribe(queue)
    for size in (1, 2, 1023, 1024, 1025, 4096, 65535, 65536, 65537):
        client.send(queue, b"x" * size)
        same(len(client.next_message().body), size, "length of the body")


@scenario()
def body_of_a_mebibyte(lab: Lab) -> None:
    body = (EVERY_BYTE * (MEBIBYTE // len(EVERY_BYTE)))[:MEBIBYTE]
    same(there_and_back(lab, body).body == body, True, "body is the same")


@scenario()
def text_of_a_mebibyte(lab: Lab) -> None:
    text = b"0123456789abcde\n" * (MEBIBYTE // 16)
    same(there_and_back(lab, text).body == text, True, "text is the same")


@scenario()
def long_text_of_wide_characters(lab: Lab) -> None:
    """Wherever a packet or a frame ends, it ends inside a character of four bytes in three texts of the four."""
    client, queue = lab.client(), lab.name()
    client.subscribe(queue)
    for shift in range(4):
        text = b"x" * shift + "🐇".encode() * (MEBIBYTE // 16)
        client.send(queue, text)
        same(client.next_message().body == text, True, f"text behind {shift} bytes is the same")


@scenario()
def texts_and_bytes_take_turns(lab: Lab) -> None:
    client, queue = lab.client(), lab.name()
    client.subscribe(queue)
    bodies = [b"text", b"\xff\xfe\x00\x01", "żółć".encode(), "żółć".encode("latin2"), b"", b"\0"]
    send_all(client, queue, bodies)
    same(client.next_bodies(len(bodies)), bodies, "bodies")


@scenario()
def user_headers_pass_through(lab: Lab) -> None:
    headers = {"x-number": "42", "x-spaces": "inside it", "Case-Sensitive": "Yes"}
    message = there_and_back(lab, b"body", headers)
    same({name: message.headers.get(name) for name in headers}, headers, "headers")


@scenario(since="1.1")
def blanks_around_header_values_are_kept(lab: Lab) -> None:
    headers = {"x-spaces": " around "}
    same(there_and_back(lab, b"body", headers).headers["x-spaces"], headers["x-spaces"], "x-spaces")


@scenario(since="1.1")
def header_values_in_unicode(lab: Lab) -> None:
    headers = {"x-text": "zażółć 日本語 🐇"}
    same(there_and_back(lab, b"", headers).headers["x-text"], headers["x-text"], "x-text")


@scenario()
def header_values_are_escaped(lab: Lab) -> None:
    client, queue = lab.client(), lab.name()
    client.subscribe(queue)
    values = [f"a{delicate}b{delicate}{delicate}c" for delicate in client.escapable]
    values.append(f"all {client.escapable} of them")
    for value in values:
        client.send(queue, b"", {"x-delicate": value})
        same(client.next_message().headers["x-delicate"], value, "x-delicate")


@scenario(since="1.1", needs="escaped names")
def header_names_are_escaped(lab: Lab) -> None:
    headers = {"x:colon": "1", "x\\backslash": "2", "x\nline": "3"}
    message = there_and_back(lab, b"body", headers)
    same({name: message.headers.get(name) for name in headers}, headers, "headers")


# Heart-beats.


@scenario(since="1.1")
def heart_beats_keep_an_idle_connection(lab: Lab) -> None:
    client = lab.client(heart_beat=(BEAT, BEAT))
    offered = client.connected_headers.get("heart-beat", f"{BEAT},{BEAT}").split(",")
    seconds = max(BEAT, *map(int, offered)) / 1000
    client.idle(2.6 * seconds)
    true(not client.lost, "the connection was lost although it was alive")
    true(client.beats >= 2 or not client.hears_beats, f"heard {client.beats} heart-beats in {2.6 * seconds} s")
    client.sync()


@scenario(since="1.1", needs="silence")
def client_without_heart_beats_is_dropped(lab: Lab) -> None:
    client = lab.client(heart_beat=(BEAT, 0))
    client.await_loss()


# Errors.


@scenario()
def error_says_what_was_wrong(lab: Lab) -> None:
    client = lab.client()
    client.send("/nowhere/at/all", b"body")
    error = client.next_error()
    true(error.headers.get("message"), "ERROR without message")
    true(error.body, "ERROR without a body")
    client.await_loss()


@scenario(needs="close codes", over=("ws", "wss"))
def close_codes_say_why(lab: Lab) -> None:
    leaver, culprit = lab.client(), lab.client()
    leaver.leave()
    leaver.await_loss()
    same(leaver.close_code, 1000, "code after DISCONNECT")
    culprit.send("/nowhere/at/all", b"body")
    message = culprit.next_error().headers["message"]
    culprit.await_loss()
    same((culprit.close_code, culprit.close_reason), (1002, message), "code and reason after ERROR")


@scenario()
def error_comes_instead_of_the_receipt(lab: Lab) -> None:
    client = lab.client()
    try:
        client.send_confirmed("/nowhere/at/all", b"body")
    except Refused:
        return
    raise AssertionError("a message to nowhere was confirmed")


@scenario(needs="error headers")
def error_carries_the_receipt_id(lab: Lab) -> None:
    client = lab.client()
    client.send("/nowhere/at/all", b"body", receipt="culprit")
    same(client.next_error().headers.get("receipt-id"), "culprit", "receipt-id")


@scenario()
def second_ack_is_an_error(lab: Lab) -> None:
    client = lab.client()
    message = received(client, lab.name(), "client-individual", 1)[0]
    client.ack(message)
    client.sync()
    client.ack(message)
    true(client.next_error().headers.get("message"), "ERROR without message")
    client.await_loss()


@scenario()
def unknown_transaction_is_an_error(lab: Lab) -> None:
    client = lab.client()
    client.send(lab.name(), b"body", {"transaction": "never-begun"})
    true(client.next_error().headers.get("message"), "ERROR without message")
    client.await_loss()


@scenario()
def error_of_one_does_not_touch_another(lab: Lab) -> None:
    culprit, bystander, queue = lab.client(), lab.client(), lab.name()
    bystander.subscribe(queue)
    bystander.sync()
    culprit.send("/nowhere/at/all", b"body")
    culprit.next_error()
    culprit.await_loss()
    send_all(lab.client(), queue, numbered(1))
    same(bystander.next_message().body, b"message 1", "body")


@scenario(needs="reconnects")
def library_reconnects_and_subscribes_again(lab: Lab) -> None:
    client, queue = lab.client(), lab.name()
    client.subscribe(queue)
    client.send("/nowhere/at/all", b"body")
    client.next_error()
    client.await_loss()
    send_all(lab.client(), queue, numbered(1))
    same(client.next_message().body, b"message 1", "body")
