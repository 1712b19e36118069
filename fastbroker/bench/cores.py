"""Which core a worker is held to, so that the server has the others."""

import os


def usable_cores() -> list[int]:
    """The cores that this process may use; none where the system has no such notion."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def last_core() -> int | None:
    """The core for the generator: the last one, if the server has another one then."""
    cores = usable_cores()
    return cores[-1] if len(cores) > 1 else None


def cores_for(workers: int, first: int | None) -> list[int | None]:
    """A core for each worker, while the server keeps one: `first` also for those that find no other."""
    if first is None:
        return [None] * workers
    others: list[int | None] = [core for core in reversed(usable_cores()[1:]) if core != first]
    return [first, *others, *[first] * workers][:workers]
