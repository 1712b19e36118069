"""A disk that fails, is full or slow, and a clock that is set: the broker says so, and promises what it can keep."""

from __future__ import annotations

import errno
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from harness.broker import ROOT, Broker
from harness.crash import Connection
from harness.faults import ALWAYS, ON_SYNC, ON_WRITE, Shim, in_little_space
from harness.waiting import SOON, eventually

HOUR = 3600


class World:
    """A broker whose disk does what it is told."""

    def __init__(self, path: Path) -> None:
        self.path, self.data = path, path / "data"
        self.data.mkdir()
        self.shim = Shim(path, self.data)
        self.start()

    def start(self, **more: Any) -> None:
        """It, or the next one."""
        config = {"listen": ["tcp://127.0.0.1:0"], "data_dir": str(self.data), **more}
        self.broker = Broker(self.path, config, run=self.shim.run)

    def restart(self) -> None:
        """After it was killed."""
        self.broker.process.kill()
        self.broker.process.wait()
        self.shim.heal()
        self.start()

    def client(self) -> Connection:
        return Connection(self.broker.ports["tcp"])

    def send(self, client: Connection, body: str, *, persistent: bool = True, queue: str = "a") -> None:
        """With a receipt."""
        head = f"SEND\ndestination:/queue/{queue}\nreceipt:{body[:20]}\n" + "persistent:true\n" * persistent
        client.send(f"{head}\n{body}\0".encode())

    def has_sent(self, client: Connection, body: str, **how: Any) -> bytes:
        """What comes of it: RECEIPT, or what the ERROR says."""
        self.send(client, body, **how)
        [(command, headers, _)] = client.read()
        return headers[b"message"] if command == b"ERROR" else command

    def is_taken(self, body: str) -> bool:
        """By somebody who is not known yet."""
        return self.has_sent(self.client(), body) == b"RECEIPT"

    def waiting(self, queue: str = "a") -> list[str]:
        """What is there, by somebody who only looks: what comes from the disk may take a while."""
        client = self.client()
        client.send(f"SUBSCRIBE\nid:1\nbrowser:true\ndestination:/queue/{queue}\n\n\0".encode())
        found: list[str] = []
        while not found or found[-1] != "end":
            found += [
                headers.get(b"browser", body).decode()
                for command, headers, body in client.read()
                if command == b"MESSAGE"
            ]
        client.socket.close()
        return found[:-1]

    def logged(self, event: str) -> list[dict[str, Any]]:
        """Lines of the log."""
        return [record for record in self.broker.log if record["event"] == event]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.shim.heal()
    made.broker.process.kill()


@pytest.mark.parametrize(
    ("what", "error", "often"),
    [
        (ON_SYNC, errno.EIO, 1),
        (ON_SYNC, errno.EIO, ALWAYS),
        (ON_WRITE, errno.EIO, 1),
        (ON_WRITE, errno.EIO, ALWAYS),
        (ON_SYNC, errno.ENOSPC, 1),
    ],
)
@pytest.mark.parametrize("after", [0, 3])
def test_nothing_is_promised_after_a_failure(world: World, what: int, error: int, often: int, after: int) -> None:
    client = world.client()
    promised = [f"{number}" for number in range(5)]
    assert [world.has_sent(client, body) for body in promised] == [b"RECEIPT"] * 5
    world.shim.fail(what, error, after=after, often=often)
    for number in range(5, 30):
        heard = world.has_sent(client, f"{number}")
        if heard != b"RECEIPT":
            break
        promised.append(f"{number}")
    assert heard == b"journal failed"
    assert len(promised) <= 5 + after
    with pytest.raises(ConnectionResetError):
        client.read()
    world.shim.heal()  # that it would succeed now means nothing
    assert world.has_sent(world.client(), "late") == b"journal failed"
    assert world.has_sent(world.client(), "early", persistent=False, queue="b") == b"RECEIPT"
    assert world.waiting("b") == ["early"]
    assert set(promised) <= set(world.waiting())
    world.broker.wait_log(lambda record: record["event"] == "journal failed")
    assert len(world.logged("journal failed")) == 1
    world.restart()
    found = world.waiting()
    assert found[: len(promised)] == promised
    assert set(found) <= {*promised, str(len(promised))}


def test_who_waits_for_the_disk_is_let_go_when_it_fails(world: World) -> None:
    """A publisher of much, who was held."""
    client = world.client()
    world.shim.orders.slow = 300
    world.send(client, "first")
    for _ in range(100):
        client.send(b"SEND\ndestination:/queue/a\npersistent:true\n\n" + b"x" * 100_000 + b"\0")
    world.shim.fail(ON_SYNC, errno.EIO)
    heard = [command for command, _, _ in client.read()]
    while b"ERROR" not in heard:  # what was written before has its receipt
        heard += [command for command, _, _ in client.read()]
    assert heard in ([b"ERROR"], [b"RECEIPT", b"ERROR"])


