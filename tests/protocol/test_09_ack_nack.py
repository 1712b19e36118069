"""B9: ACK and NACK."""

import time

import pytest
from harness.frames import every_version, frame, from_1_1, only_1_2, receipt

both_client_modes = pytest.mark.parametrize("mode", ["client", "client-individual"])
both_commands = pytest.mark.parametrize("command", ["ACK", "NACK"])


@pytest.fixture
def deliver(talk, publish, queue):
    """A client that holds unacknowledged messages with these bodies."""

    def start(version, mode, bodies="abc", *headers, to=None):
        client = talk(version, to=to)
        client.subscribe(queue, *headers, ack=mode)
        for body in bodies:
            (talk(to=to).publish if to else publish)(queue, body)
        return client, client.expect_bodies(queue, bodies)

    return start


@pytest.fixture
def leftover(talk, queue):
    """What a queue still holds once a client is gone, in its order; `redelivered` are those given out before."""

    def look(client, redelivered, fresh=""):
        client.send(frame("DISCONNECT"))
        client.expect_end()
        heir = talk("1.2")
        heir.subscribe(queue)
        for body in redelivered:
            heir.expect_message(queue, body, redelivered=True)
        heir.expect_bodies(queue, fresh)
        heir.expect_nothing()

    return look


@pytest.fixture
def strict(broker_with):
    """A broker that is lenient nowhere."""
    return broker_with(strict=True)


@only_1_2
@pytest.mark.item(86)
@both_commands
def test_id_is_required_in_1_2(deliver, strict, version, command):
    for broker, headers in ((None, []), (strict, ["message-id:{}"])):
        client, (message, *_) = deliver(version, "client", to=broker)
        client.send(
            frame(command, "subscription:1", *(each.format(message.message_id) for each in headers), "receipt:1")
        )
        assert "ack header" in client.expect_error("missing header", receipt="1")


@pytest.mark.item(86)
@pytest.mark.rule(18)
@both_commands
@both_client_modes
@pytest.mark.parametrize("headers", [["id:{}"], ["message-id:{}"], ["id:{}", "subscription:1"]])
def test_message_id_in_the_place_of_the_ack_header(deliver, queue, command, mode, headers):
    """stomp-php and activemessaging write it so."""
    client, (a, b, _) = deliver("1.2", mode)
    for message in (a, b):
        client.send(frame(command, *(each.format(message.message_id) for each in headers), "requeue:false"))
    client.expect_nothing()
    client.unsubscribe()
    client.subscribe(queue)
    client.expect_message(queue, "c", redelivered=True)


@pytest.mark.item(86, 96)
@pytest.mark.rule(18)
def test_message_id_that_names_several_deliveries_in_1_2(talk, publish, topic):
    client = talk("1.2")
    client.subscribe(topic, id="1", ack="client-individual")
    client.subscribe(topic, id="2", ack="client-individual")
    publish(topic, "x")
    one, other = (client.expect_message(topic, "x", id=id) for id in "12")
    assert one.message_id == other.message_id
    client.ack(one)
    client.send(frame("ACK", f"id:{one.message_id}"))  # of the other alone by now
    publish(topic, "y")
    one, _ = (client.expect_message(topic, "y", id=id) for id in "12")
    client.send(frame("ACK", f"id:{one.message_id}", "receipt:1"))
    assert "ack header" in client.expect_error("unknown ack", receipt="1")


@pytest.mark.item(86, 96)
@pytest.mark.rule(18)
@both_commands
def test_message_id_settles_once_in_1_2(deliver, command):
    client, (a, *_) = deliver("1.2", "client")
    client.send(frame("ACK", f"id:{a.message_id}"))
    client.send(frame(command, f"id:{a.message_id}", "receipt:1"))
    assert "ack header" in client.expect_error("unknown ack", receipt="1")


