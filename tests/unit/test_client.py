"""The command line's STOMP client against a broker that says what the test tells it to."""

import asyncio
import functools
import ssl
from contextlib import asynccontextmanager
from unittest.mock import Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbroker.client import Client, Frame, Lost, StompError, connected, receiving, session
from fastbroker.client.frames import encode
from fastbroker.client.input import lines
from fastbroker.client.receiving import Receiving, Wish, pauses
from fastbroker.client.sending import WINDOW, send_all
from fastbroker.client.stream import Reader, Streams, read_frame
from fastbroker.transports.address import Address

CONNECTED = b"CONNECTED\nversion:1.2\nsession:1\nheart-beat:0,0\n\n\0\n"


def in_loop(test):
    """Run an asynchronous test in a loop of its own."""

    @functools.wraps(test)
    def run(*arguments, **named):
        asyncio.run(test(*arguments, **named))

    return run


def read(data, frames=1):
    async def work():
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        return [await read_frame(reader) for _ in range(frames)]

    return asyncio.run(work())


@asynccontextmanager
async def broker(*answers):
    """Answers the n-th frame with the n-th bytes; None closes the connection. Yields the address and what came."""
    came = []

    async def serve(reader, writer):
        for answer in answers:
            came.append(await read_frame(reader))
            if answer is None:
                break
            writer.write(answer)
        else:
            await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield Address("tcp", "127.0.0.1", server.sockets[0].getsockname()[1]), came


# ---- frames ----


def test_a_frame_is_encoded():
    frame = Frame("SEND", [("destination", "/queue/a:b\\c\nd\re"), ("content-length", "2")], b"\0x")
    assert encode(frame) == b"SEND\ndestination:/queue/a\\cb\\\\c\\nd\\re\ncontent-length:2\n\n\0x\0\n"


def test_connect_is_not_escaped():
    assert encode(Frame("CONNECT", [("passcode", "a:b\\c")])) == b"CONNECT\npasscode:a:b\\c\n\n\0\n"


def test_frames_are_read_past_heart_beats():
    first, second = read(b"\n\r\nMESSAGE\r\na\\c:b\\n\\r\\\\\r\n\r\nbody\0\n\nRECEIPT\nreceipt-id:1\n\n\0", 2)
    assert first == Frame("MESSAGE", [("a:", "b\n\r\\")], b"body")
    assert second == Frame("RECEIPT", [("receipt-id", "1")])


def test_a_counted_body_may_hold_nul():
    assert read(b"MESSAGE\ncontent-length:3\n\na\0b\0\n")[0].body == b"a\0b"


def test_of_a_repeated_header_the_first_counts():
    frame = read(b"MESSAGE\na:1\na:2\n\n\0")[0]
    assert frame.headers == [("a", "1"), ("a", "2")]
    assert frame.header("a") == "1"
    assert frame.header("b") == ""


TEXT = st.text(st.characters(codec="utf-8"))


@given(st.lists(st.tuples(TEXT.filter(bool), TEXT)), st.binary())
def test_what_is_encoded_is_read(headers, body):
    frame = Frame("SEND", [("content-length", str(len(body))), *headers], body)
    assert read(encode(frame)) == [frame]


@pytest.mark.parametrize(
    "data",
    [
        b"MESSAGE\nno colon\n\n\0",
        b"MESSAGE\na:\\t\n\n\0",
        b"MESSAGE\na:\\\n\n\0",
        b"MESSAGE\ncontent-length:1\n\nab\0",
        b"MESSAGE\ncontent-length:-5\n\nab\0",
        b"MESSAGE\ncontent-length:x\n\nab\0",
        b"\xff\n\n\0",
    ],
)
def test_what_is_no_frame(data):
    with pytest.raises(StompError, match="what came is no STOMP frame"):
        read(data)


@pytest.mark.parametrize("data", [b"", b"\n\n", b"MESSAGE", b"MESSAGE\n\nbody", b"MESSAGE\ncontent-length:9\n\nbody"])
def test_the_end_of_the_connection(data):
    with pytest.raises(StompError, match="the broker closed the connection"):
        read(data)


# ---- conversations ----


@in_loop
async def test_login():
    async with broker(CONNECTED) as (address, came), connected(address, "me", "a:b"):
        assert came == [
            Frame(
                "CONNECT",
                [
                    ("accept-version", "1.2"),
                    ("host", "127.0.0.1"),
                    ("heart-beat", "10000,10000"),
                    ("login", "me"),
                    ("passcode", "a:b"),
                ],
            )
        ]


@in_loop
async def test_without_login_none_is_sent():
    async with broker(CONNECTED) as (address, came), connected(address):
        assert not {"login", "passcode"} & dict(came[0].headers).keys()


