"""The command `journal`: what a data directory holds, as a table or as text, as a copy, or written anew."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from fastbroker.errors import JournalError

# What these commands run is imported within them: the others need no compiled core.
if TYPE_CHECKING:
    from fastbroker.core.survey import Survey
    from fastbroker.datadir import Identity

_DIR = click.argument("path", metavar="DIR", type=click.Path(path_type=Path))
_LINE = b"\n"


@click.group()
def journal() -> None:
    """Look into a data directory, copy it, or write it anew.

    All but `compact` and `import` may be used while its broker runs: they change nothing, and see the journal as it was
    at one time.
    """


@journal.command()
@_DIR
def verify(path: Path) -> None:
    """Read all that is in DIR, and say whether any of it is damaged.

    A copy of a data directory can be looked at like the directory itself. The exit status is 0 if all is whole, and 1
    if anything is not.
    """
    with _clear():
        survey, _ = _surveyed(path)
        for file, place, size in survey.damage:
            click.echo(f"{path / file}: {size:,} bytes cannot be read, from {place:,} on")
        unnamed = sum(messages for _, texts, messages, _ in survey.queues() if not texts)
        if unnamed:
            click.echo(f"{_count(unnamed, 'message')} of queues whose names cannot be read")
        click.echo(_summary(path, survey))
        if survey.damage:
            raise JournalError(
                f"{path} is damaged. A broker that starts there leaves out what cannot be read, and goes on; to have "
                "all of it, put the directory back from a backup"
            )


def _summary(path: Path, survey: Survey) -> str:
    queues = [messages for _, texts, messages, _ in survey.queues() if texts]
    whole = "" if survey.damage else ": all of it is whole"
    return (
        f"{path}: {_count(len(survey.segments()), 'segment')}, {_count(sum(queues), 'message')} in "
        f"{_count(len(queues), 'queue')}, {sum(survey.kept()):,} scheduled or kept by topics{whole}"
    )


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


@journal.command()
@_DIR
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on one line.")
def stats(path: Path, as_json: bool) -> None:
    """Say what takes how much of DIR: its segments, and what waits in which queue.

    Bytes of messages are those that they take in memory. Of a segment it is said how many messages recorded there are
    still needed.
    """
    with _clear():
        survey, _ = _surveyed(path)
        facts = _facts(survey)
        if as_json:
            click.echo(json.dumps(facts))
            return
        from fastbroker.journal.tables import show

        show(facts)


def _facts(survey: Survey) -> dict[str, object]:
    names = ("file", "bytes", "needed", "needed_bytes")
    queues = [
        {"name": texts[0].decode("utf-8", "replace") if texts else None, "messages": messages, "bytes": size}
        for _, texts, messages, size in sorted(survey.queues(), key=lambda queue: -queue[2])
    ]
    return {
        "segments": [dict(zip(names, each, strict=True)) for each in survey.segments()],
        "queues": queues,
        **dict(zip(("scheduled", "histories", "retained"), survey.kept(), strict=True)),
        "damaged_bytes": sum(size for _, _, size in survey.damage),
        "ended": "in order" if survey.in_order else "suddenly",
    }


@journal.command()
@_DIR
@click.option("--kind", "kinds", metavar="KIND", multiple=True, help="Only records of this kind: added, settled, ...")
@click.option("--queue", metavar="NAME", help="Only what is said of this queue or durable subscription.")
def inspect(path: Path, kinds: tuple[str, ...], queue: str | None) -> None:
    """Print every record in DIR as it stands there, also of what has gone: a line of JSON for each.

    docs/durability.md says what is in them. `export` has only what is still there.
    """
    from fastbroker.journal.lines import KINDS, line_of, positioned

    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise click.BadParameter(f"there is no kind {unknown[0]!r}; there are {', '.join(KINDS)}", param_hint="--kind")
    with _clear():
        survey, _ = _surveyed(path)
        numbers = None if queue is None else _numbers(survey, queue, path)
        survey.rewind()
        with _output(None) as write:
            while (group := survey.group()) is not None:
                for file, place, kind, shard, sequence, transaction, payload in group:
                    line = line_of(kind, shard, payload)
                    if kinds and line.__struct_config__.tag not in kinds:
                        continue
                    if numbers is not None and getattr(line, "queue", None) not in numbers:
                        continue
                    where = {"file": file, "at": place, "sequence": sequence}
                    write(positioned(line, **where, **({"transaction": transaction} if transaction else {})) + _LINE)


def _numbers(survey: Survey, queue: str, path: Path) -> set[int]:
    wanted = queue.removeprefix("/queue/").encode()
    found = {number for number, texts, _, _ in survey.queues() if texts and texts[0] == wanted}
    if not found:
        raise JournalError(
            f"{path} has no queue and no durable subscription {queue}; `fastbroker journal stats` lists them"
        )
    return found


@journal.command()
@_DIR
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Write there.")
def export(path: Path, output: Path | None) -> None:
    """Print all that is there in DIR as lines of JSON, which `import` reads: messages, queues, what is kept.

    What was acknowledged, and what cannot be read, is left out.
    """
    from fastbroker.journal.transfer import exported

    with _clear():
        survey, identity = _surveyed(path)
        with _output(output) as write, _progress("writing", _messages(survey)) as done:
            for line in exported(survey, identity, done):
                write(line + _LINE)


@journal.command("import")
@_DIR
@click.argument("source", metavar="[FILE]", type=click.File("rb"), default="-")
def import_(path: Path, source: BinaryIO) -> None:
    """Make DIR a data directory with what `export` has printed, from FILE or the standard input.

    DIR is empty, or not there. Where anything is wrong with a line, that is said, and there is none.
    """
    from fastbroker.journal.transfer import imported

    with _clear():
        size = source.seek(0, 2) if source.seekable() else 0
        if size:
            source.seek(0)
        with _progress("reading", size) as done:
            count = imported(source, path, done)
        click.echo(f"{path}: {count:,} lines are there. fastbroker serve --data-dir {path}")


@journal.command()
@_DIR
def compact(path: Path) -> None:
    """Write what is still needed in DIR to new segments, and delete all others. Its broker must not run.

    A broker does so by itself, a little at a time, where segments are more than twice what waits. Whenever this is
    interrupted, all is there.
    """
    from fastbroker.journal.directory import identity_of, unused
    from fastbroker.journal.transfer import compacted

    with _clear():
        identity_of(path)
        with unused(path):
            survey, identity = _surveyed(path)
            if survey.damage:
                raise JournalError(
                    f"{path} is damaged, and nothing of that would be left to look at: copy it first; `export` and "
                    "`import` make a directory of what can be read"
                )
            before = _size(path)
            with _progress("writing", _messages(survey)) as done:
                compacted(path, survey, identity, done)
        click.echo(f"{path}: {before:,} bytes of segments have become {_size(path):,}")


@journal.command()
@_DIR
@click.argument("to", metavar="TO", type=click.Path(path_type=Path))
def backup(path: Path, to: Path) -> None:
    """Copy DIR to the new directory TO, as it is at one time; its broker may run.

    All is in TO that had its RECEIPT when this began. TO is a data directory like any other: to restore it, put it in
    the place of DIR, or start a broker there.
    """
    from fastbroker.journal.transfer import backed_up

    with _clear():
        survey, identity = _surveyed(path)
        if survey.damage:
            click.echo(f"Warning: {path} is damaged, and so is its copy: fastbroker journal verify {path}", err=True)
        with _progress("copying", sum(size for _, size, _, _ in survey.segments())) as done:
            backed_up(survey, identity, to, done)
        click.echo(_summary(to, survey))


# ---- what they share ----


@contextmanager
def _clear() -> Iterator[None]:
    """What goes wrong is one line."""
    from fastbroker.core.journal import StoreError

    try:
        yield
    except (JournalError, StoreError) as error:
        raise click.ClickException(str(error)) from None


@contextmanager
def _progress(label: str, length: int) -> Iterator[Callable[[int], None]]:
    """On a terminal."""
    with click.progressbar(length=length, label=label, file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:
        yield bar.update


def _surveyed(path: Path) -> tuple[Survey, Identity]:
    from fastbroker.journal.directory import identity_of, surveyed

    identity = identity_of(path)
    return surveyed(path, identity, lambda size: _progress("reading", size)), identity


def _messages(survey: Survey) -> int:
    return sum(messages for _, _, messages, _ in survey.queues())


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.glob("segment-*"))


@contextmanager
def _output(file: Path | None) -> Iterator[Callable[[bytes], object]]:
    """A new file, or the standard output: what goes wrong with that `fastbroker` itself says."""
    if file is None:
        yield sys.stdout.buffer.write
        sys.stdout.buffer.flush()
        return
    try:
        with file.open("wb") as opened:
            yield opened.write
    except OSError as error:
        raise JournalError(f"cannot write {file}: {error.strerror}") from None