@pytest.mark.item(86, 96)
def test_strict_wants_the_ack_header_in_1_2(deliver, strict):
    client, (a, *_) = deliver("1.2", "client", to=strict)
    client.send(frame("ACK", f"id:{a.message_id}", "receipt:1"))
    client.expect_error("unknown ack", receipt="1")


@only_1_2
@pytest.mark.item(86)
def test_id_is_the_ack_header_in_1_2(deliver, leftover, version):
    client, (message, *_) = deliver(version, "client-individual")
    client.send(frame("ACK", f"id:{message.ack}"))
    client.expect_nothing()
    leftover(client, "bc")


@pytest.mark.item(87)
@both_commands
@pytest.mark.parametrize("missing", [0, 1])
def test_message_id_and_subscription_are_required_in_1_1(deliver, strict, command, missing):
    for broker in (strict, None)[: 1 + missing]:  # the subscription only where it is strict
        client, (message, *_) = deliver("1.1", "client", to=broker)
        headers = client.settling_headers(message)
        del headers[missing]
        client.send(frame(command, *headers, "receipt:1"))
        client.expect_error("missing header", receipt="1")


@pytest.mark.item(87)
@pytest.mark.rule(18)
@both_commands
@both_client_modes
@pytest.mark.parametrize("subscription", [[], ["subscription:made-up"]])
def test_message_id_is_enough_in_1_1(deliver, queue, command, mode, subscription):
    """RabbitMQ takes it, and its own tests make it up."""
    client, (a, b, _) = deliver("1.1", mode)
    for message in (a, b):
        client.send(frame(command, f"message-id:{message.message_id}", *subscription, "requeue:false"))
    client.expect_nothing()
    client.unsubscribe()
    client.subscribe(queue)
    client.expect_message(queue, "c", redelivered=True)


@pytest.mark.item(87, 96)
@pytest.mark.parametrize("subscription", [[], ["subscription:made-up"], ["subscription:2"]])
def test_message_id_is_not_enough_for_one_of_two_deliveries_in_1_1(talk, publish, topic, subscription):
    client = talk("1.1")
    client.subscribe(topic, id="1", ack="client")
    client.subscribe(topic, id="2", ack="client")
    publish(topic, "x")
    client.expect_message(topic, "x", id="1")
    client.ack(two := client.expect_message(topic, "x", id="2"))
    publish(topic, "y")
    message = two if subscription == ["subscription:2"] else client.expect_message(topic, "y", id="1")
    client.send(frame("ACK", f"message-id:{message.message_id}", *subscription, "receipt:1"))
    while (got := client.read_frame()).startswith(b"MESSAGE"):
        pass
    assert got.startswith(b"ERROR\nmessage:unknown ack\nreceipt-id:1\n")


@pytest.mark.item(87, 96)
def test_strict_wants_the_right_subscription_in_1_1(deliver, strict):
    client, (a, *_) = deliver("1.1", "client", to=strict)
    client.send(frame("ACK", "subscription:made-up", f"message-id:{a.message_id}", "receipt:1"))
    client.expect_error("unknown ack", receipt="1")


@pytest.mark.item(87)
def test_message_id_and_subscription_in_1_1(deliver, leftover):
    client, (message, *_) = deliver("1.1", "client-individual")
    client.send(frame("ACK", "subscription:1", f"message-id:{message.message_id}"))
    client.expect_nothing()
    leftover(client, "bc")


@pytest.mark.item(88)
def test_message_id_is_required_in_1_0(deliver):
    client, _ = deliver("1.0", "client")
    client.send(frame("ACK", "subscription:1", "receipt:1"))
    client.expect_error("missing header", receipt="1")


@pytest.mark.item(88)
def test_message_id_alone_in_1_0(deliver, leftover):
    client, (message, *_) = deliver("1.0", "client-individual")
    client.send(frame("ACK", f"message-id:{message.message_id}"))
    client.expect_nothing()
    leftover(client, "bc")


