"""The numbers of a result by name: what each is called, in which unit, and how it is written."""

from collections.abc import Callable, Iterable
from statistics import median
from typing import Literal, NamedTuple

from fastbroker.bench.result import Result

MEGA = 1e6


class Metric(NamedTuple):
    """A number that a result may have."""

    title: str
    unit: str
    better: Literal["more", "less"]
    value: Callable[[Result], float | None]
    written: Callable[[float], str]


class Spread(NamedTuple):
    """What several runs say together."""

    median: float
    low: float
    high: float


def rate(value: float) -> str:
    """A number of things each second, in three digits: 4.41 M, 812 k, 95."""
    for factor, suffix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        # What would be rounded up to 1000 is written with the larger suffix.
        if value >= factor * 0.9995:
            return _three_digits(value / factor) + suffix
    return _three_digits(value)


def time_us(value: float) -> str:
    """Microseconds in three digits: 84.1 µs, 1.32 ms, 2.50 s."""
    for factor, suffix in ((1e6, " s"), (1e3, " ms")):
        if value >= factor * 0.9995:
            return _three_digits(value / factor) + suffix
    return _three_digits(value) + " µs"


def size(value: float) -> str:
    """Bytes in three digits: 31.2 MiB, 3.10 KiB."""
    for factor, suffix in ((2**30, " GiB"), (2**20, " MiB"), (2**10, " KiB")):
        if value >= factor * 0.9995:
            return _three_digits(value / factor) + suffix
    return f"{value:.0f} B"


def cost(value: float) -> str:
    """Microseconds of CPU, and other plain numbers: 0.0842, 1.23, 412."""
    return _three_digits(value)


def share(value: float) -> str:
    """A share in percent."""
    return f"{value:.0%}"


def _three_digits(value: float) -> str:
    for places, least in enumerate((99.95, 9.995, 0.9995, 0.09995)):
        if value >= least:
            return f"{value:,.{places}f}"
    return f"{value:.4f}" if value else "0"


def _field(name: str) -> Callable[[Result], float | None]:
    return lambda result: getattr(result, name)


def _percentile(kind: str, percentile: str) -> Callable[[Result], float | None]:
    def value(result: Result) -> float | None:
        found = getattr(result, kind)
        return getattr(found, f"{percentile}_us") if found else None

    return value


def _restart(result: Result) -> float | None:
    return None if result.restart_seconds is None else result.restart_seconds * MEGA


def _megabytes(result: Result) -> float | None:
    return None if result.deliveries_per_s is None else result.deliveries_per_s * result.load.size / MEGA


def _beside(result: Result) -> float | None:
    latencies = [other.latency.p99_us for other in result.beside if other.latency]
    return max(latencies, default=None)


KINDS = {"latency": "latency", "receipt": "receipt after", "connect": "connected after"}
PERCENTILES = {"p50": "p50", "p90": "p90", "p99": "p99", "p99_9": "p99.9", "max": "max"}

METRICS = {
    "sends_per_s": Metric("sent", "1/s", "more", _field("sends_per_s"), rate),
    "deliveries_per_s": Metric("delivered", "1/s", "more", _field("deliveries_per_s"), rate),
    "receipts_per_s": Metric("receipts", "1/s", "more", _field("receipts_per_s"), rate),
    "operations_per_s": Metric("operations", "1/s", "more", _field("operations_per_s"), rate),
    "megabytes_per_s": Metric("bodies delivered", "MB/s", "more", _megabytes, cost),
    **{
        f"{kind}_{percentile}_us": Metric(f"{words} {shown}", "", "less", _percentile(kind, percentile), time_us)
        for kind, words in KINDS.items()
        for percentile, shown in PERCENTILES.items()
    },
    "restart_us": Metric("from the start to the first message", "", "less", _restart, time_us),
    "beside_p99_us": Metric("ping beside it, p99", "", "less", _beside, time_us),
    "server_cpu_us_per_message": Metric("server CPU", "µs/message", "less", _field("server_cpu_us_per_message"), cost),
    "server_cpu": Metric("server CPU", "cores", "less", _field("server_cpu"), cost),
    "server_memory_peak": Metric("server memory, peak", "", "less", _field("server_memory_peak"), size),
    "server_memory_per_connection": Metric(
        "memory of a connection", "", "less", _field("server_memory_per_connection"), size
    ),
    "server_memory_per_message": Metric("memory of a message", "", "less", _field("server_memory_per_message"), size),
    "generator_cpu": Metric("generator CPU", "of a core", "less", _field("generator_cpu"), share),
    "generator_cpu_us_per_message": Metric(
        "generator CPU", "µs/message", "less", _field("generator_cpu_us_per_message"), cost
    ),
    "send_delay_p99_us": Metric("send delay p99", "", "less", _field("send_delay_p99_us"), time_us),
}


def spread(results: Iterable[Result], metric: str) -> Spread | None:
    """Median, lowest and highest of the runs; None when one of them failed, since half a result is none."""
    runs = list(results)
    values = [value for run in runs if (value := METRICS[metric].value(run)) is not None]
    if not values or any(run.failures for run in runs):
        return None
    return Spread(median(values), min(values), max(values))
