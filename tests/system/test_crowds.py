"""Clients that connect and do not log in keep nobody else out, however many they are."""

from __future__ import annotations

import resource
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

import pytest
from harness.broker import Broker
from harness.client import Client, UnixClient
from harness.plain import CONNECT, read_frame
from harness.tls import TlsClient
from harness.waiting import DEADLINE, eventually, in_background
from harness.websocket import SecureWebSocketClient, SockJsClient, WebSocketClient

Serve = Callable[..., Broker]
TOO_SLOW = "too slow while others wait"
BUSY, SLOW = (f"ERROR\nmessage:{why}\n".encode() for why in ("server busy", TOO_SLOW))
PLACES = 30
FILES = 104
LEAST = 1.0
"""Seconds that everybody has."""
LIMITS = {"max_unauthenticated": PLACES, "login_timeout": 600, "frame_timeout": 600}
CLIENTS: dict[str, type[Client]] = {
    "tcp": Client,
    "unix": UnixClient,
    "tls": TlsClient,
    "ws": WebSocketClient,
    "wss": SecureWebSocketClient,
    "SockJS": SockJsClient,
}
WAITS_FOR = """
import asyncio, pathlib, sys
from fastbroker import server
from fastbroker.auth import Access
from fastbroker.cli import main

answer = pathlib.Path(sys.argv.pop(1))

async def authenticate(login):
    while login.login == "slow" and not answer.exists():
        await asyncio.sleep(0.02)

server.access = lambda: Access(authenticate, None)
main()
"""


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    with ExitStack() as stack:

        def start(config: dict[str, Any], **options: Any) -> Broker:
            broker = Broker(tmp_path, config, **options)
            stack.callback(broker.stop)
            return broker

        yield start


@pytest.fixture
def broker(broker_with: Serve) -> Broker:
    """It has few places, and those of the test before are free again."""
    broker = broker_with(limits=LIMITS)
    eventually(lambda: broker.census()["connections"] == 0, "nobody is left")
    return broker


@pytest.fixture
def meet() -> Iterator[Callable[..., Client]]:
    """Open a connection over that transport."""
    with ExitStack() as stack:
        yield lambda broker, scheme="tcp": stack.enter_context(closing(CLIENTS[scheme](broker)))


@pytest.fixture
def call() -> Iterator[Callable[..., socket.socket]]:
    """Open a connection from that host of this machine."""
    with ExitStack() as stack:

        def connect(port: int, host: str = "127.0.0.1") -> socket.socket:
            client = stack.enter_context(socket.socket())
            client.settimeout(DEADLINE)
            client.bind((host, 0))
            client.connect(("127.0.0.1", port))
            return client

        yield connect


def lets_in(client: socket.socket) -> bool:
    """Log in, and see whether that is possible."""
    client.sendall(CONNECT)
    return read_frame(client).startswith(b"CONNECTED\n")


def has_had_its_time(broker: Broker, scheme: str = "tcp") -> None:
    """Wait until one of a crowd goes for somebody who comes, from the same host."""

    def one_is_in() -> bool:
        with suppress(ConnectionError), closing(CLIENTS[scheme](broker)) as client:
            client.send(CONNECT, "DISCONNECT\n\n\0")
            return b"CONNECTED\n" in client.read_all()
        return False

    eventually(one_is_in, "one of the crowd makes room", pause=0.05)


