"""A worker process as its parent sees it: it is started, told what to do, listened to, and gone at the end."""

import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import IO

import msgspec

from fastbroker.bench.events import Event, Failed, Measured, Order, Phase, PhaseName, Progress
from fastbroker.bench.load import Load

# A worker tells something four times a second: after so long a silence it is stuck.
SILENCE = 30.0
# The generator itself gives up on a server after the load's patience; this is for one that does not.
GRACE = 10.0
# What trickles on and on is not waited for: so long a run may drain.
LONGEST_DRAIN = 120.0
# A step of the generator takes a quarter of a second.
GOODBYE_TIMEOUT = 2.0
# A result has thousands of buckets on one line.
LONGEST_LINE = 2**26


class RunFailed(Exception):
    """A run did not come to its end; the message says why."""


class StartedWorker:
    """A running worker."""

    def __init__(self, child: asyncio.subprocess.Process, load: Load, errors: IO[bytes]) -> None:
        """Talk to `child`, whose standard error output goes to the file `errors`."""
        assert child.stdin
        assert child.stdout
        self._child = child
        self._input = child.stdin
        self._output = child.stdout
        self._errors = errors
        self._watch = _Watch(load)

    async def tell(self, line: bytes) -> None:
        """Say something to the worker; one that is gone is noticed when it is listened to."""
        with suppress(ConnectionError):
            self._input.write(line + b"\n")
            await self._input.drain()

    async def event(self) -> Phase | Progress | Measured:
        """What the worker says next. Raises RunFailed when that is the end, or when it gets nowhere."""
        event = await self._read()
        if isinstance(event, Failed):
            raise RunFailed(event.message)
        self._watch.look(event)
        return event

    async def phase(self, phase: PhaseName) -> None:
        """Wait for a phase."""
        while await self.event() != Phase(phase):
            pass

    async def measured(self) -> Measured:
        """Wait for the result."""
        while not isinstance(event := await self.event(), Measured):
            pass
        return event

    async def _read(self) -> Event:
        try:
            async with asyncio.timeout(SILENCE):
                line = await self._output.readline()
        except TimeoutError:
            raise RunFailed(f"the load generator said nothing for {SILENCE:g} s") from None
        if not line.endswith(b"\n"):
            raise RunFailed(f"the load generator ended with {await self._last_words()}; that is a bug of the benchmark")
        event: Event = msgspec.json.decode(line, type=Event)
        return event

    async def _last_words(self) -> str:
        status = await self._child.wait()
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        how = f"signal {-status}" if status < 0 else f"status {status}"
        return ": ".join([how, *[line.strip() for line in lines if line.strip()][-1:]])


class _Watch:
    """Notices a generator that gets nowhere and does not notice it itself."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._counts: tuple[object, ...] = ()
        self._changed = self._drains_since = asyncio.get_running_loop().time()

    def look(self, event: Event) -> None:
        """Raise RunFailed when nothing has changed for too long."""
        if not isinstance(event, Progress):
            return
        now = asyncio.get_running_loop().time()
        counts = (event.phase, event.sent, event.received, event.receipts, event.operations, event.connections)
        if counts != self._counts:
            self._counts, self._changed = counts, now
        if event.phase != "draining":
            self._drains_since = now
        if now - self._changed > self._longest(event.phase):
            raise RunFailed(f"nothing has happened for {now - self._changed:.0f} s while {event.phase}")
        if now - self._drains_since > LONGEST_DRAIN:
            raise RunFailed(f"messages were still coming {LONGEST_DRAIN:g} s after the last one was sent")

    def _longest(self, phase: PhaseName) -> float:
        """How long a phase may be without any change; a load of few messages, or none, has little to count."""
        ramp = 1 / self._load.ramp if self._load.ramp else 0
        waits = self._load.delay if self._load.kind == "schedule" else self._load.seconds
        quiet = {"warming up": self._load.warm_up, "measuring": waits}
        return self._load.patience + GRACE + ramp + quiet.get(phase, 0)


@asynccontextmanager
async def started_worker(order: Order) -> AsyncIterator[StartedWorker]:
    """A worker with its order; it is gone at the end, however that comes."""
    with tempfile.TemporaryFile() as errors:
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "fastbroker.bench.worker"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=errors,
            limit=LONGEST_LINE,
            # Ctrl-C is for the parent; the worker ends when that ends it, or is gone itself.
            process_group=0,
        )
        try:
            worker = StartedWorker(child, order.load, errors)
            await worker.tell(msgspec.json.encode(order))
            yield worker
        finally:
            await _end(child)


async def _end(child: asyncio.subprocess.Process) -> None:
    # A worker that nobody can talk to any more ends by itself, unless it is stuck.
    assert child.stdin
    child.stdin.close()
    try:
        async with asyncio.timeout(GOODBYE_TIMEOUT):
            await child.wait()
    except TimeoutError:
        # child.kill() would ask for the exit status as well, and could take it away from who waits for it.
        with suppress(ProcessLookupError):
            os.kill(child.pid, signal.SIGKILL)
        await child.wait()