@every_version
@pytest.mark.item(89)
def test_client_mode_is_cumulative(deliver, leftover, version):
    client, (_, b, _, _) = deliver(version, "client", "abcd")
    client.ack(b)
    leftover(client, "cd")


@every_version
@pytest.mark.item(89)
def test_client_mode_covers_one_subscription_only(talk, publish, queue, version):
    client = talk(version)
    client.subscribe(queue + ".other", id="2", ack="client")
    publish(queue + ".other", "other")
    client.expect_message(queue + ".other", "other", id="2")
    client.subscribe(queue, ack="client")
    publish(queue, "x")
    client.ack(client.expect_message(queue, "x"))
    client.unsubscribe("2")
    client.subscribe(queue + ".other", id="3")
    client.expect_message(queue + ".other", "other", id="3", redelivered=True)


@every_version
@pytest.mark.item(90)
def test_individual_ack_leaves_earlier_messages_alone(deliver, leftover, version):
    client, (_, b, c, _) = deliver(version, "client-individual", "abcd")
    client.ack(c)
    client.ack(b)
    leftover(client, "ad")


@every_version
@pytest.mark.item(90, 91)
def test_individual_nack_leaves_earlier_messages_alone(deliver, queue, version):
    client, (_, b, _) = deliver(version, "client-individual")
    client.nack(b)
    client.expect_message(queue, "b", redelivered=True)
    client.expect_nothing()


@every_version
@pytest.mark.item(91)
def test_nack_covers_all_earlier_unsettled_ones_in_client_mode(deliver, queue, version):
    client, (a, _, c, _) = deliver(version, "client", "abcd")
    client.ack(a)
    client.nack(c)
    client.expect_message(queue, "b", redelivered=True)
    client.expect_message(queue, "c", redelivered=True)
    client.expect_nothing()


@every_version
@pytest.mark.item(92)
@both_client_modes
def test_nack_gives_the_message_back_to_its_place(talk, deliver, publish, queue, version, mode):
    client, (a,) = deliver(version, mode, "a", "prefetch-count:1")
    publish(queue, "b")
    client.nack(a, "delay:0")
    again = client.expect_message(queue, "a", redelivered=True)
    assert again.message_id == a.message_id
    client.ack(again)
    client.expect_message(queue, "b")


@every_version
@pytest.mark.item(92)
def test_another_consumer_may_take_a_nacked_message_at_once(talk, deliver, queue, version):
    client, (a,) = deliver(version, "client-individual", "a", "prefetch-count:1")
    other = talk(version)
    other.subscribe(queue, ack="client-individual")
    client.nack(a, "delay:0")
    other.expect_message(queue, "a", redelivered=True)
    client.expect_nothing()


@pytest.fixture
def impatient(broker_with):
    """A broker that takes a message for poison when it was NACKed three times."""
    return broker_with(subscriptions={"nack_delay": 0.01}, queues=[{"pattern": "#", "max_deliveries": 3}])


@every_version
@pytest.mark.item(92)
@both_client_modes
@pytest.mark.parametrize("value", ["false", "False"])
def test_nack_without_requeue_goes_to_the_dead_letter_queue(talk, impatient, queue, version, mode, value):
    client = talk(version, to=impatient)
    client.subscribe(queue, ack=mode)
    talk(to=impatient).publish(queue, "unwanted")
    client.nack(client.expect_message(queue, "unwanted"), f"requeue:{value}")
    client.expect_nothing()
    client.subscribe(f"/queue/DLQ.{queue.removeprefix('/queue/')}", id="dead")
    assert client.read_frame().endswith(b"\n\nunwanted\0\n")


@every_version
@pytest.mark.item(92)
@pytest.mark.parametrize("value", ["", "no", "0"])
def test_requeue_that_is_neither_true_nor_false(deliver, version, value):
    client, (a, *_) = deliver(version, "client")
    client.settle(a, f"requeue:{value}", "receipt:1", command="NACK")
    assert client.expect_error("bad header", receipt="1") == "requeue is true or false.\n"


