"""Where connections are accepted, and the kernel's queue in front of it.

A wide door is the event loop's: it accepts one connection in each of its turns, and whoever comes in is a connection.

A narrow door is for those who are on their way for a while, with TLS or behind a load balancer. It accepts many in a
turn, so that the kernel's queue does not overflow when thousands come at once: who is not in it sends in vain, again
and again, after longer and longer waits. And it can be closed: then who connects stays in that queue, up to the backlog
of the socket; what he sends is kept for him there, and no time of ours runs.
"""

import asyncio
import errno
import socket
from collections.abc import Iterable
from typing import Any, Protocol

from fastbroker.transports.arrivals import Arrivals, Factory
from fastbroker.transports.arriving import Arriving
from fastbroker.transports.listeners import BACKLOG, Listener

_OUT_OF_FILES = (errno.EMFILE, errno.ENFILE)
# Seconds for accepting in one turn of the loop: what these have to say then takes five times as long. And until another
# attempt when there are no descriptors.
_SPELL, _AGAIN = 0.002, 0.1


class Door(Protocol):
    """A socket that listens."""

    async def open(self) -> None:
        """Accept connections."""

    def shut(self) -> None:
        """Accept none any more: who connects is refused."""


class Wide:
    """The event loop's server."""

    def __init__(self, listener: Listener, factory: Factory, backlog: int) -> None:
        """Make protocols with `factory`."""
        self._socket = listener.socket
        self._factory = factory
        self._backlog = backlog
        self._server: asyncio.AbstractServer

    async def open(self) -> None:
        """Accept connections."""
        loop = asyncio.get_running_loop()
        if self._socket.family == socket.AF_UNIX:
            # Whether the file is ours to remove only the listener knows. Older Pythons do not declare the argument.
            keep: dict[str, Any] = {"cleanup_socket": False}
            self._server = await loop.create_unix_server(self._factory, sock=self._socket, backlog=BACKLOG, **keep)
        else:
            self._server = await loop.create_server(self._factory, sock=self._socket, backlog=self._backlog)

    def shut(self) -> None:
        """Accept none any more."""
        self._server.close()


class Narrow:
    """A socket that is looked at only while there is room."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, listener: Listener, factory: Factory, arriving: Arriving
    ) -> None:
        """Make protocols with `factory`, that will enter `arriving`."""
        self._loop = loop
        self._arriving = arriving
        self._socket = listener.socket
        self._factory = factory
        self._tasks: set[asyncio.Task[Any]] = set()
        self._is_open = False

    async def open(self) -> None:
        """Accept connections."""
        self.reopen()

    def reopen(self) -> None:
        """Accept them again."""
        self._is_open = self._socket.fileno() >= 0
        if self._is_open:
            self._loop.add_reader(self._socket, self._accept)

    def close(self) -> None:
        """Accept none for now."""
        if self._is_open:
            self._is_open = False
            self._loop.remove_reader(self._socket)

    def shut(self) -> None:
        """Accept none any more."""
        self.close()
        self._socket.close()

    def _accept(self) -> None:
        """Those who wait, as long as there is room for them and time."""
        until = self._loop.time() + _SPELL
        try:
            while len(self._tasks) < self._arriving.room and self._loop.time() < until:
                self._let_in(self._socket.accept()[0])
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno in _OUT_OF_FILES:
                self.close()
                self._loop.call_later(_AGAIN, self.reopen)

    def _let_in(self, connection: socket.socket) -> None:
        task = self._loop.create_task(self._loop.connect_accepted_socket(self._factory, connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Doors:
    """All of a broker. The narrow ones are closed while there are too many who arrive."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, listeners: Iterable[Listener], arrivals: Arrivals, backlog: int
    ) -> None:
        """Bring those who come in to `arrivals`."""
        self._doors: list[Door] = []
        self._narrow: list[Narrow] = []
        for each in listeners:
            factory = arrivals.factory(each.address)
            if arrivals.are_counted(each.address):
                self._narrow.append(Narrow(loop, each, factory, arrivals.arriving))
            else:
                self._doors.append(Wide(each, factory, backlog))
        self._doors += self._narrow
        arrivals.arriving.doors(self._close, self._reopen)

    async def open(self) -> None:
        """Accept connections."""
        for door in self._doors:
            await door.open()

    def shut(self) -> None:
        """Accept none any more."""
        for door in self._doors:
            door.shut()

    def _close(self) -> None:
        for door in self._narrow:
            door.close()

    def _reopen(self) -> None:
        for door in self._narrow:
            door.reopen()