@pytest.mark.parametrize("scheme", CLIENTS)
def test_who_says_nothing_makes_room(broker: Broker, meet: Callable[..., Client], scheme: str) -> None:
    """They hold all places, and might for minutes."""
    crowd = [meet(broker, scheme) for _ in range(PLACES)]
    has_had_its_time(broker, scheme)
    for _ in range(PLACES // 2):
        meet(broker, scheme).login("1.2")
    crowd[0].expect_error(TOO_SLOW)
    if isinstance(crowd[0], WebSocketClient):
        assert (crowd[0].close_code, crowd[0].close_reason) == (1013, TOO_SLOW.encode())
    crowd[-1].login("1.2")


@pytest.mark.parametrize(
    ("scheme", "begin", "trickle"), [("tcp", b"CONNECT\nx:", b"x"), ("ws", b"GET /ws HTTP/1.1\r\nX: ", b"x")]
)
def test_who_says_little_makes_room(
    broker: Broker, call: Callable[..., socket.socket], scheme: str, begin: bytes, trickle: bytes
) -> None:
    """Bytes now and then are no login; nor is half a request for a WebSocket."""
    crowd = [call(broker.ports[scheme]) for _ in range(PLACES)]
    enough = threading.Event()
    for client in crowd:
        client.sendall(begin)

    def go_on() -> None:
        while not enough.wait(0.02):
            for client in crowd[1:]:
                client.sendall(trickle)

    with in_background(go_on):
        has_had_its_time(broker, scheme)
        enough.set()
    said = crowd[0].recv(4096)
    assert said.startswith(b"ERROR\n" if scheme == "tcp" else b"HTTP/1.1 408 ")
    assert TOO_SLOW.encode() in said


def test_who_is_slow_stays_when_others_are_more(broker: Broker, call: Callable[..., socket.socket]) -> None:
    """Of the crowd's host one goes, though there is one of another who has waited for longer."""
    slow = call(broker.ports["tcp"], "127.0.0.2")
    crowd = [call(broker.ports["tcp"]) for _ in range(PLACES)]
    until = time.monotonic() + 2 * LEAST
    while time.monotonic() < until:
        assert lets_in(call(broker.ports["tcp"], "127.0.0.3"))
        crowd.append(call(broker.ports["tcp"]))
        time.sleep(0.01)
    assert crowd[0].recv(4096).startswith(b"ERROR\nmessage:%b\n" % TOO_SLOW.encode())
    assert lets_in(slow)


def test_a_host_that_comes_again_and_again_keeps_out_no_other(
    broker: Broker, call: Callable[..., socket.socket]
) -> None:
    """Its clients are always too young to be asked to go, but it has all of the places."""
    enough = threading.Event()

    def come_again() -> None:
        while not enough.is_set():
            for client in [call(broker.ports["tcp"]) for _ in range(2 * PLACES)]:
                client.close()

    with in_background(come_again):
        broker.wait_log(lambda record: record.get("reason") == "server busy", since=len(broker.log))
        found = [lets_in(call(broker.ports["tcp"], "127.0.0.2")) for _ in range(50)]
        enough.set()
    assert all(found)


def test_whom_we_keep_waiting_is_not_slow(serve: Serve, meet: Callable[..., Client], tmp_path: Path) -> None:
    """While their login is looked at it is our turn. They have places, though."""
    answer = tmp_path / "answer"

    def run(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", WAITS_FOR, str(answer), *command[3:]], **options)

    broker = serve({"limits": LIMITS}, run=run)
    slow = [meet(broker) for _ in range(PLACES - 1)]
    for client in slow:
        client.send("CONNECT\naccept-version:1.2\nhost:x\nlogin:slow\n\n\0")
    silent = meet(broker)
    has_had_its_time(broker)
    silent.expect_error(TOO_SLOW)
    last = meet(broker)
    last.send("CONNECT\naccept-version:1.2\nhost:x\nlogin:slow\n\n\0")
    meet(broker).expect_error("server busy")
    answer.touch()
    for client in (*slow, last):
        assert client.read_frame().startswith(b"CONNECTED\n")


def test_sockets_are_not_used_up(serve: Serve, call: Callable[..., socket.socket]) -> None:
    """Where there are fewer than places, room is made for sockets. Of those who are turned away, few are waited for."""

    def few_files() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))

    limits = {"login_timeout": 600, "linger": 60}
    broker = serve({"listen": ["tcp://127.0.0.1:0"], "limits": limits}, preexec_fn=few_files)
    members = [call(broker.ports["tcp"]) for _ in range(10)]
    assert all(map(lets_in, members))
    crowd = [call(broker.ports["tcp"]) for _ in range(200)]
    # Who comes when the first have had their second takes the place of one of them.
    eventually(lambda: len(are_told(crowd)) >= len(crowd) - FILES, "those for whom there is no socket are told")
    assert all(each.recv(4096).startswith((BUSY, SLOW)) for each in are_told(crowd)[1:])
    others = [call(broker.ports["tcp"], "127.0.0.2") for _ in range(10)]
    assert all(map(lets_in, others))
    assert crowd[0].recv(4096).startswith(SLOW)
    assert all(b"RECEIPT" in asks(client) for client in members + others)


def are_told(crowd: list[socket.socket]) -> list[socket.socket]:
    """Those to whom something was said."""
    return select.select(crowd, [], [], 0)[0]


def asks(client: socket.socket) -> bytes:
    client.sendall(b"SEND\ndestination:/topic/here\nreceipt:r\n\n\0")
    return read_frame(client)
