"""What is said in HTTP before there is a WebSocket: the upgrade, or why not, and a page for people who look in.

The compiled half collects a request and asks `Handshake.answer` once; nothing here is called for a message. The request
is read and checked by picows, the rest of a connection is the core's.
"""

import secrets
from collections.abc import Mapping
from html import escape
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import orjson
from picows import WSUpgradeRequest, WSUpgradeResponse
from picows.picows import _parse_http_request, _validate_upgrade_request  # type: ignore[attr-defined]

if TYPE_CHECKING:
    from fastbroker.config import WebSocket

SUBPROTOCOLS = ("v12.stomp", "v11.stomp", "v10.stomp")
SOCKJS = "/sockjs"
_DEFAULT_PORTS = {"http": 80, "https": 443}
_LONGEST_METHOD = 16

# The reasons for which the core ends a connection that is no WebSocket yet.
_REFUSALS = {
    "internal error": HTTPStatus.INTERNAL_SERVER_ERROR,
    "login timed out": HTTPStatus.REQUEST_TIMEOUT,
    "request too large": HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    "server busy": HTTPStatus.SERVICE_UNAVAILABLE,
    "server shutting down": HTTPStatus.SERVICE_UNAVAILABLE,
}

_PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>fastbroker</title>
<h1>fastbroker</h1>
<p>{server} is running. STOMP over WebSocket is at <code>{url}</code>.</p>
</html>
"""


class Answer(NamedTuple):
    """What goes back for a request: bytes, whether a WebSocket follows them, and what the log says if none does."""

    response: bytes
    upgraded: bool
    reason: str


class Refusal(Exception):
    """The request is answered with an HTTP status and a sentence that says why."""

    def __init__(self, status: HTTPStatus, why: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(why)
        self.status, self.why, self.headers = status, why, dict(headers or {})


class Handshake:
    """Answers the HTTP requests of ws:// and wss:// addresses."""

    def __init__(self, settings: "WebSocket", *, server: str) -> None:
        self._settings = settings
        self._server = server
        self._endpoints = {settings.path, *([f"{SOCKJS}/websocket"] if settings.sockjs else [])}
        self._allowed = {_origin(allowed) for allowed in settings.allowed_origins if allowed != "*"}

    def may_become_request(self, beginning: bytes) -> bool:
        """Whether bytes can be the beginning of a request: not TLS, and not STOMP without WebSocket."""
        method, _, rest = beginning[:_LONGEST_METHOD].partition(b" ")
        line, ends, _ = (rest + beginning[_LONGEST_METHOD:]).partition(b"\n")
        return method.isalpha() and method.isupper() and (not ends or line.endswith(b"\r"))

    def answer(self, head: bytes, secure: bool) -> Answer:
        """Answer a request, given without the blank line behind it."""
        try:
            request = _parse(head)
            if _path(request) in self._endpoints:
                return Answer(self._upgrade(request, secure), True, "")
            return self._page(request, secure)
        except Refusal as refusal:
            return Answer(_error(refusal), False, f"HTTP {refusal.status.value}: {refusal.why}")

    def refuse(self, reason: str) -> bytes:
        """Answer somebody whom the core ends the connection with before a request was complete."""
        return _error(Refusal(_REFUSALS.get(reason, HTTPStatus.BAD_REQUEST), reason))

    # ---- the upgrade ----

    def _upgrade(self, request: WSUpgradeRequest, secure: bool) -> bytes:
        headers = request.headers
        if not _wants_websocket(request):
            raise Refusal(HTTPStatus.UPGRADE_REQUIRED, "This is a WebSocket endpoint.", {"Upgrade": "websocket"})
        if headers.get("Sec-WebSocket-Version") != "13":
            why = "Only version 13 of the WebSocket protocol is spoken here."
            raise Refusal(HTTPStatus.UPGRADE_REQUIRED, why, {"Sec-WebSocket-Version": "13", "Upgrade": "websocket"})
        self._check_origin(request, secure)
        # picows wants the one word; Firefox, for one, sends `keep-alive, Upgrade`.
        headers["Connection"], headers["Upgrade"] = "upgrade", "websocket"
        try:
            accepted = _validate_upgrade_request(request)
        except RuntimeError as error:
            raise Refusal(HTTPStatus.BAD_REQUEST, str(error)) from None
        response = WSUpgradeResponse.create_101_response({"Sec-WebSocket-Accept": accepted.decode()})
        if chosen := _subprotocol(request):
            response.headers["Sec-WebSocket-Protocol"] = chosen
        return bytes(response.to_bytes())

    def _check_origin(self, request: WSUpgradeRequest, secure: bool) -> None:
        """Browsers say which page connects, and let every page try; who may is decided here. Programs say nothing."""
        origins = request.headers.getall("Origin", [])
        if not origins or (len(origins) == 1 and self._may_connect(origins[0], request, secure)):
            return
        why = f"Pages of the origin {origins[0]} may not connect; websocket.allowed_origins names those that may."
        raise Refusal(HTTPStatus.FORBIDDEN, why)

    def _may_connect(self, text: str, request: WSUpgradeRequest, secure: bool) -> bool:
        if "*" in self._settings.allowed_origins:
            return True
        origin = _origin(text)
        own = _origin(f"{'https' if secure else 'http'}://{request.headers.get('Host', '')}")
        return origin is not None and (origin == own or origin in self._allowed)

    # ---- pages ----

    def _page(self, request: WSUpgradeRequest, secure: bool) -> Answer:
        path = _path(request)
        if _wants_websocket(request):
            raise Refusal(HTTPStatus.NOT_FOUND, f"No WebSocket endpoint is here; it is at {self._settings.path}.")
        if path == "/":
            return _found("text/html; charset=utf-8", self._status_page(request, secure))
        if self._settings.sockjs and path.rstrip("/") == SOCKJS:
            return _found("text/plain; charset=utf-8", b"Welcome to SockJS!\n")
        if self._settings.sockjs and path == f"{SOCKJS}/info":
            return _found("application/json; charset=utf-8", _sockjs_info(), self._sharing(request, secure))
        raise Refusal(HTTPStatus.NOT_FOUND, f"Nothing is here; the WebSocket endpoint is {self._settings.path}.")

    def _status_page(self, request: WSUpgradeRequest, secure: bool) -> bytes:
        url = f"{'wss' if secure else 'ws'}://{request.headers.get('Host', '')}{self._settings.path}"
        return _PAGE.format(server=escape(self._server), url=escape(url)).encode()

    def _sharing(self, request: WSUpgradeRequest, secure: bool) -> dict[str, str]:
        """The headers by which a browser lets a page of another origin read the answer."""
        origin = request.headers.get("Origin", "")
        if not origin or not self._may_connect(origin, request, secure):
            return {"Vary": "Origin"}
        return {"Vary": "Origin", "Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true"}


