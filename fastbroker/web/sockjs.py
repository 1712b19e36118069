"""SockJS, as far as it goes over WebSocket: what its clients ask before they connect, and how they wrap messages.

    <base>/info                            what the server can do
    <base>/<server>/<session>/websocket    a WebSocket with messages in JSON: ["..."] from the client; o, a["..."] and
                                           c[code,"reason"] from the server
    <base>/websocket                       a WebSocket as it is

`server` and `session` are chosen by the client and mean nothing here. The transports for browsers without WebSocket are
not spoken.
"""

import secrets

import orjson

from fastbroker.web import http
from fastbroker.web.http import Answer, Request

BASE = "/sockjs"


def is_session(path: str, bases: tuple[str, ...]) -> bool:
    """Whether a client that wraps its messages connects there."""
    base, *parts = path.rsplit("/", 3)
    return base in bases and parts[2:] == ["websocket"] and all(part and "." not in part for part in parts[:2])


def info(request: Request, *, shared: bool) -> Answer:
    """Answer what the server can do. `shared`: the page that asks may read it."""
    said = {"websocket": True, "origins": ["*:*"], "cookie_needed": False, "entropy": secrets.randbits(32)}
    headers = {"Vary": "Origin"}
    if shared and (page := request.only("origin")):
        headers |= {"Access-Control-Allow-Origin": page, "Access-Control-Allow-Credentials": "true"}
    return http.found(orjson.dumps(said), "application/json; charset=utf-8", headers)


def greeting() -> Answer:
    """Answer somebody who looks whether SockJS is here."""
    return http.found(b"Welcome to SockJS!\n", "text/plain; charset=utf-8")


class Codec:
    """What is said rarely, or comes from clients; the core wraps our frames itself."""

    opening = b"o"

    def decode(self, array: bytes) -> bytes:
        """Join the strings of an array. Raises ValueError."""
        strings = orjson.loads(array)
        if not isinstance(strings, list) or not all(isinstance(each, str) for each in strings):
            raise ValueError("this is no array of strings")
        return "".join(strings).encode()

    def closing(self, code: int, reason: str) -> bytes:
        """Say why nothing follows."""
        return b"c" + orjson.dumps([code, reason])
