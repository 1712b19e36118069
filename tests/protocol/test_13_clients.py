"""What real clients put on the wire, and what they need back."""

import re

import pytest
from harness.frames import every_version, frame, from_1_1, only_1_2, receipt

CONNECTED_OLD = "CONNECTED\nsession:<short-session>\nversion:1.0\nheart-beat:0,0\n\n\0\n"
MADE_BY_BROKER = rb"[A-Za-z0-9._/-]+"


def message(destination, body, *headers, ack=False, subscription=""):
    """A MESSAGE of a subscription with or without an id."""
    lines = [f"subscription:{subscription}"] if subscription else []
    lines += ["message-id:<message-id>", *(["ack:<ack>"] if ack else [])]
    return frame("MESSAGE", *lines, f"destination:{destination}", *headers, body=body) + b"\n"


@pytest.fixture
def dial_old(dial):
    """A connection that begins with the bytes of an old client, which gets a session of 1.0."""

    def connect(first):
        client = dial()
        client.version = "1.0"
        client.send(first)
        client.expect(CONNECTED_OLD)
        return client

    return connect


# What the broker sends


@every_version
@pytest.mark.rule(1)
@pytest.mark.over("tcp")
def test_every_frame_ends_with_nul_and_one_line_feed(dial, queue, version):
    client = dial()
    client.send(
        frame("CONNECT", f"accept-version:{version}", "host:x"),
        frame("SUBSCRIBE", "id:1", f"destination:{queue}", "receipt:1"),
        frame("SEND", f"destination:{queue}", body="x"),
        frame("SEND", f"destination:{queue}", "content-length:1", body="y"),
        frame("NONSENSE"),
    )
    got = client.read_all()
    assert len(re.findall(rb"\0\n(?=[A-Z]|\Z)", got)) == got.count(b"\0") == 5


@pytest.mark.rule(1)
def test_no_line_feed_for_the_client_that_loses_frames_by_it(dial, queue):
    client = dial()
    client.frame_end = b"\0"
    client.version = "1.0"
    client.send("CONNECT\npasscode:guest\ncontent-length:\nlogin:guest\n\n\0")
    client.expect(CONNECTED_OLD.removesuffix("\n"))
    client.send(frame("SUBSCRIBE", f"destination:{queue}"))
    client.send(frame("SEND", f"destination:{queue}", "content-length:2", body="hi") * 2)
    client.expect(message(queue, "hi", "content-length:2").removesuffix(b"\n"))
    client.expect(message(queue, "hi", "content-length:2").removesuffix(b"\n"))


@every_version
@pytest.mark.rule(3)
def test_connected_has_session_version_and_heart_beat(dial, version):
    client = dial()
    client.send(frame("CONNECT", f"accept-version:{version}", "host:x"))
    names = [line.split(b":")[0] for line in client.read_frame().split(b"\n\n")[0].split(b"\n")[1:]]
    assert {b"session", b"version", b"heart-beat"} <= set(names)


@pytest.mark.rule(3)
def test_connected_without_accept_version_has_a_fixed_length(dial_old):
    dial_old("CONNECT\n\n\0")


@only_1_2
@pytest.mark.rule(4)
def test_values_of_the_broker_use_plain_characters(dial, publish, queue, version):
    client = dial()
    client.send(frame("CONNECT", f"accept-version:{version}", "host:x"))
    client.send(frame("SUBSCRIBE", "id:1", f"destination:{queue}", "ack:client"))
    connected = client.read_frame()
    publish(queue, "x")
    for line in [*connected.split(b"\n")[2:4], *client.read_frame().split(b"\n")[2:4]]:
        name, value = line.split(b":", 1)
        assert name in (b"session", b"server", b"message-id", b"ack")
        assert re.fullmatch(MADE_BY_BROKER, value)


@pytest.mark.rule(5)
def test_subscription_only_when_the_subscribe_had_an_id(talk, publish, topic):
    client = talk("1.0")
    client.subscribe(topic, id="")
    client.subscribe(topic, id="a")
    publish(topic, "x")
    client.expect_message(topic, "x", id="")
    client.expect_message(topic, "x", id="a")


@every_version
@pytest.mark.rule(6)
@pytest.mark.parametrize("headers", [[], ["content-length:1"]])
def test_content_length_when_the_sender_gave_it(talk, publish, queue, version, headers):
    client = talk(version)
    client.subscribe(queue)
    publish(queue, "x", *headers)
    client.expect_message(queue, "x", *headers)


