"""What a journal holds, for those who only look at it."""

from pathlib import Path
from typing import final

@final
class Survey:
    """A journal that is read as a start reads it, but part by part; nothing is changed, and its broker may run."""

    def __init__(self, path: str | Path, id: bytes, shards: int, seed: int) -> None:
        """Open the segments of a data directory of that identity. Raises StoreError and OSError."""
    @property
    def damage(self) -> list[tuple[str, int, int]]:
        """What could not be read so far: in which file, at which byte of it, and how many bytes."""
    @property
    def size(self) -> int:
        """Bytes of all segments."""
    @property
    def in_order(self) -> bool:
        """Whether the broker before has ended in good order."""
    def read(self) -> int:
        """Read a part more. Returns how many bytes that were; 0 when all is read."""
    def queues(self) -> list[tuple[int, tuple[bytes, ...], int, int]]:
        """List queues and durable subscriptions: number, texts (its name first), messages, their bytes in memory.

        What is known to be there, and not what it is, has no texts.
        """
    def segments(self) -> list[tuple[str, int, int, int]]:
        """List the files, the oldest first: name, bytes, messages recorded there that are needed, and their bytes."""
    def kept(self) -> tuple[int, int, int]:
        """Count what is scheduled, what is in histories, and what is retained."""
    def rewind(self) -> None:
        """Let `group` and `needed` begin with the first group."""
    def group(self) -> list[tuple[str, int, int, int, int, int, bytes]] | None:
        """Return the next group of records as they stand there; None behind the last one.

        Of each: file, byte of it, kind, shard, sequence, transaction (0: none), payload.
        """
    def front(self) -> list[tuple[int, int, bytes]]:
        """Return all that a new journal needs beside messages of queues: kind, shard and payload of records."""
    def needed(self) -> list[tuple[int, int, bytes]] | None:
        """Return the records of the next group that a new journal needs to hold the same; None behind the last one."""
    def copy(self, number: int, descriptor: int) -> int:
        """Write the segment with that place in `segments` to a file. Returns how many bytes that are."""
