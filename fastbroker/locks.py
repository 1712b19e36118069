"""Lock files: what two processes must not use at once."""

import fcntl
import os
from pathlib import Path


class InUse(Exception):
    """Another process holds the lock; the argument is its id, as far as it is known."""


def lock(path: Path) -> int:
    """Create the file and lock it for as long as the descriptor that comes back is open. Raises InUse and OSError."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.read(descriptor, 20).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise InUse(owner) from None
    except OSError:
        os.close(descriptor)
        raise
    os.truncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    return descriptor
