"""Lines of the log on their way to a thread."""

from collections.abc import Callable
from typing import final

@final
class Backlog:
    """What waits. The loop, or any thread, writes; one thread takes."""

    def __init__(self, most: int, wake: Callable[[], object]) -> None:
        """Hold up to `most` bytes; `wake` is called for the first line after `is_empty` said that there is none."""

    def write(self, line: bytes) -> None:
        """Have a line wait, or count it as lost. It returns at once, and may be called in any thread."""

    def is_empty(self) -> bool:
        """Whether nothing waits, so that whoever takes may sleep."""

    def take(self) -> tuple[bytearray, int]:
        """All that waits, and how many lines were lost behind it."""
