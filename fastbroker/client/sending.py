"""Any number of messages to one destination."""

import sys
import time
from collections.abc import AsyncIterable

import click

from fastbroker.client.errors import StompError
from fastbroker.client.session import Client, Headers

# Without a receipt for each message, one is waited for after so many bytes: it is then that an ERROR is read.
WINDOW = 256 * 1024
# About what a frame has beside its body.
FRAME = 100
# Seconds between two signs of progress.
PROGRESS = 0.25


async def send_all(
    client: Client, destination: str, bodies: AsyncIterable[bytes], headers: Headers, *, receipts: bool
) -> None:
    """Send a message for each body; with `receipts`, the next one when the broker has taken over the one before.

    Comes back when the broker has handled them all. Raises StompError, which says how many it had taken over.
    """
    window = 0 if receipts else WINDOW
    progress = _Progress()
    unconfirmed = 0
    try:
        async for body in bodies:
            unconfirmed += FRAME + len(body)
            asked = unconfirmed > window
            await client.send(destination, body, headers, receipt=asked)
            progress.sent(confirmed=asked)
            if asked:
                unconfirmed = 0
        await client.disconnect()
    except StompError as error:
        raise type(error)(f"{error}{progress.so_far()}") from None
    finally:
        progress.end()


class _Progress:
    """How many messages are sent: a terminal shows it, where it takes its time."""

    def __init__(self) -> None:
        self._sent = self._confirmed = 0
        self._due = time.monotonic() + PROGRESS if sys.stderr.isatty() else float("inf")
        self._shown = False

    def sent(self, *, confirmed: bool) -> None:
        """One more; `confirmed` if the broker has taken it over, and with it all before."""
        self._sent += 1
        if confirmed:
            self._confirmed = self._sent
        if time.monotonic() >= self._due:
            click.echo(f"\r{self._sent:,} messages sent", nl=False, err=True)
            self._due, self._shown = time.monotonic() + PROGRESS, True

    def so_far(self) -> str:
        """For an error: what need not be sent again."""
        return f"; {self._confirmed} messages had arrived before" if self._confirmed else ""

    def end(self) -> None:
        """What is said next gets a line of its own."""
        if self._shown:
            click.echo(f"\r{self._sent:,} messages sent", err=True)