@in_loop
async def test_send_and_receipts():
    answers = (CONNECTED, b"", b"RECEIPT\nreceipt-id:2\n\n\0\n", b"RECEIPT\nreceipt-id:3\n\n\0\n")
    async with broker(*answers) as (address, came), connected(address) as client:
        await client.send("/queue/a", b"one", [("x", "y")])
        await client.send("/queue/a", b"two", receipt=True)
        await client.disconnect()
        assert came[1] == Frame("SEND", [("destination", "/queue/a"), ("content-length", "3"), ("x", "y")], b"one")
        assert came[2].header("receipt") == "2"
        assert came[3] == Frame("DISCONNECT", [("receipt", "3")])


@in_loop
async def test_messages_that_come_before_a_receipt_are_kept_in_order():
    subscribed = (
        b"MESSAGE\nsubscription:1\nmessage-id:1\nack:a1\n\n1\0\n"
        b"RECEIPT\nreceipt-id:2\n\n\0\n"
        b"MESSAGE\nsubscription:1\nmessage-id:2\nack:a2\n\n2\0\n"
    )
    async with broker(CONNECTED, subscribed, b"", b"") as (address, came), connected(address) as client:
        await client.subscribe("/queue/a", "client", [("prefetch-count", "2")])
        bodies = []
        async for message in client.messages():
            bodies.append(message.body)
            await client.ack(message)
            if len(bodies) == 2:
                break
        assert bodies == [b"1", b"2"]
        await asyncio.sleep(0.05)
        assert came[1].headers == [
            ("receipt", "2"), ("id", "1"), ("destination", "/queue/a"), ("ack", "client"), ("prefetch-count", "2"),
        ]  # fmt: skip
        assert [frame.header("id") for frame in came[2:]] == ["a1", "a2"]


@in_loop
async def test_an_error_of_the_broker():
    error = b"ERROR\nmessage:unknown destination\ncontent-length:17\n\nUse /queue/NAME.\n\0\n"
    async with broker(CONNECTED, error) as (address, _), connected(address) as client:
        with pytest.raises(StompError) as caught:
            await client.send("/nowhere", b"", receipt=True)
        assert str(caught.value) == "the broker says: unknown destination\nUse /queue/NAME."


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (None, "the broker closed the connection"),
        (b"ERROR\nmessage:login refused\n\n\0\n", "the broker says: login refused"),
        (b"CONNECTED\nversion:1.0\n\n\0", "not with CONNECTED in version 1.2"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n\0", "speaks HTTP; over a WebSocket the broker is ws://"),
        (b"CONNECTED\nversion:1.2\nheart-beat:never\n\n\0", "heart-beat header is malformed"),
        (b"\xff\xff\xff\n\n", "what came is no STOMP frame"),
    ],
)
@in_loop
async def test_a_login_that_fails(answer, complaint):
    async with broker(answer) as (address, _):
        with pytest.raises(StompError, match=complaint):
            async with connected(address):
                pass


@in_loop
async def test_a_broker_that_does_not_answer(monkeypatch):
    monkeypatch.setattr(session, "TIMEOUT", 0.05)
    async with broker(b"") as (address, _):
        with pytest.raises(StompError, match=r"did not answer CONNECT within 0.05 seconds"):
            async with connected(address):
                pass
    async with broker(CONNECTED, b"") as (address, _), connected(address) as client:
        with pytest.raises(StompError, match=r"did not answer DISCONNECT within 0.05 seconds"):
            await client.disconnect()


ERROR = b"ERROR\nmessage:no\n\n\0\n"


@in_loop
async def test_an_error_is_read_though_the_connection_was_reset():
    reader = Reader()
    reader.feed_data(ERROR)
    reader.set_exception(ConnectionResetError())
    assert reader.ended.is_set()
    assert (await read_frame(reader)).header("message") == "no"
    with pytest.raises(Lost, match="the broker closed the connection"):
        await read_frame(reader)


class Gone:
    """A connection that can no longer be written to."""

    def write(self, data):
        pass

    async def drain(self):
        raise ConnectionResetError

    def close(self):
        pass


@in_loop
async def test_who_cannot_send_any_more_learns_why():
    reader = Reader()
    reader.feed_data(ERROR)
    reader.feed_eof()
    with pytest.raises(StompError, match="the broker says: no"):
        await Client(reader, Gone()).send("/queue/a", b"")


@in_loop
async def test_what_else_is_waited_for_ends_with_the_connection():
    async with broker(CONNECTED, ERROR, None) as (address, _), connected(address) as client:
        assert await client.unless_lost(asyncio.sleep(0, "done")) == "done"
        await client.send("/queue/a", b"one")
        await client.send("/queue/a", b"two")
        with pytest.raises(StompError, match="the broker says: no"):
            await client.unless_lost(asyncio.Event().wait())


