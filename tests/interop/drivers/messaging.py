"""More scenarios: what applications need beyond passing messages on, in the words of several brokers' clients.

No transport and no version changes them: each library is asked once, over its first transport in its newest version.
Topics of the use `kept` have a history and presence, and last wills are taken (`CONFIGURATION` of peers.py).
"""

from __future__ import annotations

import json
import time
import uuid
from functools import partial

from drivers.client import Client, Message
from drivers.scenarios import SCENARIOS, Lab, bodies_of, numbered, received, same, scenario, send_all, true

__all__ = ["SCENARIOS"]

DELAY = 200
"""Milliseconds for which a message is held back."""


feature = partial(scenario, once=True)


def marked(client: Client, destination: str) -> list[Message]:
    """What comes from there in front of a marker that is sent now."""
    client.send(destination, b"marker")
    messages = [client.next_message()]
    while messages[-1].body != b"marker":
        messages.append(client.next_message())
    return messages[:-1]


# Queues.


@feature(since="1.1", needs="headers of NACK")
def refused_message_is_a_dead_letter(lab: Lab) -> None:
    client, undertaker, queue = lab.client(), lab.client(), lab.name()
    client.nack(received(client, queue, "client-individual", 1)[0], headers={"requeue": "false", "reason": "broken"})
    client.sync()
    undertaker.subscribe(queue.replace("/queue/", "/queue/DLQ."))
    letter = undertaker.next_message()
    same(letter.body, b"message 1", "body")
    same(letter.headers["original-destination"], queue, "original-destination")
    same(letter.headers["dead-letter-reason"], "rejected", "dead-letter-reason")
    same(letter.headers["dead-letter-text"], "broken", "dead-letter-text")
    undertaker.sync()


@feature(since="1.1", needs="headers of SUBSCRIBE")
def message_that_comes_back_too_often_is_a_dead_letter(lab: Lab) -> None:
    client, undertaker, queue = lab.client(), lab.client(), lab.name()
    client.send(queue, b"body")
    limits = {"activemq.maximumRedeliveries": "1", "activemq.initialRedeliveryDelay": "10"}
    client.subscribe(queue, ack="client-individual", headers=limits)
    for _ in range(2):
        client.nack(client.next_message())
    undertaker.subscribe(queue.replace("/queue/", "/queue/DLQ."))
    letter = undertaker.next_message()
    same(letter.headers["dead-letter-reason"], "max-deliveries", "dead-letter-reason")
    same(letter.headers["delivery-count"], "2", "delivery-count")
    undertaker.sync()


@feature(since="1.1", needs="headers of NACK")
def refused_message_rests_as_long_as_asked(lab: Lab) -> None:
    client, start = lab.client(), time.monotonic()
    client.nack(received(client, lab.name(), "client-individual", 1)[0], headers={"delay": str(DELAY)})
    again = client.next_message()
    true(again.redelivered, "redelivered:true is missing")
    rested(start)
    client.ack(again)
    client.sync()


def rested(start: float) -> None:
    """Since then a message cannot have come already."""
    true(time.monotonic() - start > DELAY / 1000 - 0.01, "it came too soon")


@feature()
def expired_messages_do_not_come(lab: Lab) -> None:
    client, queue = lab.client(), lab.name()
    client.send(queue, b"over", {"expires": str(int(time.time() * 1000) - 1000)})
    client.send(queue, b"short", {"ttl": "1"})
    client.send(queue, b"short", {"expiration": "1"})
    client.send(queue, b"long", {"ttl": "3600000"})
    client.send(queue, b"for ever", {"expires": "0"})
    client.sync()
    time.sleep(0.05)  # for time to go by is all that there is to wait for
    client.subscribe(queue)
    same(bodies_of(marked(client, queue)), [b"long", b"for ever"], "bodies")


@feature()
def delayed_messages_come_later(lab: Lab) -> None:
    client, queue, start = lab.client(), lab.name(), time.monotonic()
    client.subscribe(queue)
    client.send(queue, b"ours", {"delay": str(DELAY)})
    client.send(queue, b"of ActiveMQ", {"AMQ_SCHEDULED_DELAY": str(DELAY)})
    same(sorted(client.next_bodies(2)), [b"of ActiveMQ", b"ours"], "bodies")
    rested(start)


