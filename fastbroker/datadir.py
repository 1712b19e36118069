"""The data directory: it belongs to one running broker, and says where that broker listens."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Self

from fastbroker.errors import StartError
from fastbroker.locks import InUse, lock


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
            self._lock = lock(self._path / "lock")
        except InUse as error:
            raise StartError(
                f"the data directory {self._path} is in use by another broker (process {error}); "
                "stop that one or choose another directory"
            ) from None
        except OSError as error:
            raise self._unusable(error) from None
        return self

    def announce(self, addresses: Iterable[str]) -> None:
        """Write the file `listening`; who sees it sees all of it. Raises StartError."""
        unfinished = self._listening.with_suffix(".new")
        try:
            unfinished.write_text("".join(f"{address}\n" for address in addresses))
            unfinished.replace(self._listening)
        except OSError as error:
            raise self._unusable(error) from None

    def _unusable(self, error: OSError) -> StartError:
        return StartError(
            f"cannot use the data directory {self._path}: {error.strerror}; "
            "data_dir names a directory in which the broker may write, or that it can make"
        )

    def __exit__(self, *_: object) -> None:
        """Take the file `listening` away, if that can still be done, and let the next broker in."""
        with suppress(OSError):
            self._listening.unlink()
        os.close(self._lock)
