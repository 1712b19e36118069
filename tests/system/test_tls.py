"""TLS from outside: who gets in, how it ends, and what certificates do."""

import ctypes
import resource
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from harness.broker import ROOT, Broker, complaint
from harness.certificates import Authority
from harness.client import NARROW
from harness.plain import CONNECT, dial, ended, greet, is_served, read_frame
from harness.waiting import DEADLINE, SOON, eventually


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def serve(tmp_path, authority):
    """Start brokers with a TLS address; they must end without a stack trace."""
    with ExitStack() as stack:

        def start(tls=None, *, listen=("tls://127.0.0.1:0",), preexec_fn=None, **config):
            certificate = str(authority.certify("server.pem", "localhost", "127.0.0.1"))
            tables = {"listen": list(listen), "tls": {"certificate": certificate, **(tls or {})}, **config}
            broker = Broker(tmp_path, tables, preexec_fn=preexec_fn)
            stack.callback(broker.stop)
            return broker

        yield start


def secured(broker, context, *, name="localhost", scheme="tls"):
    """A TLS connection, its handshake done."""
    return context.wrap_socket(dial(broker.ports[scheme]), server_hostname=name)


# ---- handshakes ----


def test_stomp_over_tls(serve, authority):
    broker = serve()
    with secured(broker, authority.trusting()) as client:
        assert client.version() == "TLSv1.3"
        greet(client)
        body = b"x" * 3_000_000
        client.sendall(b"SUBSCRIBE\nid:1\ndestination:/queue/a\n\n\0SEND\ndestination:/queue/a\n\n" + body + b"\0")
        received = b""
        while not received.endswith(b"\0\n"):
            received += client.recv(1 << 20)
        assert received.partition(b"\n\n")[2] == body + b"\0\n"
        client.sendall(b"DISCONNECT\nreceipt:1\n\n\0")
        assert client.recv(4096) == b"RECEIPT\nreceipt-id:1\n\n\0\n"
        assert client.recv(4096) == b""


def test_every_cut_of_the_encrypted_stream(serve, authority):
    """Records arrive in pieces of any size."""
    broker = serve()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = authority.trusting().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with dial(broker.ports["tls"]) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def step(action):
            while True:
                try:
                    result = action()
                except ssl.SSLWantReadError:
                    result = None
                for byte in outgoing.read():
                    connection.sendall(bytes([byte]))
                if result is not None:
                    return result
                incoming.write(connection.recv(7))

        step(lambda: client.do_handshake() or True)
        step(lambda: client.write(CONNECT))
        assert step(lambda: client.read(9)) == b"CONNECTED"


