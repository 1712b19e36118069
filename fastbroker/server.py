"""One broker process: from its configuration to the end of its last connection."""

import asyncio
import gc
import os
import resource
import signal
import sys
import traceback
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import uvloop

from fastbroker import __version__
from fastbroker.auth import access
from fastbroker.config import Config, hub_settings
from fastbroker.core.hub import Hub
from fastbroker.datadir import DataDir
from fastbroker.listeners import BACKLOG, bound_address, open_listeners
from fastbroker.log import Log

DRAINED, CUT_SHORT = 0, 1

# File descriptors that are not connections: listeners, logs, files, what the interpreter has open.
RESERVED_DESCRIPTORS = 64
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
    log = Log(config.log, sys.stderr, loop.call_later)
    loop.set_exception_handler(lambda _, context: log_exception(log, context))
    with ExitStack() as held:
        data_dir = held.enter_context(DataDir(config.data_dir)) if config.data_dir else None
        listeners = open_listeners(config)
        signals = _catch_signals(loop)
        hub = _make_hub(loop, config, log)
        loop.add_signal_handler(signal.SIGUSR1, lambda: log("info", "census", **hub.stats()))
        addresses = [str(bound_address(listener)) for listener in listeners]
        if data_dir:
            data_dir.announce(addresses)
        _announce(addresses)
        servers = [await loop.create_server(hub.connection, sock=each, backlog=BACKLOG) for each in listeners]
        log("info", "started", version=__version__, addresses=" ".join(addresses))
        _settle_memory()
        await signals.get()
        for server in servers:
            server.close()
        return await _drain(hub, config.drain_timeout, signals, log)


def _make_hub(loop: asyncio.AbstractEventLoop, config: Config, log: Log) -> Hub:
    may = access()
    limit = connection_limit(config.limits.max_connections, raise_descriptor_limit())
    return Hub(
        loop,
        settings={**hub_settings(config), "max_connections": limit},
        topic_policies=[(topic.pattern, topic.slow_consumer) for topic in config.topics],
        authenticate=may.authenticate,
        authorize=may.authorize,
        log=log,
        server=f"fastbroker/{__version__}",
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
    sys.stdout.write("".join(f"listening on {address}\n" for address in addresses))
    sys.stdout.flush()


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
    return DRAINED if signals.empty() else CUT_SHORT


def log_exception(log: Log, context: dict[str, Any]) -> None:
    """Log what nobody caught in the loop, as one line."""
    error = context.get("exception")
    frames = traceback.extract_tb(error.__traceback__) if error else []
    where = " < ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    log("error", "unhandled exception", message=context["message"], error=repr(error), where=where)
