"""The data directory: it belongs to one running broker, and says where that broker listens."""

import fcntl
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Self

from fastbroker.errors import StartError


class DataDir:
    """Holds the directory from `with` to its end.

    lock        the running broker has it flocked; it holds the broker's process id
    listening   one bound address on each line, there while the broker listens
    """

    def __init__(self, path: str) -> None:
        """Name the directory; nothing is touched yet."""
        self._path = Path(path)
        self._listening = self._path / "listening"
        self._lock = -1

    def __enter__(self) -> Self:
        """Create the directory and lock it. Raises StartError."""
        try:
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(self._path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            self._take_lock()
        except OSError as error:
            raise StartError(f"cannot use the data directory {self._path}: {error.strerror}") from None
        return self

    def _take_lock(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(self._lock, 20).decode("ascii", "replace").strip()
            os.close(self._lock)
            raise StartError(
                f"the data directory {self._path} is in use by another broker (process {owner}); "
                "stop that one or choose another directory"
            ) from None
        os.truncate(self._lock, 0)
        os.write(self._lock, f"{os.getpid()}\n".encode())

    def announce(self, addresses: Iterable[str]) -> None:
        """Write the file `listening`; who sees it sees all of it."""
        unfinished = self._listening.with_suffix(".new")
        unfinished.write_text("".join(f"{address}\n" for address in addresses))
        unfinished.replace(self._listening)

    def __exit__(self, *_: object) -> None:
        """Take the file `listening` away and let the next broker in."""
        self._listening.unlink(missing_ok=True)
        os.close(self._lock)
