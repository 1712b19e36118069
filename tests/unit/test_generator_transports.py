"""The load generator over what may lie around STOMP: WebSocket, TLS, Unix sockets. What it sends is looked at frame by
frame; what comes may be cut anywhere; and what is wrong is said in words."""

from __future__ import annotations

import errno
import os
import re
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fake_stomp import FakeStomp, Frame, Session
from fake_websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FIN,
    PING,
    PONG,
    TEXT,
    ByteByByte,
    FakeSecureWebSocket,
    FakeTls,
    FakeUnix,
    FakeWebSocket,
    Scattered,
    Trickles,
    WebSocketEnd,
    framed,
)
from harness.broker import Broker
from harness.certificates import authority
from harness.waiting import DEADLINE
from test_generator import PIECES, Results, faults, finish, load_of, together

from fastbroker.bench.generator import Generator, GeneratorError
from fastbroker.bench.load import UNBOUNDED, Target
from fastbroker.bench.secure import FAILED, sessions_of
from fastbroker.errors import StartError

STEADY = {"rate": 500}
KINDS: dict[str, type[FakeStomp]] = {
    "unix": FakeUnix,
    "ws": FakeWebSocket,
    "tls": FakeTls,
    "wss": FakeSecureWebSocket,
}
EVERY_SCHEME = pytest.mark.parametrize("scheme", KINDS)


def target_of(scheme: Any, port: int, **fields: Any) -> Target:
    path = "/ws" if scheme in ("ws", "wss") else ""
    return Target(**{"scheme": scheme, "host": "127.0.0.1", "port": port, "path": path, "ca": authority(), **fields})


def generate(target: Target, **load: Any) -> dict[str, Any]:
    return finish(Generator(target, load_of(**load), sessions_of(target)))


def at(server: FakeStomp, scheme: str) -> Target:
    """Where a fake server is."""
    if isinstance(server, FakeUnix):
        return target_of("unix", 0, path=server.path)
    return target_of(scheme, server.port)


def against(server_kind: type[FakeWebSocket], /, **load: Any) -> dict[str, Any]:
    """One run against a fake server of its own."""
    with closing(server_kind()) as server:
        return generate(at(server, "ws"), **load)


