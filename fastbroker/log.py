"""Logs: one line for each event, on the standard error output, safe to read whatever a client sent."""

import contextlib
import re
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, NamedTuple, TextIO

import orjson
import structlog

from fastbroker import config

LONGEST = 256

# Events with these reasons come in floods: each is logged once a second, with the number of events that stands for.
# What stands behind a colon in a reason is not looked at.
RATE_LIMITED = frozenset({"server busy", "TLS handshake", "PROXY header", "out of file descriptors", "not raised"})
WINDOW = 1.0

_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_SECRET = re.compile(r"(passcode|password|authorization|cookie|token|secret)(\W{0,2}[:=])[^\r\n]+", re.IGNORECASE)
_SECRET_NAMES = frozenset({"passcode", "password", "authorization", "cookie", "token", "secret"})
_REDACTED = "[redacted]"

Later = Callable[[float, Callable[[str], None], str], object]


class _Held(NamedTuple):
    """What a second has kept back: how many events, and the last of them."""

    events: int
    level: str
    event: str
    fields: Mapping[str, Any]


class Log:
    """What the broker calls as `log(level, event, **fields)`."""

    def __init__(self, settings: config.Log, stream: TextIO, later: Later) -> None:
        """Write to `stream`; `later` is the loop's `call_later`."""
        self._later = later
        self._held: dict[str, _Held] = {}
        self._logger = structlog.wrap_logger(
            structlog.WriteLogger(stream),
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper("iso", utc=True),
                _clean_fields,
                _renderer(settings.format, colors=stream.isatty()),
            ],
            wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[settings.level]),
        )

    def __call__(self, level: str, event: str, /, **fields: Any) -> None:
        """Log an event; where its reason is rate limited, the first at once and the last at the end of the second."""
        reason = str(fields.get("reason")).partition(":")[0]
        # Those that are not even written must not keep others back.
        kind = f"{level} {reason}"
        if reason not in RATE_LIMITED:
            self._write(level, event, fields)
        elif kind in self._held:
            self._held[kind] = _Held(self._held[kind].events + 1, level, event, fields)
        else:
            self._write(level, event, fields)
            self._hold(kind)

    def _hold(self, kind: str) -> None:
        self._held[kind] = _Held(0, "", "", {})
        self._later(WINDOW, self._release, kind)

    def _release(self, kind: str) -> None:
        held = self._held.pop(kind)
        if held.events:
            self._write(held.level, held.event, {**held.fields, "events": held.events})
            self._hold(kind)

    def _write(self, level: str, event: str, fields: Mapping[str, Any]) -> None:
        # A reader of the log that went away must not take the broker with it.
        with contextlib.suppress(OSError):
            self._logger.log(_LEVELS[level], event, **fields)


def clean(value: Any) -> Any:
    """Make a value fit for a line of the log: not long, no secrets, no control characters. Numbers stay numbers."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = value[: LONGEST + 1].decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]}…"
    text = _SECRET.sub(rf"\1\2{_REDACTED}", text)
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")


def _clean_fields(_logger: Any, _method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Clean all values, and put what every line has in front."""
    ordered = {name: fields[name] for name in ("timestamp", "level", "event")} | dict(fields)
    return {name: _REDACTED if name.lower() in _SECRET_NAMES else clean(value) for name, value in ordered.items()}


def _renderer(style: str, *, colors: bool) -> structlog.typing.Processor:
    if style == "json":
        return structlog.processors.JSONRenderer(lambda fields, **_: orjson.dumps(fields).decode())
    return structlog.dev.ConsoleRenderer(colors=colors, pad_event_to=0, sort_keys=False)
