"""What a newcomer does to see that messages are kept: the broker with its defaults, any client, and kill -9."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness.broker import ROOT, Broker
from harness.client import Client
from harness.frames import frame, receipt
from harness.waiting import DEADLINE

MiB = 2**20
# Of a segment, and of its records: csrc/segment.h, csrc/record.h.
HEAD, RECORD, KIND, FLAGS, LAST = 64, 16, 8, 9, 1
MOST_SPARES = 3
BODIES = [b"%d" % number for number in range(20)]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Broker]]:
    """One broker after another, that have the same directory."""
    running: list[Broker] = []

    def one(**config: Any) -> Broker:
        for before in running:
            before.process.kill()
            before.process.wait()
        running.append(Broker(tmp_path, {"listen": ["tcp://127.0.0.1:0"], **config}))
        return running[-1]

    yield one
    for broker in running:
        broker.process.kill()
        broker.process.wait()


def command(broker: Broker, *arguments: str) -> str:
    """What `fastbroker` prints."""
    line = [sys.executable, "-m", "fastbroker", *arguments]
    environ = {**os.environ, "FASTBROKER_URL": broker.urls[0]}
    done = subprocess.run(
        line, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=3 * DEADLINE, check=False
    )
    assert done.returncode == 0, done
    return done.stdout


def test_what_was_sent_is_there_when_the_broker_starts_again(
    tmp_path: Path, start: Callable[..., Broker], talk: Callable[..., Client]
) -> None:
    own = {"data_dir": "", "journal": {}}  # the defaults
    os.environ["XDG_DATA_HOME"], before = str(tmp_path / "data-home"), os.environ["XDG_DATA_HOME"]
    try:
        broker = start(**own)
        command(broker, "send", "--receipt", "--header", "persistent:true", "/queue/orders", "order 17")
        client = talk(to=broker)
        for body in BODIES:
            client.publish("/queue/orders", body, "persistent:true")
        client.publish("/queue/orders", b"lost")
        broker.process.send_signal(signal.SIGKILL)
        broker.process.wait(DEADLINE)
        broker = start(**own)
        assert broker.wait_log(lambda record: record["event"] == "journal read")["messages"] == 1 + len(BODIES)
        assert broker.wait_log(lambda record: record["event"] == "started")["data_dir"] == str(
            tmp_path / "data-home" / "fastbroker"
        )
        got = command(broker, "subscribe", "--count", str(1 + len(BODIES)), "/queue/orders").splitlines()
        assert got == ["order 17", *(body.decode() for body in BODIES)]
        broker.stop()
        stopped = broker.wait_log(lambda record: record["event"] == "stopped")
        assert (stopped["messages"], stopped["kept"], stopped["level"]) == (0, 0, "info")
    finally:
        os.environ["XDG_DATA_HOME"] = before


def test_a_stop_says_what_is_kept_and_what_is_lost(start: Callable[..., Broker], talk: Callable[..., Client]) -> None:
    broker = start()
    client = talk(to=broker)
    client.publish("/queue/a", b"kept", "persistent:true")
    client.publish("/queue/b", b"lost")
    broker.stop()
    stopped = broker.wait_log(lambda record: record["event"] == "stopped")
    assert (stopped["messages"], stopped["kept"], stopped["level"]) == (2, 1, "warning")
    broker = start()
    assert broker.wait_log(lambda record: record["event"] == "journal read")["ended"] == "in order"
    broker.stop()
    stopped = broker.wait_log(lambda record: record["event"] == "stopped")
    assert (stopped["messages"], stopped["kept"], stopped["level"]) == (1, 1, "info")


def flow(producer: Client, consumer: Client, messages: int) -> None:
    """So many, of 100 kB, go through a queue, and nothing of them stays."""
    for _ in range(messages):
        producer.publish("/queue/flow", bytes(100_000), "persistent:true", "content-length:100000")
        consumer.ack(consumer.expect_message("/queue/flow", bytes(100_000), "persistent:true", "content-length:100000"))


@pytest.mark.parametrize("read", [False, True])
def test_files_are_used_again_unless_somebody_may_be_reading_them(
    tmp_path: Path, start: Callable[..., Broker], talk: Callable[..., Client], read: bool
) -> None:
    broker = start(journal={"segment_size": MiB})
    producer, consumer = talk(to=broker), talk(to=broker)
    consumer.subscribe("/queue/flow", ack="client-individual")
    flow(producer, consumer, 20)
    directory = os.open(tmp_path / "data", os.O_RDONLY)
    if read:
        fcntl.flock(directory, fcntl.LOCK_SH)
    [path] = (tmp_path / "data").glob("segment-*")
    with path.open("rb", buffering=0) as file:
        before = file.read(10 * HEAD)
        flow(producer, consumer, 200)
        is_there = os.fstat(file.fileno()).st_nlink
        file.seek(0)
        assert (is_there, file.read(10 * HEAD) == before) == ((0, True) if read else (1, False))
    os.close(directory)
    assert len(list((tmp_path / "data").glob("spare-*"))) <= MOST_SPARES


def test_what_is_not_persistent_may_have_the_room_of_the_disk(
    start: Callable[..., Broker], talk: Callable[..., Client]
) -> None:
    """A queue three times as deep as memory, of messages for which nobody has asked for more."""
    always = {"pattern": "metrics.*", "persistent": "always", "durability": "written"}
    broker = start(queues=[always], limits={"memory": 32 * MiB})
    client = talk(to=broker)
    bodies = [b"%d %b" % (number, b"x" * 10_000) for number in range(9600)]
    for first in range(0, len(bodies), 400):
        client.send(*(frame("SEND", "destination:/queue/metrics.a", body=body) for body in bodies[first : first + 400]))
        client.roundtrip()
    assert broker.census()["memory"] < 32 * MiB
    client.subscribe("/queue/metrics.a", ack="client-individual")
    got = [client.read_frame() for _ in bodies[:100]]
    assert all(b"\n\n%d " % number in each for number, each in enumerate(got))


def test_a_size_of_segments_may_change(
    tmp_path: Path, start: Callable[..., Broker], talk: Callable[..., Client]
) -> None:
    def sizes() -> set[int]:
        return {path.stat().st_size for path in tmp_path.glob("data/spare-*")}

    client = talk(to=start(journal={"segment_size": 2 * MiB}))
    client.publish("/queue/a", b"x", "persistent:true")
    assert sizes() <= {2 * MiB}
    broker = start(journal={"segment_size": "1 MiB"})
    client = talk(to=broker)
    for _ in range(4):
        client.publish("/queue/b", bytes(MiB), "persistent:true")
    assert sizes() <= {MiB}
    assert broker.census()["messages"] == 5


def groups_in(segment: Path) -> int:
    """How many ends of groups there are: each was one write, and one sync."""
    data, at, found = segment.read_bytes(), HEAD, 0
    while data[at + KIND]:
        found += data[at + FLAGS] & LAST
        at += RECORD + (int.from_bytes(data[at : at + 4], "little") + 7) // 8 * 8
    return found


def test_with_a_delay_a_group_waits_for_more(
    tmp_path: Path, start: Callable[..., Broker], talk: Callable[..., Client]
) -> None:
    """Ten clients that wait for each receipt; no more groups than there were times to wait for."""
    rounds, delay = 5, 0.1
    broker = start(journal={"segment_size": 4 * MiB, "commit_delay": delay})
    clients = [talk(to=broker) for _ in range(10)]
    (segment,) = tmp_path.glob("data/segment-*")
    before, began = groups_in(segment), time.monotonic()
    for number in range(rounds):
        sent = frame("SEND", "destination:/queue/a", "persistent:true", f"receipt:{number}", body="x")
        for client in clients:
            client.send(sent)
        for client in clients:
            client.expect(receipt(str(number)))
    elapsed = time.monotonic() - began
    assert rounds <= groups_in(segment) - before <= elapsed / delay + 1
    assert elapsed > rounds * delay * 0.9
    assert broker.census()["messages"] == 10 * rounds


def test_who_stops_it_does_not_wait_for_the_delay(start: Callable[..., Broker], talk: Callable[..., Client]) -> None:
    broker = start(journal={"segment_size": MiB, "commit_delay": 1})
    client = talk(to=broker)
    client.send(frame("SEND", "destination:/queue/a", "persistent:true", body="x"))
    client.roundtrip()
    broker.stop()
    assert start().census()["messages"] == 1
