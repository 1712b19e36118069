"""A broker in an event loop: from its configuration to the end of its last connection."""

import asyncio
import errno
import os
import resource
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Self

import uvloop

from fastbroker import __version__
from fastbroker.auth import Access, access, who_may_connect
from fastbroker.config import NO_DATA_DIR, Config, hub_settings, policies_of
from fastbroker.config.units import SIZES, written
from fastbroker.core.disk import Disk
from fastbroker.core.hub import Hub
from fastbroker.core.journal import StoreError
from fastbroker.core.log import Log
from fastbroker.cron import next_time
from fastbroker.datadir import DataDir, data_dir_of
from fastbroker.errors import StartError
from fastbroker.log import logging_to
from fastbroker.transports import tls
from fastbroker.transports.arrivals import Arrivals
from fastbroker.transports.arriving import Arriving
from fastbroker.transports.doors import Doors
from fastbroker.transports.listeners import Listener, adopt, open_listeners
from fastbroker.web.handshake import Handshake

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


class Server:
    """A broker in the loop that runs it.

        async with Server(Config(listen=("tcp://127.0.0.1:0",), data_dir="none")) as server:
            async with connected(parse_target(server.addresses[0])) as client:
                await client.send("/queue/a", b"hello")
            assert server.census()["messages"] == 1

    It begins with `start` and `serve` and ends with `drain` and `close`. The loop is uvloop's (`uvloop.run(main())`),
    as asyncio's own does not know compiled protocols, and there may be several brokers in it. What belongs to a whole
    process, such as its signals and its limit of open files, it leaves to `service.py`.
    """

    def __init__(
        self,
        config: Config,
        *,
        log: Log | None = None,
        may: Access | None = None,
        sockets: Sequence[tuple[str, socket.socket]] = (),
        source: str = "",
    ) -> None:
        """Touch nothing yet.

        `log` is told what happens; without it, lines go to the standard error output as `config.log` says. `may`
        decides who comes in and what they may do there. `sockets` listen already, in the place of `config.listen`,
        each with the name that says what is spoken there. `source` is the file that `config` was read from, if it was:
        the log says it.
        """
        self._config = config
        self._given_log = log
        self._may = may or access()
        self._sockets = sockets
        self._source = source
        self._held = ExitStack()
        self._listeners: list[Listener] = []
        self._contexts: tls.Contexts | None = None
        self._data_dir: DataDir | None = None
        self._store: Disk | None = None
        self._at_once = False
        self._most = 0
        self._log: Log
        self._hub: Hub
        self._arrivals: Arrivals
        self._doors: Doors

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where it listens, once it is started: with the ports that were free."""
        return tuple(str(listener.address) for listener in self._listeners)

    async def __aenter__(self) -> Self:
        """Start and serve."""
        await self.start()
        try:
            await self.serve()
        except BaseException:
            self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        """Drain and close."""
        try:
            await self.drain()
        finally:
            self.close()

    async def start(self) -> None:
        """Bind every address, and say in the data directory which; clients can connect now, and wait.

        Raises StartError, and then nothing is left behind.
        """
        loop = asyncio.get_running_loop()
        if not isinstance(loop, uvloop.Loop):
            raise StartError("the event loop must be uvloop's: uvloop.run(...) in the place of asyncio.run(...)")
        try:
            self._start(loop)
        except BaseException:
            self.close()
            raise

    async def serve(self) -> None:
        """Accept connections."""
        loop = asyncio.get_running_loop()
        self._doors = Doors(loop, self._listeners, self._arrivals, self._config.tcp.backlog)
        await self._doors.open()
        self._held.callback(self._doors.shut)
        self._held.callback(loop.create_task(watch_descriptors(self._log)).cancel)
        self._log(
            "info",
            "started",
            version=__version__,
            addresses=" ".join(self.addresses),
            access=who_may_connect(self._config, self._may, [each.address for each in self._listeners]),
            config=self._source or "none",
            data_dir=str(self._data_dir.path) if self._data_dir else NO_DATA_DIR,
            memory=written(self._config.limits.memory, SIZES),
            connections=self._most,
            files=descriptor_limit(),
            pid=os.getpid(),
        )

    def reload(self) -> None:
        """Read the certificates again: all of them, or if anything is wrong, none."""
        try:
            if self._contexts:
                self._contexts = _load(self._config, self._log)
                self._arrivals.use(self._contexts)
        except StartError as error:
            self._log("error", "certificates not reloaded, the old ones are still used", error=str(error))
        else:
            self._log("info", "certificates reloaded" if self._contexts else "nothing to reload")

    async def drain(self, timeout: float | None = None) -> int:
        """Accept nobody any more and let clients take what is still to be sent, for `drain_timeout` at most.

        Returns how many connections had to be cut off at the end of that time, or at once because of `hurry`.
        """
        self._doors.shut()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + (self._config.drain_timeout if timeout is None else timeout)
        self._log("info", "draining", connections=self._hub.connection_count)
        self._hub.drain()
        while self._hub.connection_count and not self._at_once and loop.time() < deadline:
            await asyncio.sleep(_POLL)
        if aborted := self._hub.connection_count:
            self._hub.abort()
            # The loop tells each of them that it has ended, and they say so in the log.
            await asyncio.sleep(_POLL)
        self._close_journal(loop)
        messages, queues = self._hub.queued()
        kept = self._hub.kept()
        level = "warning" if messages > kept else "info"
        self._log(level, "stopped", aborted_connections=aborted, messages=messages, kept=kept, queues=queues)
        return aborted

    def hurry(self) -> None:
        """Let `drain` end at once."""
        self._at_once = True

    def close(self) -> None:
        """Give back what it holds: sockets, files, the data directory. Connections end with `drain`, not here."""
        self._held.close()

    def census(self) -> dict[str, int]:
        """Count what is alive and what passed; `fastbroker.core.hub.Hub.stats` says what is counted."""
        return self._hub.stats()

    def log_census(self) -> None:
        """Log the census as one line."""
        self._log("info", "census", **self.census())

    # ---- inside ----

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        config = self._config
        self._log = self._given_log or self._held.enter_context(logging_to(sys.stderr, config.log, loop.call_later))
        path = data_dir_of(config.data_dir, os.environ)
        self._data_dir = self._held.enter_context(DataDir(path)) if path else None
        self._listeners = self._open()
        if self._data_dir:
            self._data_dir.announce(self.addresses)
        if any(each.address.how.secure for each in self._listeners):
            self._contexts = _load(config, self._log)
        arriving, self._most = _room(loop, config, self._listeners, self._log)
        journal = self._open_journal(self._data_dir) if self._data_dir else {}
        self._hub = _make_hub(loop, config, self._may, self._most, self._log, journal)
        if self._store:
            self._recover(loop, self._store)
        self._arrivals = Arrivals(self._hub, config, self._contexts, arriving, self._log)
        self._held.callback(self._arrivals.workers.close)

    def _open_journal(self, data_dir: DataDir) -> dict[str, Any]:
        """What the hub is told of it."""
        identity = data_dir.identity()
        try:
            self._store = Disk(data_dir.path, bytes.fromhex(identity.id), self._config.journal.segment_size)
        except StoreError as error:
            raise StartError(str(error)) from None
        self._held.callback(self._store.close)
        return {"journal": (self._store, identity.shards, identity.seed), "epoch": identity.epoch.encode()}

    def _recover(self, loop: asyncio.AbstractEventLoop, store: Disk) -> None:
        started = loop.time()
        try:
            messages, in_order = self._hub.recover()
        except StoreError as error:
            raise StartError(str(error)) from None
        damaged, file, place = store.damaged
        if damaged:
            self._log("error", "journal damaged", bytes=damaged, file=file, place=place)
        self._log(
            "info" if in_order else "warning",
            "journal read",
            messages=messages,
            seconds=round(loop.time() - started, 3),
            ended="in order" if in_order else "suddenly",
        )
        loop.add_reader(store, self._hub.hear_journal)
        self._held.callback(self._close_journal, loop)

    def _close_journal(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have the rest written, once."""
        store, self._store = self._store, None
        if store:
            loop.remove_reader(store)
            if failure := self._hub.close_journal():
                self._log("error", "journal failed", reason=os.strerror(failure))

    def _open(self) -> list[Listener]:
        if self._sockets and self._config.listen != Config().listen:
            self._log("warning", "listen is not used: systemd has handed over sockets", sockets=len(self._sockets))
        listeners = adopt(self._config, self._sockets) if self._sockets else open_listeners(self._config)
        for listener in listeners:
            self._held.callback(listener.remove)
            self._held.callback(listener.socket.close)
        return listeners


