"""Addresses as they are written: `tcp://127.0.0.1:61613`, `tls://[::1]:61614`, `unix:///run/fastbroker.sock`.

An address to listen on may end in `?proxy_protocol`; that of a WebSocket to connect to may have a path and a query.
"""

import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit


class Scheme(NamedTuple):
    """How to speak at an address: over what, and on which port when none is written."""

    port: int
    secure: bool = False
    websocket: bool = False


# The ports that brokers with STOMP have in common: of ActiveMQ and RabbitMQ for STOMP, of RabbitMQ for WebSocket.
SCHEMES = {
    "tcp": Scheme(61613),
    "tls": Scheme(61614, secure=True),
    "unix": Scheme(0),
    "ws": Scheme(15674, websocket=True),
    "wss": Scheme(15673, secure=True, websocket=True),
}
DEFAULT_PORT = SCHEMES["tcp"].port
PROXY_PROTOCOL = "proxy_protocol"
# What the system's socket addresses have room for.
LONGEST_PATH = 103 if sys.platform == "darwin" else 107


class Address(NamedTuple):
    """Where to listen or to connect: a host and a port, or for `unix` a path. WebSockets may have all three."""

    scheme: str
    host: str = ""
    port: int = 0
    path: str = ""
    proxied: bool = False

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        where = f"{host}:{self.port}{self.path}" if self.host else self.path
        return f"{self.scheme}://{where}{'?' + PROXY_PROTOCOL if self.proxied else ''}"

    @property
    def how(self) -> Scheme:
        """What the scheme means."""
        return SCHEMES[self.scheme]

    @property
    def is_local(self) -> bool:
        """Whether it is a Unix socket, which only this machine can reach."""
        return self.scheme == "unix"


def parse(text: str) -> Address:
    """Read an address to listen on; raises ValueError with a sentence for the person who wrote it."""
    plain, question, option = text.partition("?")
    if question and option != PROXY_PROTOCOL:
        raise ValueError(
            f"{text!r} holds more than a host and a port; write it as {_shape(text)}; "
            f"the only thing that may follow is ?{PROXY_PROTOCOL}"
        )
    return _read(plain)._replace(proxied=bool(question))


def parsed(texts: Iterable[str]) -> Iterator[tuple[int, str, Address]]:
    """Those that `parse` can read, each with its number and as it is written."""
    for number, text in enumerate(texts):
        with suppress(ValueError):
            yield number, text, parse(text)


def parse_target(text: str) -> Address:
    """Read the address of a broker to connect to; raises ValueError like `parse`."""
    scheme = text.partition("://")[0]
    if scheme not in SCHEMES or not SCHEMES[scheme].websocket:
        return _read(text)
    parts = _split(text)
    path = parts.path + ("?" + parts.query if parts.query else "")
    return _host_and_port(text, parts._replace(path="", query=""))._replace(path=path)


def _read(text: str) -> Address:
    scheme, separator, rest = text.partition("://")
    if not separator:
        raise ValueError(f"{text!r} is no address; write it as tcp://127.0.0.1:{DEFAULT_PORT}")
    if scheme not in SCHEMES:
        raise ValueError(f"the scheme of {text!r} is not supported; supported: {', '.join(SCHEMES)}")
    return _unix(text, rest) if scheme == "unix" else _host_and_port(text, _split(text))


def _unix(text: str, path: str) -> Address:
    if not path.startswith("/") or path.endswith("/") or "\0" in path:
        raise ValueError(f"{text!r} names no file; write it as unix:///run/fastbroker.sock, with three slashes")
    if len(path.encode()) > LONGEST_PATH:
        raise ValueError(f"the path of {text!r} is longer than the {LONGEST_PATH} bytes that a Unix socket's may have")
    return Address("unix", path=path)


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        raise ValueError(f"{text!r} is no address: {error}; an IPv6 address stands in brackets, [::1]") from None
    return parts


def _host_and_port(text: str, parts: SplitResult) -> Address:
    host, port = parts.hostname, parts.port
    if not host:
        raise ValueError(f"the host is missing in {text!r}; 127.0.0.1 is this machine, 0.0.0.0 is every IPv4 interface")
    more = parts.path.strip("/") + parts.query + parts.fragment
    if more or "@" in parts.netloc or any(map(str.isspace, text)):
        path = "; the path is the setting websocket.path" if parts.path and SCHEMES[parts.scheme].websocket else ""
        raise ValueError(f"{text!r} holds more than a host and a port; write it as {_shape(text)}{path}")
    return Address(parts.scheme, host, SCHEMES[parts.scheme].port if port is None else port)


def _shape(text: str) -> str:
    scheme = text.partition("://")[0]
    return f"{scheme if scheme in SCHEMES else 'tcp'}://host:port"
