"""The scenarios: loads with a name, under the names that other suites have for them."""

from typing import Any

import msgspec
from msgspec import Struct

from fastbroker.bench.load import UNBOUNDED, Load

# The scenario whose rate the ones with a share need.
FLOOD = "flood-1-1"
# What somebody who asks for nothing in particular wants to know: how many messages through a topic, how many through a
# queue that must not lose any, and how long one takes.
USUAL = (FLOOD, "queue-client-individual", "latency-50")

# Enough to keep both ends busy for some 50 ms; without it the run would measure how fast a queue can be filled.
QUEUE_WINDOW = 100_000


class Scenario(Struct, frozen=True, kw_only=True):
    """A load with a name, and what it is about."""

    name: str
    title: str
    load: Load
    beside: tuple[Load, ...] = ()
    """Loads that run at the same time, each in a worker of its own; they begin before the load itself and end after."""
    share: float = 0.0
    """Of the rate of `FLOOD`, measured on the same server: what this load sends. 0: it sends what the load says."""
    measures: tuple[str, ...]
    """The metrics it is about, by name; the first is the headline."""

    def rate_of(self, flood: float) -> float:
        """What a scenario with a share sends, given the rate of `FLOOD`."""
        return max(self.share * flood, 1.0)

    def with_load(self, **fields: Any) -> "Scenario":
        """The scenario with another load; a given rate takes the place of a share."""
        load = msgspec.structs.replace(self.load, **fields)
        return msgspec.structs.replace(self, load=load, share=0.0 if "rate" in fields else self.share)


def _costing(*metrics: str) -> tuple[str, ...]:
    return (*metrics, "server_cpu_us_per_message", "server_memory_peak")


# Of somebody who is there while others come, each second: enough for a 99th percentile, and next to no load.
PINGS = 500.0

RATE = _costing("deliveries_per_s")
LATENCY = _costing(*(f"latency_{percentile}_us" for percentile in ("p50", "p90", "p99", "p99_9", "max")))
CONNECT = _costing("operations_per_s", "connect_p50_us", "connect_p99_us")


def _flow(name: str, title: str, measures: tuple[str, ...] = RATE, share: float = 0.0, **load: Any) -> Scenario:
    return Scenario(name=name, title=title, load=Load(**load), measures=measures, share=share)


def _queue(name: str, title: str, window: int = QUEUE_WINDOW, **load: Any) -> Scenario:
    return _flow(name, title, queue=True, window=window, **load)


def _credit(credit: int) -> Scenario:
    return _queue(
        f"queue-credit-{credit}",
        f"queue, acknowledged one by one, at most {credit} unacknowledged",
        window=max(1000, 100 * credit),
        ack="client-individual",
        credit=credit,
    )


def _receipts(name: str, title: str, receipts: int) -> Scenario:
    measures = _costing("receipts_per_s", "receipt_p50_us", "receipt_p99_us")
    return _flow(name, title, measures, receipts=receipts)


def _body(name: str, words: str, size: int) -> Scenario:
    return _flow(
        f"body-{name}", f"1 to 1, bodies of {words}", _costing("megabytes_per_s", "deliveries_per_s"), size=size
    )


def _latency(percent: int) -> Scenario:
    title = f"1 to 1 at {percent} % of the rate of {FLOOD}, each message timed from when it was due"
    return _flow(f"latency-{percent}", title, LATENCY, share=percent / 100)


