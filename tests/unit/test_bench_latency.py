"""Latencies: what comes out of the histogram is what went in."""

import math

import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from fastbroker.bench.latency import HIGHEST, curve, decoded, latency, p99_us

BUCKETS = st.lists(
    st.tuples(st.integers(1000, 10**11), st.integers(1, 10**6)), min_size=1, max_size=50, unique_by=lambda pair: pair[0]
).map(sorted)


def exactly(buckets, percentile):
    """The smallest value that so many are not longer than."""
    # The library rounds the number of values to the nearest one.
    wanted = max(int(percentile / 100 * sum(count for _, count in buckets) + 0.5), 1)
    for value, count in buckets:
        wanted -= count
        if wanted <= 0:
            return value / 1000
    raise AssertionError


@given(BUCKETS)
def test_percentiles(buckets):
    found = latency(buckets)
    for percentile, value in ((50, found.p50_us), (90, found.p90_us), (99, found.p99_us), (99.9, found.p99_9_us)):
        assert value == pytest.approx(exactly(buckets, percentile), rel=0.001, abs=0.2)
    assert found.max_us == buckets[-1][0] / 1000
    assert found.p50_us <= found.p90_us <= found.p99_us <= found.p99_9_us <= found.max_us


@given(BUCKETS)
def test_every_hdr_library_reads_the_histogram(buckets):
    found = latency(buckets)
    again = HdrHistogram.decode(found.histogram)
    assert again.get_total_count() == found.count == sum(count for _, count in buckets)
    assert again.get_value_at_percentile(99) / 1000 == pytest.approx(found.p99_us, rel=0.001, abs=0.2)


def test_none():
    assert latency([]) is None
    assert p99_us([]) is None


def test_nothing_is_too_long_or_too_short_to_be_counted():
    found = latency([(-5, 1), (0, 1), (HIGHEST * 10, 1)])
    assert found.count == 3
    assert found.max_us == HIGHEST / 1000


@given(st.lists(BUCKETS, min_size=1, max_size=3))
def test_a_curve_is_of_all_runs_and_only_rises(runs):
    points = list(curve([latency(buckets).histogram for buckets in runs]))
    assert points[0][0] == 1
    assert points == sorted(points)
    assert points[-1][1] == pytest.approx(max(run[-1][0] for run in runs) / 1000, rel=0.001, abs=0.2)
    total = sum(count for run in runs for _, count in run)
    assert math.isfinite(points[-1][0])
    assert points[-1][0] <= total


def test_decoded():
    encoded = latency([(1000, 3), (2000, 1)]).histogram
    assert decoded(encoded).get_total_count() == 4