@pytest.mark.parametrize(
    ("oldest", "newest", "spoken"),
    [
        ("1.2", ssl.TLSVersion.TLSv1_1, None),
        ("1.2", ssl.TLSVersion.TLSv1_2, "TLSv1.2"),
        ("1.3", ssl.TLSVersion.TLSv1_2, None),
        ("1.3", ssl.TLSVersion.TLSv1_3, "TLSv1.3"),
    ],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1")
def test_versions(serve, authority, oldest, newest, spoken):
    broker = serve({"min_version": oldest})
    context = authority.trusting()
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1_1, newest
    if spoken:
        with secured(broker, context) as client:
            assert client.version() == spoken
            greet(client)
    else:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            secured(broker, context)
        broker.refusal("TLS handshake: ")


def test_weak_ciphers_are_refused(serve, authority):
    broker = serve()
    context = authority.trusting()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-SHA:AES256-SHA256:ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        secured(broker, context)


def test_who_is_silent_is_cut_off(serve):
    """S21"""
    broker = serve({"handshake_timeout": 0.5})
    before = time.monotonic()
    with dial(broker.ports["tls"]) as silent, dial(broker.ports["tls"]) as slow:
        slow.sendall(b"\x16\x03\x01\x02\x00\x01")
        assert ended(silent)
        assert ended(slow)
        assert 0.4 < time.monotonic() - before < SOON
    assert broker.refusal("TLS handshake: timed out")["listener"] == broker.urls[0]


def test_slow_handshakes_stop_nobody(serve, authority):
    """S2, S21: some are silent, some say a byte now and then. They take nobody's place, and all of them end in time."""
    broker = serve({"handshake_timeout": 2 * DEADLINE, "max_handshakes": 1})
    hello = client_hello(authority)
    with ExitStack() as stack:
        silent, slow = ([stack.enter_context(dial(broker.ports["tls"])) for _ in range(100)] for _ in range(2))
        for piece in (hello[:1], hello[1:2], hello[2:9], hello[9:-1]):
            for one in slow:
                one.sendall(piece)
            with secured(broker, authority.trusting()) as client:
                greet(client)
                is_served(client)
        slow[0].sendall(hello[-1:])
        assert slow[0].recv(10).startswith(b"\x16"), "what is slow is still taken"
        assert not any(map(has_bytes, [*silent, *slow[1:]]))


def test_what_is_no_tls_is_refused_at_once(serve):
    broker = serve()
    for words in (CONNECT, b"GET / HTTP/1.1\r\n\r\n", b"\x16" + b"x" * 100_000, b"\x16\x03\x01\xff\xff"):
        with dial(broker.ports["tls"]) as client:
            client.sendall(words)
            assert ended(client)
    broker.refusal("TLS handshake: what was sent is no TLS")


def test_a_port_check_is_not_worth_a_line(serve):
    broker = serve(listen=["tls://127.0.0.1:0", "tcp://127.0.0.1:0"])
    dial(broker.ports["tls"]).close()
    with dial(broker.ports["tls"]) as check:
        check.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with dial(broker.ports["tcp"]) as client:
        greet(client)
    broker.wait_log(lambda record: record["event"] == "disconnected")
    assert not [record for record in broker.log if record["event"] == "refused"]


def test_handshakes_beyond_the_limit_wait_their_turn(serve, authority):
    """Some hold the places for as long as they may; the others get in after them."""
    broker = serve({"max_handshakes": 2, "handshake_timeout": 1})
    hello = client_hello(authority)
    with ExitStack() as stack:
        holders = [stack.enter_context(dial(broker.ports["tls"])) for _ in range(2)]
        for holder in holders:
            holder.sendall(hello)
        assert holders[0].recv(10), "its handshake is under way"
        assert holders[1].recv(10), "and that of the second"
        with secured(broker, authority.trusting()) as client:
            greet(client)


@pytest.mark.skipif(not Path("/proc/self/limits").exists(), reason="Linux")
def test_when_files_run_out_those_who_are_in_notice_nothing(serve, authority):
    """R10, S12: handshakes have their share of the descriptors, and a reload still has one."""

    def few_files():
        resource.setrlimit(resource.RLIMIT_NOFILE, (104, 104))

    broker = serve(preexec_fn=few_files)
    with secured(broker, authority.trusting()) as client, ExitStack() as stack:
        greet(client)
        for _ in range(200):
            stack.enter_context(dial(broker.ports["tls"]))
        broker.refusal("too slow while others wait")
        is_served(client)
        broker.process.send_signal(signal.SIGHUP)
        broker.wait_log(lambda record: record["event"] == "certificates reloaded")
        assert len(list(Path(f"/proc/{broker.process.pid}/fd").iterdir())) < 104 - 64 + (104 - 64) // 4
        is_served(client)
    with secured(broker, authority.trusting()) as client:
        greet(client)
    assert not [record for record in broker.log if record["event"] == "unhandled exception"]


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="Linux")
def test_s12_a_reload_without_files_changes_nothing(serve, authority):
    broker = serve()
    with secured(broker, authority.trusting()) as client:
        greet(client)
        process = broker.process.pid
        before = resource.prlimit(process, resource.RLIMIT_NOFILE)
        opened = {int(entry.name) for entry in Path(f"/proc/{process}/fd").iterdir()}
        lowest_free = min(set(range(len(opened) + 1)) - opened)
        resource.prlimit(process, resource.RLIMIT_NOFILE, (lowest_free, before[1]))
        broker.process.send_signal(signal.SIGHUP)
        record = broker.wait_log(lambda record: record["event"].startswith("certificates not reloaded"))
        assert "Too many open files" in record["error"]
        broker.wait_log(lambda record: "out of file descriptors" in str(record.get("reason")))
        is_served(client)
        resource.prlimit(process, resource.RLIMIT_NOFILE, before)
        assert shown(broker, authority.trusting()) == "localhost"
        broker.process.send_signal(signal.SIGHUP)
        broker.wait_log(lambda record: record["event"] == "certificates reloaded")
        is_served(client)


