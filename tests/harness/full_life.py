"""A broker with small segments on a disk that becomes full: python full_life.py DIRECTORY SEED. It says how it went.

Messages are sent until none is taken any more, then all are acknowledged, in any order and each by itself; then there
is room again.
"""

from __future__ import annotations

import random
import select
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "unit")]

from broker_frames import ack, messages, send, subscribe

from bench.micro.compiled import compiled
from fastbroker.core.disk import Disk

ID, SEGMENT = bytes(range(16)), 1 << 17
PERSISTENT = b"persistent:true\n"
BATCH = 200
MOST_AT_END = 3


class World:
    """What is kept, and by whom."""

    def __init__(self, face: Any, path: Path) -> None:
        self.face, self.path = face, path
        self.start()

    def start(self) -> None:
        """A broker, with what the one before has left."""
        self.store = Disk(self.path, ID, SEGMENT)
        self.house = self.face.House(store=self.store)

    def settle(self) -> None:
        """All is on the disk."""
        self.house.turn()
        while not self.face.store_is_idle(self.house):
            assert select.select([self.store], [], [], 10)[0], "the disk takes nothing any more"
            self.store.hear()
            self.house.hear_store()
            self.house.turn()
        self.store.hear()
        self.house.hear_store()
        self.house.carry_on()

    def segments(self) -> int:
        """How many there are, once files have gone that nobody needs."""
        for _ in range(100):
            if (count := len(list(self.path.glob("segment-*")))) <= MOST_AT_END:
                break
            time.sleep(0.05)
        return count

    def fill(self) -> int:
        """As many messages as there is room for."""
        sent = 0
        client = self.face.Client(self.house)
        while not self.face.disk_is_full(self.house):
            client.say(b"".join(send(b"/queue/a", b"%d" % n, PERSISTENT) for n in range(sent, sent + BATCH)))
            sent += BATCH
            self.settle()
        client.leave()
        return sent

    def acknowledge(self, chance: random.Random, part: float) -> int:
        """That part of all, as they come to hand; how many are left."""
        held = []
        clients = [self.face.Client(self.house) for _ in range(self.house.queued[0] // 5000 + 1)]
        for client in clients:
            client.say(subscribe(b"1", b"/queue/a", b"ack:client-individual\nprefetch-count:1000000\n"))
            self.settle()
            held += [(client, message.ack) for message in messages(client.hear())]
        assert len(held) == self.house.queued[0] or part == 1
        chance.shuffle(held)
        for number, (client, name) in enumerate(held[: int(len(held) * part)]):
            client.say(ack(name))
            if number % 50 == 49:
                self.settle()
        self.settle()
        for client in clients:
            client.leave()
        self.settle()
        return self.house.queued[0]


def main(path: str, seed: str) -> None:
    """Twice, the second time from a broker that starts on the full disk."""
    chance = random.Random(seed)
    world = World(compiled(ROOT / "tests" / "unit" / "broker_face.pyx"), Path(path))
    for _ in range(2):
        sent = world.fill()
        left = world.acknowledge(chance, 0.7)
        world.store.close()
        world.start()
        assert world.house.queued[0] == left, (world.house.queued, left)
        assert world.acknowledge(chance, 1) == 0
        for _ in range(20):
            world.settle()
        assert not world.face.disk_is_full(world.house)
        print(sent, world.segments(), flush=True)
    world.store.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
