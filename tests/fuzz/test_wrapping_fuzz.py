"""A conversation in every wrapping: however it is cut, whatever control frames lie between, each says the same.

    ws, wss      STOMP in messages and fragments
    sockjs       in arrays of strings, in messages and fragments

Messages are cut into fragments and fragments into writes, at random; PING and PONG stand between fragments of a
message, between messages, and in one write with their ends. What comes back is what TCP brings, apart from what the
broker chooses.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable
from contextlib import closing

import pytest
from harness.broker import Broker
from harness.client import Client
from harness.frames import unique
from harness.websocket import (
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    SecureWebSocketClient,
    SockJsClient,
    WebSocketClient,
    head,
    masked,
)
from mutations import pieces

CHOSEN = re.compile(rb"^(session|message-id):[^\n]*$", re.MULTILINE)
BODIES = [b"", b"x", b"\n", b"]", b'"]', b"\\", "żółć".encode(), b"y" * 100, b"\x01" * 50, b"z" * 9000, b"w" * 70_000]
MOST_CONTROLS = 60
"""Of one conversation: a peer that sends too many in a second is cut off."""


@pytest.fixture(scope="module")
def victim(broker_with: Callable[..., Broker]) -> Broker:
    return broker_with(limits={"linger": 1.0})


def conversation(chance: random.Random, topic: str) -> list[bytes]:
    """Frames of a client that gets its own messages back, and leaves."""
    start = f"SEND\ndestination:{topic}\n\n".encode()
    return [
        b"CONNECT\naccept-version:1.2\nhost:x\nheart-beat:0,0\n\n\0",
        f"SUBSCRIBE\nid:1\ndestination:{topic}\n\n\0".encode(),
        *(start + chance.choice(BODIES) + b"\0" for _ in range(chance.choice([1, 2, 5, 20]))),
        b"DISCONNECT\nreceipt:bye\n\n\0",
    ]


def frame(chance: random.Random, opcode: int, payload: bytes, final: bool = True) -> bytes:
    mask = chance.choice([bytes(4), chance.randbytes(4)])
    return head(opcode, len(payload), final=final, mask=mask) + masked(payload, mask)


class Wrapping:
    """Puts messages into frames, with control frames wherever they may be."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.pings: list[bytes] = []
        self.controls = 0

    def between(self) -> bytes:
        """Sometimes a PING or a PONG."""
        if self.controls == MOST_CONTROLS or self.chance.random() < 0.6:
            return b""
        self.controls += 1
        payload = self.chance.randbytes(self.chance.choice([0, 1, 8, 125]))
        if self.chance.random() < 0.2:
            return frame(self.chance, PONG, payload)
        self.pings.append(payload)
        return frame(self.chance, PING, payload)

    def message(self, payload: bytes) -> bytes:
        """It in fragments."""
        parts = pieces(payload, self.chance, max(len(payload) // self.chance.choice([1, 1, 2, 5]), 1)) or [b""]
        frames = []
        for at, part in enumerate(parts):
            frames += [frame(self.chance, CONTINUATION if at else TEXT, part, at == len(parts) - 1), self.between()]
        return b"".join(frames)


def plain(chance: random.Random, said: list[bytes]) -> list[bytes]:
    """Messages of STOMP: cut anywhere."""
    stream = b"".join(said)
    return pieces(stream, chance, chance.choice([50, 500, 5000, len(stream)]))


def arrays(chance: random.Random, said: list[bytes]) -> list[bytes]:
    """Messages of SockJS: arrays of strings, cut between characters; what comes before the login is short."""
    text = b"".join(said[1:]).decode()
    most = chance.choice([50, 500, 5000, len(text)])
    messages, at = [json.dumps([said[0].decode()]).encode()], 0
    while at < len(text):
        strings = []
        for _ in range(chance.choice([0, 1, 1, 1, 3])):
            end = at + chance.randint(1, most)
            strings.append(text[at:end])
            at = end
        messages.append(json.dumps(strings, ensure_ascii=chance.random() < 0.5).encode())
    return messages


def over_tcp(broker: Broker, said: list[bytes]) -> bytes:
    with closing(Client(broker)) as client:
        client.send(b"".join(said))
        return CHOSEN.sub(rb"\1:", client.read_all())


@pytest.mark.parametrize(
    ("kind", "cut"),
    [(WebSocketClient, plain), (SecureWebSocketClient, plain), (SockJsClient, arrays)],
    ids=["ws", "wss", "sockjs"],
)
def test_every_wrapping_says_the_same(
    victim: Broker,
    chance: random.Random,
    seconds: float,
    kind: type[WebSocketClient],
    cut: Callable[[random.Random, list[bytes]], list[bytes]],
) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        said = conversation(chance, unique("/topic/wrapped."))
        wrapping = Wrapping(chance)
        stream = b"".join(wrapping.message(message) for message in cut(chance, said))
        writes = pieces(stream, chance, chance.choice([100, 3000, 70_000, len(stream)]))
        with closing(kind(victim)) as client:
            for write in writes[:2000]:
                client.send_raw(write)
            client.send_raw(*writes[2000:])
            got = CHOSEN.sub(rb"\1:", client.read_all())
        assert got == over_tcp(victim, said)
        assert client.close_code == 1000
        assert client.pongs == wrapping.pings[: len(client.pongs)] or len(b"".join(wrapping.pings)) > 1000
