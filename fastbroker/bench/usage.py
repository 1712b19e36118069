"""What a server on this machine uses: CPU and memory of its process and all that it has started."""

from collections.abc import Iterator
from contextlib import suppress

import psutil

# By process: a number that is used again belongs to another one.
CpuTimes = dict[psutil.Process, float]


class ServerUsage:
    """Samples of a running server; of one that is gone, or that may not be looked at, they are empty."""

    def __init__(self, pid: int) -> None:
        """Watch the process `pid`. Raises psutil.NoSuchProcess."""
        self._root = psutil.Process(pid)

    def cpu(self) -> CpuTimes:
        """User and system time until now, in seconds."""
        times = {}
        for each in self._family():
            with suppress(psutil.Error):
                spent = each.cpu_times()
                times[each] = spent.user + spent.system
        return times

    def memory(self) -> int:
        """Resident memory now."""
        total = 0
        for each in self._family():
            with suppress(psutil.Error):
                total += each.memory_info().rss
        return total

    def _family(self) -> Iterator[psutil.Process]:
        yield self._root
        with suppress(psutil.Error):
            yield from self._root.children(recursive=True)


def spent(before: CpuTimes, after: CpuTimes) -> float | None:
    """Seconds of CPU between two samples; None when there is nothing to compare."""
    if not before or not after:
        return None
    return sum(seconds - before.get(each, 0.0) for each, seconds in after.items())
