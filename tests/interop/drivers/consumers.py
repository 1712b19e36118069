"""What stomp.py does with the words of RabbitMQ's and ActiveMQ's clients for consumers of queues.

    python -S drivers/consumers.py HOST PORT DIALECT

prints what came, as JSON.
"""

from __future__ import annotations

import json
import queue
import sys
from typing import Any

import stomp

PATIENCE = 20
PRIORITY = {"rabbitmq": "x-priority", "activemq": "activemq.priority"}
EXCLUSIVE = {"rabbitmq": "exclusive", "activemq": "activemq.exclusive"}
NAME = {"rabbitmq": "message-dedup-id", "activemq": "_AMQ_DUPL_ID"}


class Consumer(stomp.ConnectionListener):  # type: ignore[misc]
    """A connection, and the bodies that it hears."""

    def __init__(self, host: str, port: int) -> None:
        self.heard: queue.Queue[str] = queue.Queue()
        self.receipts: queue.Queue[str] = queue.Queue()
        self.connection = stomp.Connection12([(host, port)])
        self.connection.set_listener("", self)
        self.connection.connect(wait=True)

    def on_message(self, frame: Any) -> None:
        self.heard.put(frame.body)

    def on_receipt(self, frame: Any) -> None:
        self.receipts.put(frame.headers["receipt-id"])

    def subscribe(self, destination: str, **headers: str) -> None:
        self.connection.subscribe(destination, id="1", ack="auto", headers={"receipt": "s", **headers})
        self.receipts.get(timeout=PATIENCE)

    def send(self, destination: str, body: str, **headers: str) -> None:
        self.connection.send(destination, body, headers={"receipt": body, **headers})
        assert self.receipts.get(timeout=PATIENCE) == body

    def bodies(self, count: int) -> list[str]:
        return [self.heard.get(timeout=PATIENCE) for _ in range(count)]


def main(host: str, port: str, dialect: str) -> None:
    """Three consumers: one that comes first, one that takes over, and one that is neither."""
    first, second, usual = (Consumer(host, int(port)) for _ in range(3))
    priority, exclusive = f"/queue/live.priority.{dialect}", f"/queue/live.exclusive.{dialect}"
    usual.subscribe(priority)
    first.subscribe(priority, **{PRIORITY[dialect]: "10"})
    for number in range(5):
        usual.send(priority, f"p{number}")
    heard = {"priority": first.bodies(5)}
    first.connection.unsubscribe("1")
    usual.connection.unsubscribe("1")
    first.subscribe(exclusive, **{EXCLUSIVE[dialect]: "true", "auto-delete": "false"})
    second.subscribe(exclusive, **{EXCLUSIVE[dialect]: "true"})
    usual.send(exclusive, "e0")
    heard["exclusive"] = first.bodies(1)
    first.connection.disconnect()
    second.send(exclusive, "e1", **{NAME[dialect]: "1"})
    second.send(exclusive, "again", **{NAME[dialect]: "1"})
    second.send(exclusive, "e2")
    heard["next"] = second.bodies(2)
    heard["usual"] = [*usual.heard.queue]
    print(json.dumps(heard))
    second.connection.disconnect()
    usual.connection.disconnect()


if __name__ == "__main__":
    main(*sys.argv[1:])