def client_hello(authority, name="localhost"):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = authority.trusting().wrap_bio(incoming, outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def test_those_who_are_in_hardly_notice_a_storm(serve, authority):
    """Handshakes take their turns: a client that is connected waits for a few of them, not for all."""
    broker = serve()
    hello = client_hello(authority)
    with secured(broker, authority.trusting()) as client, ExitStack() as stack:
        greet(client)
        storm = [stack.enter_context(dial(broker.ports["tls"])) for _ in range(300)]
        broker.process.send_signal(signal.SIGSTOP)
        for one in storm:
            one.sendall(hello)
        client.sendall(b"SEND\ndestination:/topic/a\nreceipt:1\n\n\0")
        broker.process.send_signal(signal.SIGCONT)
        assert read_frame(client) == b"RECEIPT\nreceipt-id:1\n\n\0\n"
        answered = sum(has_bytes(one) for one in storm)
        assert answered < 200, "the client was not behind the whole storm"
        for one in storm:
            assert one.recv(10)


def has_bytes(connection):
    connection.setblocking(False)
    try:
        return bool(connection.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False
    finally:
        connection.settimeout(DEADLINE)


# ---- the end ----


def test_a_client_that_has_said_all_still_gets_its_answers(serve, authority):
    """TLS 1.3 can be half closed, as `printf ... | openssl s_client` does it."""
    broker = serve()
    with secured(broker, authority.trusting()) as client:
        client.sendall(CONNECT + b"SEND\ndestination:/queue/a\nreceipt:1\n\nx\0")
        raw = half_close(client)
        assert read_frame(raw).startswith(b"CONNECTED\n")
        assert read_frame(raw) == b"RECEIPT\nreceipt-id:1\n\n\0\n"
    broker.wait_log(lambda record: record.get("reason") == "closed by client")


def half_close(client):
    """close_notify, and go on reading: Python's own unwrap() would wait for the other side's."""
    library(b"SSL_shutdown")(ssl_pointer(client))
    return client


def test_what_comes_behind_the_end_is_not_kept(serve, authority):
    """A client that has said all may still be answered, and what it sends meanwhile is no TLS any more."""
    broker = serve(
        limits={"outbound_soft": 2**26, "outbound_hard": 2**27, "outbound_timeout": DEADLINE},
        subscriptions={"prefetch_bytes": 2**26},
    )
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, NARROW)
    narrow.settimeout(DEADLINE)
    narrow.connect(("127.0.0.1", broker.ports["tls"]))
    client = authority.trusting().wrap_socket(narrow, server_hostname="localhost")
    greet(client)
    body = b"x" * 1_000_000
    for _ in range(20):
        client.sendall(b"SEND\ndestination:/queue/a\n\n" + body + b"\0")
    client.sendall(b"SUBSCRIBE\nid:1\ndestination:/queue/a\n\n\0")
    assert client.recv(1) == b"M", "it is answered, and reads no more of that"
    half_close(client)
    before = broker.resident()
    with socket.socket(fileno=client.detach()) as raw:
        raw.settimeout(DEADLINE)
        for _ in range(60):
            raw.sendall(body)
        assert broker.census()["connections"] == 1
        assert broker.resident() - before < 20 * 2**20


def test_a_client_that_goes_without_a_word(serve, authority):
    """No close_notify: what it sent is done."""
    broker = serve()
    with secured(broker, authority.trusting()) as client:
        greet(client)
        client.sendall(b"SEND\ndestination:/queue/kept\n\nx\0")
        with socket.socket(fileno=client.detach()) as raw:
            raw.shutdown(socket.SHUT_WR)
    broker.wait_log(lambda record: record["event"] == "disconnected")
    with secured(broker, authority.trusting()) as client:
        greet(client)
        client.sendall(b"SUBSCRIBE\nid:1\ndestination:/queue/kept\n\n\0")
        assert b"\n\nx\0" in read_frame(client)


def test_a_client_that_does_not_close_is_not_waited_for(serve, authority):
    broker = serve(limits={"linger": 0.5})
    with secured(broker, authority.trusting()) as client:
        greet(client)
        client.sendall(b"NONSENSE\n\n\0")
        assert read_frame(client).startswith(b"ERROR\n")
        assert client.recv(10) == b""
        before = time.monotonic()
        broker.wait_log(lambda record: record["event"] == "disconnected")
        assert time.monotonic() - before < SOON
    eventually(lambda: broker.census()["connections"] == 0, "it is gone")


def test_garbage_after_the_handshake(serve, authority):
    broker = serve()
    client = secured(broker, authority.trusting())
    greet(client)
    with socket.socket(fileno=client.detach()) as raw:
        raw.settimeout(DEADLINE)
        raw.sendall(b"\x17\x03\x03\x00\x20" + b"x" * 32)
        while raw.recv(4096):
            pass
    broker.wait_log(lambda record: "connection lost" in str(record.get("reason")))


def test_a_slow_reader_is_slow_over_tls_too(serve, authority):
    """Back-pressure reaches through TLS: what the kernel does not take stays with us, bounded, and ends by policy."""
    broker = serve(limits={"slow_consumer_grace": 0.2})
    context = authority.trusting()
    with secured(broker, context) as reader, secured(broker, context) as writer:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        greet(reader)
        reader.sendall(b"SUBSCRIBE\nid:1\nreceipt:1\ndestination:/topic/flood\n\n\0")
        assert read_frame(reader).startswith(b"RECEIPT")
        greet(writer)
        frame = b"SEND\ndestination:/topic/flood\n\n" + b"x" * 100_000 + b"\0"
        before = broker.resident()
        for _ in range(300):
            writer.sendall(frame)
        is_served(writer)
        assert broker.resident() - before < 20 * 2**20
        broker.wait_log(lambda record: "slow consumer" in str(record.get("reason")), timeout=3 * DEADLINE)


# ---- KeyUpdate ----


class _Pointers(ctypes.Structure):
    """The beginning of CPython's PySSLSocket."""

    _fields_ = [("head", ctypes.c_ssize_t * 2), ("socket", ctypes.c_void_p), ("ssl", ctypes.c_void_p)]


def library(name):
    import _ssl

    try:
        function = getattr(ctypes.CDLL(_ssl.__file__), name.decode())
    except (AttributeError, OSError):
        pytest.skip("this Python's OpenSSL cannot be reached")
    function.argtypes = [ctypes.c_void_p] + ([ctypes.c_int] if name == b"SSL_key_update" else [])
    return function


def ssl_pointer(client):
    return _Pointers.from_address(id(client._sslobj)).ssl


def test_new_keys_are_taken(serve, authority):
    broker = serve()
    update, flush = library(b"SSL_key_update"), library(b"SSL_do_handshake")
    with secured(broker, authority.trusting()) as client:
        greet(client)
        for _ in range(100):
            assert update(ssl_pointer(client), 1) == 1
            assert flush(ssl_pointer(client)) == 1
            is_served(client)


def test_s21_a_flood_of_new_keys_is_bounded(serve, authority):
    """CVE-2026-39304 elsewhere: who asks for nothing else is cut off, and nobody else notices."""
    broker = serve()
    update, flush = library(b"SSL_key_update"), library(b"SSL_do_handshake")
    with secured(broker, authority.trusting()) as other, secured(broker, authority.trusting()) as client:
        greet(other)
        greet(client)
        for _ in range(20_000):
            if update(ssl_pointer(client), 1) != 1 or flush(ssl_pointer(client)) != 1:
                break
        library(b"ERR_clear_error")(None)
        is_served(other)
        broker.wait_log(lambda record: "new keys again and again" in str(record.get("reason")))


def test_there_is_no_renegotiation(serve, authority):
    """S21"""
    broker = serve()
    again, flush = library(b"SSL_renegotiate"), library(b"SSL_do_handshake")
    context = authority.trusting()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with secured(broker, context) as client, secured(broker, context) as other:
        greet(client)
        greet(other)
        assert again(ssl_pointer(client)) == 1
        assert flush(ssl_pointer(client)) != 1 or ended(client)
        library(b"ERR_clear_error")(None)  # or Python takes the failure for that of the next call
        is_served(other)


# ---- certificates ----


def shown(broker, context, name="localhost", scheme="tls"):
    """The name in the certificate that a client gets."""
    with secured(broker, context, name=name, scheme=scheme) as client:
        return client.getpeercert()["subject"][0][0][1]


def test_reload_under_clients_that_are_connected(serve, authority):
    """R24"""
    broker = serve()
    context = authority.trusting()
    with ExitStack() as stack:
        clients = [stack.enter_context(secured(broker, context)) for _ in range(200)]
        for client in clients:
            greet(client)
        assert shown(broker, context) == "localhost"
        new = authority.certify("new.pem", "renewed", "localhost")
        shutil.copy(new, authority.directory / "server.pem")
        broker.process.send_signal(signal.SIGHUP)
        broker.wait_log(lambda record: record["event"] == "certificates reloaded")
        assert shown(broker, context) == "renewed"
        for client in clients:
            is_served(client)


@pytest.mark.parametrize("broken", [b"", b"no certificate\n", None, "key of another"])
def test_s12_a_certificate_that_cannot_be_used_changes_nothing(serve, authority, broken):
    broker = serve()
    file = authority.directory / "server.pem"
    whole = file.read_bytes()
    if broken is None:
        file.unlink()
    elif broken == "key of another":
        other = authority.certify("other.pem", "other").read_bytes()
        _, _, rest = whole.partition(b"-----BEGIN CERTIFICATE")
        file.write_bytes(other.partition(b"-----BEGIN CERTIFICATE")[0] + b"-----BEGIN CERTIFICATE" + rest)
    else:
        file.write_bytes(broken)
    broker.process.send_signal(signal.SIGHUP)
    record = broker.wait_log(lambda record: record["event"].startswith("certificates not reloaded"))
    assert str(file) in record["error"]
    assert shown(broker, authority.trusting()) == "localhost"


def test_reload_without_tls_is_no_end(serve):
    broker = serve(listen=["tcp://127.0.0.1:0"])
    broker.process.send_signal(signal.SIGHUP)
    broker.wait_log(lambda record: record["event"] == "nothing to reload")
    with dial(broker.ports["tcp"]) as client:
        greet(client)


def test_several_certificates_by_name(serve, authority):
    """SNI"""
    hosts = [
        {"names": ["a.example"], "certificate": str(authority.certify("a.pem", "a.example"))},
        {"names": ["*.b.example"], "certificate": str(authority.certify("b.pem", "*.b.example"))},
    ]
    broker = serve(**{"tls.hosts": hosts})
    context = authority.trusting()
    assert shown(broker, context, "a.example") == "a.example"
    assert shown(broker, context, "A.EXAMPLE") == "a.example"
    assert shown(broker, context, "x.b.example") == "*.b.example"
    assert shown(broker, context, "localhost") == "localhost"
    context.check_hostname = False
    assert shown(broker, context, "x.y.b.example") == "localhost"
    assert shown(broker, context, None) == "localhost"


def test_a_name_that_is_none_is_a_line_in_the_log(serve, authority):
    """Python's own answer would be a stack trace, for anybody who asks."""
    broker = serve(**{"tls.hosts": [{"names": ["a.example"], "certificate": str(authority.certify("a.pem", "a"))}]})
    hello = client_hello(authority, "a" * 10).replace(b"a" * 10, b"\xc3\xb3\ntraced!")
    for _ in range(20):
        with dial(broker.ports["tls"]) as client:
            client.sendall(hello)
            assert client.recv(10).startswith(b"\x15"), "an alert"
    broker.refusal("TLS handshake: callback failed")
    assert broker.wait_log(lambda record: record["event"] == "exception ignored")["level"] == "warning"
    assert sum(record["event"] == "exception ignored" for record in broker.log) <= 2
    assert all("level" in record or record["event"].startswith("listening on") for record in broker.log)
    assert shown(broker, authority.trusting()) == "localhost"


def test_wss_speaks_http_1_1_only(serve, authority):
    broker = serve(listen=["wss://127.0.0.1:0", "tls://127.0.0.1:0"])
    context = authority.trusting()
    context.set_alpn_protocols(["h2", "http/1.1"])
    with secured(broker, context, scheme="wss") as client:
        assert client.selected_alpn_protocol() == "http/1.1"
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
    with secured(broker, context) as client:
        assert client.selected_alpn_protocol() is None
        greet(client)


# ---- client certificates ----


@pytest.fixture(scope="module")
def client_authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("clients"), "client authority")


