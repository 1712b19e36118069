"""B1: how bytes become frames, and frames bytes."""

import pytest
from harness.frames import every_version, frame, from_1_1, only_1_2, receipt, unique


@pytest.fixture
def echo(talk, queue):
    """A client that gets what it sends to `queue`."""

    def connect(version):
        client = talk(version)
        client.subscribe(queue)
        return client

    return connect


@every_version
@pytest.mark.item(1)
def test_frame_is_command_headers_blank_line_body_nul(echo, queue, version):
    client = echo(version)
    client.send(f"SEND\ndestination:{queue}\nx:1\n\nhello\0")
    client.expect(f"MESSAGE\nsubscription:1\nmessage-id:<message-id>\ndestination:{queue}\nx:1\n\nhello\0\n")


@pytest.mark.item(1)
def test_frame_without_any_header(dial):
    client = dial()
    client.send("CONNECT\n\n\0")
    client.expect("CONNECTED\nsession:<short-session>\nversion:1.0\nheart-beat:0,0\n\n\0\n")


@pytest.mark.parametrize("version", ["1.0", "1.2"])
@pytest.mark.item(2)
def test_cr_lf_ends_lines_in_1_2_and_1_0(echo, queue, version):
    client = echo(version)
    client.send(f"SEND\r\ndestination:{queue}\r\nx:1\r\n\r\nhello\r\n\0\r\n")
    client.expect_message(queue, "hello\r\n", "x:1")
    client.send("BEGIN\r\ntransaction:t\r\nreceipt:1\r\n\r\n\0")
    client.expect(receipt("1"))


@only_1_2
@pytest.mark.item(2)
def test_cr_lf_behind_an_empty_value(echo, queue, version):
    client = echo(version)
    client.send(f"SEND\r\ndestination:{queue}\r\nempty:\r\n\r\nhello\0")
    client.expect_message(queue, "hello", "empty:")


@pytest.mark.parametrize("version", ["1.0", "1.2"])
@pytest.mark.item(2)
def test_cr_lf_and_lf_may_be_mixed_in_1_2_and_1_0(echo, queue, version):
    client = echo(version)
    client.send(f"SEND\ndestination:{queue}\r\nx:1\n\r\nhello\0")
    client.expect_message(queue, "hello", "x:1")


@only_1_2
@pytest.mark.item(2)
def test_lone_cr_ends_no_line(echo, queue, version):
    client = echo(version)
    client.send(f"SEND\ndestination:{queue}\nx:a\rreceipt:1\n\n\0")
    client.expect_message(queue, "", r"x:a\rreceipt\c1")
    client.expect_nothing()


@pytest.mark.item(3)
def test_cr_is_header_data_in_1_1(echo, queue):
    client = echo("1.1")
    client.send(f"SEND\ndestination:{queue}\nx:1\r\n\nhello\0")
    client.expect_message(queue, "hello", "x:1 ")  # it is written as a blank


@pytest.mark.item(3)
@pytest.mark.parametrize("ends", ["\n \n \r\n", "\r\n \n \n", "\r\n \r\n \r\n"])
def test_cr_lf_ends_no_lines_in_1_1(talk, queue, ends):
    """Be it that of the command, the blank line or all; the ERROR says what to do."""
    command, header, blank = ends.split(" ")
    client = talk("1.1")
    client.send(f"SEND{command}destination:{queue}{header}{blank}hello\0")
    said = client.expect_error("malformed frame")
    assert "end in CR LF" in said
    assert "accept-version:1.2" in said


@pytest.mark.item(3)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_cr_lf_ends_no_lines_where_the_broker_is_strict(talk, broker_with, queue, version):
    client = talk(version, to=broker_with(strict=True))
    client.send(f"SEND\r\ndestination:{queue}\r\n\r\nhello\0")
    assert "end in CR LF" in client.expect_error("malformed frame")


@every_version
@pytest.mark.item(3)
def test_first_frame_may_have_cr_lf_in_any_version(dial, version):
    client = dial()
    client.send(f"CONNECT\r\naccept-version:{version}\r\nhost:localhost\r\n\r\n\0")
    client.expect(f"CONNECTED\nversion:{version}\nsession:<session>\nserver:<server>\nheart-beat:<beat>\n\n\0\n")


@every_version
@pytest.mark.item(4)
@pytest.mark.parametrize("between", ["\n", "\n\n\n\n", "\n" * 1000])
def test_line_feeds_between_frames(talk, version, between):
    client = talk(version)
    begin = frame("BEGIN", "transaction:t", "receipt:1")
    client.send(between, begin, between, frame("COMMIT", "transaction:t", "receipt:2"), between)
    client.expect(receipt("1"))
    client.expect(receipt("2"))
    client.expect_nothing()


@only_1_2
@pytest.mark.item(4)
def test_cr_lf_between_frames_in_1_2(talk, version):
    client = talk(version)
    client.send("\r\n\r\n", frame("BEGIN", "transaction:t", "receipt:1"), "\r\n\n\r\n")
    client.expect(receipt("1"))
    client.expect_nothing()