@every_version
@pytest.mark.rule(7)
def test_message_id_stays_when_delivered_again(talk, publish, queue, version):
    client, heir = talk(version), talk(version)
    client.subscribe(queue, ack="client-individual")
    publish(queue, "x")
    ids = {client.expect_message(queue, "x").message_id}
    client.close()
    heir.subscribe(queue, ack="client-individual")
    message = heir.expect_message(queue, "x", redelivered=True)
    heir.nack(message)
    ids |= {message.message_id, heir.expect_message(queue, "x", redelivered=True).message_id}
    assert len(ids) == 1


@every_version
@pytest.mark.rule(8)
def test_receipts_come_in_order_and_before_the_first_message(talk, publish, queue, version):
    publish(queue, "x")
    client = talk(version)
    client.ack_modes["1"] = "auto"
    client.send(
        frame("BEGIN", "transaction:t", "receipt:1"),
        frame("SEND", f"destination:{queue}", "transaction:t", "receipt:2", body="y"),
        frame("SUBSCRIBE", "id:1", f"destination:{queue}", "receipt:3"),
    )
    for name in "123":
        client.expect(receipt(name))
    client.expect_message(queue, "x")


@every_version
@pytest.mark.rule(9)
def test_error_names_the_culprit_and_arrives(talk, version):
    client = talk(version)
    client.send(frame("SUBSCRIBE", "id:1", "destination:/nowhere/x", "receipt:7"), frame("BEGIN") * 1000)
    client.expect_error("unknown destination", receipt="7")


@every_version
@pytest.mark.rule(10)
@pytest.mark.parametrize("mode", ["client", "client-individual"])
def test_unacknowledged_messages_go_back_to_the_front_in_order(talk, publish, queue, version, mode):
    client, heir = talk(version), talk(version)
    client.subscribe(queue, "prefetch-count:3", ack=mode)
    for body in "abcde":
        publish(queue, body)
    client.expect_bodies(queue, "abc")
    client.send(frame("DISCONNECT", "receipt:bye"))
    client.expect(receipt("bye"))
    client.expect_end()
    heir.subscribe(queue)
    for body in "abc":
        heir.expect_message(queue, body, redelivered=True)
    heir.expect_bodies(queue, "de")


@every_version
@pytest.mark.rule(11)
def test_unknown_headers_are_relayed_with_duplicates(talk, publish, queue, version):
    headers = ["x:1", "y:2", "x:1", "x:3"]
    client = talk(version)
    client.subscribe(queue)
    publish(queue, "b", *headers, "message-id:forged", "subscription:forged", "ack:forged", "redelivered:true")
    client.expect_message(queue, "b", *headers)


# What the broker accepts


@every_version
@pytest.mark.rule(12)
@pytest.mark.parametrize("between", ["\0", "\0\0\0", "\n\0\n", "\0\n\n\0", "\r\n\0\r\n"])
def test_line_ends_and_nuls_between_frames(talk, version, between):
    client = talk(version)
    client.send(between, frame("BEGIN", "transaction:t", "receipt:1"), between, frame("DISCONNECT", "receipt:2"))
    client.expect(receipt("1"))
    client.expect(receipt("2"))


@every_version
@pytest.mark.rule(12)
def test_nul_within_the_headers_ends_the_frame(talk, version):
    client = talk(version)
    client.send("BEGIN\ntransaction:t\nreceipt:1\n\0DISCONNECT\nreceipt:2\n\0")
    client.expect(receipt("1"))
    client.expect(receipt("2"))


@every_version
@pytest.mark.rule(12)
@pytest.mark.parametrize("ending", ["\n\0", "\0"])
def test_send_that_forgets_the_blank_line(talk, queue, version, ending):
    client = talk(version)
    client.subscribe(queue)
    client.send(f"SEND\nx:1\ndestination:{queue}{ending}", frame("SEND", f"destination:{queue}", body="next"))
    client.expect(message(queue, "", subscription="1").replace(b"destination", b"x:1\ndestination"))
    client.expect_message(queue, "next")


@every_version
@pytest.mark.rule(12, 14)
def test_send_that_forgets_the_blank_line_and_counts_a_body(talk, queue, version):
    """Its subscribers would take what comes next for the body."""
    client = talk(version)
    client.send(f"SEND\ndestination:{queue}\ncontent-length:5\n\0")
    client.expect_error("malformed frame")


