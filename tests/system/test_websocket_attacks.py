"""Peers of a WebSocket that mean harm (S6, S7, S8), and what every close code looks like from outside."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from typing import Any

import pytest
import uvloop
from harness.broker import Broker
from harness.client import NARROW, Client
from harness.frames import frame, receipt
from harness.waiting import DEADLINE, eventually
from harness.websocket import (
    BINARY,
    CONTINUATION,
    NO_MASK,
    PING,
    PONG,
    TEXT,
    WebSocketClient,
    head,
    masked,
    packed,
    request,
)
from harness.websocket import closing as close_frame

from fastbroker.config import Config, WebSocket, hub_settings
from fastbroker.core.hub import Hub
from fastbroker.core.upgrade import websocket
from fastbroker.web.handshake import Handshake

CONNECT = frame("CONNECT", "accept-version:1.2", "host:x")
KiB, MiB = 2**10, 2**20


@pytest.fixture
def open_ws(broker: Broker) -> Iterator[Callable[..., WebSocketClient]]:
    """Open a WebSocket, with a request of one's own if wanted."""
    with ExitStack() as stack:

        def connect(to: Broker | None = None, **options: Any) -> WebSocketClient:
            return stack.enter_context(closing(WebSocketClient(to or broker, **options)))

        yield connect


@pytest.fixture
def talk_ws(open_ws: Callable[..., WebSocketClient]) -> Callable[..., WebSocketClient]:
    """Open a WebSocket and log in."""

    def connect(*headers: str, **options: Any) -> WebSocketClient:
        client = open_ws(**options)
        client.login("1.2", *headers)
        return client

    return connect


@pytest.fixture
def raw(broker: Broker) -> Iterator[Callable[..., socket.socket]]:
    """Open a socket to the ws:// port."""
    with ExitStack() as stack:

        def connect(to: Broker | None = None) -> socket.socket:
            port = (to or broker).ports["ws"]
            return stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=DEADLINE))

        yield connect


def read_all(connection: socket.socket) -> bytes:
    """Everything up to the end, however it comes."""
    got = b""
    with suppress(ConnectionResetError):
        while data := connection.recv(1 << 16):
            got += data
    return got


def status(response: bytes) -> int:
    return int(response.split(b" ", 2)[1]) if response.startswith(b"HTTP/1.1 ") else 0


def still_serves(broker: Broker) -> None:
    """Others notice nothing."""
    with closing(Client(broker)) as client:
        client.login("1.2")
        client.roundtrip()


# ---- S6: compression ----

EXTENSIONS = [
    "permessage-deflate",
    "permessage-deflate; client_max_window_bits",
    "permessage-deflate; server_no_context_takeover; client_max_window_bits=15, x-webkit-deflate-frame",
    "permessage-bzip2, permessage-deflate",
    "x" * 4000,
    ",;=,",
]


@pytest.mark.parametrize("offered", EXTENSIONS)
def test_s6_no_compression_is_agreed_on(talk_ws: Callable[..., WebSocketClient], offered: str) -> None:
    client = talk_ws(upgrade=request(Sec_WebSocket_Extensions=offered))
    assert b"extensions" not in client.response.lower()
    bomb = bytes.fromhex("ecc101010000008090feaf") + bytes(1000)
    client.send_raw(head(BINARY, len(bomb), reserved=4) + masked(bomb))
    client.expect_error("bad WebSocket frame")
    assert client.close_code == 1002


# ---- S7: more than there may be ----


def test_s7_message_without_an_end(talk_ws: Callable[..., WebSocketClient], broker: Broker) -> None:
    """Fragments of one byte: no memory, and an end after so many."""
    client = talk_ws()
    before = broker.resident()
    fragments = packed("x", CONTINUATION, final=False) * 1000
    with suppress(OSError):
        client.send_raw(packed("SEND\ndestination:/queue/s7\n\n", TEXT, final=False))
        for _ in range(40):
            client.send_raw(fragments)
    client.expect_error("bad WebSocket frame")
    assert client.close_code == 1008
    assert broker.resident() - before < 4 * MiB


