"""The bodies that the command `send` sends, as they come out of files and the standard input."""

import os
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine
from typing import Any, NamedTuple

import click

from fastbroker.streams import STDIN, readable

STANDARD_INPUT = "-"
PIECE = 64 * 1024

# Waits for what may take its time. Raises StompError when the broker is gone meanwhile.
Wait = Callable[[Coroutine[Any, Any, None]], Coroutine[Any, Any, None]]


class Source(NamedTuple):
    """Where the bodies come from: a text, or files, each of them whole or line by line."""

    text: bytes
    files: tuple[str, ...]
    lines: bool
    repeat: int

    async def bodies(self, wait: Wait) -> AsyncIterator[bytes]:
        """One for each message. Raises click.ClickException for a file that cannot be read."""
        if not self.files:
            for _ in range(self.repeat):
                yield self.text
        for file in self.files:
            async for body in self._bodies_of(pieces(file, wait)):
                yield body

    async def _bodies_of(self, found: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
        if self.lines:
            async for line in lines(found):
                yield line
        else:
            body = b"".join([piece async for piece in found])
            for _ in range(self.repeat):
                yield body


async def pieces(file: str, wait: Wait) -> AsyncIterator[bytes]:
    """What a file holds, piece by piece as it comes; the loop goes on meanwhile."""
    try:
        descriptor = STDIN if file == STANDARD_INPUT else os.open(file, os.O_RDONLY)
        try:
            while piece := await _piece(descriptor, wait):
                yield piece
        finally:
            if descriptor != STDIN:
                os.close(descriptor)
    except OSError as error:
        name = "the standard input" if file == STANDARD_INPUT else file
        raise click.ClickException(f"cannot read {name}: {error.strerror}") from None


async def _piece(descriptor: int, wait: Wait) -> bytes:
    await wait(readable(descriptor))
    return os.read(descriptor, PIECE)


async def lines(found: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The lines of what comes in pieces, without their ends; each as soon as it is there."""
    held = bytearray()
    async for piece in found:
        held += piece
        if b"\n" in piece:
            *whole, held = held.split(b"\n")
            for line in whole:
                yield bytes(line)
    if held:
        yield bytes(held)
