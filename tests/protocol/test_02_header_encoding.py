"""B2: escapes in headers, and headers that travel between clients of different versions."""

import pytest
from harness.frames import VERSIONS, every_version, frame, from_1_1, receipt

UNDEFINED_ESCAPES = [r"\t", r"\0", r"\a", r"\N", r"\C", r"\x41", r"\ ", r"\:", r"a\b", "ends in \\", "\\\\\\"]


@pytest.fixture
def relay(talk, queue):
    """Send one header from a client of one version to a client of another."""

    def send(sender, receiver, header):
        client = talk(receiver)
        client.subscribe(queue)
        talk(sender).publish(queue, "x", header)
        return client

    return send


@pytest.mark.item(21, 24)
def test_all_four_escapes_in_1_2(relay, queue):
    header = r"na\cme\\\n\r:va\clue\\\n\r"
    relay("1.2", "1.2", header).expect_message(queue, "x", header)


@pytest.mark.item(21)
def test_escapes_in_1_2_are_decoded_before_use(talk, publish):
    client = talk("1.2")
    client.send(frame("SUBSCRIBE", "id:1", r"destin\\ation:x", r"destination:/queue/escaped\c1", "receipt:1"))
    client.expect(receipt("1"))
    talk("1.0").send(frame("SEND", "destination:/queue/escaped:1", body="x"))
    client.expect("MESSAGE\nsubscription:1\nmessage-id:<message-id>\ndestination:/queue/escaped\\c1\n\nx\0\n")


@pytest.mark.item(22, 24)
def test_three_escapes_in_1_1(relay, queue):
    header = r"na\cme\\\n:va\clue\\\n"
    relay("1.1", "1.1", header).expect_message(queue, "x", header)


@pytest.mark.item(22, 23)
def test_escaped_cr_is_undefined_in_1_1(talk, queue):
    client = talk("1.1")
    client.send(frame("SEND", f"destination:{queue}", r"x:\r"))
    client.expect_error("malformed frame")


@from_1_1
@pytest.mark.item(23)
@pytest.mark.parametrize("text", UNDEFINED_ESCAPES)
@pytest.mark.parametrize("place", ["x:{}", "{}:x"])
def test_undefined_escapes_are_refused(talk, queue, version, text, place):
    client = talk(version)
    client.send(frame("SEND", f"destination:{queue}", place.format(text)))
    client.expect_error("malformed frame")


@from_1_1
@pytest.mark.item(23)
@pytest.mark.parametrize("command", ["SUBSCRIBE", "BEGIN", "ACK", "DISCONNECT"])
def test_undefined_escapes_are_refused_on_every_frame(talk, version, command):
    client = talk(version)
    client.send(frame(command, "id:1", "destination:/queue/never", "transaction:t", r"x:\t"))
    client.expect_error("malformed frame")


@from_1_1
@pytest.mark.item(24)
def test_receipt_id_is_escaped_again(talk, version):
    client = talk(version)
    client.send(frame("BEGIN", "transaction:t", r"receipt:a\cb\\c\nd"))
    client.expect(receipt(r"a\cb\\c\nd"))


@from_1_1
@pytest.mark.item(24)
def test_receipt_id_of_an_error_is_escaped_again(talk, version):
    client = talk(version)
    client.send(frame("SEND", r"receipt:a\cb\\c\nd"))
    client.expect_error("missing header", receipt=r"a\cb\\c\nd")


@from_1_1
@pytest.mark.item(24)
def test_subscription_id_and_destination_are_escaped_again(talk, publish, version):
    client = talk(version)
    destination = rf"/queue/again\c{version}\\"
    client.subscribe(destination, id=r"sub\c1\n")
    publish(destination, "x")
    client.expect_message(destination, "x", id=r"sub\c1\n")


@from_1_1
@pytest.mark.item(25)
@pytest.mark.parametrize("command", ["CONNECT", "STOMP"])
def test_backslash_in_connect_is_literal(dial, version, command):
    client = dial()
    client.send(frame(command, f"accept-version:{version}", "host:a\\tb", "login:DOMAIN\\user", "request-id:a\\nb\\"))
    client.expect(
        f"CONNECTED\nversion:{version}\nsession:<session>\nserver:<server>\nheart-beat:<beat>\n"
        "response-id:a\\nb\\\n\n\0\n"
    )


@pytest.mark.item(26)
def test_no_escapes_in_1_0(relay, queue):
    header = r"na\me\c\n\:\t\\n"
    relay("1.0", "1.0", header).expect_message(queue, "x", header)


@pytest.mark.item(24, 26)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_no_cr_in_what_the_broker_says_of_a_client_itself(talk, queue, version):
    client = talk(version)
    client.send(frame("SUBSCRIBE", "id:a\rb", f"destination:{queue}", "receipt:c\rd"))
    client.expect(receipt("c d"))
    client.send(frame("SEND", f"destination:{queue}"))
    client.expect(f"MESSAGE\nsubscription:a b\nmessage-id:<message-id>\ndestination:{queue}\n\n\0\n")


@pytest.mark.item(26)
def test_receipt_id_is_not_escaped_in_1_0(talk):
    client = talk("1.0")
    client.send(frame("BEGIN", "transaction:t", r"receipt:a:b\c\n"))
    client.expect(receipt(r"a:b\c\n"))


