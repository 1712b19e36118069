"""Which events are logged, and how often."""

from collections.abc import Callable
from typing import Any, final

RATE_LIMITED: frozenset[str]
"""Names of events, and reasons, that are logged once a second."""
WINDOW: float
"""Seconds."""

@final
class Log:
    """What the broker calls as ``log(level, event, **fields)``, from its loop."""

    def __init__(
        self,
        level: str,
        line: Callable[[str, str, dict[str, Any]], bytes],
        write: Callable[[bytes], object],
        later: Callable[[float, Callable[[str], None], str], object],
    ) -> None:
        """Give `write` the lines that `line` makes of events; `later` is the loop's `call_later`."""

    @property
    def debug(self) -> bool:
        """Whether events of that level are written."""

    def __call__(self, level: str, event: str, /, **fields: Any) -> None:
        """Log an event; where it is rate limited, the first at once and the last at the end of the second."""
