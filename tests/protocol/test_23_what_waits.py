"""Priority, expiry and last values of messages that wait in a queue."""

import time

import pytest
from harness.frames import every_version, frame


@every_version
def test_the_highest_priority_comes_first(talk, queue, version):
    sender, reader = talk(version), talk(version)
    for body, priority in (("a", 4), ("b", 0), ("c", 9), ("d", 4), ("e", 255)):
        sender.publish(queue, body, f"priority:{priority}")
    sender.roundtrip()
    reader.subscribe(queue)
    for body in "ceadb":
        priority = {"a": 4, "b": 0, "c": 9, "d": 4, "e": 255}[body]
        lines = (f"destination:{queue}", f"priority:{priority}")
        assert body.encode() in read_message(reader, *lines)
    reader.expect_nothing()


def read_message(client, *lines):
    found = client.read_frame()
    assert all(line.encode() in found.split(b"\n") for line in lines), found
    return found.partition(b"\n\n")[2]


@every_version
@pytest.mark.parametrize("name", ["ttl", "expiration", "expires"])
def test_what_has_expired_is_given_to_nobody(talk, queue, version, name):
    sender, reader = talk(version), talk(version)
    soon = int(time.time() * 1000) + 100 if name == "expires" else 100
    sender.publish(queue, "late", f"{name}:{soon}")
    sender.publish(queue, "never", f"{name}:0")
    sender.roundtrip()
    time.sleep(0.2)
    reader.subscribe(queue)
    assert b"never" in read_message(reader)
    reader.expect_nothing()


@every_version
def test_what_expires_with_a_consumer_is_not_given_to_the_next(talk, queue, version):
    client, sender = talk(version), talk(version)
    client.subscribe(queue, ack="client-individual")
    sender.publish(queue, "late", "ttl:300")
    assert b"late" in read_message(client)
    time.sleep(0.4)
    client.send(frame("DISCONNECT"))
    client.expect_end()
    heir = talk(version)
    heir.subscribe(queue)
    heir.expect_nothing()


@every_version
def test_the_newest_of_a_name_takes_the_place_of_older_ones(talk, queue, version):
    sender, reader = talk(version), talk(version)
    for body, name in (("1", "x"), ("2", "y"), ("3", "x"), ("4", "z"), ("5", "x")):
        sender.publish(queue, body, f"_AMQ_LVQ_NAME:{name}")
    sender.roundtrip()
    reader.subscribe(queue)
    for body in "524":
        assert body.encode() in read_message(reader)
    reader.expect_nothing()


@every_version
@pytest.mark.parametrize("header", ["priority:high", "ttl:", "expires:-1", "expiration:1.5"])
def test_a_value_that_says_nothing_is_refused_by_its_name(talk, queue, version, header):
    if version == "1.0" and header.endswith(":"):
        pytest.skip("an empty value is none in 1.0")
    client = talk(version)
    client.send(frame("SEND", f"destination:{queue}", header, "receipt:1", body="x"))
    assert header.partition(":")[0] in client.expect_error("bad header", receipt="1")
