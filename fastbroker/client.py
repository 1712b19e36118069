"""A small STOMP 1.2 client, for the commands `send` and `subscribe`.

It reads when it is asked to, one frame after the other, so the broker's flow control reaches to whoever asks.
"""

import asyncio
import errno
import itertools
import os
import re
import socket
import ssl
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple, SupportsIndex

from fastbroker.transports.address import Address

if TYPE_CHECKING:
    from fastbroker.client_websocket import Writer

HEART_BEAT = 10.0
TIMEOUT = 30.0
# Without a byte for this many agreed intervals the broker counts as gone.
MARGIN = 2.5
# The longest line, or body without content-length, that is taken.
LONGEST = 64 * 2**20

Headers = Iterable[tuple[str, str]]

# What to do about OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID, _CERT_HAS_EXPIRED, _HOSTNAME_MISMATCH, _IP_ADDRESS_MISMATCH.
_TRUST_HINTS = {
    9: "is the clock of this machine right?",
    10: "the broker needs a new one",
    62: "connect to a name that it is for",
    64: "connect to a name that it is for",
}

_ESCAPES = {"\\": "\\\\", "\r": "\\r", "\n": "\\n", ":": "\\c"}
_UNESCAPES = {escape: character for character, escape in _ESCAPES.items()}


class StompError(Exception):
    """The broker said ERROR, spoke no STOMP, or went away."""


class Ended(StompError):
    """The broker closed the connection."""


class NotSpoken(ConnectionError):
    """There is a server, but it does not speak what the address says."""


class Frame(NamedTuple):
    """One frame: its command, its headers in their order, its body."""

    command: str
    headers: list[tuple[str, str]]
    body: bytes = b""

    def header(self, name: str, default: str = "") -> str:
        """The value of a header: of the first one, where it is repeated."""
        return next((value for key, value in self.headers if key == name), default)


def encode(frame: Frame) -> bytes:
    """Return the bytes of a frame; CONNECT knows no escapes."""
    plain = frame.command == "CONNECT"
    lines = [f"{name}:{value}" if plain else f"{_escape(name)}:{_escape(value)}" for name, value in frame.headers]
    return "\n".join([frame.command, *lines, "", ""]).encode() + frame.body + b"\0\n"


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
    headers = []
    while line := await _line(reader):
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError(f"a header line without a colon: {line[:80]!r}")
        headers.append((name, value) if command == "CONNECTED" else (_unescape(name), _unescape(value)))
    frame = Frame(command, headers)
    return frame._replace(body=await _body(reader, frame.header("content-length")))


async def _line(reader: asyncio.StreamReader) -> str:
    return (await reader.readuntil(b"\n"))[:-1].removesuffix(b"\r").decode()


async def _body(reader: asyncio.StreamReader, length: str) -> bytes:
    body = await (reader.readexactly(int(length) + 1) if length else reader.readuntil(b"\0"))
    if body[-1]:
        raise ValueError("a body is longer than its content-length says")
    return body[:-1]


def _escape(text: str) -> str:
    return "".join(_ESCAPES.get(character, character) for character in text)


def _unescape(text: str) -> str:
    return re.sub(r"\\.?", lambda escape: _UNESCAPES[escape[0]], text, flags=re.DOTALL)


class _Reader(asyncio.StreamReader):
    """A stream that knows when its last byte came: any byte is a sign of life."""

    def __init__(self) -> None:
        super().__init__(limit=LONGEST)
        self.heard = time.monotonic()

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        self.heard = time.monotonic()
        super().feed_data(data)


