"""CONNECT as Python meets it: who wants in, who that is, and the refusal."""

from collections.abc import Mapping
from typing import Any

class Login:
    """What a client says about itself in CONNECT, as an authenticator is shown it."""

    login: str | None
    """The ``login`` header, or None when there is none."""
    passcode: str | None
    """The ``passcode`` header, or None when there is none. It is kept out of ``repr()``."""
    headers: dict[str, str]
    """All headers; of a repeated one the first counts."""
    peer: str
    """Where the client is: ``host:port``, ``[host]:port``, or ``unix:pid=7,uid=1000,gid=1000``.
    Behind a load balancer it is the client's own address."""
    listener: str
    """The address that it came in by, as the broker announces it."""
    secure: bool
    """Whether it came in by TLS."""
    certificate: Mapping[str, Any] | None
    """Its certificate, if one was asked for, accepted and shown: what ``ssl.SSLSocket.getpeercert()`` returns, and as
    ``identity`` the name that the configuration has chosen in it."""

    def __init__(
        self,
        login: str | None,
        passcode: str | None,
        headers: dict[str, str],
        peer: str,
        listener: str = "",
        secure: bool = False,
        certificate: Mapping[str, Any] | None = None,
    ) -> None: ...

class Identity:
    """Who a client is, as an authenticator decided. Any other object will do as well: the core only hands it on."""

    name: str
    """As logs and permissions know the client."""

    def __init__(self, name: str) -> None: ...

class LoginRefused(Exception):
    """Raised by an authenticator that lets nobody in.

    Its text is the body of the ERROR frame, so it must not tell which of the two was wrong, login or passcode.
    """

VERSIONS: dict[bytes, int]
"""Versions that a CONNECT may accept, and the numbers they go by inside: 10, 11, 12."""

SHORT_ALPHABET: str
"""What session ids of clients that name no version are made of."""

GONE: str
"""The peer of a connection that was reset before it was accepted."""

def peer_of(fd: int, /) -> str:
    """Who is at the other end of a socket: as `Login.peer` has it, as far as the system says it."""
