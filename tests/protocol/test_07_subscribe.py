"""B7: SUBSCRIBE and UNSUBSCRIBE."""

import pytest
from harness.frames import every_version, frame, from_1_1, receipt


@every_version
@pytest.mark.item(69)
def test_destination_is_required(talk, version):
    client = talk(version)
    client.send(frame("SUBSCRIBE", "id:1", "receipt:1"))
    client.expect_error("missing header", receipt="1")


@pytest.fixture
def strict(broker_with):
    """A broker that is lenient nowhere."""
    return broker_with(strict=True)


@from_1_1
@pytest.mark.item(70)
def test_strict_requires_an_id(talk, strict, queue, version):
    client = talk(version, to=strict)
    client.send(frame("SUBSCRIBE", f"destination:{queue}", "receipt:1"))
    client.expect_error("missing header", receipt="1")


@every_version
@pytest.mark.item(70)
@pytest.mark.rule(5)
@pytest.mark.parametrize("mode", ["auto", "client", "client-individual"])
def test_id_is_optional(talk, publish, queue, version, mode):
    """stomp-php and Gozirra leave it out in 1.2."""
    client = talk(version)
    client.subscribe(queue, "prefetch-count:1", id="", ack=mode)
    for body in "ab":
        publish(queue, body)
        message = client.expect_message(queue, body, id="")
        if mode != "auto":
            client.send(frame("ACK", f"message-id:{message.message_id}", *[f"id:{message.ack}"] * (version == "1.2")))
    client.send(frame("UNSUBSCRIBE", f"destination:{queue}", "receipt:1"))
    client.expect(receipt("1"))
    client.subscribe(queue, id="2")
    client.expect_nothing()


@from_1_1
@pytest.mark.item(70)
def test_subscriptions_without_id_to_one_destination(talk, publish, topic, version):
    client = talk(version)
    client.subscribe(topic, id="")
    client.subscribe(topic, id="")
    for left in (2, 1, 0):
        publish(topic, "x")
        for _ in range(left):
            client.expect_message(topic, "x", id="")
        client.expect_nothing()
        if left:
            client.send(frame("UNSUBSCRIBE", f"destination:{topic}"))


@from_1_1
@pytest.mark.item(70)
def test_no_id_is_taken_for_a_subscription_without_one(talk, queue, version):
    """An escape makes an LF of an id; a subscription without one is known by what none can be."""
    client = talk(version)
    client.subscribe(queue, id="")
    client.subscribe(queue, id=f"\\n{queue}")
    for left in (f"id:\\n{queue}", f"destination:{queue}"):
        client.send(frame("UNSUBSCRIBE", left, "receipt:1"))
        client.expect(receipt("1"))
    client.send(frame("UNSUBSCRIBE", f"id:\\n{queue}", "receipt:2"))
    client.expect_error("unknown subscription", receipt="2")


@from_1_1
@pytest.mark.item(71)
@pytest.mark.parametrize("other", ["/queue/any", "/topic/any"])
def test_id_is_taken_once_on_a_connection(talk, queue, version, other):
    client = talk(version)
    client.subscribe(queue, id="a")
    client.send(frame("SUBSCRIBE", "id:a", f"destination:{other}", "receipt:1"))
    client.expect_error("duplicate subscription", receipt="1")


@every_version
@pytest.mark.item(71)
def test_id_is_free_again_after_unsubscribe(talk, publish, queue, version):
    client = talk(version)
    client.subscribe(queue + ".other", id="a")
    client.unsubscribe("a")
    client.subscribe(queue, id="a")
    publish(queue, "x")
    client.expect_message(queue, "x", id="a")


@every_version
@pytest.mark.item(71)
def test_two_connections_may_use_one_id(talk, publish, topic, version):
    clients = [talk(version), talk(version)]
    for client in clients:
        client.subscribe(topic, id="a")
    publish(topic, "x")
    for client in clients:
        client.expect_message(topic, "x", id="a")


@every_version
@pytest.mark.item(72)
def test_ack_mode_is_auto_by_default(talk, publish, queue, version):
    client = talk(version)
    client.ack_modes["1"] = "auto"
    client.send(frame("SUBSCRIBE", "id:1", f"destination:{queue}", "receipt:1"))
    client.expect(receipt("1"))
    publish(queue, "x")
    client.expect_message(queue, "x")


@every_version
@pytest.mark.item(72)
@pytest.mark.parametrize("mode", ["auto", "client", "client-individual"])
def test_ack_modes(talk, publish, queue, version, mode):
    client = talk(version)
    client.subscribe(queue, ack=mode)
    publish(queue, "x")
    client.expect_message(queue, "x")


@every_version
@pytest.mark.item(72)
@pytest.mark.parametrize("mode", ["", "none", "Auto", "CLIENT", "client_individual", " auto x"])
def test_other_ack_modes_are_refused(talk, queue, version, mode):
    client = talk(version)
    client.send(frame("SUBSCRIBE", "id:1", f"destination:{queue}", f"ack:{mode}", "receipt:1"))
    client.expect_error("bad ack mode", receipt="1")


@every_version
@pytest.mark.item(73)
@pytest.mark.parametrize(
    ("destination", "message"),
    [
        ("/nowhere/x", "unknown destination"),
        ("/topic/", "unknown destination"),
        ("/queue/", "unknown destination"),
        ("/topic/a.>.b", "bad destination"),
        ("/topic/#.#.#", "bad destination"),
        ("/topic/" + ".".join("a" * 33), "bad destination"),
        ("", "missing header"),
    ],
)
def test_subscription_that_cannot_be_created(talk, version, destination, message):
    client = talk(version)
    client.send(frame("SUBSCRIBE", "id:1", f"destination:{destination}", "receipt:1"))
    client.expect_error(message, receipt="1")


