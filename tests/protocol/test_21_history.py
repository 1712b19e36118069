"""History of topics over the wire: what a client that comes back has missed, and what comes behind that."""

import pytest
from harness.frames import frame, receipt, unique
from harness.waiting import eventually

TOPICS = [
    {"pattern": "h5.#", "history.count": 5},
    {"pattern": "hall.#", "history.count": 100_000},
    {"pattern": "hage.#", "history.age": "1s"},
]


@pytest.fixture
def keeping(broker_with):
    return broker_with(topics=TOPICS)


@pytest.fixture
def sender(talk, keeping):
    return talk(to=keeping)


def expect_marked(client, topic, body, *marks, ack=False):
    head = ["subscription:1", "message-id:<message-id>", *(["ack:<ack>"] if ack else []), *marks]
    return client.expect(frame("MESSAGE", *head, f"destination:{topic}", body=body) + b"\n")


@pytest.mark.parametrize("mode", ["auto", "client", "client-individual"])
def test_client_that_comes_back_misses_nothing(talk, keeping, sender, mode):
    topic = unique("/topic/h5.")
    client = talk(to=keeping)
    client.subscribe(topic)
    sender.publish(topic, "1")
    seen = client.expect_message(topic, "1").message_id
    client.reset()
    for body in "234":
        sender.publish(topic, body)
    client = talk(to=keeping)
    client.send(frame("SUBSCRIBE", "id:1", f"destination:{topic}", f"since:{seen}", f"ack:{mode}", "receipt:r"))
    client.ack_modes["1"] = mode
    client.expect(receipt("r"))
    sender.publish(topic, "5")
    client.expect_bodies(topic, ["2", "3", "4", "5"])


def test_gap(talk, keeping, sender):
    topic = unique("/topic/h5.")
    client = talk(to=keeping)
    client.subscribe(topic)
    sender.publish(topic, "0")
    seen = client.expect_message(topic, "0").message_id
    client.close()
    for body in "1234567":
        sender.publish(topic, body)
    client = talk(to=keeping)
    client.subscribe(topic, f"since:{seen}")
    expect_marked(client, topic, "3", "gap:true")
    client.expect_bodies(topic, ["4", "5", "6", "7"])
    client = talk(to=keeping)
    client.subscribe(topic, f"since:elsewhere-{seen.rpartition('-')[2]}")
    expect_marked(client, topic, "3", "gap:true")


def test_age(talk, keeping, sender):
    topic = unique("/topic/hage.")
    before = keeping.census()["messages"]
    sender.publish(topic, "1")
    sender.close()
    eventually(lambda: keeping.census()["messages"] == before, "the message is too old")
    client = talk(to=keeping)
    client.subscribe(topic, "last:1")
    client.expect_nothing()


def test_hundred_thousand(talk, keeping, sender):
    topic = unique("/topic/hall.")
    sender.send(b"".join(b"SEND\ndestination:%b\n\n%d\0" % (topic.encode(), n) for n in range(100_000)))
    sender.roundtrip()
    slow = talk(to=keeping, receive_buffer=65_536)
    slow.subscribe(topic, "from-seq:0")
    client = talk(to=keeping)
    client.subscribe(topic, "from-seq:0")
    sender.publish(topic, "live")
    for body in [*map(str, range(100_000)), "live"]:
        assert client.read_frame().endswith(b"\n\n%b\0%b" % (body.encode(), client.frame_end[1:]))
    slow.reset()
