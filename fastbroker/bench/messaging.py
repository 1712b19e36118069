"""Scenarios of what queues and topics can do beyond passing messages on: not every server knows all of it.

Where a server must be told something beforehand, the destinations have names by which it can be: `SETTINGS` says it to
fastbroker, bench/compare to others.
"""

from typing import Any

from fastbroker.bench.load import Load
from fastbroker.bench.scenarios import RATE, Scenario

KEPT = 100_000
# What consumers of a queue have to choose from.
UNDER_WAY = 10_000

# What a topic of the scenarios keeps is told to a fastbroker.
SETTINGS = f"""\
[[topics]]
pattern = "history.#"
history = {{ count = {KEPT} }}
"""

REPLAYED = ("deliveries_per_s", "latency_p50_us", *RATE[1:])
SCHEDULED = ("deliveries_per_s", "sends_per_s", "latency_max_us", "server_memory_per_message", *RATE[1:])


def _scenario(name: str, title: str, measures: tuple[str, ...] = RATE, /, **load: Any) -> Scenario:
    return Scenario(name=name, title=title, load=Load(**load), measures=measures)


def _consumed(name: str, title: str, /, **load: Any) -> Scenario:
    """Of a queue: nothing may be lost, and a consumer has as much as it works on."""
    return _scenario(name, title, queue=True, ack="client-individual", credit=100, **load)


def _scheduled(name: str, messages: int) -> Scenario:
    title = f"queue, {messages:,} messages that are due at one moment: how fast they are taken, and delivered then"
    return _scenario(name, title, SCHEDULED, kind="schedule", queue=True, messages=messages)


def _selecting(subscribers: int) -> tuple[Scenario, Scenario]:
    who = "1 subscriber" if subscribers == 1 else f"{subscribers} subscribers"
    wanted = "a selector that wants all" if subscribers == 1 else "a selector each; one of them wants a message"
    load: dict[str, Any] = {"subscribers": subscribers, "selecting": True}
    return (
        _scenario(f"select-topic-{subscribers}", f"topic, {who} with {wanted}", **load),
        _consumed(f"select-queue-{subscribers}", f"queue, {who} with {wanted}", window=UNDER_WAY, **load),
    )


MESSAGING = {
    scenario.name: scenario
    for scenario in (
        _consumed(
            "priority-queue",
            "queue, priorities 0 to 9 in turn, at least 10,000 messages wait",
            name="priority",
            priorities=10,
            backlog=UNDER_WAY,
            window=UNDER_WAY,
        ),
        *(scenario for subscribers in (1, 10, 100) for scenario in _selecting(subscribers)),
        _consumed(
            "groups",
            "queue, 10 publishers, 10 consumers that share 100 groups",
            publishers=10,
            subscribers=10,
            groups=100,
            window=UNDER_WAY,
        ),
        _scenario(
            "replay-100k",
            "topic, 1 subscriber gets the last 100,000 messages, leaves, and comes back",
            REPLAYED,
            name="history",
            kind="replay",
            messages=KEPT,
        ),
        _scheduled("scheduled-100k", 100_000),
        _scheduled("scheduled-1m", 1_000_000),
    )
}
