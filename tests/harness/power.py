"""What a disk may hold after a power cut, from the trace of all that was done to it (shim.c).

    file         what was synced | writes since, each sector of which may have any of its versions
    directory    what was synced | names given, changed, taken away since, each of which may be there or not

Sizes are told like names: any of those since the last sync.
"""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

OPENED, WROTE, CUT, SYNCED, RENAMED, REMOVED, MARKED = range(1, 8)
HEAD = struct.Struct("<IIiIqQ")
SECTORS = (512, 4096)


@dataclass(frozen=True)
class Event:
    """One thing that was done."""

    kind: int
    flags: int
    file: int
    at: int
    name: str
    data: bytes


def events_in(trace: Path) -> list[Event]:
    """All of them."""
    data, at, found = trace.read_bytes(), 0, []
    while at < len(data):
        kind, flags, file, name, place, length = HEAD.unpack_from(data, at)
        at += HEAD.size
        text = data[at : at + name].decode()
        found.append(Event(kind, flags, file, place, text, data[at + name : at + name + length]))
        at += name + length
    return found


@dataclass(eq=False)
class File:
    """Its content."""

    synced: bytearray = field(default_factory=bytearray)
    since: list[tuple[int, bytes | None]] = field(default_factory=list)  # (where, what); None cuts it there

    def sync(self) -> None:
        """All is on the disk."""
        self.synced = bytearray(self.left(Choice()))
        self.since.clear()

    def left(self, choice: Choice) -> bytes:
        """What may be there."""
        content, size = bytearray(self.synced), len(self.synced)
        versions: dict[int, int] = {}
        last = choice.version(len(self.since))
        for number, (at, data) in enumerate(self.since):
            if data is None:
                if number < last:
                    size = at
                    content[at:] = bytes(max(len(content) - at, 0))
                continue
            content.extend(bytes(max(at + len(data) - len(content), 0)))
            size = max(size, at + len(data)) if number < last else size
            for start, end in pieces(at, at + len(data), choice.sector):
                kept = versions.setdefault(start // choice.sector, choice.version(len(self.since)))
                if number < kept:
                    content[start:end] = data[start - at : end - at]
        content.extend(bytes(max(size - len(content), 0)))
        return bytes(content[:size])


Names = dict[str, File | None]


def pieces(start: int, end: int, sector: int) -> Iterator[tuple[int, int]]:
    """That stretch by sectors."""
    while start < end:
        stop = min(end, (start // sector + 1) * sector)
        yield start, stop
        start = stop


class Choice:
    """Of what was not synced, all is there."""

    sector = 1 << 40

    def version(self, most: int) -> int:
        """Of a sector, or of a size."""
        return most

    def names(self, changes: list[Names]) -> list[Names]:
        """Which changes of the directory are there."""
        return changes


class Nothing(Choice):
    """Nothing of it is."""

    def version(self, most: int) -> int:
        """The first."""
        return 0

    def names(self, changes: list[Names]) -> list[Names]:
        """None."""
        return []


class Some(Choice):
    """Anything of it."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.sector = chance.choice(SECTORS)
        self.extremes = chance.random() < 0.5
        self.in_order = chance.random() < 0.5

    def version(self, most: int) -> int:
        """Often the first or the last."""
        return self.chance.choice([0, most]) if self.extremes else self.chance.randint(0, most)

    def names(self, changes: list[Names]) -> list[Names]:
        """In the order in which they were made, or not."""
        if self.in_order:
            return changes[: self.chance.randint(0, len(changes))]
        return [change for change in changes if self.chance.random() < 0.5]


class Media:
    """A disk, as far as it is known after some events."""

    def __init__(self) -> None:
        self.names: dict[str, File] = {}  # as everybody sees them
        self.synced: dict[str, File] = {}
        self.changes: list[Names] = []
        self.open: dict[int, File] = {}

    def do(self, event: Event) -> None:
        """What was done next."""
        if event.kind == OPENED:
            if event.name not in self.names:
                self.change({event.name: File()})
            self.open[event.file] = file = self.names[event.name]
            if event.flags & os.O_TRUNC:
                file.since.append((0, None))
        elif event.kind == WROTE:
            self.open[event.file].since.append((event.at, event.data))
        elif event.kind == CUT:
            self.open[event.file].since.append((event.at, None))
        elif event.kind == SYNCED and not event.flags:
            self.open[event.file].sync()
        elif event.kind == SYNCED:
            self.synced = dict(self.names)
            self.changes.clear()
        elif event.kind == RENAMED:
            moved = self.names[event.name]
            self.change({event.name: None, event.data.decode(): moved})
        elif event.kind == REMOVED:
            self.change({event.name: None})

    def change(self, names: Names) -> None:
        """They mean that from now on, at once."""
        self.changes.append(names)
        put(self.names, names)

    def write(self, path: Path, choice: Choice) -> None:
        """What may be there, as files."""
        there = dict(self.synced)
        for names in choice.names(self.changes):
            put(there, names)
        for name, file in there.items():
            (path / name).write_bytes(file.left(choice))


def put(there: dict[str, File], names: Names) -> None:
    """A name means that file, or none."""
    for name, file in names.items():
        if file is None:
            there.pop(name, None)
        else:
            there[name] = file
