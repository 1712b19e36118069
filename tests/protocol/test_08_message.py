"""B8: MESSAGE."""

import pytest
from harness.frames import every_version, frame, only_1_2, receipt


@every_version
@pytest.mark.item(79)
def test_message_id_is_unique(talk, publish, queue, topic, version):
    client = talk(version)
    client.subscribe(queue, id="1")
    client.subscribe(topic, id="2")
    seen = set()
    for _ in range(20):
        publish(queue, "x")
        seen.add(client.expect_message(queue, "x", id="1").message_id)
        publish(topic, "x")
        seen.add(client.expect_message(topic, "x", id="2").message_id)
    assert len(seen) == 40


@every_version
@pytest.mark.item(80)
@pytest.mark.parametrize("id", ["0", "sub-1", "ąę", "a" * 500, "a b"])
def test_message_names_its_subscription(talk, publish, queue, version, id):
    client = talk(version)
    client.subscribe(queue, id=id)
    publish(queue, "x")
    client.expect_message(queue, "x", id=id)


@every_version
@pytest.mark.item(81)
@pytest.mark.parametrize(
    ("pattern", "destination"),
    [
        ("/topic/{}.*", "/topic/{}.b"),
        ("/topic/{}.#", "/exchange/amq.topic/{}.b.c"),
        ("/queue/{}", "{}"),
        ("{}", "/queue/{}"),
    ],
)
def test_destination_is_the_senders(talk, publish, queue, version, pattern, destination):
    name = queue.removeprefix("/queue/")
    client = talk(version)
    client.subscribe(pattern.format(name))
    publish(destination.format(name), "x")
    client.expect_message(destination.format(name), "x")


@only_1_2
@pytest.mark.item(82)
@pytest.mark.parametrize("kind", ["/queue/", "/topic/"])
@pytest.mark.parametrize("mode", ["client", "client-individual"])
def test_ack_header_in_client_modes(talk, publish, queue, version, kind, mode):
    destination = kind + queue.removeprefix("/queue/")
    client = talk(version)
    client.subscribe(destination, ack=mode)
    publish(destination, "x")
    client.expect(f"MESSAGE\nsubscription:1\nmessage-id:<message-id>\nack:<ack>\ndestination:{destination}\n\nx\0\n")


@every_version
@pytest.mark.item(83)
def test_two_subscriptions_are_two_messages(talk, publish, topic, version):
    client = talk(version)
    client.subscribe(topic, id="a", ack="client-individual")
    client.subscribe(topic + ".#", id="b", ack="client-individual")
    publish(topic, "x")
    deliveries = [client.expect_message(topic, "x", id="a"), client.expect_message(topic, "x", id="b")]
    assert version != "1.2" or deliveries[0].ack != deliveries[1].ack
    for delivery in deliveries[::-1] if version != "1.0" else []:
        client.ack(delivery)


@every_version
@pytest.mark.item(84)
def test_content_headers_of_the_sender_are_kept(talk, publish, queue, version):
    client = talk(version)
    client.subscribe(queue)
    publish(queue, "{}", "content-type:application/json", "content-length:2")
    client.expect_message(queue, "{}", "content-type:application/json", "content-length:2")


@pytest.mark.item(24, 27, 81)
@pytest.mark.parametrize("size", [10, 20_000])
def test_one_message_in_the_form_of_each_subscriber(talk, topic, size):
    """Short bodies are copied and long ones are shared; each of many subscribers gets its own header lines."""
    body = "x" * size
    clients = [talk(version) for version in ("1.0", "1.1", "1.2") * 3]
    for number, client in enumerate(clients):
        client.subscribe(topic, id=str(number), ack="client" if number > 5 else "auto")
    talk("1.2").publish(topic, body, r"x:a\cb\r", "content-type:text/plain")
    seen = {"1.0": "x:a:b ", "1.1": r"x:a\cb ", "1.2": r"x:a\cb\r"}
    for number, client in enumerate(clients):
        client.expect_message(topic, body, seen[client.version], "content-type:text/plain", id=str(number))


@every_version
@pytest.mark.item(85)
def test_redelivered_only_when_redelivered(talk, publish, queue, version):
    client = talk(version)
    client.subscribe(queue, ack="client-individual")
    publish(queue, "x")
    first = client.expect_message(queue, "x")
    client.send(frame("NACK", *client.settling_headers(first), "receipt:1"))
    client.expect(receipt("1"))
    second = client.expect_message(queue, "x", redelivered=True)
    assert second.message_id == first.message_id
