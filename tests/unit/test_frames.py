"""Header encoding between versions: a subscriber sees what the publisher wrote, as far as its version can say it.

Everything goes over the wire to a live broker; the test encodes and decodes by the tables of the specification.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest
from harness.broker import Broker
from harness.client import Client, Delivery
from harness.frames import VERSIONS, frame, unique
from hypothesis import example, given
from hypothesis import strategies as st

Headers = list[tuple[str, str]]

ESCAPES: dict[str, dict[str, str]] = {"1.0": {}, "1.1": {"\\": "\\\\", "\n": "\\n", ":": "\\c"}}
ESCAPES["1.2"] = {**ESCAPES["1.1"], "\r": "\\r"}
OWN = re.compile(
    "destination|content-length|receipt|transaction|reply-to|message-id|subscription|ack|redelivered"
)  # headers with a meaning of their own

SHARED_BODY = 8192  # from here on the broker writes bodies by reference


def encode(text: str, version: str) -> str:
    return "".join(ESCAPES[version].get(char, char) for char in text)


def decode(text: str, version: str) -> str:
    known = {escape: plain for plain, escape in ESCAPES[version].items()}
    return re.sub(r"(?s)\\.?", lambda escape: known[escape[0]], text) if known else text


def can_say(header: tuple[str, str], version: str) -> bool:
    """Whether a header can be written down in this version."""
    name, value = header
    if version == "1.0" and (":" in name or "\n" in name + value or any(t != t.strip(" \t") for t in header)):
        return False
    return version == "1.2" or not value.endswith("\r")  # in 1.0 it ends the line, and looks like that in 1.1


def seen_by(headers: Headers, version: str) -> Headers:
    """What a subscriber gets to see. Version 1.0 has no way to write a line end, a colon in a name or an empty value,
    and 1.1 none to write a CR."""
    blanks = {"1.0": str.maketrans("\r\n", "  "), "1.1": str.maketrans("\r", " "), "1.2": {}}[version]
    seen = [(name.translate(blanks), value.translate(blanks)) for name, value in headers]
    return seen if version != "1.0" else [(name, value) for name, value in seen if value and ":" not in name]


def lines_of(headers: Headers, version: str) -> list[str]:
    return [f"{encode(name, version)}:{encode(value, version)}" for name, value in headers]


def read_message(client: Client) -> tuple[Headers, bytes]:
    """The headers of a MESSAGE that the broker did not make, and the body."""
    data = client.read_frame()
    head, _, body = data.removesuffix(b"\0\n").partition(b"\n\n")
    command, *lines = head.decode().split("\n")
    assert command == "MESSAGE"
    pairs = [tuple(decode(part, client.version) for part in line.split(":", 1)) for line in lines]
    made = {"subscription", "message-id", "ack"}
    return [(name, value) for name, value in pairs if name not in made], body


@contextmanager
def logged_in(broker: Broker, *versions: str) -> Iterator[list[Client]]:
    """Connections of these versions."""
    with ExitStack() as stack:
        clients = [stack.enter_context(closing(Client(broker))) for _ in versions]
        for client, version in zip(clients, versions, strict=True):
            client.login(version)
        yield clients


def exchange(broker: Broker, destination: str, headers: Headers, body: bytes, versions: list[str], ack: str) -> None:
    """The first version publishes, and the others see what they must see."""
    with logged_in(broker, *versions) as (publisher, *subscribers):
        for subscriber in subscribers:
            subscriber.subscribe(destination, ack=ack)
        lines = lines_of(
            [("destination", destination), ("content-length", str(len(body))), *headers], publisher.version
        )
        publisher.send(frame("SEND", *lines, body=body) * 2)  # the second time from the parser's memory of the first
        for subscriber in subscribers * 2:
            expected = seen_by(headers, subscriber.version)
            got, got_body = read_message(subscriber)
            assert got == [("destination", destination), ("content-length", str(len(body))), *expected]
            assert got_body == body


NASTY = [
    ("plain", "value"),
    ("plain", "repeated"),
    ("empty", ""),
    ("colons", "a:b::"),
    ("back\\slash", "\\n\\c\\\\\\r\\"),
    ("line\nfeed", "a\nMESSAGE\nmessage-id:forged\n\nb"),
    ("colon:name", "lost for 1.0"),
    ("carriage\rreturn", "a\rb\r\nc"),
    ("  blanks ", "\t around \t"),
    ("zażółć", "gęślą jaźń 😀\u2028\x85\x0b\x1f"),
]

every_publisher = pytest.mark.parametrize("publisher", VERSIONS)
every_subscriber = pytest.mark.parametrize("subscriber", VERSIONS)
every_way = pytest.mark.parametrize(
    ("kind", "ack"), [("/topic/", "auto"), ("/topic/", "client"), ("/queue/", "auto"), ("/queue/", "client")]
)


@every_publisher
@every_subscriber
@every_way
@pytest.mark.parametrize("size", [0, 100, SHARED_BODY])
def test_nasty_headers(broker: Broker, publisher: str, subscriber: str, kind: str, ack: str, size: int) -> None:
    headers = [header for header in NASTY if can_say(header, publisher)]
    destination = unique(f"{kind}frames.")
    exchange(broker, destination, headers, bytes(size), [publisher, subscriber], ack)


@every_publisher
@pytest.mark.parametrize("ack", ["auto", "client-individual"])
@pytest.mark.parametrize("size", [100, SHARED_BODY])
def test_nasty_headers_to_many(broker: Broker, publisher: str, ack: str, size: int) -> None:
    headers = [header for header in NASTY if can_say(header, publisher)]
    exchange(broker, unique("/topic/frames."), headers, bytes(size), [publisher, *VERSIONS, *VERSIONS], ack)


TEXTS = st.text(
    st.sampled_from("ab :\\ncr\n\r\té😀") | st.characters(codec="utf-8", exclude_characters="\0"), max_size=12
)
NAMES = TEXTS.filter(lambda name: name and not OWN.fullmatch(name))
HEADERS = st.lists(st.tuples(NAMES, TEXTS), max_size=6)


@given(
    headers=HEADERS,
    body=st.binary(max_size=40),
    versions=st.tuples(*[st.sampled_from(VERSIONS)] * 2),
    ack=st.sampled_from(["auto", "client"]),
    kind=st.sampled_from(["/topic/", "/queue/"]),
)
@example(headers=[("x", "1\r")], body=b"", versions=("1.2", "1.1"), ack="auto", kind="/topic/")
@example(headers=[("\r", "")], body=b"", versions=("1.2", "1.2"), ack="client", kind="/queue/")
def test_any_headers(
    broker: Broker, headers: Headers, body: bytes, versions: tuple[str, str], ack: str, kind: str
) -> None:
    headers = [header for header in headers if can_say(header, versions[0])]
    exchange(broker, unique(f"{kind}frames."), headers, body, list(versions), ack)


def test_headers_of_the_broker_cannot_be_forged(broker: Broker) -> None:
    """Neither as they are nor by escapes: a name is what it says when it is decoded."""
    forged = [(name, "forged") for name in ("message-id", "subscription", "ack", "redelivered", "receipt-id")]
    for publisher, subscriber in itertools.product(VERSIONS, VERSIONS):
        destination = unique("/topic/frames.")
        with logged_in(broker, publisher, subscriber) as (sender, receiver):
            receiver.subscribe(destination)
            sender.send(frame("SEND", f"destination:{destination}", *lines_of(forged, publisher)))
            receiver.expect_message(destination, "", "receipt-id:forged")


# What a client calls something is what the broker calls it in its answers.


def can_echo(value: str, version: str) -> bool:
    """Whether the broker can say it in the same version; it writes no CR to a client of 1.0 or 1.1."""
    return value != "" and can_say(("name", value), version) and (version == "1.2" or "\r" not in value)


@given(version=st.sampled_from(VERSIONS), value=TEXTS)
@example(version="1.2", value="a\r:\\\n")
def test_any_receipt(broker: Broker, version: str, value: str) -> None:
    if not can_echo(value, version):
        return
    with logged_in(broker, version) as (client,):
        line = encode(value, version)
        client.send(frame("BEGIN", "transaction:t", f"receipt:{line}"), frame("NONSENSE", f"receipt:{line}"))
        client.expect(frame("RECEIPT", f"receipt-id:{line}") + b"\n")
        client.expect_error("unknown command", receipt=line)


@given(version=st.sampled_from(VERSIONS), value=TEXTS)
@example(version="1.1", value="a:\\\n")
def test_any_subscription_id(broker: Broker, version: str, value: str) -> None:
    if not can_echo(value, version):
        return
    id, topic = encode(value, version), unique("/topic/frames.")
    with logged_in(broker, version) as (client,):
        client.ack_modes[id] = "client"
        client.send(frame("SUBSCRIBE", f"id:{id}", f"destination:{topic}", "ack:client"))
        client.send(frame("SEND", f"destination:{topic}"))
        got = client.expect(message_to(id, topic, version))
        client.ack(Delivery(id, got["message_id"], got.get("ack", "")))
        client.unsubscribe(id)


def message_to(id: str, topic: str, version: str) -> bytes:
    """An empty MESSAGE of a subscription in ack mode `client`."""
    lines = [f"subscription:{id}", "message-id:<message-id>", *(["ack:<ack>"] if version == "1.2" else [])]
    return frame("MESSAGE", *lines, f"destination:{topic}") + b"\n"
