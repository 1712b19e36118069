"""Frames out of a stream.

They are read when they are asked for, one after the other, so the broker's flow control reaches to whoever asks.
"""

import asyncio
import ssl
import time
from collections.abc import Iterable
from typing import SupportsIndex

from fastbroker.client.errors import Ended, StompError
from fastbroker.client.frames import Frame, unescape

# The longest line, or body without content-length, that is taken.
LONGEST = 64 * 2**20


class Reader(asyncio.StreamReader):
    """A stream that knows when its last byte came, as any byte is a sign of life, and that its end has come."""

    def __init__(self) -> None:
        """Nothing came yet; being made counts as a sign of life."""
        super().__init__(limit=LONGEST)
        self.heard = time.monotonic()
        self.ended = asyncio.Event()

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        """Take what came."""
        self.heard = time.monotonic()
        super().feed_data(data)

    def feed_eof(self) -> None:
        """Nothing more will come; what came is still to be read."""
        super().feed_eof()
        self.ended.set()

    def set_exception(self, exc: Exception) -> None:
        """Nothing more is to be read; but of a connection that is reset, what came before, as it may be an ERROR."""
        if isinstance(exc, ConnectionError):
            self.feed_eof()
        else:
            super().set_exception(exc)
            self.ended.set()


class Streams(asyncio.StreamReaderProtocol):
    """Tells why a connection has ended to whoever reads, and to nobody else: asyncio would complain that none asks."""

    def __init__(self, reader: Reader) -> None:
        """Feed that reader."""
        super().__init__(reader)
        self._told = reader

    def connection_lost(self, exc: Exception | None) -> None:
        """What came before is still to be read."""
        if exc is not None:
            self._told.set_exception(exc)
        super().connection_lost(None)


async def read_frame(reader: asyncio.StreamReader) -> Frame:
    """Read the next frame, past heart-beats. Raises StompError when what comes is no frame."""
    try:
        return await _read_frame(reader)
    except ssl.SSLError as error:
        raise StompError(_ended_in_tls(error)) from None
    except (asyncio.IncompleteReadError, OSError):
        raise Ended("the broker closed the connection") from None
    except (ValueError, KeyError, asyncio.LimitOverrunError) as error:
        raise StompError(f"what came is no STOMP frame: {error}") from None


def _ended_in_tls(error: ssl.SSLError) -> str:
    """In TLS 1.3 a client learns only after its handshake what the broker thinks of its certificate."""
    from fastbroker.transports.tls import words

    reason = words(error)
    hint = "; --certificate names the one to show" if "certificate" in reason else ""
    return f"the broker ended the connection: {reason}{hint}"


async def _read_frame(reader: asyncio.StreamReader) -> Frame:
    while not (command := await _line(reader)):
        pass
    if command.startswith("HTTP/"):
        raise StompError("what answers speaks HTTP; over a WebSocket the broker is ws://")
    headers = []
    while line := await _line(reader):
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError(f"a header line without a colon: {line[:80]!r}")
        headers.append((name, value) if command == "CONNECTED" else (unescape(name), unescape(value)))
    frame = Frame(command, headers)
    return frame._replace(body=await _body(reader, frame.header("content-length")))


async def _line(reader: asyncio.StreamReader) -> str:
    return (await reader.readuntil(b"\n"))[:-1].removesuffix(b"\r").decode()


async def _body(reader: asyncio.StreamReader, length: str) -> bytes:
    body = await (reader.readexactly(int(length) + 1) if length else reader.readuntil(b"\0"))
    if body[-1]:
        raise ValueError("a body is longer than its content-length says")
    return body[:-1]
