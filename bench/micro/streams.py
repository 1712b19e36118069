"""What clients write, and the names that topics have, for the micro benchmarks."""

from __future__ import annotations

import random
from collections.abc import Callable

BODY = b"x" * 100
HEADERS = b"content-type:application/json\ntrace-id:4711\npriority:5\n"
PLAIN = b"SEND\ndestination:/topic/eu.site7.device42.temperature\n\n" + BODY + b"\0\n"
QUEUED = PLAIN.replace(b"/topic/", b"/queue/")
COUNTED = b"SEND\ndestination:/topic/a\ncontent-length:100\n" + HEADERS + b"\n" + BODY + b"\0\n"
WANTED = COUNTED.replace(b"priority", b"receipt")
ESCAPED = b"SEND\ndestination:/topic/a\nwhere\\cwhen:a\\nb\\\\c\\r\n" + HEADERS + b"\n" + BODY + b"\0\n"
LARGE = b"SEND\ndestination:/topic/a\ncontent-length:16384\n\n" + b"x" * 16384 + b"\0\n"
UNCOUNTED = LARGE.replace(b"content-length:16384\n", b"")
CONNECT = b"CONNECT\naccept-version:1.0,1.1,1.2\nhost:a\nheart-beat:10000,10000\nlogin:me\npasscode:secret\n\n\0\n"
ACK = b"ACK\nid:%d-7\n\n\0\n"

REGIONS = [b"eu", b"us", b"asia", b"africa", b"oceania", b"latam"]
METRICS = [b"temperature", b"humidity", b"pressure", b"status", b"alarm", b"voltage"]


def fresh(frame: bytes, count: int, header: bytes = b"number") -> bytes:
    """So many of the frame, each with a header line that no other one has."""
    return b"".join(frame.replace(b"\n\n", b"\n%b:%06d\n\n" % (header, number), 1) for number in range(count))


def many_headers(count: int) -> bytes:
    """SENDs with 18 header lines, as applications have them that trace."""
    more = b"".join(b"x-header-%d:value of header %d\n" % (number, number) for number in range(12))
    return fresh(COUNTED.replace(HEADERS, HEADERS + more), count)


def acks(count: int) -> bytes:
    return b"".join(ACK % number for number in range(count))


def mixed(count: int) -> bytes:
    """What a consumer and publisher on one connection might write."""
    return b"".join(b"ACK\nid:%d-7\nreceipt:%d\n\n\0\n" % (number, number) + PLAIN for number in range(count // 2))


def topic(rng: random.Random) -> bytes:
    place = (rng.choice(REGIONS), rng.randrange(200), rng.randrange(2000), rng.choice(METRICS))
    return b"%s.site%d.device%d.%s" % place


def pattern(rng: random.Random) -> bytes:
    """Nine of ten are plain names; the others have one wildcard somewhere."""
    words = topic(rng).split(b".")
    chance = rng.random()
    if chance < 0.06:
        words[rng.choice([1, 2, 3])] = b"*"
    elif chance < 0.08:
        words[3] = b"#"
    elif chance < 0.10:
        words[:2] = [b"#"]
    return b".".join(words)


def some(make: Callable[[random.Random], bytes], count: int, seed: int) -> list[bytes]:
    """So many different ones."""
    rng = random.Random(seed)
    found: dict[bytes, None] = {}
    while len(found) < count:
        found[make(rng)] = None
    return list(found)
