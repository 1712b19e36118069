"""A journal that is written without a broker."""

from collections.abc import Iterable
from pathlib import Path
from typing import final

@final
class Rewriting:
    """What is written to a data directory that no broker uses, behind what is there."""

    def __init__(self, path: str | Path, id: bytes, shards: int, seed: int, segment_bytes: int) -> None:
        """Open the journal of a data directory of that identity. Raises StoreError and OSError."""
    def put(self, records: Iterable[tuple[int, int, bytes]]) -> None:
        """Write records of one group: kind, shard and payload of each. Raises StoreError."""
    def end(self, *, instead: bool) -> None:
        """See that all of it is on the disk, as if a broker had ended in good order. Raises StoreError.

        Then what was there before goes, if this is `instead` of it.
        """
    def close(self) -> None:
        """Let go of the files."""
