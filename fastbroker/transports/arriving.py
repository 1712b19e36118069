"""Those who have connected and have no protocol yet: who is waited for, for how long, and who must go.

    enter()                 the client has to say something: a PROXY header, a TLS hello
    ticket.has_spoken()     it has; now it waits for the broker, and that time does not count
    ticket.must_speak()     the broker has answered, and the client has to finish the handshake
    ticket.leave()          it is in, or gone

Who has to say something has the time of what he has to say. Where there is no room for another, the client goes that
has been waited for the longest, of the host with the most of them; but whatever the crowd, each has a part of its time.

A program that opens ten thousand connections at once answers slowly, but one after the other: it says ten thousand
hellos before it looks at our first answer. So while a host speaks, its clients are not late: their time counts from
the last that it has said. It does not for one that as many of them have overtaken as there may be at one time, or where
clients of other hosts need its place. And a host is not asked more than it keeps up with: `WINDOW` at a time.
"""

import asyncio
import socket
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

# So often the time of what is awaited, however much the host says.
MOST = 12
# So many answers of a host are awaited at a time, unless it has said nothing for so long, or hellos alone for longer.
WINDOW, STALLED, HELLOS = 128, 0.25, 2.0
# Between two looks at who is late.
LOOK_EVERY = 0.05
# When there is no room, places are made for so many: one in so many of all places.
SHARE = 16

_TIMED_OUT, _NO_ROOM = "timed out", "too slow while others wait"


class Guest(Protocol):
    """A connection on its way in."""

    def turn_away(self, reason: str, /) -> None:
        """End it."""


def host_of(peer: str) -> str:
    """Who counts as one: a host, of IPv6 a network of 64 bits, all processes of a Unix socket."""
    host = peer.rpartition(":")[0]
    if host.startswith("["):
        return socket.inet_pton(socket.AF_INET6, host[1:-1].partition("%")[0])[:8].hex()
    return host


class Host:
    """Where clients come from."""

    __slots__ = ("awaited", "name", "spoken", "spoken_at", "tickets")

    def __init__(self, name: str) -> None:
        self.name = name
        self.tickets = 0
        self.awaited = 0
        self.spoken = 0
        self.spoken_at = 0.0


class Ticket:
    """The place of one connection among those who arrive."""

    __slots__ = ("_arriving", "awaited", "guest", "host", "since", "turn")

    def __init__(self, arriving: "Arriving", guest: Guest, host: Host) -> None:
        self._arriving = arriving
        self.guest = guest
        self.host = host
        self.awaited: Awaited | None = None
        self.since = 0.0
        self.turn = 0

    def must_speak(self, what: "Awaited") -> None:
        """It is the client's turn to say that."""
        self.awaited, self.since = what, self._arriving.now()
        self.turn = self.host.spoken + self.host.awaited
        self.host.awaited += 1
        what.add(self)

    def has_spoken(self) -> None:
        """The client has said what it had to say."""
        self.host.spoken += 1
        self.host.spoken_at = self._arriving.now()
        if self.awaited:
            self.awaited.answered(self.host, self.host.spoken_at)
        self.be_awaited_no_more()

    def be_awaited_no_more(self) -> None:
        """Nothing is to be said by it."""
        what, self.awaited = self.awaited, None
        if what:
            self.host.awaited -= 1
            what.remove(self)

    def leave(self) -> None:
        """The connection is in, or gone."""
        self.be_awaited_no_more()
        self._arriving.has_left(self.host)

    @property
    def patient_since(self) -> float:
        """When its time began, as long as its host speaks in order."""
        is_behind = self.host.spoken <= self.turn + self._arriving.most
        return max(self.since, self.host.spoken_at) if is_behind else self.since


class _Line:
    """The clients of one host that have yet to say something, the first in front."""

    __slots__ = ("answered_at", "tickets")

    def __init__(self) -> None:
        self.tickets: OrderedDict[Ticket, None] = OrderedDict()
        self.answered_at = 0.0


