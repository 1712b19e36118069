"""A journal goes elsewhere: to lines of JSON and back, to another directory, or to fewer files."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from fastbroker import __version__
from fastbroker.config.schema import Journal as Settings
from fastbroker.core.rewriting import Rewriting
from fastbroker.core.survey import Survey
from fastbroker.datadir import Identity, sync
from fastbroker.errors import JournalError
from fastbroker.journal import lines
from fastbroker.journal.directory import made

_AT_ONCE = 1000
_NUMBERS = 2  # the line where they stand

OnDone = Callable[[int], object]
"""Told how much more was done."""


def needed(survey: Survey, on_done: OnDone) -> Iterator[list[tuple[int, int, bytes]]]:
    """Yield, group by group, the records with which another journal holds the same; `on_done` is told of messages."""
    front = survey.front()
    for at in range(0, len(front), _AT_ONCE):
        yield front[at : at + _AT_ONCE]
    survey.rewind()
    while (records := survey.needed()) is not None:
        if records:
            yield records
            on_done(len(records))


def exported(survey: Survey, identity: Identity, on_done: OnDone) -> Iterator[bytes]:
    """Yield all that is there as lines of JSON, of which only all together are an export."""
    count = 1
    yield lines.encoded(
        lines.Journal(
            format=lines.FORMAT,
            version=__version__,
            epoch=identity.epoch,
            seed=f"{identity.seed:x}",
            shards=identity.shards,
        )
    )
    for group in needed(survey, on_done):
        for record in group:
            count += 1
            yield lines.encoded(lines.line_of(*record))
    yield lines.encoded(lines.End(lines=count + 1))


def imported(source: Iterable[bytes], path: Path, on_done: OnDone) -> int:
    """Make a data directory of what `exported` has yielded. Returns how many lines that were. Raises JournalError."""
    numbered = enumerate(source, 1)
    identity = _identity(next((line for _, line in numbered), b""))
    with made(path, identity):
        writing = _writing(path, identity)
        try:
            count = _written(numbered, writing, on_done)
            writing.end(instead=False)
        finally:
            writing.close()
    return count


def _identity(first: bytes) -> Identity:
    """An import is another journal, which goes on with the numbers and hashes of the one that was exported."""
    try:
        said = lines.decoded(first)
    except JournalError as error:
        raise JournalError(f"line 1: {error}") from None
    if not isinstance(said, lines.Journal):
        raise JournalError('line 1: an export begins with the line {"kind": "journal", ...}')
    if said.format != lines.FORMAT:
        raise JournalError(f"line 1: format {said.format} is one of another version, {said.version}: import it there")
    return Identity(id=secrets.token_hex(16), epoch=said.epoch, seed=int(said.seed, 16), shards=said.shards)


def _written(numbered: Iterator[tuple[int, bytes]], writing: Rewriting, on_done: OnDone) -> int:
    group: list[tuple[int, int, bytes]] = []
    described: set[int] = set()
    number = 1
    for number, line in numbered:
        try:
            said = lines.decoded(line)
            if isinstance(said, lines.End):
                return _ended(said, number, numbered, writing, group)
            _check_place(said, number, described)
            record = lines.record_of(said)
        except JournalError as error:
            raise JournalError(f"line {number}: {error}") from None
        # What is shared stands in one group with its message.
        if group and not isinstance(said, lines.Shared | lines.Returned):
            writing.put(group)
            group = []
        group.append(record)
        on_done(len(line))
    raise JournalError(
        f'the file ends behind line {number}, and not with a line {{"kind": "end", ...}}: some is missing'
    )


def _check_place(said: lines.Exported, number: int, described: set[int]) -> None:
    """Whether it may stand on that line, behind what describes these queues."""
    if number == _NUMBERS and not isinstance(said, lines.Numbers):
        raise JournalError('here stands {"kind": "numbers", ...}, or messages would get ids that others have')
    if isinstance(said, lines.Journal):
        raise JournalError("another export begins here: import that to a directory of its own")
    if isinstance(said, lines.Queue | lines.Durable):
        described.add(said.queue)
    elif (queue := getattr(said, "queue", None)) is not None and queue not in described:
        raise JournalError(f"no line before says what queue {queue} is - at `$.queue`")


def _ended(
    said: lines.End,
    number: int,
    numbered: Iterator[tuple[int, bytes]],
    writing: Rewriting,
    group: list[tuple[int, int, bytes]],
) -> int:
    if said.lines != number:
        raise JournalError(f"it says that {said.lines} lines were written, and these are {number}: some are missing")
    if next(numbered, None):
        raise JournalError("something stands behind the end")
    writing.put(group)
    return number


def _writing(path: Path, identity: Identity) -> Rewriting:
    return Rewriting(path, bytes.fromhex(identity.id), identity.shards, identity.seed, Settings().segment_size)


def compacted(path: Path, survey: Survey, identity: Identity, on_done: OnDone) -> None:
    """Write what is needed to new segments, and delete all others; nobody uses the directory. Raises StoreError."""
    writing = _writing(path, identity)
    try:
        for records in needed(survey, on_done):
            writing.put(records)
        writing.end(instead=True)
    finally:
        writing.close()


def backed_up(survey: Survey, identity: Identity, to: Path, on_done: OnDone) -> None:
    """Copy all segments to a new directory, the oldest first, and last what makes it a data directory."""
    with made(to, identity):
        for number, (name, *_) in enumerate(survey.segments()):
            with (to / name).open("wb", buffering=0) as file:
                on_done(survey.copy(number, file.fileno()))
                os.fsync(file.fileno())
        sync(to)
