"""Which protocol tests run over which transports.

STOMP is the same over each, and two of them show it whole: `tcp`, a stream of bytes, and `ws`, messages with heads of
their own. The others carry one of these in something else (`tls` and `unix` the stream, `wss` the messages). Of them is
asked in full what such a wrapping can spoil, which is the table `DIFFERS`; each remaining test runs over one of them,
in turn by its name, so that all they have in common with the first two is looked at through each of them, too.
"""

from __future__ import annotations

from zlib import crc32

import pytest
from harness.transports import CLIENTS

WHOLE = ("tcp", "ws")
SAMPLED = tuple(name for name in CLIENTS if name not in WHOLE)

DIFFERS: dict[str, dict[str, set[int]]] = {
    "any octets in bodies, and between frames": {"item": {1, 4, 7, 8, 9, 16}, "rule": {1, 12}},
    "large frames, streams without an end, and what was held back": {"item": {31, 32}},
    "the first bytes, and those right behind them": {"item": {34, 36, 40, 45, 46, 48}, "rule": {3, 17}},
    "heart-beats: what is written by a clock, and read by one": {"item": set(range(51, 62))},
    "the last bytes: ERROR, DISCONNECT, shutting one side": {"item": {107, 109, 114, 115, 116, 117}, "rule": {9}},
    "a client that is gone": {"item": {94, 101, 118}, "rule": {10}},
}
"""What a transport can do wrong on its own, and the items and rules that are about it."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "transport" in metafunc.fixturenames:
        metafunc.parametrize("transport", transports(metafunc.definition))


def transports(test: pytest.Item) -> tuple[str, ...]:
    """What a test runs over: what its marker `over` says, or else what follows from what it is about."""
    if only := test.get_closest_marker("over"):
        return only.args
    if any(is_about(test, kind, numbers) for about in DIFFERS.values() for kind, numbers in about.items()):
        return tuple(CLIENTS)
    return (*WHOLE, SAMPLED[crc32(test.name.encode()) % len(SAMPLED)])


def is_about(test: pytest.Item, kind: str, numbers: set[int]) -> bool:
    """Whether markers of this kind name one of these numbers."""
    return any(not numbers.isdisjoint(marker.args) for marker in test.iter_markers(kind))
