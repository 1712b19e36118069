"""What is said in HTTP before there is a WebSocket: the upgrade, or why not, and pages for people who look in.

The compiled half collects a request and asks `Handshake.answer` once; nothing here is called for a message.
"""

import binascii
import hashlib
from http import HTTPStatus
from typing import TYPE_CHECKING

from fastbroker.core.reasons import status_of
from fastbroker.core.request import read_upgrade
from fastbroker.web import http, sockjs
from fastbroker.web.http import Answer, Refusal, Request
from fastbroker.web.origins import Origins
from fastbroker.web.pages import Pages
from fastbroker.web.status_page import status_page

if TYPE_CHECKING:
    from fastbroker.config import WebSocket

# The best comes first. The last one says no version; browsers fail when they offer it alone and get no answer to it.
SUBPROTOCOLS = ("v12.stomp", "v11.stomp", "v10.stomp", "stomp")
# What also leads to a path: clients of other brokers ask for it without being told.
_ALIASES = {"/ws": ("/stomp",)}
_LONGEST_METHOD = 16
# The answer to an upgrade, up to the header that is another one each time, and the header behind that.
_SWITCHING = http.head_of(HTTPStatus.SWITCHING_PROTOCOLS, [("Connection", "Upgrade"), ("Upgrade", "websocket")])[:-2]
_CHOSEN = {each: b"Sec-WebSocket-Protocol: %b\r\n" % each.encode() for each in SUBPROTOCOLS} | {"": b""}
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

_NOT_HTTP = (
    "not HTTP. WebSocket begins with an HTTP request. STOMP alone is spoken at tcp:// addresses of the broker, "
    "TLS at wss:// and tls://."
)


