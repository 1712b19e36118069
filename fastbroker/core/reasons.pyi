"""Why a session ends, and what each layer says then."""

from typing import final

@final
class Reason:
    """One row of the table."""

    @property
    def text(self) -> str:
        """What ERROR has as its message, CLOSE as its reason, and the log."""
    @property
    def close_code(self) -> int:
        """Of the WebSocket."""
    @property
    def status(self) -> int:
        """Of the HTTP answer, where there is no WebSocket yet."""
    @property
    def level(self) -> str:
        """Of the line in the log."""
    @property
    def limited(self) -> bool:
        """Whether a client can cause such lines as fast as it likes."""

def status_of(text: str) -> int:
    """The HTTP status for a reason, where there is no WebSocket yet."""

LIMITED: frozenset[str]
"""Reasons that the log tells of once a second."""
SOFT: frozenset[bytes]
"""Reasons for which one frame is refused, and the next one may be all right."""
TABLE: tuple[tuple[str, int, int, str, bool], ...]
"""Text, close code, status, level, limited."""
DONE: int
BROKEN: int
FOREIGN: int
FORBIDDEN: int
TOO_LARGE: int
OURS: int
STOPPING: int
LATER: int
