"""The standard streams, as they may be found: closed, full, or with nobody at the other end."""

import asyncio
import fcntl
import io
import os
import stat
import sys

STDIN, STDOUT, STDERR = 0, 1, 2


def mend() -> None:
    """Put `/dev/null` where a stream is closed, and let the interpreter meet a failure once, if at all.

    Otherwise the next socket would get the number of the missing stream, and with it what is meant for that.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    sys.stdin = sys.stdin or os.fdopen(STDIN, closefd=False)
    # Whoever has put something else in their place knows why.
    if sys.stdout is sys.__stdout__:
        sys.stdout = _wrapped(Stdout(STDOUT, "w", closefd=False), sys.stdout)
    if sys.stderr is sys.__stderr__:
        sys.stderr = _wrapped(_Stderr(STDERR, "w", closefd=False), sys.stderr)


async def readable(descriptor: int) -> None:
    """Wait until reading will not wait: something came, or the end."""
    loop, ready = asyncio.get_running_loop(), asyncio.Event()
    try:
        loop.add_reader(descriptor, ready.set)
    except PermissionError:
        return  # a regular file: it never waits
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)


async def reader_gone() -> None:
    """Wait until nobody can read what is printed; only of a pipe is that known before something is printed."""
    is_pipe = stat.S_ISFIFO(os.fstat(STDOUT).st_mode)
    if is_pipe and fcntl.fcntl(STDOUT, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY:
        await readable(STDOUT)  # there is nothing to read but the error
    else:
        await asyncio.Event().wait()


class Stdout(io.FileIO):
    """Fails once; then what is printed is dropped, as the interpreter tries again at its end."""

    failure: OSError | None = None

    def write(self, some: bytes, /) -> int:  # type: ignore[override]
        """Write some; raises OSError."""
        if Stdout.failure:
            return len(some)
        try:
            return super().write(some)
        except OSError as error:
            Stdout.failure = error
            raise


class _Stderr(io.FileIO):
    """Never fails, as there is nobody left to be told."""

    def write(self, some: bytes, /) -> int:  # type: ignore[override]
        try:
            return super().write(some)
        except OSError:
            return len(some)


def _wrapped(raw: io.FileIO, like: io.TextIOWrapper | None) -> io.TextIOWrapper:
    """As the interpreter would have it."""
    if like is None:
        return io.TextIOWrapper(io.BufferedWriter(raw))
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=like.encoding,
        errors=like.errors,
        line_buffering=like.line_buffering,
        write_through=like.write_through,
    )
