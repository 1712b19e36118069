"""From the addresses of the configuration to sockets that listen."""

import errno
import grp
import os
import pwd
import socket
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple

from fastbroker.auth import refuse_exposed
from fastbroker.config import Config, Conflict, Tcp, Unix, missing_for
from fastbroker.errors import StartError
from fastbroker.locks import InUse, lock
from fastbroker.transports import address
from fastbroker.transports.address import Address

_HINTS = {
    errno.EADDRINUSE: "the address is in use; is another broker running? Port 0 takes a free port",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.EACCES: "permission denied; ports below 1024 are for root",
}
# A host name may stand for an address whose family this machine lacks, as ::1 for localhost without IPv6.
_FAMILY_MISSING = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)

# Of Unix sockets; the system has a limit of its own, which is the one that counts.
BACKLOG = 4096

Resolved = list[tuple[socket.AddressFamily, tuple[Any, ...]]]


def _nothing() -> None:
    pass


class Listener(NamedTuple):
    """A socket that listens, its address as it is bound, and what to do when it is closed for good."""

    address: Address
    socket: socket.socket
    remove: Callable[[], None] = _nothing


def check(config: Config) -> Iterator[Conflict]:
    """Find the addresses that would be refused whatever their names resolve to, and owners of files that are nobody."""
    for number, text, written in address.parsed(config.listen):
        try:
            _refuse_number(config, written)
        except StartError as error:
            yield str(error), {f"listen[{number}]": text}
    if any(written.is_local for _, _, written in address.parsed(config.listen)):
        for key, name, look_up in (("user", config.unix.user, _user), ("group", config.unix.group, _group)):
            try:
                look_up(name)
            except LookupError:
                yield f"there is no {key} of that name", {f"unix.{key}": name}


def _refuse_number(config: Config, written: Address) -> None:
    try:
        found = resolve(written, socket.AI_NUMERICHOST)
    except StartError:
        return  # a name, which nobody is asked for yet
    refuse_exposed(config, written, (str(sockaddr[0]) for _, sockaddr in found))


def open_listeners(config: Config) -> list[Listener]:
    """Bind every address and let the kernel queue connections to it; nothing is accepted yet. Raises StartError."""
    resolved = [(written, resolve(written)) for written in map(address.parse, config.listen)]
    for written, found in resolved:
        refuse_exposed(config, written, (str(sockaddr[0]) for _, sockaddr in found))
    with ExitStack() as undo:
        listeners = [each for written, found in resolved for each in _open_all(config, written, found, undo)]
        undo.pop_all()
    return listeners


def adopt(config: Config, passed: Iterable[tuple[str, socket.socket]]) -> list[Listener]:
    """Take over sockets that listen already, each with the name that says what is spoken there. Raises StartError."""
    listeners = [_adopted(config, name, listener) for name, listener in passed]
    for each in listeners:
        for sentence, _ in missing_for(each.address, config):
            raise StartError(sentence)
        refuse_exposed(config, each.address, [each.address.host] if each.address.host else [])
    return listeners


def _adopted(config: Config, name: str, listener: socket.socket) -> Listener:
    local = listener.family == socket.AF_UNIX
    scheme, _, option = name.partition("?")
    if scheme not in address.SCHEMES:
        scheme = "unix" if local else "tcp"
    elif local != (scheme == "unix"):
        raise StartError(f"the socket that is named {name!r} cannot be used: it is{' not' * (not local)} a Unix socket")
    listener.setblocking(False)
    if not local:
        watch_peers(listener, config.tcp)
    return Listener(_bound(Address(scheme, proxied=option == address.PROXY_PROTOCOL), listener, config), listener)


def resolve(written: Address, flags: int = 0) -> Resolved:
    """Every socket address that an address stands for. Raises StartError."""
    if written.is_local:
        return []
    try:
        found = socket.getaddrinfo(written.host, written.port, type=socket.SOCK_STREAM, flags=flags)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise StartError(f"cannot listen on {written}: the host cannot be resolved: {reason}") from None
    return list(dict.fromkeys((family, sockaddr) for family, _, _, _, sockaddr in found))


