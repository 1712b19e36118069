"""Durable and shared subscriptions to topics, in the words of RabbitMQ, ActiveMQ, Artemis and Apollo."""

import pytest
from harness.frames import every_version, frame, receipt, unique
from harness.waiting import eventually

CLIENT = "client-id:{name}"
DIALECTS = {
    "rabbitmq": ("", ["durable:true", "auto-delete:false"]),
    "activemq": (CLIENT, ["activemq.subscriptionName:sub"]),
    "artemis": (CLIENT, ["durable-subscription-name:sub"]),
    "apollo": ("", ["persistent:true"]),
}
SHARED = ["rabbitmq", "artemis", "apollo"]
COUNT = 100


@pytest.fixture
def name():
    """A client-id, an id of a subscription, or the name of a group, that no other test uses."""
    return unique("durable")


class Dialect:
    def __init__(self, talk, name, dialect, version="1.2"):
        self.talk = talk
        self.name = name
        self.version = version
        client, self.words = DIALECTS[dialect]
        self.connect = [client.format(name=name)] if client else []

    def client(self):
        return self.talk(self.version, *self.connect)

    def subscribed(self, topic, ack="auto", *headers):
        client = self.client()
        client.subscribe(topic, *self.words, *headers, id=self.name, ack=ack)
        return client

    def delete(self, client):
        client.send(frame("UNSUBSCRIBE", f"id:{self.name}", *self.words, "receipt:deleted"))
        client.expect(receipt("deleted"))


def leave(client):
    client.send(frame("DISCONNECT", "receipt:bye"))
    client.expect(receipt("bye"))
    client.expect_end()


@every_version
@pytest.mark.parametrize("dialect", DIALECTS)
def test_it_keeps_what_comes_while_nobody_is_there(talk, publish, topic, name, version, dialect):
    dialect = Dialect(talk, name, dialect, version)
    client = dialect.subscribed(topic)
    publish(topic, "here")
    client.expect_message(topic, "here", id=name)
    leave(client)
    publish(topic, "away 1")
    publish(topic, "away 2", "x:y")
    again = dialect.subscribed(topic)
    again.expect_message(topic, "away 1", id=name)
    again.expect_message(topic, "away 2", "x:y", id=name)
    dialect.delete(again)
    publish(topic, "for nobody")
    last = dialect.subscribed(topic)
    publish(topic, "new")
    last.expect_message(topic, "new", id=name)
    dialect.delete(last)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_was_not_settled_comes_again_after_a_reset(talk, publish, topic, name, dialect):
    dialect = Dialect(talk, name, dialect)
    client = dialect.subscribed(topic, "client-individual")
    for body in "abc":
        publish(topic, body)
    deliveries = client.expect_bodies(topic, list("abc"), id=name)
    client.ack(deliveries[1])
    client.reset()
    again = eventually(lambda: comes_again(dialect, topic), "the first is gone, and the second has its place")
    again.expect_message(topic, "a", id=name, redelivered=True)
    again.expect_message(topic, "c", id=name, redelivered=True)
    again.expect_nothing()
    dialect.delete(again)


def comes_again(dialect, topic):
    """A subscriber, unless the one before is not gone yet."""
    client = dialect.client()
    client.ack_modes[dialect.name] = "auto"
    client.send(frame("SUBSCRIBE", f"id:{dialect.name}", f"destination:{topic}", *dialect.words, "receipt:1"))
    if client.read_frame().startswith(b"ERROR\nmessage:subscription in use\n"):
        return None
    return client


def test_a_second_holder_is_refused_and_the_first_goes_on(talk, publish, topic, name):
    dialect = Dialect(talk, name, "activemq")
    first = dialect.subscribed(topic)
    for _ in range(3):
        second = dialect.client()
        second.send(frame("SUBSCRIBE", "id:1", f"destination:{topic}", *dialect.words, "receipt:1"))
        text = second.expect_error("subscription in use", receipt="1")
        assert text.startswith(f"'/dsub/{name}/sub' has a subscriber.")
    publish(topic, "x")
    first.expect_message(topic, "x", id=name)
    other = dialect.client()
    other.send(frame("UNSUBSCRIBE", *dialect.words, "receipt:1"))
    other.expect_error("subscription in use", receipt="1")
    publish(topic, "y")
    first.expect_message(topic, "y", id=name)
    dialect.delete(first)


