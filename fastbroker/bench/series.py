"""Several scenarios one after the other, each repeated, against one server or a fresh one for each run."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from statistics import median

from fastbroker.bench.result import Result, Server, server_of
from fastbroker.bench.run import OnProgress, run
from fastbroker.bench.scenarios import FLOOD, Scenario
from fastbroker.bench.serving import Serving

Announce = Callable[[Scenario, int], OnProgress]


def in_order(chosen: Sequence[Scenario], flood: Scenario) -> list[Scenario]:
    """The scenarios as they can run: what sends a share of the flood's rate comes after the flood."""
    if not any(scenario.share for scenario in chosen):
        return list(chosen)
    first = next((scenario for scenario in chosen if scenario.name == FLOOD), flood)
    return [first, *(scenario for scenario in chosen if scenario.name != FLOOD)]


def sustained(result: Result) -> float:
    """Messages a second that a flood has brought through: a server may take more than it delivers; 0 after failures."""
    if result.failures or not result.deliveries_per_s or not result.totals.due:
        return 0.0
    return result.deliveries_per_s * result.totals.sent / result.totals.due


class Series:
    """Runs scenarios, and knows the rate of the flood once it has run."""

    def __init__(self, serving: Callable[[], AbstractContextManager[Serving]], repeat: int, core: int | None) -> None:
        """`serving` gives the server for one run, and `core` is what the generator is held to."""
        self._serving, self._repeat, self._core = serving, repeat, core
        self._flood: list[float] = []

    def results(self, scenarios: Sequence[Scenario], announce: Announce) -> Iterator[Result]:
        """Every run as it ends; `announce` is told of each before it begins, and returns who follows it."""
        for scenario in scenarios:
            for number in range(1, self._repeat + 1):
                result = self._run(scenario, announce(scenario, number))
                if scenario.name == FLOOD and (rate := sustained(result)):
                    self._flood.append(rate)
                yield result

    def _run(self, scenario: Scenario, follow: OnProgress) -> Result:
        rate = scenario.rate_of(median(self._flood)) if scenario.share and self._flood else None
        with self._serving() as (target, name, pid):
            if scenario.share and rate is None:
                return _not_run(scenario, server_of(target, name, pid))
            return run(scenario, target, name=name, server_pid=pid, rate=rate, core=self._core, on_progress=follow)


def _not_run(scenario: Scenario, server: Server) -> Result:
    failure = f"not run: it sends a share of the rate of {FLOOD}, and that failed"
    return Result(scenario=scenario.name, server=server, load=scenario.load, failures=[failure])
