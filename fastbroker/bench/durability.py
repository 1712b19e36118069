"""Scenarios of what must survive: persistent messages, each with a receipt that says so.

A name that ends in `receipts-N` means: each SEND asks for its receipt, and a publisher has at most N of them open. So N
messages can share one sync of the disk, whoever the server is.
"""

from typing import Any

from fastbroker.bench.load import UNBOUNDED, Load
from fastbroker.bench.scenarios import Scenario

# So much is under way at most, so that nobody is measured by how fast he can be filled.
UNDER_WAY = 10_000
# Beyond a hundred: where receipts are plentiful, what a journal writes is no longer bound by the number of its syncs.
WINDOWS = (1, 10, 100)
PLENTIFUL = 1000
DEEP = 100_000
RATES = (1_000, 10_000)
# A server may collect its garbage, or compact its journal, while a million messages wait.
PATIENCE = 30.0

COSTS = ("server_cpu_us_per_message", "server_memory_peak")
CONFIRMED = ("receipts_per_s", "deliveries_per_s", "receipt_p50_us", "receipt_p99_us", *COSTS)
TIMED = ("receipt_p99_us", "receipt_p50_us", "receipt_p99_9_us", "receipts_per_s", *COSTS)
DRAINED = ("deliveries_per_s", "sends_per_s", *COSTS)


def _scenario(name: str, title: str, measures: tuple[str, ...], /, **load: Any) -> Scenario:
    # All consumers acknowledge each message: what is not acknowledged comes again.
    fields = {"persistent": True, "ack": "client-individual", **load}
    return Scenario(name=name, title=title, load=Load(**fields), measures=measures)


def _open(receipts: int) -> str:
    return "each waits for the receipt of the one before" if receipts == 1 else f"at most {receipts:,} receipts open"


def _queues(pairs: int, receipts: int) -> Scenario:
    who = "1 to 1 over a queue" if pairs == 1 else f"{pairs} to {pairs}, each pair with a queue of its own"
    each = "" if pairs == 1 else " for each publisher"
    return _scenario(
        f"durable-{pairs}-{pairs}-receipts-{receipts}",
        f"persistent, {who}, {_open(receipts)}{each}",
        CONFIRMED,
        queue=True,
        publishers=pairs,
        subscribers=pairs,
        destinations=pairs,
        receipts=receipts,
        window=UNDER_WAY,
    )


def _at_rate(rate: int) -> Scenario:
    return _scenario(
        f"durable-latency-{rate // 1000}k",
        f"persistent, 1 to 1 over a queue at {rate:,} messages a second: the receipt, from when its message was due",
        TIMED,
        queue=True,
        receipts=UNBOUNDED,
        rate=float(rate),
    )


def drained(name: str, title: str, measures: tuple[str, ...], messages: int) -> Scenario:
    """A queue that is filled with so many, each with its receipt, and emptied then."""
    return _scenario(
        name, title, measures, kind="drain", queue=True, messages=messages, receipts=PLENTIFUL, patience=PATIENCE
    )


DURABILITY = {
    scenario.name: scenario
    for scenario in (
        *(_queues(pairs, receipts) for pairs in (1, 4) for receipts in WINDOWS),
        _queues(1, PLENTIFUL),
        _scenario(
            "durable-body-16k",
            "persistent, 1 to 1 over a queue, bodies of 16 KiB, at most 100 receipts open: bytes count, not messages",
            CONFIRMED,
            queue=True,
            size=2**14,
            receipts=100,
            window=UNDER_WAY // 10,
        ),
        _scenario(
            "durable-fan-out-10",
            "persistent, 1 to 10 durable subscriptions, at most 100 receipts open",
            ("deliveries_per_s", "receipts_per_s", "receipt_p50_us", "receipt_p99_us", *COSTS),
            durable=True,
            subscribers=10,
            receipts=100,
            window=UNDER_WAY // 10,
        ),
        drained(
            "durable-drain-100k",
            f"persistent, a queue is filled with {DEEP:,} messages, then emptied: how fast each is done",
            DRAINED,
            DEEP,
        ),
        *map(_at_rate, RATES),
    )
}
