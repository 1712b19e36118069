"""What stomp.py does with subscriptions to several queues, as ActiveMQ's clients have them.

    python -S drivers/several.py PORT PATIENCE

prints what came, as JSON.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from drivers.consumers import Consumer


def told(frames: list[Any]) -> list[str]:
    return [frame.headers["destination"] for frame in frames]


def main(port: str, patience: str) -> None:
    """A consumer of a pattern, who settles all but the last at once; then one of a composite, who gets that."""
    first, second = (Consumer(port, patience) for _ in range(2))
    first.send("/queue/live.several.a", "/queue/live.several.a")
    first.subscribe("/queue/live.several.>", "client", **{"activemq.prefetchSize": "3"})
    for name in "bcd":
        first.send(f"/queue/live.several.{name}", f"/queue/live.several.{name}")
    frames = first.frames(3)
    first.connection.ack(frames[2].headers["ack"])
    heard = {"pattern": told(frames) + told(first.frames(1))}
    first.connection.disconnect()
    second.subscribe("/queue/live.several.c,/queue/live.several.d,/topic/live.several.>,/topic/live.several.e", "auto")
    second.send("/topic/live.several.e", "/topic/live.several.e")
    heard["composite"] = told(second.frames(2))
    second.connection.disconnect()
    heard["more"] = told(list(second.heard.queue))
    print(json.dumps(heard))


if __name__ == "__main__":
    main(*sys.argv[1:])
