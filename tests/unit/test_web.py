"""Requests in HTTP: what is taken, what is refused, and that nothing can be understood in two ways."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastbroker.config import WebSocket
from fastbroker.core.request import read_upgrade
from fastbroker.web import http
from fastbroker.web.handshake import Handshake
from fastbroker.web.http import Refusal


def parse(*lines: str) -> http.Request:
    return http.parse("\r\n".join(lines).encode("latin-1"))


def test_a_request() -> None:
    request = parse("GET /a/b?c=d HTTP/1.1", "Host: x:1", "Upgrade: a, b", "upgrade:c", "X-Empty:")
    assert (request.method, request.path, request.version, request.host) == ("GET", "/a/b", "1.1", "x:1")
    assert request.words("upgrade") == ["a", "b", "c"]
    assert request.only("upgrade") == ""
    assert request.all("x-empty") == [""]
    assert request.all("missing") == []


@pytest.mark.parametrize("line", ["GET / HTTP/1.0", "HEAD / HTTP/1.0", "GET / HTTP/1.1"])
def test_old_programs_may_leave_the_host_out(line: str) -> None:
    if line.endswith("1.0"):
        assert parse(line).host == ""
    else:
        with pytest.raises(Refusal, match="Host"):
            parse(line)


@pytest.mark.parametrize(
    ("case", "refused"),
    {
        "two hosts": (400, ["GET / HTTP/1.1", "Host: x", "Host: x"]),
        "two different hosts": (400, ["GET / HTTP/1.1", "Host: x", "Host: y"]),
        "no host": (400, ["GET / HTTP/1.1"]),
        "empty host": (400, ["GET / HTTP/1.1", "Host:"]),
        "host is no host": (400, ["GET / HTTP/1.1", "Host: a/b"]),
        "host is markup": (400, ["GET / HTTP/1.1", "Host: <script>"]),
        "host is a list": (400, ["GET / HTTP/1.1", "Host: a, b"]),
        "host with a login": (400, ["GET / HTTP/1.1", "Host: a@b"]),
        "host with a port that is none": (400, ["GET / HTTP/1.1", "Host: a:99999"]),
        "content-length": (400, ["GET / HTTP/1.1", "Host: x", "Content-Length: 5"]),
        "content-length of nothing": (400, ["GET / HTTP/1.1", "Host: x", "Content-Length: 0"]),
        "two lengths": (400, ["GET / HTTP/1.1", "Host: x", "Content-Length: 5", "Content-Length: 6"]),
        "chunked": (400, ["GET / HTTP/1.1", "Host: x", "Transfer-Encoding: chunked"]),
        "chunked, hidden": (400, ["GET / HTTP/1.1", "Host: x", "Transfer-Encoding : chunked"]),
        "unknown encoding": (400, ["GET / HTTP/1.1", "Host: x", "Transfer-Encoding: xchunked"]),
        "folded line": (400, ["GET / HTTP/1.1", "Host: x", "X: a", " b"]),
        "folded with a tab": (400, ["GET / HTTP/1.1", "Host: x", "\tUpgrade: websocket"]),
        "bare line feed": (400, ["GET / HTTP/1.1", "Host: x\nX: y"]),
        "two bare line feeds": (400, ["GET / HTTP/1.1", "Host: x\n\nGET /other HTTP/1.1"]),
        "bare carriage return": (400, ["GET / HTTP/1.1", "Host: x\rX: y"]),
        "nul": (400, ["GET / HTTP/1.1", "Host: x", "X: a\0b"]),
        "no colon": (400, ["GET / HTTP/1.1", "Host: x", "nonsense"]),
        "no name": (400, ["GET / HTTP/1.1", "Host: x", ": y"]),
        "blank in a name": (400, ["GET / HTTP/1.1", "Host: x", "a b: y"]),
        "no target": (400, ["GET HTTP/1.1", "Host: x"]),
        "blank in the target": (400, ["GET /a b HTTP/1.1", "Host: x"]),
        "target of a proxy": (400, ["GET http://x/ HTTP/1.1", "Host: x"]),
        "asterisk": (400, ["GET * HTTP/1.1", "Host: x"]),
        "no version": (400, ["GET /", "Host: x"]),
        "strange version": (400, ["GET / HTTP/x.y", "Host: x"]),
        "nothing": (400, [""]),
        "version 2": (505, ["PRI * HTTP/2.0"]),
        "version 0.9": (505, ["GET / HTTP/0.9"]),
        "post": (405, ["POST / HTTP/1.1", "Host: x"]),
        "lower case": (405, ["get / HTTP/1.1", "Host: x"]),
    }.items(),
    ids=lambda case: case if isinstance(case, str) else "",
)
def test_what_is_refused(case: str, refused: tuple[int, list[str]]) -> None:
    code, sent = refused
    with pytest.raises(Refusal) as refusal:
        parse(*sent)
    assert refusal.value.status == code, case
    assert "bytearray" not in refusal.value.why


@pytest.mark.parametrize("host", ["x", "a.b-c_d:80", "127.0.0.1:1", "[::1]", "[::1]:15674"])
def test_hosts(host: str) -> None:
    assert http.is_host(host)


def test_an_answer_is_whole() -> None:
    answer = http.found(b"body", "text/plain", {"X": "y"})
    assert answer.head.startswith(b"HTTP/1.1 200 OK\r\nDate: ")
    assert answer.head.endswith(b"\r\nX: y\r\n\r\n")
    assert b"\r\nContent-Length: 4\r\n" in answer.head
    assert answer.body == b"body"


def test_a_refusal_is_an_answer() -> None:
    answer = http.refused(Refusal(http.HTTPStatus.FORBIDDEN, "Not żółć.", {"X": "y"}))
    assert answer.head.startswith(b"HTTP/1.1 403 Forbidden\r\n")
    assert answer.body.decode() == "403 Forbidden: Not żółć.\n"
    assert answer.reason == "HTTP 403: Not żółć."


# ---- the request that opens a WebSocket, and whoever reads it ----

USUAL = (
    "GET /ws?room=1 HTTP/1.1",
    "Host: broker.example:15674",
    "User-Agent: x/1.0 (y; z)",
    "Upgrade: websocket",
    "Connection: keep-alive, Upgrade",
    "Origin: http://broker.example:15674",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Protocol: v10.stomp, v12.stomp",
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
)


def test_the_usual_request_is_read_at_once() -> None:
    found = read_upgrade("\r\n".join(USUAL).encode())
    key = "dGhlIHNhbXBsZSBub25jZQ=="
    assert found == ("/ws", "broker.example:15674", key, "http://broker.example:15674", "v10.stomp, v12.stomp")


UNUSUAL = {
    "header twice": [*USUAL, "host: broker.example:15674"],
    "key twice": [*USUAL, "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="],
    "origin twice": [*USUAL, "Origin: http://evil.example"],
    "upgrade twice": [*USUAL, "Upgrade: h2c"],
    "a body": [*USUAL, "Content-Length: 5"],
    "a body of nothing": [*USUAL, "content-length: 0"],
    "chunks": [*USUAL, "Transfer-Encoding: chunked"],
    "folded": [*USUAL, " more"],
    "folded with a tab": [*USUAL, "\tmore"],
    "blank in front of a colon": [*USUAL, "X : y"],
    "no name": [*USUAL, ": y"],
    "no colon": [*USUAL, "nonsense"],
    "nul": [*USUAL, "X: a\0b"],
    "bare line feed": [*USUAL, "X: a\nY: b"],
    "bare carriage return": [*USUAL, "X: a\rY: b"],
    "carriage return at the end": [*USUAL[:-1], USUAL[-1] + "\r"],
    "bytes above ASCII": [*USUAL, "X: \xe9"],
    "too many headers": [*USUAL, *(f"X-{number}: y" for number in range(100))],
    "old HTTP": ["GET /ws HTTP/1.0", *USUAL[1:]],
    "another method": ["POST /ws HTTP/1.1", *USUAL[1:]],
    "lower case": ["get /ws HTTP/1.1", *USUAL[1:]],
    "two blanks": ["GET  /ws HTTP/1.1", *USUAL[1:]],
    "two paths": ["GET /ws /ws HTTP/1.1", *USUAL[1:]],
    "a proxy's target": ["GET http://x/ws HTTP/1.1", *USUAL[1:]],
    "no upgrade": [each for each in USUAL if not each.startswith("Upgrade")],
    "another upgrade": [*(each for each in USUAL if not each.startswith("Upgrade")), "Upgrade: websockets"],
    "no host": [each for each in USUAL if not each.startswith("Host")],
    "another version": [*(each for each in USUAL if "Version" not in each), "Sec-WebSocket-Version: 8"],
    "nothing": [""],
}


@pytest.mark.parametrize("lines", UNUSUAL.values(), ids=UNUSUAL)
def test_all_others_are_read_by_who_can_say_what_is_wrong(lines: list[str]) -> None:
    assert read_upgrade("\r\n".join(lines).encode("latin-1")) is None


WAYS = {"plain": Handshake(WebSocket(), server="x"), "open": Handshake(WebSocket(allowed_origins=("*",)), server="x")}
WORDS = st.sampled_from(
    [b"\r", b"\n", b"\r\n", b" ", b"\t", b",", b":", b"\0", b"\x7f", b"\xff", b"13", b"/", b"?", b"%"]
)
CHANGES = st.lists(
    st.tuples(st.integers(0, 400), st.integers(0, 12), st.one_of(WORDS, st.binary(max_size=3))), max_size=4
)


@settings(deadline=None, max_examples=400)
@given(order=st.permutations(range(1, len(USUAL))), left_out=st.sets(st.integers(1, 9), max_size=2), changes=CHANGES)
@pytest.mark.parametrize("way", WAYS)
def test_both_readers_understand_the_same(
    way: str, order: list[int], left_out: set[int], changes: list[tuple[int, int, bytes]]
) -> None:
    """What is taken at once would have been taken by the other reader, too, and is answered in the same way."""
    head = "\r\n".join([USUAL[0], *(USUAL[each] for each in order if each not in left_out)]).encode()
    for at, length, words in changes:
        head = head[:at] + words + head[at + length :]
    head = head.partition(b"\r\n\r\n")[0]
    handshake = WAYS[way]
    at_once = handshake._usual(head, False, "192.0.2.1")
    if at_once is not None:
        assert at_once == handshake._any(head, False, "192.0.2.1")
