"""TLS of clients."""

import asyncio
import ssl
from collections.abc import Callable
from typing import Any, Protocol, final

class _Arriving(Protocol):
    """Counts connections that have no protocol yet."""

    def enter(self) -> bool:
        """Count one more, if there is room for it."""
    def leave(self) -> None:
        """Count one less."""

@final
class TlsAcceptor:
    """What the TLS connections of one address share. `context` may be changed: the next handshakes use the new one."""

    context: ssl.SSLContext

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        context: ssl.SSLContext,
        *,
        arriving: _Arriving,
        arrived: Callable[[TlsTransport], asyncio.BaseProtocol],
        failed: Callable[[TlsTransport, str], None],
        timeout: float,
        most_handshakes: int,
    ) -> None:
        """Make an acceptor for ``loop``.

        ``arrived`` is called when a handshake is complete and returns the protocol for the connection; when it raises,
        the connection is closed. ``failed`` is told why a connection came to nothing.
        """

    def connection(self, peer: str = "") -> asyncio.BufferedProtocol:
        """Make the protocol of a connection that was accepted."""
    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that was handed in."""

@final
class TlsTransport:
    """A transport to the client's protocol, a protocol to the socket's transport."""

    @property
    def peer(self) -> str:
        """Whom a load balancer speaks for; empty without one."""
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As of every transport; `ssl_object`, `sslcontext` and `peercert` among it."""