def test_s7_pings_between_fragments(talk_ws: Callable[..., WebSocketClient], queue: str) -> None:
    client = talk_ws()
    client.send_raw(packed(f"SEND\ndestination:{queue}\nreceipt:1\n\n", TEXT, final=False))
    for number in range(40):
        client.send_raw(packed("x", CONTINUATION, final=False) * 20 + packed(f"{number}", PING))
        client.expect_pong(b"%d" % number)
    client.send_raw(packed("\0", CONTINUATION))
    client.expect(receipt("1"))


@pytest.mark.parametrize("way", ["messages", "fragments", "one frame", "fragments and pings"])
def test_s7_sum_before_login(open_ws: Callable[..., WebSocketClient], way: str) -> None:
    """`limits.max_frame_before_login` counts what came, whatever it came in."""
    client = open_ws()
    line = b"".join(b"header-%d:%s\n" % (number, b"x" * 1000) for number in range(40))
    with suppress(OSError):
        if way == "one frame":
            client.send_raw(packed(b"CONNECT\n" + line))
        elif way == "messages":
            client.send_raw(packed("CONNECT\n"), *(packed(line[at : at + 100]) for at in range(0, len(line), 100)))
        else:
            ping = packed("x", PING) if way == "fragments and pings" else b""
            client.send_raw(packed("CONNECT\n", TEXT, final=False))
            for at in range(0, len(line), 1000):
                client.send_raw(packed(line[at : at + 1000], CONTINUATION, final=False) + ping)
    client.expect_error("frame too large")
    assert client.close_code == 1009


def test_s7_line_feeds_before_login_do_not_count_as_life(
    broker_with: Callable[..., Broker], open_ws: Callable[..., WebSocketClient]
) -> None:
    broker = broker_with(limits={"login_timeout": 0.5})
    client = open_ws(to=broker)

    def fed() -> bool:
        with suppress(OSError):
            client.send_raw(packed("\n", TEXT, final=True) + packed("", PONG))
        return not client.is_silent()

    eventually(fed, "it is cut off", pause=0.05)
    client.expect_error("login timed out")
    assert client.close_code == 1008


@pytest.mark.parametrize("opcode", [PING, PONG])
@pytest.mark.parametrize("size", [0, 125])
def test_s7_flood_of_control_frames(
    talk_ws: Callable[..., WebSocketClient], broker: Broker, opcode: int, size: int
) -> None:
    client = talk_ws()
    with suppress(OSError):
        client.send_raw(packed("x" * size, opcode) * 20_000)
    client.expect_error("bad WebSocket frame")
    assert client.close_code == 1008
    still_serves(broker)


def test_s7_flood_of_pings_by_a_peer_that_does_not_read(
    talk_ws: Callable[..., WebSocketClient], broker: Broker
) -> None:
    before = broker.resident()
    clients = [talk_ws(receive_buffer=NARROW) for _ in range(20)]
    for client in clients:
        with suppress(OSError):
            client.send_raw(packed("x" * 125, PING) * 5000)
    still_serves(broker)
    assert broker.resident() - before < 8 * MiB


def test_s7_lengths_that_are_only_announced(broker: Broker, raw: Callable[..., socket.socket]) -> None:
    before = broker.resident()
    for _ in range(100):
        raw().sendall(request() + head(BINARY, (1 << 63) - 1, mask=NO_MASK) + b"\n")
    eventually(lambda: broker.census()["connections"] >= 100, "all are there")
    assert broker.resident() - before < 100 * 24 * KiB + MiB


# ---- S8 and what a browser can be made to send ----