@every_version
@pytest.mark.rule(12, 14)
@pytest.mark.parametrize("stray", ["\0", "BEGIN\ntransaction:t\n\0"])
def test_strict_refuses_stray_nuls(talk, broker_with, version, stray):
    client = talk(version, to=broker_with(strict=True))
    client.send(stray)
    client.expect_error("malformed frame")


@every_version
@pytest.mark.rule(13)
@pytest.mark.parametrize("length", ["0", "1", "3", "100", "4194304"])
@pytest.mark.parametrize("body", ["", "None", "\n"])
def test_wrong_content_length_of_other_frames_is_ignored(talk, version, length, body):
    client = talk(version)
    client.send(frame("BEGIN", "transaction:t", f"content-length:{length}", "receipt:1", body=body))
    client.send(frame("DISCONNECT", f"content-length:{length}", "receipt:2", body=body))
    client.expect(receipt("1"))
    client.expect(receipt("2"))


@every_version
@pytest.mark.rule(14)
def test_empty_content_length_counts_as_absent(talk, publish, queue, version):
    client = talk(version)
    client.subscribe(queue)
    publish(queue, "hello", "content-length:")
    client.expect_message(queue, "hello")


@every_version
@pytest.mark.rule(14)
def test_lenient_content_length(talk, broker_with, queue, version):
    client = talk(version, to=broker_with(compat={"lenient_content_length": True}))
    client.subscribe(queue)
    client.send(frame("SEND", f"destination:{queue}", "content-length:3", body="hello"))
    client.send(frame("SEND", f"destination:{queue}", "content-length:3", body="a\0b"))
    client.send(frame("SEND", f"destination:{queue}", "content-length:3", body="a\0bc"))
    client.expect_message(queue, "hello")
    client.expect_message(queue, "a\0b", "content-length:3")
    client.expect_message(queue, "a\0bc", "content-length:4")


@pytest.mark.rule(15)
def test_blanks_are_trimmed_in_1_0(dial_old, publish, queue):
    client = dial_old("CONNECT\n login : guest\npasscode: guest \n\n\0")
    client.send(f"SUBSCRIBE\ndestination: {queue} \n id : 7\nack: client\nreceipt: 1\n\n\0")
    client.expect(receipt("1"))
    publish(queue, "x")
    client.expect(message(queue, "x", subscription="7"))


@from_1_1
@pytest.mark.rule(15)
def test_blanks_are_trimmed_in_connect_and_kept_behind_it(dial, version):
    client = dial()
    client.send(f"CONNECT\naccept-version: {version}\n host : x\nheart-beat: 0,0 \n\n\0")
    client.send("BEGIN\ntransaction:t\nreceipt: 1 \n\n\0")
    client.expect(f"CONNECTED\nversion:{version}\nsession:<session>\nserver:<server>\nheart-beat:<beat>\n\n\0\n")
    client.expect(receipt(" 1 "))


@every_version
@pytest.mark.rule(16)
def test_short_names_of_commands(talk, publish, topic, version):
    client = talk(version)
    client.ack_modes["1"] = "auto"
    client.send(frame("SUB", "id:1", f"destination:{topic}", "receipt:1"))
    client.expect(receipt("1"))
    publish(topic, "x")
    client.expect_message(topic, "x")
    client.send(frame("UNSUB", "id:1", "receipt:2"))
    client.expect(receipt("2"))
    publish(topic, "x")
    client.expect_nothing()


@every_version
@pytest.mark.rule(17)
def test_frames_right_behind_connect(dial, queue, version):
    client = dial()
    client.send(
        frame("CONNECT", f"accept-version:{version}", "host:x"),
        frame("SUBSCRIBE", "id:1", f"destination:{queue}"),
        frame("SEND", f"destination:{queue}", body="x"),
    )
    assert client.read_frame().startswith(b"CONNECTED\n")
    client.expect(message(queue, "x", subscription="1"))


@pytest.mark.rule(18)
def test_individual_acks_and_nack_in_1_0(talk, publish, queue):
    client = talk("1.0")
    client.subscribe(queue, ack="client-individual")
    for body in "ab":
        publish(queue, body)
    a, b = client.expect_bodies(queue, "ab")
    client.ack(b)
    client.nack(a)
    client.expect_message(queue, "a", redelivered=True)


