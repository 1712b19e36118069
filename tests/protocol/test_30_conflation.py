"""`conflate` on SUBSCRIBE to a topic: of what waits for a slow subscriber, the newest message of each key."""

import pytest
from harness.client import NARROW
from harness.frames import every_version, frame, receipt

LARGE = 65_536
MANY = 300
KEYS = 3


def header(got, name):
    return next(line[len(name) + 1 :].decode() for line in got.split(b"\n") if line.startswith(name.encode() + b":"))


@every_version
@pytest.mark.item(75)
def test_one_without_credit_gets_the_newest_of_each_key(talk, publish, topic, version):
    client = talk(version)
    client.subscribe(topic, "conflate:key", "prefetch-count:1", ack="client-individual")
    first, *rest = [("0", "a"), ("1", "b"), ("2", "a"), ("3", "c"), ("4", "b"), ("5", "a")]
    for body, key in (first, *rest):
        publish(topic, body, f"key:{key}")
    for body, key in (first, ("4", "b"), ("5", "a"), ("3", "c")):
        client.ack(client.expect_message(topic, body, f"key:{key}"))
    client.expect_nothing()


@every_version
@pytest.mark.item(75)
@pytest.mark.parametrize("mode", ["auto", "client", "client-individual"])
def test_one_that_takes_everything_sees_everything(talk, publish, topic, version, mode):
    client = talk(version)
    client.subscribe(topic, "conflate:key", ack=mode)
    for number in range(20):
        publish(topic, str(number), "key:k")
        client.expect_message(topic, str(number), "key:k")
    client.expect_nothing()


def test_one_that_does_not_read_holds_nobody_and_gets_the_newest(talk, broker, topic):
    """More than the buffers of both ends take, and more than a slow subscriber may be behind."""
    client, publisher = talk(receive_buffer=NARROW), talk()
    client.subscribe(topic, "conflate:key")
    before = broker.census()["conflated"]
    for number in range(MANY):
        publisher.publish(topic, "x" * LARGE, f"key:{number % KEYS}", f"number:{number}")
    last = {}
    while sorted(last.values()) != list(range(MANY - KEYS, MANY)):
        got = client.read_frame()
        key, number = header(got, "key"), int(header(got, "number"))
        assert number > last.get(key, -1)
        last[key] = number
    client.expect_nothing()
    assert broker.census()["conflated"] > before


def test_other_subscribers_get_everything(talk, topic):
    slow, fast, publisher = talk(receive_buffer=NARROW), talk(), talk()
    slow.subscribe(topic, "conflate:destination")
    fast.subscribe(topic)
    for number in range(100):
        publisher.publish(topic, "x" * LARGE, f"number:{number}")
        assert header(fast.read_frame(), "number") == str(number)


def test_one_that_is_reset_leaves_nothing(talk, broker, topic):
    before = broker.census()["subscriptions"]
    client, publisher = talk(receive_buffer=NARROW), talk()
    client.subscribe(topic, "conflate:key")
    for number in range(100):
        publisher.publish(topic, "x" * LARGE, f"key:{number}")
    client.reset()
    for number in range(10):
        publisher.publish(topic, "x", f"key:{number}")
    while broker.census()["subscriptions"] > before:
        publisher.roundtrip()


@pytest.mark.item(75)
@pytest.mark.parametrize(
    ("destination", "headers", "text"),
    [
        ("/queue/q", ["conflate:key"], "conflate is for topics."),
        ("/topic/t", ["conflate:"], "conflate is the name of a header"),
        ("/topic/t", ["conflate:key", "from-seq:7"], "Of since, from-seq and conflate a SUBSCRIBE has one"),
        ("/topic/t", ["conflate:key", "x-queue-name:q"], "A queue that x-queue-name names takes no conflate"),
        ("/topic/t", ["conflate:key", "persistent:true"], "A durable or shared subscription keeps all"),
    ],
)
def test_what_is_refused(talk, destination, headers, text):
    client = talk("1.2")
    client.send(frame("SUBSCRIBE", "id:1", f"destination:{destination}", *headers, "receipt:1"))
    assert client.expect_error("bad header", receipt="1").startswith(text)


@pytest.mark.item(75)
def test_it_ends_like_any_other(talk, publish, topic):
    client = talk("1.2")
    client.subscribe(topic, "conflate:key")
    client.send(frame("UNSUBSCRIBE", "id:1", "receipt:2"))
    client.expect(receipt("2"))
    publish(topic, "x", "key:k")
    client.expect_nothing()
