"""Brokers one after the other on a disk that is watched: python power_life.py DIRECTORY SEED LIVES. Each is killed.

What is said and heard is marked in the trace: `sent`, `promised`, `acked`, `gone`, with queue and body; `together` with
the bodies of one transaction.
"""

from __future__ import annotations

import ctypes
import os
import random
import re
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "unit")]

from broker_frames import Message, ack, messages, send, subscribe

from bench.micro.compiled import compiled
from fastbroker.core.disk import Disk

ID, SEGMENT = bytes(range(16)), 1 << 17
QUEUES = (b"/queue/a", b"/queue/b", b"/queue/lax")
POLICIES = [("lax", {"durability": "written"})]
PERSISTENT = b"persistent:true\n"
TOGETHER = b"together"
ROUNDS = (0, 3, 10, 40)


def open_house(face: Any, path: Path) -> tuple[Any, Disk]:
    """A broker, and what it keeps."""
    store = Disk(path, ID, SEGMENT)
    return face.House(store=store, queues=POLICIES), store


def mark(*words: bytes) -> None:
    """Into the trace."""
    text = b" ".join(words)
    ctypes.CDLL(None).shim_mark(text, ctypes.c_size_t(len(text)))


class Life:
    """One who sends, one who takes; some messages stay for long."""

    def __init__(self, face: Any, path: Path, chance: random.Random, life: int) -> None:
        self.chance, self.number = chance, life * 100_000
        self.house, _ = open_house(face, path)
        self.sender, self.taker = face.Client(self.house), face.Client(self.house)
        self.held: list[tuple[bytes, Message]] = []
        for name, queue in zip((b"0", b"1", b"2"), QUEUES, strict=True):
            self.taker.say(subscribe(name, queue, b"ack:client-individual\nprefetch-count:20\n"))

    def listen(self) -> None:
        """What was promised, and what came."""
        for receipt in re.findall(rb"receipt-id:(.*)\n", self.sender.hear()):
            mark(b"promised", *receipt.replace(b"\\c", b":").split(b","))
        stream = self.taker.hear()
        for receipt in re.findall(rb"receipt-id:(.*)\n", stream):
            mark(b"gone", receipt)
        for frame in stream.split(b"\0"):
            if frame.lstrip(b"\n").startswith(b"MESSAGE"):
                [message] = messages(frame.lstrip(b"\n") + b"\0")
                self.held.append((message.headers[b"destination"], message))

    def body(self) -> bytes:
        """A number, and something."""
        self.number += 1
        return b"%d-%b" % (self.number, b"x" * self.chance.choice([3, 50, 700, 9000]))

    def send(self) -> None:
        """One message, or some in a transaction."""
        queue = self.chance.choice(QUEUES)
        body = self.body()
        if self.chance.random() < 0.8:
            name = body.partition(b"-")[0]
            mark(b"sent", queue, name)
            self.sender.say(send(queue, body, PERSISTENT + b"receipt:%b\n" % name))
            return
        names = []
        self.sender.say(b"BEGIN\ntransaction:t\n\n\0")
        for _ in range(self.chance.randint(1, 4)):
            body, queue = self.body(), self.chance.choice(QUEUES[:2])
            names.append(body.partition(b"-")[0])
            mark(b"sent", queue, names[-1])
            self.sender.say(send(queue, body, PERSISTENT + b"transaction:t\n"))
        mark(TOGETHER, *names)
        self.sender.say(b"COMMIT\ntransaction:t\nreceipt:%b\n\n\0" % b",".join(names))

    def take(self) -> None:
        """An ACK, or a NACK; some are held until the end."""
        queue, message = self.held.pop(self.chance.randrange(len(self.held)))
        name = message.body.partition(b"-")[0]
        if self.chance.random() < 0.1:
            self.taker.say(ack(message.ack, b"NACK"))
            return
        mark(b"acked", queue, name)
        self.taker.say(ack(message.ack, headers=b"receipt:%b\n" % name))

    def round(self) -> None:
        """Something, and what comes of it."""
        for _ in range(self.chance.randint(1, 6)):
            self.send()
        for _ in range(min(self.chance.choice([0, 2, 6, 12]), max(len(self.held) - 3, 0))):
            self.take()
        self.house.turn()
        time.sleep(self.chance.choice([0, 0, 0.001, 0.003]))
        self.house.hear_store()
        self.house.carry_on()
        self.house.advance(20)
        self.listen()


def main(path: str, seed: str, lives: str) -> None:
    """A process for each."""
    face = compiled(ROOT / "tests" / "unit" / "broker_face.pyx")
    for number in range(int(lives)):
        child = os.fork()
        if child == 0:
            chance = random.Random(f"{seed} {number}")
            life = Life(face, Path(path), chance, number)
            for _ in range(chance.choice(ROUNDS)):
                life.round()
            ctypes.CDLL(None).shim_end()
        _, status = os.waitpid(child, 0)
        assert status == 0


if __name__ == "__main__":
    main(*sys.argv[1:])