class Handshake:
    """Answers the HTTP requests of ws:// and wss:// addresses."""

    def __init__(self, settings: "WebSocket", *, server: str) -> None:
        """Read `websocket.pages`. Raises StartError."""
        self._settings = settings
        self._server = server
        paths = {path.removesuffix("/") for path in (settings.path, *_ALIASES.get(settings.path, ()))}
        self._sockjs = tuple({sockjs.BASE, *paths}) if settings.sockjs else ()
        self._endpoints = {f"{path}{end}" for path in paths for end in ("", "/")}
        self._endpoints.update(f"{base}/websocket" for base in self._sockjs)
        self._origins = Origins(settings.allowed_origins)
        self._pages = Pages(settings.pages)

    def may_become_request(self, beginning: bytes) -> bool:
        """Whether bytes can be the beginning of a request: not TLS, and not STOMP without WebSocket."""
        method, _, rest = beginning[:_LONGEST_METHOD].partition(b" ")
        line, ends, _ = (rest + beginning[_LONGEST_METHOD:]).partition(b"\n")
        return method.isalpha() and method.isupper() and (not ends or line.endswith(b"\r"))

    def answer(self, head: bytes, secure: bool, local: str) -> Answer:
        """Answer a request, given without the blank line behind it, that came to our address `local`."""
        return self._usual(head, secure, local) or self._any(head, secure, local)

    def _usual(self, head: bytes, secure: bool, local: str) -> Answer | None:
        """The answer to a client that opens a WebSocket as clients do, and may: most of them are in a storm."""
        found = read_upgrade(head)
        if found is None:
            return None
        path, host, key, origin, offered = found
        wraps = self._wraps(path)
        accept = _accept(key)
        if wraps is None or not accept or not http.is_host(host):
            return None
        if not self._origins.lets_in(origin, host, secure=secure, local=local):
            return None
        return _upgraded(accept, _subprotocol(offered.split(",") if offered else []), wraps)

    def _any(self, head: bytes, secure: bool, local: str) -> Answer:
        try:
            request = http.parse(head)
            if _wants_websocket(request):
                return self._upgrade(request, secure, local)
            answer = self._page(request, secure, local)
        except Refusal as refusal:
            answer = http.refused(refusal)
        return answer._replace(body=b"") if head.startswith(b"HEAD ") else answer

    def _wraps(self, path: str) -> bool | None:
        """Whether who connects there wraps messages as SockJS does; None if nobody connects there."""
        if path in self._endpoints:
            return False
        return True if sockjs.is_session(path, self._sockjs) else None

    def refuse(self, reason: str) -> bytes:
        """Answer somebody whom the core ends the connection with before a request was complete."""
        status = HTTPStatus(status_of(reason))
        answer = http.refused(Refusal(status, _NOT_HTTP if reason == "not HTTP" else reason))
        return answer.head + answer.body

    # ---- the upgrade ----

    def _upgrade(self, request: Request, secure: bool, local: str) -> Answer:
        wraps = self._wraps(request.path)
        if wraps is None:
            raise Refusal(HTTPStatus.NOT_FOUND, f"No WebSocket endpoint is here; it is at {self._settings.path}.")
        if request.only("sec-websocket-version") != "13":
            why = "Only version 13 of the WebSocket protocol is spoken here."
            raise Refusal(HTTPStatus.UPGRADE_REQUIRED, why, {"Sec-WebSocket-Version": "13", "Upgrade": "websocket"})
        if request.version != "1.1" or request.method != "GET":
            raise Refusal(HTTPStatus.BAD_REQUEST, "A WebSocket begins with GET and the HTTP version 1.1.")
        if not self._origins.may_connect(request, secure=secure, local=local):
            origin, host = _stranger(request)
            why = f"Pages of the origin {origin} may not connect; websocket.allowed_origins names those that may."
            raise Refusal(HTTPStatus.FORBIDDEN, why, stranger=(origin, host))
        accept = _accept(request.only("sec-websocket-key"))
        if not accept:
            raise Refusal(HTTPStatus.BAD_REQUEST, "The key, Sec-WebSocket-Key, is not 16 bytes in base64.")
        return _upgraded(accept, _subprotocol(request.words("sec-websocket-protocol")), wraps)

    # ---- pages ----

    def _page(self, request: Request, secure: bool, local: str) -> Answer:
        if page := self._pages.answer(request):
            return page
        if self._wraps(request.path) is not None:
            raise Refusal(HTTPStatus.UPGRADE_REQUIRED, "This is a WebSocket endpoint.", {"Upgrade": "websocket"})
        if request.path.rstrip("/") in self._sockjs and request.path != "/":
            return sockjs.greeting()
        if request.path in [f"{base}/info" for base in self._sockjs]:
            shared = self._origins.may_connect(request, secure=secure, local=local)
            answer = sockjs.info(request, shared=shared)
            return answer if shared else answer._replace(stranger=_stranger(request))
        if request.path == "/":
            return status_page(request, server=self._server, path=self._settings.path, secure=secure)
        raise Refusal(HTTPStatus.NOT_FOUND, f"Nothing is here; the WebSocket endpoint is {self._settings.path}.")


def _stranger(request: Request) -> tuple[str, str]:
    """What the log says of a page that may not connect: its origin, and what it calls us."""
    return ", ".join(request.all("origin")), request.host


def _wants_websocket(request: Request) -> bool:
    upgrade = any(word.lower() == "websocket" for word in request.words("upgrade"))
    return upgrade and any(word.lower() == "upgrade" for word in request.words("connection"))


def _accept(key: str) -> bytes:
    """What proves that the key was read (RFC 6455, section 4.2.2); nothing if it is none."""
    try:
        nonce = binascii.a2b_base64(key, strict_mode=True)
    except ValueError:
        nonce = b""
    if len(nonce) != 16:
        return b""
    digest = hashlib.sha1((key + _GUID).encode(), usedforsecurity=False).digest()
    return binascii.b2a_base64(digest, newline=False)


def _subprotocol(offered: list[str]) -> str:
    """The best of those that the client offers; it says nothing of the STOMP version, which CONNECT settles."""
    words = [each.strip() for each in offered]
    for known in SUBPROTOCOLS:
        if known in words:
            return known
    return ""


def _upgraded(accept: bytes, subprotocol: str, wraps: bool) -> Answer:
    head = b"%bSec-WebSocket-Accept: %b\r\n%b\r\n" % (_SWITCHING, accept, _CHOSEN[subprotocol])
    return Answer(head, True, "", codec=sockjs.Codec() if wraps else None)
