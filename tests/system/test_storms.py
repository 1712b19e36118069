"""Everybody comes at once: all are served, nobody is hung up on, and those who are there already hardly notice."""

from __future__ import annotations

import resource
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from harness.broker import ROOT, Broker
from harness.certificates import Authority
from harness.plain import dial, greet, is_served
from harness.waiting import DEADLINE, eventually

Serve = Callable[..., Broker]
LEAST = 1.0
"""Seconds that everybody has for the login, whoever else comes."""


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def serve(tmp_path: Path, authority: Authority) -> Iterator[Serve]:
    with ExitStack() as stack:

        def start(scheme: str, *, limits: dict[str, int] | None = None, **tls: Any) -> Broker:
            certificate = str(authority.certify("server.pem", "localhost", "127.0.0.1"))
            tables: dict[str, Any] = {"listen": [f"{scheme}://127.0.0.1:0", "tcp://127.0.0.1:0"]}
            tables |= {"tls": {"certificate": certificate, **tls}, "limits": limits or {}}
            broker = Broker(tmp_path, tables)
            stack.callback(broker.stop)
            return broker

        yield start


def storm(broker: Broker, clients: int) -> subprocess.Popen[str]:
    """So many clients that connect and log in at once; it fails if one of them is hung up on."""
    line = [sys.executable, "-m", "fastbroker", "bench", "connect-storm", "--url", broker.urls[0]]
    line += ["--insecure"] if broker.urls[0].startswith(("tls:", "wss:")) else []
    line += ["--connections", str(clients), "--quiet", "--patience", str(DEADLINE)]
    return subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def pings_during(process: subprocess.Popen[str], broker: Broker) -> list[float]:
    """How long each round trip of a client took that was there before, the slowest last."""
    times = []
    with dial(broker.ports["tcp"]) as client:
        greet(client)
        while process.poll() is None:
            before = time.monotonic()
            is_served(client)
            times.append(time.monotonic() - before)
            time.sleep(0.002)
    return sorted(times)


def weather(broker: Broker, clients: int) -> float:
    """A whole storm; how long all but one in a hundred pings took at most."""
    process = storm(broker, clients)
    pings = pings_during(process, broker)
    said = process.stdout.read() if process.stdout else ""
    assert process.returncode in (0, 3), said  # 3: the generator was slow, which is none of the broker's business
    assert not [record for record in broker.log if record["event"] == "refused"]
    return pings[len(pings) * 99 // 100]


@pytest.mark.parametrize("scheme", ["tcp", "ws", "tls", "wss"])
def test_all_of_a_storm_are_served(serve: Serve, scheme: str) -> None:
    """More clients than may be in their handshake at one time, and a ping between them."""
    assert weather(serve(scheme, max_handshakes=50), 600) < 2


@pytest.mark.soak
@pytest.mark.parametrize("clients", [5_000, 10_000])
@pytest.mark.parametrize("scheme", ["tcp", "ws", "tls", "wss"])
@pytest.mark.timeout(600)
def test_all_of_a_great_storm_are_served(serve: Serve, scheme: str, clients: int) -> None:
    assert weather(serve(scheme), clients) < 0.05


def hello(authority: Authority) -> bytes:
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = authority.trusting().wrap_bio(down, up, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return up.read()


def silent(broker: Broker, scheme: str, number: int, hosts: int, words: bytes, stack: ExitStack) -> None:
    """Clients that say these words and nothing more, from so many hosts."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, number + 500), hard), hard))
    for each in range(number):
        client = stack.enter_context(socket.socket())
        client.settimeout(DEADLINE)
        client.bind((f"127.0.0.{1 + each % hosts}", 0))
        client.connect(("127.0.0.1", broker.ports[scheme]))
        client.sendall(words)


@pytest.mark.parametrize(
    ("crowd", "clients"),
    [(700, 600), pytest.param(5_500, 5_000, marks=[pytest.mark.soak, pytest.mark.timeout(600)])],
)
@pytest.mark.parametrize("scheme", ["tcp", "ws"])
def test_nobody_of_a_storm_is_lost_beside_those_who_say_nothing(
    serve: Serve, scheme: str, crowd: int, clients: int
) -> None:
    """They hold all places, and one of them goes for each who comes, though all come from one host."""
    broker = serve(scheme, limits={"max_unauthenticated": crowd, "login_timeout": 600})
    with ExitStack() as stack:
        silent(broker, scheme, crowd, 1, b"", stack)
        eventually(lambda: broker.census()["connections"] == crowd, "all are there", pause=0.1)
        time.sleep(2 * LEAST)  # so the last of them has had its time, too
        weather(broker, clients)


def wait_of_an_honest_one(broker: Broker, authority: Authority) -> float:
    before = time.monotonic()
    with authority.trusting().wrap_socket(dial(broker.ports["tls"]), server_hostname="localhost") as client:
        greet(client)
    return time.monotonic() - before


@pytest.mark.parametrize("hosts", [1, 200])
def test_half_open_handshakes_keep_nobody_out(serve: Serve, authority: Authority, hosts: int) -> None:
    """They hold all places, and might for a minute; they have to make room long before."""
    broker = serve("tls", max_handshakes=40, handshake_timeout=60)
    with ExitStack() as stack:
        silent(broker, "tls", 100, hosts, hello(authority), stack)
        assert wait_of_an_honest_one(broker, authority) < DEADLINE
        broker.refusal("too slow while others wait")


@pytest.mark.soak
@pytest.mark.parametrize("hosts", [1, 50, 250])
def test_beside_a_thousand_of_them_one_waits_less_than_a_second(serve: Serve, authority: Authority, hosts: int) -> None:
    broker = serve("tls")
    with ExitStack() as stack:
        silent(broker, "tls", 1000, hosts, hello(authority), stack)
        assert max(wait_of_an_honest_one(broker, authority) for _ in range(10)) < 1
