"""WebSocket: the handshake, frames that are right and frames that are not, closing, and peers that mean no good.

That STOMP is the same over a WebSocket is shown by the protocol tests, which run over it too.
"""

import asyncio
import contextlib
import json
import socket
import time

import pytest
from harness.client import NARROW, Client
from harness.frames import frame, receipt
from harness.waiting import DEADLINE, SOON, eventually, in_background
from harness.websocket import (
    ACCEPT,
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    WebSocketClient,
    closing,
    head,
    masked,
    packed,
    request,
)

from fastbroker.client import connected
from fastbroker.transports.address import parse_target

CONNECT = frame("CONNECT", "accept-version:1.2", "host:x")
KiB, MiB = 2**10, 2**20


@pytest.fixture
def open_ws(request, broker):
    """Open a WebSocket, with a request of one's own if wanted; it is closed when the test ends."""
    with contextlib.ExitStack() as stack:

        def connect(*, to=None, **options):
            return stack.enter_context(contextlib.closing(WebSocketClient(to or broker, **options)))

        yield connect


@pytest.fixture
def talk_ws(open_ws):
    """Open a WebSocket and log in."""

    def connect(version="1.2", *headers, **options):
        client = open_ws(**options)
        client.login(version, *headers)
        return client

    return connect


def status(response):
    return int(response.split(b" ", 2)[1])


def body(response):
    return response.partition(b"\r\n\r\n")[2].decode()


# ---- the handshake ----


def test_upgrade(open_ws):
    lines = open_ws().response.split(b"\r\n")
    assert lines[0] == b"HTTP/1.1 101 Switching Protocols"
    assert b"Sec-WebSocket-Accept: " + ACCEPT.encode() in lines
    assert not [line for line in lines if line.lower().startswith((b"sec-websocket-protocol", b"sec-websocket-ext"))]


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ("v12.stomp, v11.stomp, v10.stomp", "v12.stomp"),
        ("v10.stomp,v11.stomp", "v11.stomp"),
        ("v11.stomp, v12.stomp", "v12.stomp"),
        ("v10.stomp", "v10.stomp"),
        ("mqtt, v11.stomp", "v11.stomp"),
        ("stomp", "stomp"),
        ("mqtt, stomp", "stomp"),
        ("stomp, v10.stomp", "v10.stomp"),
        ("stomp, v11.stomp, v12.stomp", "v12.stomp"),
        ("STOMP", None),
        ("v13.stomp", None),
        ("V12.STOMP", None),
    ],
)
@pytest.mark.item(119)
@pytest.mark.rule(2)
def test_best_subprotocol_is_taken(open_ws, offered, chosen):
    client = open_ws(upgrade=request(Sec_WebSocket_Protocol=offered))
    lines = [line for line in client.response.split(b"\r\n") if line.startswith(b"Sec-WebSocket-Protocol: ")]
    assert lines == ([b"Sec-WebSocket-Protocol: " + chosen.encode()] if chosen else [])
    client.login("1.2")


@pytest.mark.parametrize("connection", ["Upgrade", "upgrade", "keep-alive, Upgrade", "Upgrade,keep-alive"])
@pytest.mark.parametrize("upgrade", ["websocket", "WebSocket", "h2c, websocket"])
def test_header_lists_as_browsers_write_them(talk_ws, connection, upgrade):
    talk_ws(upgrade=request(Connection=connection, Upgrade=upgrade))


@pytest.mark.parametrize(
    ("sent", "code", "text"),
    [
        (request(method="POST"), 405, "GET"),
        (request(method="CONNECT"), 405, "GET"),
        (request("/other"), 404, "/ws"),
        (request("/ws/more"), 404, "/ws"),
        (request("/other", {"Host": "x"}), 404, "/ws"),
        (request(headers={"Host": "x"}), 426, "WebSocket"),
        (request(Sec_WebSocket_Version="8"), 426, "13"),
        (request(Sec_WebSocket_Version=""), 426, "13"),
        (request(Sec_WebSocket_Key="short"), 400, "key"),
        (request(Sec_WebSocket_Key=""), 400, "key"),
        (request(Host=""), 400, "Host"),
        (request(Content_Length="5"), 400, "body"),
        (request(Transfer_Encoding="chunked"), 400, "Transfer-Encoding"),
        (request().replace(b"HTTP/1.1", b"HTTP/1.0"), 400, "version"),
        (request().replace(b"Upgrade: ", b"Up grade: "), 400, "header line"),
        (request(X="a" * 17000), 431, "large"),
        (b"GET /ws HTTP/1.1\r\nX: " + b"a" * 17000, 431, "large"),
        (CONNECT, 400, "not HTTP"),
        (b"\x16\x03\x01\x02\x00\x01", 400, "not HTTP"),
        (b"GET /ws HTTP/1.1\nHost: x\n\n", 400, "not HTTP"),
    ],
)
def test_refusal_says_why(open_ws, sent, code, text):
    response = open_ws(upgrade=sent).response
    assert status(response) == code, response
    assert text in body(response)
    assert b"Connection: close" in response
    assert (b"Upgrade: websocket" in response) == (code == 426)