@pytest.mark.item(24, 26, 27)
@pytest.mark.parametrize(
    ("sender", "header", "receiver", "received"),
    [
        ("1.0", r"x:a:b\n", "1.1", r"x:a\cb\\n"),
        ("1.0", r"x:a:b\n", "1.2", r"x:a\cb\\n"),
        ("1.1", r"x:a\cb\\n", "1.0", r"x:a:b\n"),
        ("1.1", r"x:a\cb\\\n", "1.2", r"x:a\cb\\\n"),
        ("1.1", "x:a\rb\r", "1.2", r"x:a\rb\r"),
        ("1.2", r"x:a\cb\\n", "1.0", r"x:a:b\n"),
        ("1.2", r"x:a\cb\\\n", "1.1", r"x:a\cb\\\n"),
        ("1.2", r"a\\b:c", "1.0", r"a\b:c"),
        ("1.2", "x: plain ", "1.0", "x: plain "),
        ("1.2", "x: plain ", "1.1", "x: plain "),
    ],
)
def test_headers_are_encoded_for_their_receiver(relay, queue, sender, header, receiver, received):
    relay(sender, receiver, header).expect_message(queue, "x", received)


@pytest.mark.item(27)
@pytest.mark.parametrize(
    ("sender", "header", "receiver", "received"),
    [
        ("1.1", r"x:a\nforged:1", "1.0", ["x:a forged:1"]),
        ("1.1", r"x:a\n\nforged", "1.0", ["x:a  forged"]),
        ("1.1", r"a\nforged:1", "1.0", ["a forged:1"]),
        ("1.1", "x:a\rb", "1.0", ["x:a b"]),
        ("1.2", r"x:a\nforged:1", "1.0", ["x:a forged:1"]),
        ("1.2", r"x:a\r\nforged:1", "1.0", ["x:a  forged:1"]),
        ("1.2", r"a\cb:c", "1.0", []),
        ("1.2", r"x:a\rb", "1.1", ["x:a b"]),
        ("1.2", r"a\r:b", "1.1", ["a :b"]),
        ("1.2", r"x:a\r\nb\r", "1.1", [r"x:a \nb "]),
        ("1.1", "x:a\rforged\\c1", "1.1", [r"x:a forged\c1"]),
        ("1.0", "x:a\rforged:1", "1.1", [r"x:a forged\c1"]),
        ("1.0", "x:a\rforged:1", "1.0", ["x:a forged:1"]),
        ("1.2", "x:", "1.0", []),
        ("1.1", "x:", "1.0", []),
        ("1.0", "x: ", "1.0", []),
        ("1.0", "x:", "1.0", []),
        ("1.2", "x: ", "1.0", ["x: "]),
        ("1.0", "x:", "1.1", ["x:"]),
        ("1.0", "x:", "1.2", ["x:"]),
    ],
)
def test_what_the_receiver_cannot_express_makes_no_header(relay, queue, sender, header, receiver, received):
    """A line end becomes a blank in 1.0, a CR in 1.1; names with a colon and empty values are left out in 1.0."""
    relay(sender, receiver, header).expect_message(queue, "x", *received)


@from_1_1
@pytest.mark.item(28)
def test_blanks_are_data_from_1_1_on(talk, queue, version):
    client = talk(version)
    client.subscribe(queue)
    client.send(frame("SEND", f"destination:{queue}", " x : a ", "y:\tb\t", body="x"))
    client.expect_message(queue, "x", " x : a ", "y:\tb\t")


@from_1_1
@pytest.mark.item(28)
def test_blank_in_front_of_a_destination_is_not_trimmed(talk, queue, version):
    client = talk(version)
    client.send(frame("SEND", f"destination: {queue}"))
    client.expect_error("unknown destination")


@every_version
@pytest.mark.item(29)
def test_first_of_repeated_headers_counts(talk, queue, version):
    client = talk(version)
    client.subscribe(queue)
    client.send(frame("SEND", f"destination:{queue}", "destination:/queue/other", "receipt:1", "receipt:2", body="x"))
    client.expect_message(queue, "x", "destination:/queue/other")
    client.expect(receipt("1"))
    client.expect_nothing()


@every_version
@pytest.mark.item(30)
def test_the_brokers_own_headers_come_first(talk, publish, queue, version):
    client = talk(version)
    client.subscribe(queue, ack="client-individual")
    publish(queue, "x", "a:1")
    client.nack(client.expect_message(queue, "x", "a:1"))
    client.expect_message(queue, "x", "a:1", redelivered=True)


@pytest.mark.item(24, 26, 27)
def test_many_receivers_of_every_version_get_each_message_in_their_form_and_in_order(talk, topic):
    """A topic with more than a few subscribers is written to in another way than one with few."""
    sent = [r"x:plain", r"x:a\cb\\d", r"x:a\rb", "empty:\nx:1", r"x:plain again"]
    forms = {
        "1.2": [r"x:plain", r"x:a\cb\\d", r"x:a\rb", "empty:\nx:1", r"x:plain again"],
        "1.1": [r"x:plain", r"x:a\cb\\d", r"x:a b", "empty:\nx:1", r"x:plain again"],
        "1.0": [r"x:plain", r"x:a:b\d", r"x:a b", "x:1", r"x:plain again"],
    }
    audience = [(version, talk(version)) for version in VERSIONS for _ in range(3)]
    for _, client in audience:
        client.subscribe(topic)
    talk().send(*[frame("SEND", f"destination:{topic}", header, body=str(n)) for n, header in enumerate(sent * 3)])
    for version, client in audience:
        for number, form in enumerate(forms[version] * 3):
            got = client.read_frame()
            assert got.rstrip(b"\0\n").endswith(f"\n\n{number}".encode()), got
            assert f"\ndestination:{topic}\n{form}\n\n".encode() in got, got
