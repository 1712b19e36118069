"""What the broker says beside messages, as stomp.py hears it: receipts that say more and soft errors."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from campaign import serving
from harness.waiting import DEADLINE
from python_peers import TABLE

PROGRAM = """
import json, sys, threading
import stomp

heard, told = [], threading.Condition()

class Listener(stomp.ConnectionListener):
    def note(self, kind, frame):
        with told:
            heard.append([kind, dict(frame.headers), frame.body])
            told.notify()
    def on_message(self, frame):
        self.note("message", frame)
    def on_receipt(self, frame):
        self.note("receipt", frame)
    def on_error(self, frame):
        self.note("error", frame)

def wait_for(count):
    with told:
        assert told.wait_for(lambda: len(heard) >= count, 20), heard

kinds = {"1.0": stomp.StompConnection10, "1.1": stomp.StompConnection11, "1.2": stomp.StompConnection12}
connection = kinds[sys.argv[2]]([("127.0.0.1", int(sys.argv[1]))])
connection.set_listener("", Listener())
connection.connect(headers={"soft-errors": "true"}, wait=True)
connection.send("/topic/nobody", "x", headers={"receipt": "1", "receipt-info": "true"})
connection.send("/topic/nobody", "x", headers={"receipt": "2", "mandatory": "true"})
connection.subscribe("/nowhere", id="7", headers={"receipt": "3"})
connection.send("/queue/kept", "x", headers={"receipt": "4", "receipt-info": "true"})
wait_for(4)
connection.disconnect()
print(json.dumps(heard[:4]))  # behind them the receipt of the DISCONNECT, if it came in time
"""
CLIENTS = [peer for peer in TABLE if peer.name == "stomp.py" and peer.version >= "5"]


@pytest.mark.parametrize("version", ["1.0", "1.1", "1.2"])
@pytest.mark.parametrize("peer", CLIENTS, ids=lambda peer: peer.label)
def test_stomp_py_is_told(peer, version, tmp_path):
    if missing := peer.missing():
        pytest.skip(missing)
    broker = serving(tmp_path)
    try:
        command = [sys.executable, "-S", "-c", PROGRAM, str(broker.ports["tcp"]), version]
        done = subprocess.run(
            command, env=peer.environment, capture_output=True, text=True, timeout=2 * DEADLINE, check=True
        )
    finally:
        broker.stop()
    first, second, third, fourth = json.loads(done.stdout)
    assert (first[0], first[1]["receipt-id"], first[1]["receivers"]) == ("receipt", "1", "0")
    for kind, headers, body in (second, third):
        assert (kind, headers["subscription"]) == ("message", "errors")
        assert body.endswith(".\n")
    assert (second[1]["receipt-id"], second[1]["message"], second[1]["command"]) == ("2", "nobody there", "SEND")
    assert (third[1]["receipt-id"], third[1]["message"], third[1]["id"]) == ("3", "unknown destination", "7")
    assert (fourth[0], fourth[1]["receipt-id"], fourth[1]["receivers"]) == ("receipt", "4", "1")
    assert "message-id" in fourth[1]