@feature()
def higher_priorities_come_first(lab: Lab) -> None:
    client, queue = lab.client(), lab.name()
    for priority in ("1", "9", "", "4", "9"):
        client.send(queue, f"with {priority}".encode(), {"priority": priority} if priority else {})
    client.sync()
    client.subscribe(queue)
    same(client.next_bodies(5), [b"with 9", b"with 9", b"with ", b"with 4", b"with 1"], "bodies")


@feature()
def duplicates_are_left_out(lab: Lab) -> None:
    client, queue = lab.client(), lab.name()
    client.subscribe(queue)
    for name in ("message-dedup-id", "_AMQ_DUPL_ID"):
        for number in ("1", "2"):
            client.send(queue, number.encode(), {name: "the same"})
    same(bodies_of(marked(client, queue)), [b"1"], "bodies")


@feature()
def newest_of_a_name_takes_the_place_of_the_older(lab: Lab) -> None:
    client, queue = lab.client(), lab.name()
    for name, body in (("a", b"old a"), ("b", b"b"), ("a", b"new a")):
        client.send(queue, body, {"_AMQ_LVQ_NAME": name})
    client.sync()
    client.subscribe(queue)
    same(client.next_bodies(2), [b"new a", b"b"], "bodies")
    same(bodies_of(marked(client, queue)), [], "what else waited")


@feature()
def queue_that_is_full_drops_its_oldest(lab: Lab) -> None:
    client, queue = lab.client(), lab.name()
    for body in numbered(5):
        client.send(queue, body, {"x-max-length": "2"})
    client.sync()
    client.subscribe(queue)
    same(client.next_bodies(2), numbered(5)[3:], "bodies")


@feature()
def queue_that_is_full_refuses_if_it_was_declared_so(lab: Lab) -> None:
    client, queue = lab.client(), lab.name()
    limits = {"x-max-length": "1", "x-overflow": "reject-publish"}
    for body in numbered(2):
        client.send(queue, body, limits)
    same(client.next_error().headers["message"], "queue full", "message")
    client.await_loss()
    other = lab.client()
    other.subscribe(queue)
    same(other.next_message().body, numbered(1)[0], "body")


@feature(needs="headers of SUBSCRIBE")
def queue_goes_with_its_last_consumer_if_it_was_declared_so(lab: Lab) -> None:
    client, other, queue = lab.client(), lab.client(), lab.name()
    subscription = client.subscribe(queue, headers={"auto-delete": "true"}, ack="client")
    client.send(queue, b"never acknowledged")
    client.next_message()
    client.unsubscribe(subscription)
    client.sync()
    other.subscribe(queue)
    same(bodies_of(marked(other, queue)), [], "what is left")


@feature(needs="headers of SUBSCRIBE")
def prefetch_of_activemq_leaves_the_rest_to_others(lab: Lab) -> None:
    first, second, queue = lab.client(), lab.client(), lab.name()
    send_all(first, queue, numbered(2))
    first.subscribe(queue, ack="client-individual", headers={"activemq.prefetchSize": "1"})
    taken = first.next_message()
    second.subscribe(queue, ack="client-individual", headers={"activemq.prefetchSize": "1"})
    other = second.next_message()
    same(bodies_of([taken, other]), numbered(2), "bodies")
    for client, message in ((first, taken), (second, other)):
        client.ack(message)
        client.sync()


@feature(needs="headers of SUBSCRIBE")
def exclusive_consumer_has_all(lab: Lab) -> None:
    first, second, queue = lab.client(), lab.client(), lab.name()
    for client in (first, second):
        # What is sent to one that is just leaving comes back only if it is to be acknowledged.
        client.subscribe(queue, ack="client-individual", headers={"activemq.exclusive": "true"})
        client.sync()
    send_all(second, queue, numbered(4))
    for body in numbered(4):
        message = first.next_message()
        same(message.body, body, "body")
        first.ack(message)
    first.sync()
    first.leave()
    same(bodies_of(marked(second, queue)), [], "what the second one got")