def _make_hub(
    loop: asyncio.AbstractEventLoop,
    config: Config,
    may: Access,
    most_connections: int,
    log: Log,
    journal: Mapping[str, Any],
) -> Hub:
    return Hub(
        loop,
        settings={**hub_settings(config), "max_connections": most_connections},
        policies=policies_of(config),
        authenticate=may.authenticate,
        authorize=may.authorize,
        log=log,
        debug=log.debug,
        cron=next_time,
        server=f"fastbroker/{__version__}",
        handshake=Handshake(config.websocket, server=f"fastbroker/{__version__}"),
        **journal,
    )


def _load(config: Config, log: Log) -> tls.Contexts:
    contexts = tls.load(config.tls)
    for doubt in contexts.doubts:
        log("warning", "certificate may be refused", detail=doubt)
    return contexts


def _room(loop: asyncio.AbstractEventLoop, config: Config, listeners: list[Listener], log: Log) -> tuple[Arriving, int]:
    """How many may be on their way in, and how many connections there may be: together as many as descriptors."""
    descriptors = descriptor_limit()
    arriving = 0
    if any(Arrivals.are_counted(each.address) for each in listeners):
        arriving = min(config.limits.max_unauthenticated, max(descriptors - RESERVED_DESCRIPTORS, 3) // 3)
    most = connection_limit(config.limits.max_connections, descriptors - arriving)
    if most < FEW_CONNECTIONS and most != config.limits.max_connections:
        log(
            "warning",
            "few connections are possible: raise the limit of open files",
            files=descriptors,
            connections=most,
        )
    return Arriving(loop, arriving), most


def descriptor_limit() -> int:
    """How many files the process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(soft, OPEN_MAX) if soft == resource.RLIM_INFINITY else soft


def connection_limit(configured: int, descriptors: int) -> int:
    """How many connections to take: as configured, where 0 is no wish, but never so many that descriptors run out."""
    possible = min(max(descriptors - RESERVED_DESCRIPTORS, 1), MAX_CONNECTIONS)
    return min(configured, possible) if configured else possible


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