@pytest.mark.parametrize(("message", "kind"), [("server shutting down", Lost), ("login refused", StompError)])
@in_loop
async def test_an_error_that_may_pass_is_told_from_one_that_lasts(message, kind):
    async with broker(f"ERROR\nmessage:{message}\n\n\0".encode()) as (address, _):
        with pytest.raises(StompError, match=f"the broker says: {message}") as caught:
            async with connected(address):
                pass
        assert type(caught.value) is kind


async def each(*bodies):
    for body in bodies:
        yield body


@in_loop
async def test_a_receipt_is_waited_for_now_and_then():
    answers = (CONNECTED, b"", b"", b"RECEIPT\nreceipt-id:3\n\n\0\n", ERROR)
    async with broker(*answers) as (address, came), connected(address) as client:
        bodies = each(b"one", b"two", b"x" * WINDOW, b"four")
        with pytest.raises(StompError, match=r"^the broker says: no; 3 messages had arrived before$"):
            await send_all(client, "/queue/a", bodies, [], receipts=False)
        assert [frame.header("receipt") for frame in came[1:]] == ["", "", "3", ""]


@in_loop
async def test_lines_come_in_any_pieces():
    assert [line async for line in lines(each(b"a", b"b\nc\n\n", b"d\r\n", b"e"))] == [b"ab", b"c", b"", b"d\r", b"e"]
    assert [line async for line in lines(each())] == []


def test_pauses_grow_and_differ():
    first, *others = (pause for pause, _ in zip(pauses(), range(20), strict=False))
    assert 0.5 <= first <= 1
    assert all(15 <= pause <= 30 for pause in others[5:])
    assert len(set(others)) > 10


class Told(Client):
    """A client that is told what comes of it."""

    async def subscribe(self, destination, ack, headers=()):
        pass

    async def messages(self):
        raise StompError("the broker says: slow consumer\nIt was.")
        yield


@in_loop
async def test_pauses_begin_anew_with_a_subscription(monkeypatch, capsys):
    comes = iter([Lost("away"), Lost("away"), None, Lost("away"), StompError("refused")])

    @asynccontextmanager
    async def connect():
        if error := next(comes):
            raise error
        yield Told(Reader(), Gone())

    monkeypatch.setattr(receiving, "pauses", lambda: iter([0.0, 0.1]))
    with pytest.raises(StompError, match="refused"):
        await Receiving(Wish(("/queue/a",), "auto", [], print), None).receive(connect, again=True)
    assert capsys.readouterr().err.splitlines() == [
        "away; trying again in 0.0 s",
        "away; trying again in 0.1 s",
        "subscribed to /queue/a",
        "the broker says: slow consumer; trying again in 0.0 s",
        "away; trying again in 0.1 s",
    ]


@in_loop
async def test_nobody_listens():
    async with broker() as (address, _):
        pass
    with pytest.raises(StompError, match=rf"cannot connect to {address}; is the broker running\? `fastbroker serve`"):
        async with connected(address):
            pass
    with pytest.raises(StompError, match=r"cannot connect to tcp://no-such-host.invalid:1: "):
        async with connected(Address("tcp", "no-such-host.invalid", 1)):
            pass


@in_loop
async def test_heart_beats_are_sent_and_missed(monkeypatch):
    monkeypatch.setattr(session, "HEART_BEAT", 0.2)
    beats = []

    async def serve(reader, writer):
        await read_frame(reader)
        writer.write(CONNECTED.replace(b"0,0", b"1,1"))
        while data := await reader.read(10):
            beats.append(data)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        address = Address("tcp", "127.0.0.1", server.sockets[0].getsockname()[1])
        async with connected(address) as client:
            with pytest.raises(StompError, match=r"the broker sent nothing for 0\.5 s, not even a heart-beat"):
                await anext(client.messages())
        assert len(beats) >= 2
        assert set(b"".join(beats)) == {ord("\n")}


@in_loop
async def test_any_byte_is_a_sign_of_life(monkeypatch):
    monkeypatch.setattr(session, "HEART_BEAT", 0.4)

    async def serve(reader, writer):
        await read_frame(reader)
        writer.write(CONNECTED.replace(b"0,0", b"1,0"))
        for byte in b"MESSAGE\n\n\n\n\0":
            await asyncio.sleep(0.1)
            writer.write(bytes([byte]))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    address = Address("tcp", "127.0.0.1", server.sockets[0].getsockname()[1])
    async with server, connected(address) as client:
        assert (await anext(client.messages())).body == b"\n\n"


@in_loop
async def test_why_a_connection_has_ended_is_told_to_whoever_reads_alone():
    """Or asyncio prints a traceback, when it is collected before anybody has asked."""
    reader = Reader()
    streams = Streams(reader)
    writer = asyncio.StreamWriter(Mock(), streams, reader, asyncio.get_running_loop())
    streams.connection_lost(ssl.SSLError(1, "certificate required"))
    with pytest.raises(ssl.SSLError):
        await reader.read(1)
    await writer.wait_closed()
