"""The operations that are measured: their times by test_core.py, their instructions by instructions.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Any

from bench.micro.hostile import START, walks_and_tails
from bench.micro.streams import (
    CONNECT,
    COUNTED,
    ESCAPED,
    LARGE,
    PLAIN,
    QUEUED,
    UNCOUNTED,
    WANTED,
    acks,
    fresh,
    many_headers,
    mixed,
    pattern,
    some,
    topic,
)
from bench.micro.turns import Client, Turns, WebSocketClient, acknowledge, ping, send
from fastbroker.core.trie import PatternTable

Run = Callable[[int], object]
"""Repeats the operation so many rounds."""

URGENT = QUEUED.replace(b"\n\n", b"\npriority:9\n\n", 1)
FRAMES = 1000
PERSISTENT = QUEUED.replace(b"\n\n", b"\npersistent:true\n\n", 1)
CONFIRMED = fresh(PERSISTENT, FRAMES, b"receipt")
NAMES = 500
HOSTILE = 2000
PATTERNS = [b"eu.*.*", b"eu.#", b"#.temperature", b"us.site7.*", b"*.site7.>"]


@dataclass(frozen=True)
class Kernel:
    """One operation, and how to repeat it."""

    name: str
    group: str
    make: Callable[[Any], Run]
    """Prepares it, given the compiled loops (micro.pyx)."""
    rounds: int
    """What is enough for a count that tells 0.1 %."""
    operations: int = 1
    """In one round."""


def _counting(function: Callable[..., object], micro: Any) -> Run:
    return lambda rounds: micro.counted(function, rounds)


# ---- what each kernel prepares ----


def _parse(stream: Callable[[], bytes], version: int) -> Callable[[Any], Run]:
    def make(micro: Any) -> Run:
        parsing = micro.Parsing(stream(), version)
        if parsing.run(1) != FRAMES:
            raise ValueError("the parser finds fewer frames than there are")
        return _counting(parsing.run, micro)

    return make


def _look_up(destinations: Callable[[], list[bytes]]) -> Callable[[Any], Run]:
    def make(micro: Any) -> Run:
        broker, names = micro.make_broker(), destinations()
        return lambda rounds: micro.counted(micro.look_up, broker, names, rounds)

    return make


def _look_up_new(patterns: list[bytes]) -> Callable[[Any], Run]:
    def make(micro: Any) -> Run:
        broker = micro.make_broker()
        subscriptions = micro.Subscribing(broker, patterns)
        first = count(10**9, 10**6)

        def run(rounds: int, _kept: object = subscriptions) -> None:
            micro.counted(micro.make_routes, broker, b"/topic/eu.site7.device", next(first), rounds)

        return run

    return make


def _match(patterns: Callable[[], Iterable[bytes]], names: Callable[[], list[bytes]]) -> Callable[[Any], Run]:
    def make(micro: Any) -> Run:
        table, looked_for = PatternTable(), names()
        for each in patterns():
            table.add(each, None)
        return lambda rounds: micro.counted(micro.match, table.trie, looked_for, rounds)

    return make


def _travels_on(frame: bytes) -> Callable[[Any], Run]:
    return lambda micro: _counting(micro.Send(frame).run, micro)


def _message(frame: bytes, version: int) -> Callable[[Any], Run]:
    return lambda micro: _counting(micro.Encoding(micro.make_broker(), micro.Send(frame), version).run, micro)


def _publish(destination: bytes, subscribers: int, frame: bytes = PLAIN, version: int = 12) -> Callable[[Any], Run]:
    return lambda micro: _counting(micro.Publishing(micro.Send(frame), destination, subscribers, version).run, micro)


def _selects(frame: bytes, selector: bytes) -> Callable[[Any], Run]:
    def make(micro: Any) -> Run:
        selecting = micro.Selecting(micro.Send(frame), selector)
        if selecting.run(1) != 1:
            raise ValueError("the selector does not select")
        return _counting(selecting.run, micro)

    return make


def _queue(way: str, **asks: int) -> Callable[[Any], Run]:
    return lambda micro: _counting(getattr(micro.Queueing(micro.Send(PLAIN, **asks), 1000), way), micro)


def _turn(prepare: Callable[[], Callable[[Turns], Run]], kind: type[Client] = Client) -> Callable[[Any], Run]:
    return lambda micro: prepare()(Turns(micro.counted, kind))


def _durable_turn(prepare: Callable[[], Callable[[Turns], Run]]) -> Callable[[Any], Run]:
    return lambda micro: prepare()(Turns(micro.counted, store=micro.Kept()))


def _thousand_places() -> list[bytes]:
    return [b"/topic/" + name for name in some(topic, 1000, 2)]


def _topics() -> list[bytes]:
    return some(topic, NAMES, 1)


def _mixed_patterns() -> list[bytes]:
    return some(pattern, 2 * NAMES, 3)


def _one_star() -> list[bytes]:
    return [b".".join([*name.split(b".")[:2], b"*", name.split(b".")[3]]) for name in _topics()]


def _open_ends() -> list[bytes]:
    return [b".".join([*name.split(b".")[:2], b"#"]) for name in _topics()]


def _nowhere() -> list[bytes]:
    return [b"nowhere.site%d.device%d.status" % (n, n) for n in range(NAMES)]


# ---- all of them; README.md says what one operation is ----

PLACE = b"/topic/eu.site7.device42.temperature"
WHOLE_DEVICE = PLACE.replace(b"temperature", b"*")
OTHER_PLACE = PLACE.replace(b"temperature", b"humidity")
IN_TURN = PLAIN + PLAIN.replace(PLACE, OTHER_PLACE)
VERSIONS = (("1.0", 10), ("1.1", 11), ("1.2", 12))
FAST = b"conflate:destination\n"
SLOW = FAST + b"ack:client\nprefetch-count:1\n"  # the first is never acknowledged
SELECTING = b"selector:destination LIKE '/topic/%' AND priority IS NULL\n"
GROUPED = QUEUED.replace(b"\n\n", b"\nJMSXGroupID:device42\n\n", 1)
CHOOSING = SELECTING.replace(b"topic", b"queue")
THREE_COMPARISONS = b"priority > 3 AND content-type = 'application/json' AND trace-id < 5000"

# Streams are made when they are needed: callgrind would take longer for all of them than for a kernel.
PARSER = [
    Kernel(f"parse-{name}", "parser", _parse(stream, version), 2, FRAMES)
    for name, stream, version in [
        ("repeated", lambda: PLAIN * FRAMES, 12),
        ("repeated-1.0", lambda: PLAIN * FRAMES, 10),
        ("repeated-counted", lambda: COUNTED * FRAMES, 12),
        ("repeated-16k", lambda: UNCOUNTED * FRAMES, 12),
        ("repeated-16k-counted", lambda: LARGE * FRAMES, 12),
        ("fresh", lambda: fresh(PLAIN, FRAMES), 12),
        ("fresh-1.0", lambda: fresh(PLAIN, FRAMES), 10),
        ("fresh-counted", lambda: fresh(COUNTED, FRAMES), 12),
        ("fresh-escapes", lambda: fresh(ESCAPED, FRAMES), 12),
        ("fresh-many-headers", lambda: many_headers(FRAMES), 12),
        ("connect", lambda: CONNECT * FRAMES, 0),
        ("ack", lambda: acks(FRAMES), 12),
        ("ack-and-send", lambda: mixed(FRAMES), 12),
    ]
]

ROUTES = [
    Kernel("route-one", "route", _look_up(lambda: [PLACE]), 2000),
    Kernel("route-two-in-turn", "route", _look_up(lambda: [PLACE, b"/queue/orders"]), 1000, 2),
    Kernel("route-1000-in-turn", "route", _look_up(_thousand_places), 4, 1000),
    Kernel("route-new", "route", _look_up_new([]), 2000),
    Kernel("route-new-under-patterns", "route", _look_up_new(PATTERNS), 2000),
]

TRIE = [
    Kernel("match-plain", "trie", _match(_topics, _topics), 4, NAMES),
    Kernel("match-star", "trie", _match(_one_star, _topics), 4, NAMES),
    Kernel("match-open-end", "trie", _match(_open_ends, _topics), 4, NAMES),
    Kernel("match-mixed", "trie", _match(_mixed_patterns, _topics), 4, NAMES),
    Kernel("match-nothing", "trie", _match(_mixed_patterns, _nowhere), 4, NAMES),
    Kernel("match-hostile-walk", "trie", _match(lambda: walks_and_tails(HOSTILE), lambda: [START.name]), 4),
    Kernel("match-hostile-tails", "trie", _match(lambda: START.patterns(HOSTILE, Random(1)), lambda: [START.name]), 4),
]

ENCODE = [
    Kernel("content-as-is", "encode", _travels_on(PLAIN), 2000),
    Kernel("content-escapes", "encode", _travels_on(ESCAPED), 2000),
    Kernel("content-without-receipt", "encode", _travels_on(WANTED), 2000),
    Kernel("message", "encode", _message(PLAIN, 12), 2048),
    *(Kernel(f"message-escapes-{name}", "encode", _message(ESCAPED, version), 128) for name, version in VERSIONS),
    Kernel("message-16k", "encode", _message(LARGE, 12), 2048),
]

PUBLISH = [
    *(
        Kernel(f"publish-{number}-{name}", "publish", _publish(b"/topic/a", number, PLAIN, version), 2048, number)
        for number in (1, 10)
        for name, version in VERSIONS
    ),
    Kernel("publish-2", "publish", _publish(b"/topic/a", 2), 2048, 2),
    Kernel("publish-100", "publish", _publish(b"/topic/a", 100), 1024, 100),
    Kernel("publish-10-escapes-1.0", "publish", _publish(b"/topic/a", 10, ESCAPED, 10), 128, 10),
]

SELECTOR = [
    Kernel("selector-3", "selector", _selects(COUNTED, THREE_COMPARISONS), 2048),
]

QUEUE = [
    Kernel("queue-auto", "queue", _publish(b"/queue/a", 1), 2048),
    Kernel("queue-auto-10", "queue", _publish(b"/queue/a", 10), 2048),
    Kernel("queue-put-deliver-ack", "queue", _queue("deliver_and_settle"), 2048),
    Kernel("queue-fill-deliver-ack", "queue", _queue("fill_and_drain"), 2048),
    Kernel("queue-give-back-take", "queue", _queue("give_back_and_take"), 2048),
    Kernel("queue-priority", "queue", _queue("fill_and_drain", priority=5), 2048),
    Kernel("queue-expiring", "queue", _queue("fill_and_drain", lives=3_600_000), 2048),
]

# From the bytes read to the bytes written, with sockets. What time that takes is what `make bench` measures.
TURNS = [
    Kernel("turn-1-1", "turn", _turn(lambda: send(PLAIN * FRAMES)), 2, FRAMES),
    Kernel("turn-1-1-1.0", "turn", _turn(lambda: send(PLAIN * FRAMES, version=b"1.0")), 2, FRAMES),
    Kernel("turn-1-1-fresh", "turn", _turn(lambda: send(fresh(PLAIN, FRAMES))), 2, FRAMES),
    Kernel("turn-two-topics", "turn", _turn(lambda: send(IN_TURN * (FRAMES // 2), pattern=WHOLE_DEVICE)), 2, FRAMES),
    Kernel("turn-no-subscriber", "turn", _turn(lambda: send(PLAIN * FRAMES, 0)), 2, FRAMES),
    Kernel("turn-1-10", "turn", _turn(lambda: send(PLAIN * FRAMES, 10)), 2, 10 * FRAMES),
    Kernel("turn-1-100", "turn", _turn(lambda: send(PLAIN * FRAMES, 100)), 1, 100 * FRAMES),
    Kernel("turn-1-10-selector", "turn", _turn(lambda: send(PLAIN * FRAMES, 10, headers=SELECTING)), 2, 10 * FRAMES),
    Kernel("turn-1-10-conflate", "turn", _turn(lambda: send(PLAIN * FRAMES, 10, headers=FAST)), 2, 10 * FRAMES),
    Kernel("turn-1-10-conflated", "turn", _turn(lambda: send(PLAIN * FRAMES, 10, headers=SLOW)), 2, 10 * FRAMES),
    Kernel("turn-receipts", "turn", _turn(lambda: send(fresh(PLAIN, FRAMES, b"receipt"))), 2, FRAMES),
    Kernel("turn-ping", "turn", _turn(lambda: ping(PLAIN)), 1000),
    Kernel("turn-queue-auto", "turn", _turn(lambda: send(QUEUED * FRAMES)), 2, FRAMES),
    Kernel("turn-queue-ack", "turn", _turn(lambda: acknowledge(QUEUED * FRAMES)), 2, FRAMES),
    Kernel("turn-persistent-queue", "turn", _durable_turn(lambda: acknowledge(PERSISTENT * FRAMES)), 2, FRAMES),
    Kernel("turn-persistent-receipts", "turn", _durable_turn(lambda: acknowledge(CONFIRMED)), 2, FRAMES),
    Kernel("turn-queue-priority", "turn", _turn(lambda: send(URGENT * FRAMES)), 2, FRAMES),
    Kernel("turn-queue-selector", "turn", _turn(lambda: send(QUEUED * FRAMES, headers=CHOOSING)), 2, FRAMES),
    Kernel("turn-queue-10-selectors", "turn", _turn(lambda: send(QUEUED * FRAMES, 10, headers=CHOOSING)), 2, FRAMES),
    Kernel("turn-queue-group", "turn", _turn(lambda: send(GROUPED * FRAMES)), 2, FRAMES),
    Kernel("turn-ws-1-1", "turn", _turn(lambda: send(PLAIN * FRAMES), WebSocketClient), 2, FRAMES),
    Kernel("turn-ws-1-100", "turn", _turn(lambda: send(PLAIN * FRAMES, 100), WebSocketClient), 1, 100 * FRAMES),
    Kernel("turn-ws-ping", "turn", _turn(lambda: ping(PLAIN), WebSocketClient), 1000),
]


def _with(frame: bytes, headers: bytes) -> bytes:
    return frame.replace(b"\n\n", b"\n%b\n\n" % headers, 1)


def _feature(name: str, frame: bytes, wishes: bytes = b"", subscribers: int = 1, pattern: bytes = b"") -> Kernel:
    """A message that asks for something, to subscribers that do."""
    make = _turn(lambda: send(frame * FRAMES, subscribers, headers=wishes, pattern=pattern))
    return Kernel(f"feature-{name}", "feature", make, 2, FRAMES)


DURABLE = b"durable:true\nauto-delete:false\n"
KEPT = PLAIN.replace(b"/topic/", b"/topic/kept.")

# What is done for a message beside passing it on, where somebody wants that.
FEATURES = [
    _feature("expiry", _with(QUEUED, b"ttl:3600000")),
    _feature("last-value", _with(QUEUED, b"_AMQ_LVQ_NAME:device42")),
    _feature("duplicate", _with(QUEUED, b"message-dedup-id:device42")),
    _feature("delay", _with(QUEUED, b"delay:3600000")),
    _feature("consumer-priority", QUEUED, b"x-priority:5\n"),
    _feature("exclusive", QUEUED, b"exclusive:true\n"),
    _feature("no-local", QUEUED, b"no-local:true\n"),
    _feature("browser", QUEUED, b"browser:true\nbrowser-end:false\n"),
    _feature("pattern-of-queues", QUEUED, pattern=b"/queue/eu.>"),
    _feature("two-queues", QUEUED.replace(b"temperature", b"temperature,/queue/other")),
    _feature("dead-letter", QUEUED.replace(b"/queue/", b"/queue/full."), subscribers=0),
    Kernel("feature-durable", "feature", _turn(lambda: acknowledge(PLAIN * FRAMES, DURABLE)), 2, FRAMES),
    _feature("shared-by-10", PLAIN, b"subscription-group:all\n", 10),
    _feature("100-selectors", _with(PLAIN, b"device:17"), b"selector:device = %d\n", 100),
    _feature("retain", _with(PLAIN, b"retain:set")),
    _feature("history", KEPT),
    _feature("reply-to", _with(PLAIN, b"reply-to:/temp-queue/answers")),
    _feature("mandatory", _with(PLAIN, b"mandatory:true")),
    _feature("receipt-info", _with(PLAIN, b"receipt:1\nreceipt-info:true")),
]

TIMED = [*PARSER, *ROUTES, *TRIE, *ENCODE, *PUBLISH, *SELECTOR, *QUEUE]
KERNELS = {kernel.name: kernel for kernel in [*TIMED, *TURNS, *FEATURES]}
