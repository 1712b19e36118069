"""A broker as a process of its own: signals, systemd, limits of the system, the interpreter's memory."""

import asyncio
import gc
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Iterable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import uvloop

from fastbroker.config import Config
from fastbroker.config.overlay import misspelt
from fastbroker.core.log import Log
from fastbroker.errors import StartError
from fastbroker.log import logging_to
from fastbroker.server import OPEN_MAX, OUT_OF_FILES, Server
from fastbroker.transports.systemd import Notifier, passed_sockets

DRAINED, CUT_SHORT = 0, 1
ENDS = (signal.SIGTERM, signal.SIGINT)
# Those that mean something here. SIGUSR2 means nothing yet, and must not end the broker of who thinks that it does.
SIGNALS = (*ENDS, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


def run(config: Config, source: str = "") -> int:
    """Serve until a signal says otherwise and return the exit status. Raises StartError.

    `source` is the file that the configuration was read from, if it was.
    """
    os.umask(0o077)
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, signal.SIG_IGN)
    raise_descriptor_limit()
    return uvloop.run(_run(config, source))


async def _run(config: Config, source: str) -> int:
    loop = asyncio.get_running_loop()
    signals = _catch_ends(loop)
    systemd = Notifier(os.environ)
    with logging_to(sys.stderr, config.log, loop.call_later) as log:
        loop.set_exception_handler(lambda _, context: log_exception(log, context))
        sys.unraisablehook = partial(log_unraisable, log)
        for name, meant in misspelt(os.environ):
            log("warning", "a variable is not read", variable=name, meant=meant)
        with closing(Server(config, log=log, sockets=passed_sockets(os.environ), source=source)) as server:
            _catch_others(loop, server, systemd, signals)
            await server.start()
            _announce(server.addresses)
            await server.serve()
            systemd.ready()
            beat = loop.create_task(_beat(systemd))
            _settle_memory()
            await signals.get()
            systemd.stopping()
            status = await _drain(server, signals)
            beat.cancel()
            return status


def _catch_ends(loop: asyncio.AbstractEventLoop) -> asyncio.Queue[int]:
    """The signals that end it come out of the queue, those that came while it started among them."""
    signals: asyncio.Queue[int] = asyncio.Queue()
    for number in ENDS:
        loop.add_signal_handler(number, signals.put_nowait, number)
    return signals


def _catch_others(
    loop: asyncio.AbstractEventLoop, server: Server, systemd: Notifier, signals: asyncio.Queue[int]
) -> None:
    loop.add_signal_handler(signal.SIGUSR1, server.log_census)
    loop.add_signal_handler(signal.SIGHUP, _on_hangup, has_terminal(), partial(_reload, server, systemd), signals)


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


def _reload(server: Server, systemd: Notifier) -> None:
    systemd.reloading()
    server.reload()
    systemd.ready()


def _announce(addresses: Iterable[str]) -> None:
    """Print where the broker listens: for people, and for programs that started it with port 0."""
    try:
        sys.stdout.write("".join(f"listening on {address}\n" for address in addresses))
        sys.stdout.flush()
    except OSError as error:
        raise StartError(f"cannot write to the standard output: {error.strerror}") from None


async def _beat(systemd: Notifier) -> None:
    while systemd.watchdog:
        systemd.alive()
        await asyncio.sleep(systemd.watchdog)


async def _drain(server: Server, signals: asyncio.Queue[int]) -> int:
    """Drain, but end at once when another signal comes. After that none counts: the loop takes its handlers back before
    the process has ended, and one that came then would end it with a status of its own."""
    another = asyncio.ensure_future(signals.get())
    another.add_done_callback(lambda _: server.hurry())
    aborted = await server.drain()
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    return CUT_SHORT if aborted and another.done() else DRAINED


def raise_descriptor_limit() -> None:
    """Raise the limit of open files as far as it goes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY:
        wanted = max(soft, OPEN_MAX) if hard == resource.RLIM_INFINITY else hard
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _settle_memory() -> None:
    """Keep the garbage collector off what lives as long as the process, and let it run seldom.

    A full collection over the objects of 100,000 connections stops the loop for 0.1 s.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


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
