"""Conflation as stomp.py asks for it: a slow subscriber gets the newest message of each key."""

from __future__ import annotations

from pathlib import Path

import pytest
from campaign import printed
from peers import Peer
from python_peers import TABLE

PROGRAM = """
import json, queue, sys, threading
import stomp

class Listener(stomp.ConnectionListener):
    def __init__(self):
        self.frames, self.sent = queue.Queue(), threading.Event()

    def on_message(self, frame):
        self.frames.put(frame)

    def on_receipt(self, frame):
        self.sent.set()

listener, heard = Listener(), []
connection = stomp.Connection12([("127.0.0.1", int(sys.argv[1]))])
connection.set_listener("", listener)
connection.connect(wait=True)
wishes = {"conflate": "symbol", "prefetch-count": "1"}
connection.subscribe("/topic/prices.*", "1", ack="client-individual", headers=wishes)
for number in range(10):
    more = {"receipt": "all"} if number == 9 else {}
    connection.send("/topic/prices.fx", str(number), headers={"symbol": ("EUR", "GBP")[number % 2], **more})
if not listener.sent.wait(float(sys.argv[2])):
    sys.exit("the receipt did not come")
for _ in range(3):
    frame = listener.frames.get(timeout=float(sys.argv[2]))
    heard.append([frame.headers["symbol"], frame.body])
    connection.ack(frame.headers["ack"])
connection.disconnect()
print(json.dumps([heard, listener.frames.qsize()]))
"""

STOMP_PY = [pytest.param(peer, id=peer.label) for peer in TABLE if peer.name == "stomp.py" and peer.version >= "8"]


@pytest.mark.parametrize("peer", STOMP_PY)
def test_stomp_py(peer: Peer, tmp_path: Path) -> None:
    heard = printed(peer, tmp_path, "-c", PROGRAM)
    assert heard == [[["EUR", "0"], ["GBP", "9"], ["EUR", "8"]], 0]
