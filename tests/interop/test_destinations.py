"""Destinations of other brokers, by a client that knows nothing of ours: stomp.py, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from campaign import serving
from peers import driver_environment
from python_peers import TABLE

PROGRAM = r"""
import queue, sys, stomp

heard = queue.Queue()

class Listener(stomp.ConnectionListener):
    def on_message(self, frame):
        heard.put((frame.headers["subscription"], frame.headers.get("reply-to"), frame.body))
    def on_error(self, frame):
        heard.put(("ERROR", None, frame.body))

def client():
    connection = stomp.Connection12([("127.0.0.1", int(sys.argv[1]))])
    connection.set_listener("", Listener())
    connection.connect(wait=True)
    return connection

def next_ones(count):
    return sorted(heard.get(timeout=20) for _ in range(count))

asker, worker = client(), client()
worker.subscribe("/queue/questions", id="questions")
worker.subscribe("/exchange/amq.direct/audit", id="audit")
worker.subscribe("/queue/Consumer.A.VirtualTopic.orders", id="orders")
asker.subscribe("/temp-topic/answers", id="answers")
for connection in (asker, worker):  # what was subscribed to before is there when this comes back
    connection.subscribe("/temp-queue/ready", id="ready")
    connection.send("/temp-queue/ready", "")
assert [id for id, *_ in next_ones(2)] == ["ready", "ready"]
asker.send("/queue/questions,/exchange/amq.direct/audit", "what?", headers={"reply-to": "/temp-topic/answers"})
(_, reply_to, body), (_, same, _) = [each for each in next_ones(2)]
assert body == "what?" and reply_to == same and reply_to.startswith("/reply-topic/"), (reply_to, same)
worker.send(reply_to, "that")
assert next_ones(1) == [("answers", None, "that")]
asker.send("VirtualTopic.orders", "one", headers={"destination-type": "MULTICAST"})
assert next_ones(1) == [("orders", None, "one")]
asker.disconnect()
worker.disconnect()
"""


def test_stomp_py_uses_destinations_of_other_brokers(tmp_path: Path) -> None:
    peer = next(peer for peer in TABLE if peer.label == "stomp.py-9.0.0")
    if reason := peer.missing():
        pytest.skip(reason)
    broker = serving(tmp_path)
    try:
        command = [sys.executable, "-c", PROGRAM, str(broker.ports["tcp"])]
        environment = driver_environment(peer.directory)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode, done.stderr) == (0, "")
    finally:
        broker.stop()
