"""What the log says of connections: one line for the end of each, with its reason."""

import pytest
from harness.broker import is_disconnect_of
from harness.frames import frame
from harness.transports import CLIENTS

pytestmark = pytest.mark.over(*CLIENTS)  # each transport has a first and a last byte of its own

TLS_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(range(189))
HTTP = b"GET / HTTP/1.1\r\nHost: localhost:61613\r\nUser-Agent: curl/8.0\r\nAccept: */*\r\n\r\n"


def text_of(record):
    """All that a log record says."""
    return " ".join(map(str, record.values()))


@pytest.mark.parametrize(
    ("octets", "name"),
    [
        (TLS_HELLO, "TLS"),
        (TLS_HELLO[:6], "TLS"),
        (HTTP, "HTTP"),
        (HTTP.replace(b"GET", b"POST"), "HTTP"),
        (HTTP.replace(b"GET", b"OPTIONS"), "HTTP"),
    ],
)
@pytest.mark.item(36)
def test_other_protocols_are_recognised(dial, broker, octets, name):
    client = dial()
    client.send(octets)
    client.read_all()
    client.close()
    broker.wait_log(
        lambda record: str(client.port) in text_of(record) and name in text_of(record), since=client.log_position
    )


def error(*headers):
    """A frame that ends in an ERROR."""
    return frame("SEND", *headers)


@pytest.mark.parametrize(
    ("last", "reason"),
    [
        (frame("DISCONNECT"), "disconnect"),
        (frame("DISCONNECT", "receipt:1"), "disconnect"),
        (error(), "missing header"),
        (error("destination:/nowhere/x"), "unknown destination"),
        (error("no colon"), "malformed frame"),
        (frame("NONSENSE"), "unknown command"),
    ],
)
def test_reason_of_an_end_by_the_broker(talk, broker, last, reason):
    client = talk()
    client.send(last)
    client.read_all()
    client.close()
    broker.wait_disconnected(client, reason)


@pytest.mark.parametrize("leave", ["close", "reset"])
def test_reason_of_an_end_by_the_client(talk, dial, broker, leave):
    began = dial()
    began.send("\n")
    for client in (began, talk()):
        getattr(client, leave)()
        broker.wait_disconnected(client, "closed|lost|reset")


@pytest.mark.over("tcp", "tls", "ws", "wss")  # over a Unix socket they are all the same process
def test_one_line_for_each_connection(talk, broker):
    clients = [talk() for _ in range(20)]
    for client in clients[:10]:
        client.send(frame("DISCONNECT"), frame("NONSENSE"))
        client.read_all()
    for client in clients:
        client.close()
        broker.wait_disconnected(client, "")
    talk().roundtrip()
    for client in clients:
        assert sum(is_disconnect_of(record, client) for record in broker.log[client.log_position :]) == 1


def test_log_cannot_be_forged_and_keeps_secrets(dial, broker):
    """Control characters of a client are escaped in the log, and a passcode is never in it."""
    client = dial()
    client.send("CONNECT\naccept-version:1.2\nlogin:a\rb\npasscode:canary-7f3a\nno colon\x1b[31m\n\n\0")
    client.read_all()
    client.close()
    broker.wait_disconnected(client, "malformed frame")
    log = " ".join(map(text_of, broker.log))
    assert "canary-7f3a" not in log
    assert "\x1b" not in log and "\r" not in log