def is_kept_out(broker, context, scheme="tls"):
    """In TLS 1.3 a client learns only after its side of the handshake that it is not let in."""
    try:
        with secured(broker, context, scheme=scheme) as client:
            return ended(client)
    except (ssl.SSLError, ConnectionError):
        return True


def test_clients_need_a_certificate_where_it_is_required(serve, authority, client_authority):
    listen = ["tls://0.0.0.0:0", "wss://0.0.0.0:0"]  # which may be reached by others then
    broker = serve({"client_certificates": "required", "client_ca": str(client_authority.path)}, listen=listen)
    stranger = authority.certify("stranger.pem", "sensor-7")
    known = client_authority.certify("known.pem", "sensor-7")
    for scheme in ("tls", "wss"):
        for certificate in (None, stranger):
            assert is_kept_out(broker, authority.trusting(certificate), scheme)
    broker.refusal("peer did not return a certificate")
    with secured(broker, authority.trusting(known)) as client:
        greet(client)
    record = broker.wait_log(lambda record: record["event"] == "client certificate")
    assert record["identity"] == "sensor-7"


def test_an_expired_certificate_lets_nobody_in(serve, authority, client_authority):
    broker = serve({"client_certificates": "optional", "client_ca": str(client_authority.path)})
    expired = client_authority.certify("expired.pem", "sensor-7", days=-1)
    assert is_kept_out(broker, authority.trusting(expired))
    broker.refusal("TLS handshake: ")
    with secured(broker, authority.trusting()) as client:
        greet(client)


