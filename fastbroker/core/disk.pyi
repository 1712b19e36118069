"""A store that is a directory."""

from pathlib import Path
from typing import final

from fastbroker.core.journal import Store

@final
class Disk(Store):
    """The segments of a journal, and two threads that write them."""

    def __init__(self, path: str | Path, id: bytes, segment_bytes: int) -> None:
        """Open the segments in a directory that has that id of 16 bytes. Raises StoreError."""
    @property
    def damaged(self) -> tuple[int, str, int]:
        """Bytes that could not be read, the file where that was the last time, and at which byte of it."""
