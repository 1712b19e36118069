"""Redelivery and dead letters (docs/messaging.md), as clients of each version see them."""

import time

import pytest
from harness.frames import every_version, frame, from_1_1, receipt

both_client_modes = pytest.mark.parametrize("mode", ["client", "client-individual"])
MOST = 4


@pytest.fixture
def broker(broker_with):
    return broker_with(subscriptions={"nack_delay": 0.01}, queues=[{"pattern": "#", "max_deliveries": MOST}])


def headers_of(got):
    head, _, body = got.removesuffix(b"\0\n").partition(b"\n\n")
    command, *lines = head.decode().split("\n")
    assert command == "MESSAGE"
    return dict(line.split(":", 1) for line in reversed(lines)), body.decode()


def dead_letter(client, queue, ack="auto"):
    """The next one of that queue."""
    client.subscribe("/queue/DLQ." + queue.removeprefix("/queue/"), id="dead", ack=ack)
    return headers_of(client.read_frame())


@every_version
@both_client_modes
def test_the_count_of_deliveries(talk, publish, queue, version, mode):
    client = talk(version)
    client.subscribe(queue, ack=mode)
    publish(queue, "x")
    first = client.expect_message(queue, "x")
    client.nack(first)
    for count in range(2, MOST + 1):
        headers, _ = headers_of(client.read_frame())
        assert (headers["redelivered"], headers["delivery-count"]) == ("true", f"{count}")
        assert headers["message-id"] == first.message_id
        client.nack(first._replace(ack=headers.get("ack", "")))
    letter, body = dead_letter(client, queue)
    assert body == "x"
    assert letter["original-message-id"] == first.message_id != letter["message-id"]
    assert letter["original-destination"] == queue
    assert letter["destination"] == "/queue/DLQ." + queue.removeprefix("/queue/")
    assert (letter["dead-letter-reason"], letter["delivery-count"]) == ("max-deliveries", f"{MOST}")
    assert "redelivered" not in letter
    assert "dead-letter-text" not in letter


@pytest.mark.parametrize("how", ["UNSUBSCRIBE", "DISCONNECT", "close", "reset", "ERROR"])
@pytest.mark.item(94, 118)
def test_every_hand_over_that_came_back_counts(talk, publish, queue, how):
    """A message at which each consumer crashes is found out."""
    publish(queue, "poison")
    client = talk()
    for count in range(1, MOST + 1):
        client.subscribe(queue, ack="client")
        headers, _ = headers_of(client.read_frame())
        assert headers.get("delivery-count", "1") == f"{count}"
        if how == "UNSUBSCRIBE":
            client.unsubscribe()
            continue
        if how in ("DISCONNECT", "ERROR"):
            client.send(frame(how.replace("ERROR", "NONSENSE")))
            client.read_all()
        else:
            getattr(client, how)()
        client = talk()
    letter, _ = dead_letter(client, queue)
    assert (letter["dead-letter-reason"], letter["delivery-count"]) == ("max-deliveries", f"{MOST}")


@every_version
@pytest.mark.parametrize("in_transaction", [False, True])
def test_a_nack_says_why(talk, publish, queue, version, in_transaction):
    client = talk(version)
    client.subscribe(queue, ack="client-individual")
    publish(queue, "x", "a:1")
    lines = ["requeue:false", "reason:it is broken"]
    if in_transaction:
        client.send(frame("BEGIN", "transaction:t"))
        lines.append("transaction:t")
    client.nack(client.expect_message(queue, "x", "a:1"), *lines)
    if in_transaction:
        client.send(frame("COMMIT", "transaction:t", "receipt:commit"))
        client.expect(receipt("commit"))
    letter, _ = dead_letter(client, queue)
    assert (letter["dead-letter-reason"], letter["dead-letter-text"]) == ("rejected", "it is broken")
    assert (letter["a"], letter["delivery-count"]) == ("1", "1")