@every_version
@pytest.mark.item(74)
def test_overlapping_subscriptions(talk, publish, topic, version):
    client = talk(version)
    client.subscribe(topic, id="a")
    client.subscribe(topic, id="b")
    publish(topic, "x")
    client.expect_message(topic, "x", id="a")
    client.expect_message(topic, "x", id="b")


@every_version
@pytest.mark.item(74, 75)
@pytest.mark.parametrize("header", ["durable:true", "persistent:True", "durable-subscription-name:me"])
def test_queues_keep_everything_anyway(talk, publish, queue, version, header):
    client = talk(version)
    client.subscribe(queue, header)
    publish(queue, "x")
    client.expect_message(queue, "x")


@every_version
@pytest.mark.item(74)
@pytest.mark.parametrize("name", ["browser", "no-local", "activemq.noLocal", "durable", "persistent"])
@pytest.mark.parametrize("value", ["", "yes"])
def test_what_is_neither_true_nor_false(talk, topic, version, name, value):
    client = talk(version)
    client.send(frame("SUBSCRIBE", "id:1", f"destination:{topic}", f"{name}:{value}", "receipt:1"))
    assert client.expect_error("bad header", receipt="1") == f"{name} is true or false.\n"


@every_version
@pytest.mark.item(75)
@pytest.mark.parametrize("value", ["false", "False"])
def test_what_is_false_is_not_wanted(talk, publish, topic, version, value):
    client = talk(version)
    names = ["browser", "no-local", "activemq.noLocal", "durable", "persistent"]
    client.subscribe(topic, *(f"{name}:{value}" for name in names), "activemq.subscriptionName:")
    publish(topic, "x")
    client.expect_message(topic, "x")


@every_version
@pytest.mark.item(75)
def test_other_headers_are_ignored(talk, publish, queue, version):
    client = talk(version)
    client.subscribe(queue, "durable:false", "x-priority:3", "activemq.dispatchAsync:true", "content-type:x")
    publish(queue, "x")
    client.expect_message(queue, "x")


@every_version
@pytest.mark.item(76)
def test_unsubscribe_by_id(talk, publish, topic, version):
    client = talk(version)
    client.subscribe(topic, id="a")
    client.unsubscribe("a")
    publish(topic, "x")
    client.expect_nothing()


@every_version
@pytest.mark.item(76)
def test_unsubscribe_by_destination(talk, publish, topic, version):
    client = talk(version)
    client.subscribe(topic, id="")
    client.send(frame("UNSUBSCRIBE", f"destination:{topic}", "receipt:1"))
    client.expect(receipt("1"))
    publish(topic, "x")
    client.expect_nothing()


@from_1_1
@pytest.mark.item(76)
def test_strict_requires_an_id_to_unsubscribe(talk, strict, topic, version):
    client = talk(version, to=strict)
    client.subscribe(topic)
    client.send(frame("UNSUBSCRIBE", f"destination:{topic}", "receipt:1"))
    client.expect_error("missing header", receipt="1")


@every_version
@pytest.mark.item(76)
def test_unsubscribe_requires_id_or_destination(talk, version):
    client = talk(version)
    client.send(frame("UNSUBSCRIBE", "receipt:1"))
    client.expect_error("missing header", receipt="1")


@every_version
@pytest.mark.item(76)
def test_unsubscribe_of_an_unknown_subscription(talk, version):
    client = talk(version)
    client.send(frame("UNSUBSCRIBE", "id:a", "receipt:1"))
    client.expect_error("unknown subscription", receipt="1")


@every_version
@pytest.mark.item(77)
@pytest.mark.parametrize("mode", ["auto", "client", "client-individual"])
@pytest.mark.parametrize("kind", ["/queue/", "/topic/"])
def test_nothing_follows_the_receipt_of_unsubscribe(talk, publish, queue, version, mode, kind):
    destination = kind + queue.removeprefix("/queue/")
    client = talk(version)
    client.subscribe(destination, "prefetch-count:1", ack=mode)
    publish(destination, "before")
    client.expect_message(destination, "before")
    client.unsubscribe()
    for _ in range(3):
        publish(destination, "after")
    client.expect_nothing()


@every_version
@pytest.mark.item(77)
def test_unacknowledged_messages_are_released_by_unsubscribe(talk, publish, queue, version):
    client = talk(version)
    client.subscribe(queue, ack="client")
    for body in "ab":
        publish(queue, body)
        client.expect_message(queue, body)
    client.unsubscribe()
    publish(queue, "c")
    client.subscribe(queue, id="2")
    client.expect_message(queue, "a", id="2", redelivered=True)
    client.expect_message(queue, "b", id="2", redelivered=True)
    client.expect_message(queue, "c", id="2")


@every_version
@pytest.mark.item(78)
@pytest.mark.parametrize("mode", ["auto", "client", "client-individual"])
def test_receipt_of_subscribe_comes_before_the_first_message(talk, publish, queue, version, mode):
    for body in "abc":
        publish(queue, body)
    client = talk(version)
    client.subscribe(queue, ack=mode)
    client.expect_bodies(queue, "abc")