@feature(needs="headers of SUBSCRIBE")
def selector_leaves_the_rest_of_a_queue_to_others(lab: Lab) -> None:
    chooser, other, queue = lab.client(), lab.client(), lab.name()
    chooser.subscribe(queue, headers={"selector": "colour IN ('red', 'scarlet') AND price < 10"})
    chooser.sync()
    reds, blues = coloured(other, queue)
    same(chooser.next_bodies(len(reds)), reds, "what the chooser got, behind what nobody wants")
    other.subscribe(queue)
    same(bodies_of(marked(other, queue)), blues, "what had waited for the other one")
    reds, blues = coloured(lab.client(), queue)
    taken = bodies_of(marked(other, queue))
    chosen = chooser.next_bodies(len(reds) + len(blues) - len(taken))
    same(sorted(taken + chosen), sorted(reds + blues), "what both got")
    true(set(chosen) <= set(reds), "the chooser got what it does not want")


def coloured(client: Client, queue: str) -> tuple[list[bytes], list[bytes]]:
    """Send blue and red messages in turns, a blue one first; return the red ones and the blue ones."""
    everything = numbered(12)
    for number, body in enumerate(everything):
        client.send(queue, body, {"colour": ("blue", "red")[number % 2], "price": str(number / 2)})
    client.sync()
    return everything[1::2], everything[::2]


@feature(needs="headers of SUBSCRIBE")
def own_messages_in_a_queue_wait_for_others(lab: Lab) -> None:
    client, other, queue = lab.client(), lab.client(), lab.name()
    client.subscribe(queue, headers={"no-local": "true"})
    send_all(client, queue, numbered(2))
    send_all(other, queue, [b"yours"])
    same(client.next_message().body, b"yours", "body")
    other.subscribe(queue)
    same(other.next_bodies(2), numbered(2), "what waited for the other one")


@feature()
def groups_stay_together_and_move_in_order(lab: Lab) -> None:
    sender, queue = lab.client(), lab.name()
    (first, _), (second, _) = consumers = [grouped_consumer(lab, queue) for _ in range(2)]
    for number in (1, 2, 3):
        send_to_groups(sender, queue, number)
    had, kept = (by_group(marked(client, mark)) for client, mark in consumers)
    same((len(had), len(kept)), (2, 2), "groups of each")
    same(had | kept, {group: [1, 2, 3] for group in "abcd"}, "groups of both")
    first.leave()
    send_to_groups(sender, queue, 4)
    moved = by_group([second.next_message() for _ in range(10)])
    same(moved, {group: [1, 2, 3, 4] for group in had} | {group: [4] for group in kept}, "what came to the other one")


def grouped_consumer(lab: Lab, queue: str) -> tuple[Client, str]:
    """A consumer that acknowledges nothing, and a topic that it alone subscribes to."""
    client, mark = lab.client(), lab.name("/topic")
    client.subscribe(mark)
    client.subscribe(queue, ack="client-individual")
    client.sync()
    return client, mark


def send_to_groups(sender: Client, queue: str, number: int) -> None:
    """One message to each group, whose names come in the words of two brokers, every other time in reverse, or else
    consumers who only take turns would get the same."""
    for group in "abcd"[:: 1 if number % 2 else -1]:
        name = "JMSXGroupID" if group in "ab" else "message_group"
        sender.send(queue, f"{group}{number}".encode(), {name: group})
    sender.sync()


def by_group(messages: list[Message]) -> dict[str, list[int]]:
    """The numbers that came of each group."""
    numbers: dict[str, list[int]] = {}
    for body in bodies_of(messages):
        numbers.setdefault(body[:1].decode(), []).append(int(body[1:]))
    return numbers


@feature(needs="headers of SUBSCRIBE")
def last_of_a_group_frees_it_for_others(lab: Lab) -> None:
    first, second, queue = lab.client(), lab.client(), lab.name()
    a, b, last = {"JMSXGroupID": "a"}, {"JMSXGroupID": "b"}, {"JMSXGroupSeq": "-1"}
    first.subscribe(queue, ack="client-individual", headers={"activemq.prefetchSize": "3"})
    first.sync()
    for body, headers in ((b"b1", b), (b"a1", a), (b"a2", a | last)):
        second.send(queue, body, headers)
    taken = [first.next_message() for _ in range(3)]
    same(bodies_of(taken), [b"b1", b"a1", b"a2"], "what came to the first one")
    second.subscribe(queue)
    second.send(queue, b"b2", b)
    second.send(queue, b"a3", a)
    same(second.next_message().body, b"a3", "what came to the second one")
    first.ack(taken[0])
    same(first.next_message().body, b"b2", "what waited for the first one")