@pytest.mark.item(4)
def test_line_feeds_before_connect(dial):
    client = dial()
    client.send("\n\r\n\n")
    client.login("1.2")


@pytest.mark.item(5)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_never_cr_lf_to_old_clients(talk, queue, version):
    client = talk(version)
    client.subscribe(queue)
    sender = talk("1.2")
    sender.send(f"SEND\r\ndestination:{queue}\r\nx:1\r\nreceipt:r\r\n\r\nhello\0")
    sender.expect(receipt("r"))
    client.expect_message(queue, "hello", "x:1")


@from_1_1
@pytest.mark.item(6)
@pytest.mark.parametrize("command", ["send", "Send", "SENd"])
def test_commands_are_case_sensitive(talk, queue, version, command):
    client = talk(version)
    client.send(frame(command, f"destination:{queue}"))
    client.expect_error("unknown command")


@from_1_1
@pytest.mark.item(6)
def test_header_names_are_case_sensitive(talk, queue, version):
    client = talk(version)
    client.send(frame("SEND", f"Destination:{queue}"))
    client.expect_error("missing header")


@every_version
@pytest.mark.item(7, 12)
def test_counted_body_may_hold_nul(echo, queue, version):
    client = echo(version)
    client.send(f"SEND\ndestination:{queue}\ncontent-length:7\n\na\0b\0\0\nc\0")
    client.expect_message(queue, "a\0b\0\0\nc", "content-length:7")


@every_version
@pytest.mark.item(7)
def test_counted_empty_body(echo, queue, version):
    client = echo(version)
    client.send(frame("SEND", f"destination:{queue}", "content-length:0"))
    client.expect_message(queue, "", "content-length:0")


@every_version
@pytest.mark.item(8)
@pytest.mark.parametrize("length", [3, 4, 6, 7])
def test_counted_body_must_end_in_nul(talk, queue, version, length):
    client = talk(version)
    client.send(frame("SEND", f"destination:{queue}", f"content-length:{length}", body="hello"), "\n\n\n")
    client.expect_error("malformed frame")


@every_version
@pytest.mark.item(9)
def test_body_without_count_ends_at_first_nul(echo, queue, version):
    client = echo(version)
    client.send(f"SEND\ndestination:{queue}\n\none\ntwo\n\0SEND\ndestination:{queue}\n\nthree\0")
    client.expect_message(queue, "one\ntwo\n")
    client.expect_message(queue, "three")


@only_1_2
@pytest.mark.item(10)
@pytest.mark.parametrize("command", ["SUBSCRIBE\nid:7\ndestination:/queue/any", "BEGIN\ntransaction:t", "DISCONNECT"])
def test_content_length_on_any_frame(talk, version, command):
    client = talk(version)
    client.send(f"{command}\nreceipt:1\ncontent-length:0\n\n\0")
    client.expect(receipt("1"))


@every_version
@pytest.mark.item(11)
def test_content_length_counts_octets(echo, queue, version):
    client = echo(version)
    client.send(frame("SEND", f"destination:{queue}", "content-length:8", body="żółć"))
    client.expect_message(queue, "żółć", "content-length:8")


@every_version
@pytest.mark.item(11)
@pytest.mark.parametrize("value", ["-1", "+5", "5x", "x", "0x5", "5.0", "1e1", "5 5", "\u0665", "9" * 11, "9" * 40])
@pytest.mark.parametrize("command", ["SEND\ndestination:/queue/never", "SUBSCRIBE\nid:1\ndestination:/queue/never"])
def test_content_length_must_be_a_number(talk, version, command, value):
    client = talk(version)
    client.send(f"{command}\ncontent-length:{value}\n\nhello\0")
    client.expect_error("malformed frame")


@every_version
@pytest.mark.item(11)
def test_content_length_beyond_the_limit(talk, queue, version):
    client = talk(version)
    client.send(f"SEND\ndestination:{queue}\ncontent-length:4194305\n\n")
    client.expect_error("frame too large")


@every_version
@pytest.mark.item(13, 14)
def test_connected_and_receipt_have_no_body(dial, version):
    client = dial()
    client.login(version)
    client.send(frame("BEGIN", "transaction:t", "receipt:1"))
    client.expect("RECEIPT\nreceipt-id:1\n\n\0\n")


@every_version
@pytest.mark.item(13)
def test_body_of_other_frames_is_ignored(talk, publish, queue, version):
    client = talk(version)
    client.ack_modes["1"] = "auto"
    client.send(f"SUBSCRIBE\nid:1\ndestination:{queue}\nreceipt:1\n\nsome body\0")
    client.expect(receipt("1"))
    publish(queue, "hello")
    client.expect_message(queue, "hello")


@every_version
@pytest.mark.item(13)
@pytest.mark.parametrize("command", ["SUBSCRIBE\nid:1\ndestination:/queue/any", "BEGIN\ntransaction:t", "DISCONNECT"])
def test_body_of_other_frames_is_refused_when_strict(talk, broker_with, version, command):
    client = talk(version, to=broker_with(strict=True))
    client.send(f"{command}\n\nsome body\0")
    client.expect_error("malformed frame")


