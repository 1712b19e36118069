"""The PROXY protocol: golden headers, every cut of them, and those who may not send any."""

import shutil
import signal
import socket
import ssl
import struct
import subprocess
import time
from contextlib import ExitStack

import pytest
from harness.broker import Broker
from harness.certificates import Authority
from harness.plain import CONNECT, dial, ended, greet
from harness.waiting import DEADLINE, SOON, eventually

SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")
V4 = socket.inet_aton("203.0.113.7") + socket.inet_aton("192.0.2.1") + struct.pack("!HH", 51234, 61613)
V6 = (
    socket.inet_pton(socket.AF_INET6, "2001:db8::7")
    + socket.inet_pton(socket.AF_INET6, "2001:db8::1")
    + struct.pack("!HH", 51234, 61613)
)


def v2(command, family, rest):
    return SIGNATURE + bytes([command, family]) + struct.pack("!H", len(rest)) + rest


TLV = b"\x04\x00\x03abc" + b"\x01\x00\x02h2"
GOLDEN = {
    "v1 TCP4": (b"PROXY TCP4 203.0.113.7 192.0.2.1 51234 61613\r\n", "203.0.113.7:51234"),
    "v1 shortest": (b"PROXY TCP4 1.1.1.1 2.2.2.2 3 4\r\n", "1.1.1.1:3"),
    "v1 longest": (b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535"),
    "v1 TCP6": (b"PROXY TCP6 2001:db8::7 2001:db8::1 51234 61613\r\n", "[2001:db8::7]:51234"),
    "v1 TCP6 long": (b"PROXY TCP6 " + 2 * (b"ffff:" * 7 + b"ffff ") + b"65535 65535\r\n", f"[{'ffff:' * 7}ffff]:65535"),
    "v2 IPv4": (v2(0x21, 0x11, V4), "203.0.113.7:51234"),
    "v2 IPv6": (v2(0x21, 0x21, V6), "[2001:db8::7]:51234"),
    "v2 TLVs": (v2(0x21, 0x11, V4 + TLV), "203.0.113.7:51234"),
    "v2 Unix": (v2(0x21, 0x31, b"/a".ljust(216, b"\0")), "unix"),
    "v1 UNKNOWN": (b"PROXY UNKNOWN\r\n", None),
    "v1 UNKNOWN and more": (b"PROXY UNKNOWN ffff:f 1 2 anything\r\n", None),
    "v2 LOCAL": (v2(0x20, 0x00, b""), None),
    "v2 LOCAL with an address": (v2(0x20, 0x11, V4), None),
    "v2 unspecified": (v2(0x21, 0x00, b""), None),
}
MALFORMED = {
    "stomp": CONNECT,
    "http": b"GET / HTTP/1.1\r\n\r\n",
    "tls": b"\x16\x03\x01\x02\x00" + bytes(100),
    "lower case": b"proxy TCP4 1.1.1.1 2.2.2.2 3 4\r\n",
    "unknown family": b"PROXY UDP4 1.1.1.1 2.2.2.2 3 4\r\n",
    "no end": b"PROXY UNKNOWN " + b"x" * 200,
    "too long": b"PROXY TCP4 " + b"1" * 96 + b"\r\n",
    "two blanks": b"PROXY TCP4  1.1.1.1 2.2.2.2 3 4\r\n",
    "blank at the end": b"PROXY TCP4 1.1.1.1 2.2.2.2 3 4 \r\n",
    "too few": b"PROXY TCP4 1.1.1.1 2.2.2.2 33333\r\n",
    "octet": b"PROXY TCP4 1.1.1.256 2.2.2.2 3 4\r\n",
    "leading zero": b"PROXY TCP4 01.1.1.1 2.2.2.2 3 4\r\n",
    "other family": b"PROXY TCP4 2001:db8::7 2001:db8::1 3 4\r\n",
    "zone": b"PROXY TCP6 fe80::1%eth0 2001:db8::1 3 4\r\n",
    "port": b"PROXY TCP4 1.1.1.1 2.2.2.2 65536 4\r\n",
    "port sign": b"PROXY TCP4 1.1.1.1 2.2.2.2 +3 4\r\n",
    "port zero": b"PROXY TCP4 1.1.1.1 2.2.2.2 03 4\r\n",
    "not ascii": b"PROXY TCP4 1.1.1.\xc2\xb2 2.2.2.2 33 44\r\n",
    "version": v2(0x31, 0x11, V4),
    "command": v2(0x22, 0x11, V4),
    "datagram": v2(0x21, 0x12, V4),
    "short": v2(0x21, 0x11, V4[:-1]),
    "huge": v2(0x21, 0x11, V4)[:14] + b"\xff\xff" + bytes(5000),
    "signature": SIGNATURE[:-1] + b"\x0b" + bytes(20),
}


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    """All of them come from the load balancer 127.0.0.1; behind `[auth]` stands why they may."""
    directory = tmp_path_factory.mktemp("proxy")
    certificate = Authority(directory).certify("server.pem", "localhost")
    broker = Broker(
        directory,
        {
            "listen": [
                "tcp://127.0.0.1:0?proxy_protocol",
                "tls://127.0.0.1:0?proxy_protocol",
                "ws://127.0.0.1:0?proxy_protocol",
            ],
            "auth": {"allow_anonymous": True},
            "tls": {"certificate": str(certificate)},
            "proxy_protocol": {"trusted": ["127.0.0.1", "::1/128"], "header_timeout": 1},
            "limits": {"linger": 0.2},
        },
    )
    yield broker
    broker.stop()


def peer_of_the_next_end(broker, since):
    return broker.wait_log(lambda record: record["event"] == "disconnected", since=since)["peer"]


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_headers(broker, name):
    header, peer = GOLDEN[name]
    since = len(broker.log)
    with dial(broker.ports["tcp"]) as client:
        own = "{}:{}".format(*client.getsockname())
        client.sendall(header + CONNECT)
        assert client.recv(9) == b"CONNECTED"
    assert peer_of_the_next_end(broker, since) == (peer or own)


@pytest.mark.parametrize("name", ["v1 TCP4", "v1 UNKNOWN", "v2 IPv6", "v2 TLVs"])
def test_split_at_every_byte(broker, name):
    header, peer = GOLDEN[name]
    everything = header + CONNECT
    for at in range(1, len(header) + 2):
        since = len(broker.log)
        with dial(broker.ports["tcp"]) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            own = "{}:{}".format(*client.getsockname())
            client.sendall(everything[:at])
            time.sleep(0.002)
            client.sendall(everything[at:])
            assert client.recv(9) == b"CONNECTED"
        assert peer_of_the_next_end(broker, since) == (peer or own)


def test_byte_by_byte(broker):
    header, peer = GOLDEN["v1 TCP6 long"]
    since = len(broker.log)
    with dial(broker.ports["tcp"]) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in header + CONNECT:
            client.sendall(bytes([byte]))
        assert client.recv(9) == b"CONNECTED"
    assert peer_of_the_next_end(broker, since) == peer


@pytest.mark.parametrize("name", MALFORMED)
def test_garbage_is_refused(broker, name):
    since = len(broker.log)
    with dial(broker.ports["tcp"]) as client:
        client.sendall(MALFORMED[name])
        assert ended(client)
    record = broker.refusal("PROXY header: malformed", since=0)
    assert record["listener"] == broker.urls[0]
    assert not [record for record in broker.log[since:] if record["event"] in ("disconnected", "unhandled exception")]


@pytest.mark.parametrize("beginning", [b"", b"PROXY TCP4 1.1.1.1", SIGNATURE])
def test_who_does_not_finish_is_cut_off(broker, beginning):
    before = time.monotonic()
    with dial(broker.ports["tcp"]) as client:
        client.sendall(beginning)
        assert ended(client)
    assert 0.8 < time.monotonic() - before < SOON


def test_a_slow_header_is_cut_off_whatever_comes(broker):
    """S2: a byte now and then does not move the deadline."""
    with dial(broker.ports["tcp"]) as client:
        before = time.monotonic()
        with pytest.raises(ConnectionError):
            for byte in v2(0x21, 0x11, V4 + bytes(1000)):
                client.sendall(bytes([byte]))
                time.sleep(0.02)
        assert time.monotonic() - before < SOON


def test_before_tls(broker):
    header, peer = GOLDEN["v2 IPv4"]
    since = len(broker.log)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = dial(broker.ports["tls"])
    connection.sendall(header)
    with context.wrap_socket(connection) as client:
        greet(client)
    assert peer_of_the_next_end(broker, since) == peer
    with dial(broker.ports["tls"]) as client:
        client.sendall(header + b"no TLS")
        assert ended(client)
    assert broker.refusal("TLS handshake")["peer"] == peer


def test_before_a_websocket(broker):
    header, _ = GOLDEN["v1 TCP4"]
    with dial(broker.ports["ws"]) as client:
        client.sendall(header + b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 200")


def test_who_is_no_load_balancer_may_not_say_who_it_is(tmp_path):
    tables = {
        "listen": ["tcp://127.0.0.1:0?proxy_protocol"],
        "auth": {"allow_anonymous": True},
        "proxy_protocol": {"trusted": ["192.0.2.0/24", "::1"]},
    }
    broker = Broker(tmp_path, tables)
    with ExitStack() as stack:
        stack.callback(broker.stop)
        client = stack.enter_context(dial(broker.ports["tcp"]))
        client.settimeout(DEADLINE)
        assert ended(client)
        record = broker.refusal("not from proxy_protocol.trusted")
        assert record["peer"] == "{}:{}".format(*client.getsockname())


def test_who_is_gone_already_is_nobody_to_trust(tmp_path):
    """A connection that was reset before it is accepted has no name any more, but what it sent can be read."""
    tables = {
        "listen": ["tcp://127.0.0.1:0?proxy_protocol"],
        "auth": {"allow_anonymous": True},
        "proxy_protocol": {"trusted": ["127.0.0.1"]},
        "log": {"level": "debug"},
    }
    broker = Broker(tmp_path, tables)
    with ExitStack() as stack:
        stack.callback(broker.stop)
        broker.process.send_signal(signal.SIGSTOP)
        client = stack.enter_context(dial(broker.ports["tcp"]))
        client.sendall(GOLDEN["v1 TCP4"][0] + CONNECT + b"SEND\ndestination:/queue/a\n\n\0")
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
        broker.process.send_signal(signal.SIGCONT)
        assert broker.refusal("PROXY header: reset, nothing was sent")["level"] == "debug"
        assert broker.census()["queues"] == 0


def test_a_unix_socket_trusts_whoever_may_open_it(tmp_path):
    path = tmp_path / "s.sock"
    broker = Broker(tmp_path, {"listen": [f"unix://{path}?proxy_protocol"], "auth": {"allow_anonymous": True}})
    with ExitStack() as stack:
        stack.callback(broker.stop)
        client = stack.enter_context(socket.socket(socket.AF_UNIX))
        client.connect(str(path))
        client.sendall(GOLDEN["v1 TCP4"][0])
        greet(client)
        client.close()
        assert peer_of_the_next_end(broker, 0) == "203.0.113.7:51234"


HAPROXY = """
defaults
  mode tcp
  timeout connect 5s
  timeout client 30s
  timeout server 30s
listen v1
  bind 127.0.0.1:{first}
  server broker 127.0.0.1:{tcp} send-proxy
listen v2
  bind 127.0.0.1:{second}
  server broker 127.0.0.1:{tcp} send-proxy-v2 check inter 50ms
listen tls
  bind 127.0.0.1:{third}
  server broker 127.0.0.1:{tls} send-proxy-v2
"""


@pytest.fixture
def haproxy(broker, tmp_path):
    """A load balancer that nobody here has written: its ports with version 1, version 2, and TLS behind version 2."""
    program = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")
    if not program:
        pytest.skip("haproxy is not installed")
    with ExitStack() as stack:
        free = [stack.enter_context(socket.create_server(("127.0.0.1", 0))).getsockname()[1] for _ in range(3)]
    ports = dict(zip(("first", "second", "third"), free, strict=True))
    (tmp_path / "haproxy.cfg").write_text(HAPROXY.format(tcp=broker.ports["tcp"], tls=broker.ports["tls"], **ports))
    process = subprocess.Popen([program, "-db", "-f", str(tmp_path / "haproxy.cfg")], stderr=subprocess.DEVNULL)
    try:
        eventually(lambda: all(map(listens, free)), "haproxy listens")
        yield free
    finally:
        process.terminate()
        process.wait(DEADLINE)


def listens(port):
    try:
        dial(port).close()
    except OSError:
        return False
    return True


def test_behind_haproxy(haproxy, broker):
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for port in haproxy:
        since = len(broker.log)
        with context.wrap_socket(dial(port)) if port == haproxy[2] else dial(port) as client:
            own = "{}:{}".format(*client.getsockname())
            greet(client)
        broker.wait_log(
            lambda record, own=own: record["event"] == "disconnected" and record["peer"] == own, since=since
        )
    assert not [record for record in broker.log if record.get("peer") == "unknown" and record["level"] != "debug"]
