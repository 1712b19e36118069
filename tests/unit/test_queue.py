"""Queues, what consumers do to them, and the ledger of what is not settled: as a plain list would do it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from broker_frames import bodies, messages, send, subscribe

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.micro.compiled import compiled
from fastbroker.core.frame import Refused

Face = Any  # of a module that the type checker knows nothing of
REST, IDLE, TICK = 1000, 5000, 10
MOST_DELIVERIES = 3


@pytest.fixture(scope="module")
def face() -> Face:
    return compiled(Path(__file__).with_name("broker_face.pyx"))


def new_house(face: Face, **more: Any) -> Face:
    return face.House(
        **{
            "nack_delay": REST,
            "queue_idle_timeout": IDLE,
            "max_deliveries": MOST_DELIVERIES,
            "dead_letter": "dead",
            "dead_letter_limit": 1000,
            **more,
        }
    )


@pytest.fixture
def house(face: Face) -> Face:
    return new_house(face)


def test_a_name_that_looks_like_a_reply_queue_is_a_name(face: Face, house: Face) -> None:
    """It is no reply queue: it may be made anew, and its end is not that of the one whose name it has."""
    owner, other = face.Client(house), face.Client(house)
    owner.say(subscribe(b"1", b"/temp-queue/x") + send(b"/queue/ask", b"?", b"reply-to:/temp-queue/x\n"))
    other.say(subscribe(b"1", b"/queue/ask"))
    house.turn()
    reply = next(line for line in other.hear().split(b"\n") if line.startswith(b"reply-to:"))[9:]
    for round in (b"first", b"second"):
        other.say(send(b"/queue/" + reply, round))
        assert house.queue(reply) == (1, 0, 0)
        other.say(subscribe(b"2", b"/queue/" + reply))
        house.turn()
        assert bodies(other.hear()) == [round]
        other.say(b"UNSUBSCRIBE\nid:2\n\n\0")
        house.advance(IDLE + TICK)
        assert house.queue(reply) is None
    other.say(send(reply, b"answer"))
    assert bodies(owner.hear()) == [b"answer"]


def test_the_second_delivery_can_be_settled_while_the_first_is_in_a_transaction(face: Face, house: Face) -> None:
    client = face.Client(house, b"1.0")
    client.say(subscribe(b"1", b"/topic/a", b"ack:client-individual\n") + subscribe(b"2", b"/topic/#", b"ack:client\n"))
    house.publish(b"/topic/a", b"x")
    number = messages(client.hear())[0].number
    client.say(b"BEGIN\ntransaction:t\n\n\0ACK\nmessage-id:epoch-%d\ntransaction:t\n\n\0" % number)
    client.say(b"ACK\nmessage-id:epoch-%d\n\n\0" % number)
    with pytest.raises(Refused):
        client.say(b"ACK\nmessage-id:epoch-%d\n\n\0" % number)
    client.say(b"COMMIT\ntransaction:t\n\n\0")
    assert house.stats["deliveries"] == 0