def common_names(*names):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name, _validate=False) for name in names])


NO_COMMON_NAME = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "x")])


@pytest.mark.parametrize(
    ("kind", "subject", "names", "identity"),
    [
        ("common-name", common_names("sensor 7"), ["x.example"], "sensor 7"),
        ("common-name", common_names("żółw"), [], "żółw"),
        ("common-name", common_names("a", "b"), [], None),
        ("common-name", NO_COMMON_NAME, ["x.example"], None),
        ("common-name", common_names("admin\0.example"), [], None),
        ("common-name", common_names("admin\nroot"), [], None),
        ("common-name", common_names("admin "), [], None),
        ("common-name", common_names("admin\u202e"), [], None),
        ("dns", common_names("x"), ["sensor.example"], "sensor.example"),
        ("dns", common_names("x"), ["sensor.example", "other.example"], None),
        ("uri", common_names("x"), ["spiffe://plant/sensor"], "spiffe://plant/sensor"),
        ("uri", common_names("x"), ["x.example"], None),
        ("email", common_names("x"), ["a@b.example", "x.example"], "a@b.example"),
        ("email", common_names("x"), ["a@b.example", "c@b.example"], None),
        ("dns", common_names("x.example"), ["192.0.2.1"], None),
    ],
)
def test_who_a_certificate_says_that_one_is(serve, authority, client_authority, kind, subject, names, identity):
    """S21: exactly one name, and none that may be misread."""
    tls = {"client_certificates": "required", "client_ca": str(client_authority.path), "client_identity": kind}
    broker = serve(tls)
    certificate = client_authority.certify("client.pem", *names, subject=subject)
    with secured(broker, authority.trusting(certificate)) as client:
        if identity:
            greet(client)
            assert broker.wait_log(lambda record: record["event"] == "client certificate")["identity"] == identity
        else:
            assert ended(client)
            broker.refusal("TLS handshake: the ")


