"""One event loop's worth of broker."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, final, type_check_only

from fastbroker.core.journal import Store
from fastbroker.core.login import Login
from fastbroker.core.policy import Policies

@type_check_only
class Codec(Protocol):
    """What wraps STOMP once more in messages of a WebSocket: a client's arrays of strings."""

    @property
    def opening(self) -> bytes:
        """The first message."""
    def decode(self, array: bytes, /) -> bytes:
        """Unwrap an array; raises ValueError."""
    def closing(self, code: int, reason: str, /) -> bytes:
        """The last message."""

@type_check_only
class Handshake(Protocol):
    """Who answers in HTTP before there is a WebSocket."""

    def may_become_request(self, beginning: bytes, /) -> bool:
        """Whether bytes can be the beginning of a request."""
    def answer(
        self, head: bytes, secure: bool, local: str, /
    ) -> tuple[bytes, bool, str, bytes, Codec | None, tuple[str, str] | None]:
        """Answer a request that came to our address ``local``: the bytes of the response, whether a WebSocket follows,
        the reason if none does, a body, which may be large, what wraps the WebSocket's messages, and of a page that may
        not connect, its origin and the host that it asked for."""
    def refuse(self, reason: str, /) -> bytes:
        """Answer where there is no whole request: the core ends the connection for this reason."""

@final
class Hub:
    """Owns all connections of an event loop, their common state, and the turn in which it is their turn.

    What a server hands to ``loop.create_server`` as protocol factory is
    :func:`fastbroker.core.connection.connection` or :func:`fastbroker.core.upgrade.websocket` with this. Everything
    the hub needs to know it is told here; it reads no configuration and opens nothing.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        settings: Mapping[str, int | float | bool | str],
        policies: Policies | None = None,
        authenticate: Callable[[Login], Awaitable[object] | object] | None = None,
        authorize: Callable[[Any, str, str], bool] | None = None,
        log: Callable[..., None],
        server: str,
        handshake: Handshake | None = None,
        debug: bool = False,
        cron: Callable[[str, int], int] | None = None,
        journal: tuple[Store, int, int] | None = None,
        epoch: bytes | None = None,
    ) -> None:
        """Make a hub for ``loop``.

        ``settings`` are the limits, times and switches, flat, under the names that docs/configuration.md gives them;
        times are in milliseconds.
        ``policies`` are what the operator wants of queues and topics; None is the defaults for all.
        ``authenticate`` is asked at each CONNECT and returns, at once or as an awaitable, an identity of any kind; it
        raises :class:`~fastbroker.core.login.LoginRefused`. None lets everybody in without being asked.
        ``authorize`` is asked with that identity, ``"send"`` or ``"subscribe"``, and the canonical destination, which
        is the same whatever a client calls it: ``/topic/a.b`` (or a pattern), ``/queue/a``, also for ``a`` and
        ``/amq/queue/a``, ``/temp-queue/a``, ``/reply-queue/a``, ``/presence/a``. The core remembers a yes for the
        session: it asks once for each action and destination, and anew when the session has asked for some thousands
        of others. None allows everything without being asked.
        ``log`` is called as ``log(level, event, **fields)``.
        ``server`` is what CONNECTED says the server is.
        ``debug`` says whether ``log`` wants to know of each login and subscription; lines of that level are made for
        nobody else.
        ``cron`` is asked with an expression and a time, and returns when it is time next, both in milliseconds since
        1970, or raises ValueError; without it there are no cron expressions.
        ``handshake`` answers the HTTP requests of WebSocket clients; without it there are none.
        ``journal`` is a store of what must outlive the broker, into how many shards it is divided, and the seed of the
        hashes that are kept there; without it all is in memory. ``epoch`` stands in every message-id; it is random if
        none is given.
        """

    def recover(self) -> tuple[int, bool]:
        """Bring back what the journal has kept, before anybody connects.

        Returns how many messages that are, and whether the broker before has ended in good order. Raises
        :class:`~fastbroker.core.journal.StoreError`.
        """
    def hear_journal(self) -> None:
        """Hear what the store has done: call this when it is readable."""
    def close_journal(self) -> int:
        """Write the rest and end the journal; returns the error number of what has failed, or 0."""

    def drain(self) -> None:
        """Let every client finish what the broker has received, tell it that the broker stops, and close.

        It returns at once; :attr:`connection_count` falls to zero. A connection accepted after this is turned away.
        """
    def abort(self) -> None:
        """Close every connection at once, whatever is still to be written."""
    def charge_input(self, more: int, /) -> None:
        """Count bytes that are kept before there is a connection, or with a negative number are kept no longer."""
    def queued(self) -> tuple[int, int]:
        """Count the messages of queues and durable subscriptions that nobody has settled, and those that have any."""
    def kept(self) -> int:
        """Count those of them that are there again when a broker starts with the same data directory."""
    def stats(self) -> dict[str, int]:
        """Count what is alive, what passed, and the memory it takes.

        Alive: ``connections``, ``sessions``, ``subscriptions``, ``queues``, ``routes``, ``messages``, ``deliveries``,
        ``transactions``; in bytes ``memory``, what is held for clients, and ``input``, what was received and waits to
        be handled. Since the start: ``messages_in``, ``messages_out``, ``bytes_out``, ``dropped``, ``dead_lettered``,
        ``scheduled``, ``dead_dropped``, ``replies_dropped``, ``conflated``, ``expired``, and ``work`` without output,
        in bytes that would have taken as long.
        """
    @property
    def connection_count(self) -> int:
        """Connections that are open."""
    @property
    def unauthenticated(self) -> int:
        """Those of them that have not logged in."""
    @property
    def draining(self) -> bool:
        """Whether :meth:`drain` was called."""
    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that was handed in."""