class Awaited:
    """Something that clients have to say, and those who have not said it yet: in order, and by host."""

    def __init__(self, patience: float, least: float) -> None:
        """A client has `patience` seconds for it, and `least` where there is no room for others."""
        self._patience = patience
        self._least = least
        self._tickets: OrderedDict[Ticket, None] = OrderedDict()
        self._lines: dict[Host, _Line] = {}
        # Hosts by the length of their lines; the last of these is not empty.
        self._by_length: list[OrderedDict[Host, None]] = [OrderedDict()]

    def __len__(self) -> int:
        return len(self._tickets)

    @property
    def most(self) -> int:
        """How many there are of the host that has the most."""
        return len(self._by_length) - 1

    def add(self, ticket: Ticket) -> None:
        """Wait for a client from now on."""
        self._tickets[ticket] = None
        line = self._lines.setdefault(ticket.host, _Line())
        line.tickets[ticket] = None
        self._move(ticket.host, len(line.tickets) - 1, len(line.tickets))

    def remove(self, ticket: Ticket) -> None:
        """Wait for it no longer."""
        del self._tickets[ticket]
        line = self._lines[ticket.host]
        del line.tickets[ticket]
        self._move(ticket.host, len(line.tickets) + 1, len(line.tickets))
        if not line.tickets:
            del self._lines[ticket.host]

    def answered(self, host: Host, now: float) -> None:
        """A client of that host has said it."""
        self._lines[host].answered_at = now

    def _move(self, host: Host, before: int, after: int) -> None:
        if before:
            del self._by_length[before][host]
        if after == len(self._by_length):
            self._by_length.append(OrderedDict())
        if after:
            self._by_length[after][host] = None
        while len(self._by_length) > 1 and not self._by_length[-1]:
            self._by_length.pop()

    def late(self, now: float) -> list[Ticket]:
        """The clients whose time is over."""
        late = []
        for ticket in self._tickets:
            if now < ticket.since + self._patience:
                break
            if now >= min(ticket.patient_since + self._patience, ticket.since + MOST * self._patience):
                late.append(ticket)
        return late

    def slowest(self, now: float, asking: Host | None) -> Ticket | None:
        """Of the host with the most, the client that is waited for the longest, if that is long enough for others."""
        host = next(iter(self._by_length[-1]), None)
        if host is None:
            return None
        ticket = next(iter(self._lines[host].tickets))
        since = ticket.patient_since if asking is host else ticket.since
        return ticket if now >= since + self._least else None

    def is_enough(self, host: Host, now: float) -> bool:
        """Whether a host speaks, and has to say this as often as it should at a time."""
        line = self._lines.get(host)
        if line is None or len(line.tickets) < WINDOW:
            return False
        ticket = next(iter(line.tickets))
        spoken_at = max(line.answered_at, min(ticket.patient_since, ticket.since + HELLOS))
        return now < spoken_at + STALLED


class Arriving:
    """Counts them. While there are as many as may be, doors are closed, and others wait in the kernel's queue."""

    def __init__(self, loop: asyncio.AbstractEventLoop, most: int) -> None:
        """Let in `most`."""
        self.now = loop.time
        self._loop = loop
        self.most = most
        self._count = 0
        self._is_full = False
        self._looking = False
        self._hosts: dict[str, Host] = {}
        self._kinds: list[Awaited] = []
        self._close: Callable[[], None] = lambda: None
        self._reopen: Callable[[], None] = lambda: None

    @property
    def room(self) -> int:
        """For how many more there is room."""
        return self.most - self._count

    def doors(self, close: Callable[[], None], reopen: Callable[[], None]) -> None:
        """Say what stops and what resumes accepting."""
        self._close, self._reopen = close, reopen

    def awaited(self, patience: float, least: float) -> Awaited:
        """Make something new that clients may have to say."""
        self._kinds.append(Awaited(patience, least))
        return self._kinds[-1]

    def enter(self, guest: Guest, peer: str, what: Awaited) -> Ticket:
        """Count one more, that has to say something first."""
        name = host_of(peer)
        host = self._hosts.get(name)
        if host is None:
            host = self._hosts[name] = Host(name)
        host.tickets += 1
        self._count += 1
        ticket = Ticket(self, guest, host)
        ticket.must_speak(what)
        if self._count >= self.most:
            self._is_full = True
            self._close()
        self._look_later()
        return ticket

    def has_left(self, host: Host) -> None:
        """Count one less."""
        host.tickets -= 1
        if not host.tickets:
            del self._hosts[host.name]
        self._count -= 1
        if self._is_full and self._count < self.most - self.most // SHARE:
            self._is_full = False
            self._reopen()

    def is_enough(self, what: Awaited, host: Host) -> bool:
        """Whether a host should answer first what it has been asked."""
        return what.is_enough(host, self.now())

    def make_room(self, what: Awaited, asking: Host | None = None) -> bool:
        """Turn away one of those who have to say that, if it had time enough, for a client of the host that asks."""
        ticket = what.slowest(self.now(), asking)
        if ticket:
            ticket.guest.turn_away(_NO_ROOM)
        return ticket is not None

    def _look_later(self) -> None:
        if not self._looking and self._count:
            self._looking = True
            self._loop.call_later(LOOK_EVERY, self._look)

    def _look(self) -> None:
        """See who is late; and while doors are closed, let some of the slowest make room for those outside."""
        self._looking = False
        for what in self._kinds:
            for ticket in what.late(self.now()):
                ticket.guest.turn_away(_TIMED_OUT)
        awaited = sum(map(len, self._kinds))
        if self._is_full and 2 * awaited > self._count:  # the others wait for us
            self._make_places(self._count - self.most + self.most // SHARE + 1)
        self._look_later()

    def _make_places(self, places: int) -> None:
        """Who is outside is not known; but where all come from one host, it is likely to be of that."""
        only = next(iter(self._hosts.values())) if len(self._hosts) == 1 else None
        while places and self.make_room(max(self._kinds, key=lambda what: what.most), only):
            places -= 1
