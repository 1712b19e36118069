"""HTTP as far as it stands in front of a WebSocket: one request, one answer, the end of the connection.

Requests are read by h11, and what it forgives is refused here: lines that end without CR, lines that go on in the next.
Whatever two readers of a request could understand in two ways is an error. (Those that open a WebSocket as clients do
are read by fastbroker.core.request, which knows no other shape.)
"""

import string
from collections.abc import Iterable, Mapping
from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

import h11

_DEFAULT_PORTS = {"http": 80, "https": 443}
_LONG = 256


class Request(NamedTuple):
    """The first line of a request, and its headers with names in lower case."""

    method: str
    target: str
    version: str
    headers: tuple[tuple[str, str], ...]

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def host(self) -> str:
        """What the client takes for our name, with the port."""
        return self.only("host")

    def all(self, name: str) -> list[str]:
        """The values of a header, which may be repeated."""
        return [value for found, value in self.headers if found == name]

    def only(self, name: str) -> str:
        """The value of a header that is there once, or nothing."""
        values = self.all(name)
        return values[0] if len(values) == 1 else ""

    def words(self, name: str) -> list[str]:
        """The parts of a header that is a list."""
        return [word.strip() for line in self.all(name) for word in line.split(",")]


class Codec(Protocol):
    """What a client and the broker wrap STOMP in."""

    @property
    def opening(self) -> bytes:
        """The first message of the broker."""

    def decode(self, array: bytes, /) -> bytes:
        """Unwrap. Raises ValueError."""

    def closing(self, code: int, reason: str, /) -> bytes:
        """The last message of the broker."""


class Answer(NamedTuple):
    """What goes back for a request: bytes, whether a WebSocket follows, what the log says if none does, a body that
    many answers may share, what the messages of the WebSocket are wrapped in, if in anything, and of a page that may
    not connect, its origin and the host that it asked for."""

    head: bytes
    upgraded: bool
    reason: str
    body: bytes = b""
    codec: Codec | None = None
    stranger: tuple[str, str] | None = None


class Refusal(Exception):
    """The request is answered with an HTTP status and a sentence that says why."""

    def __init__(
        self,
        status: HTTPStatus,
        why: str,
        headers: Mapping[str, str] | None = None,
        stranger: tuple[str, str] | None = None,
    ) -> None:
        super().__init__(why)
        self.status, self.why, self.headers, self.stranger = status, why, dict(headers or {}), stranger


# ---- requests ----


def parse(head: bytes) -> Request:
    """Read a request, given without the blank line behind it. Raises Refusal."""
    lines = head.split(b"\r\n")
    if any(b"\r" in line or b"\n" in line or line.startswith((b" ", b"\t")) for line in lines):
        raise _bad("A line of the request does not end in CR LF, or goes on in the next.")
    reader = h11.Connection(h11.SERVER)
    try:
        reader.receive_data(head + b"\r\n\r\n")
        event = reader.next_event()
    except h11.RemoteProtocolError as error:
        reason = str(error).partition(": bytearray")[0]  # what follows is what the client sent
        raise _bad(f"The request is malformed: {reason}.") from None
    if not isinstance(event, h11.Request):
        raise _bad("There is no request.")
    return _checked(event)


def _checked(event: h11.Request) -> Request:
    headers = tuple((name.decode("ascii"), value.decode("latin-1")) for name, value in event.headers)
    request = Request(
        event.method.decode("ascii"), event.target.decode("latin-1"), event.http_version.decode("ascii"), headers
    )
    if request.version not in ("1.0", "1.1"):
        why = f"HTTP/1.1 is spoken here, not HTTP/{request.version}."
        raise Refusal(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, why)
    if request.method not in ("GET", "HEAD"):
        raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "Only GET and HEAD are answered here.", {"Allow": "GET, HEAD"})
    if request.all("content-length") or request.all("transfer-encoding"):
        raise _bad("A request has no body here, so neither Content-Length nor Transfer-Encoding.")
    if not request.target.startswith("/"):
        raise _bad("What is asked for is a path.")
    if (request.host or request.version == "1.1") and not is_host(request.host):
        raise _bad("The Host header is not a host.")
    return request


def _bad(why: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, why)


# Leaves what has no place in a host.
_OF_HOSTS = str.maketrans("", "", f"{string.ascii_letters}{string.digits}-._:[]")


def is_host(text: str) -> bool:
    """Whether this is a name or an address, perhaps with a port."""
    found = origin(f"http://{text}")
    return found is not None and not text.translate(_OF_HOSTS)


def origin(text: str) -> tuple[str, str, int] | None:
    """An origin, as browsers send it, in a form that can be compared. None for what is none, such as `null`."""
    # Many clients name few origins and hosts; what is longer is not worth the memory.
    return _remembered(text) if len(text) < _LONG else _origin(text)


def _origin(text: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(text)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError:
        return None
    more = parts.path + parts.query + parts.fragment
    if not parts.hostname or more or "@" in parts.netloc or not text.isascii() or not text.isprintable() or " " in text:
        return None
    return parts.scheme, parts.hostname, port


_remembered = lru_cache(512)(_origin)


# ---- answers ----


def head_of(status: HTTPStatus, headers: Iterable[tuple[str, str]]) -> bytes:
    """The first line of an answer, its headers, and the blank line."""
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in headers)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")


def found(body: bytes, content_type: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Answer with a body."""
    own = {"Content-Type": content_type, "Content-Length": str(len(body)), **_PLAIN, **(headers or {})}
    return Answer(head_of(HTTPStatus.OK, _dated(own)), False, "HTTP 200", body)


def unchanged(headers: Mapping[str, str]) -> Answer:
    """Answer that the client has it already."""
    own = {"Connection": "close", **headers}
    return Answer(head_of(HTTPStatus.NOT_MODIFIED, _dated(own)), False, "HTTP 304")


def refused(refusal: Refusal) -> Answer:
    """Answer with the reason why not."""
    body = f"{refusal.status.value} {refusal.status.phrase}: {refusal.why}\n".encode("utf-8", "replace")
    own = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(body)), **_PLAIN, **refusal.headers}
    reason = f"HTTP {refusal.status.value}: {refusal.why}"
    return Answer(head_of(refusal.status, _dated(own)), False, reason, body, stranger=refusal.stranger)


_PLAIN = {
    "Connection": "close",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


def _dated(headers: Mapping[str, str]) -> list[tuple[str, str]]:
    return [("Date", formatdate(usegmt=True)), *headers.items()]