@every_version
@pytest.mark.item(92)
@both_client_modes
def test_message_that_is_always_nacked_goes_to_the_dead_letter_queue(talk, impatient, queue, version, mode):
    client = talk(version, to=impatient)
    client.subscribe(queue, ack=mode)
    talk(to=impatient).publish(queue, "poison")
    for redelivered in (False, True, True):
        client.nack(client.expect_message(queue, "poison", redelivered=redelivered))
    client.expect_nothing()
    client.subscribe(f"/queue/DLQ.{queue.removeprefix('/queue/')}", id="dead")
    assert client.read_frame().endswith(b"\n\npoison\0\n")


@pytest.mark.item(92)
def test_dead_letter_queue_keeps_the_newest(talk, broker_with, queue):
    graveyard = {"pattern": "graveyard", "max_messages": 3, "overflow": "drop-oldest"}
    broker = broker_with(queues=[graveyard, {"pattern": "#", "dead_letter": "graveyard"}])
    client = talk(to=broker)
    client.subscribe(queue, ack="client-individual")
    for body in "abcde":
        talk(to=broker).publish(queue, body)
        client.nack(client.expect_message(queue, body), "requeue:false")
    client.subscribe("graveyard", id="dead")
    assert [client.read_frame()[-3:] for _ in range(3)] == [b"c\0\n", b"d\0\n", b"e\0\n"]
    client.expect_nothing()


@pytest.mark.item(92)
def test_lone_consumer_that_always_nacks_does_not_spin(talk, broker_with, queue):
    client = talk(to=broker_with(subscriptions={"nack_delay": 0.2}))
    client.subscribe(queue, ack="client-individual")
    client.send(frame("SEND", f"destination:{queue}", body="x"))
    message = client.expect_message(queue, "x")
    start = time.monotonic()
    client.settle(message, command="NACK")
    client.settle(client.expect_message(queue, "x", redelivered=True), command="NACK")
    client.expect_message(queue, "x", redelivered=True)
    assert time.monotonic() - start > 0.35


@every_version
@pytest.mark.item(93)
@both_commands
@both_client_modes
def test_settling_within_a_transaction(deliver, leftover, queue, version, command, mode):
    client, messages = deliver(version, mode)
    client.send(frame("BEGIN", "transaction:t"))
    client.settle(messages[2], "transaction:t", command=command)
    client.expect_nothing()
    client.send(frame("COMMIT", "transaction:t"))
    nacked = {"ACK": "", "NACK": "abc" if mode == "client" else "c"}[command]
    for body in nacked:
        client.expect_message(queue, body, redelivered=True)
    client.expect_nothing()
    leftover(client, "abc" if nacked else "ab" if mode == "client-individual" else "")


@every_version
@pytest.mark.item(93)
@both_commands
def test_settling_in_an_unknown_transaction(deliver, version, command):
    client, (a, *_) = deliver(version, "client")
    client.settle(a, "transaction:t", "receipt:1", command=command)
    client.expect_error("unknown transaction", receipt="1")


@every_version
@pytest.mark.item(94)
@both_client_modes
def test_unacknowledged_messages_go_to_another_client(deliver, leftover, version, mode):
    client, _ = deliver(version, mode)
    leftover(client, "abc")


@every_version
@pytest.mark.item(95)
def test_auto_messages_are_consumed_when_sent(deliver, leftover, version):
    client, _ = deliver(version, "auto")
    leftover(client, "")


@every_version
@pytest.mark.item(96)
@both_commands
@both_client_modes
def test_settling_twice_is_an_error(deliver, version, command, mode):
    client, (a, *_) = deliver(version, mode)
    client.ack(a)
    client.settle(a, "receipt:1", command=command)
    client.expect_error("unknown ack", receipt="1")