def test_query_does_not_matter(talk_ws):
    talk_ws(upgrade=request("/ws?token=x"))


def test_frames_right_behind_the_request(open_ws):
    client = open_ws(upgrade=request() + packed(CONNECT))
    assert b"CONNECTED\nversion:1.2" in client.read_frame()


def test_request_byte_by_byte(open_ws, broker):
    with contextlib.closing(Client(broker)) as plain:
        assert plain.scheme == "tcp"
    sock = socket.create_connection(("127.0.0.1", broker.ports["ws"]))
    with sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in request() + packed(CONNECT):
            sock.sendall(bytes([byte]))
        sock.settimeout(DEADLINE)
        got = b""
        while b"CONNECTED" not in got:
            got += sock.recv(1000)


def test_slow_handshake_is_cut(broker_with, open_ws):
    broker = broker_with(limits={"login_timeout": 0.5})
    started = time.monotonic()
    response = open_ws(to=broker, upgrade=b"GET /ws HTTP/1.1\r\nHost: x\r\n").response
    assert status(response) == 408
    assert "login timed out" in body(response)
    assert time.monotonic() - started < SOON


def test_slow_login_behind_the_handshake_is_cut(broker_with, open_ws):
    client = open_ws(to=broker_with(limits={"login_timeout": 0.5}))
    client.expect_error("login timed out")
    assert client.close_code == 1008


def test_trickle_does_not_extend_the_handshake(broker_with):
    broker = broker_with(limits={"login_timeout": 0.5})
    with socket.create_connection(("127.0.0.1", broker.ports["ws"])) as sock:
        started = time.monotonic()
        with contextlib.suppress(OSError):
            for byte in request(X="a" * 1000):
                sock.sendall(bytes([byte]))
                time.sleep(0.02)
        assert time.monotonic() - started < SOON


def test_too_many_connections_are_told_in_http(broker_with, open_ws):
    broker = broker_with(limits={"max_connections": 1})
    held = open_ws(to=broker)
    response = open_ws(to=broker).response
    assert status(response) == 503
    assert "server busy" in body(response)
    held.login("1.2")


# ---- pages ----


def get(broker, path, **headers):
    """A plain GET; the answer as it came."""
    with socket.create_connection(("127.0.0.1", broker.ports["ws"])) as sock:
        sock.settimeout(DEADLINE)
        sock.sendall(request(path, {"Host": "broker.localhost:1234"}, **headers))
        got = b""
        while data := sock.recv(10_000):
            got += data
    return got


def test_status_page(broker):
    response = get(broker, "/")
    assert status(response) == 200
    assert "ws://broker.localhost:1234/ws" in body(response)


def test_status_page_repeats_no_markup(broker):
    with socket.create_connection(("127.0.0.1", broker.ports["ws"])) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: <script>\r\n\r\n")
        assert b"<script>" not in sock.recv(10_000)


def test_sockjs_info(broker):
    response = get(broker, "/sockjs/info", Origin="http://broker.localhost:1234")
    assert json.loads(body(response)).keys() == {"websocket", "origins", "cookie_needed", "entropy"}
    assert b"Access-Control-Allow-Origin: http://broker.localhost:1234\r\n" in response


def test_sockjs_info_is_not_shared_with_strange_pages(broker):
    assert b"Access-Control" not in get(broker, "/sockjs/info", Origin="http://evil.example")


def test_endpoints_are_no_pages(broker):
    for path in ("/ws", "/ws/", "/stomp", "/sockjs/a/b/websocket"):
        assert status(get(broker, path)) == 426


def test_sockjs_greeting(broker):
    assert body(get(broker, "/sockjs")) == "Welcome to SockJS!\n"


def test_raw_websocket_of_sockjs(talk_ws):
    talk_ws(upgrade=request("/sockjs/websocket"))


