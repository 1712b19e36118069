"""What takes long counts as work, or whoever sends nothing else would have the broker for himself."""

from __future__ import annotations

from typing import Any

import pytest
from broker_frames import ack, messages, send, subscribe

Face = Any  # of a module that the type checker knows nothing of
TOPIC = b"/topic/a"
SUBSCRIBE = b"SUBSCRIBE\nid:1\ndestination:%b\n\n\0UNSUBSCRIBE\nid:1\n\n\0"
PARTS = b",".join(b"/queue/%d" % number for number in range(32))
PATTERNS = b",".join(b"/queue/%d.*" % number for number in range(32))
ANSWERED = send(TOPIC, b"x", b"reply-to:/temp-%b/r\n") + send(TOPIC, b"x", b"reply-to:/temp-%b/s\n")

FRAMES = {
    "lines that a profile adds": ("activemq", send(TOPIC, b"x"), 1000),
    "what comes later": ("", send(TOPIC, b"x", b"delay:1000000\n"), 500),
    "what comes again": ("", send(TOPIC, b"x", b"delay:1000000\nAMQ_SCHEDULED_PERIOD:1000\n"), 2500),
    "what looks at that": (
        "",
        send(b"/topic/ActiveMQ.Scheduler.Management", b"", b"AMQ_SCHEDULER_ACTION:REMOVEALL\n"),
        2000,
    ),
    "answers": ("", ANSWERED % (b"queue", b"queue"), 1400),
    "answers to a topic": ("", ANSWERED % (b"topic", b"topic"), 1400),
    "what is told": ("", send(TOPIC, b"x", b"receipt:1\nreceipt-info:true\n"), 500),
    "parts": ("", send(PARTS, b"x"), 2000),
    "patterns": ("", SUBSCRIBE % PATTERNS, 32_000),
}


@pytest.mark.parametrize("what", FRAMES)
def test_what_takes_long_counts(face: Face, what: str) -> None:
    profile, frames, least = FRAMES[what]
    house = face.House(profile=profile)
    client = face.Client(house)
    client.say(frames)
    before = house.stats["work"] + house.stats["bytes_out"]
    for _ in range(10):
        client.say(frames)
    assert house.stats["work"] + house.stats["bytes_out"] - before >= 10 * least


@pytest.mark.parametrize("end", [b"ABORT", b"COMMIT"])
def test_each_delivery_of_a_cumulative_ack_in_a_transaction_counts(face: Face, end: bytes) -> None:
    """Or three short frames, again and again, would be a millisecond of nobody's time each time."""
    house = face.House()
    client = face.Client(house)
    client.say(send(b"/queue/a", b"x") * 1000 + subscribe(b"1", b"/queue/a", b"ack:client\nprefetch-count:1000\n"))
    house.turn()
    last = messages(client.hear())[-1]
    before = house.stats["work"]
    client.say(b"BEGIN\ntransaction:t\n\n\0" + ack(last.ack, headers=b"transaction:t\n"))
    noted = house.stats["work"]
    client.say(b"%b\ntransaction:t\n\n\0" % end)
    assert min(noted - before, house.stats["work"] - noted) > 1000 * 64


@pytest.mark.parametrize("destination", [b"/queue/a", b"/queue/a,/queue/b"])
def test_what_an_ack_passes_by_counts(face: Face, destination: bytes) -> None:
    """What stands in front of it is a transaction's."""
    house = face.House()
    client = face.Client(house)
    client.say(send(b"/queue/a", b"x") * 2000 + subscribe(b"1", destination, b"ack:client\nprefetch-count:2000\n"))
    for _ in range(5):
        house.turn()
    heard = messages(client.hear())
    client.say(b"BEGIN\ntransaction:t\n\n\0" + ack(heard[-3].ack, headers=b"transaction:t\n"))
    before = house.stats["work"]
    client.say(ack(heard[-2].ack))
    assert house.stats["work"] - before > 1990 + 448
