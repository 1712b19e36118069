"""S1: every command in every state, NEW, CONNECTED and CLOSING."""

import pytest
from harness.frames import every_version, frame, receipt

CLIENT_COMMANDS = [
    "CONNECT", "STOMP", "SEND", "SUBSCRIBE", "UNSUBSCRIBE", "BEGIN", "COMMIT", "ABORT", "ACK", "NACK", "DISCONNECT",
]  # fmt: skip
COMMANDS = [*CLIENT_COMMANDS, "CONNECTED", "MESSAGE", "RECEIPT", "ERROR"]
every_command = pytest.mark.parametrize("command", COMMANDS)

# The message of the ERROR that a command gets on a live session; the others succeed.
ANSWERS = {
    "CONNECT": "already connected",
    "STOMP": "already connected",
    "UNSUBSCRIBE": "unknown subscription",
    "COMMIT": "unknown transaction",
    "ABORT": "unknown transaction",
    "ACK": "unknown ack",
    "NACK": "unknown ack",
    "CONNECTED": "unknown command",
    "MESSAGE": "unknown command",
    "RECEIPT": "unknown command",
    "ERROR": "unknown command",
}


def complete(command, destination):
    """A frame that has whatever header the command wants."""
    names = ["accept-version:1.2", "host:x", "id:1", "message-id:1", "subscription:1"]
    if command in ("BEGIN", "COMMIT", "ABORT"):
        names.append("transaction:t")
    return frame(command, *names, f"destination:{destination}", "receipt:r", body="x" if command == "SEND" else "")


@pytest.fixture
def witness(talk, publish, topic):
    """Shows that nothing was published to `topic`: a message sent afterwards is the first to come."""
    client = talk()
    client.subscribe(topic)

    def saw_nothing():
        publish(topic, "marker")
        client.expect_message(topic, "marker")

    return saw_nothing


@every_command
@pytest.mark.item(36)
def test_new(dial, witness, topic, command):
    client = dial()
    client.send(complete(command, topic))
    if command in ("CONNECT", "STOMP"):
        client.expect("CONNECTED\nversion:1.2\nsession:<session>\nserver:<server>\nheart-beat:<beat>\n\n\0\n")
        client.expect_nothing()
    else:
        client.expect_error("not connected", receipt="r")
    witness()


@every_version
@every_command
@pytest.mark.item(49, 113)
def test_connected(talk, queue, version, command):
    client = talk(version)
    client.send(complete(command, queue))
    if command in ANSWERS:
        client.expect_error(ANSWERS[command], receipt="r")
    else:
        client.expect(receipt("r"))


@every_version
@every_command
@pytest.mark.item(115)
def test_closing_behind_disconnect(talk, witness, topic, version, command):
    client = talk(version)
    client.send(frame("DISCONNECT", "receipt:bye"), complete(command, topic))
    client.expect(receipt("bye"))
    client.expect_end()
    witness()


@every_version
@every_command
@pytest.mark.item(109)
def test_closing_behind_an_error(talk, witness, topic, version, command):
    client = talk(version)
    client.send(frame("NONSENSE"), complete(command, topic))
    client.expect_error("unknown command")
    witness()


@pytest.mark.item(39, 45, 109)
@pytest.mark.parametrize(
    ("connect", "message"),
    [
        ("CONNECT\naccept-version:9.9\n\n\0", "unsupported version"),
        ("CONNECT\naccept-version:1.2\nheart-beat:x\n\n\0", "bad heart-beat"),
        ("CONNECT\nno colon\n\n\0", "malformed frame"),
        ("CONNECT\n:empty name\n\n\0", "malformed frame"),
        ("CONNECT\ncontent-length:-1\n\n\0", "malformed frame"),
        ("CONNECTION\n\n\0", "unknown command"),
        ("CONNECT\n" + "x:1\n" * 101 + "\n\0", "too many headers"),
        ("CONNECT\nx:" + "y" * 9000 + "\n\n\0", "header line too long"),
    ],
)
def test_frames_behind_a_failed_connect_are_discarded(dial, witness, topic, connect, message):
    client = dial()
    client.send(connect, complete("CONNECT", topic), complete("SEND", topic))
    client.expect_error(message, before="version:1.0,1.1,1.2\n" if message == "unsupported version" else "")
    witness()
