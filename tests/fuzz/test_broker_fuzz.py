"""Clients that write nonsense to a live broker: it stays alive and well, and whatever it writes is STOMP."""

from __future__ import annotations

import random
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from harness.broker import Broker
from harness.client import Client
from harness.frames import VERSIONS
from harness.waiting import eventually, in_background
from mutations import mutated, pieces

GOOD = [
    "/queue/a",
    "/queue/b",
    "bare",
    "/topic/a.b",
    "/topic/crowd",
    "/topic/a",
    "/exchange/amq.topic/a.b",
    "/temp-queue/t",
    "/queue/dead-letter",
]
PATTERNS = ["/topic/*.b", "/topic/#", "/topic/a.>"]
BAD = ["/amq/queue/none", "/topic/", "/nowhere", "topic/a", "/reply-queue/x", "/topic/" + "a." * 40]
HEADERS = [
    "x:1",
    "x:\\n\\c",
    "x\\cy:1",
    "message-id:forged",
    "redelivered:true",
    "reply-to:/temp-queue/t",
    "content-length:",
]
MODES = ["ack:client", "ack:client", "ack:client-individual", "ack:auto", "ack:nonsense", "selector:x"]
BODIES = [b"", b"body", b"\n", b"x" * 100, b"SEND\ndestination:/queue/a\n\n", b"x" * 9000]

ESCAPES = {"1.0": rb"\\", "1.1": rb"\\[nc\\]", "1.2": rb"\\[rnc\\]"}
COUNT = re.compile(rb"^content-length:([0-9]+)$", re.MULTILINE)


class Talk:
    """What a client says that mostly knows what it does."""

    def __init__(self, chance: random.Random, version: str) -> None:
        self.chance = chance
        self.subscriptions: list[str] = []
        self.transactions: list[str] = []
        self.commands = [self.send] * 5 + [self.subscribe] * 2 + [self.unsubscribe, self.begin, self.end]
        self.commands += [self.settle] * (version == "1.2")  # whose ack ids a client can guess

    def frame(self) -> bytes:
        lines, body = self.chance.choice(self.commands)()
        lines += self.chance.choices(HEADERS, k=self.chance.choice([0, 0, 1, 2]))
        lines += ["receipt:a\\cb"] * (self.chance.random() < 0.3)
        return "\n".join([*lines, "", ""]).encode() + body + b"\0"

    def some(self, good: list[str], bad: str) -> str:
        return self.chance.choice(good) if good and self.chance.random() < 0.98 else bad

    def send(self) -> tuple[list[str], bytes]:
        body = self.chance.choice(BODIES)
        lines = ["SEND", "destination:" + self.some(GOOD, self.chance.choice(BAD + PATTERNS))]
        lines += [f"content-length:{len(body)}"] * (self.chance.random() < 0.4)
        return [*lines, *self.in_transaction()], body

    def in_transaction(self) -> list[str]:
        return (
            ["transaction:" + self.some(self.transactions, "none")]
            if self.transactions and self.chance.random() < 0.4
            else []
        )

    def subscribe(self) -> tuple[list[str], bytes]:
        id = str(len(self.subscriptions)) if self.chance.random() < 0.98 else "0"
        self.subscriptions.append(id)
        destination = self.some(GOOD + PATTERNS, self.chance.choice(BAD))
        mode = self.some(MODES[:4], self.chance.choice(MODES))
        return [
            "SUBSCRIBE",
            f"id:{id}",
            f"destination:{destination}",
            mode,
            f"prefetch-count:{self.chance.randint(0, 3)}",
        ], b""

    def unsubscribe(self) -> tuple[list[str], bytes]:
        if not self.subscriptions:
            return self.subscribe()
        id = self.some(self.subscriptions, "none")
        self.subscriptions = [each for each in self.subscriptions if each != id]
        return ["UNSUBSCRIBE", f"id:{id}"], b""

    def settle(self) -> tuple[list[str], bytes]:
        id = f"id:{self.chance.choice([0, 0, 1])}-{self.chance.choice([1, 1, 2])}"
        requeue = ["requeue:false"] * (self.chance.random() < 0.3)
        return [self.chance.choice(["ACK", "NACK"]), id, *requeue, *self.in_transaction()], b""

    def begin(self) -> tuple[list[str], bytes]:
        self.transactions.append(f"t{len(self.transactions)}")
        return ["BEGIN", f"transaction:{self.transactions[-1]}"], b""

    def end(self) -> tuple[list[str], bytes]:
        if not self.transactions:
            return self.begin()
        name = self.some(self.transactions, "none")
        self.transactions = [each for each in self.transactions if each != name]
        return [self.chance.choice(["COMMIT", "ABORT"]), f"transaction:{name}"], b""