def _parse(head: bytes) -> WSUpgradeRequest:
    method = head.partition(b" ")[0]
    if method != b"GET":
        raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "Only GET is answered here.", {"Allow": "GET"})
    try:
        request: WSUpgradeRequest = _parse_http_request(head)
    except RuntimeError as error:
        raise Refusal(HTTPStatus.BAD_REQUEST, str(error)) from None
    if len(request.headers.getall("Host", [])) != 1:
        raise Refusal(HTTPStatus.BAD_REQUEST, "A request has one Host header.")
    return request


def _path(request: WSUpgradeRequest) -> str:
    return request.path.partition(b"?")[0].decode("ascii", "backslashreplace")


def _words(request: WSUpgradeRequest, header: str) -> list[str]:
    """The parts of a header that is a list, as it may be repeated."""
    return [word.strip() for line in request.headers.getall(header, []) for word in line.split(",")]


def _wants_websocket(request: WSUpgradeRequest) -> bool:
    upgrade = any(word.lower() == "websocket" for word in _words(request, "Upgrade"))
    return upgrade and any(word.lower() == "upgrade" for word in _words(request, "Connection"))


def _subprotocol(request: WSUpgradeRequest) -> str:
    """The first of those the client offers that is known: it names them in the order in which it likes them."""
    return next((offered for offered in _words(request, "Sec-WebSocket-Protocol") if offered in SUBPROTOCOLS), "")


def _origin(text: str) -> tuple[str, str, int] | None:
    """An origin in a form that can be compared, or None for what is none, such as `null`."""
    try:
        parts = urlsplit(text)
        port = parts.port or _DEFAULT_PORTS.get(parts.scheme, 0)
    except ValueError:
        return None
    more = parts.path + parts.query + parts.fragment
    if not parts.hostname or more or "@" in parts.netloc or any(map(str.isspace, text)):
        return None
    return parts.scheme, parts.hostname, port


def _sockjs_info() -> bytes:
    info = {"websocket": True, "origins": ["*:*"], "cookie_needed": False, "entropy": secrets.randbits(32)}
    return orjson.dumps(info)


def _found(content_type: str, body: bytes, headers: Mapping[str, str] | None = None) -> Answer:
    response = WSUpgradeResponse.create_ok_response(body, {**_plain_headers(content_type), **(headers or {})})
    return Answer(bytes(response.to_bytes()), False, "HTTP 200")


def _error(refusal: Refusal) -> bytes:
    headers = {**_plain_headers("text/plain; charset=utf-8"), **refusal.headers}
    body = f"{refusal.status.value} {refusal.status.phrase}: {refusal.why}\n".encode("utf-8", "replace")
    return bytes(WSUpgradeResponse.create_error_response(refusal.status, body, headers).to_bytes())


def _plain_headers(content_type: str) -> dict[str, str]:
    return {
        "Content-Type": content_type,
        "Connection": "close",
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'",
        "X-Content-Type-Options": "nosniff",
    }
