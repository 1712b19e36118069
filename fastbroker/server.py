"""One broker process: from its configuration to the end of its last connection."""

import asyncio
import errno
import gc
import os
import resource
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import uvloop

from fastbroker import __version__
from fastbroker.auth import access
from fastbroker.config import Config, hub_settings
from fastbroker.core.hub import Hub
from fastbroker.datadir import DataDir
from fastbroker.errors import StartError
from fastbroker.log import Log, logging_to
from fastbroker.transports import tls
from fastbroker.transports.arrivals import Arrivals, Arriving, Factory
from fastbroker.transports.listeners import BACKLOG, Listener, adopt, open_listeners
from fastbroker.transports.systemd import Notifier, passed_sockets
from fastbroker.web.handshake import Handshake

DRAINED, CUT_SHORT = 0, 1

# File descriptors that are not connections: listeners, logs, files, what the interpreter has open.
RESERVED_DESCRIPTORS = 64
OUT_OF_FILES = (errno.EMFILE, errno.ENFILE)
# A broker that may have fewer connections than this says so: limits of open files are easily forgotten.
FEW_CONNECTIONS = 1000
# The most that macOS lets a process open when its hard limit says that there is none.
OPEN_MAX = 10_240
# Systems that know no limit of open files say some number that is no memory's size either.
MAX_CONNECTIONS = 100_000_000

_POLL = 0.02


def run(config: Config) -> int:
    """Serve until a signal says otherwise and return the exit status. Raises StartError."""
    os.umask(0o077)
    return uvloop.run(_serve(config))


async def _serve(config: Config) -> int:
    loop = asyncio.get_running_loop()
    systemd = Notifier(os.environ)
    with ExitStack() as held:
        log = held.enter_context(logging_to(sys.stderr, config.log, loop.call_later))
        loop.set_exception_handler(lambda _, context: log_exception(log, context))
        sys.unraisablehook = partial(log_unraisable, log)
        data_dir = held.enter_context(DataDir(config.data_dir)) if config.data_dir else None
        listeners = _open(config, log, held)
        contexts = _load(config, log) if any(each.address.how.secure for each in listeners) else None
        signals = _catch_signals(loop)
        arriving, most = _room(config, listeners, log)
        hub = _make_hub(loop, config, most, log)
        arrivals = Arrivals(hub, config, contexts, arriving, log)
        loop.add_signal_handler(signal.SIGUSR1, lambda: log("info", "census", **hub.stats()))
        reload = partial(_reload, config, arrivals, contexts, systemd, log)
        loop.add_signal_handler(signal.SIGHUP, _on_hangup, has_terminal(), reload, signals)
        addresses = [str(listener.address) for listener in listeners]
        if data_dir:
            data_dir.announce(addresses)
        _announce(addresses)
        servers = [await _start(loop, each, arrivals.factory(each.address), config) for each in listeners]
        log("info", "started", version=__version__, addresses=" ".join(addresses))
        systemd.ready()
        watchers = [loop.create_task(watch_descriptors(log)), loop.create_task(_beat(systemd))]
        _settle_memory()
        await signals.get()
        systemd.stopping()
        for server in servers:
            server.close()
        status = await _drain(hub, config.drain_timeout, signals, log)
        for watcher in watchers:
            watcher.cancel()
        return status


def _open(config: Config, log: Log, held: ExitStack) -> list[Listener]:
    passed = passed_sockets(os.environ)
    if passed and config.listen != Config().listen:
        log("warning", "listen is not used: systemd has handed over sockets", sockets=len(passed))
    listeners = adopt(config, passed) if passed else open_listeners(config)
    for listener in listeners:
        held.callback(listener.remove)
    return listeners


async def _start(
    loop: asyncio.AbstractEventLoop, listener: Listener, factory: Factory, config: Config
) -> asyncio.AbstractServer:
    if listener.socket.family == socket.AF_UNIX:
        # Whether the file is ours to remove only the listener knows. Older Pythons do not declare the argument.
        keep_file: dict[str, Any] = {"cleanup_socket": False}
        return await loop.create_unix_server(factory, sock=listener.socket, backlog=BACKLOG, **keep_file)
    return await loop.create_server(factory, sock=listener.socket, backlog=config.tcp.backlog)