@pytest.mark.parametrize("error", [0, errno.ENOSPC, errno.EINTR])
def test_a_write_that_is_short_or_finds_no_space_is_no_failure(world: World, error: int) -> None:
    client = world.client()
    world.shim.fail(ON_WRITE, error, often=3)
    assert world.has_sent(client, "0") == b"RECEIPT"
    for number in range(1, 5):
        eventually(partial(world.is_taken, f"{number}"), "it has space again", pause=0.1)
    assert world.shim.orders.failed == 3
    assert not world.logged("journal failed")
    world.restart()
    assert world.waiting() == [f"{number}" for number in range(5)]


def test_a_slow_disk_delays_nobody_else(world: World) -> None:
    client, other = world.client(), world.client()
    world.send(client, "0")
    client.read()
    world.shim.orders.slow = 200
    syncs = world.shim.orders.syncs
    for number in range(1000):
        world.send(client, f"{number}")
    longest = 0.0
    heard: list[bytes] = []
    for number in range(20):
        before = time.monotonic()
        assert world.has_sent(other, f"{number}", persistent=False, queue="b") == b"RECEIPT"
        longest = max(longest, time.monotonic() - before)
    while len(heard) < 1000:
        heard += [headers[b"receipt-id"] for _, headers, _ in client.read()]
    assert heard == [b"%d" % number for number in range(1000)]
    assert world.shim.orders.syncs - syncs < 50  # groups grow
    assert longest < 20 * 0.2  # never one after the other


def test_publishers_of_a_slow_disk_wait(world: World) -> None:
    """What they send is not held in memory without bound."""
    client = world.client()
    world.shim.orders.slow = 1000
    client.socket.setblocking(False)
    frame = b"SEND\ndestination:/queue/a\npersistent:true\n\n" + b"x" * 100_000 + b"\0"
    sent, end = 0, time.monotonic() + 0.9
    while time.monotonic() < end:
        try:
            sent += client.socket.send(frame * 20)
        except BlockingIOError:
            time.sleep(0.01)
    assert sent < 60_000_000


def test_who_stops_does_not_wait_for_files_that_nobody_needs(world: World) -> None:
    """A start waits for one, which is filled at once; the next one would take 13 s."""
    world.broker.process.kill()
    world.broker.process.wait()
    for file in world.data.glob("spare-*"):
        file.unlink()
    world.shim.orders.slow = 100
    world.start(journal={"segment_size": "32 MiB"})
    world.broker.stop()
    assert not list(world.data.glob("spare-*"))


def test_all_can_be_acknowledged_on_a_full_disk(tmp_path: Path) -> None:
    """In any order, each by itself, and by a broker that starts there; then there is room again."""
    run = in_little_space(tmp_path, 8)
    command = [sys.executable, str(ROOT / "tests/harness/full_life.py"), str(tmp_path), "1"]
    with run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        said = process.communicate(timeout=240)[0].decode()
    assert process.returncode == 0, said
    for line in said.splitlines():
        sent, segments = map(int, line.split(" "))
        assert sent > 30_000
        assert segments <= 3


@pytest.mark.parametrize("step", [-HOUR * 24 * 365, -HOUR, HOUR])
def test_a_clock_that_is_set_holds_nothing_back(world: World, step: int) -> None:
    """While the broker runs, and while it does not; and no id comes twice."""
    client = world.client()
    client.send(b"SUBSCRIBE\nid:1\nack:client-individual\ndestination:/queue/a\n\n\0")
    assert world.has_sent(world.client(), "1") == b"RECEIPT"
    [(_, first, _)] = client.read()
    client.send(b"NACK\nid:%b\nreceipt:n\n\n\0" % first[b"ack"])
    world.shim.orders.clock = step
    heard = client.read()
    heard += client.read() if len(heard) < 2 else []
    assert {command for command, _, _ in heard} == {b"RECEIPT", b"MESSAGE"}
    [again] = [headers for command, headers, _ in heard if command == b"MESSAGE"]
    client.send(b"NACK\nid:%b\nreceipt:n\n\n\0" % again[b"ack"])
    assert client.read()[0][0] == b"RECEIPT"
    world.shim.orders.clock = 0 if step > 0 else 2 * step
    world.restart()
    assert eventually(world.waiting, "it comes again", timeout=SOON) == ["1"]
    before = world.broker.processor_time()
    time.sleep(0.5)
    assert world.broker.processor_time() - before < 0.4
    client = world.client()
    client.send(b"SUBSCRIBE\nid:1\ndestination:/queue/c\n\n\0")
    world.send(client, "c", queue="c")
    heard = client.read()
    heard += client.read() if len(heard) < 2 else []
    [new] = [headers[b"message-id"] for command, headers, _ in heard if command == b"MESSAGE"]
    assert int(new.rpartition(b"-")[2]) > int(first[b"message-id"].rpartition(b"-")[2])
