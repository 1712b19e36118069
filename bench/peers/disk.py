"""Where servers keep what must survive: on a disk, since a file system in memory has nothing to sync; and what that
disk can do by itself."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import psutil

from bench import programs

# Names another directory than the one beside everything that is built.
PLACE = "FASTBROKER_BENCH_DISK"
DEFAULT = Path(__file__).resolve().parents[2] / "build" / "bench-disk"
IN_MEMORY = {"tmpfs", "ramfs", "devtmpfs"}


class NoDisk(Exception):
    """Nothing would survive there."""


class FileSystem(NamedTuple):
    """What is mounted where a directory is."""

    kind: str
    device: str


def directory() -> Path:
    """The directory, which is there then."""
    place = Path(os.environ.get(PLACE) or DEFAULT)
    place.mkdir(parents=True, exist_ok=True)
    return place


def on_disk() -> Path:
    """The same, where what is measured is the disk. Raises NoDisk."""
    place = directory()
    if (found := file_system(place)).kind in IN_MEMORY:
        raise NoDisk(f"{place} is in memory ({found.kind}): set {PLACE} to a directory on a disk")
    return place


def file_system(place: Path) -> FileSystem:
    """The one that holds a directory, as far as the system tells."""
    parents = {str(each) for each in (place.resolve(), *place.resolve().parents)}
    mounted = [each for each in psutil.disk_partitions(all=True) if each.mountpoint in parents]
    # What was mounted last at a place lies over what was there before.
    nearest = max(enumerate(mounted), key=lambda each: (len(each[1].mountpoint), each[0]), default=None)
    return FileSystem(nearest[1].fstype, nearest[1].device) if nearest else FileSystem("unknown", "")


class Appended(NamedTuple):
    """What the disk did."""

    messages: int
    seconds: float
    buckets: Sequence[tuple[int, int]]
    """Nanoseconds from the write of a group to the end of its sync, and the number of messages in such groups."""


def append(place: Path, size: int, group: int, rate: float, seconds: float) -> Appended:
    """Groups of messages of that size, one after the other, or so many messages a second; disk.c says more."""
    file = place / f"appended-{os.getpid()}"
    command = [str(programs.disk()), str(file), str(size), str(group), str(rate), str(seconds)]
    try:
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    finally:
        file.unlink(missing_ok=True)
    (messages, ns), *buckets = ((int(one), int(other)) for one, other in map(str.split, said.splitlines()))
    return Appended(messages, ns / 1e9, buckets)


# A page, often enough for a median.
TYPICAL, TYPICAL_SECONDS = 4096, 0.2


def typical_sync_ns(place: Path) -> float:
    """How long the disk takes for one page, in the middle of many."""
    buckets = append(place, TYPICAL, 1, 0, TYPICAL_SECONDS).buckets
    half, before = sum(count for _, count in buckets) / 2, 0
    for ns, count in buckets:
        before += count
        if before >= half:
            return ns
    return 0.0
