"""What a browser gets from a ws:// address: `websocket.pages`, the status page, and large files for slow readers."""

from __future__ import annotations

import base64
import hashlib
import random
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from harness.broker import ROOT, Broker
from harness.certificates import authority, tls_table
from harness.client import Client
from harness.waiting import DEADLINE, eventually
from harness.websocket import WebSocketClient, request

LARGE = random.Random(1).randbytes(5 * 2**20)
LIMITS = {"linger": 0.1, "outbound_timeout": 1.0}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("site")
    (directory / "index.html").write_text("<!doctype html><script src=app.js></script>")
    (directory / "app.js").write_text("")
    (directory / "large.bin").write_bytes(LARGE)
    (directory / "stomp").mkdir()
    (directory / "stomp" / "index.html").write_text("a page")
    return directory


@pytest.fixture
def shop(broker_with: Callable[..., Broker], site: Path) -> Broker:
    """A broker with pages, that has little patience."""
    return broker_with(websocket={"pages": str(site)}, limits=LIMITS)


@pytest.fixture
def dial_web() -> Iterator[Callable[..., socket.socket]]:
    """Open a socket to a port; it is closed when the test ends."""
    with ExitStack() as stack:

        def connect(port: int, receive_buffer: int = 0) -> socket.socket:
            connection = stack.enter_context(socket.socket())
            if receive_buffer:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            connection.settimeout(DEADLINE)
            connection.connect(("127.0.0.1", port))
            return connection

        yield connect