# Topics.


@feature(needs="headers of SUBSCRIBE")
def selector_chooses(lab: Lab) -> None:
    client, topic = lab.client(), lab.name("/topic")
    client.subscribe(topic, headers={"selector": "price < 10 AND colour IN ('red', 'blue') OR body-less IS NOT NULL"})
    for price, colour in (("5", "red"), ("50", "red"), ("9.5", "blue"), ("x", "red"), ("1", "green")):
        client.send(topic, f"{colour} for {price}".encode(), {"price": price, "colour": colour})
    client.send(topic, b"marker", {"body-less": "yes"})
    same(client.next_bodies(3), [b"red for 5", b"blue for 9.5", b"marker"], "bodies")


@feature(needs="headers of SUBSCRIBE")
def own_messages_are_left_out(lab: Lab) -> None:
    client, other, topic = lab.client(), lab.client(), lab.name("/topic")
    client.subscribe(topic, headers={"activemq.noLocal": "true"})
    client.send(topic, b"mine")
    client.sync()
    other.send(topic, b"yours")
    same(client.next_message().body, b"yours", "body")


DURABLE = {
    "ActiveMQ": ({"activemq.subscriptionName": "stock"}, {"activemq.subscriptionName": "stock"}),
    "Artemis": ({"durable-subscription-name": "stock"}, {"durable-subscription-name": "stock"}),
    "RabbitMQ": ({"durable": "true", "auto-delete": "false"}, {"durable": "true", "auto-delete": "false"}),
}


@feature(needs="headers of UNSUBSCRIBE")
def durable_subscriptions_miss_nothing(lab: Lab) -> None:
    publisher = lab.client()
    for dialect, (subscribing, deleting) in DURABLE.items():
        topic, who = lab.name("/topic"), {"client-id": uuid.uuid4().hex}
        client = lab.client(headers=who)
        client.subscribe(topic, headers=subscribing)  # the first of each connection has the same id
        client.sync()
        client.leave()
        send_all(publisher, topic, numbered(3))
        again = lab.client(headers=who)
        subscription = again.subscribe(topic, headers=subscribing)
        same(again.next_bodies(3), numbered(3), f"bodies, as {dialect} has it")
        again.unsubscribe(subscription, headers=deleting)
        again.sync()
        send_all(publisher, topic, [b"too late"])
        again.subscribe(topic, headers=subscribing)
        same(bodies_of(marked(again, topic)), [], f"after the end, as {dialect} has it")
        again.drop()
        lab.client(headers=who).sync()


@feature(needs="headers of SUBSCRIBE")
def one_of_those_who_share_a_subscription_gets_a_message(lab: Lab) -> None:
    clients, topic = [lab.client() for _ in range(2)], lab.name("/topic")
    for client in clients:
        client.subscribe(topic, headers={"subscription-group": "workers"})
        client.sync()
    send_all(lab.client(), topic, numbered(10))
    taken = [body for client in clients for body in client.next_bodies(5)]
    same(sorted(taken), sorted(numbered(10)), "what both got")


@feature()
def retained_message_waits_for_those_who_come_later(lab: Lab) -> None:
    client, topic = lab.client(), lab.name("/topic")
    for body in (b"old", b"new"):
        client.send(topic, body, {"retain": "set"})
    client.sync()
    client.subscribe(topic)
    message = client.next_message()
    same(message.body, b"new", "body")
    same(message.headers["retained"], "true", "retained")
    client.send(topic, b"gone", {"retain": "remove"})
    same(client.next_message().body, b"gone", "body")


