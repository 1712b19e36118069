"""The data directory: it belongs to one running broker, which keeps its journal there, and says where it listens."""

import os
import secrets
import string
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Self

import msgspec
from msgspec import Meta, Struct

from fastbroker.config.schema import NO_DATA_DIR
from fastbroker.errors import StartError
from fastbroker.locks import InUse, lock

SHARDS = 64
_EPOCH = string.ascii_lowercase + string.digits
_INSTEAD = (
    f"name another directory with --data-dir DIR (key data_dir), or --data-dir {NO_DATA_DIR} to keep all in memory"
)


def data_dir_of(said: str, environ: Mapping[str, str], platform: str = sys.platform) -> Path | None:
    """The directory that `data_dir` means, absolute; None where nothing is kept. Raises StartError."""
    if said:
        return None if said == NO_DATA_DIR else Path(said).absolute()
    if state := environ.get("STATE_DIRECTORY", "").partition(":")[0]:
        return Path(state).absolute()
    return _of_programs(environ, platform) / "fastbroker"


def _of_programs(environ: Mapping[str, str], platform: str) -> Path:
    """Where programs of this user keep their data. A path that is not absolute counts as none, as XDG has it."""
    if (data := Path(environ.get("XDG_DATA_HOME", ""))).is_absolute():
        return data
    try:
        home = Path.home()
    except RuntimeError:
        home = Path()
    if not home.is_absolute():
        raise StartError(f"there is no home directory in which the data directory could be: {_INSTEAD}")
    return home / ("Library/Application Support" if platform == "darwin" else ".local/share")


class Identity(Struct, frozen=True, forbid_unknown_fields=True):
    """What does not change while a data directory is used."""

    id: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
    epoch: Annotated[str, Meta(pattern="^[a-z0-9]{8}$")]
    seed: Annotated[int, Meta(ge=0)]
    shards: Annotated[int, Meta(ge=1, le=65_535)]


def _epoch() -> str:
    """What tells the message-ids of one broker from those of others."""
    return "".join(secrets.choice(_EPOCH) for _ in range(8))


def _make(directory: Path) -> None:
    """With all above it; no power cut takes away what is kept there."""
    made = [each for each in (directory, *directory.parents) if not each.exists()]
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for each in made:
        with suppress(PermissionError):  # of one that may be written to, and not be read
            sync(each.parent)


def identity_in(directory: Path) -> Identity:
    """What the journal there is known by. Raises OSError, FileNotFoundError if there is none, and StartError."""
    path = directory / "identity"
    try:
        return msgspec.json.decode(path.read_bytes(), type=Identity)
    except msgspec.MsgspecError as error:
        raise StartError(f"{path} is damaged ({error}): put it back from a backup of this directory") from None


def give_identity(directory: Path, identity: Identity) -> None:
    """The directory has it, and no power cut takes that away."""
    path = directory / "identity"
    unfinished = path.with_suffix(".new")
    with unfinished.open("wb") as file:
        file.write(msgspec.json.encode(identity) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    sync(directory)


def sync(directory: Path) -> None:
    """See that no power cut takes away the name of a file there."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class DataDir:
    """Holds the directory from `with` to its end.

    lock        the running broker has it flocked; it holds the broker's process id
    listening   one bound address on each line, there while the broker listens
    identity    what makes its journal one of its own, from the first start on (`Identity`)
    segment-…   the journal
    """

    def __init__(self, path: Path) -> None:
        """Name the directory; nothing is touched yet."""
        self._path = path
        self._listening = self._path / "listening"
        self._lock = -1

    def __enter__(self) -> Self:
        """Create the directory and lock it. Raises StartError."""
        try:
            _make(self._path)
            self._lock = lock(self._path / "lock")
        except InUse as error:
            raise StartError(
                f"the data directory {self._path} is in use by another broker (process {error}): stop that one; or, "
                f"for a second one beside it, {_INSTEAD}, and --listen with another port"
            ) from None
        except OSError as error:
            raise self._unusable(error) from None
        return self

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._path

    def identity(self) -> Identity:
        """What the journal in it is known by; made anew if there is none. Raises StartError."""
        try:
            if not (self._path / "identity").exists():
                self._be_new()
            return identity_in(self._path)
        except OSError as error:
            raise self._unusable(error) from None

    def _be_new(self) -> None:
        if any(self._path.glob("segment-*")):
            raise StartError(
                f"{self._path / 'identity'} is missing, without which nobody can read the journal: put it back from a "
                "backup"
            )
        new = Identity(id=secrets.token_hex(16), epoch=_epoch(), seed=secrets.randbits(63), shards=SHARDS)
        give_identity(self._path, new)

    def announce(self, addresses: Iterable[str]) -> None:
        """Write the file `listening`; who sees it sees all of it. Raises StartError."""
        unfinished = self._listening.with_suffix(".new")
        try:
            unfinished.write_text("".join(f"{address}\n" for address in addresses))
            unfinished.replace(self._listening)
        except OSError as error:
            raise self._unusable(error) from None

    def _unusable(self, error: OSError) -> StartError:
        return StartError(
            f"cannot use the data directory {self._path}: {error.strerror}; it must be one in which the broker may "
            f"write, or that it can make: {_INSTEAD}"
        )

    def __exit__(self, *_: object) -> None:
        """Take the file `listening` away, if that can still be done, and let the next broker in."""
        with suppress(OSError):
            self._listening.unlink()
        os.close(self._lock)