def test_sockjs_can_be_switched_off(broker_with):
    broker = broker_with(websocket={"sockjs": False})
    assert status(get(broker, "/sockjs/info")) == 404


@pytest.mark.parametrize("path", ["/ws", "/ws/", "/stomp", "/stomp/", "/stomp?x=/ws"])
def test_paths_that_clients_ask_for_without_being_told(talk_ws, path):
    talk_ws(upgrade=request(path))


@pytest.mark.parametrize("path", ["/", "/ws//", "/WS", "/stomp/more", "/websocket", "/stompx"])
def test_paths_that_are_none(open_ws, path):
    response = open_ws(upgrade=request(path)).response
    assert status(response) == 404
    assert "it is at /ws." in body(response)


def test_a_path_of_ones_own_is_the_only_one(broker_with, talk_ws, open_ws):
    broker = broker_with(websocket={"path": "/chat"})
    for path in ("/chat", "/chat/"):
        talk_ws(to=broker, upgrade=request(path))
    for path in ("/ws", "/stomp"):
        response = open_ws(to=broker, upgrade=request(path)).response
        assert status(response) == 404
        assert "it is at /chat." in body(response)
    assert "ws://broker.localhost:1234/chat<" in body(get(broker, "/"))


@pytest.mark.parametrize(("path", "more"), [("/chat/", "/chat"), ("/stomp", "/stomp/"), ("/", "/")])
def test_a_path_may_end_in_a_slash(broker_with, talk_ws, path, more):
    broker = broker_with(websocket={"path": path})
    talk_ws(to=broker, upgrade=request(path))
    talk_ws(to=broker, upgrade=request(more))


# ---- Origin (S8) ----

HOST = "chat.localhost:8080"


@pytest.mark.parametrize("origin", ["", "http://chat.localhost:8080", "HTTP://Chat.LocalHost:8080"])
def test_own_pages_and_programs_may_connect(talk_ws, origin):
    talk_ws(upgrade=request(Host=HOST, Origin=origin))


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "http://chat.localhost",
        "http://chat.localhost:80",
        "https://chat.localhost:8080",
        "http://chat.localhost:8080.evil.example",
        "http://chat.localhost.evil:8080",
        "http://evil-localhost:8080",
        "http://a.chat.localhost:8080",
        "http://chat.localhost:8080/",
        "http://chat.localhost:8080@evil.example",
        "http://evil@chat.localhost:8080",
        "http://chat.localhost:x",
        "http://chat.localhost:8080, http://evil.example",
        "null",
        "file://",
        "*",
        "chat.localhost:8080",
        "http://chat.localhost\t:8080",
    ],
)
def test_strange_pages_may_not(open_ws, origin):
    response = open_ws(upgrade=request(Host=HOST, Origin=origin)).response
    assert status(response) in (400, 403)


def test_refusal_names_the_key(open_ws):
    response = open_ws(upgrade=request(Host=HOST, Origin="http://evil.example")).response
    assert status(response) == 403
    assert "websocket.allowed_origins" in body(response)


def test_two_origins_are_none(open_ws):
    good = b"Origin: http://chat.localhost:8080\r\n"
    sent = request(Host=HOST).replace(b"\r\nUpgrade", b"\r\n" + good + good + b"Upgrade", 1)
    assert status(open_ws(upgrade=sent).response) == 403


@pytest.mark.parametrize(
    ("origin", "may"),
    [
        ("https://chat.example", True),
        ("https://chat.example:443", True),
        ("http://chat.example", False),
        ("https://chat.example:8443", False),
        ("http://own.localhost:1", True),
    ],
)
def test_allowed_origins(broker_with, open_ws, origin, may):
    broker = broker_with(websocket={"allowed_origins": ["https://chat.example"]})
    response = open_ws(to=broker, upgrade=request(Host="own.localhost:1", Origin=origin)).response
    assert status(response) == (101 if may else 403)


def test_all_origins(broker_with, open_ws):
    broker = broker_with(websocket={"allowed_origins": ["*"]})
    assert status(open_ws(to=broker, upgrade=request(Origin="null")).response) == 101


# ---- frames that are right ----


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_text_and_binary_are_the_same(open_ws, opcode):
    client = open_ws()
    client.send_raw(packed(CONNECT, opcode))
    assert client.read_frame().startswith(b"CONNECTED\n")