@pytest.mark.parametrize(
    "origin",
    {
        "evil": "http://evil.example",
        "suffix": "http://localhost.evil.example",
        "suffix behind the port": "http://localhost:8080.evil.example",
        "below": "http://evil.localhost:8080",
        "null": "null",
        "case of the scheme's name": "HTTPS://localhost:8080",
        "port": "http://localhost:8081",
        "no port": "http://localhost",
        "login": "http://localhost:8080@evil.example",
        "list": "http://localhost:8080 http://evil.example",
        "path": "http://localhost:8080/x",
    }.items(),
    ids=lambda case: case[0],
)
def test_s8_origin(open_ws: Callable[..., WebSocketClient], origin: tuple[str, str]) -> None:
    response = open_ws(upgrade=request(Host="localhost:8080", Origin=origin[1])).response
    assert status(response) == 403
    assert b"websocket.allowed_origins" in response


def test_s8_case_does_not_matter(open_ws: Callable[..., WebSocketClient]) -> None:
    assert status(open_ws(upgrade=request(Host="LocalHost:8080", Origin="http://LOCALHOST:8080")).response) == 101


def test_s8_several_origins(open_ws: Callable[..., WebSocketClient]) -> None:
    good, evil = b"Origin: http://localhost:8080\r\n", b"Origin: http://evil.example\r\n"
    for lines in (good + evil, evil + good, good + good, b"Origin:\r\n" + good):
        sent = request(Host="localhost:8080").replace(b"Upgrade:", lines + b"Upgrade:", 1)
        assert status(open_ws(upgrade=sent).response) == 403


def test_s8_absent(talk_ws: Callable[..., WebSocketClient]) -> None:
    talk_ws(upgrade=request(Host="anything.example"))


def test_dns_rebinding(open_ws: Callable[..., WebSocketClient], broker: Broker) -> None:
    """The page's name is the attacker's and so is our Host, since the name now means 127.0.0.1."""
    host = f"evil.example:{broker.ports['ws']}"
    assert status(open_ws(upgrade=request(Host=host, Origin=f"http://{host}")).response) == 403
    own = f"127.0.0.1:{broker.ports['ws']}"
    assert status(open_ws(upgrade=request(Host=own, Origin=f"http://{own}")).response) == 101


def test_dns_rebinding_of_sockjs_info(broker: Broker, raw: Callable[..., socket.socket]) -> None:
    connection = raw()
    connection.sendall(request("/ws/info", {"Host": "evil.example"}, Origin="http://evil.example"))
    assert b"Access-Control" not in read_all(connection)


def test_a_form_cannot_log_in(broker: Broker, raw: Callable[..., socket.socket]) -> None:
    """What a page can send without being asked: a POST with STOMP in it."""
    connection = raw()
    connection.sendall(
        b"POST /ws HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 60\r\n\r\n" + CONNECT
    )
    got = read_all(connection)
    assert status(got) == 405
    assert b"CONNECTED" not in got


# ---- requests ----


def test_upgrade_at_a_byte_now_and_then(broker_with: Callable[..., Broker], raw: Callable[..., socket.socket]) -> None:
    """Slowloris: many of them are all cut at the time of one login, and others are served meanwhile."""
    broker = broker_with(limits={"login_timeout": 1.0})
    slow = [raw(broker) for _ in range(100)]
    sent = request(X="a" * 500)

    def dribble() -> bool:
        for connection in slow:
            with suppress(OSError):
                connection.sendall(sent[:1])
        return broker.census()["connections"] == 0

    for connection in slow:
        connection.sendall(sent[:20])
    still_serves(broker)
    sent = b"a"
    eventually(dribble, "all are cut off", pause=0.1)
    for connection in slow:
        got = read_all(connection)
        assert status(got) in (0, 408)  # 0: what we still sent was answered with a reset
    still_serves(broker)


def test_slow_upgrade_is_told_why(broker_with: Callable[..., Broker], raw: Callable[..., socket.socket]) -> None:
    connection = raw(broker_with(limits={"login_timeout": 1.0}))
    connection.sendall(request()[:50])
    got = read_all(connection)
    assert status(got) == 408
    assert b"login timed out" in got


def with_line(line: str) -> bytes:
    """A request with one header line more, as it is."""
    return request().replace(b"Upgrade:", line.encode("latin-1") + b"\r\nUpgrade:", 1)


def many_headers(count: int) -> bytes:
    return request().replace(b"\r\n\r\n", b"\r\n" + b"a:b\r\n" * count + b"\r\n")


