"""A queue browser as stomp.py has it with ActiveMQ: it reads on until `browser:end`, and then somebody consumes."""

from __future__ import annotations

from pathlib import Path

import pytest
from campaign import printed
from peers import Peer
from python_peers import TABLE

PROGRAM = """
import json, queue, sys
import stomp

class Listener(stomp.ConnectionListener):
    def __init__(self):
        self.frames = queue.Queue()

    def on_message(self, frame):
        self.frames.put(frame)

    def on_receipt(self, frame):
        self.frames.put(frame)

patience, listener = float(sys.argv[2]), Listener()
connection = stomp.Connection12([("127.0.0.1", int(sys.argv[1]))])
connection.set_listener("", listener)
connection.connect(wait=True)
for number in range(5):
    connection.send("/queue/orders", str(number), headers={"priority": str(number), "receipt": str(number)})
    listener.frames.get(timeout=patience)
heard = {"seen": [], "consumed": []}
connection.subscribe("/queue/orders", id="b", ack="client", headers={"browser": "true", "prefetch-count": "2"})
while True:
    frame = listener.frames.get(timeout=patience)
    connection.ack(frame.headers["ack"])
    if frame.headers.get("browser") == "end":
        break
    heard["seen"].append(frame.body)
connection.subscribe("/queue/orders", id="c", ack="auto")
for number in range(5):
    frame = listener.frames.get(timeout=patience)
    heard["consumed"].append(frame.headers["subscription"] + frame.body)
print(json.dumps(heard))
connection.disconnect()
"""

STOMP_PY = [pytest.param(peer, id=peer.label) for peer in TABLE if peer.name == "stomp.py" and peer.version >= "8"]


@pytest.mark.parametrize("peer", STOMP_PY)
def test_stomp_py(peer: Peer, tmp_path: Path) -> None:
    heard = printed(peer, tmp_path, "-c", PROGRAM)
    assert heard == {"seen": ["4", "3", "2", "1", "0"], "consumed": ["c4", "c3", "c2", "c1", "c0"]}