def _room(config: Config, listeners: list[Listener], log: Log) -> tuple[Arriving, int]:
    """How many may be on their way in, and how many connections there may be: together as many as descriptors."""
    descriptors = raise_descriptor_limit()
    arriving = 0
    if any(each.address.how.secure or each.address.proxied for each in listeners):
        arriving = min(config.limits.max_unauthenticated, max(descriptors - RESERVED_DESCRIPTORS, 4) // 4)
    most = connection_limit(config.limits.max_connections, descriptors - arriving)
    if most < FEW_CONNECTIONS and most != config.limits.max_connections:
        log(
            "warning",
            "few connections are possible: raise the limit of open files",
            files=descriptors,
            connections=most,
        )
    return Arriving(arriving), most


def _on_hangup(had_terminal: bool, reload: Callable[[], None], signals: asyncio.Queue[int]) -> None:
    """SIGHUP says that the terminal is closed, and then the broker ends; or that the files are to be read again."""
    if had_terminal and not has_terminal():
        signals.put_nowait(signal.SIGHUP)
    else:
        reload()


def has_terminal() -> bool:
    """Whether there is a terminal that could be closed."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError as error:
        return error.errno in OUT_OF_FILES  # then it cannot be told
    return True


def _reload(config: Config, arrivals: Arrivals, contexts: tls.Contexts | None, systemd: Notifier, log: Log) -> None:
    """Read the certificates again: all of them, or if anything is wrong, none."""
    systemd.reloading()
    try:
        if contexts:
            arrivals.use(_load(config, log))
    except StartError as error:
        log("error", "certificates not reloaded, the old ones are still used", error=str(error))
    else:
        log("info", "certificates reloaded" if contexts else "nothing to reload")
    systemd.ready()


def _load(config: Config, log: Log) -> tls.Contexts:
    contexts = tls.load(config.tls)
    for doubt in contexts.doubts:
        log("warning", doubt)
    return contexts


async def watch_descriptors(log: Log, pause: float = 1.0) -> None:
    """Say when the system gives no more file descriptors: the loop then closes new connections without a word."""
    while True:
        await asyncio.sleep(pause)
        try:
            os.close(os.dup(0))
        except OSError as error:
            if error.errno in OUT_OF_FILES:
                reason = f"out of file descriptors: {error.strerror}"
                log("error", "new connections are closed as they come", reason=reason)


async def _beat(systemd: Notifier) -> None:
    while systemd.watchdog:
        systemd.alive()
        await asyncio.sleep(systemd.watchdog)


def _make_hub(loop: asyncio.AbstractEventLoop, config: Config, most_connections: int, log: Log) -> Hub:
    may = access()
    return Hub(
        loop,
        settings={**hub_settings(config), "max_connections": most_connections},
        topic_policies=[(topic.pattern, topic.slow_consumer) for topic in config.topics],
        authenticate=may.authenticate,
        authorize=may.authorize,
        log=log,
        server=f"fastbroker/{__version__}",
        handshake=Handshake(config.websocket, server=f"fastbroker/{__version__}"),
    )


def raise_descriptor_limit() -> int:
    """Raise the limit of open files as far as it goes, and return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = max(soft, OPEN_MAX) if hard == resource.RLIM_INFINITY else hard
    if soft != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return wanted


def connection_limit(configured: int, descriptors: int) -> int:
    """How many connections to take: as configured, where 0 is no wish, but never so many that descriptors run out."""
    possible = min(max(descriptors - RESERVED_DESCRIPTORS, 1), MAX_CONNECTIONS)
    return min(configured, possible) if configured else possible


def _catch_signals(loop: asyncio.AbstractEventLoop) -> asyncio.Queue[int]:
    signals: asyncio.Queue[int] = asyncio.Queue()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, signals.put_nowait, number)
    return signals


def _announce(addresses: Iterable[str]) -> None:
    """Print where the broker listens: for people, and for programs that started it with port 0."""
    try:
        sys.stdout.write("".join(f"listening on {address}\n" for address in addresses))
        sys.stdout.flush()
    except OSError as error:
        raise StartError(f"cannot write to the standard output: {error.strerror}") from None


def _settle_memory() -> None:
    """Keep the garbage collector off what lives as long as the process, and let it run seldom.

    A full collection over the objects of 100,000 connections stops the loop for 0.1 s.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


async def _drain(hub: Hub, timeout: float, signals: asyncio.Queue[int], log: Log) -> int:
    """Let clients take what is still to be sent; end at the deadline, or at once when another signal comes."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    log("info", "draining", connections=hub.connection_count)
    hub.drain()
    while hub.connection_count and signals.empty() and loop.time() < deadline:
        await asyncio.sleep(_POLL)
    if aborted := hub.connection_count:
        hub.abort()
        # The loop tells each of them that it has ended, and they say so in the log.
        await asyncio.sleep(_POLL)
    log("info", "stopped", aborted_connections=aborted)
    return CUT_SHORT if aborted and not signals.empty() else DRAINED


def log_exception(log: Log, context: dict[str, Any]) -> None:
    """Log what nobody caught in the loop, as one line."""
    error = context.get("exception")
    frames = traceback.extract_tb(error.__traceback__) if error else []
    where = " < ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    log("error", "unhandled exception", message=context["message"], error=repr(error), where=where)


def log_unraisable(log: Log, failure: Any) -> None:
    """Log what Python could raise to nobody, such as a TLS client that asks for a name that is none, as one line."""
    where = f"{failure.err_msg or 'Exception ignored in'} {failure.object!r}"
    log("warning", "exception ignored", reason=f"not raised: {failure.exc_value!r}", where=where)
