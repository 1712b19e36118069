"""Mutilated WebSocket streams against a live broker: what comes back is what the payload alone gets over TCP.

The plainest reader says which payload, which PINGs and which verdict are in a stream. That payload is written over TCP,
the stream over a WebSocket in random pieces, and the answers must be the same, apart from what the broker chooses.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest
from harness.broker import Broker
from harness.client import Client
from harness.frames import unique
from harness.websocket import UPGRADE, WebSocketClient, head, masked, request
from mutations import mutated, pieces
from reference_websocket import CLOSE, CONTINUATION, PING, PONG, Heard, read

from fastbroker.config import WebSocket
from fastbroker.web.handshake import Handshake

CHOSEN = re.compile(rb"^(session|message-id):[^\n]*$", re.MULTILINE)
STOMP_ERROR = re.compile(rb"^ERROR$", re.MULTILINE)
FRAME_ERROR = re.compile(rb"ERROR\nmessage:bad WebSocket frame\n[^\0]*\0\n\Z")
BODIES = [
    b"",
    b"body",
    b"\n",
    b"x" * 100,
    b"\0" * 10,
    b"x" * 9000,
    "żółć".encode(),
    b"\xff\xfe",
    bytes(range(256)) * 300,
]
MOST_CONTROLS = 30
"""Of one stream: a peer that sends too many in a second is cut off, which the plainest reader knows nothing of."""


def conversation(chance: random.Random, topic: str) -> bytes:
    """What a client says that gets its own messages back."""
    said = [b"CONNECT\naccept-version:1.2\nhost:x\n\n\0", f"SUBSCRIBE\nid:1\ndestination:{topic}\n\n\0".encode()]
    for number in range(chance.choice([0, 1, 3, 10])):
        body = chance.choice(BODIES)
        lines = f"SEND\ndestination:{topic}\nreceipt:{number}\ncontent-length:{len(body)}\n\n"
        said += [lines.encode() + body + b"\0", b"\n" * chance.choice([0, 0, 1])]
    return b"".join(said)


def frame(chance: random.Random, opcode: int, payload: bytes, *, final: bool = True) -> bytes:
    mask = chance.choice([bytes(4), chance.randbytes(4)])
    return head(opcode, len(payload), final=final, mask=mask) + masked(payload, mask)


def control(chance: random.Random) -> bytes:
    return frame(chance, chance.choice([PING, PING, PONG]), chance.randbytes(chance.choice([0, 1, 4, 125])))


def wrong(chance: random.Random) -> bytes:
    """A frame with something that must not be, or that ends everything."""
    opcode, length = chance.randrange(16), chance.choice([0, 1, 2, 125, 126, 127, 65535, 65536, 1 << 40, 1 << 63])
    if chance.random() < 0.3:
        code = chance.choice([0, 999, 1000, 1001, 1004, 1005, 1015, 2999, 3000, 4999, 5000])
        return frame(chance, CLOSE, chance.choice([b"", b"\x03", code.to_bytes(2, "big") + chance.randbytes(3)]))
    if chance.random() < 0.3:
        shape = chance.choice([126, 127])
        size = 2 if shape == 126 else 8
        return bytes([0x80 | opcode, 0x80 | shape]) + (length % (1 << 8 * size)).to_bytes(size, "big") + bytes(4)
    return head(
        opcode,
        length,
        final=chance.random() < 0.5,
        reserved=chance.choice([0, 0, 1, 2, 4]),
        mask=chance.choice([None, b"mask"]),
    )


def wrapped(chance: random.Random, said: bytes) -> bytes:
    """It in messages and fragments, with control frames between; sometimes with something wrong."""
    frames: list[bytes] = []
    most = chance.choice([1, 20, 200, 3000, 100_000]) if len(said) < 3000 else chance.choice([200, 3000, 100_000])
    within, controls = False, 0
    for part in pieces(said, chance, most):
        final = chance.random() < 0.6
        opcode = CONTINUATION if within else chance.choice([1, 2])
        frames.append(frame(chance, opcode, part, final=final))
        within = not final
        if controls < MOST_CONTROLS and chance.random() < 0.2:
            controls += 1
            frames.append(control(chance))
    if chance.random() < 0.5:
        frames.insert(chance.randint(0, len(frames)), wrong(chance))
    stream = b"".join(frames)
    return mutated(stream, chance, 2) if chance.random() < 0.3 else stream


def over_tcp(broker: Broker, payload: bytes) -> bytes:
    with closing(Client(broker)) as client:
        with suppress(OSError):  # the broker has had enough
            client.send(payload)
            client.stop_sending()
        return CHOSEN.sub(rb"\1:", client.read_all())


def over_websocket(broker: Broker, parts: list[bytes]) -> tuple[bytes, WebSocketClient]:
    with closing(WebSocketClient(broker)) as client:
        with suppress(OSError):  # the broker has had enough
            for part in parts:
                client.send_raw(part)
            client.stop_sending()
        return CHOSEN.sub(rb"\1:", client.read_all()), client


def check(heard: Heard, expected: bytes, got: bytes, client: WebSocketClient) -> None:
    """The same answers; behind them the verdict, unless STOMP has found something wrong before."""
    if STOMP_ERROR.search(expected):
        assert got == expected
        return
    is_wrong = FRAME_ERROR.search(got)
    assert FRAME_ERROR.sub(b"", got) == expected
    if is_wrong:
        assert client.close_code == heard.code
    else:
        assert client.close_code == (heard.code or 1000)
    assert client.pongs == heard.pings[: len(client.pongs)] or len(b"".join(heard.pings)) > 1000
    assert heard.code or len(client.pongs) == len(heard.pings) or len(b"".join(heard.pings)) > 1000


@pytest.fixture(scope="module")
def victim(broker_with: Callable[..., Broker]) -> Broker:
    return broker_with(limits={"linger": 1.0, "max_frame": 1 << 20})


def test_agrees_with_the_plainest_reader(victim: Broker, chance: random.Random, seconds: float, tmp_path: Path) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        stream = wrapped(chance, conversation(chance, unique("/topic/fuzz.")))
        parts = pieces(stream, chance, chance.choice([1, 3, 17, 5000]) if len(stream) < 1000 else len(stream))
        heard = read(stream)
        if len(heard.pings) > 2 * MOST_CONTROLS:
            continue
        try:
            got, client = over_websocket(victim, parts)
            check(heard, over_tcp(victim, heard.payload), got, client)
        except AssertionError:
            (tmp_path / "written").write_bytes(stream)
            print(f"what was written is in {tmp_path / 'written'}; the code is {heard.code}")
            raise
    assert victim.census()["sessions"] == 0


REQUESTS = [
    request(),
    request("/", {"Host": "localhost:15674", "If-None-Match": '"x"'}),
    request("/sockjs/info", Origin="http://localhost"),
    request("/ws/000/abc/websocket", Origin="http://127.0.0.1"),
    request(Sec_WebSocket_Protocol="v10.stomp, v12.stomp", Sec_WebSocket_Extensions="permessage-deflate"),
    request("/", {"Host": "x"}, "HEAD"),
]


def test_every_request_gets_an_answer(chance: random.Random, seconds: float) -> None:
    handshake = Handshake(WebSocket(), server="fastbroker/fuzz")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        sent = mutated(chance.choice(REQUESTS), chance)
        handshake.may_become_request(sent)
        answer = handshake.answer(sent.partition(b"\r\n\r\n")[0], False, "127.0.0.1")
        assert answer.head.startswith(b"HTTP/1.1 101 " if answer.upgraded else b"HTTP/1.1 ")
        assert answer.head.endswith(b"\r\n\r\n")
        assert answer.head.count(b"\r\n\r\n") == 1, "nothing of the request has become a line of its own"
        if answer.upgraded:
            names = {line.partition(b":")[0].strip().lower() for line in sent.split(b"\r\n")}
            assert {name.lower().encode() for name in UPGRADE} <= names
