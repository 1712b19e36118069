"""Logs: one line for each event whatever a client sent, no secrets, no floods (S19)."""

import io
import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fastbroker.core.log import RATE_LIMITED, Log
from fastbroker.core.logline import LONGEST, SECRET, clean
from fastbroker.log import line_of


class Clock:
    """Holds what was asked for later."""

    def __init__(self):
        self.due = []

    def call_later(self, _delay, callback, *arguments):
        self.due.append((callback, arguments))

    def tick(self):
        due, self.due = self.due, []
        for callback, arguments in due:
            callback(*arguments)


def logged(level="info", style="json", *, colors=False):
    stream = io.StringIO()
    clock = Clock()

    def write(line):
        stream.write(line.decode())

    return Log(level, line_of(style, colors=colors), write, clock.call_later), stream, clock


def objects(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json():
    log, stream, _ = logged()
    log("info", "disconnected", reason="no heart-beat", peer="127.0.0.1:5", frames=3, clean=False, quoted='"')
    (line,) = objects(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "info", "event": "disconnected", "reason": "no heart-beat", "peer": "127.0.0.1:5", "frames": 3,
        "clean": False, "quoted": '"',
    }  # fmt: skip


def test_whole_numbers_of_every_length():
    log, stream, _ = logged()
    numbers = [10**digits + step for digits in range(19) for step in (-1, 0, 1)] + [2**63 - 1]
    for each in numbers:
        log("info", "event", value=each)
    assert [line["value"] for line in objects(stream)] == numbers


@pytest.mark.parametrize("style", ["text", "json"])
@pytest.mark.parametrize("colors", [False, True])
def test_what_has_nothing_to_say_is_left_out(style, colors):
    log, stream, _ = logged(style=style, colors=colors)
    log("info", "disconnected", login=None, reason="disconnect")
    assert "login" not in stream.getvalue() and "disconnect" in stream.getvalue()


def test_text():
    log, stream, _ = logged(style="text")
    log("warning", "slow consumer", peer="127.0.0.1:5", reason='a "b" c=d', bytes=7)
    timestamp, rest = stream.getvalue().split(" ", 1)
    assert timestamp.endswith("Z")
    assert rest == "[warning  ] slow consumer peer=127.0.0.1:5 reason='a \"b\" c=d' bytes=7\n"


def test_text_in_colours_is_the_same_text():
    log, stream, _ = logged(style="text", colors=True)
    log("warning", "slow consumer", peer="127.0.0.1:5", reason='a "b" c=d', bytes=7)
    assert stream.getvalue().endswith("\x1b[36mbytes\x1b[0m=\x1b[35m7\x1b[0m\n")
    plain = re.sub("\x1b\\[[0-9]+m", "", stream.getvalue())
    assert plain.split(" ", 1)[1] == "[warning  ] slow consumer peer=127.0.0.1:5 reason='a \"b\" c=d' bytes=7\n"


def test_timestamps_are_of_now():
    log, stream, _ = logged()
    before = datetime.now(UTC)
    log("info", "event")
    stamp = datetime.fromisoformat(objects(stream)[0]["timestamp"])
    assert before - timedelta(milliseconds=1) <= stamp <= datetime.now(UTC)
    assert stamp.tzinfo is not None


@pytest.mark.parametrize(("level", "seen"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_levels(level, seen):
    log, stream, _ = logged(level)
    for each in ("debug", "info", "warning", "error"):
        log(each, "event")
    assert len(objects(stream)) == seen


@pytest.mark.parametrize("style", ["text", "json"])
@pytest.mark.parametrize(
    "value", ["a\nb", "a\r\nlevel=error", "\x1b[31m", "\x00", "\x85", "\u2028", "\u202e", "\ud800", b"\xff\n"]
)
def test_a_value_cannot_start_a_new_line_or_command_a_terminal(style, value):
    log, stream, _ = logged(style=style)
    log("info", "event", value=value)
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert text[:-1].isprintable()


@pytest.mark.parametrize("style", ["text", "json"])
@given(
    value=st.one_of(st.text(), st.binary(), st.integers(-(2**63), 2**63), st.floats(), st.none(), st.lists(st.text()))
)
def test_any_value_is_one_line(style, value):
    log, stream, _ = logged(style=style)
    log("info", "event", value=value)
    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue()[:-1].isprintable()


def test_a_long_value_is_cut():
    assert len(clean("x" * 10_000)) == LONGEST + 1
    assert len(clean(b"x" * 10_000)) == LONGEST + 1
    assert clean("x" * LONGEST) == "x" * LONGEST


@pytest.mark.parametrize("style", ["text", "json"])
@pytest.mark.parametrize(
    "fields",
    [
        {"passcode": "canary"},
        {"Authorization": "canary"},
        {"frame": "CONNECT\npasscode:canary\n"},
        {"frame": b"CONNECT\npasscode: canary and more\n"},
        {"frame": "GET / HTTP/1.1\r\nAuthorization: Bearer canary\r\n"},
        {"frame": "x-password = canary"},
        {"headers": {"passcode": "canary"}},
        {"frame": "x" * (LONGEST - 12) + "passcode:canary"},
    ],
)
def test_secrets_are_not_logged(style, fields):
    log, stream, _ = logged(style=style)
    log("info", "event", **fields)
    assert "canary" not in stream.getvalue()


_PIECES = [*"aden:=_- \t7tTé", "passcode", "Token", "secret", "COOKIE", "password", "authorization", "canary"]


@given(st.lists(st.sampled_from(_PIECES), max_size=12).map("".join))
def test_what_needs_no_mending_has_no_secret(text):
    """The quick look and the expression that finds secrets agree."""
    mended = SECRET.sub(r"\1\2[redacted]", text)
    assert clean(text) == (mended if mended.isprintable() else mended.replace("\t", "\\t"))


@pytest.mark.parametrize("reason", [*sorted(RATE_LIMITED), "TLS handshake: timed out"])
def test_a_flood_is_one_line_a_second_with_a_count(reason):
    log, stream, clock = logged()
    for number in range(100):
        log("info", "disconnected", reason=reason, number=number)
    assert [line["number"] for line in objects(stream)] == [0]
    clock.tick()
    assert [(line["number"], line.get("events")) for line in objects(stream)] == [(0, None), (99, 99)]
    log("info", "disconnected", reason=reason, number=100)
    assert len(objects(stream)) == 2, "the second after a flood is limited as well"
    clock.tick()
    clock.tick()
    assert not clock.due, "no timer runs when nothing happens"
    log("info", "disconnected", reason=reason, number=101)
    assert [line["number"] for line in objects(stream)] == [0, 99, 100, 101]


def test_what_is_not_written_keeps_nothing_back():
    """A load balancer that looks whether the broker is there must not hide who is refused."""
    log, stream, clock = logged()
    for _ in range(3):
        log("debug", "refused", reason="PROXY header: nothing was sent")
        log("warning", "refused", reason="PROXY header: malformed")
    log("debug", "refused", reason="PROXY header: nothing was sent")
    clock.tick()
    assert [(line["level"], line.get("events")) for line in objects(stream)] == [("warning", None), ("warning", 2)]


@pytest.mark.parametrize("event", ["slow consumer", "dead letter", "no room for a connection", "origin refused"])
def test_a_flood_of_warnings_of_one_kind_is_one_line_a_second(event):
    log, stream, clock = logged()
    for number in range(100):
        log("warning", event, number=number)
    log("warning", "something else", number=7)
    clock.tick()
    assert [(line["number"], line.get("events")) for line in objects(stream)] == [(0, None), (7, None), (99, 99)]


@pytest.mark.parametrize("level", ["debug", "info"])
def test_the_core_is_told_whether_anybody_wants_to_know(level):
    assert logged(level)[0].debug is (level == "debug")


def test_disconnects_are_never_left_out():
    log, stream, _ = logged()
    for _ in range(100):
        log("info", "disconnected", reason="closed by client")
    assert len(objects(stream)) == 100
