"""Requests in HTTP: what is taken, what is refused, and that nothing can be understood in two ways."""

from __future__ import annotations

import pytest

from fastbroker.web import http
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