@pytest.mark.parametrize(
    ("sent", "code"),
    {
        "one huge header": (request(X="a" * 100_000), 431),
        "many small headers": (many_headers(5000), 431),
        "huge target": (request("/" + "a" * 100_000), 431),
        "huge method": (b"G" * 100_000, 431),
        "no end": (b"GET /ws HTTP/1.1\r\n" + b"a: b\r\n" * 5000, 431),
        "as many as fit": (many_headers(2000), 101),
        "two hosts": (with_line("Host: evil"), 400),
        "content-length": (request(Content_Length="50"), 400),
        "chunked": (request(Transfer_Encoding="chunked"), 400),
        "both": (request(Content_Length="5", Transfer_Encoding="chunked"), 400),
        "chunked behind a tab": (with_line("Transfer-Encoding:\tchunked"), 400),
        "name that ends in a blank": (with_line("Content-Length : 5"), 400),
        "folded": (request().replace(b"Upgrade: websocket", b"Upgrade:\r\n websocket", 1), 400),
        "bare LF between headers": (request().replace(b"\r\nUpgrade", b"\nUpgrade", 1), 400),
        "bare CR between headers": (request().replace(b"\r\nUpgrade", b"\rUpgrade", 1), 400),
        "CR CR LF": (request().replace(b"\r\nUpgrade", b"\r\r\nUpgrade", 1), 400),
        "LF LF within": (request().replace(b"\r\nUpgrade", b"\n\nUpgrade", 1), 400),
        "NUL": (request(X="a\0b"), 400),
        "leading CR LF": (b"\r\n" + request(), 400),
        "absolute target": (request("http://localhost/ws"), 400),
        "version 1.2": (request().replace(b"HTTP/1.1", b"HTTP/1.2"), 505),
        "two keys": (with_line("Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="), 400),
        "key of 15 bytes": (request(Sec_WebSocket_Key="AAAAAAAAAAAAAAAAAAAA"), 400),
        "key of 17 bytes": (request(Sec_WebSocket_Key="AAAAAAAAAAAAAAAAAAAAAAA="), 400),
        "key with blanks": (request(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25j ZQ=="), 400),
        "key that is not ASCII": (request(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ=\xe9"), 400),
        "two versions": (with_line("Sec-WebSocket-Version: 8"), 426),
        "upgrade to something else": (request(Upgrade="h2c"), 426),
        "no Connection: Upgrade": (request(Connection="close"), 426),
    }.values(),
)
def test_requests(raw: Callable[..., socket.socket], broker: Broker, sent: bytes, code: int) -> None:
    connection = raw()
    with suppress(OSError):
        connection.sendall(sent)
    assert status(connection.recv(1 << 16)) == code
    still_serves(broker)


def test_a_request_behind_one_that_is_refused_is_not_heard(raw: Callable[..., socket.socket]) -> None:
    connection = raw()
    connection.sendall(request("/missing", {"Host": "x"}) + request() + packed(CONNECT))
    got = read_all(connection)
    assert got.count(b"HTTP/1.1 ") == 1
    assert status(got) == 404
    assert b"CONNECTED" not in got


def test_a_body_is_never_taken_for_a_request(raw: Callable[..., socket.socket]) -> None:
    connection = raw()
    hidden = request() + packed(CONNECT)
    connection.sendall(request(Content_Length=str(len(hidden))) + hidden)
    got = read_all(connection)
    assert got.count(b"HTTP/1.1 ") == 1
    assert status(got) == 400


def test_stomp_right_behind_the_upgrade_is_no_websocket(open_ws: Callable[..., WebSocketClient]) -> None:
    """Bytes that were meant for another protocol: STOMP without frames."""
    client = open_ws(upgrade=request() + CONNECT)
    client.expect_error("bad WebSocket frame")
    assert client.close_code == 1002


@pytest.mark.parametrize(
    ("sent", "code", "said"),
    [
        (CONNECT, 400, b"tcp:// addresses"),
        (b"STOMP\naccept-version:1.2\n\n\0", 400, b"tcp:// addresses"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50), 400, b"wss://"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, b"HTTP/1.1 is spoken here"),
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + request(), 400, b"malformed"),
        (b"\0" * 100, 400, b"not HTTP"),
        (b"\x10\x13\x00\x04MQTT\x04\x02\x00\x3c", 400, b"not HTTP"),
        (packed(CONNECT), 400, b"not HTTP"),
    ],
    ids=["STOMP", "STOMP 1.2", "TLS", "HTTP/2", "PROXY", "zeros", "MQTT", "WebSocket without an upgrade"],
)
def test_other_protocols_get_an_answer(
    broker: Broker, raw: Callable[..., socket.socket], sent: bytes, code: int, said: bytes
) -> None:
    connection = raw()
    connection.sendall(sent)
    got = read_all(connection)
    assert status(got) == code
    assert said in got


# ---- closing ----


@pytest.mark.parametrize("noise", [b"", packed("\n"), packed("x", PING), b"\x82"])
def test_peer_that_never_answers_close(
    broker_with: Callable[..., Broker], talk_ws: Callable[..., WebSocketClient], noise: bytes
) -> None:
    broker = broker_with(limits={"linger": 0.3})
    client = talk_ws(to=broker)
    client._on_close = lambda payload: None  # type: ignore[method-assign]
    client.send(frame("NONSENSE"))

    def gone() -> bool:
        with suppress(OSError):
            client.send_raw(noise)
        return broker.census()["connections"] == 0

    eventually(gone, "it is cut off", pause=0.02)
    broker.wait_disconnected(client, "unknown command")


def test_peer_that_ends_without_a_close_is_not_waited_for(
    broker_with: Callable[..., Broker], talk_ws: Callable[..., WebSocketClient]
) -> None:
    """No CLOSE can come behind the end of its stream; the answers still go out."""
    broker = broker_with(limits={"linger": 60.0})
    client = talk_ws(to=broker)
    client.send(frame("SEND", "destination:/topic/a", "receipt:1"))
    client.stop_sending()
    client.expect(receipt("1"))
    client.expect_close(1000)
    broker.wait_disconnected(client, "^closed by client$")


def test_what_a_peer_sends_behind_its_close_costs_nothing(talk_ws: Callable[..., WebSocketClient], topic: str) -> None:
    """It is not looked at; but left unread, it would become a reset that overtakes the answers."""
    client = talk_ws(receive_buffer=NARROW)
    client.subscribe(topic)
    body = "x" * 50_000
    client.send_raw(packed(frame("SEND", f"destination:{topic}", body=body)) * 20 + close_frame())
    with suppress(OSError):
        client.send_raw(packed(bytes(100_000)) * 5)
    client.expect_bodies(topic, [body] * 20)
    client.expect_close(1000)


def test_code_1000_after_disconnect(talk_ws: Callable[..., WebSocketClient]) -> None:
    client = talk_ws()
    client.send(frame("DISCONNECT"))
    client.expect_close(1000)


def test_code_1002_for_what_breaks_a_protocol(talk_ws: Callable[..., WebSocketClient]) -> None:
    for wrong in (packed(frame("NONSENSE")), packed(frame("SEND")), head(TEXT, 1, mask=None) + b"x"):
        client = talk_ws()
        client.send_raw(wrong)
        client.read_all()
        assert client.close_code == 1002


@pytest.mark.parametrize(
    "sent",
    [
        packed(b"\x10\x13\x00\x04MQTT\x04\x02\x00\x3c\x00\x07fuzzing", BINARY),
        packed('{"type":"connection_init"}', TEXT),
        packed('[1,"realm",{}]', TEXT),
        packed("40", TEXT),
        packed(b"\xff" * 20, BINARY),
    ],
    ids=["MQTT", "graphql", "WAMP", "socket.io", "garbage"],
)
def test_code_1003_for_another_protocol(open_ws: Callable[..., WebSocketClient], sent: bytes) -> None:
    """Data of a type that cannot be accepted: not a byte of it is STOMP."""
    client = open_ws()
    client.send_raw(sent)
    client.expect_error("unknown command")
    assert client.close_code == 1003


def test_code_1007_for_a_reason_that_is_no_text(talk_ws: Callable[..., WebSocketClient]) -> None:
    client = talk_ws()
    client.send_raw(close_frame(1000, b"\xff"))
    client.expect_error("bad WebSocket frame")
    assert client.close_code == 1007


def test_code_1008_for_what_is_not_allowed(
    broker_with: Callable[..., Broker], talk_ws: Callable[..., WebSocketClient]
) -> None:
    client = talk_ws(to=broker_with(limits={"max_subscriptions": 1}))
    client.subscribe("/topic/a", id="1")
    client.send(frame("SUBSCRIBE", "destination:/topic/b", "id:2"))
    assert b"message:too many subscriptions" in client.read_frame()
    client.expect_close(1008)


def test_code_1009_for_what_is_too_large(talk_ws: Callable[..., WebSocketClient]) -> None:
    client = talk_ws()
    client.send(frame("SEND", "destination:/topic/a", f"content-length:{64 * MiB}"))
    assert b"message:frame too large" in client.read_frame()
    client.expect_close(1009)


def test_code_1012_when_the_broker_stops(
    broker_with: Callable[..., Broker], talk_ws: Callable[..., WebSocketClient]
) -> None:
    broker = broker_with(drain_timeout=5.5)
    client = talk_ws(to=broker)
    broker.process.terminate()
    client.expect_close(1012)


@contextmanager
def hub_of(**options: Any) -> Iterator[tuple[Any, list[tuple[str, str]]]]:
    """A hub with a ws:// address in this process, and what it logs."""
    loop = uvloop.new_event_loop()
    log: list[tuple[str, str]] = []
    hub = Hub(
        loop,
        settings={**hub_settings(Config()), "max_connections": 100},
        log=lambda level, event, **fields: log.append((level, event)),
        server="fastbroker/test",
        handshake=Handshake(WebSocket(), server="fastbroker/test"),
        **options,
    )

    class Here:
        """What a client needs of a broker."""

        def __init__(self) -> None:
            self.log: list[Any] = []
            server = asyncio.run_coroutine_threadsafe(loop.create_server(partial(websocket, hub), "127.0.0.1", 0), loop)
            self.ports = {"ws": server.result(DEADLINE).sockets[0].getsockname()[1]}

    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield Here(), log
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(DEADLINE)


def test_code_1011_for_a_failure_of_ours() -> None:
    def broken(login: object) -> object:
        raise RuntimeError("the directory of users is on fire")

    with hub_of(authenticate=broken) as (here, log), closing(WebSocketClient(here)) as client:
        client.send(CONNECT)
        client.expect_close(1011)
        assert ("error", "internal error") in log


def test_status_500_for_a_failure_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: object) -> object:
        raise RuntimeError("no answer")

    monkeypatch.setattr(Handshake, "answer", broken)
    with hub_of() as (here, log), closing(WebSocketClient(here)) as client:
        assert status(client.response) == 500
        assert ("error", "internal error") in log


# ---- memory ----


def test_memory_falls_back_after_a_burst(
    broker_with: Callable[..., Broker], talk_ws: Callable[..., WebSocketClient], topic: str
) -> None:
    """Each client has sent and received a megabyte; then it costs what an idle one does."""
    broker = broker_with(limits={"max_unauthenticated": 5001})
    clients = [talk_ws("heart-beat:0,0", to=broker) for _ in range(60)]
    before = broker.resident()
    body = "x" * MiB
    for number, client in enumerate(clients):
        client.subscribe(f"{topic}.{number}")
        client.send(frame("SEND", f"destination:{topic}.{number}", body=body))
        client.expect_message(f"{topic}.{number}", body)
    eventually(lambda: broker.resident() - before < 60 * 24 * KiB + 8 * MiB, "the memory is given back", pause=0.2)
    assert broker.census()["input"] == 0