@feature(needs="headers of SUBSCRIBE")
def who_comes_back_gets_what_came_since(lab: Lab) -> None:
    reader, publisher, topic = lab.client(), lab.client(), lab.name("/topic", "kept")
    reader.subscribe(topic)
    reader.sync()
    send_all(publisher, topic, [b"1", b"2"])
    seen = [reader.next_message() for _ in range(2)][-1].headers["message-id"]
    reader.drop()
    send_all(publisher, topic, [b"3", b"4"])
    again = lab.client()
    again.subscribe(topic, headers={"since": seen})
    missed = marked(again, topic)
    same(bodies_of(missed), [b"3", b"4"], "bodies")
    true(not any("gap" in message.headers for message in missed), "there is no gap")
    stranger = lab.client()
    stranger.subscribe(topic, headers={"last": "2"})
    same(stranger.next_bodies(2), [b"4", b"marker"], "the last two")
    late = lab.client()
    late.subscribe(topic, headers={"since": "aaaaaaaa-1"})  # of another run of the broker
    same(late.next_message().headers.get("gap"), "true", "gap")


@feature(needs="headers of each SUBSCRIBE anew")
def library_that_comes_back_by_itself_misses_nothing(lab: Lab) -> None:
    reader, publisher, topic = lab.client(), lab.client(), lab.name("/topic", "kept")
    send_all(publisher, topic, numbered(3))
    reader.subscribe(topic, headers={"last": "2"})
    same(reader.next_bodies(2), numbered(3)[1:], "the last two")
    reader.send("/nowhere/at/all", b"body")
    reader.next_error()
    reader.await_loss()
    send_all(publisher, topic, [b"meanwhile", b"and then"])
    same(reader.next_bodies(2), [b"meanwhile", b"and then"], "bodies")
    send_all(publisher, topic, [b"live"])
    same(reader.next_message().body, b"live", "body")


@feature()
def presence_tells_who_is_there(lab: Lab) -> None:
    guest, watcher, topic = lab.client(login="ana"), lab.client(), lab.name("/topic", "kept")
    guest.subscribe(topic)
    guest.sync()
    watcher.subscribe(topic.replace("/topic/", "/presence/"))
    told = watcher.next_message()
    same(told.headers["event"], "present", "event")
    same([one["user"] for one in json.loads(told.body)], ["ana"], "people")
    guest.drop()
    left = watcher.next_message()
    same(left.headers["event"], "left", "event")
    same(json.loads(left.body), json.loads(told.body), "people")


# What became of it.


@feature(needs="headers of RECEIPT")
def receipts_say_more(lab: Lab) -> None:
    client, topic = lab.client(), lab.name("/topic")
    client.send(topic, b"1", {"receipt-info": "true"}, receipt="r1")
    same(client.await_receipt("r1")["receivers"], "0", "receivers")
    client.subscribe(topic)
    client.send(topic, b"2", {"receipt-info": "true"}, receipt="r2")
    info = client.await_receipt("r2")
    same(info["receivers"], "1", "receivers")
    same(info["message-id"], client.next_message().headers["message-id"], "message-id")
    client.send(topic, b"3", {"message-dedup-id": "x", "receipt-info": "true"}, receipt="r3")
    true("duplicate" not in client.await_receipt("r3"), "a topic knows no duplicates")


@feature()
def mandatory_message_to_nobody_is_an_error(lab: Lab) -> None:
    client = lab.client()
    client.send(lab.name("/topic"), b"body", {"mandatory": "true"})
    same(client.next_error().headers["message"], "nobody there", "message")
    client.await_loss()


@feature(needs="messages of no subscription")
def what_fails_for_itself_alone_is_told_and_no_more(lab: Lab) -> None:
    client, queue = lab.client(headers={"soft-errors": "true"}), lab.name()
    client.subscribe(queue)
    client.send("/nowhere", b"lost")
    told = client.next_message().headers
    same((told["subscription"], told["message"]), ("errors", "unknown destination"), "what is told")
    client.send(queue, b"body")
    same(client.next_message().body, b"body", "body")


@feature(needs="headers of CONNECT")
def last_will_is_sent_for_who_is_lost(lab: Lab) -> None:
    heir, topic = lab.client(), lab.name("/topic")
    heir.subscribe(topic)
    heir.sync()
    will = {"will-destination": topic, "will-content-type": "text/plain"}
    polite = lab.client(headers={**will, "will-body": "never sent"})
    polite.sync()
    polite.leave()
    lab.client(headers={**will, "will-body": "gone"}).drop()
    message = heir.next_message()
    same(message.body, b"gone", "body")
    same(message.headers["content-type"], "text/plain", "content-type")