@every_version
@pytest.mark.item(96)
@both_commands
def test_settling_an_unknown_message_is_an_error(deliver, version, command):
    client, (a, *_) = deliver(version, "client")
    unknown = a._replace(message_id="never-1", ack="never-1")
    client.settle(unknown, "receipt:1", command=command)
    client.expect_error("unknown ack", receipt="1")


@every_version
@pytest.mark.item(96)
@both_commands
def test_strict_refuses_to_settle_an_auto_message(deliver, strict, version, command):
    client, (a, *_) = deliver(version, "auto", to=strict)
    client.settle(a._replace(ack=a.message_id), "receipt:1", command=command)
    client.expect_error("unknown ack", receipt="1")


@every_version
@pytest.mark.item(96)
@pytest.mark.rule(18)
@both_commands
@pytest.mark.parametrize("headers", [["message-id:{}", "id:{}"], ["subscription:1", "message-id:{}", "id:undefined"]])
def test_settling_an_auto_message_is_ignored(deliver, leftover, publish, queue, version, command, headers):
    """onstomp asks for it, and acknowledges."""
    client, (a, *_) = deliver(version, "auto")
    client.send(frame(command, *(each.format(a.message_id) for each in headers), "receipt:1"))
    client.expect(receipt("1"))
    client.unsubscribe()
    publish(queue, "d")
    leftover(client, "", "d")


@every_version
@pytest.mark.item(96)
@both_commands
@pytest.mark.parametrize("id", ["never-1", "{}-9000000000000000000", "{}-0", "{}-", "1-1", ""])
def test_settling_what_was_never_given_out_beside_an_auto_subscription(deliver, version, command, id):
    client, (a, *_) = deliver(version, "auto")
    id = id.format(a.message_id.partition("-")[0])
    client.send(frame(command, f"message-id:{id}", f"id:{id}", "receipt:1"))
    client.expect_error("unknown ack", receipt="1")


@every_version
@pytest.mark.item(96)
@both_commands
def test_settling_twice_beside_an_auto_subscription_is_an_error(deliver, topic, version, command):
    client, (a, *_) = deliver(version, "client")
    client.subscribe(topic, id="2")
    client.ack(a)
    client.send(frame(command, "subscription:1", f"message-id:{a.message_id}", f"id:{a.ack}", "receipt:1"))
    client.expect_error("unknown ack", receipt="1")


@every_version
@pytest.mark.item(96)
def test_settling_after_unsubscribe_is_an_error(deliver, version):
    client, (a, *_) = deliver(version, "client")
    client.unsubscribe()
    client.settle(a, "receipt:1")
    client.expect_error("unknown ack", receipt="1")


@from_1_1
@pytest.mark.item(96)
def test_settling_the_message_of_another_subscription_is_an_error(talk, deliver, queue, version):
    _, (a, *_) = deliver(version, "client")
    thief = talk(version)
    thief.subscribe(queue, ack="client")
    thief.settle(a, "receipt:1")
    thief.expect_error("unknown ack", receipt="1")


@only_1_2
@pytest.mark.item(77, 96)
def test_ack_is_not_mistaken_when_an_id_is_used_again(talk, publish, deliver, queue, version):
    client, (a, *_) = deliver(version, "client-individual")
    client.unsubscribe()
    client.subscribe(queue, ack="client-individual")
    again = [client.expect_message(queue, body, redelivered=True) for body in "abc"]
    assert again[0].ack != a.ack
    client.ack(again[0])
    client.settle(a, "receipt:1")
    client.expect_error("unknown ack", receipt="1")


@every_version
@pytest.mark.item(94)
@both_client_modes
def test_topic_messages_are_acknowledged_as_well(talk, publish, topic, version, mode):
    client = talk(version)
    client.subscribe(topic, "prefetch-count:1", ack=mode)
    for body in "ab":
        publish(topic, body)
    a = client.expect_message(topic, "a")
    client.expect_nothing()
    client.nack(a, "delay:0")
    client.ack(client.expect_message(topic, "a", redelivered=True))
    client.expect_message(topic, "b")