@pytest.mark.parametrize("size", [0, 1, 124, 125, 126, 127, 65535 - 80, 65536, 65537, 300_000, MiB])
def test_bodies_of_every_length_class(talk_ws, topic, size):
    client = talk_ws()
    client.subscribe(topic)
    text = bytes(n % 251 + 1 for n in range(size))
    sent = frame("SEND", f"destination:{topic}", body=text)
    client.send_raw(head(BINARY, len(sent)), masked(sent))
    client.expect_message(topic, text)


def test_frame_over_many_messages_and_many_in_one(talk_ws, topic):
    client = talk_ws()
    client.subscribe(topic)
    sent = b"".join(frame("SEND", f"destination:{topic}", body=f"{n}") for n in range(50))
    for at in range(0, len(sent), 7):
        client.send(sent[at : at + 7])
    client.send(sent)
    client.expect_bodies(topic, [f"{n}" for n in range(50)] * 2)


@pytest.mark.parametrize("piece", [1, 2, 3, 5, 6, 7, 13, 64, 1000])
def test_wire_cut_anywhere(talk_ws, topic, piece):
    client = talk_ws()
    client.subscribe(topic)
    sends = [frame("SEND", f"destination:{topic}", body=f"{n}" * n * 20) for n in range(8)]
    wire = b"".join(packed(sent, opcode) for sent, opcode in zip(sends, [TEXT, BINARY] * 4, strict=True))
    for at in range(0, len(wire), piece):
        client.send_raw(wire[at : at + piece])
    client.expect_bodies(topic, [f"{n}" * n * 20 for n in range(8)])


def test_fragments_with_control_frames_between(talk_ws, topic):
    client = talk_ws()
    client.subscribe(topic)
    sent = frame("SEND", f"destination:{topic}", body="fragments")
    client.send_raw(packed(sent[:10], TEXT, final=False), packed("1", PING), packed(sent[10:20], 0, final=False))
    client.send_raw(packed("", CONTINUATION, final=False), packed("2", PING), packed(sent[20:], CONTINUATION))
    client.expect_message(topic, "fragments")
    client.expect_pong(b"1")
    client.expect_pong(b"2")


def test_empty_messages_are_nothing(talk_ws):
    client = talk_ws()
    client.send_raw(packed("", TEXT) * 1000)
    client.roundtrip()


@pytest.mark.parametrize("payload", [b"", b"hello", bytes(range(125))])
def test_ping(talk_ws, payload):
    client = talk_ws()
    client.send_raw(packed(payload, PING))
    client.expect_pong(payload)


def test_every_ping_of_a_few_is_answered(talk_ws):
    client = talk_ws()
    client.send_raw(*(packed(f"{n}", PING) for n in range(10)))
    for n in range(10):
        client.expect_pong(b"%d" % n)


def test_ping_is_answered_when_what_stood_before_its_pong_goes_out_at_once(broker_with, open_ws):
    """More than `outbound_soft`, and then nothing: no room for the PONG at first, and then no other reason to write."""
    client = open_ws(to=broker_with(limits={"outbound_soft": 16 * KiB}))
    client.login("1.2")
    for number in range(4):
        client.send(frame("SUBSCRIBE", "destination:/topic/a", f"id:{number}"))
    client.roundtrip()
    client.send_raw(packed(frame("SEND", "destination:/topic/a", body="x" * 10_000)) + packed("1", PING))
    client.expect_pong(b"1")


def test_pong_that_nobody_asked_for(talk_ws):
    client = talk_ws()
    client.send_raw(packed("x", PONG))
    client.roundtrip()


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"\xc3", "ąęź".encode() + b"\x80", b"\xed\xa0\x80", b"a" * 9000 + b"\xff"]
)
def test_body_that_is_no_utf_8_goes_out_as_binary(talk_ws, topic, content):
    client = talk_ws()
    client.subscribe(topic)
    client.send(frame("SEND", f"destination:{topic}", body=content))
    client.expect_message(topic, content)  # the client looks at the opcode of each message


def test_invalid_utf_8_in_text_is_for_stomp_to_judge(talk_ws, topic):
    client = talk_ws()
    client.subscribe(topic)
    client.send_raw(packed(frame("SEND", f"destination:{topic}", body=b"\xff"), TEXT))
    client.expect_message(topic, b"\xff")


