"""B3: limits, and what happens beyond them. How they hold under attack is in system/test_limits.py."""

import select

import pytest
from harness.frames import every_version, frame, receipt

MAX_HEADERS, MAX_LINE, MAX_BLOCK, MAX_FRAME = 100, 8192, 65536, 4194304


def header(size):
    """A header line of this many bytes, its LF not counted."""
    return "x:" + "y" * (size - 2)


@pytest.fixture
def small(broker_with):
    """A broker with small limits."""
    return broker_with(
        limits={
            "max_subscriptions": 3,
            "max_transactions": 2,
            "max_transaction_frames": 3,
            "max_transaction_bytes": 1024,
        }
    )


@every_version
@pytest.mark.item(31)
def test_as_many_headers_as_allowed(talk, queue, version):
    client = talk(version)
    client.send(frame("SEND", f"destination:{queue}", "receipt:1", *["x:1"] * (MAX_HEADERS - 2)))
    client.expect(receipt("1"))


@every_version
@pytest.mark.item(31, 32)
@pytest.mark.parametrize("lines", [["x:1"] * MAX_HEADERS, [f"x{n}:1" for n in range(MAX_HEADERS)]])
def test_too_many_headers(talk, queue, version, lines):
    client = talk(version)
    client.send(frame("SEND", f"destination:{queue}", *lines))
    client.expect_error("too many headers")


@pytest.mark.item(31)
def test_header_line_as_long_as_allowed(talk, queue):
    client = talk()
    client.send(frame("SEND", f"destination:{queue}", "receipt:1", header(MAX_LINE)))
    client.expect(receipt("1"))


@every_version
@pytest.mark.item(31, 32)
def test_header_line_too_long(talk, queue, version):
    client = talk(version)
    client.send(frame("SEND", f"destination:{queue}", header(MAX_LINE + 1)))
    client.expect_error("header line too long")


@pytest.mark.item(31)
def test_endless_header_line_is_cut_off(talk, queue):
    client = talk()
    client.send(f"SEND\ndestination:{queue}\n{header(MAX_LINE + 1)}")
    client.expect_error("header line too long")


@pytest.mark.item(31)
def test_header_block_as_large_as_allowed(talk, queue):
    client = talk()
    client.send(frame("SEND", f"destination:{queue}", "receipt:1", *[header(8000)] * 8))
    client.expect(receipt("1"))


@every_version
@pytest.mark.item(31, 32)
def test_header_block_too_large(talk, queue, version):
    client = talk(version)
    client.send(frame("SEND", f"destination:{queue}", *[header(8191)] * 8))
    client.expect_error("headers too large")


@pytest.mark.item(31)
def test_large_body(talk, queue):
    client = talk()
    client.send(frame("SEND", f"destination:{queue}", "receipt:1", body=b"x" * (MAX_FRAME - 1000)))
    client.expect(receipt("1"))
    client.subscribe(queue)
    client.expect_message(queue, b"x" * (MAX_FRAME - 1000))


@every_version
@pytest.mark.item(31, 32)
def test_body_too_large_is_refused_before_it_is_sent(talk, queue, version):
    client = talk(version)
    client.send(f"SEND\ndestination:{queue}\ncontent-length:{MAX_FRAME}\n\n")
    client.expect_error("frame too large")


@pytest.mark.item(31, 32)
def test_body_without_count_is_cut_off(talk, queue):
    client = talk()
    client.send(f"SEND\ndestination:{queue}\n\n", b"x" * MAX_FRAME)
    client.expect_error("frame too large")


@every_version
@pytest.mark.item(33)
def test_too_many_subscriptions(talk, small, queue, version):
    client = talk(version, to=small)
    for id in "123":
        client.subscribe(queue, id=id)
    client.send(frame("SUBSCRIBE", "id:4", f"destination:{queue}", "receipt:4"))
    client.expect_error("too many subscriptions", receipt="4")


@every_version
@pytest.mark.item(33)
def test_too_many_transactions(talk, small, version):
    client = talk(version, to=small)
    client.send(*[frame("BEGIN", f"transaction:{n}", f"receipt:{n}") for n in "123"])
    client.expect(receipt("1"))
    client.expect(receipt("2"))
    client.expect_error("too many transactions", receipt="3")


@every_version
@pytest.mark.item(33)
@pytest.mark.parametrize(("frames", "size"), [(4, 1), (2, 600)])
def test_transaction_too_large(talk, small, queue, version, frames, size):
    client = talk(version, to=small)
    client.send(frame("BEGIN", "transaction:t"))
    client.send(frame("SEND", f"destination:{queue}", "transaction:t", body="x" * size) * frames)
    client.expect_error("transaction too large")


@every_version
@pytest.mark.item(33)
def test_silence_in_a_transaction(talk, broker_with, version):
    client = talk(version, to=broker_with(limits={"transaction_timeout": 0.3}))
    client.send(frame("BEGIN", "transaction:t"))
    client.expect_error("transaction timed out")


@pytest.mark.item(33)
@pytest.mark.over("tcp", "ws")
def test_transaction_is_open_as_long_as_its_client_is_heard(talk, broker_with):
    """The other one's time, which is a hundred times what is between two bytes of this one, is the measure."""
    broker = broker_with(limits={"transaction_timeout": 1.0})
    worker, silent = talk(to=broker), talk(to=broker)
    worker.send(frame("BEGIN", "transaction:t", "receipt:1"))
    worker.expect(receipt("1"))
    silent.send(frame("BEGIN", "transaction:t"))
    while not select.select([silent.socket], [], [], 0.01)[0]:
        worker.send("\n")
    silent.expect_error("transaction timed out")
    worker.send(frame("COMMIT", "transaction:t", "receipt:2"))
    worker.expect(receipt("2"))


@every_version
@pytest.mark.item(33)
def test_command_too_long(talk, version):
    client = talk(version)
    client.send("A" * 100)
    client.expect_error("unknown command")


@pytest.mark.item(34)
@pytest.mark.parametrize(("headers", "body"), [([header(8000)] * 3, ""), ([], "x" * 17000)])
def test_frame_before_login_is_limited_more(dial, headers, body):
    client = dial()
    client.send(frame("CONNECT", "accept-version:1.2", "host:x", *headers, body=body))
    client.expect_error("frame too large")


@pytest.mark.item(34)
def test_large_credentials_are_accepted(dial):
    client = dial()
    client.login("1.2", "login:x", *[f"token{n}:{'y' * 7000}" for n in (1, 2)])


@pytest.mark.item(34)
@pytest.mark.parametrize("begun", ["", "\n\n", "CONNECT\naccept-version:1.2\nhost:"])
def test_login_must_be_quick(dial, broker_with, begun):
    client = dial(to=broker_with(limits={"login_timeout": 0.2}))
    client.send(begun)
    client.expect_error("login timed out")


@pytest.mark.item(34, 45)
@pytest.mark.over("tcp")  # WebSockets are refused in HTTP
def test_too_many_connections(dial, talk, broker_with):
    broker = broker_with(limits={"max_connections": 3})
    held = [talk(to=broker) for _ in range(3)]
    refused = dial(to=broker)
    refused.send(frame("CONNECT", "accept-version:1.2", "host:x"))
    refused.expect_error("server busy")
    for client in held:
        client.roundtrip()
