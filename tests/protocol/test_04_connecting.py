"""B4: CONNECT, STOMP and CONNECTED."""

import re

import pytest
from harness.frames import VERSIONS, every_version, frame, from_1_1, receipt

CONNECTED = "CONNECTED\nversion:{}\nsession:<session>\nserver:<server>\nheart-beat:{}\n\n\0\n"
CONNECTED_OLD = "CONNECTED\nsession:<short-session>\nversion:1.0\nheart-beat:0,0\n\n\0\n"


def connected(version):
    """The CONNECTED for a client that said which versions it speaks, and nothing of heart-beats."""
    return CONNECTED.format(version, "0,0")


@every_version
@pytest.mark.item(35)
@pytest.mark.parametrize("command", ["CONNECT", "STOMP"])
def test_stomp_is_as_good_as_connect(dial, version, command):
    client = dial()
    client.send(f"{command}\naccept-version:{version}\nhost:localhost\n\n\0")
    client.expect(connected(version))


@pytest.mark.item(36)
@pytest.mark.parametrize(
    "first",
    [
        frame("SEND", "destination:/queue/never", body="x"),
        frame("SUBSCRIBE", "id:1", "destination:/queue/never"),
        frame("DISCONNECT", "receipt:1"),
    ],
)
def test_first_frame_must_be_connect(dial, first):
    client = dial()
    client.send(first)
    client.expect_error("not connected", receipt="1" if b"receipt" in first else "")


@pytest.mark.item(37)
@pytest.mark.parametrize(
    ("accepted", "version"),
    [
        ("1.0,1.1,1.2", "1.2"),
        ("1.2,1.1,1.0", "1.2"),
        ("1.1,1.2", "1.2"),
        ("1.1,1.0", "1.1"),
        ("1.0", "1.0"),
        ("1.0, 1.1", "1.1"),
        (" 1.1 , 1.2 ", "1.2"),
        ("1.2,1.3,2.0", "1.2"),
        ("9.9,1.0,abc,,", "1.0"),
        ("1.1,1.10,11", "1.1"),
        ("1.2,1.2", "1.2"),
    ],
)
def test_highest_common_version(dial, accepted, version):
    client = dial()
    client.send(f"CONNECT\naccept-version:{accepted}\nhost:localhost\n\n\0")
    client.expect(connected(version))


@pytest.mark.item(38)
@pytest.mark.parametrize("headers", [[], ["host:localhost"], ["login:a", "passcode:b"], ["heart-beat:1000,1000"]])
def test_no_accept_version_means_1_0(dial, headers):
    client = dial()
    client.send(frame("CONNECT", *headers))
    client.expect(CONNECTED_OLD)


@pytest.mark.item(39)
@pytest.mark.parametrize("accepted", ["1.3", "2.0,3.0", "abc", "1", "1.2.1", "01.2"])
def test_no_common_version(dial, accepted):
    client = dial()
    client.send(f"CONNECT\naccept-version:{accepted}\nhost:localhost\n\n\0")
    client.expect_error("unsupported version", before="version:1.0,1.1,1.2\n")


@from_1_1
@pytest.mark.item(40)
def test_connected_names_the_version(dial, version):
    client = dial()
    client.send(f"CONNECT\naccept-version:{version}\nhost:localhost\n\n\0")
    assert f"\nversion:{version}\n".encode() in client.read_frame()


@pytest.mark.item(40)
def test_negotiated_rules_hold_for_the_very_next_frame(dial, queue):
    client = dial()
    client.send(
        f"CONNECT\naccept-version:1.1\nhost:localhost\n\n\0SUBSCRIBE\nid:a\\c1\ndestination:{queue}\n\n\0",
        f"SEND\ndestination:{queue}\nx: 1\r\n\n\0",
    )
    client.expect(connected("1.1"))
    client.expect(f"MESSAGE\nsubscription:a\\c1\nmessage-id:<message-id>\ndestination:{queue}\nx: 1 \n\n\0\n")


@pytest.mark.item(41)
@pytest.mark.parametrize("headers", [[], *([f"accept-version:{version}"] for version in VERSIONS)])
def test_session_is_unique(dial, headers):
    clients = [dial() for _ in range(50)]
    for client in clients:
        client.send(frame("CONNECT", *headers))
    sessions = {re.search(rb"\nsession:([^\n]+)\n", client.read_frame())[1] for client in clients}
    assert len(sessions) == 50


@every_version
@pytest.mark.item(42)
def test_server_is_name_and_version(dial, version):
    connected = dial().login(version)
    assert re.fullmatch(r"fastbroker/[0-9]+(\.[0-9A-Za-z]+)+", connected["server"])


@every_version
@pytest.mark.item(43)
@pytest.mark.parametrize("host", [[], ["host:"], ["host:/"], ["host:stomp.example.org"], ["host:a b:c"]])
def test_any_host_or_none(dial, version, host):
    client = dial()
    client.send(frame("CONNECT", f"accept-version:{version}", *host))
    client.expect(connected(version))


@every_version
@pytest.mark.item(44)
@pytest.mark.parametrize(
    "headers",
    [
        [],
        ["login:"],
        ["login:", "passcode:"],
        ["login:a:b\\c", "passcode:x:\\n\\:"],
        ["passcode:alone"],
        ["login:" + "é" * 300],
        ["login:" + "a" * 199 + "é"],
    ],
)
def test_any_login_or_none(dial, version, headers):
    client = dial()
    client.send(frame("CONNECT", f"accept-version:{version}", "host:x", *headers))
    client.expect(connected(version))


@pytest.mark.item(46)
def test_clients_that_come_and_go_rapidly(dial, broker):
    for version in VERSIONS * 30:
        client = dial()
        client.send(frame("CONNECT", f"accept-version:{version}", "host:x"), frame("DISCONNECT"))
        client.close()
    dial().login("1.2")


@every_version
@pytest.mark.item(47)
def test_no_receipt_for_connect(dial, version):
    client = dial()
    client.login(version, "receipt:never")
    client.expect_nothing()


@pytest.mark.item(48)
def test_not_a_byte_before_connected(dial, talk, broker_with):
    broker = broker_with(heart_beat={"send": 20, "receive": 20})
    waiting = dial(to=broker)
    waiting.send("CONNECT\naccept-version:1.2\nhost:x\nheart-beat:0,20\n")
    clock = talk("1.2", "heart-beat:0,20", to=broker)
    for _ in range(5):
        clock.expect("\n")
    waiting.send("\n\0")
    waiting.expect(CONNECTED.format("1.2", "20,0"))


@every_version
@pytest.mark.item(49)
@pytest.mark.parametrize("command", ["CONNECT", "STOMP"])
def test_second_connect_is_an_error(talk, version, command):
    client = talk(version)
    client.send(frame(command, f"accept-version:{version}", "host:x"))
    client.expect_error("already connected")


@every_version
@pytest.mark.item(49)
def test_unknown_headers_of_connect_are_ignored(dial, version):
    client = dial()
    client.login(version, "x:1", "client-id:me", "activemq.anything:1", "ack:none", "destination:nowhere", "id:1")


@every_version
@pytest.mark.item(47)
def test_request_id_is_answered_in_connected(dial, version):
    client = dial()
    client.send(frame("CONNECT", f"accept-version:{version}", "host:x", "request-id:r1"))
    client.expect(connected(version).replace("\n\n", "\nresponse-id:r1\n\n"))
    client.send(frame("DISCONNECT", "receipt:bye"))
    client.expect(receipt("bye"))