@pytest.mark.rule(18)
@pytest.mark.parametrize("beside", [["message-id:wrong"], ["subscription:wrong"], ["message-id:w", "subscription:w"]])
def test_1_2_ignores_the_ack_headers_of_1_1(talk, publish, queue, beside):
    client = talk("1.2")
    client.subscribe(queue, ack="client")
    publish(queue, "x")
    client.ack(client.expect_message(queue, "x"), *beside)


@every_version
@pytest.mark.rule(19)
@pytest.mark.parametrize("name", ["{}", "{}.test", "{} a"])
def test_bare_destination_is_a_queue(talk, publish, queue, version, name):
    name = name.format(queue.removeprefix("/queue/"))
    client = talk(version)
    client.subscribe(f"/queue/{name}")
    publish(name, "x")
    client.expect_message(name, "x")


@every_version
@pytest.mark.rule(20)
def test_headers_of_other_brokers_on_connect(dial, version):
    client = dial()
    client.send(frame("CONNECT", f"accept-version:{version}", "host:x", "client-id:me", "request-id:ID-1"))
    assert b"\nresponse-id:ID-1\n" in client.read_frame()


@every_version
@pytest.mark.rule(20)
@pytest.mark.parametrize(
    "headers",
    [
        ["durable:false", "auto-delete:true", "exclusive:false", "x-priority:1", "x-max-length:10", "x-expires:100"],
        ["activemq.noLocal:false", "activemq.exclusive:false", "activemq.priority:5", "activemq.retroactive:false"],
        ["activemq.dispatchAsync:true", "activemq.maximumPendingMessageLimit:10", "transformation:jms-xml"],
        ["consumer-window-size:1000", "no-local:false", "subscription-type:ANYCAST"],
        ["browser:false", "include-seq:seq", "persistent:false"],
    ],
)
def test_headers_of_other_brokers_on_subscribe(talk, publish, queue, version, headers):
    client = talk(version)
    client.subscribe(queue, *headers)
    publish(queue, "x")
    client.expect_message(queue, "x")


@every_version
@pytest.mark.rule(20)
@pytest.mark.parametrize("header", ["prefetch-count:2", "activemq.prefetchSize:2", "credit:2", "credit:2,1000,true"])
def test_prefetch_headers_of_other_brokers(talk, publish, queue, version, header):
    client = talk(version)
    client.subscribe(queue, header, ack="client-individual")
    for body in "abc":
        publish(queue, body)
    a, _ = client.expect_bodies(queue, "ab")
    client.expect_nothing()
    client.settle(a)
    client.expect_message(queue, "c")


@every_version
@pytest.mark.rule(20)
@pytest.mark.parametrize("value", ["0", "1000000", "4294967296", "9999999999"])
def test_prefetch_without_bound_is_the_brokers(talk, publish, queue, version, value):
    client = talk(version)
    client.subscribe(queue, f"prefetch-count:{value}", ack="client")
    for body in "abc":
        publish(queue, body)
    client.expect_bodies(queue, "abc")


@every_version
@pytest.mark.rule(20)
@pytest.mark.parametrize("value", ["", "x", "-1", "1.5", "9" * 30])
def test_prefetch_must_be_a_number(talk, queue, version, value):
    client = talk(version)
    client.send(frame("SUBSCRIBE", "id:1", f"destination:{queue}", f"prefetch-count:{value}", "receipt:1"))
    client.expect_error("bad header", receipt="1")


@every_version
@pytest.mark.rule(21)
def test_nack_delivers_again_unless_told_otherwise(talk, publish, queue, version):
    client = talk(version)
    client.subscribe(queue, ack="client-individual")
    publish(queue, "x")
    client.nack(client.expect_message(queue, "x"))
    client.nack(client.expect_message(queue, "x", redelivered=True), "requeue:true")
    client.nack(client.expect_message(queue, "x", redelivered=True), "requeue:false")
    client.expect_nothing()


# Bytes that clients were seen to send, in the order of the list


@pytest.fixture
def give(publish, queue):
    """Send a message to `queue`, let the client read it, and return the message-id."""

    def deliver(client, subscription=""):
        publish(queue, "x")
        return client.expect(message(queue, "x", subscription=subscription))["message_id"]

    return deliver


