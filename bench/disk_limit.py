"""The limit of the disk as a result beside those of servers: the same bytes, as many at a time, and a sync."""

from __future__ import annotations

from datetime import UTC, datetime

from bench.peers import DISK
from bench.peers.disk import append, on_disk
from fastbroker.bench.generator import Generator
from fastbroker.bench.latency import latency
from fastbroker.bench.load import Load, Target
from fastbroker.bench.result import Result, Server
from fastbroker.bench.scenarios import Scenario

# The generator writes the frames, and says how long they are; it connects to nobody for that.
NOBODY = Target(host="127.0.0.1", port=1)


def measure(scenario: Scenario, seconds: float) -> Result:
    """What no server can surpass that keeps the messages of a scenario one by one."""
    load = scenario.load
    size = frame_bytes(load)
    appended = append(on_disk(), size, in_flight(load), load.rate, seconds)
    rate = appended.messages / appended.seconds
    result = Result(
        scenario=scenario.name,
        server=Server(name=DISK.name, host="", port=0, protocol=DISK.protocol),
        load=load,
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=appended.seconds,
        frame_bytes=size,
        receipt=latency(appended.buckets),
    )
    if load.kind == "drain":
        result.sends_per_s = rate
    else:
        result.receipts_per_s = rate
    return result


def in_flight(load: Load) -> int:
    """So many messages may share a sync: those whose receipts are open at a time."""
    return max(load.receipts, 1) * load.publishers


def frame_bytes(load: Load) -> int:
    """Of one SEND, headers and all."""
    return int(Generator(NOBODY, load).result()["frame_bytes"])
