"""Soft errors: a frame that fails for itself alone does not end the connection of who asked for that."""

from __future__ import annotations

import pytest
from harness.frames import VERSIONS, every_version, frame, receipt

MOST = 100


@pytest.fixture
def softly(dial):
    """Log in as somebody who asks for it."""

    def connect(version="1.2"):
        client = dial()
        client.version = version
        client.send(frame("CONNECT", f"accept-version:{version}", "host:x", "soft-errors:true"))
        client.expect(
            f"CONNECTED\nversion:{version}\nsession:<session>\nserver:<server>\nheart-beat:<beat>\n"
            "soft-errors:true\n\n\0\n"
        )
        return client

    return connect


def expect_soft(client, message, command, *, id="", name="", number=1):
    """The soft error of a frame, and the text for people in it."""
    lines = [
        "subscription:errors",
        f"message-id:errors-{number}",
        "destination:/errors",
        f"command:{command}",
        *([f"id:{id}"] if id else []),
        *([f"receipt-id:{name}"] if name else []),
        f"message:{message}",
        "content-type:text/plain;charset=utf-8",
        "content-length:<length>",
    ]
    got = client.expect("MESSAGE\n" + "".join(f"{line}\n" for line in lines) + "\n<text>\0\n")
    assert int(got["length"]) == len(got["text"].encode())
    return got["text"]


@every_version
def test_what_comes_before_and_behind_is_done_in_order(softly, queue, version):
    client = softly(version)
    client.send(
        frame("SEND", f"destination:{queue}", "receipt:a", body="1"),
        frame("SEND", "destination:/nowhere", "receipt:b", body="2"),
        frame("SEND", f"destination:{queue}", "receipt:c", body="3"),
        frame("SUBSCRIBE", "id:1", f"destination:{queue}", "receipt:d"),
    )
    client.expect(receipt("a"))
    assert "/nowhere" in expect_soft(client, "unknown destination", "SEND", name="b")
    client.expect(receipt("c"))
    client.expect(receipt("d"))
    client.ack_modes["1"] = "auto"
    client.expect_bodies(queue, "13")


SOFT = [
    ("SUBSCRIBE", ["id:7", "destination:/queue/a", "ack:maybe"], "bad ack mode", "7"),
    ("SUBSCRIBE", ["id:7", "destination:/reply-queue/a"], "bad destination", "7"),
    ("SUBSCRIBE", ["id:7", "destination:/amq/queue/none.such"], "no such queue", "7"),
    ("SUBSCRIBE", ["id:7"], "missing header", "7"),
    ("SUBSCRIBE", ["id:errors", "destination:/queue/a"], "duplicate subscription", "errors"),
    ("UNSUBSCRIBE", ["id:none"], "unknown subscription", "none"),
    ("ACK", ["id:17-3", "message-id:17-3", "subscription:1"], "unknown ack", "17-3"),
    ("NACK", ["id:17-3", "message-id:17-3", "subscription:1"], "unknown ack", "17-3"),
    ("SEND", ["destination:/topic/a.*"], "pattern not allowed", ""),
    ("SEND", ["destination:/topic/nobody.here", "mandatory:true"], "nobody there", ""),
    ("SEND", ["destination:/queue/a", "priority:high"], "bad header", ""),
    ("SEND", [], "missing header", ""),
]


@every_version
@pytest.mark.parametrize(("command", "headers", "message", "id"), SOFT, ids=[f"{row[0]}-{row[2]}" for row in SOFT])
def test_what_is_soft(softly, version, command, headers, message, id):
    client = softly(version)
    client.send(frame(command, *headers))
    expect_soft(client, message, command, id=id)
    client.send(frame(command, *headers, "receipt:r"))
    expect_soft(client, message, command, id=id, name="r", number=2)
    client.roundtrip()