def _connections(name: str, title: str, measures: tuple[str, ...], **load: Any) -> Scenario:
    return Scenario(name=name, title=title, load=Load(**load), measures=measures)


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        _flow("sink", "1 publisher, no subscriber", _costing("sends_per_s"), subscribers=0),
        _flow(FLOOD, "1 publisher, 1 subscriber"),
        _flow("fan-out-10", "1 publisher, 10 subscribers: each gets all", subscribers=10),
        _flow("fan-out-100", "1 publisher, 100 subscribers", subscribers=100),
        _flow("fan-out-1000", "1 publisher, 1000 subscribers", subscribers=1000),
        _flow("fan-in-10", "10 publishers, 1 subscriber", publishers=10),
        _flow("fan-in-100", "100 publishers, 1 subscriber", publishers=100),
        _flow("n-n-shared", "10 publishers and 10 subscribers on one topic", publishers=10, subscribers=10),
        _flow(
            "n-n-separate",
            "10 publishers and 10 subscribers, each pair on a topic of its own",
            publishers=10,
            subscribers=10,
            destinations=10,
        ),
        _flow(
            "topics-100k",
            "100,000 topics, one subscription to each, 20 subscribers",
            publishers=10,
            subscribers=20,
            destinations=100_000,
        ),
        _flow(
            "wildcards",
            "1000 topics, 10 subscribers to a pattern of all, 1000 patterns that match nothing",
            subscribers=10,
            destinations=1000,
            pattern="{name}.*",
            bystanders=1000,
        ),
        _queue("queue-auto", "queue, nothing is acknowledged"),
        _queue("queue-client", "queue, acknowledged up to a message", ack="client"),
        _queue("queue-client-individual", "queue, acknowledged one by one", ack="client-individual"),
        *map(_credit, (1, 10, 100)),
        _queue(
            "competing-consumers",
            "queue, 10 publishers, 10 consumers that share the messages",
            publishers=10,
            subscribers=10,
            ack="client-individual",
            credit=100,
        ),
        _receipts("receipts-1", "1 to 1, each message waits for the receipt of the one before", 1),
        _receipts("receipts-100", "1 to 1, at most 100 receipts open", 100),
        _receipts("receipts-unbounded", "1 to 1, receipts asked for, and not waited for", UNBOUNDED),
        _flow("transactions", "1 to 1, transactions of 10 messages", transaction=10),
        _body("16", "16 bytes", 16),
        _body("1k", "1 KiB", 2**10),
        _body("16k", "16 KiB", 2**14),
        _body("128k", "128 KiB", 2**17),
        _body("1m", "1 MiB", 2**20),
        _connections(
            "ping",
            "1 client, 1 message at a time to its own subscription",
            _costing("latency_p50_us", "latency_p99_us", "operations_per_s"),
            kind="ping",
        ),
        _connections(
            "request-reply",
            "1 client asks over a queue, another answers to reply-to, 1 request at a time",
            _costing("latency_p50_us", "latency_p99_us", "operations_per_s"),
            kind="request",
        ),
        *map(_latency, (10, 50, 80)),
        _flow(
            "slow-subscriber",
            f"10 % of the rate of {FLOOD}, while another subscriber never reads: latency of the one that does",
            LATENCY,
            share=0.1,
            slow=1,
        ),
        Scenario(
            name="firehose-ping",
            title="ping while another publisher and subscriber exchange all they can",
            load=Load(kind="ping"),
            beside=(Load(),),
            measures=("latency_p50_us", "latency_p99_us", "operations_per_s", "server_memory_peak"),
        ),
        _connections(
            "connect-rate",
            "10 clients connect, log in and disconnect, again and again",
            CONNECT,
            kind="connect",
            connections=10,
        ),
        Scenario(
            name="connect-storm",
            title="5000 clients connect and log in at once, then leave at once, while another one pings",
            load=Load(kind="storm", connections=5000),
            beside=(Load(kind="ping", rate=PINGS),),
            measures=(*CONNECT, "beside_p99_us"),
        ),
        _connections(
            "idle",
            "10,000 connections with a subscription each: memory",
            ("server_memory_per_connection", "server_memory_peak"),
            kind="idle",
            connections=10_000,
        ),
        _connections(
            "churn",
            "10 clients subscribe and unsubscribe over 1000 topics",
            _costing("operations_per_s", "receipt_p50_us", "receipt_p99_us"),
            kind="churn",
            connections=10,
            destinations=1000,
        ),
    )
}