def _open_all(config: Config, written: Address, found: Resolved, undo: ExitStack) -> list[Listener]:
    if written.is_local:
        return [_open_unix(config.unix, written, undo)]
    listeners, missing = [], None
    for family, sockaddr in found:
        try:
            listener = undo.enter_context(_open(config.tcp, family, sockaddr))
        except OSError as error:
            missing = _failure(written, error)
            if error.errno not in _FAMILY_MISSING:
                raise missing from None
        else:
            listeners.append(Listener(_bound(written, listener, config), listener))
    if missing and not listeners:
        raise missing
    return listeners


def _bound(written: Address, listener: socket.socket, config: Config) -> Address:
    """Where a socket really listens, its port among it."""
    if written.is_local:
        return written._replace(path=os.fsdecode(listener.getsockname()).replace("\0", "@"))
    host, port = listener.getsockname()[:2]
    return written._replace(host=host, port=port, path=config.websocket.path if written.how.websocket else "")


def _failure(written: Address, error: OSError) -> StartError:
    reason = _HINTS.get(error.errno or 0) or error.strerror or str(error)
    return StartError(f"cannot listen on {written}: {reason}")


# ---- TCP ----


def _open(settings: Tcp, family: socket.AddressFamily, sockaddr: tuple[Any, ...]) -> socket.socket:
    with ExitStack() as undo:
        listener = undo.enter_context(socket.socket(family, socket.SOCK_STREAM))
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if settings.reuse_port:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        watch_peers(listener, settings)
        listener.bind(sockaddr)
        listener.listen(settings.backlog)
        listener.setblocking(False)
        undo.pop_all()
    return listener


def watch_peers(listener: socket.socket, settings: Tcp) -> None:
    """Have the system notice peers that are gone without a word. Accepted connections inherit it from the listener."""
    options = {
        "TCP_KEEPIDLE": round(settings.keepalive),
        "TCP_KEEPALIVE": round(settings.keepalive),  # macOS has this name for it
        "TCP_KEEPINTVL": round(settings.keepalive_interval),
        "TCP_KEEPCNT": settings.keepalive_count,
    }
    if settings.keepalive:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        _set_where_known(listener, options)
    if settings.user_timeout:
        _set_where_known(listener, {"TCP_USER_TIMEOUT": round(settings.user_timeout * 1000)})


def _set_where_known(listener: socket.socket, options: dict[str, int]) -> None:
    for name, value in options.items():
        if option := getattr(socket, name, None):
            listener.setsockopt(socket.IPPROTO_TCP, option, max(value, 1))


# ---- Unix ----


def _open_unix(settings: Unix, written: Address, undo: ExitStack) -> Listener:
    path = Path(written.path)
    try:
        held = lock(path.with_name(path.name + ".lock"))
        undo.callback(os.close, held)
        _remove_stale(path)
        listener = undo.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        _bind_unix(settings, listener, path)
        undo.callback(path.unlink, missing_ok=True)
    except InUse as error:
        raise StartError(f"cannot listen on {written}: it is in use by another broker (process {error})") from None
    except (OSError, LookupError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise StartError(f"cannot listen on {written}: {reason}") from None
    return Listener(written, listener, _remover(path, held))


def _remove_stale(path: Path) -> None:
    """Take away the file that a broker left behind that was killed, and nothing else."""
    try:
        kind = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise FileExistsError(errno.EEXIST, "there is a file of that name, and it is no socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        found = probe.connect_ex(str(path))
    if found != errno.ECONNREFUSED:
        raise OSError(errno.EADDRINUSE, "another program listens there")
    path.unlink()


def _bind_unix(settings: Unix, listener: socket.socket, path: Path) -> None:
    """Nobody but us may connect before owner and permissions are as they should be: nothing listens until then."""
    before = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(before)
    try:
        os.chown(path, _user(settings.user), _group(settings.group))
        path.chmod(int(settings.mode, 8))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except BaseException:
        path.unlink()
        raise


def _user(name: str) -> int:
    return -1 if not name else int(name) if name.isdecimal() else pwd.getpwnam(name).pw_uid


def _group(name: str) -> int:
    return -1 if not name else int(name) if name.isdecimal() else grp.getgrnam(name).gr_gid


def _remover(path: Path, held: int) -> Callable[[], None]:
    """What takes the file away at the end, if it is still the one that was made here."""
    made = path.lstat()

    def remove() -> None:
        with suppress(OSError):
            found = path.lstat()
            if (found.st_dev, found.st_ino) == (made.st_dev, made.st_ino):
                path.unlink()
        os.close(held)

    return remove