@from_1_1
@pytest.mark.item(92)
def test_a_nack_says_when(talk, publish, queue, version):
    client = talk(version)
    client.subscribe(queue, ack="client-individual")
    publish(queue, "a")
    a = client.expect_message(queue, "a")
    start = time.monotonic()
    client.nack(a, "delay:400")
    publish(queue, "b")
    client.ack(client.expect_message(queue, "b"))
    client.expect_message(queue, "a", redelivered=True)
    assert 0.35 < time.monotonic() - start < 5


@pytest.mark.parametrize("line", ["delay:soon", "delay:-1", "requeue:perhaps"])
def test_a_nack_that_says_nothing_is_an_error(talk, publish, queue, line):
    client = talk()
    client.subscribe(queue, ack="client")
    publish(queue, "x")
    client.settle(client.expect_message(queue, "x"), line, "receipt:1", command="NACK")
    assert line.partition(":")[0] in client.expect_error("bad header", receipt="1")


def test_pauses_in_the_words_of_activemq(talk, publish, queue):
    """A client of ActiveMQ asks for one more attempt, after 300 ms."""
    client = talk()
    client.subscribe(queue, "activemq.maximumRedeliveries:1", "activemq.initialRedeliveryDelay:300", ack="client")
    publish(queue, "x")
    first = client.expect_message(queue, "x")
    start = time.monotonic()
    client.nack(first)
    client.nack(client.expect_message(queue, "x", redelivered=True))
    assert time.monotonic() - start > 0.25
    letter, _ = dead_letter(client, queue)
    assert letter["dead-letter-reason"] == "max-deliveries"


@every_version
def test_what_a_subscription_to_a_topic_refuses(talk, publish, topic, version):
    """Everybody else has it all the same; and each dead letter is a message of its own."""
    clients = [talk(version) for _ in range(2)]
    for client in clients:
        client.subscribe(topic, ack="client-individual")
    publish(topic, "x")
    for client in clients:
        client.nack(client.expect_message(topic, "x"), "requeue:false")
    reader = talk("1.2")
    letters = [dead_letter(reader, "/queue/topic"), headers_of(reader.read_frame())]
    assert [letter["original-destination"] for letter, _ in letters] == [topic] * 2
    assert letters[0][0]["message-id"] != letters[1][0]["message-id"]
    assert letters[0][0]["original-message-id"] == letters[1][0]["original-message-id"]


def test_a_dead_letter_is_tried_again_by_plain_stomp(talk, publish, queue):
    """As docs/messaging.md says: SEND and ACK in one transaction."""
    client = talk()
    client.subscribe(queue, ack="client")
    publish(queue, "x")
    client.nack(client.expect_message(queue, "x"), "requeue:false")
    client.unsubscribe()
    letter, body = dead_letter(client, queue, "client-individual")
    client.send(frame("BEGIN", "transaction:t"))
    client.send(frame("SEND", f"destination:{letter['original-destination']}", "transaction:t", body=body))
    client.send(frame("ACK", f"id:{letter['ack']}", "transaction:t"))
    client.send(frame("COMMIT", "transaction:t", "receipt:1"))
    client.expect(receipt("1"))
    client.subscribe(queue)
    client.expect_message(queue, "x")
    client.unsubscribe("dead")
    client.subscribe("/queue/DLQ." + queue.removeprefix("/queue/"), id="dead")
    client.expect_nothing()


def test_consumers_that_refuse_in_turn_do_not_spin(talk, publish, queue):
    clients = [talk() for _ in range(3)]
    for client in clients:
        client.subscribe(queue, "prefetch-count:1", ack="client-individual")
    publish(queue, "x")
    end, refused = time.monotonic() + 0.5, 0
    while time.monotonic() < end:
        for client in clients:
            if not client.is_silent():
                client.send(frame("NACK", f"id:{headers_of(client.read_frame())[0]['ack']}"))
                refused += 1
        time.sleep(0.001)
    assert 2 <= refused <= MOST
