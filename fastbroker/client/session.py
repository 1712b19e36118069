"""A session with a broker, in STOMP 1.2."""

import asyncio
import itertools
import time
from collections import deque
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any, NoReturn, TypeVar

from fastbroker.client.dial import TIMEOUT, Trust, Writer, dial
from fastbroker.client.errors import Ended, Lost, StompError
from fastbroker.client.frames import Frame, encode
from fastbroker.client.stream import Reader, read_frame
from fastbroker.transports.address import Address

HEART_BEAT = 10.0
# Without a byte for this many agreed intervals the broker counts as gone.
MARGIN = 2.5

# The ERRORs of a broker that will be there again, or less busy; they may answer anything.
PASSING = ("server shutting down", "server stopped", "server busy", "too slow while others wait", "out of memory")

Headers = Iterable[tuple[str, str]]
Result = TypeVar("Result")


class Client:
    """A session with a broker; `connected` makes one."""

    def __init__(self, reader: Reader, writer: Writer) -> None:
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
        if "\n" in login + passcode:
            raise StompError("login and passcode can hold no line ends: CONNECT knows no escapes")
        if login or passcode:
            headers += [("login", login), ("passcode", passcode)]
        try:
            await self._write(Frame("CONNECT", headers))
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

    async def unless_lost(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Wait for something else, where nothing is expected of the broker. Raises StompError when that one is gone."""
        tasks = task, ended = asyncio.create_task(work), asyncio.create_task(self._reader.ended.wait())
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                await self._read_to_the_end()
            return await task
        finally:
            for each in tasks:
                each.cancel()

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
        try:
            await self._writer.drain()
        except OSError:
            # The connection is gone, but what the broker said last may still be there to read.
            await self._read_to_the_end()

    async def _read_to_the_end(self) -> NoReturn:
        while True:
            await self._read()

    async def _read(self) -> Frame:
        frame = await read_frame(self._reader)
        if frame.command == "ERROR":
            message, detail = frame.header("message"), frame.body.decode(errors="replace").strip()
            error = Lost if message.startswith(PASSING) else StompError
            raise error("\n".join(filter(None, [f"the broker says: {message}", detail])))
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
        self._reader.set_exception(Lost(f"the broker sent nothing for {longest:g} s, not even a heart-beat"))


@asynccontextmanager
async def connected(
    address: Address, login: str = "", passcode: str = "", trust: Trust | None = None
) -> AsyncIterator[Client]:
    """Connect and log in; the connection is closed at the end, with or without DISCONNECT before."""
    client = Client(*await dial(address, trust or Trust()))
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
        raise Lost(f"the broker did not answer {command} within {TIMEOUT:g} seconds") from None
