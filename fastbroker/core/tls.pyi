"""TLS of clients."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, Protocol, final

from fastbroker.core.hub import Hub

class _Ticket(Protocol):
    """The place of one connection among those who arrive."""

    host: Any

    def must_speak(self, what: Any, /) -> None:
        """It is the client's turn to say that."""
    def has_spoken(self) -> None:
        """The client has said it."""
    def leave(self) -> None:
        """It is in, or gone."""

class _Arriving(Protocol):
    """Knows who is on his way in, and who must go when others wait."""

    def awaited(self, patience: float, least: float, /) -> Any:
        """Make something that clients have to say."""
    def enter(self, guest: TlsTransport, peer: str, what: Any, /) -> _Ticket:
        """Count one more."""
    def is_enough(self, what: Any, host: Any, /) -> bool:
        """Whether a host should answer first what it has been asked."""
    def make_room(self, what: Any, asking: Any, /) -> bool:
        """Turn one away whose answer is awaited."""

class _Workers(Protocol):
    """Threads."""

    most: int

    def run(self, work: Callable[[], Any], then: Callable[[Any], object], /) -> None:
        """Do it in a thread; then, in the loop, the other with its result."""

@final
class Handshakes:
    """The handshakes of all TLS addresses of a hub: whose turn it is, and how many are under way at one time."""

    def __init__(self, hub: Hub, arriving: _Arriving, workers: _Workers, *, timeout: float, most: int) -> None:
        """Have threads make the steps."""

@final
class TlsAcceptor:
    """What the TLS connections of one address share. `context` may be changed: the next handshakes use the new one."""

    context: ssl.SSLContext

    def __init__(
        self,
        handshakes: Handshakes,
        context: ssl.SSLContext,
        *,
        arrived: Callable[[TlsTransport], asyncio.BaseProtocol],
        failed: Callable[[TlsTransport, str], None],
    ) -> None:
        """Make an acceptor.

        ``arrived`` is called when a handshake is complete and returns the protocol for the connection; when it raises,
        the connection is closed. ``failed`` is told why a connection came to nothing.
        """

    def connection(self, peer: str = "") -> asyncio.BufferedProtocol:
        """Make the protocol of a connection that was accepted."""

@final
class TlsTransport:
    """A transport to the client's protocol, a protocol to the socket's transport."""

    @property
    def peer(self) -> str:
        """Who is at the other end, perhaps as a load balancer says."""
    def turn_away(self, reason: str, /) -> None:
        """End it before it has begun."""
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As of every transport; `ssl_object` and `peercert` among it."""
