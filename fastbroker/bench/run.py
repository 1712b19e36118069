"""One run: a worker for the load and one for each load beside it, the server's usage watched meanwhile."""

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import NamedTuple

import psutil
from msgspec.structs import replace

from fastbroker.bench.cores import cores_for
from fastbroker.bench.evaluate import Used, fill_in
from fastbroker.bench.events import GO, STOP, Measured, Order, Phase, PhaseName, Progress
from fastbroker.bench.load import Load, Target
from fastbroker.bench.result import Result, Server, server_of
from fastbroker.bench.scenarios import Scenario
from fastbroker.bench.started_worker import RunFailed, StartedWorker, started_worker
from fastbroker.bench.usage import CpuTimes, ServerUsage, spent

# A load beside another one runs until it is told to end.
UNTIL_TOLD = 86_400.0

OnProgress = Callable[[Progress], None]


class Restarted(NamedTuple):
    """The server's next process."""

    pid: int
    at: float
    """When it was started, as `time.monotonic` has it."""


# Kills the server, starts it anew where it was, and comes back when it lets clients in.
Restart = Callable[[], Restarted]


def run(
    scenario: Scenario,
    target: Target,
    *,
    name: str = "",
    server_pid: int | None = None,
    rate: float | None = None,
    core: int | None = None,
    on_progress: OnProgress | None = None,
    restart: Restart | None = None,
) -> Result:
    """Run a scenario once. What the server does wrong becomes a failure in the result, never an exception.

    `name` is the server's, for the result. `rate` is messages a second; it is needed where the scenario has a share, as
    `Scenario.rate_of` has it. `core` is what the generator is held to. With
    `restart` the server is killed when everything is prepared.
    """
    chosen = scenario if rate is None else scenario.with_load(rate=rate)
    if chosen.share:
        raise ValueError(f"{scenario.name} sends a share of another rate, and no rate was given")
    server = server_of(target, name, server_pid)
    return asyncio.run(_Run(chosen, target, server, core, on_progress, restart).result())


class _Run:
    """A scenario on its way to a result."""

    def __init__(
        self,
        scenario: Scenario,
        target: Target,
        server: Server,
        core: int | None,
        on_progress: OnProgress | None,
        restart: Restart | None,
    ) -> None:
        self._target, self._core, self._on_progress, self._restart = target, core, on_progress, restart
        started = datetime.now(UTC).isoformat(timespec="seconds")
        # What an earlier run has left in a queue must not come now.
        unique = secrets.token_hex(3)
        first, *others = (
            Result(
                scenario=scenario.name,
                server=server,
                load=replace(load, name=f"{load.name}.{unique}{number or ''}"),
                started=started,
            )
            for number, load in enumerate((scenario.load, *scenario.beside))
        )
        self._result = first
        self._result.beside = others

    async def result(self) -> Result:
        """Measure; what goes wrong is in the result."""
        try:
            async with AsyncExitStack() as stack:
                await self._measure(stack)
        except RunFailed as failure:
            self._result.failures.append(str(failure))
        return self._result

    def _loads(self) -> Iterator[Load]:
        yield self._result.load
        for other in self._result.beside:
            yield replace(other.load, seconds=UNTIL_TOLD)

    async def _measure(self, stack: AsyncExitStack) -> None:
        watched = _Watched(self._result.server.pid)
        cores = cores_for(1 + len(self._result.beside), self._core)
        loads = list(self._loads())
        orders = [
            Order(target=self._target, load=load, core=core, comes_first=len(loads) > 1 and load.kind == "ping")
            for load, core in zip(loads, cores, strict=True)
        ]
        main, *beside = [await stack.enter_async_context(started_worker(order)) for order in orders]
        await asyncio.gather(*(worker.phase("ready") for worker in (main, *beside)))
        restarted = await asyncio.to_thread(self._restart) if self._restart else None
        if restarted:
            self._result.server = replace(self._result.server, pid=restarted.pid)
            watched = _Watched(restarted.pid)
        for worker in beside:
            await worker.tell(GO)
            await worker.phase("measuring")
        begin = time.monotonic()
        await main.tell(GO)
        measured = await self._follow(main, beside, watched)
        fill_in(self._result, measured, watched.used())
        if restarted and measured.first_seconds:
            self._result.restart_seconds = begin - restarted.at + measured.first_seconds
        await self._end(beside)

    async def _follow(self, main: StartedWorker, beside: Sequence[StartedWorker], watched: "_Watched") -> Measured:
        """Watch the load from the first message to the last, and the server meanwhile."""
        phase: PhaseName = "ready"
        while not isinstance(event := await main.event(), Measured):
            if isinstance(event, Phase):
                if "measuring" in (phase, event.phase):
                    watched.sample_cpu()
                # Who comes must go too, while others are there.
                if phase == "draining":
                    await asyncio.gather(*(worker.tell(STOP) for worker in beside))
            else:
                watched.sample_memory(event.phase)
                if self._on_progress:
                    self._on_progress(event)
            phase = event.phase
        return event

    async def _end(self, beside: Sequence[StartedWorker]) -> None:
        for worker, result in zip(beside, self._result.beside, strict=True):
            fill_in(result, await worker.measured(), Used())
            self._result.failures += [f"beside it: {failure}" for failure in result.failures]
        if any(result.load.kind != "ping" for result in self._result.beside):
            # The server has worked for all of them.
            self._result.server_cpu_us_per_message = None


class _Watched:
    """Samples of a server's usage, if it is known which process it is."""

    def __init__(self, pid: int | None) -> None:
        try:
            self._usage = ServerUsage(pid) if pid is not None else None
        except psutil.NoSuchProcess:
            raise RunFailed(f"the server is not there: no process has the number {pid}") from None
        self._cpu: list[CpuTimes] = []
        # Before anybody is connected.
        self._before = self._usage.memory() if self._usage else 0
        self._peak = self._at_end = 0

    def sample_cpu(self) -> None:
        """At the beginning of the measured window, and at its end."""
        if self._usage:
            self._cpu.append(self._usage.cpu())

    def sample_memory(self, phase: PhaseName) -> None:
        """At each sign of progress."""
        now = self._usage.memory() if self._usage else 0
        self._peak = max(self._peak, now)
        if phase == "measuring":
            self._at_end = now

    def used(self) -> Used:
        """All of it."""
        return Used(
            cpu_seconds=spent(*self._cpu) if len(self._cpu) == 2 else None,
            memory_before=self._before,
            memory_peak=self._peak,
            memory_at_end=self._at_end,
        )
