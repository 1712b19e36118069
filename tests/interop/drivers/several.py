"""What stomp.py does with subscriptions to several queues, as ActiveMQ's clients have them.

    python -S drivers/several.py HOST PORT

prints what came, as JSON.
"""

from __future__ import annotations

import json
import queue
import sys
from typing import Any

import stomp

PATIENCE = 20


class Consumer(stomp.ConnectionListener):  # type: ignore[misc]
    """A connection, and what it hears."""

    def __init__(self, host: str, port: int) -> None:
        self.heard: queue.Queue[Any] = queue.Queue()
        self.receipts: queue.Queue[str] = queue.Queue()
        self.connection = stomp.Connection12([(host, port)])
        self.connection.set_listener("", self)
        self.connection.connect(wait=True)

    def on_message(self, frame: Any) -> None:
        self.heard.put(frame)

    def on_receipt(self, frame: Any) -> None:
        self.receipts.put(frame.headers["receipt-id"])

    def subscribe(self, destination: str, ack: str, **headers: str) -> None:
        self.connection.subscribe(destination, id="1", ack=ack, headers={"receipt": "s", **headers})
        assert self.receipts.get(timeout=PATIENCE) == "s"

    def send(self, destination: str) -> None:
        self.connection.send(destination, destination, headers={"receipt": destination})
        assert self.receipts.get(timeout=PATIENCE) == destination

    def frames(self, count: int) -> list[Any]:
        return [self.heard.get(timeout=PATIENCE) for _ in range(count)]


def told(frames: list[Any]) -> list[str]:
    return [frame.headers["destination"] for frame in frames]


def main(host: str, port: str) -> None:
    """A consumer of a pattern, who settles all but the last at once; then one of a composite, who gets that."""
    first, second = (Consumer(host, int(port)) for _ in range(2))
    first.send("/queue/live.several.a")
    first.subscribe("/queue/live.several.>", "client", **{"activemq.prefetchSize": "3"})
    for name in "bcd":
        first.send(f"/queue/live.several.{name}")
    frames = first.frames(3)
    first.connection.ack(frames[2].headers["ack"])
    heard = {"pattern": told(frames) + told(first.frames(1))}
    first.connection.disconnect()
    second.subscribe("/queue/live.several.c,/queue/live.several.d,/topic/live.several.>,/topic/live.several.e", "auto")
    second.send("/topic/live.several.e")
    heard["composite"] = told(second.frames(2))
    second.connection.disconnect()
    heard["more"] = told(list(second.heard.queue))
    print(json.dumps(heard))


if __name__ == "__main__":
    main(*sys.argv[1:])
