"""Deadlines: each is armed for the time at which it acts, and does what it says then, and nothing before."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bench.micro.compiled import compiled
from bench.micro.turns import Loop
from fastbroker.config import Config, hub_settings
from fastbroker.core.hub import Hub

Face = Any  # of a module that the type checker knows nothing of
START, TICK = 1_000_000, 10
DISCONNECT, DROP_OLDEST = 0, 1
MILLISECONDS = {
    "login_timeout": 10_000,
    "frame_timeout": 60_000,
    "idle_timeout": 7_200_000,
    "outbound_timeout": 11_000,
    "slow_consumer_grace": 2_000,
    "linger": 3_000,
    "transaction_timeout": 30_000,
}


@pytest.fixture(scope="module")
def face() -> Face:
    return compiled(Path(__file__).with_name("deadlines_face.pyx"))


@pytest.fixture
def watched(face: Face) -> Face:
    settings = {**hub_settings(Config()), "max_connections": 10, **MILLISECONDS, "heart_beat_margin": 2.0}
    hub = Hub(cast("Any", Loop()), settings=settings, log=note, server="fastbroker/test")
    told.clear()
    return face.Watched(hub, START)


told: list[tuple[str, dict[str, Any]]] = []


def note(_level: str, event: str, **fields: Any) -> None:
    told.append((event, fields))


def fails(message: str) -> Callable[[Face], bool]:
    return lambda watched: (
        watched.reason == message and watched.said.startswith(b"ERROR\nmessage:%b\n" % message.encode())
    )


def aborts(reason: str) -> Callable[[Face], bool]:
    return lambda watched: bool(watched.aborted == reason)


def connected(*calls: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    return [("is_connected",), *calls]


RULES = {
    "login": ([], 10_000, fails("login timed out")),
    "login, whatever comes": ([("reads",)], 10_000, fails("login timed out")),
    "frame": (connected(("keeps", b"SEND\n")), 60_000, fails("frame too slow")),
    "wrapping": (connected(("is_wrapped",)), 60_000, fails("frame too slow")),
    "silence": (connected(), 7_200_000, fails("idle too long")),
    "heart-beat of the client": (connected(("beats", 0, 700)), 1400, fails("no heart-beat")),
    "heart-beat of ours": (connected(("beats", 900, 0)), 600, lambda watched: watched.said == b"\n"),
    "silence in a transaction": (connected(("begins",)), 30_000, fails("transaction timed out")),
    "kept from sending in a transaction": (
        connected(("begins",), ("beats", 0, 700), ("pauses",)),
        30_000,
        fails("transaction timed out"),
    ),
    "stalled": (connected(("is_blocked",)), 11_000, lambda watched: bool(watched.doom)),
    "slow": (connected(("is_slow", DISCONNECT)), 2000, lambda watched: bool(watched.doom)),
    "slow, where messages are dropped": (
        connected(("is_slow", DROP_OLDEST)),
        2000,
        lambda watched: watched.is_overdue and not watched.doom,
    ),
    "takes what is written": ([("lives", "ending")], 11_000, aborts("not closed by the client in time")),
    "closes": ([("lives", "shut")], 3000, aborts("not closed by the client in time")),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_deadline_acts_when_it_is_due(watched: Face, rule: str) -> None:
    calls, after, happens = RULES[rule]
    for name, *arguments in calls:
        getattr(watched, name)(*arguments)
    assert 0 <= watched.due - (START + after) < TICK, "the timer is armed for it"
    watched.act(START + after - 1)
    assert not happens(watched)
    assert (watched.reason, watched.aborted, watched.doom, watched.is_overdue) == (None, None, 0, False)
    watched.act(START + after)
    assert happens(watched)


def test_of_one_that_loses_messages_the_log_hears_again_after_a_while(watched: Face) -> None:
    watched.is_connected()
    watched.is_slow(DROP_OLDEST)
    watched.act(START + 2000)
    assert [(event, fields["policy"]) for event, fields in told] == [("slow consumer", "drop-oldest")]
    assert 0 <= watched.due - (START + 62_000) < TICK
    watched.act(START + 61_999)
    assert len(told) == 1
    watched.act(START + 62_000)
    assert [fields["seconds"] for _, fields in told] == [2, 62]


def test_the_earliest_counts(watched: Face) -> None:
    watched.is_connected()
    watched.beats(900, 700)
    assert watched.due == START + 600
    watched.set_now(START + 500)
    watched.is_wrapped()
    watched.is_slow(DISCONNECT)
    assert watched.due == START + 600
    watched.beats(0, 0)
    assert watched.due == START + 2500


def test_a_session_ends_for_one_reason(watched: Face) -> None:
    watched.is_connected()
    watched.keeps(b"SEND\n")
    watched.beats(0, 700)
    watched.act(START + 10_000_000)
    assert watched.reason == "frame too slow"
    assert watched.said.count(b"ERROR") == 1


def test_what_we_do_not_look_at_is_not_late(watched: Face) -> None:
    watched.is_connected()
    watched.keeps(b"SEND\n")
    watched.beats(0, 700)
    watched.pauses()
    watched.act(START + 10_000_000)
    assert watched.reason is None
    assert watched.due is None


def test_who_lets_hear_of_himself_keeps_a_transaction_open(watched: Face) -> None:
    watched.is_connected()
    watched.begins()
    for second in range(100):
        watched.set_now(START + 20_000 * second)
        watched.reads()
        watched.act(START + 20_000 * (second + 1))
    assert watched.reason is None
    assert START + 2_010_000 <= watched.due < START + 2_010_000 + TICK
    watched.act(START + 2_010_000)
    assert watched.reason == "transaction timed out"


def test_frames_of_a_transaction_do_not_wait_for_ever_whatever_comes(watched: Face) -> None:
    watched.is_connected()
    watched.begins()
    watched.parks()
    watched.set_now(START + 29_000)
    watched.reads()
    assert START + 30_000 <= watched.due < START + 30_000 + TICK
    watched.act(START + 30_000)
    assert watched.reason == "transaction timed out"


@pytest.mark.parametrize("all_of_it", [False, True])
def test_a_client_is_not_silent_while_its_frames_are_handled_that_waited(watched: Face, all_of_it: bool) -> None:
    watched.is_connected()
    watched.begins()
    watched.parks()
    watched.set_now(START + 29_000)
    watched.unparks(all_of_it)
    assert START + 59_000 <= watched.due < START + 59_000 + TICK
    watched.act(START + 59_000)
    assert watched.reason == "transaction timed out"


def test_a_peer_that_is_not_read_from_for_want_of_memory_is_looked_at(watched: Face) -> None:
    watched.is_connected()
    watched.pauses(for_memory=True)
    assert watched.due < START + 2 * TICK
    watched.act(START + 5)
    assert START + 1000 < watched.due < START + 1000 + 2 * TICK


def test_what_is_lost_has_no_deadline(watched: Face) -> None:
    watched.lives("lost")
    assert watched.due is None
