"""Latencies: HDR histograms of nanoseconds, their percentiles, and what a plot needs of them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from hdrh.histogram import HdrHistogram  # type: ignore[import-untyped]

from fastbroker.bench.result import Latency

# 100 ns to an hour, three digits: any latency is known to 0.1 %, and none is too long to be counted.
LOWEST, HIGHEST, DIGITS = 100, 3_600_000_000_000, 3
PERCENTILES = (50.0, 90.0, 99.0, 99.9)
US = 1000

Buckets = Iterable[Sequence[int]]


def _filled(buckets: Buckets) -> HdrHistogram:
    made = HdrHistogram(LOWEST, HIGHEST, DIGITS)
    for nanoseconds, count in buckets:
        made.record_value(min(max(nanoseconds, 0), HIGHEST), count)
    return made


def latency(buckets: Buckets) -> Latency | None:
    """The percentiles of pairs [nanoseconds, count]; None if there are none."""
    made = _filled(buckets)
    if not made.get_total_count():
        return None
    found = made.get_percentile_to_value_dict(list(PERCENTILES))
    # A percentile is the upper end of its bucket, and no latency was longer than the longest.
    longest = made.max_value
    p50, p90, p99, p99_9 = (min(found[percentile], longest) / US for percentile in PERCENTILES)
    return Latency(
        count=made.get_total_count(),
        p50_us=p50,
        p90_us=p90,
        p99_us=p99,
        p99_9_us=p99_9,
        max_us=longest / US,
        histogram=made.encode().decode(),
    )


def p99_us(buckets: Buckets) -> float | None:
    """The 99th percentile alone."""
    found = latency(buckets)
    return found.p99_us if found else None


def decoded(encoded: str) -> HdrHistogram:
    """The histogram behind `Latency.histogram`."""
    return HdrHistogram.decode(encoded.encode())


def curve(encoded: Iterable[str]) -> Iterator[tuple[float, float]]:
    """Points (1 / (1 - share of all), microseconds) of several runs together, as HDR plots have them."""
    counts: Counter[int] = Counter()
    for text in encoded:
        counts.update(_recorded(decoded(text)))
    total, below = counts.total(), 0
    for value, count in sorted(counts.items()):
        # A value is drawn at the share that is lower than it: the largest then has a place on the axis.
        yield total / (total - below), value / US
        below += count


def _recorded(histogram: HdrHistogram) -> dict[int, int]:
    """Nanoseconds, and how many; the library's own iterators take a hundred times as long."""
    return {
        histogram.get_highest_equivalent_value(histogram.get_value_from_index(index)): count
        for index, count in enumerate(histogram.counts)
        if count
    }
