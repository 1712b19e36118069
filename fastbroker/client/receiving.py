"""Messages from any number of destinations, and from a broker that may be gone for a while."""

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, suppress
from typing import NamedTuple

import click

from fastbroker.client.errors import Lost, StompError
from fastbroker.client.frames import Frame
from fastbroker.client.output import safe
from fastbroker.client.session import Client, Headers

# Seconds before the broker is tried again, the first time and after many.
SHORTEST, LONGEST = 0.5, 30.0
# The credit that every broker can count, for however many messages.
MOST_CREDIT = 65_535
# How long a broker may take to answer DISCONNECT after Ctrl-C.
GOODBYE_TIMEOUT = 2.0


class Wish(NamedTuple):
    """What is subscribed to, and what becomes of the messages."""

    destinations: tuple[str, ...]
    mode: str
    headers: Headers
    show: Callable[[Frame], None]


class Receiving:
    """Receives over one connection, or over one after the other."""

    def __init__(self, wish: Wish, count: int | None) -> None:
        """Ends after `count` messages."""
        self._wish = wish
        self._left = count
        self._pauses = pauses()

    async def receive(self, connect: Callable[[], AbstractAsyncContextManager[Client]], *, again: bool) -> None:
        """Show each message. Raises StompError; with `again`, only where another attempt would change nothing."""
        while True:
            subscribed = False
            try:
                async with connect() as client:
                    await self._subscribe(client)
                    subscribed = True
                    return await self._show_all(client)
            except StompError as error:
                if not again or not (subscribed or isinstance(error, Lost)):
                    raise
                pause = next(self._pauses)
                click.echo(f"{safe(str(error)).splitlines()[0]}; trying again in {pause:.1f} s", err=True)
            await asyncio.sleep(pause)

    async def _subscribe(self, client: Client) -> None:
        credit = [("prefetch-count", str(min(self._left, MOST_CREDIT)))] if self._left else []
        for destination in self._wish.destinations:
            await client.subscribe(destination, self._wish.mode, [*self._wish.headers, *credit])
            click.echo(f"subscribed to {destination}", err=True)
        self._pauses = pauses()

    async def _show_all(self, client: Client) -> None:
        try:
            async for message in client.messages():
                self._wish.show(message)
                if self._wish.mode != "auto":
                    await client.ack(message)
                if self._is_last():
                    break
        except asyncio.CancelledError:
            with suppress(StompError, TimeoutError):
                async with asyncio.timeout(GOODBYE_TIMEOUT):
                    await client.disconnect()
            raise
        await client.disconnect()

    def _is_last(self) -> bool:
        if self._left is None:
            return False
        self._left -= 1
        return self._left == 0


def pauses() -> Iterator[float]:
    """Seconds to wait, longer each time; by chance, as all clients of a broker lose it at the same moment."""
    longest = 2 * SHORTEST
    while True:
        yield random.uniform(longest / 2, longest)
        longest = min(2 * longest, LONGEST)