@every_version
@pytest.mark.item(15)
@pytest.mark.parametrize("text", ["żółć", "日本", "🜁", "\u007f", "\u0080", "\uffff", "\U0010ffff"])
def test_headers_are_utf_8(echo, queue, version, text):
    client = echo(version)
    client.send(frame("SEND", f"destination:{queue}", f"{text}:{text}", body="x"))
    client.expect_message(queue, "x", f"{text}:{text}")


@every_version
@pytest.mark.item(15)
@pytest.mark.parametrize(
    "octets",
    [
        pytest.param(b"\xff", id="no such byte"),
        pytest.param(b"\x80", id="continuation alone"),
        pytest.param(b"\xc3", id="cut short"),
        pytest.param(b"\xc3(", id="no continuation"),
        pytest.param(b"\xc0\xaf", id="overlong"),
        pytest.param(b"\xe0\x80\xaf", id="overlong of 3"),
        pytest.param(b"\xed\xa0\x80", id="surrogate"),
        pytest.param(b"\xf4\x90\x80\x80", id="beyond U+10FFFF"),
        pytest.param(b"caf\xe9", id="Latin-1"),
    ],
)
@pytest.mark.parametrize("place", ["x:%b", "%b:x", "destination:/queue/%b"])
def test_invalid_utf_8_is_refused(talk, queue, version, octets, place):
    client = talk(version)
    client.send(b"SEND\n", place.encode() % octets, f"\ndestination:{queue}\n\n\0")
    client.expect_error("malformed frame")


@every_version
@pytest.mark.item(16)
def test_body_is_opaque(echo, queue, version):
    octets = bytes(range(1, 256))
    client = echo(version)
    client.send(frame("SEND", f"destination:{queue}", body=octets))
    client.expect_message(queue, octets)


@every_version
@pytest.mark.item(16)
def test_content_type_is_passed_on_as_it_is(echo, queue, version):
    client = echo(version)
    client.send(frame("SEND", f"destination:{queue}", "content-type:application/x-thing;a=b", body="x"))
    client.expect_message(queue, "x", "content-type:application/x-thing;a=b")


@every_version
@pytest.mark.item(17)
def test_own_content_type_is_a_mime_type(talk, version):
    client = talk(version)
    client.send(frame("SEND"))
    assert b"\ncontent-type:text/plain;charset=utf-8\n" in client.read_frame()


@every_version
@pytest.mark.item(18)
def test_header_value_may_be_empty(echo, queue, version):
    """It is not told to clients of 1.0: one of them raises an exception."""
    client = echo(version)
    client.send(frame("SEND", "empty:", f"destination:{queue}", "last:", body="x"))
    lines = [f"destination:{queue}"] if version == "1.0" else ["empty:", f"destination:{queue}", "last:"]
    client.expect(frame("MESSAGE", "subscription:1", "message-id:<message-id>", *lines, body="x") + b"\n")


@every_version
@pytest.mark.item(18)
def test_header_name_may_not_be_empty(talk, queue, version):
    client = talk(version)
    client.send(frame("SEND", f"destination:{queue}", ":value"))
    client.expect_error("malformed frame")


@every_version
@pytest.mark.item(19)
@pytest.mark.parametrize("line", ["x", "destination", "no colon here"])
def test_header_line_without_colon(talk, queue, version, line):
    client = talk(version)
    client.send(frame("SEND", f"destination:{queue}", line))
    client.expect_error("malformed frame")


@pytest.mark.item(20)
@pytest.mark.parametrize("value", ["a:b", ":", "::a::", "http://host:1/"])
def test_value_may_hold_colons_in_1_0(echo, queue, value):
    client = echo("1.0")
    client.send(frame("SEND", f"destination:{queue}", f"x:{value}", body="x"))
    client.expect_message(queue, "x", f"x:{value}")


@from_1_1
@pytest.mark.item(20)
def test_first_colon_splits_in_later_versions_too(talk, version):
    client = talk(version)
    destination = unique("/queue/colon:")
    client.send(frame("SUBSCRIBE", "id:a:b", f"destination:{destination}", "receipt:r:1"))
    client.expect(receipt(r"r\c1"))
    client.ack_modes[r"a\cb"] = "auto"
    client.send(frame("SEND", f"destination:{destination}", "x:a:b"))
    client.expect_message(destination.replace(":", r"\c"), "", r"x:a\cb", id=r"a\cb")


@from_1_1
@pytest.mark.item(20, 24)
def test_id_with_a_colon_is_known_by_the_form_that_the_broker_sends(talk, publish, queue, version):
    client = talk(version)
    client.ack_modes[r"a\cb"] = "client"
    client.send(frame("SUBSCRIBE", "id:a:b", f"destination:{queue}", "ack:client", "receipt:1"))
    client.expect(receipt("1"))
    publish(queue, "x")
    client.ack(client.expect_message(queue, "x", id=r"a\cb"))
    client.unsubscribe(r"a\cb")
