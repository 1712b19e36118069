"""Measuring several servers in alternation, so that whatever else the machine does meets all of them alike."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from rich.console import Console

from bench import disk_limit
from bench.peers import SERVER_CORE, Peer, PeerFailed, Server
from bench.progress import Bar
from bench.record import Plan, Record, save, with_unit
from bench.scenarios import PING_ONE_CORE, RESTARTS, needs_of
from fastbroker.bench import result
from fastbroker.bench.cores import last_core, usable_cores
from fastbroker.bench.metrics import METRICS
from fastbroker.bench.result import Result
from fastbroker.bench.run import run
from fastbroker.bench.scenarios import FLOOD, Scenario
from fastbroker.bench.usage import ServerUsage, spent

# A server that takes longer to start is kept for all runs of a scenario.
SLOW_START = 2.0
# A server that is kept may have something to clean up: the next one waits until it rests, but not for ever.
REST, LONGEST_REST, REST_STEP = 0.05, 10.0, 0.2
# After so many failures in one scenario a server gets no more turns in it.
ENOUGH_FAILURES = 2
# So long may it take to fill a queue that is emptied then.
LONGEST_FILL = 600.0

# What is more than passing messages on.
BEYOND = ("priorities", "selectors", "queue-selectors", "groups", "history", "schedule", "durable")

# Here the server and the generator share a core.
ON_ONE_CORE = {PING_ONE_CORE.name}


@dataclass(frozen=True)
class Turn:
    """One run that is to be made."""

    scenario: Scenario
    peer: Peer
    number: int
    """Which of the runs of that scenario against that peer it is, from 0."""

    def made(self, record: Record) -> bool:
        """Whether it need not be made any more."""
        runs = record.runs(self.scenario.name, self.peer.name)
        return len(runs) > self.number or len(runs) - len(runs.good()) >= ENOUGH_FAILURES


def turns(scenarios: Sequence[Scenario], peers: Sequence[Peer], repeat: int) -> list[Turn]:
    """All runs in their order; a server that has not what a scenario needs has no turn in it."""
    return [
        Turn(scenario, peer, number)
        for scenario in scenarios
        if not impossible(scenario)
        for number in range(repeat)
        for peer in peers
        if not unfit(scenario, peer)
    ]


def impossible(scenario: Scenario) -> str:
    """Why a scenario cannot be measured on this machine; empty if it can."""
    held = scenario.name not in ON_ONE_CORE or usable_cores()
    return "" if held else "this system does not hold processes to a core"


def unfit(scenario: Scenario, peer: Peer) -> str:
    """Why a scenario means nothing for a server; empty if it does."""
    if peer.protocol == "disk":
        return "" if _appending_is_enough(scenario) else "it only appends bytes"
    if peer.protocol == "relay":
        return "" if _copying_is_enough(scenario) else "it only copies bytes"
    if scenario.load.kind == "drain" and scenario.load.messages > peer.fill_rate * LONGEST_FILL:
        return f"it takes some {peer.fill_rate:,.0f} persistent messages a second: so many are too many"
    # A server that limits a consumer in a way of its own is measured like that.
    needs = needs_of(scenario) - {"credit"}
    return ", ".join(reason for feature, reason in peer.lacks.items() if feature in needs)


def _copying_is_enough(scenario: Scenario) -> bool:
    load, more = scenario.load, {"patterns", "transactions", "receipts", "persistence", *BEYOND}
    # Everybody gets everything that anybody sends.
    alone = load.destinations == 1 and not load.slow and not scenario.beside
    shared = load.queue and load.subscribers > 1
    return load.kind in ("flow", "ping") and alone and not shared and not more & needs_of(scenario)


def _appending_is_enough(scenario: Scenario) -> bool:
    load = scenario.load
    return load.persistent and load.receipts != 0 and scenario.name not in RESTARTS


def measure(record: Record, plan: Plan, every: Sequence[Turn], file: Path, console: Console) -> None:
    """Makes all runs that the record does not have yet, and writes it to the file after each."""
    todo = [turn for turn in every if not turn.made(record)]
    with Bar(len(todo), console) as bar, _Servers(plan.one_core) as servers:
        for turn in todo:
            bar.begin(f"{turn.scenario.name} {turn.number + 1}/{plan.repeat} {turn.peer.name}")
            servers.begin(turn.scenario)
            if turn.made(record):
                bar.end("failed often enough", failed=False)
                continue
            made = _measure_one(record, plan, turn, servers, bar)
            record.results.append(made)
            save(record, file)
            bar.end(in_short(turn.scenario, made), failed=bool(made.failures))


def _measure_one(record: Record, plan: Plan, turn: Turn, servers: _Servers, bar: Bar) -> Result:
    # What arrived: a server may take more for a while than it can hand on.
    flood = record.runs(FLOOD, turn.peer.name).median("deliveries_per_s")
    if turn.scenario.share and flood is None:
        return _failed(turn, f"it sends a share of the rate of {FLOOD}, which failed")
    if turn.peer.protocol == "disk":
        return disk_limit.measure(turn.scenario, plan.seconds)
    try:
        restarts = turn.scenario.name in RESTARTS
        with servers.lent(turn.peer) as server:
            made = run(
                turn.scenario.with_load(seconds=plan.seconds, warm_up=servers.warm_up(turn), delay=delay_of(turn)),
                server.target,
                name=turn.peer.name,
                server_pid=server.pid,
                rate=turn.scenario.rate_of(flood) if turn.scenario.share and flood else None,
                core=usable_cores()[SERVER_CORE] if turn.scenario.name in ON_ONE_CORE else last_core(),
                on_progress=bar.event,
                restart=server.restart if restarts else None,
            )
            if made.failures or restarts:
                servers.do_not_keep()
            if made.failures:
                made.failures += _death(server, made)
            return made
    except PeerFailed as failure:
        return _failed(turn, str(failure))


def delay_of(turn: Turn) -> float:
    """When what is scheduled is due: a slower server has more time to take it."""
    load = turn.scenario.load
    return max(load.delay, load.messages / turn.peer.schedule_rate)


def _failed(turn: Turn, reason: str) -> Result:
    server = result.Server(name=turn.peer.name, host="", port=0, protocol=turn.peer.protocol)
    return Result(scenario=turn.scenario.name, server=server, load=turn.scenario.load, failures=[reason])


def _death(server: Server, made: Result) -> list[str]:
    """What a server said before it ended, if it has ended."""
    with suppress(psutil.NoSuchProcess):
        if psutil.Process(made.server.pid or server.pid).status() != psutil.STATUS_ZOMBIE:
            return []
    return [f"the server ended; it said: {server.last_words()}"]


def in_short(scenario: Scenario, made: Result) -> str:
    """The headline of one run, or why there is none."""
    if made.failures:
        return " ".join("; ".join(made.failures).split())
    values = ((metric, METRICS[metric].value(made)) for metric in scenario.measures)
    known = (f"{METRICS[metric].title} {with_unit(metric, value)}" for metric, value in values if value is not None)
    return next(known, "nothing")


class _Servers(AbstractContextManager["_Servers"]):
    """The servers that run: a fresh one for each turn; only those slow to start are kept for a scenario's turns."""

    def __init__(self, one_core: bool) -> None:
        self._one_core = one_core
        self._core: int | None = None
        self._kept: dict[str, tuple[Server, ExitStack]] = {}
        self._keep = True
        self._fresh = True
        self._scenario: Scenario | None = None

    def __exit__(self, *_: object) -> None:
        self._end(list(self._kept))

    def begin(self, scenario: Scenario) -> None:
        """Another scenario begins with fresh servers."""
        if scenario is not self._scenario:
            self._end(list(self._kept))
            self._scenario = scenario
            self._core = SERVER_CORE if self._one_core or scenario.name in ON_ONE_CORE else None

    def do_not_keep(self) -> None:
        """Something went wrong with the server that is lent now, or it was killed."""
        self._keep = False

    def warm_up(self, turn: Turn) -> float:
        """The warm-up of a turn: a fresh JVM has not compiled yet what it runs."""
        load = turn.scenario.load
        return max(turn.peer.warm_up, load.warm_up) if self._fresh and load.kind != "idle" else load.warm_up

    @contextmanager
    def lent(self, peer: Peer) -> Iterator[Server]:
        """A running server for one turn."""
        self._fresh = peer.name not in self._kept
        server, stack = self._start(peer) if self._fresh else self._kept.pop(peer.name)
        self._keep = server.start_seconds > SLOW_START
        with stack:
            yield server
            if self._keep:
                _await_rest(server)
                self._kept[peer.name] = server, stack.pop_all()

    def _start(self, peer: Peer) -> tuple[Server, ExitStack]:
        with ExitStack() as stack:
            server = stack.enter_context(peer.running(self._core))
            return server, stack.pop_all()

    def _end(self, names: Iterable[str]) -> None:
        with ExitStack() as all_of_them:
            for name in names:
                all_of_them.enter_context(self._kept.pop(name)[1])


def _await_rest(server: Server) -> None:
    """Comes back when the server uses next to no CPU, or has ended."""
    with suppress(psutil.NoSuchProcess):
        usage, deadline = ServerUsage(server.pid), time.monotonic() + LONGEST_REST
        before = usage.cpu()
        while time.monotonic() < deadline:
            time.sleep(REST_STEP)
            now = usage.cpu()
            if (spent(before, now) or 0) <= REST * REST_STEP:
                return
            before = now