class Client:
    """A session with a broker; `connected` makes one."""

    def __init__(self, reader: _Reader, writer: "Writer") -> None:
        """Take over an open connection, on which nothing was said yet."""
        self._reader = reader
        self._writer = writer
        self._numbers = itertools.count(1)
        self._messages: deque[Frame] = deque()
        self._beats: list[asyncio.Task[None]] = []

    async def log_in(self, host: str, login: str, passcode: str) -> None:
        """Say CONNECT and wait for CONNECTED."""
        wish = str(int(HEART_BEAT * 1000))
        headers = [("accept-version", "1.2"), ("host", host), ("heart-beat", f"{wish},{wish}")]
        if login or passcode:
            headers += [("login", login), ("passcode", passcode)]
        await self._write(Frame("CONNECT", headers))
        try:
            connected = await self._read()
        except Ended:
            raise Ended("the broker closed the connection at once; is this what is spoken at its address?") from None
        if connected.command != "CONNECTED" or connected.header("version") != "1.2":
            raise StompError(f"the broker answered CONNECT with {connected.command}, not with CONNECTED in version 1.2")
        self._start_beating(connected.header("heart-beat", "0,0"))

    async def send(self, destination: str, body: bytes, headers: Headers = (), *, receipt: bool = False) -> None:
        """Send one message; with `receipt`, come back when the broker has taken it over."""
        own = [("destination", destination), ("content-length", str(len(body)))]
        await self._say("SEND", [*own, *headers], body, receipt=receipt)

    async def subscribe(self, destination: str, ack: str, headers: Headers = ()) -> None:
        """Subscribe; come back when the subscription is there."""
        own = [("id", str(next(self._numbers))), ("destination", destination), ("ack", ack)]
        await self._say("SUBSCRIBE", [*own, *headers], receipt=True)

    async def messages(self) -> AsyncIterator[Frame]:
        """The MESSAGE frames of all subscriptions, as they come."""
        while True:
            frame = self._messages.popleft() if self._messages else await self._read()
            if frame.command == "MESSAGE":
                yield frame

    async def ack(self, message: Frame) -> None:
        """Acknowledge a message of a subscription that asks for it."""
        await self._say("ACK", [("id", message.header("ack"))])

    async def disconnect(self) -> None:
        """Say DISCONNECT; come back when the broker has handled all that was said before."""
        await self._say("DISCONNECT", [], receipt=True)

    def close(self) -> None:
        """End the connection as it is."""
        for beat in self._beats:
            beat.cancel()
        self._writer.close()

    async def _say(
        self, command: str, headers: list[tuple[str, str]], body: bytes = b"", *, receipt: bool = False
    ) -> None:
        number = str(next(self._numbers))
        await self._write(Frame(command, [("receipt", number), *headers] if receipt else headers, body))
        if receipt:
            await self._wait_for_receipt(command, number)

    async def _wait_for_receipt(self, command: str, number: str) -> None:
        async with _answer_to(command):
            while (frame := await self._read()).header("receipt-id") != number:
                self._messages.append(frame)

    async def _write(self, frame: Frame) -> None:
        self._writer.write(encode(frame))
        # When the connection is gone, what the broker said last may still be there to read.
        with suppress(OSError):
            await self._writer.drain()

    async def _read(self) -> Frame:
        frame = await read_frame(self._reader)
        if frame.command == "ERROR":
            detail = frame.body.decode(errors="replace").strip()
            raise StompError("\n".join(filter(None, [f"the broker says: {frame.header('message')}", detail])))
        return frame

    def _start_beating(self, offer: str) -> None:
        try:
            can_send, wants = (int(milliseconds) / 1000 for milliseconds in offer.split(","))
        except ValueError:
            raise StompError(f"the broker's heart-beat header is malformed: {offer!r}") from None
        if wants:
            self._beats.append(asyncio.create_task(self._beat(max(wants, HEART_BEAT))))
        if can_send:
            self._beats.append(asyncio.create_task(self._watch(max(can_send, HEART_BEAT) * MARGIN)))

    async def _beat(self, interval: float) -> None:
        while True:
            await asyncio.sleep(interval / 2)
            self._writer.write(b"\n")

    async def _watch(self, longest: float) -> None:
        while (left := self._reader.heard + longest - time.monotonic()) > 0:
            await asyncio.sleep(left)
        self._reader.set_exception(StompError(f"the broker sent nothing for {longest:g} s, not even a heart-beat"))


class Trust(NamedTuple):
    """How the broker is known, where it speaks TLS, and how it knows us."""

    ca: str | None = None
    insecure: bool = False
    certificate: str | None = None
    key: str | None = None

    def context(self) -> ssl.SSLContext:
        """What TLS needs. Raises StompError for a file that is not what it should be."""
        from fastbroker.errors import StartError
        from fastbroker.transports.tls import client_context

        try:
            return client_context(*self)
        except StartError as error:
            raise StompError(str(error)) from None


@asynccontextmanager
async def connected(
    address: Address, login: str = "", passcode: str = "", trust: Trust | None = None
) -> AsyncIterator[Client]:
    """Connect and log in; the connection is closed at the end, with or without DISCONNECT before."""
    client = await _open(address, trust or Trust())
    try:
        async with _answer_to("CONNECT"):
            await client.log_in(address.host or "localhost", login, passcode)
        yield client
    finally:
        client.close()


@asynccontextmanager
async def _answer_to(command: str) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(TIMEOUT):
            yield
    except TimeoutError:
        raise StompError(f"the broker did not answer {command} within {TIMEOUT:g} seconds") from None


async def _open(address: Address, trust: Trust) -> Client:
    context = trust.context() if address.how.secure else None
    reader = _Reader()
    try:
        async with asyncio.timeout(TIMEOUT):
            return Client(reader, await _dial(address, context, reader))
    except OSError as error:
        raise StompError(f"cannot connect to {address}{_reason(error)}") from None


def _reason(error: OSError) -> str:
    """Why a connection came to nothing, and what to do about it."""
    if isinstance(error, ssl.SSLCertVerificationError):
        hint = _TRUST_HINTS.get(error.verify_code, "--ca names the authority that it is from")
        reason = error.verify_message.rstrip(".")
        return f": its certificate is not trusted: {reason}; {hint}; --insecure takes it as it is"
    if isinstance(error, ssl.SSLError):
        from fastbroker.transports.tls import words

        return f": TLS failed: {words(error)}; does the broker speak TLS at this address?"
    if isinstance(error, socket.gaierror):
        return f": {error.strerror}"
    if isinstance(error, ConnectionResetError | ConnectionAbortedError):
        return ": the connection was closed before it was established; is this what the broker speaks there?"
    if isinstance(error, TimeoutError):
        return f": no answer within {TIMEOUT:g} seconds"
    if error.errno not in (None, errno.ECONNREFUSED, errno.ENOENT):
        return f": {os.strerror(error.errno)}"
    if isinstance(error, NotSpoken):
        return f": {error}"
    return "; is the broker running? `fastbroker serve` starts one on this machine"


async def _dial(address: Address, context: ssl.SSLContext | None, reader: asyncio.StreamReader) -> "Writer":
    if address.how.websocket:
        from fastbroker.client_websocket import connect

        return await connect(address, context, reader)
    loop = asyncio.get_running_loop()
    protocol = asyncio.StreamReaderProtocol(reader)
    if address.is_local:
        transport, _ = await loop.create_unix_connection(lambda: protocol, address.path)
    else:
        transport, _ = await loop.create_connection(lambda: protocol, address.host, address.port, ssl=context)
    return asyncio.StreamWriter(transport, protocol, reader, loop)
