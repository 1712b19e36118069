"""`browser:true` on SUBSCRIBE to a queue: it is shown what waits there, and takes nothing."""

import pytest
from harness.frames import every_version, frame, receipt

END = ("message-id:0", "browser:end")


def subscribe(client, queue, *headers, id="b"):
    client.send(frame("SUBSCRIBE", f"id:{id}", f"destination:{queue}", "browser:true", *headers))


def heard(client, count):
    """(body, lines) of so many frames."""
    found = []
    for _ in range(count):
        head, _, body = client.read_frame().partition(b"\n\n")
        found.append((body.rstrip(b"\0\n").decode(), head.decode().split("\n")))
    return found


def fill(client, queue, *bodies):
    for body in bodies:
        client.publish(queue, body)
    client.roundtrip()


@every_version
@pytest.mark.item(74)
@pytest.mark.parametrize("value", ["true", "True"])
def test_what_waits_is_seen_and_then_the_end(talk, queue, version, value):
    client, other = talk(version), talk(version)
    fill(client, queue, "a", "b", "c")
    client.send(frame("SUBSCRIBE", "id:b", f"destination:{queue}", f"browser:{value}", "receipt:r"))
    client.expect(receipt("r"))
    *seen, (body, lines) = heard(client, 4)
    assert [body for body, _ in seen] == ["a", "b", "c"]
    assert lines == ["MESSAGE", "subscription:b", END[0], f"destination:{queue}", END[1]]
    assert body == ""
    fill(other, queue, "d")
    client.expect_nothing()
    other.subscribe(queue)
    other.expect_bodies(queue, ["a", "b", "c", "d"])
    client.expect_nothing()


@every_version
@pytest.mark.item(74)
def test_in_the_order_of_priorities(talk, queue, version):
    client = talk(version)
    for body, priority in (("a", 4), ("b", 0), ("c", 9)):
        client.publish(queue, body, f"priority:{priority}")
    client.roundtrip()
    subscribe(client, queue)
    assert [body for body, _ in heard(client, 4)] == ["c", "a", "b", ""]


@every_version
@pytest.mark.item(74)
def test_who_stays_sees_what_comes(talk, queue, version):
    client, sender, taker = talk(version), talk(version), talk(version)
    subscribe(client, queue, "browser-end:false")
    client.roundtrip()
    taker.subscribe(queue)
    taker.roundtrip()
    for body in "abc":
        sender.publish(queue, body)
        assert [body for body, _ in heard(client, 1)] == [body]
        taker.expect_message(queue, body)
    client.unsubscribe("b")
    sender.publish(queue, "d")
    taker.expect_message(queue, "d")
    client.expect_nothing()


@every_version
@pytest.mark.item(74)
@pytest.mark.parametrize(("since", "expected"), [("0", "abc"), ("2", "bc"), ("-1", "")])
def test_numbers(talk, queue, version, since, expected):
    client = talk(version)
    fill(client, queue, *"abc")
    subscribe(client, queue, "include-seq:seq", f"from-seq:{since}")
    *seen, _ = heard(client, len(expected) + 1)
    assert "".join(body for body, _ in seen) == expected
    for body, lines in seen:
        assert f"seq:{' abc'.index(body)}" in lines


@every_version
@pytest.mark.item(74)
def test_with_a_selector(talk, queue, version):
    client = talk(version)
    for body in "abc":
        client.publish(queue, body, f"name:{body}")
    client.roundtrip()
    subscribe(client, queue, "selector:name <> 'b'")
    assert [body for body, _ in heard(client, 3)] == ["a", "c", ""]


@every_version
@pytest.mark.item(74)
@pytest.mark.parametrize("mode", ["client", "client-individual"])
def test_acknowledging_all_that_comes(talk, queue, version, mode):
    client, other = talk(version), talk(version)
    fill(client, queue, "a", "b", "c")
    subscribe(client, queue, f"ack:{mode}", "credit:1")
    for expected in ("a", "b", "c", ""):
        [(body, lines)] = heard(client, 1)
        assert body == expected
        values = dict(line.split(":", 1) for line in lines[1:])
        named = [f"id:{values['ack']}"] if version == "1.2" else [f"message-id:{values['message-id']}"]
        client.send(frame("ACK", *named, *(["subscription:b"] if version == "1.1" else [])))
    client.roundtrip()
    other.subscribe(queue)
    other.expect_bodies(queue, ["a", "b", "c"])


@every_version
@pytest.mark.item(74)
def test_nothing_can_be_refused(talk, queue, version):
    if version == "1.0":
        pytest.skip("1.0 has no NACK")
    client, other = talk(version), talk(version)
    fill(other, queue, "a")
    subscribe(client, queue, "ack:client")
    (_, lines), _ = heard(client, 2)
    values = dict(line.split(":", 1) for line in lines[1:])
    named = [f"id:{values['ack']}"] if version == "1.2" else [f"message-id:{values['message-id']}", "subscription:b"]
    client.send(frame("NACK", *named, "receipt:n"))
    assert client.expect_error("unknown ack", receipt="n").startswith("A browser is shown")
    other.subscribe(queue)
    other.expect_bodies(queue, ["a"])


@every_version
@pytest.mark.item(74)
def test_a_queue_that_is_not_there(talk, queue, version):
    client = talk(version)
    subscribe(client, queue)
    assert [lines[-1] for _, lines in heard(client, 1)] == [END[1]]
    client.send(frame("SUBSCRIBE", "id:2", f"destination:/amq{queue}", "receipt:r"))
    client.expect_error("no such queue", receipt="r")


@every_version
@pytest.mark.item(74)
def test_topics_have_a_history(talk, topic, version):
    client = talk(version)
    client.send(frame("SUBSCRIBE", "id:1", f"destination:{topic}", "browser:true", "receipt:1"))
    assert client.expect_error("bad header", receipt="1") == "browser is for queues; a topic has a history.\n"


@every_version
@pytest.mark.item(74)
@pytest.mark.parametrize("header", ["from-seq:-2", "include-seq:destination", "include-seq:a b", "browser-end:perhaps"])
def test_what_cannot_be_understood(talk, queue, version, header):
    client = talk(version)
    subscribe(client, queue, header, "receipt:1")
    assert header.partition(":")[0] in client.expect_error("bad header", receipt="1")


@every_version
@pytest.mark.item(74)
def test_a_consumer_that_wants_to_begin_in_the_middle(talk, queue, version):
    client = talk(version)
    client.send(frame("SUBSCRIBE", "id:1", f"destination:{queue}", "from-seq:7", "receipt:1"))
    assert client.expect_error("bad header", receipt="1").startswith("from-seq is for topics, and for a queue with")


@every_version
@pytest.mark.item(74)
def test_a_reset_in_the_middle(talk, queue, version):
    sender, client, other = talk(version), talk(version), talk(version)
    for _ in range(200):
        sender.publish(queue, "x" * 10_000)
    sender.roundtrip()
    subscribe(client, queue, "browser-end:false")
    heard(client, 3)
    client.reset()
    other.subscribe(queue)
    other.expect_bodies(queue, ["x" * 10_000] * 200)
