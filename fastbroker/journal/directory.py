"""A data directory from outside: whose it is, what is in it, and that nobody uses it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from fastbroker.core.journal import StoreError
from fastbroker.core.survey import Survey
from fastbroker.datadir import Identity, give_identity, identity_in
from fastbroker.errors import JournalError, StartError
from fastbroker.locks import InUse, lock

# A running broker deletes files, and writes on, while they are looked at.
_ATTEMPTS = 5
_PAUSE = 0.1

Progress = Callable[[int], AbstractContextManager[Callable[[int], object]]]
"""Is told how many bytes there are, and then how many more of them were read."""


def identity_of(path: Path) -> Identity:
    """What the journal in a directory is known by. Raises JournalError."""
    try:
        return identity_in(path)
    except FileNotFoundError:
        raise JournalError(
            f"{path} is no data directory: there is no {path / 'identity'}. A broker says where its own is, in the "
            "line `started` of its log"
        ) from None
    except OSError as error:
        raise JournalError(f"cannot read {path / 'identity'}: {error.strerror}") from None
    except StartError as error:
        raise JournalError(str(error)) from None


def surveyed(path: Path, identity: Identity, progress: Progress) -> Survey:
    """Read all of a journal, whose broker may run. Raises JournalError."""
    survey = _read(path, identity, progress)
    for _ in range(_ATTEMPTS):
        if not survey.damage:
            break
        # What looks like damage may be what was written while it was read.
        before, survey = survey, _read(path, identity, progress)
        if before.damage == survey.damage:
            break
    return survey


def _read(path: Path, identity: Identity, progress: Progress) -> Survey:
    survey = _opened(path, identity)
    with progress(survey.size) as on_read:
        while read := survey.read():
            on_read(read)
    return survey


def _opened(path: Path, identity: Identity) -> Survey:
    for attempt in range(_ATTEMPTS):
        try:
            return Survey(path, bytes.fromhex(identity.id), identity.shards, identity.seed)
        except StoreError as error:
            if attempt == _ATTEMPTS - 1:
                raise JournalError(str(error)) from None
        except OSError as error:
            raise JournalError(f"cannot read {path}: {error.strerror}") from None
        time.sleep(_PAUSE)
    raise AssertionError


@contextmanager
def unused(path: Path) -> Iterator[None]:
    """See that no broker has the directory, and none gets it meanwhile. Raises JournalError."""
    try:
        held = lock(path / "lock")
    except InUse as error:
        raise JournalError(f"{path} is in use by a broker (process {error}): stop it first") from None
    except OSError as error:
        raise JournalError(f"cannot use {path}: {error.strerror}") from None
    try:
        yield
    finally:
        os.close(held)


@contextmanager
def made(path: Path, identity: Identity) -> Iterator[None]:
    """Make a data directory of that identity, which it has when all is done: nothing is left of what failed."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        there = next(path.iterdir(), None)
    except OSError as error:
        raise JournalError(f"cannot make {path}: {error.strerror}") from None
    if there:
        raise JournalError(
            f"{path} is not empty: there is {there.name}. Name a directory that is, or that is not there"
        )
    try:
        with unused(path):
            yield
            give_identity(path, identity)
    except BaseException as failure:
        for each in path.iterdir():
            with suppress(OSError):
                each.unlink()
        if isinstance(failure, OSError):
            raise JournalError(f"cannot write to {path}: {failure.strerror}") from None
        raise
