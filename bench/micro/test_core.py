"""Parser, route look-up, encoding, fan-out and queue, each by itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bench.micro.conftest import Measure

BODY = b"x" * 100
HEADERS = b"content-type:application/json\ntrace-id:4711\npriority:5\n"
PLAIN = b"SEND\ndestination:/topic/eu.site7.device42.temperature\n\n" + BODY + b"\0\n"
COUNTED = b"SEND\ndestination:/topic/a\ncontent-length:100\n" + HEADERS + b"\n" + BODY + b"\0\n"
ESCAPED = b"SEND\ndestination:/topic/a\nwhere\\cwhen:a\\nb\\\\c\n" + HEADERS + b"\n" + BODY + b"\0\n"
LARGE = b"SEND\ndestination:/topic/a\ncontent-length:16384\n\n" + b"x" * 16384 + b"\0\n"
FRAMES = 1000


def different(count: int) -> bytes:
    """Frames of which no two have the same header lines."""
    return b"".join(PLAIN.replace(b"device42", b"device%d" % number) for number in range(count))


def mixed(count: int) -> bytes:
    """What a consumer and publisher on one connection might write."""
    acks = (b"ACK\nid:%d-7\nreceipt:%d\n\n\0\n" % (number, number) for number in range(count // 2))
    return b"".join(ack + PLAIN for ack in acks)


@pytest.mark.parametrize(
    "stream",
    [PLAIN * FRAMES, COUNTED * FRAMES, different(FRAMES), mixed(FRAMES), ESCAPED * FRAMES, LARGE * FRAMES],
    ids=["the same head", "counted", "different heads", "mixed with ACK", "escapes", "large bodies"],
)
@pytest.mark.benchmark(group="parser")
def test_parse(micro: Any, each: Measure, stream: bytes) -> None:
    parsing = micro.Parsing(stream)
    assert parsing.run(1) == FRAMES
    each(lambda count: parsing.run(count // FRAMES), 100 * FRAMES)


@pytest.mark.parametrize("kind", ["topic", "queue"])
@pytest.mark.parametrize("count", [1, 1000, 100_000])
@pytest.mark.benchmark(group="route look-up")
def test_look_up(micro: Any, each: Measure, kind: str, count: int) -> None:
    """Destinations that were used before; the parser's memory of the last one is not asked."""
    broker = micro.make_broker()
    names = [f"/{kind}/eu.site{number % 97}.device{number}.temperature".encode() for number in range(count)]
    micro.look_up(broker, names, 1)
    rounds = max(1, 200_000 // count)
    each(lambda count: micro.look_up(broker, names, count), rounds, rounds * count)


@pytest.mark.parametrize("frame", [PLAIN, COUNTED, ESCAPED, LARGE], ids=["plain", "counted", "escapes", "large"])
@pytest.mark.parametrize("version", [10, 12])
@pytest.mark.benchmark(group="encode")
def test_encode(micro: Any, each: Measure, frame: bytes, version: int) -> None:
    encoding = micro.Encoding(micro.make_broker(), micro.Send(frame), version)
    each(encoding.run, 20_000 if frame is ESCAPED and version == 10 else 200_000)


@pytest.mark.parametrize(
    "frame", [PLAIN, ESCAPED, COUNTED.replace(b"priority", b"receipt")], ids=["plain", "escapes", "receipt"]
)
@pytest.mark.benchmark(group="encode")
def test_what_travels_on(micro: Any, each: Measure, frame: bytes) -> None:
    each(micro.Send(frame).run, 200_000)


@pytest.mark.parametrize("subscribers", [1, 2, 3, 10, 100])
@pytest.mark.benchmark(group="publish")
def test_publish(micro: Any, each: Measure, subscribers: int) -> None:
    """From the route to the outputs; one operation is one delivery."""
    publishing = micro.Publishing(micro.Send(PLAIN), b"/topic/a", subscribers)
    each(publishing.run, 100_000 // subscribers, 100_000 // subscribers * subscribers)
    publishing.close()


@pytest.mark.parametrize("consumers", [1, 10])
@pytest.mark.benchmark(group="queue")
def test_queue_auto(micro: Any, each: Measure, consumers: int) -> None:
    queueing = micro.Publishing(micro.Send(PLAIN), b"/queue/a", consumers)
    each(queueing.run, 100_000)
    queueing.close()


@pytest.mark.parametrize("way", ["deliver_and_settle", "fill_and_drain", "give_back_and_take"])
@pytest.mark.benchmark(group="queue")
def test_queue(micro: Any, each: Measure, way: str) -> None:
    run: Callable[[int], None] = getattr(micro.Queueing(micro.Send(PLAIN), 1000), way)
    each(run, 100_000)