HARD = [
    (frame("CONNECT", "accept-version:1.2", "host:x"), "already connected"),
    (frame("FLY"), "unknown command"),
    (b"SEND\nno colon\n\n\0", "malformed frame"),
    (frame("COMMIT", "transaction:t"), "unknown transaction"),
    (frame("SEND", "destination:/queue/a", "transaction:t"), "unknown transaction"),
    (frame("BEGIN", "transaction:t") + frame("SEND", "destination:/nowhere", "transaction:t"), "unknown destination"),
    (frame("BEGIN", "transaction:t") + frame("BEGIN", "transaction:t"), "duplicate transaction"),
]


@every_version
@pytest.mark.parametrize(("frames", "message"), HARD)
def test_what_leaves_a_doubt_is_hard(softly, version, frames, message):
    client = softly(version)
    client.send(frames)
    client.expect_error(message)


@every_version
def test_who_does_not_ask_gets_an_error(talk, version):
    client = talk(version)
    client.send(frame("UNSUBSCRIBE", "id:none"))
    client.expect_error("unknown subscription")


@every_version
@pytest.mark.parametrize("value", ["false", "FALSE"])
def test_who_says_no_gets_an_error(talk, version, value):
    client = talk(version, f"soft-errors:{value}")
    client.send(frame("UNSUBSCRIBE", "id:none"))
    client.expect_error("unknown subscription")


def test_anything_else_is_no_answer(dial):
    client = dial()
    client.send(frame("CONNECT", "accept-version:1.2", "host:x", "soft-errors:perhaps"))
    assert "soft-errors" in client.expect_error("bad header")


@every_version
def test_the_same_header_lines_again_are_not_taken_for_those_before(softly, queue, version):
    """What failed has left no route behind that its repetition could go by."""
    client = softly(version)
    good, bad = frame("SEND", f"destination:{queue}", body="x"), frame("SEND", "destination:/topic/a.*", body="x")
    client.send(good, bad, bad, good)
    for number in (1, 2):
        expect_soft(client, "pattern not allowed", "SEND", number=number)
    client.subscribe(queue)
    client.expect_bodies(queue, "xx")
    client.expect_nothing()


@every_version
def test_to_acknowledge_one_is_no_error(softly, version):
    client = softly(version)
    client.send(frame("UNSUBSCRIBE", "id:none"))
    expect_soft(client, "unknown subscription", "UNSUBSCRIBE", id="none")
    client.send(frame("ACK", "id:errors-1", "message-id:errors-1", "subscription:errors", "receipt:r"))
    client.expect(receipt("r"))


@every_version
def test_text_of_the_client_comes_back_as_its_version_writes_it(softly, version):
    client = softly(version)
    id = "ą:b" if version == "1.0" else r"ą\cb"
    client.send(frame("UNSUBSCRIBE", f"id:{id}", f"receipt:{id}"))
    expect_soft(client, "unknown subscription", "UNSUBSCRIBE", id=id, name=id)


@pytest.mark.parametrize("version", VERSIONS[2:])
def test_a_flood_of_them_ends_in_an_error(softly, version):
    client = softly(version)
    client.send(*[frame("UNSUBSCRIBE", "id:none")] * 20 * MOST)
    told = 0
    while (got := client.read_frame()).startswith(b"MESSAGE\n"):
        told += 1
    assert got.startswith(b"ERROR\nmessage:unknown subscription\n")
    assert MOST <= told < 10 * MOST
    client.expect_end()


@every_version
def test_the_last_frames_of_a_client_are_still_handled(softly, publish, talk, queue, version):
    """Its connection is at its end while soft errors have yet to be told."""
    client = softly(version)
    bad = frame("UNSUBSCRIBE", "id:none")
    client.send(bad, bad, frame("SEND", f"destination:{queue}", body="last"), frame("DISCONNECT", "receipt:bye"))
    for number in (1, 2):
        expect_soft(client, "unknown subscription", "UNSUBSCRIBE", id="none", number=number)
    client.expect(receipt("bye"))
    client.expect_end()
    other = talk(version)
    other.subscribe(queue)
    other.expect_message(queue, "last")