Serve = Callable[[type[FakeStomp]], Any]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a fake server; it is closed when the test ends."""
    started: list[FakeStomp] = []

    def start(kind: type[FakeStomp]) -> FakeStomp:
        started.append(kind())
        return started[-1]

    yield start
    for server in started:
        server.close()


# ---- loads against the broker ----

LOADS: dict[str, dict[str, Any]] = {
    "1 to 1": {},
    "fan-out": {"subscribers": 10},
    "all to all": {"publishers": 3, "subscribers": 3, "destinations": 5},
    "size 16": {"size": 16, "content_length": False},
    "large and verified": {"size": 300_001, "verify": True, "publishers": 2},
    "body of a frame with a long head": {"size": 66_000, "verify": True},
    "receipts": {"receipts": 10, "publishers": 2},
    "receipts unbounded": {"receipts": UNBOUNDED},
    "transactions with receipts": {"transaction": 10, "receipts": 2, "destinations": 3},
    "transactions of large messages": {"transaction": 3, "size": 100_000, "verify": True},
    "rate with transactions": {"rate": 3000, "publishers": 3, "destinations": 7, "transaction": 5},
    "competing": {"queue": True, "publishers": 3, "subscribers": 4, "window": 1000, "ack": "client-individual"},
    "backlog": {"queue": True, "backlog": 1000, "ack": "client"},
    "ping": {"kind": "ping", "connections": 3},
    "request": {"kind": "request", "size": 1000},
    "connect": {"kind": "connect", "connections": 3},
    "storm": {"kind": "storm", "connections": 50},
    "churn": {"kind": "churn", "connections": 3, "destinations": 100},
    "idle": {"kind": "idle", "connections": 50},
}


@pytest.fixture(scope="module")
def measured(broker: Broker) -> Results:
    targets = {scheme: target_of(scheme, broker.ports[scheme]) for scheme in ("ws", "tls")}
    targets["unix"] = target_of("unix", 0, path=str(broker.path))
    runs = {
        (scheme, name): partial(generate, target, **load)
        for scheme, target in targets.items()
        for name, load in LOADS.items()
    }
    return together(runs)


@pytest.mark.parametrize("name", LOADS)
@pytest.mark.parametrize("scheme", ["unix", "ws", "tls"])
def test_a_load_loses_nothing(measured: Results, scheme: str, name: str) -> None:
    load, result = LOADS[name], measured[scheme, name].result()
    assert faults(result) == {}
    assert result["totals"]["received"] == result["totals"]["due"]
    assert result["totals"]["due"] > 0 or load["kind"] == "idle"


@EVERY_SCHEME
def test_a_load_on_the_other_server(serve: Serve, scheme: str) -> None:
    server = serve(KINDS[scheme])
    result = generate(at(server, scheme), publishers=2, subscribers=3, verify=True, size=1000, **STEADY)
    assert faults(result) == {}
    assert result["totals"]["received"] == 3 * result["totals"]["sent"] > 0
    assert len(server.commands("SEND")) == result["totals"]["sent"]


@EVERY_SCHEME
def test_who_is_hung_up_on_before_the_login_comes_back(serve: Serve, scheme: str) -> None:
    """In the middle of the handshake of TLS, before the answer to the upgrade, or after neither."""

    class Leaves(KINDS[scheme]):  # type: ignore[misc, name-defined]
        def opened(self, connection: socket.socket) -> socket.socket:
            if next(self.turn) < 3:
                raise ConnectionError
            return super().opened(connection)

    result = generate(at(serve(Leaves), scheme), kind="storm", connections=10)
    assert faults(result) == {}
    assert (result["operations"], result["hung_up"], result["reconnects"]) == (10, 3, 3)


def test_a_server_that_is_full_for_a_moment(serve: Serve) -> None:
    class Full(FakeWebSocket):
        def answer(self, request: bytes) -> bytes:
            full = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
            return full if next(self.turn) < 3 else super().answer(request)

    result = generate(at(serve(Full), "ws"), kind="storm", connections=10)
    assert faults(result) == {}
    assert (result["operations"], result["hung_up"], result["reconnects"]) == (10, 3, 3)
    words = "the server did not upgrade to a WebSocket for a client: HTTP/1.1 503 Service Unavailable"
    assert result["first_turned_away"] == words


@EVERY_SCHEME
def test_a_fault_is_a_fault_everywhere(serve: Serve, scheme: str) -> None:
    class Loses(KINDS[scheme]):  # type: ignore[misc, name-defined]
        def changed(self, number: int, body: bytes) -> list[bytes]:
            return [] if number == 7 else [body]

    assert faults(generate(at(serve(Loses), scheme), patience=0.2, **STEADY)) == {"lost": 1}


@EVERY_SCHEME
def test_who_is_hung_up_on(serve: Serve, scheme: str) -> None:
    class Leaves(KINDS[scheme]):  # type: ignore[misc, name-defined]
        def on_send(self, session: Session, frame: Frame) -> None:
            session.hang_up()

    with pytest.raises(GeneratorError, match=r"hung up on a publisher|broke the connection of a publisher"):
        generate(at(serve(Leaves), scheme), **STEADY)


@pytest.mark.parametrize("scheme", ["ws", "tls"])
def test_a_slow_subscriber_does_not_read(broker: Broker, scheme: str) -> None:
    result = generate(target_of(scheme, broker.ports[scheme]), slow=2, rate=500, subscribers=2)
    assert faults(result) == {}


def test_the_size_of_a_frame_is_that_of_stomp(broker: Broker) -> None:
    sizes = {
        generate(target_of(scheme, broker.ports[scheme]), name="x", **STEADY)["frame_bytes"] for scheme in ("tcp", "ws")
    }
    assert len(sizes) == 1


# ---- what goes into a WebSocket ----


def test_it_asks_for_what_it_means(serve: Serve) -> None:
    server = serve(FakeWebSocket)
    generate(target_of("ws", server.port, path="/stomp?token=7"), kind="storm", connections=2)
    for request in server.requests:
        first, *lines = request.decode().split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines)
        assert first == "GET /stomp?token=7 HTTP/1.1"
        assert re.fullmatch(r"[A-Za-z0-9+/]{22}==", fields.pop("Sec-WebSocket-Key"))
        assert fields == {
            "Host": f"127.0.0.1:{server.port}",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Protocol": "v12.stomp",
        }


def test_each_frame_of_stomp_is_a_text_message_with_a_mask_of_its_own(serve: Serve) -> None:
    server = serve(FakeWebSocket)
    generate(at(server, "ws"), ack="client-individual", receipts=5, transaction=3, **STEADY)
    stomp = [payload for first, payload in server.messages if first == FIN | TEXT]
    assert len(stomp) == len(server.messages)
    assert {payload.split(b"\n", 1)[0] for payload in stomp} >= {
        b"CONNECT",
        b"SUBSCRIBE",
        b"BEGIN",
        b"SEND",
        b"COMMIT",
        b"ACK",
    }
    assert all(payload.count(b"\0") == 1 and payload.endswith(b"\0") for payload in stomp)
    assert len(set(server.keys)) > len(server.keys) * 0.99
    bits = sum(int.from_bytes(key).bit_count() for key in server.keys) / len(server.keys)
    assert 14 < bits < 18


def test_every_length_of_a_length() -> None:
    load = {"kind": "ping", "rate": 50, "name": "n", "content_length": False}
    around = against(FakeWebSocket, size=64, **load)["frame_bytes"] - 64

    def run(size: int) -> dict[str, Any]:
        with closing(FakeWebSocket()) as server:
            result = generate(at(server, "ws"), size=size - around, verify=True, **load)
            assert {len(payload) for _, payload in server.messages if payload.startswith(b"SEND")} == {size}
            return result

    runs = {size: partial(run, size) for size in (125, 126, 127, 128, 65_535, 65_536, 65_537)}
    assert not {size: found for size, made in together(runs).items() if (found := faults(made.result()))}


@pytest.mark.parametrize("load", [{"size": 9_000_000}, {"size": 4_000_000, "transaction": 3}])
@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_what_the_kernel_takes_in_parts_has_one_mask(serve: Serve, scheme: str, load: dict[str, Any]) -> None:
    """More than any buffer of a socket."""
    assert faults(generate(at(serve(KINDS[scheme]), scheme), verify=True, rate=10, **load)) == {}


def test_it_takes_its_leave(serve: Serve) -> None:
    server = serve(FakeWebSocket)
    generate(at(server, "ws"), kind="connect", connections=2)
    closes = [payload for first, payload in server.messages if first == FIN | CLOSE]
    assert set(closes) == {struct.pack(">H", 1000)}


# ---- what comes out of a WebSocket ----


def test_frames_may_come_in_fragments() -> None:
    runs = {
        (kind.__name__, at): partial(against, kind, rate=200, **load)
        for kind in (Scattered, ByteByByte)
        for at, load in enumerate(PIECES)
    }
    assert not {name: found for name, run in together(runs).items() if (found := faults(run.result()))}


def test_large_frames_in_pieces_of_everything(serve: Serve) -> None:
    assert faults(generate(at(serve(Trickles), "wss"), size=300_000, verify=True, rate=30)) == {}


def test_pings_are_answered_with_what_was_in_them(serve: Serve) -> None:
    server = serve(Scattered)
    generate(at(server, "ws"), rate=100)
    pongs = [payload for first, payload in server.messages if first == FIN | PONG]
    assert len(pongs) > 10
    assert set(pongs) == {b"there?"}


class Says(FakeWebSocket):
    """Something of its own after CONNECT."""

    bytes_instead = b""

    def on_connect(self, session: Session, frame: Frame) -> None:
        end = session.socket
        assert isinstance(end, WebSocketEnd)
        end.socket.sendall(self.bytes_instead)


def said(serve: Serve, instead: bytes) -> str:
    """What the generator says when it hears this."""
    kind = type("Said", (Says,), {"bytes_instead": instead})
    with pytest.raises(GeneratorError) as error:
        generate(at(serve(kind), "ws"), subscribers=0, patience=0.3)
    return str(error.value)


def test_many_frames_of_stomp_in_one_message(serve: Serve) -> None:
    class Collects(FakeWebSocket):
        def confirm(self, session: Session, frame: Frame) -> None:
            answer = b"RECEIPT\nreceipt-id:%s\n\n\0\n" % frame.headers["receipt"].encode()
            session.write(b"\n" + answer + b"\n")

        def message(self, *arguments: Any) -> bytes:
            return b"\n" + super().message(*arguments) + b"\n\n"

    assert faults(generate(at(serve(Collects), "ws"), receipts=5, rate=500)) == {}


WRONG = {
    "masked": (b"\x81\x81\0\0\0\0\n", "masked or compressed"),
    "compressed": (b"\xc1\x01\n", "masked or compressed"),
    "an opcode that is none": (framed(b"x", 3), "must not come now"),
    "a fragment of nothing": (framed(b"x", CONTINUATION), "must not come now"),
    "a message within another": (framed(b"\n", BINARY, 0) + framed(b"\n"), "must not come now"),
    "a control frame in fragments": (framed(b"x", PING, 0), "a control frame that is none"),
    "a long control frame": (framed(b"x" * 126, PING), "a control frame that is none"),
    "a control opcode that is none": (framed(b"x", 11), "a control frame that is none"),
    "endless": (b"\x82\x7f" + b"\xff" * 8, "a frame without an end"),
    "no stomp": (framed(b"hello\0"), "something unexpected to a publisher: hello"),
}


@pytest.mark.parametrize(("instead", "words"), WRONG.values(), ids=WRONG)
def test_what_is_no_websocket_is_refused(serve: Serve, instead: bytes, words: str) -> None:
    assert words in said(serve, instead)


def test_the_reason_of_a_close_is_told(serve: Serve) -> None:
    reason = struct.pack(">H", 1008) + b"who are you? \x1b[1m"
    assert (
        said(serve, framed(reason, CLOSE)) == "the server closed the WebSocket of a publisher: 1008 who are you? .[1m"
    )
    assert said(serve, framed(b"", CLOSE)) == "the server closed the WebSocket of a publisher"
    longest = struct.pack(">H", 1002) + b"x" * 123
    assert said(serve, framed(longest, CLOSE)).endswith(": 1002 " + "x" * 123)


def test_an_error_says_more_than_the_close_behind_it(serve: Serve) -> None:
    error = framed(b"ERROR\nmessage:no such user\n\n\0") + framed(struct.pack(">H", 1008) + b"policy", CLOSE)
    assert said(serve, error) == "the server refused a publisher: ERROR\nmessage:no such user"


def cutting(cut: int) -> type[FakeWebSocket]:
    """Sends the head of each frame in two parts."""

    class Cuts(FakeWebSocket):
        def frames_of(self, stream: bytes) -> Iterator[bytes]:
            whole = framed(stream)
            yield whole[:cut]
            yield whole[cut:]

        def opened(self, connection: socket.socket) -> socket.socket:
            end = WebSocketEnd(self, connection)

            def sendall(stream: bytes) -> None:
                for part in self.frames_of(stream):
                    connection.sendall(part)

            end.sendall = sendall  # type: ignore[method-assign]
            return end  # type: ignore[return-value]

    return Cuts


def test_a_head_may_be_cut_anywhere() -> None:
    runs = {cut: partial(against, cutting(cut), size=300, receipts=3, rate=200) for cut in range(1, 8)}
    assert not {cut: found for cut, run in together(runs).items() if (found := faults(run.result()))}


# ---- the upgrade ----


def upgraded(serve: Serve, answer: Callable[[FakeWebSocket, bytes], bytes]) -> str:
    """What the generator says of an answer to its upgrade."""
    kind = type("Answers", (FakeWebSocket,), {"answer": answer})
    with pytest.raises(GeneratorError) as error:
        generate(at(serve(kind), "ws"), subscribers=0, patience=0.3)
    return str(error.value)


def test_an_upgrade_that_is_refused(serve: Serve) -> None:
    words = upgraded(serve, lambda *_: b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone")
    assert words == "the server did not upgrade to a WebSocket for a publisher: HTTP/1.1 404 Not Found"


def test_a_server_without_websocket(serve: Serve) -> None:
    words = upgraded(serve, lambda *_: b"ERROR\nmessage:this is STOMP\n\n\0")
    assert words == "the server speaks no WebSocket; it said to a publisher: ERROR\nmessage:this is STOMP\n\n."


CHANGES = {
    "another key": (b"Sec-Websocket-Accept", b"Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=", "without its key"),
    "no key": (b"Sec-Websocket-Accept", b"X-Nothing: 1", "without its key"),
    "the key in other letters": (b"Sec-Websocket-Accept", None, "without its key"),
    "no upgrade": (b"upgrade", b"X-Nothing: 1", "without its key"),
    "another protocol": (b"Sec-WebSocket-Protocol", b"Sec-WebSocket-Protocol: v10.stomp", "chose what was not offered"),
    "an extension": (b"Connection", b"Sec-WebSocket-Extensions: permessage-deflate", "chose what was not offered"),
}


@pytest.mark.parametrize(("name", "instead", "words"), CHANGES.values(), ids=CHANGES)
def test_what_must_be_in_the_answer(serve: Serve, name: bytes, instead: bytes | None, words: str) -> None:
    def answer(server: FakeWebSocket, request: bytes) -> bytes:
        lines = FakeWebSocket.answer(server, request).split(b"\r\n")
        (at,) = (number for number, line in enumerate(lines) if line.startswith(name + b":"))
        lines[at] = lines[at].swapcase() if instead is None else instead
        return b"\r\n".join(lines)

    assert words in upgraded(serve, answer)


def test_no_protocol_in_the_answer_is_as_good(serve: Serve) -> None:
    class Plain(FakeWebSocket):
        def fields(self, key: bytes) -> list[bytes]:
            return super().fields(key)[:-1]

    assert faults(generate(at(serve(Plain), "ws"), **STEADY)) == {}


def test_an_answer_without_an_end(serve: Serve) -> None:
    words = upgraded(serve, lambda *_: b"HTTP/1.1 101 Switching\r\n" + b"X-More: 1\r\n" * 2000)
    assert words.startswith("the server answered the upgrade without an end to a publisher: HTTP/1.1 101 Switching")


def test_no_answer_at_all(serve: Serve) -> None:
    assert "did not answer for 0.3 seconds: 0 of 1 connections" in upgraded(serve, lambda *_: b"")
    assert "did not answer for 0.3 seconds: 0 of 1 connections" in upgraded(serve, lambda *_: b"HTTP/1.1 101 Swi")


def test_the_answer_and_a_ping_in_pieces(serve: Serve) -> None:
    """What stands behind the answer belongs to the WebSocket already."""

    class Hurries(FakeWebSocket):
        def asked(self, end: WebSocketEnd, request: bytes) -> None:
            end.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            answer = self.answer(request) + framed(b"already", PING)
            for at in range(len(answer)):
                end.socket.sendall(answer[at : at + 1])

    server = serve(Hurries)
    assert faults(generate(at(server, "ws"), **STEADY)) == {}
    assert (FIN | PONG, b"already") in server.messages


# ---- TLS ----


def refused(target: Target) -> str:
    with pytest.raises(GeneratorError) as error:
        generate(target, subscribers=0, patience=DEADLINE)
    return str(error.value)


@pytest.mark.parametrize("scheme", ["tls", "wss"])
def test_a_certificate_that_is_not_trusted(serve: Serve, scheme: str) -> None:
    server = serve(KINDS[scheme])
    words = refused(target_of(scheme, server.port, ca=None))
    assert words.startswith(f"127.0.0.1:{server.port}: its certificate is not trusted: ")
    assert words.endswith("; --ca names the authority that it is from, --insecure takes it as it is")
    assert faults(generate(target_of(scheme, server.port, ca=None, insecure=True), **STEADY)) == {}


def test_a_certificate_of_somebody_else(serve: Serve) -> None:
    words = refused(target_of("tls", serve(FakeTls).port, host="localhost"))
    assert "its certificate is not trusted: Hostname mismatch, certificate is not valid for 'localhost'" in words


def test_a_server_without_tls(serve: Serve) -> None:
    class Chatters(FakeStomp):
        def greet(self, connection: socket.socket) -> None:
            connection.sendall(b"HELO there\r\n")
            self.kept = connection

    server = serve(Chatters)
    assert refused(target_of("tls", server.port)) == f"127.0.0.1:{server.port}: TLS failed: wrong version number"


def test_a_server_that_leaves_during_the_handshake() -> None:
    class Leaves(FakeStomp):
        def opened(self, connection: socket.socket) -> socket.socket:
            raise ConnectionError

    server = Leaves()
    try:
        assert re.search("hung up on a publisher|broke the connection", refused(target_of("tls", server.port)))
    finally:
        server.close()


def test_a_server_that_says_nothing_to_a_handshake() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        target = target_of("tls", server.getsockname()[1])
        with pytest.raises(GeneratorError, match="0 of 2 connections are logged in"):
            generate(target, patience=0.1)


def test_garbage_in_the_stream(serve: Serve) -> None:
    class Spoils(FakeTls):
        def greet(self, connection: socket.socket) -> None:
            self.raw = socket.socket(fileno=os.dup(connection.fileno()))
            super().greet(connection)

        def on_send(self, session: Session, frame: Frame) -> None:
            self.raw.sendall(b"\x17\x03\x03\x00\x20" + b"x" * 32)

        def close(self) -> None:
            self.raw.close()
            super().close()

    server = serve(Spoils)
    words = refused(target_of("tls", server.port))
    assert words == f"127.0.0.1:{server.port}: TLS failed: decryption failed or bad record mac"


@pytest.mark.parametrize("fields", [{"ca": "/no/such/file"}, {"certificate": "/no/such/file"}, {"ca": __file__}])
def test_files_that_are_no_certificates(fields: dict[str, str]) -> None:
    with pytest.raises(StartError, match=r"^cannot use \S+ for TLS: "):
        sessions_of(target_of("tls", 1, **fields))


def test_a_session_says_why_it_failed() -> None:
    sessions = sessions_of(target_of("tls", 1))
    assert sessions
    session = sessions.open()
    assert session.shake(memoryview(b"")) < 0
    assert session.output()
    assert session.encrypt(memoryview(b"too early")) == FAILED
    assert session.reason


# ---- Unix sockets ----


def test_nobody_is_at_the_path(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    reason = re.escape(f"no connection to {path}: {os.strerror(errno.ENOENT)}")
    with pytest.raises(GeneratorError, match=reason):
        generate(target_of("unix", 0, path=path))


def test_a_path_that_is_too_long() -> None:
    with pytest.raises(GeneratorError, match="is too long for a socket"):
        Generator(target_of("unix", 0, path="/" + "x" * 200), load_of())


def test_more_clients_than_the_queue_of_a_unix_socket_holds(serve: Serve) -> None:
    server = serve(FakeUnix)
    result = generate(at(server, "unix"), kind="storm", connections=100)
    assert faults(result) == {}
    assert result["operations"] == 100


# ---- what is not spoken ----


@pytest.mark.parametrize("protocol", ["nats", "relay"])
def test_other_protocols_are_spoken_over_tcp(protocol: Any) -> None:
    with pytest.raises(GeneratorError, match=f"{protocol} is spoken over tcp alone, not over ws"):
        Generator(target_of("ws", 1, protocol=protocol), load_of())
