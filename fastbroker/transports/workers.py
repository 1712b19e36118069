"""Threads beside the loop, for what takes long and does not need the interpreter: the handshakes of OpenSSL.

    loop      run(work, then) ----.                        .--> then(result)
    thread                         `--> result = work() --'

There is one for each processor but two: the loop has its own also when thousands come at once, and one is for the
system and the others on the machine (two are often one core, and threads on both are slower than the loop alone). They
start when they are needed, and wait between two pieces of work. Where there are no more, the loop does the work between
its turns.
"""

import asyncio
import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any

# More handshakes at one time than the loop could take the clients of.
MOST = 8

Work = Callable[[], Any]
Then = Callable[[Any], object]


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Workers:
    """As many threads as there is work for."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start none yet."""
        self.most = max(0, min(processors() - 2, MOST))
        self._loop = loop
        self._todo: SimpleQueue[tuple[Work, Then] | None] = SimpleQueue()
        self._under_way = 0
        self._threads: list[threading.Thread] = []

    def run(self, work: Work, then: Then) -> None:
        """Have a thread do `work`, which raises nothing; then the loop calls `then` with what it returned."""
        if len(self._threads) < min(self.most, self._under_way + 1):
            self._start()
        self._under_way += 1
        if self._threads:
            self._todo.put((work, then))
        else:
            self._loop.call_soon(self._do, then, work)

    def close(self) -> None:
        """End them, behind what they have begun; what was not begun is not done."""
        with suppress(Empty):  # which a thread may make it at any time
            while True:
                self._todo.get_nowait()
        for _ in self._threads:
            self._todo.put(None)
        for thread in self._threads:
            thread.join()
        self._threads.clear()

    def _start(self) -> None:
        thread = threading.Thread(target=self._work, name="handshakes", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the system gives no more: the others do it, or the loop
            return
        self._threads.append(thread)

    def _work(self) -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())  # they are the main thread's
        while item := self._todo.get():
            work, then = item
            self._loop.call_soon_threadsafe(self._done, then, work())

    def _do(self, then: Then, work: Work) -> None:
        self._done(then, work())

    def _done(self, then: Then, result: Any) -> None:
        self._under_way -= 1
        then(result)
