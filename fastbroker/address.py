"""Addresses as they are written: `tcp://127.0.0.1:61613`, `tcp://[::1]:61613`."""

from typing import NamedTuple
from urllib.parse import urlsplit

SCHEMES = ("tcp",)
DEFAULT_PORT = 61613


class Address(NamedTuple):
    """Where to listen or to connect."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def parse(text: str) -> Address:
    """Read an address; raises ValueError with a sentence for the person who wrote it."""
    scheme, separator, _ = text.partition("://")
    if not separator:
        raise ValueError(f"{text!r} is no address; write it as tcp://127.0.0.1:{DEFAULT_PORT}")
    if scheme not in SCHEMES:
        raise ValueError(f"the scheme of {text!r} is not supported; supported: {', '.join(SCHEMES)}")
    return _tcp(text)


def _tcp(text: str) -> Address:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise ValueError(f"{text!r} is no address: {error}; an IPv6 address stands in brackets, [::1]") from None
    if not host:
        raise ValueError(f"the host is missing in {text!r}; 127.0.0.1 is this machine, 0.0.0.0 is every IPv4 interface")
    more = parts.path.strip("/") + parts.query + parts.fragment
    if more or "@" in parts.netloc or any(map(str.isspace, text)):
        raise ValueError(f"{text!r} holds more than a host and a port; write it as tcp://host:port")
    return Address(parts.scheme, host, DEFAULT_PORT if port is None else port)
