"""Selectors as stomp.py asks for them: subscribers and consumers get what they want, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from campaign import printed
from peers import Peer
from python_peers import TABLE

# What its documentation shows, with headers that a subscriber of ActiveMQ gives.
PROGRAM = """
import json, sys, threading
import stomp

class Listener(stomp.ConnectionListener):
    def __init__(self):
        self.bodies, self.last = [], threading.Event()

    def on_message(self, frame):
        self.bodies.append([frame.headers["subscription"], frame.body])
        if frame.body == "last":
            self.last.set()

listener = Listener()
connection = stomp.Connection12([("127.0.0.1", int(sys.argv[1]))])
connection.set_listener("", listener)
connection.connect(wait=True)
topic = "/topic/offers"
connection.subscribe(topic, "cheap", headers={"selector": "price < 10 AND content-type LIKE 'text/%'"})
connection.subscribe(topic, "red", ack="client", headers={"selector": "colour IN ('red', 'scarlet') OR price IS NULL"})
connection.subscribe(topic, "foreign", headers={"no-local": "true"})
for number, (price, colour) in enumerate([(5, "red"), (50, "scarlet"), (9.5, "blue"), (10, "green")]):
    connection.send(topic, str(number), content_type="text/plain", headers={"price": price, "colour": colour})
queue = "/queue/offers"
connection.subscribe(queue, "few", ack="client", headers={"selector": "price < 10 AND JMSRedelivered = FALSE"})
connection.subscribe(queue, "many", ack="client", headers={"selector": "price BETWEEN 10 AND 20"})
connection.subscribe(queue, "others", headers={"no-local": "true"})
for number in range(30):
    connection.send(queue, str(number), headers={"price": number})
connection.send(topic, "last")
if not listener.last.wait(float(sys.argv[2])):
    sys.exit("the last one did not come")
print(json.dumps(listener.bodies))
connection.disconnect()
"""

STOMP_PY = [pytest.param(peer, id=peer.label) for peer in TABLE if peer.name == "stomp.py" and peer.version >= "8"]


@pytest.mark.parametrize("peer", STOMP_PY)
def test_stomp_py(peer: Peer, tmp_path: Path) -> None:
    heard = printed(peer, tmp_path, "-c", PROGRAM)
    assert sorted(body for id, body in heard if id == "cheap") == ["0", "2"]
    assert sorted(body for id, body in heard if id == "red") == ["0", "1", "last"]
    assert [body for id, body in heard if id == "few"] == [str(number) for number in range(10)]
    assert [body for id, body in heard if id == "many"] == [str(number) for number in range(10, 21)]
    assert not [body for id, body in heard if id in ("foreign", "others")]
