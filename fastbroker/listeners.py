"""From the addresses of the configuration to sockets that listen."""

import errno
import socket
from contextlib import ExitStack
from typing import Any

from fastbroker import address
from fastbroker.address import Address
from fastbroker.auth import refuse_exposed
from fastbroker.config import Config
from fastbroker.errors import StartError

BACKLOG = 4096

_HINTS = {
    errno.EADDRINUSE: "the address is in use; is another broker running? Port 0 takes a free port",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.EACCES: "permission denied; ports below 1024 are for root",
}
# A host name may stand for an address whose family this machine lacks, as ::1 for localhost without IPv6.
_FAMILY_MISSING = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)

Resolved = list[tuple[socket.AddressFamily, tuple[Any, ...]]]


def check(config: Config) -> None:
    """Raise StartError for an address that would be refused whatever its name resolves to: for numeric ones."""
    for written in map(address.parse, config.listen):
        try:
            found = resolve(written, socket.AI_NUMERICHOST)
        except StartError:
            continue
        refuse_exposed(config.auth, str(written), (str(sockaddr[0]) for _, sockaddr in found))


def open_listeners(config: Config) -> list[socket.socket]:
    """Bind every address and let the kernel queue connections to it; nothing is accepted yet. Raises StartError."""
    resolved = [(written, resolve(written)) for written in map(address.parse, config.listen)]
    for written, found in resolved:
        refuse_exposed(config.auth, str(written), (str(sockaddr[0]) for _, sockaddr in found))
    with ExitStack() as undo:
        listeners = [listener for written, found in resolved for listener in _open_all(written, found, undo)]
        undo.pop_all()
    return listeners


def resolve(written: Address, flags: int = 0) -> Resolved:
    """Every socket address that an address stands for. Raises StartError."""
    try:
        found = socket.getaddrinfo(written.host, written.port, type=socket.SOCK_STREAM, flags=flags)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise StartError(f"cannot listen on {written}: the host cannot be resolved: {reason}") from None
    return list(dict.fromkeys((family, sockaddr) for family, _, _, _, sockaddr in found))


def bound_address(listener: socket.socket) -> Address:
    """Where a socket really listens, its port among it."""
    host, port = listener.getsockname()[:2]
    return Address("tcp", host, port)


def _open_all(written: Address, found: Resolved, undo: ExitStack) -> list[socket.socket]:
    listeners, missing = [], None
    for family, sockaddr in found:
        try:
            listeners.append(undo.enter_context(_open(family, sockaddr)))
        except OSError as error:
            missing = _failure(written, error)
            if error.errno not in _FAMILY_MISSING:
                raise missing from None
    if missing and not listeners:
        raise missing
    return listeners


def _open(family: socket.AddressFamily, sockaddr: tuple[Any, ...]) -> socket.socket:
    with ExitStack() as undo:
        listener = undo.enter_context(socket.socket(family, socket.SOCK_STREAM))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(sockaddr)
        listener.listen(BACKLOG)
        listener.setblocking(False)
        undo.pop_all()
    return listener


def _failure(written: Address, error: OSError) -> StartError:
    reason = _HINTS.get(error.errno or 0) or error.strerror or str(error)
    return StartError(f"cannot listen on {written}: {reason}")