@pytest.mark.parametrize("scheme", ["tls", "wss"])
def test_a_name_that_is_no_text_lets_nobody_in(serve, authority, client_authority, scheme):
    """S21: bytes that are not UTF-8"""
    tls = {"client_certificates": "required", "client_ca": str(client_authority.path), "client_identity": "dns"}
    broker = serve(tls, listen=[f"{scheme}://127.0.0.1:0"])
    certificate = client_authority.certify("client.pem", "sensor.example")
    with secured(broker, authority.trusting(certificate), scheme=scheme):
        assert broker.wait_log(lambda record: record["event"] == "client certificate")["identity"] == "sensor.example"
    subject = common_names("sensor")
    certificate = client_authority.certify("client.pem", "sensor.example", subject=subject)
    client_authority.forge(certificate, b"sensor.example", b"sensor\xff\xfeexample"[:14])
    with secured(broker, authority.trusting(certificate), scheme=scheme) as client:
        assert ended(client)
    broker.refusal("can't decode")
    assert len([record for record in broker.log if record["event"] == "client certificate"]) == 1


# ---- start ----


def test_what_is_missing_is_said_before_anything_listens(tmp_path, authority):
    def said(**config):
        return complaint(tmp_path, {"listen": ["tls://127.0.0.1:0"], **config})

    assert "needs a certificate; `fastbroker certificate DIR` makes one" in said()
    assert "cannot use /nowhere.pem for TLS: No such file" in said(tls={"certificate": "/nowhere.pem"})
    assert "client_ca" in said(tls={"certificate": "/nowhere.pem", "client_certificates": "required"})
    whole = authority.certify("whole.pem", "localhost")
    key, mark, certificate = whole.read_text().partition("-----BEGIN CERTIFICATE")
    (tmp_path / "key.pem").write_text(key)
    (tmp_path / "certificate.pem").write_text(mark + certificate)
    alone, other = f"{tmp_path}/certificate.pem", str(authority.certify("other.pem", "other"))
    assert f"{alone} for TLS: it holds no private key, and no other" in said(tls={"certificate": alone})
    assert "key.pem for TLS: it holds no certificate" in said(tls={"certificate": f"{tmp_path}/key.pem"})
    swapped = said(tls={"certificate": alone, "key": other})
    assert f"{alone} and {other} for TLS: the key is not that of the certificate" in swapped
    nobody = {"client_certificates": "required", "client_ca": f"{tmp_path}/key.pem"}
    assert "key.pem for TLS: it holds no certificate" in said(tls={"certificate": str(whole), **nobody})


