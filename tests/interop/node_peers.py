"""The clients in JavaScript, all of them installed by npm into one directory.

`drivers-node/package.json` pins them, `package-lock.json` what they need, and node must be new enough for all of them.
All WebSockets but those of `overWS` and SockJS are those of the package ws, as in a browser; so wss is tried once.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from peers import ALL_VERSIONS, HEADERS, HERE, PEERS, RECEIPTS, SOFT_ERRORS, Gap, Peer, driver_environment, stamp_of

DRIVERS = HERE / "drivers-node"
PINNED = (DRIVERS / "package.json", DRIVERS / "package-lock.json")
NPM = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1", "--loglevel=error")
TIME_LIMIT = 180.0
OLDEST_NODE = 20


@cache
def node_trouble() -> str:
    """Why nothing can be run in node here; empty when it can."""
    if not (shutil.which("node") and shutil.which("npm")):
        return f"node and npm are not installed ({OLDEST_NODE} or newer is needed)"
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    found = re.match(r"v([0-9]+)", version)
    if not found or int(found[1]) < OLDEST_NODE:
        return f"node is {version or 'broken'}, but {OLDEST_NODE} or newer is needed"
    return ""


@dataclass(frozen=True)
class NodePeer(Peer):
    """A client from npm."""

    options: str = "{}"
    """What the driver gives to the library, as JSON."""

    @property
    def label(self) -> str:
        return f"{super().label}{'+' if self.variant else ''}{self.variant}"

    @property
    def directory(self) -> Path:
        return PEERS / "node"

    @property
    def stamp(self) -> str:
        return stamp_of(pinned=[file.read_text() for file in PINNED])

    @property
    def module(self) -> str:
        return "node_process"

    @property
    def environment(self) -> dict[str, str]:
        packages = str(self.directory)
        return driver_environment(INTEROP_ADAPTER=self.adapter, INTEROP_OPTIONS=self.options, INTEROP_PACKAGES=packages)

    def missing(self) -> str:
        return node_trouble() or super().missing()

    def fill(self, directory: Path) -> str:
        """Let npm fetch exactly what the lock says; return its first complaints when it cannot."""
        if trouble := node_trouble():
            return trouble
        directory.mkdir()
        for file in PINNED:
            shutil.copy(file, directory)
        try:
            done = subprocess.run(NPM, cwd=directory, capture_output=True, text=True, timeout=TIME_LIMIT, check=False)
        except subprocess.TimeoutExpired:
            return f"not done after {TIME_LIMIT:g} s"
        complaints = [line.removeprefix("npm error ") for line in done.stderr.splitlines()[:4]]
        return ", ".join(complaints or [f"npm ended with code {done.returncode}"]) if done.returncode else ""


OF_STOMPIT = HEADERS - {"headers of UNSUBSCRIBE", "headers of RECEIPT"} | {"ack transactions"}
RECONNECTING = RECEIPTS | HEADERS | SOFT_ERRORS | {"reconnects", "headers of each SUBSCRIBE anew", "close codes"}

TRIMS = Gap("takes blanks off header values", ("blanks_around_header_values_are_kept",))
NO_ESCAPES = Gap(
    "neither escapes nor unescapes header values",
    ("header_values_are_escaped",),
    ("1.1", "1.2"),
)
NO_ESCAPES_IN_1_1 = NO_ESCAPES._replace(why="escapes header values in 1.2 only", stomp=("1.1",))
NO_BYTES = Gap(
    "bodies are strings that end at a NUL",
    ("body_with_every_byte", "body_that_looks_like_frames", "body_of_a_mebibyte", "texts_and_bytes_take_turns"),
)
ONLY_TEXT = Gap(
    "SockJS carries text only",
    ("body_with_every_byte", "body_of_a_mebibyte", "texts_and_bytes_take_turns"),
)
CUTS_CHARACTERS = Gap(
    "cuts a long frame between UTF-16 units, so halves of a character arrive as U+FFFD",
    ("long_text_of_wide_characters",),
)
WHOLE_PACKETS = Gap(
    "takes each packet for whole frames",
    ("bodies_of_many_sizes", "text_of_a_mebibyte", "many_messages_are_acknowledged_one_by_one"),
    ways=("tcp",),
)
ONE_MEBIBYTE_FRAMES = Gap("its WebSocket refuses frames above 1 MiB", ("text_of_a_mebibyte",))
ONE_SUBSCRIPTION = Gap("has one subscription for each destination", ("two_subscriptions_to_one_topic_get_a_copy_each",))
CUT_CHARACTERS = Gap("decodes each packet by itself", ("long_text_of_wide_characters",))
NO_BODY = Gap("tells the message of an ERROR, not its body", ("error_says_what_was_wrong",))
NO_TRANSACTIONS = Gap(
    "has no transactions",
    (
        "commit_delivers_what_was_sent",
        "abort_forgets_what_was_sent",
        "transaction_name_can_be_used_again",
        "lost_connection_aborts_its_transaction",
    ),
)


def stompjs(variant: str = "", *gaps: Gap, **options: object) -> NodePeer:
    """@stomp/stompjs with its defaults, or with options over WebSocket."""
    ways = ("ws",) if variant else ("ws", "wss", "tcp")
    versions = ALL_VERSIONS[-1:] if variant else ALL_VERSIONS
    gaps = (TRIMS, NO_ESCAPES_IN_1_1, *gaps)
    return NodePeer(
        "@stomp/stompjs", "7.5.0", "stompjs", versions, RECONNECTING, ways, gaps, variant, json.dumps(options)
    )


def webstomp(variant: str, *gaps: Gap, **options: object) -> NodePeer:
    """webstomp-client with its defaults, or with options over WebSocket."""
    versions = ALL_VERSIONS[-1:] if variant else ALL_VERSIONS
    abilities = RECEIPTS | HEADERS | SOFT_ERRORS | {"close codes"}
    return NodePeer(
        "webstomp-client", "1.2.6", "webstomp", versions, abilities, ("ws",), gaps, variant, json.dumps(options)
    )


TABLE = (
    stompjs(),
    stompjs("split", CUTS_CHARACTERS, splitLargeFrames=True, maxWebSocketChunkSize=1023),
    stompjs("binary", forceBinaryWSFrames=True),
    stompjs("append", appendMissingNULLonIncoming=True),
    stompjs("sockjs", ONLY_TEXT, sockJs=True),
    NodePeer("@stomp/rx-stomp", "2.4.0", "rx-stomp", ("1.2",), RECONNECTING, ("ws", "tcp"), (TRIMS,)),
    webstomp("", TRIMS, NO_ESCAPES, NO_BYTES, CUTS_CHARACTERS),
    webstomp("binary", TRIMS, NO_ESCAPES, NO_BYTES, binary=True),
    webstomp("sockjs", TRIMS, NO_ESCAPES, NO_BYTES, CUTS_CHARACTERS, sockJs=True),
    NodePeer(
        "stompjs",
        "2.3.3",
        "stompjs2",
        ("1.0", "1.1"),
        RECEIPTS | SOFT_ERRORS | HEADERS - {"headers of UNSUBSCRIBE"},
        ("ws", "tcp"),
        (TRIMS, NO_ESCAPES, NO_BYTES, CUTS_CHARACTERS, WHOLE_PACKETS),
    ),
    NodePeer(
        "stompjs",
        "2.3.3",
        "stompjs2",
        ("1.1",),
        RECEIPTS | SOFT_ERRORS | HEADERS - {"headers of UNSUBSCRIBE"},
        ("ws",),
        (TRIMS, NO_ESCAPES, NO_BYTES, CUTS_CHARACTERS, ONE_MEBIBYTE_FRAMES),
        "overWS",
        json.dumps({"overWS": True}),
    ),
    NodePeer("stompit", "1.0.0", "stompit", ALL_VERSIONS, OF_STOMPIT, ("tcp", "tls"), (NO_BODY,)),
    NodePeer(
        "stomp-client",
        "0.9.0",
        "stomp-client",
        ("1.0",),
        frozenset({"reconnects", "error headers", "anonymous subscriptions"}),
        ("tcp", "tls"),
        (NO_BYTES, CUT_CHARACTERS, ONE_SUBSCRIPTION, NO_TRANSACTIONS),
    ),
)
