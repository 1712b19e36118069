"""Logs: one line for each event, safe to read whatever a client sent, and never in the way of the loop.

`core.log` decides which events are written, and how often; `core.logline` makes lines of them, for people or as JSON;
`writer.py` brings those to a descriptor whose reader may be slow, or gone.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, TextIO

from fastbroker import config
from fastbroker.core import logline
from fastbroker.core.log import Log
from fastbroker.log.writer import Writer

Later = Callable[[float, Callable[[str], None], str], object]
Line = Callable[[str, str, dict[str, Any]], bytes]


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