def test_a_certificate_that_no_client_takes_is_said_to_be_one(serve, authority, tmp_path):
    broker = serve({"certificate": str(authority.certify("expired.pem", "localhost", days=-1))})
    doubt = broker.wait_log(lambda record: record["event"] == "certificate may be refused")
    assert "certificate has expired" in doubt["detail"]
    checked = command("check-config", tmp_path / "broker.toml")
    assert (checked.returncode, checked.stderr) == (0, f"Warning: {doubt['detail']}\n")
    (authority.directory / "expired.pem").unlink()
    assert "expired.pem for TLS: No such file" in command("check-config", tmp_path / "broker.toml").stderr
    shutil.copy(authority.certify("good.pem", "localhost"), authority.directory / "expired.pem")
    since = len(broker.log)
    broker.process.send_signal(signal.SIGHUP)
    broker.wait_log(lambda record: record["event"] == "certificates reloaded")
    assert not [record for record in broker.log[since:] if record["event"] == "certificate may be refused"]
    assert shown(broker, authority.trusting()) == "localhost"


# ---- the commands ----


def command(*arguments):
    line = [sys.executable, "-m", "fastbroker", *map(str, arguments)]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=3 * DEADLINE, check=False)


@pytest.mark.parametrize("scheme", ["tls", "wss"])
def test_the_commands_speak_it(serve, authority, scheme):
    broker = serve(listen=[f"{scheme}://127.0.0.1:0"])
    url = ("--url", f"{scheme}://localhost:{broker.ports[scheme]}")
    trusting = ("--ca", authority.path)
    assert command("send", *url, *trusting, "/queue/a", "żółw").returncode == 0
    received = command("subscribe", *url, "--insecure", "--count", "1", "/queue/a")
    assert (received.returncode, received.stdout) == (0, "żółw\n")
    refused = command("send", *url, "/queue/a", "x")
    assert refused.returncode == 1
    assert "its certificate is not trusted" in refused.stderr
    missing = command("send", *url, "--ca", "/nowhere.pem", "/queue/a", "x")
    assert "cannot use /nowhere.pem for TLS: No such file" in missing.stderr
    assert "Traceback" not in refused.stderr + missing.stderr


def test_the_commands_can_show_a_certificate(serve, authority, client_authority):
    broker = serve({"client_certificates": "required", "client_ca": str(client_authority.path)})
    url = ("--url", f"tls://localhost:{broker.ports['tls']}", "--ca", authority.path)
    known = client_authority.certify("command.pem", "sensor-7")
    assert command("send", *url, "--certificate", known, "/queue/a", "x").returncode == 0
    refused = command("send", *url, "/queue/a", "x")
    assert refused.returncode == 1
    assert "Traceback" not in refused.stderr