@pytest.mark.rule(14)
def test_empty_content_length(dial, publish, queue):
    client = dial()
    client.frame_end = b"\0"
    client.send("CONNECT\npasscode:guest\ncontent-length:\nlogin:guest\n\n\0")
    client.expect(CONNECTED_OLD.removesuffix("\n"))
    client.send(frame("SUBSCRIBE", f"destination:{queue}", "ack:client", "receipt:1"))
    client.expect("RECEIPT\nreceipt-id:1\n\n\0")
    publish(queue, "x")
    got = client.expect(message(queue, "x").removesuffix(b"\n"))
    client.send(f"ACK\ncontent-length:\nmessage-id:{got['message_id']}\n\n\0DISCONNECT\nreceipt:2\n\n\0")
    client.expect("RECEIPT\nreceipt-id:2\n\n\0")


@pytest.mark.rule(13)
def test_line_feed_as_body(dial_old):
    client = dial_old("CONNECT\n\n\n\0")
    client.send("DISCONNECT\n\n\n\0")
    client.expect_end()


@pytest.mark.rule(15)
def test_blanks_behind_colons(dial_old):
    client = dial_old("CONNECT\npasscode: guest\nlogin: guest\n\n\0")
    client.send(
        "SUBSCRIBE\ndestination: /queue/poe\nack: client\n\n\0",
        "SEND\ndestination: /queue/poe\ncontent-length: 3\n\nhi1\0",
    )
    got = client.expect(message("/queue/poe", "hi1", "content-length:3"))
    client.send(f"ACK\nmessage-id: {got['message_id']}\nreceipt: 1\n\n\0")
    client.expect(receipt("1"))


@pytest.mark.rule(12)
def test_line_feed_behind_nul(dial_old, give, queue):
    client = dial_old("CONNECT\nlogin: guest\npasscode: guest\ncontent-length: 0\n\n\0\n")
    client.send(f"SUBSCRIBE\ndestination: {queue}\nack: client\ncontent-length: 0\nreceipt: 1\n\n\0\n")
    client.expect(receipt("1"))
    client.send(f"ACK\nmessage-id: {give(client)}\ncontent-length: 0\n\n\0\n")
    client.expect_nothing()


@pytest.mark.rule(13)
def test_body_none(dial_old, give, queue):
    client = dial_old("CONNECT\npasscode:guest\nx-client:127.0.0.1\nlogin:guest\n\nNone\0")
    client.send(f"SUBSCRIBE\nack:client\ndestination:{queue}\nx-client:127.0.0.1\nreceipt:1\n\nNone\0")
    client.expect(receipt("1"))
    client.send(f"ACK\nx-client:127.0.0.1\nmessage-id:{give(client)}\n\nNone\0")
    client.expect_nothing()


@pytest.mark.rule(13)
def test_ack_with_the_content_length_of_its_message(dial_old, give, queue):
    client = dial_old("CONNECT\nlogin:\npasscode:\n\n\0")
    client.send(f"SUBSCRIBE\nack:client\ndestination:{queue}\nreceipt:1\n\n\0")
    client.expect(receipt("1"))
    client.send(f"ACK\ndestination:{queue}\nmessage-id:{give(client)}\ncontent-length:3\n\n\0")
    client.expect_nothing()


@pytest.mark.rule(13, 16)
def test_counted_nul_as_body(dial_old, publish, queue):
    client = dial_old("CONNECT\nlogin:guest\npasscode:guest\ncontent-length:1\n\n\0\0\n")
    client.send("SUB\ndestination:/queue/apr\ncontent-length:1\n\n\0\0\n")
    publish("/queue/apr", "x")
    client.expect(message("/queue/apr", "x"))


@pytest.mark.rule(12)
def test_no_blank_line(dial_old):
    client = dial_old("CONNECT\nlogin:guest\npasscode:guest\n\n\0")
    client.send("DISCONNECT\nreceipt:123e4567-e89b-12d3-a456-426614174000\n\0")
    client.expect(receipt("123e4567-e89b-12d3-a456-426614174000"))
    client.expect_end()


def test_one_segment_for_each_line(dial, talk):
    probe = talk()
    client = dial()
    client.version = "1.0"
    first = "CONNECT\nlogin:guest\npasscode:guest\ncontent-length:0\ncontent-type:text/plain; charset=UTF-8\n\n\0"
    for line in first.splitlines(keepends=True):
        client.send(line)
        probe.roundtrip()
    client.expect(CONNECTED_OLD)