@pytest.mark.parametrize("size", [10, 8000, 8192, 20_000, 200_000])
@pytest.mark.parametrize("counted", [False, True])
@pytest.mark.parametrize("fill", [b"x", "ą".encode(), b"\xff"])
def test_messages_out(talk_ws, topic, size, counted, fill):
    """The client holds each message to the rules: one frame, text or binary."""
    client, other = talk_ws(), talk_ws()
    client.subscribe(topic)
    other.subscribe(topic)
    content = fill * (size // len(fill))
    headers = [f"content-length:{len(content)}"] if counted else []
    for _ in range(5):
        client.send(frame("SEND", f"destination:{topic}", *headers, body=content))
    for receiver in (client, other):
        for _ in range(5):
            receiver.expect_message(topic, content, *headers)


def test_body_with_nuls(talk_ws, topic):
    client = talk_ws()
    client.subscribe(topic)
    content = b"a\0b\n\n\0\nMESSAGE\n\n\0"
    client.send(frame("SEND", f"destination:{topic}", f"content-length:{len(content)}", body=content))
    client.expect_message(topic, content, f"content-length:{len(content)}")


def test_empty_content_length_in_front_of_another(talk_ws, topic):
    client = talk_ws()
    client.subscribe(topic)
    client.send(frame("SEND", f"destination:{topic}", "content-length:", "content-length:3", body="longer") * 2)
    first, second = client.read_frame(), client.read_frame()
    assert first.partition(b"destination")[2] == second.partition(b"destination")[2]


def test_heart_beat_is_a_message_of_one_line_feed(talk_ws):
    client = talk_ws("1.2", "heart-beat:0,100")
    client.expect("\n")
    client.expect("\n")


# ---- frames that are not ----


@pytest.mark.parametrize("stage", ["before login", "after login", "within a message"])
@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (head(TEXT, 1, reserved=4) + b"x", 1002),
        (head(TEXT, 1, reserved=2) + b"x", 1002),
        (head(TEXT, 1, reserved=1) + b"x", 1002),
        (head(PING, 0, reserved=4), 1002),
        *((head(opcode, 1) + b"x", 1002) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)),
        (head(TEXT, 5, mask=None) + b"hello", 1002),
        (head(TEXT, 0, mask=None), 1002),
        (head(PING, 0, final=False), 1002),
        (head(CLOSE, 2, final=False) + b"\x03\xe8", 1002),
        (head(PING, 126) + bytes(126), 1002),
        (head(PING, 65536), 1002),
        (b"\x82\xfe\x00\x05" + bytes(9), 1002),
        (b"\x82\xff" + (5).to_bytes(8, "big") + bytes(9), 1002),
        (b"\x82\xff" + (65535).to_bytes(8, "big") + bytes(4), 1002),
        (b"\x82\xff" + (1 << 63).to_bytes(8, "big") + bytes(4), 1002),
        (b"\x82\xff" + b"\xff" * 8 + bytes(4), 1002),
        (packed(b"\x03", CLOSE), 1002),
        *((closing(code), 1002) for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535)),
        (closing(1000, b"\xff"), 1007),
    ],
)
def test_violation_gets_an_error_and_a_close(open_ws, stage, wrong, code):
    client = open_ws()
    if stage != "before login":
        client.login("1.2")
    if stage == "within a message":
        client.send_raw(packed("\n", TEXT, final=False))
        wrong = wrong.replace(head(TEXT, 1, reserved=4)[:1], b"\xc0", 1)
    client.send_raw(wrong)
    client.expect_error("bad WebSocket frame")
    assert client.close_code == code


@pytest.mark.parametrize(
    "sent",
    [
        packed("x", CONTINUATION),
        packed("x", CONTINUATION, final=False),
        packed("\n", TEXT, final=False) + packed("\n", TEXT),
        packed("\n", TEXT, final=False) + packed("\n", BINARY, final=False),
        packed("\n", TEXT) + packed("x", CONTINUATION),
    ],
)
def test_continuation_out_of_place(talk_ws, sent):
    client = talk_ws()
    client.send_raw(sent)
    client.expect_error("bad WebSocket frame")
    assert client.close_code == 1002


def test_what_lies_in_front_of_a_violation_counts(talk_ws, topic):
    client = talk_ws()
    client.send_raw(packed(frame("SEND", f"destination:{topic}", "receipt:1")), head(3, 0))
    client.expect(receipt("1"))
    client.expect_error("bad WebSocket frame")


def test_nothing_behind_a_violation_counts(talk_ws, queue):
    client, other = talk_ws(), talk_ws()
    client.send_raw(head(3, 0), packed(frame("SEND", f"destination:{queue}", body="smuggled")))
    client.expect_error("bad WebSocket frame")
    other.subscribe(queue)
    other.expect_nothing()