def random_conversation(chance: random.Random, version: str) -> list[bytes]:
    """CONNECT and some frames, often with something wrong; in pieces."""
    connect = f"CONNECT\naccept-version:{version}\nhost:x\n\n\0".encode()
    talk = Talk(chance, version)
    frames = [talk.frame() for _ in range(chance.choice([1, 5, 20, 50]))]
    wrong = chance.random()
    if wrong < 0.2:
        connect = mutated(connect, chance)
    elif wrong < 0.6:
        at = chance.randrange(len(frames))
        frames[at] = mutated(frames[at], chance)
    stream = connect + b"".join(frames)
    return pieces(stream, chance, 7 if chance.random() < 0.05 else len(stream))


def converse(broker: Broker, parts: list[bytes], chance: random.Random) -> bytes:
    """Write all, say that this was all, and read to the end; some clients just run away."""
    with closing(Client(broker)) as client:
        with suppress(BrokenPipeError, ConnectionResetError):  # the broker has had enough
            for part in parts:
                client.send(part)
            if chance.random() < 0.2:
                client.reset()
                return b""
            client.socket.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            return client.read_all()
    return b""


def check_frames(data: bytes, version: str) -> None:
    """All of it is whole frames of this version, nothing else."""
    while data := data.lstrip(b"\n"):
        head, blank, rest = data.partition(b"\n\n")
        assert blank, data[:500]
        command, *lines = head.split(b"\n")
        assert command in (b"CONNECTED", b"MESSAGE", b"RECEIPT", b"ERROR"), head
        assert lines
        for line in lines:
            assert b"\r" not in line or version == "1.1" or (command, version) == (b"RECEIPT", "1.0"), head
            name, colon, value = line.partition(b":")
            assert name
            assert colon
            if command != b"CONNECTED":
                assert b"\\" not in re.sub(ESCAPES[version], b"", name + b" " + value), head
        count = COUNT.search(head)
        end = int(count[1]) if count else rest.index(b"\0")
        assert rest[end : end + 1] == b"\0", (head, rest[:500])
        data = rest[end + 1 :]


def version_of(data: bytes) -> str:
    """The version that was agreed on; an ERROR before that is one of 1.0."""
    found = re.match(rb"CONNECTED\n(?:session:[^\n]*\n)?version:(1\.[012])\n", data)
    return found[1].decode() if found else "1.0"


@contextmanager
def crowd(broker: Broker) -> Iterator[None]:
    """Somebody with many subscriptions to one topic, who reads what comes."""
    with closing(Client(broker)) as client:
        client.login("1.2")
        client.send(*(f"SUBSCRIBE\nid:{number}\ndestination:/topic/crowd\n\n\0" for number in range(300)))
        client.roundtrip()
        with in_background(lambda: read_away(client)):
            yield
            client.socket.shutdown(socket.SHUT_RDWR)


def read_away(client: Client) -> None:
    """Read and forget, up to the end, which is a reset when the broker was still writing."""
    client.socket.settimeout(None)
    with suppress(ConnectionResetError):
        while client.socket.recv(1 << 20):
            pass


@pytest.fixture(scope="module")
def victim(broker_with: Callable[..., Broker]) -> Broker:
    """A broker for whom much is too much."""
    limits = {"max_frame": 1 << 16, "transaction_timeout": 1.0, "queue_idle_timeout": 0.2, "linger": 0.2}
    queues = [{"pattern": "#", "max_deliveries": 3, "dead_letter": "dead-letter"}]
    return broker_with(limits=limits, subscriptions={"nack_delay": 0.01}, queues=queues)


def drain(broker: Broker) -> None:
    """Take what the others have left in queues, or it would fill the memory in a long run."""
    with closing(Client(broker)) as client:
        client.login("1.2")
        for number, destination in enumerate(["/queue/a", "/queue/b", "bare", "/queue/dead-letter"]):
            client.send(f"SUBSCRIBE\nid:{number}\ndestination:{destination}\n\n\0")
        client.send("DISCONNECT\n\n\0")
        client.read_all()


def check_witness(witness: Client) -> None:
    """Somebody who does nothing wrong notices nothing."""
    witness.send("SEND\ndestination:/topic/witness\n\nstill here\0")
    witness.expect_message("/topic/witness", "still here")


def test_whatever_clients_write(victim: Broker, chance: random.Random, seconds: float, tmp_path: Path) -> None:
    end = time.monotonic() + seconds
    conversations = 0
    with crowd(victim), closing(Client(victim)) as witness:
        witness.login("1.2")
        witness.subscribe("/topic/witness")
        while time.monotonic() < end:
            parts = random_conversation(chance, chance.choice(VERSIONS))
            data = converse(victim, parts, chance)
            try:
                check_frames(data, version_of(data))
            except AssertionError:
                written = tmp_path / "written"
                written.write_bytes(b"".join(parts))
                print(f"what was written is in {written}")
                raise
            check_witness(witness)
            conversations += 1
            if conversations % 100 == 0:
                drain(victim)
    eventually(lambda: victim.census()["connections"] == 0, "all connections have gone")
    alive = victim.census()
    assert [alive[name] for name in ("sessions", "subscriptions", "deliveries", "transactions")] == [0] * 4