@pytest.mark.rule(16)
def test_heart_beat_without_accept_version(dial_old):
    dial_old("CONNECT\nheart-beat:60000,0\nhost:/\nlogin:guest\npasscode:guest\n\n\0").expect_nothing()


@pytest.mark.rule(16)
def test_stomp_without_host(dial):
    client = dial()
    client.send("STOMP\naccept-version:1.1\nlogin:guest\npasscode:guest\n\n\0")
    client.expect("CONNECTED\nversion:1.1\nsession:<session>\nserver:<server>\nheart-beat:<beat>\n\n\0\n")


@pytest.mark.rule(17)
def test_all_in_one_write(dial, queue):
    client = dial()
    client.send(
        "CONNECT\naccept-version:1.1\nheart-beat:1000,1000\nlogin:guest\npasscode:guest\n\n\0"
        f"SUBSCRIBE\nid:0\ndestination:{queue}\nack:auto\n\n\0SEND\ndestination:{queue}\n\nhello\0"
    )
    client.expect("CONNECTED\nversion:1.1\nsession:<session>\nserver:<server>\nheart-beat:<beat>\n\n\0\n")
    client.expect(message(queue, "hello", subscription="0"))


@from_1_1
@pytest.mark.rule(18)
def test_ack_with_the_headers_of_all_versions(talk, publish, queue, version):
    client = talk(version)
    client.subscribe(queue, ack="client-individual")
    publish(queue, "x")
    delivery = client.expect_message(queue, "x")
    value = delivery.ack or delivery.message_id
    client.send(f"ACK\nsubscription:1\nmessage-id:{value}\nid:{value}\n\n\0\n")
    client.expect_nothing()


def test_whole_life_in_one_write(dial, talk):
    watcher = talk()
    watcher.subscribe("/queue/simp")
    client = dial()
    client.send(
        "CONNECT\nlogin:guest\npasscode:guest\nvirtual-host:/\nrealm:/data\n\n\0"
        "SEND\ndestination:/queue/simp\nreceipt:ok\n\nhello\0DISCONNECT\n\n\0"
    )
    client.expect(CONNECTED_OLD)
    client.expect(receipt("ok"))
    client.expect_end()
    watcher.expect_message("/queue/simp", "hello")


@pytest.mark.rule(16, 20)
def test_jms_bridge_of_1_0(dial_old, publish):
    client = dial_old("CONNECT\nclient-id:ID:h-1-1:0\nlogin:\npasscode:\n\n\0\n")
    client.send(
        "SUBSCRIBE\nreceipt:4\ndestination:/queue/jms\nid:ID:h-1-1:0:0:0\nack:client\n"
        "activemq.dispatchAsync:true\nactivemq.prefetchSize:1000\n\n\0\n"
    )
    client.expect(receipt("4"))
    publish("/queue/jms", "x")
    got = client.expect(message("/queue/jms", "x", subscription="ID:h-1-1:0:0:0"))
    client.send(f"ACK\nreceipt:ignore:7\nmessage-id:{got['message_id']}\n\n\0\n")
    client.expect(receipt("ignore:7"))


@from_1_1
@pytest.mark.rule(20)
def test_jms_bridge_of_1_1(talk, publish, queue, version):
    client = talk(version)
    client.ack_modes[r"ID\ch-1-2\c0\c1\c1"] = "client"
    client.send(
        f"SUBSCRIBE\nreceipt:3\ndestination:{queue}\nid:ID\\ch-1-2\\c0\\c1\\c1\nack:client\n"
        "transformation:jms-xml\nactivemq.dispatchAsync:False\n\n\0"
    )
    client.expect(receipt("3"))
    publish(queue, "x")
    client.expect_message(queue, "x", id=r"ID\ch-1-2\c0\c1\c1")


@every_version
@pytest.mark.rule(14)
def test_characters_counted_instead_of_bytes(talk, broker_with, queue, version):
    counted = f"SEND\ndestination:{queue}\ncontent-length:4\n\nżółć\0"
    client = talk(version)
    client.send(counted)
    client.expect_error("malformed frame")
    client = talk(version, to=broker_with(compat={"lenient_content_length": True}))
    client.subscribe(queue)
    client.send(counted)
    client.expect_message(queue, "żółć")


@every_version
def test_line_feed_at_the_end_of_a_body_stays(talk, queue, version):
    client = talk(version)
    client.subscribe(queue)
    client.send(f"SEND\ndestination:{queue}\n\nbody\n\0")
    client.expect_message(queue, "body\n")