def get(port: int, path: str, method: str = "GET", host: str = "localhost", **headers: str) -> tuple[bytes, bytes]:
    """Ask once; the head and the body of the answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as connection:
        connection.sendall(request(path, {"Host": host}, method, **headers))
        head, _, body = b"".join(iter(lambda: connection.recv(1 << 20), b"")).partition(b"\r\n\r\n")
        return head, body


def slowly(connection: socket.socket, *, pause: float) -> bytes:
    """Read to the end, a little at a time."""
    got = bytearray()
    while data := connection.recv(100_000):
        got += data
        time.sleep(pause)
    return bytes(got).partition(b"\r\n\r\n")[2]


def test_pages(shop: Broker) -> None:
    head, body = get(shop.ports["ws"], "/")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert body == b"<!doctype html><script src=app.js></script>"
    head, body = get(shop.ports["ws"], "/app.js?v=1")
    assert b"\r\nContent-Type: text/javascript; charset=utf-8\r\n" in head
    assert body == b""
    assert get(shop.ports["ws"], "/../../etc/passwd")[0].startswith(b"HTTP/1.1 404 ")


def test_head_is_get_without_the_body(shop: Broker) -> None:
    for path in ("/", "/large.bin", "/missing", "/ws"):
        head, body = get(shop.ports["ws"], path, "HEAD")
        expected, whole = get(shop.ports["ws"], path)
        assert body == b""
        assert f"\r\nContent-Length: {len(whole)}\r\n".encode() in head
        assert re.sub(rb"Date: [^\r]*", b"", head) == re.sub(rb"Date: [^\r]*", b"", expected)


def test_files_that_appear_later_are_not_there(shop: Broker, site: Path) -> None:
    (site / "late.txt").write_text("late")
    assert get(shop.ports["ws"], "/late.txt")[0].startswith(b"HTTP/1.1 404 ")


def test_stomp_is_where_it_was(shop: Broker) -> None:
    assert get(shop.ports["ws"], "/ws")[0].startswith(b"HTTP/1.1 426 ")


def test_a_page_may_stand_where_a_websocket_is(shop: Broker) -> None:
    assert get(shop.ports["ws"], "/stomp/")[1] == b"a page"
    with closing(WebSocketClient(shop, upgrade=request("/stomp/"))) as client:
        client.login("1.2")


def test_large_file_for_a_slow_reader(shop: Broker, dial_web: Callable[..., socket.socket]) -> None:
    """It takes longer than `linger` and `outbound_timeout` together, but always takes something."""
    connection = dial_web(shop.ports["ws"], 65_536)
    connection.sendall(request("/large.bin", {"Host": "localhost"}))
    assert slowly(connection, pause=0.04) == LARGE


def test_last_bytes_for_a_slow_reader(shop: Broker, dial_web: Callable[..., socket.socket]) -> None:
    """What the kernel holds when the broker has done its part still arrives, later than `linger`."""
    connection = dial_web(shop.ports["ws"], 65_536)
    connection.sendall(request("/large.bin", {"Host": "localhost"}))
    got = bytearray()
    while len(got) < len(LARGE) - 150_000:
        got += connection.recv(2**16)
    time.sleep(0.5)
    while data := connection.recv(2**16):
        got += data
    assert got.endswith(LARGE)


def test_large_file_over_tls(tmp_path: Path, site: Path) -> None:
    config = {
        "listen": ["wss://127.0.0.1:0"],
        "tls": tls_table(),
        "websocket": {"pages": str(site)},
        "limits": LIMITS,
    }
    broker = Broker(tmp_path, config)
    try:
        context = ssl.create_default_context(cafile=authority())
        with socket.create_connection(("127.0.0.1", broker.ports["wss"]), timeout=DEADLINE) as plain:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as connection:
                connection.sendall(request("/large.bin", {"Host": "localhost"}))
                assert slowly(connection, pause=0.01) == LARGE
    finally:
        broker.stop()


def test_nobody_waits_for_a_slow_reader(shop: Broker, dial_web: Callable[..., socket.socket]) -> None:
    """And those who take nothing at all cost little, and are cut off."""
    before = shop.resident()
    for _ in range(50):
        dial_web(shop.ports["ws"], 4096).sendall(request("/large.bin", {"Host": "localhost"}))
    with closing(Client(shop)) as client:
        client.login("1.2")
        for _ in range(20):
            client.roundtrip()
        assert get(shop.ports["ws"], "/large.bin")[1] == LARGE
        assert shop.resident() - before < 25 * 2**20
        eventually(lambda: shop.census()["connections"] == 1, "those who take nothing are cut off")


def test_without_pages_there_is_a_status_page(broker: Broker) -> None:
    head, body = get(broker.ports["ws"], "/", host="chat.example:8080")
    text = body.decode()
    assert "STOMP over WebSocket is at <code>ws://chat.example:8080/ws</code>" in text
    assert "new WebSocket(&quot;ws://chat.example:8080/ws&quot;" in text
    assert "<code>websocket.allowed_origins</code>" in text
    assert re.search(r"<h1>fastbroker [0-9]", text)
    assert not re.search(r"(?:src|href)=|url\(|@import", text), "it needs nothing from elsewhere"
    style = re.search(r"<style>(.*)</style>", text, re.DOTALL)
    assert style
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest())
    assert b"style-src 'sha256-" + digest + b"'" in head


@pytest.mark.parametrize("host", ["<script>", "a'b", 'a"b', "a&b", "a b", "x/../y", "żółć"])
def test_status_page_repeats_nothing_strange(broker: Broker, host: str) -> None:
    head, body = get(broker.ports["ws"], "/", host=host)
    assert head.startswith(b"HTTP/1.1 400 ")
    assert host.encode() not in body


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (lambda path: None, "websocket.pages cannot be read"),
        (lambda path: path.touch(), "websocket.pages cannot be read"),
        (lambda path: path.mkdir() or (path / "out").symlink_to(ROOT / "README.md"), "a link that leads out"),
    ],
    ids=["missing", "a file", "a link out"],
)
def test_the_broker_says_what_is_wrong_with_pages(tmp_path: Path, prepare: Callable[[Path], object], said: str) -> None:
    prepare(tmp_path / "site")
    config = {"listen": ["ws://127.0.0.1:0"], "websocket": {"pages": str(tmp_path / "site")}}
    with pytest.raises(AssertionError, match=said):
        Broker(tmp_path, config)
