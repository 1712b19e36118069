"""What stomp.py does with the words of RabbitMQ's and ActiveMQ's clients for consumers of queues.

    python -S drivers/consumers.py DIALECT PORT PATIENCE

prints what came, as JSON.
"""

from __future__ import annotations

import json
import queue
import sys
from typing import Any

import stomp

PRIORITY = {"rabbitmq": "x-priority", "activemq": "activemq.priority"}
EXCLUSIVE = {"rabbitmq": "exclusive", "activemq": "activemq.exclusive"}
NAME = {"rabbitmq": "message-dedup-id", "activemq": "_AMQ_DUPL_ID"}


class Consumer(stomp.ConnectionListener):  # type: ignore[misc]
    """A connection, and what it hears."""

    def __init__(self, port: str, patience: str) -> None:
        self.patience = float(patience)
        self.heard: queue.Queue[Any] = queue.Queue()
        self.receipts: queue.Queue[str] = queue.Queue()
        self.connection = stomp.Connection12([("127.0.0.1", int(port))])
        self.connection.set_listener("", self)
        self.connection.connect(wait=True)

    def on_message(self, frame: Any) -> None:
        self.heard.put(frame)

    def on_receipt(self, frame: Any) -> None:
        self.receipts.put(frame.headers["receipt-id"])

    def subscribe(self, destination: str, ack: str = "auto", **headers: str) -> None:
        self.connection.subscribe(destination, id="1", ack=ack, headers={"receipt": "s", **headers})
        assert self.receipts.get(timeout=self.patience) == "s"

    def send(self, destination: str, body: str, **headers: str) -> None:
        self.connection.send(destination, body, headers={"receipt": body, **headers})
        assert self.receipts.get(timeout=self.patience) == body

    def frames(self, count: int) -> list[Any]:
        return [self.heard.get(timeout=self.patience) for _ in range(count)]


def bodies(frames: list[Any]) -> list[str]:
    return [frame.body for frame in frames]


def main(dialect: str, port: str, patience: str) -> None:
    """Three consumers: one that comes first, one that takes over, and one that is neither."""
    first, second, usual = (Consumer(port, patience) for _ in range(3))
    priority, exclusive = f"/queue/live.priority.{dialect}", f"/queue/live.exclusive.{dialect}"
    usual.subscribe(priority)
    first.subscribe(priority, **{PRIORITY[dialect]: "10"})
    for number in range(5):
        usual.send(priority, f"p{number}")
    heard = {"priority": bodies(first.frames(5))}
    first.connection.unsubscribe("1")
    usual.connection.unsubscribe("1")
    first.subscribe(exclusive, **{EXCLUSIVE[dialect]: "true", "auto-delete": "false"})
    second.subscribe(exclusive, **{EXCLUSIVE[dialect]: "true"})
    usual.send(exclusive, "e0")
    heard["exclusive"] = bodies(first.frames(1))
    first.connection.disconnect()
    second.send(exclusive, "e1", **{NAME[dialect]: "1"})
    second.send(exclusive, "again", **{NAME[dialect]: "1"})
    second.send(exclusive, "e2")
    heard["next"] = bodies(second.frames(2))
    heard["usual"] = bodies(list(usual.heard.queue))
    print(json.dumps(heard))
    second.connection.disconnect()
    usual.connection.disconnect()


if __name__ == "__main__":
    main(*sys.argv[1:])