# ---- S6, S7: more than there may be ----


def test_no_extension_is_agreed_on(talk_ws):
    client = talk_ws(upgrade=request(Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits"))
    assert b"xtensions" not in client.response
    client.send_raw(head(TEXT, 1, reserved=4) + b"x")
    client.expect_error("bad WebSocket frame")


@pytest.mark.parametrize("size", [20 * KiB, 1 << 40, (1 << 63) - 1])
def test_frame_before_login_is_capped_by_what_came(open_ws, broker_with, size):
    client = open_ws(to=broker_with(limits={"linger": 0.2}))  # its CLOSE would be payload of the frame under way
    content = b"CONNECT\nx:" + b"a" * 7000 + b"\ny:" + b"a" * 7000 + b"\nz:" + b"a" * 6000
    client.send_raw(head(TEXT, max(size, len(content))), masked(content))
    client.expect_error("frame too large")
    assert client.close_code == 1009


def test_sum_over_messages_before_login_is_capped(open_ws):
    client = open_ws()
    with contextlib.suppress(OSError):
        client.send_raw(packed("CONNECT\n"))
        for n in range(40):
            client.send_raw(packed(f"x{n}:" + "a" * 500 + "\n"))
    client.expect_error("frame too large")


def test_sum_over_fragments_is_capped(broker_with, open_ws):
    client = open_ws(to=broker_with(limits={"max_frame": 64 * KiB}))
    client.login("1.2")
    client.send_raw(packed("SEND\ndestination:/queue/a\n\n", TEXT, final=False))
    with contextlib.suppress(OSError):
        for _ in range(70):
            client.send_raw(packed(b"x" * 1000, CONTINUATION, final=False))
    client.expect_error("frame too large")
    assert client.close_code == 1009


def test_fragments_are_counted(talk_ws):
    client = talk_ws()
    with contextlib.suppress(OSError):
        client.send_raw(packed("", TEXT, final=False), packed("", CONTINUATION, final=False) * 20_000)
    client.expect_error("bad WebSocket frame")
    assert client.close_code == 1008


def test_many_short_fragments_cost_no_memory(broker, talk_ws, queue):
    client = talk_ws()
    before = broker.resident()
    client.send_raw(packed(f"SEND\ndestination:{queue}\nreceipt:1\n\n", TEXT, final=False))
    client.send_raw(packed("x", CONTINUATION, final=False) * 10_000, packed("\0", CONTINUATION))
    client.expect(receipt("1"))
    assert broker.resident() - before < 2 * MiB


def test_flood_of_pings(talk_ws):
    client = talk_ws()
    with contextlib.suppress(OSError):
        client.send_raw(packed("x" * 125, PING) * 5000)
    client.expect_error("bad WebSocket frame")
    assert client.close_code == 1008


def test_unread_pongs_are_not_kept(broker, talk_ws):
    client = talk_ws(receive_buffer=NARROW)
    for _ in range(3):
        client.send_raw(packed("x" * 125, PING) * 30)
        time.sleep(0.4)
    client.roundtrip()


def test_half_frames_of_many_before_login(broker_with):
    """By what came, not by what a header announces."""
    broker = broker_with(limits={"max_connections": 0})
    before = broker.resident()
    sockets = []
    for _ in range(300):
        sock = socket.create_connection(("127.0.0.1", broker.ports["ws"]))
        sock.sendall(request() + head(BINARY, 4 * MiB) + masked(b"CONNECT\nx:" + b"a" * 6000))
        sockets.append(sock)
    eventually(lambda: broker.census()["connections"] == 300, "all have connected")
    grown = broker.resident() - before
    for sock in sockets:
        sock.close()
    assert grown < 300 * 24 * KiB + MiB


# ---- closing ----


@pytest.mark.parametrize(("code", "echo"), [(1000, 1000), (1001, 1001), (3000, 3000), (4999, 4999), (1011, 1011)])
def test_close_is_answered(talk_ws, broker, code, echo):
    client = talk_ws()
    client.send_raw(closing(code, "bye"))
    client.expect_close(echo)
    client.close()
    broker.wait_disconnected(client, "^closed by client$")


def test_our_own_client_closes_as_it_should(broker):
    since = len(broker.log)

    async def come_and_go():
        async with connected(parse_target(f"ws://127.0.0.1:{broker.ports['ws']}/ws")):
            pass

    asyncio.run(come_and_go())
    ended = broker.wait_log(lambda record: record["event"] == "disconnected", since=since)
    assert ended["reason"] == "closed by client"


def test_close_without_a_code(talk_ws):
    client = talk_ws()
    client.send_raw(packed("", CLOSE))
    client.expect_close(1000)


def test_close_before_login(open_ws):
    client = open_ws()
    client.send_raw(closing())
    client.expect_close(1000)


def test_what_was_sent_before_close_is_answered(talk_ws, queue):
    client = talk_ws()
    client.send_raw(packed(frame("SEND", f"destination:{queue}", "receipt:1")), closing(), packed("NONSENSE\n\n\0"))
    client.expect(receipt("1"))
    client.expect_close(1000)


def test_disconnect_closes(talk_ws):
    client = talk_ws()
    client.send(frame("DISCONNECT", "receipt:1"))
    client.expect(receipt("1"))
    client.expect_close(1000)


@pytest.mark.parametrize(
    ("sent", "message", "code"),
    [
        (frame("NONSENSE"), "unknown command", 1002),
        (frame("SEND"), "missing header", 1002),
        (frame("SUBSCRIBE", "destination:/queue/a", "id:1", "x:" + "a" * 9000), "header line too long", 1002),
        (frame("SEND", "destination:/queue/a", f"content-length:{5 * MiB}"), "frame too large", 1009),
    ],
)
def test_error_then_close(talk_ws, sent, message, code):
    client = talk_ws()
    client.send(sent)
    got = client.read_frame()
    assert f"message:{message}".encode() in got
    client.expect_close(code)
    assert client.close_reason.decode() == message


def test_peer_that_never_answers_close(broker_with, talk_ws):
    broker = broker_with(limits={"linger": 0.3})
    client = talk_ws(to=broker)
    client._on_close = lambda payload: None
    client.send(frame("NONSENSE"))
    started = time.monotonic()
    broker.wait_disconnected(client, "unknown command")
    assert time.monotonic() - started < SOON


def test_peer_that_answers_close_with_a_flood(broker_with, talk_ws):
    broker = broker_with(limits={"linger": 0.3})
    client = talk_ws(to=broker)
    client.send(frame("NONSENSE"))
    with contextlib.suppress(OSError):
        for _ in range(2000):
            client.send_raw(packed("x" * 10_000))
    broker.wait_disconnected(client, "unknown command")


def test_peer_that_shuts_its_side_without_close(talk_ws, queue):
    client = talk_ws()
    client.send(frame("SEND", f"destination:{queue}", "receipt:1"))
    client.socket.shutdown(socket.SHUT_WR)
    client.expect(receipt("1"))
    client.expect_close(1000)


@pytest.mark.parametrize("cut", [1, 3, 6, 20])
def test_peer_that_goes_within_a_frame(talk_ws, broker, cut):
    client = talk_ws()
    client.send_raw(packed(frame("SEND", "destination:/queue/a"))[:cut])
    client.reset()
    broker.wait_disconnected(client, ".")


def test_shutdown_says_1012(broker_with, talk_ws, open_ws):
    broker = broker_with(drain_timeout=5.0)
    client, early = talk_ws(to=broker), open_ws(to=broker)
    broker.process.terminate()
    client.expect_close(1012)
    assert client.close_reason == b"server shutting down"
    early.read_all()
    broker.process.wait(DEADLINE)
    assert broker.process.returncode == 0


# ---- those who are slow ----


def test_slow_consumer_gets_everything(talk_ws, queue):
    client, publisher = talk_ws(receive_buffer=NARROW), talk_ws()
    client.subscribe(queue)
    content = "x" * 30_000
    with in_background(lambda: [publisher.publish(queue, content) for _ in range(200)]):
        for n in range(200):
            client.expect_message(queue, content)
            client.send_raw(*([packed(f"{n}", PING)] if n % 10 == 0 else []))
        client.expect_pong(b"190")


@pytest.mark.parametrize("size", [8_000_000, 8_600_000, 9_000_000])
def test_pong_behind_a_message_that_was_in_its_way(broker_with, talk_ws, queue, size):
    """Nothing more comes that could take it along."""
    limits = {"max_frame": 16 * MiB, "outbound_soft": 16 * MiB, "outbound_hard": 64 * MiB}
    broker = broker_with(limits=limits)
    client, publisher = talk_ws(to=broker, receive_buffer=NARROW), talk_ws(to=broker)
    client.subscribe(queue)
    content = "x" * size
    publisher.publish(queue, content)
    eventually(lambda: not client.is_silent(), "the message is under way")
    client.send_raw(packed("x", PING))
    publisher.roundtrip()
    client.expect_message(queue, content)
    client.expect_pong(b"x")


def test_many_large_bodies_without_a_length_are_pending(broker_with, talk, talk_ws, topic):
    """One STOMP frame, one message: where they end is known, however many go out by reference."""
    broker = broker_with(limits={"outbound_soft": 2 * MiB})
    slow, other, publisher = talk_ws(to=broker, receive_buffer=NARROW), talk_ws(to=broker), talk(to=broker)
    slow.subscribe(topic)
    other.subscribe(topic)
    bodies = [f"{number:03d}" + "x" * (8192 + number) for number in range(150)]
    publisher.send(*(frame("SEND", f"destination:{topic}", body=body) for body in bodies))
    publisher.roundtrip()
    for client in (slow, other):
        client.expect_bodies(topic, bodies)  # the client checks that each is a whole frame


@pytest.mark.parametrize("beginning", [packed("SEND\n", TEXT, final=False), head(TEXT, 100), head(TEXT, 100)[:1]])
def test_unfinished_message_and_silence(broker_with, talk_ws, beginning):
    client = talk_ws(to=broker_with(limits={"frame_timeout": 0.3}))
    client.send_raw(beginning)
    client.expect_error("frame too slow")
    assert client.close_code == 1008


def test_endless_message_with_whole_frames_in_it(broker_with, talk_ws, topic):
    """It is a stream as on TCP: each STOMP frame has its time."""
    client = talk_ws(to=broker_with(limits={"frame_timeout": 0.5}))
    client.subscribe(topic)
    client.send_raw(packed("\n", TEXT, final=False))
    for number in range(12):
        time.sleep(0.1)
        client.send_raw(packed(frame("SEND", f"destination:{topic}", body=f"{number}"), CONTINUATION, final=False))
        client.expect_message(topic, f"{number}")


def test_unfinished_request_and_silence(broker_with, open_ws):
    broker = broker_with(limits={"frame_timeout": 0.3})
    with socket.create_connection(("127.0.0.1", broker.ports["ws"])) as sock:
        sock.sendall(b"GET /ws HTTP/1.1\r\n")
        assert sock.recv(1000).startswith(b"HTTP/1.1 408 ")


def test_publisher_waits_for_a_slow_subscriber(broker_with, talk_ws, topic):
    broker = broker_with(limits={"slow_consumer_grace": 30.0, "outbound_soft": 128 * KiB})
    slow, publisher = talk_ws(to=broker, receive_buffer=NARROW), talk_ws(to=broker)
    slow.subscribe(topic)
    before = broker.resident()
    count, content = 1000, "x" * 20_000
    sent = packed(frame("SEND", f"destination:{topic}", body=content)) * count
    with in_background(lambda: publisher.socket.sendall(sent)):
        time.sleep(0.5)
        assert broker.resident() - before < 8 * MiB
        for _ in range(count):
            slow.expect_message(topic, content)


def test_stalled_subscriber_is_dropped(broker_with, talk_ws, topic):
    broker = broker_with(limits={"slow_consumer_grace": 0.2, "outbound_soft": 64 * KiB})
    slow, publisher = talk_ws(to=broker, receive_buffer=NARROW), talk_ws(to=broker)
    slow.subscribe(topic)
    publisher.send(frame("SEND", f"destination:{topic}", body="x" * 16_000) * 1000)
    broker.wait_disconnected(slow, "slow consumer")
    publisher.roundtrip()


# ---- many ----


def test_fan_out_to_both_transports(broker, talk, talk_ws, topic):
    clients = [talk_ws() for _ in range(40)] + [talk() for _ in range(40)]
    for client in clients:
        client.subscribe(topic)
    bodies = [f"{n}" * (n % 50) for n in range(500)]
    clients[0].send(*(frame("SEND", f"destination:{topic}", body=text) for text in bodies))
    for client in clients:
        client.expect_bodies(topic, bodies)


def test_memory_of_idle_clients(broker_with):
    broker = broker_with(limits={"max_unauthenticated": 5000})
    with contextlib.ExitStack() as stack:

        def more(count):
            for n in range(count):
                client = stack.enter_context(contextlib.closing(WebSocketClient(broker)))
                client.login("1.2", "heart-beat:0,0")
                client.subscribe(f"/topic/idle.{n}")

        more(100)
        before = broker.resident()
        more(400)
        assert broker.resident() - before < 400 * 24 * KiB