@pytest.mark.parametrize("how", ["reset", "close", "disconnect"])
def test_it_is_free_at_once(talk, broker, topic, name, how):
    dialect = Dialect(talk, name, "activemq")
    for _ in range(5):
        client = dialect.subscribed(topic)
        if how == "disconnect":
            leave(client)
        elif how == "close":
            client.close()
            broker.wait_disconnected(client, "closed by client|lost|reset")
        else:
            client.reset()
            broker.wait_disconnected(client, "closed by client|lost|reset")
    dialect.delete(dialect.subscribed(topic))


@pytest.mark.parametrize("dialect", SHARED)
@pytest.mark.parametrize("ack", ["auto", "client-individual"])
def test_several_connections_share_one(talk, publish, topic, name, dialect, ack):
    dialect = Dialect(talk, name, dialect)
    clients = [dialect.subscribed(topic, ack) for _ in range(4)]
    assert_shared(clients, publish, topic, name, ack)
    for client in clients[1:]:
        leave(client)
    dialect.delete(clients[0])


@every_version
@pytest.mark.parametrize("ack", ["auto", "client-individual"])
def test_a_group_shares_without_being_durable(talk, publish, topic, name, version, ack):
    clients = [talk(version) for _ in range(4)]
    for client in clients:
        client.subscribe(topic, f"subscription-group:{name}", id=name, ack=ack)
    assert_shared(clients, publish, topic, name, ack)
    for client in clients:
        leave(client)
    publish(topic, "for nobody")
    last = talk(version)
    last.subscribe(topic, f"subscription-group:{name}", id=name)
    last.expect_nothing()


def assert_shared(clients, publish, topic, name, ack):
    """Each message comes once, and everybody has some."""
    for number in range(COUNT):
        publish(topic, str(number))
    for place, client in enumerate(clients):
        bodies = [str(number) for number in range(place, COUNT, len(clients))]
        for delivery in client.expect_bodies(topic, bodies, id=name):
            if ack != "auto":
                client.settle(delivery)
        client.expect_nothing()


def test_another_topic(talk, publish, topic, name):
    """Apollo's keeps what it has; ActiveMQ's begins anew."""
    for dialect, kept in (("apollo", True), ("activemq", False)):
        spoken = Dialect(talk, name, dialect)
        leave(spoken.subscribed(topic))
        publish(topic, "old")
        client = spoken.client()
        client.ack_modes[name] = "auto"
        # Without a receipt, which would wait for the disk: a message may come before it.
        client.send(frame("SUBSCRIBE", f"id:{name}", f"destination:{topic}.b", *spoken.words))
        if kept:
            client.expect_message(topic, "old", id=name)
        client.roundtrip()
        publish(topic, "not any more")
        publish(topic + ".b", "new")
        client.expect_message(topic + ".b", "new", id=name)
        client.expect_nothing()
        spoken.delete(client)


def test_persistent_means_what_it_does_in_rabbitmq_beside_auto_delete(talk, publish, topic, name):
    """There the destination is part of what it is, and two of the same id are two; Apollo's would be one."""
    client = talk()
    words = ["persistent:true", "auto-delete:false"]
    for destination in (topic, topic + ".b"):
        client.subscribe(destination, *words, id=name)
        client.unsubscribe(name)
        publish(destination, destination)
    for destination in (topic, topic + ".b"):
        client.subscribe(destination, *words, id=name)
        client.expect_message(destination, destination, id=name)
        client.send(frame("UNSUBSCRIBE", f"id:{name}", *words, "receipt:1"))
        client.expect(receipt("1"))


def test_a_transaction_publishes_to_it(talk, publish, topic, name):
    dialect = Dialect(talk, name, "apollo")
    leave(dialect.subscribed(topic))
    publisher = talk()
    publisher.send(frame("BEGIN", "transaction:1"))
    publisher.send(frame("SEND", f"destination:{topic}", "transaction:1", body="x"))
    publisher.send(frame("COMMIT", "transaction:1", "receipt:1"))
    publisher.expect(receipt("1"))
    client = dialect.subscribed(topic)
    client.expect_message(topic, "x", id=name)
    dialect.delete(client)


