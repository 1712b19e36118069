"""B12: ERROR, DISCONNECT, and the end of a connection."""

import re
import time

import pytest
from harness.frames import every_version, frame, receipt
from harness.waiting import DEADLINE, SOON

SERVER_COMMANDS = ["CONNECTED", "MESSAGE", "RECEIPT", "ERROR"]


@every_version
@pytest.mark.item(109, 116)
def test_connection_is_closed_behind_an_error(talk, broker, version):
    client = talk(version)
    client.send(frame("NONSENSE"))
    client.expect_error("unknown command")
    client.close()
    broker.wait_disconnected(client, "unknown command")


@every_version
@pytest.mark.item(110, 111, 112)
@pytest.mark.parametrize("culprit", ["", "r-1"])
def test_error_has_a_short_message_and_a_text(talk, version, culprit):
    client = talk(version)
    client.send(frame("SEND", *([f"receipt:{culprit}"] if culprit else []), "destination:/nowhere/x"))
    text = client.expect_error("unknown destination", receipt=culprit)
    assert "/topic/" in text and "/queue/" in text


@every_version
@pytest.mark.item(111)
def test_error_without_a_culprit_names_none(talk, version):
    client = talk(version)
    client.send(frame("BEGIN", "transaction:t", "receipt:1"), frame("NONSENSE"))
    client.expect(receipt("1"))
    client.expect_error("unknown command")


@every_version
@pytest.mark.item(113)
@pytest.mark.parametrize("command", ["NONSENSE", "SENDS", "SEN", "send", "ŻÓŁW", *SERVER_COMMANDS])
def test_unknown_command(talk, version, command):
    client = talk(version)
    client.send(frame(command, "receipt:1", "destination:/queue/never", body="x"))
    client.expect_error("unknown command", receipt="1")


@every_version
@pytest.mark.item(114)
def test_disconnect_with_a_receipt(talk, version):
    client = talk(version)
    client.send(frame("DISCONNECT", "receipt:bye"))
    client.expect(receipt("bye"))
    client.expect_end()


@every_version
@pytest.mark.item(114)
def test_disconnect_without_a_receipt(talk, version):
    client = talk(version)
    client.send(frame("DISCONNECT"))
    client.expect_end()


@every_version
@pytest.mark.item(114)
def test_receipt_of_disconnect_is_the_last_of_all(talk, queue, version):
    client = talk(version)
    sends = [frame("SEND", f"destination:{queue}", f"receipt:{n}") for n in range(100)]
    client.send(*sends, frame("DISCONNECT", "receipt:bye"))
    for n in range(100):
        client.expect(receipt(str(n)))
    client.expect(receipt("bye"))
    client.expect_end()


@every_version
@pytest.mark.item(115)
def test_frames_behind_disconnect_are_ignored(talk, topic, version):
    watcher, client = talk(version), talk(version)
    watcher.subscribe(topic)
    late = frame("SEND", f"destination:{topic}", "receipt:late", body="never")
    client.send(frame("DISCONNECT", "receipt:bye"), late, "NONSENSE\n")
    client.expect(receipt("bye"))
    client.expect_end()
    watcher.expect_nothing()


@every_version
@pytest.mark.item(116)
def test_error_arrives_although_more_input_follows(talk, version):
    """Input that nobody reads would turn the close into a reset, which can overtake the ERROR."""
    client = talk(version)
    client.send(frame("NONSENSE"), b"x" * 3_000_000)
    client.expect_error("unknown command")


@every_version
@pytest.mark.item(116)
def test_receipt_of_disconnect_arrives_although_more_input_follows(talk, version):
    client = talk(version)
    client.send(frame("DISCONNECT", "receipt:bye"), b"x" * 3_000_000)
    client.expect(receipt("bye"))
    client.expect_end()


@pytest.mark.item(117)
@pytest.mark.parametrize("last", [frame("NONSENSE"), frame("DISCONNECT", "receipt:bye")])
def test_closed_connections_linger_for_a_short_time_only(talk, broker_with, last):
    broker = broker_with(limits={"linger": 0.2})
    client = talk(to=broker)
    client.send(last)
    client.read_all()
    start = time.monotonic()
    with pytest.raises(ConnectionError):
        while time.monotonic() < start + DEADLINE:
            client.send("\n")
            time.sleep(0.01)
    assert time.monotonic() - start < SOON


@every_version
@pytest.mark.item(118)
@pytest.mark.parametrize("leave", ["close", "reset"])
def test_bare_close_is_a_legal_end(talk, broker, publish, queue, version, leave):
    client, heir = talk(version), talk(version)
    client.subscribe(queue, ack="client")
    publish(queue, "x")
    client.expect_message(queue, "x")
    client.send(frame("BEGIN", "transaction:t"), frame("SEND", f"destination:{queue}", "transaction:t", body="never"))
    client.roundtrip()
    getattr(client, leave)()
    broker.wait_disconnected(client, "")
    heir.subscribe(queue)
    heir.expect_message(queue, "x", redelivered=True)
    heir.expect_nothing()


@every_version
@pytest.mark.item(107, 118)
def test_client_that_only_stops_sending_gets_its_answers(dial, queue, version):
    client = dial()
    client.send(frame("CONNECT", f"accept-version:{version}", "host:x"))
    client.send(*[frame("SEND", f"destination:{queue}", f"receipt:{n}") for n in range(100)])
    client.stop_sending()
    got = client.read_all()
    assert got.startswith(b"CONNECTED\n")
    assert got.endswith(b"".join(receipt(str(n)) for n in range(100)))


@pytest.mark.item(117)
def test_connection_ends_at_once_when_the_client_has_closed_it(talk, broker):
    client = talk()
    client.send(frame("NONSENSE"))
    client.expect_error("unknown command")
    client.close()
    start = time.monotonic()
    broker.wait_disconnected(client, "unknown command")
    assert time.monotonic() - start < SOON


@pytest.mark.item(112)
def test_error_text_holds_no_control_characters(talk):
    client = talk("1.2")
    client.send(frame("SEND", r"destination:/nowhere/a\nb\rc"))
    text = client.expect_error("unknown destination")
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", text)
