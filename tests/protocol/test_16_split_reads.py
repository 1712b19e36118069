"""A stream means the same however the network cuts it."""

import re

import pytest
from harness.frames import every_version, frame
from harness.waiting import in_background

BODIES_IN_CR_LF = [b"one\r\n\0", b"two\0", b"\r\n\r\n\0"]
MADE_BY_BROKER = re.compile(rb"^(session|message-id):([^\n]+)$", re.MULTILINE)


def golden(version, queue):
    """A session that goes through all commands, counted and uncounted bodies, escapes, and line ends between frames."""
    return b"".join(
        [
            frame("CONNECT", f"accept-version:{version}", "host:x", "login:a:b"),
            frame("SUBSCRIBE", "id:1", f"destination:{queue}", "receipt:1"),
            b"\n\n",
            frame("SEND", f"destination:{queue}", "x:ąę", body="one\n"),
            frame("SEND", f"destination:{queue}", "content-length:5", "x:ąę", body="a\0b\n\0"),
            b"\n",
            frame("SEND", f"destination:{queue}", "content-length:5", "x:ąę", body="SEND\n"),
            frame("SEND", f"destination:{queue}", r"x\\y:\\n", body=""),
            frame("BEGIN", "transaction:t"),
            frame("SEND", f"destination:{queue}", "transaction:t", "receipt:2", body="two"),
            frame("COMMIT", "transaction:t", "receipt:3"),
            frame("BEGIN", "transaction:t"),
            frame("ABORT", "transaction:t", "content-length:0"),
            frame("UNSUBSCRIBE", "id:1", "receipt:ż"),
            frame("SUBSCRIBE", "id:2", f"destination:{queue}", "ack:client", "receipt:4"),
            b"\n\n\n",
            frame("DISCONNECT", "receipt:5"),
        ]
    )


def answer(client):
    """All that came back, with what the broker made up replaced by its place in the order."""
    names = {}
    number = lambda match: b"%b:#%d" % (match[1], names.setdefault(match[2], len(names)))  # noqa: E731
    return MADE_BY_BROKER.sub(number, client.read_all())


@pytest.fixture
def play(dial, talk, queue):
    """Send pieces, each only when the broker has read the one before: a round trip of another client shows that."""
    probe = talk()

    def run(pieces):
        client = dial()
        for piece in pieces:
            client.send(piece)
            probe.roundtrip()
        got = answer(client)
        client.close()
        return got

    return run


def in_cr_lf(head):
    """The lines of a frame without body as a client writes them that ends lines as Windows does."""
    return head.replace(b"\n", b"\r\n")


def golden_in_cr_lf(version, queue):
    """The same line ends everywhere, bodies that hold them, and lines that repeat those of the frame before."""
    send = in_cr_lf(frame("SEND", f"destination:{queue}", "x:ąę")[:-1])
    return b"".join(
        [
            in_cr_lf(frame("CONNECT", f"accept-version:{version}", "host:x")),
            b"\r\n",
            in_cr_lf(frame("SUBSCRIBE", "id:1", f"destination:{queue}", "receipt:1")),
            *[send + b"one\r\n\0\r\n", send + b"two\0\r\n\n", send + b"\r\n\r\n\0", b"\r\n"],
            in_cr_lf(frame("SEND", f"destination:{queue}", "content-length:5")[:-1]) + b"a\0\r\nb\0",
            in_cr_lf(frame("DISCONNECT", "receipt:2")),
        ]
    )


@pytest.fixture
def stream(request, queue):
    return golden(request.param, queue)


every_stream = pytest.mark.parametrize("stream", ["1.0", "1.1", "1.2"], indirect=True)


@pytest.mark.parametrize("version", ["1.0", "1.2"])
@pytest.mark.item(1, 2, 7)
def test_cr_lf_cut_at_every_position(play, version, queue):
    stream = golden_in_cr_lf(version, queue)
    whole = play([stream])
    assert re.findall(rb"x:(?s:.+?)\0", whole) == ["x:ąę\n\n".encode() + body for body in BODIES_IN_CR_LF]
    assert b"content-length:5\n\na\0\r\nb\0" in whole
    assert re.findall(rb"receipt-id:(.+)\n", whole) == [b"1", b"2"]
    assert play([stream[at : at + 1] for at in range(len(stream))]) == whole
    for at in range(1, len(stream)):
        assert play([stream[:at], stream[at:]]) == whole, f"cut into {stream[:at]!r} and {stream[at:]!r}"


@every_stream
@pytest.mark.item(1, 7, 9)
def test_whole(play, stream):
    got = play([stream])
    assert got.count(b"MESSAGE\n") == 5
    assert re.findall(rb"receipt-id:(.+)\n", got) == [b"1", b"2", b"3", "ż".encode(), b"4", b"5"]


@every_stream
@pytest.mark.item(1, 7, 9)
def test_byte_by_byte(play, stream):
    assert play([stream[at : at + 1] for at in range(len(stream))]) == play([stream])


@every_stream
@pytest.mark.item(1, 7, 9)
def test_cut_at_every_position(play, stream):
    whole = play([stream])
    for at in range(1, len(stream)):
        assert play([stream[:at], stream[at:]]) == whole, f"cut into {stream[:at]!r} and {stream[at:]!r}"


@pytest.mark.item(7, 9)
def test_bodies_around_the_sizes_of_buffers(talk, queue):
    sizes = [size + near for size in (1 << power for power in range(8, 20)) for near in (-60, -1, 0, 1)]
    bodies = [f"{size}:".ljust(size, "x") for size in sizes]
    counted = [["content-length:" + str(len(body))] if at % 3 else [] for at, body in enumerate(bodies)]
    client, sender = talk(), talk()
    client.subscribe(queue)
    stream = b"".join(
        frame("SEND", f"destination:{queue}", *count, body=body) for count, body in zip(counted, bodies, strict=True)
    )
    with in_background(lambda: sender.send(stream)):
        for count, body in zip(counted, bodies, strict=True):
            client.expect_message(queue, body, *count)


@every_version
@pytest.mark.item(8, 19, 62, 113)
@pytest.mark.parametrize(
    "failing",
    [
        frame("SEND", "destination:/queue/never", "content-length:3", "receipt:r", body="four"),
        frame("SEND", "no colon", "receipt:r"),
        frame("SEND", "receipt:r", body="no destination"),
        frame("foo", "receipt:r"),
        frame("NONSENSE", "receipt:r"),
        b"SEND\ndestination:/queue/never\ncontent-length:5\n\0",
        b"FOO\r\nreceipt:r\r\n\r\n\0",
    ],
)
def test_error_is_the_same_wherever_it_is_cut(play, version, failing):
    login = frame("CONNECT", f"accept-version:{version}", "host:x")
    whole = play([login + failing])
    assert b"ERROR\nmessage:" in whole
    for at in range(len(failing)):
        assert play([login + failing[:at], failing[at:]]) == whole, f"cut into {failing[:at]!r} and {failing[at:]!r}"