@pytest.mark.over("tcp")
@pytest.mark.parametrize("dialect", ["apollo", "activemq"])
def test_somebody_who_does_not_read_holds_nobody(talk, publish, topic, name, dialect):
    """And has all of it afterwards, in order."""
    dialect = Dialect(talk, name, dialect)
    client = dialect.client()
    client.subscribe(topic, *dialect.words, id=name, ack="client-individual")
    beside = talk()
    beside.subscribe(topic)
    for number in range(COUNT):
        publish(topic, f"{number} " + "x" * 60_000)
        beside.expect_message(topic, f"{number} " + "x" * 60_000)
    for number in range(COUNT):
        client.settle(client.expect_message(topic, f"{number} " + "x" * 60_000, id=name))
    dialect.delete(client)


@pytest.mark.parametrize(
    ("headers", "message", "text"),
    [
        (["activemq.subscriptionName:x"], "missing header", "activemq.subscriptionName needs a client-id header"),
        (["durable-subscription-name:x"], "missing header", "durable-subscription-name needs a client-id header"),
        (["durable:yes"], "bad header", "durable is true or false."),
        (["persistent:true", "subscription-group:x"], "bad header", "subscription-group is for subscriptions that"),
        (["persistent:true", "no-local:true"], "bad header", "no-local is for a durable subscription with a client-id"),
    ],
)
def test_what_cannot_be(talk, topic, headers, message, text):
    client = talk()
    client.send(frame("SUBSCRIBE", "id:1", f"destination:{topic}", *headers, "receipt:1"))
    assert client.expect_error(message, receipt="1").startswith(text)


def test_an_activemq_name_is_for_topics(talk, queue, name):
    client = talk("1.2", CLIENT.format(name=name))
    client.send(frame("SUBSCRIBE", "id:1", f"destination:{queue}", "activemq.subscriptionName:x", "receipt:1"))
    assert client.expect_error("bad header", receipt="1").startswith("activemq.subscriptionName is for topics;")


def test_what_is_not_there_is_not_deleted(talk, name):
    for dialect in ("activemq", "artemis", "apollo"):
        spoken = Dialect(talk, name, dialect)
        client = spoken.client()
        client.send(frame("UNSUBSCRIBE", f"id:{name}", *spoken.words, "receipt:1"))
        assert client.expect_error("unknown subscription", receipt="1").startswith("There is no durable subscription")


# ---- that choose ----


@every_version
@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_is_not_selected_is_not_kept(talk, publish, topic, name, version, dialect):
    dialect = Dialect(talk, name, dialect, version)
    client = dialect.subscribed(topic, "auto", "selector:price > 10")
    publish(topic, "a", "price:11")
    publish(topic, "b", "price:9")
    client.expect_message(topic, "a", "price:11", id=name)
    leave(client)
    publish(topic, "c", "price:9")
    publish(topic, "d", "price:12")
    client = dialect.subscribed(topic, "client", "selector:price > 10")
    client.expect_message(topic, "d", "price:12", id=name)
    client.expect_nothing()
    dialect.delete(client)


@pytest.mark.parametrize("dialect", SHARED)
def test_all_who_share_one_have_one_selector(talk, topic, name, dialect):
    dialect = Dialect(talk, name, dialect)
    client, other = dialect.subscribed(topic, "auto", "selector:a = 1"), dialect.client()
    lines = [f"id:{name}", f"destination:{topic}", *dialect.words, "selector:a = 2", "receipt:1"]
    other.send(frame("SUBSCRIBE", *lines))
    text = other.expect_error("subscription in use", receipt="1")
    assert text.startswith("All who share '/dsub/")
    client.expect_nothing()
    dialect.delete(client)


@pytest.mark.parametrize("dialect", ["activemq", "artemis"])
def test_another_selector_is_another_subscription(talk, publish, topic, name, dialect):
    dialect = Dialect(talk, name, dialect)
    leave(dialect.subscribed(topic, "auto", "selector:a = 1"))
    publish(topic, "old", "a:1")
    client = dialect.subscribed(topic, "auto", "selector:a = 2", "no-local:true")
    client.publish(topic, "own", "a:2")
    publish(topic, "new", "a:2")
    client.expect_message(topic, "new", "a:2", id=name)
    client.expect_nothing()
    dialect.delete(client)
