"""Logs: one line for each event, safe to read whatever a client sent, and never in the way of the loop.

`Log` decides which events are written, and how often; `core.logline` makes lines of them, for people or as
JSON; `writer.py` brings those to a descriptor whose reader may be slow, or gone.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, TextIO

from fastbroker import config
from fastbroker.core import logline
from fastbroker.core.reasons import LIMITED
from fastbroker.log.writer import Writer

# Events of these names, and events with these reasons, come in floods: each is logged once a second, with the number of
# events that stands for. What stands behind a colon in a reason is not looked at.
RATE_LIMITED = LIMITED | {
    "TLS handshake",
    "PROXY header",
    "out of file descriptors",
    "not raised",
    "dead letter",
    "no room for a connection",
    "origin refused",
    "slow consumer",
    "TLS hello on a plain port",
    "HTTP request on a STOMP port",
}
WINDOW = 1.0

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

Later = Callable[[float, Callable[[str], None], str], object]
Line = Callable[[str, str, Mapping[str, Any]], bytes]


class _Held(NamedTuple):
    """What a second has kept back: how many events, and the last of them."""

    events: int
    level: str
    event: str
    fields: Mapping[str, Any]


class Log:
    """What the broker calls as `log(level, event, **fields)`, from its loop."""

    def __init__(self, level: str, line: Line, write: Callable[[bytes], object], later: Later) -> None:
        """Give `write` the lines that `line` makes of events; `later` is the loop's `call_later`."""
        self._least = _LEVELS[level]
        self._line = line
        self._write = write
        self._later = later
        self._held: dict[str, _Held] = {}

    @property
    def debug(self) -> bool:
        """Whether events of that level are written."""
        return self._least <= _LEVELS["debug"]

    def __call__(self, level: str, event: str, /, **fields: Any) -> None:
        """Log an event; where it is rate limited, the first at once and the last at the end of the second."""
        if _LEVELS[level] < self._least:
            return
        what = event if event in RATE_LIMITED else str(fields.get("reason")).partition(":")[0]
        if what not in RATE_LIMITED:
            self._write(self._line(level, event, fields))
            return
        # A quiet kind must not keep a loud one back, nor a warning the end of the connection that it is about.
        kind = f"{level} {event} {what}"
        if kind in self._held:
            self._held[kind] = _Held(self._held[kind].events + 1, level, event, fields)
        else:
            self._write(self._line(level, event, fields))
            self._hold(kind)

    def _hold(self, kind: str) -> None:
        self._held[kind] = _Held(0, "", "", {})
        self._later(WINDOW, self._release, kind)

    def _release(self, kind: str) -> None:
        held = self._held.pop(kind)
        if held.events:
            self._write(self._line(held.level, held.event, {**held.fields, "events": held.events}))
            self._hold(kind)


def line_of(style: str, *, colors: bool) -> Line:
    """How an event becomes a line: `text`, with colours or without, or `json`."""
    return logline.json_line if style == "json" else logline.coloured_line if colors else logline.text_line


@contextmanager
def logging_to(stream: TextIO, settings: config.Log, later: Later) -> Iterator[Log]:
    """A log that a thread writes to a stream; at the end what is still to be written gets a short time."""
    line = line_of(settings.format, colors=stream.isatty())
    sink = Writer(stream.fileno(), partial(_lost, line))
    try:
        yield Log(settings.level, line, sink.write, later)
    finally:
        sink.close()


def _lost(line: Line, number: int) -> bytes:
    return line("warning", "log lines lost", {"lines": number})
