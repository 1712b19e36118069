"""Lines on their way to a descriptor: whoever reads there may be slow, stand still, or be gone.

write(2) to a pipe that nobody empties, a terminal that is stopped or a disk that hangs does not return, and O_NONBLOCK
would hold for every process that shares the descriptor. So a thread writes, the loop only adds to a backlog, and when
that is full, lines are lost, counted, and told of where they are missing:

    loop    line line line | line line …          (full: lost)
    thread                   all of it, a note of what was lost, and again

The thread writes what is there and then waits a little before it looks again. So a flood of lines wakes it a hundred
times a second and no more: each time it is awake, it may hold the interpreter while the loop could use it.
"""

import os
import select
import signal
import threading
from collections.abc import Callable

from fastbroker.core.backlog import Backlog

# Bytes that wait, and as many again may be under way.
MOST = 2**20
PAUSE = 0.01
# What is still to be written at the end has this time.
LAST = 1.0


class Writer:
    """Writes lines in a thread of its own, until `close`."""

    def __init__(self, descriptor: int, note: Callable[[int], bytes]) -> None:
        """Write to `descriptor`, which stays open; `note` makes the line that says how many lines were lost."""
        self._descriptor = descriptor
        self._note = note
        self._wake = threading.Event()
        self._closed = threading.Event()
        self._backlog = Backlog(MOST, self._wake.set)
        self.write = self._backlog.write
        self._failed = 0  # lines that could not be written
        self._torn = False
        self._thread = threading.Thread(target=self._work, name="log", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what waits, as far as that is possible within `LAST` seconds."""
        self._closed.set()
        self._wake.set()
        self._thread.join(LAST)

    def _work(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # they are the main thread's
        while self._wait():
            self._put(*self._backlog.take())
            self._closed.wait(PAUSE)

    def _wait(self) -> bool:
        """Wait for lines; False at the end."""
        while self._backlog.is_empty():
            if self._closed.is_set():
                return False
            self._wake.wait()
            self._wake.clear()
        return True

    def _put(self, lines: bytearray, lost: int) -> None:
        front = b"\n" if self._torn else b""
        if self._failed:
            front += self._note(self._failed)
        everything = front + lines + (self._note(lost) if lost else b"")
        written = self._write_all(everything)
        if written < len(everything):
            before = self._failed if written < len(front) else 0
            rest = everything[max(written, len(front)) : len(front) + len(lines)]
            self._failed = before + rest.count(b"\n") + lost
        else:
            self._failed = 0
        if written:
            self._torn = everything[written - 1] != ord("\n")

    def _write_all(self, everything: bytes) -> int:
        """Return how much was written before an error: the reader is gone, say, or the disk full."""
        written = 0
        try:
            while written < len(everything):
                written += self._write_some(memoryview(everything)[written:])
        except OSError:
            pass
        return written

    def _write_some(self, some: memoryview) -> int:
        try:
            return os.write(self._descriptor, some)
        except BlockingIOError:
            # Somebody who shares the descriptor has made it so that it does not block.
            ready = select.poll()
            ready.register(self._descriptor, select.POLLOUT)
            ready.poll()
            return 0
