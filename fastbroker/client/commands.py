"""The commands `send` and `subscribe`."""

import asyncio
import errno
import os
import shlex
import signal
import sys
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any, TypeVar

import click

from fastbroker import streams
from fastbroker.client.errors import StompError
from fastbroker.client.input import STANDARD_INPUT, Source
from fastbroker.client.options import Headers, client_options, refuse_both, refuse_own, trust_for
from fastbroker.client.output import print_json, print_text, safe
from fastbroker.client.receiving import Receiving, Wish
from fastbroker.client.sending import send_all
from fastbroker.client.session import connected
from fastbroker.transports.address import Address

INTERRUPTED = 130

Result = TypeVar("Result")


@click.command()
@click.argument("destination", metavar="DEST")
@click.argument("words", nargs=-1, metavar="[BODY|-]")
@click.option(
    "--file",
    "files",
    metavar="FILE",
    multiple=True,
    help="Take the body from this file; - is the standard input. Can be given several times, for a message each.",
)
@click.option("--lines", is_flag=True, help="Send each line of the input as a message of its own, as soon as it comes.")
@click.option("--repeat", metavar="N", type=click.IntRange(min=1), help="Send each message N times.")
@click.option("--receipt", is_flag=True, help="Ask for a RECEIPT for each message, and wait for it before the next.")
@client_options
def send(
    destination: str,
    words: tuple[str, ...],
    files: tuple[str, ...],
    lines: bool,
    repeat: int | None,
    receipt: bool,
    headers: Headers,
    address: Address,
    login: str,
    passcode: str,
    **trust: Any,
) -> None:
    """Send a message to DEST: /topic/NAME, /queue/NAME, or NAME alone for a queue.

    Without BODY, or with -, the body is read from the standard input, byte for byte. Where that is a terminal it is
    read only with -, and without BODY the body is empty. '' is an empty BODY; one that begins with - stands behind --.

    The exit status is 0 when the broker has handled all messages; 1 if it answered with an ERROR, could not be reached
    or went away, or if a file could not be read; 2 if the command was written wrongly; 130 after Ctrl-C.
    """
    if len(words) > 1:
        raise click.UsageError(f"BODY is one argument; in quotes it is: {shlex.quote(' '.join(words))}")
    body = words[0] if words else None
    refuse_both({"BODY": words, "--file": files})
    refuse_both({"BODY": body not in (None, STANDARD_INPUT), "--lines": lines})
    refuse_both({"--lines": lines, "--repeat": repeat})
    refuse_own(headers, {"destination": "from DEST", "receipt": "with --receipt", "content-length": "from the body"})
    trusted = trust_for(address, **trust)
    if body == STANDARD_INPUT or (body is None and not files and (lines or not os.isatty(streams.STDIN))):
        files = (STANDARD_INPUT,)
    source = Source(os.fsencode(body or ""), files, lines, repeat or 1)

    async def work() -> None:
        async with connected(address, login, passcode, trusted) as client:
            await send_all(client, destination, source.bodies(client.unless_lost), headers, receipts=receipt)

    _run(work())


@click.command()
@click.argument("destinations", metavar="DEST...", nargs=-1, required=True)
@click.option(
    "--ack",
    metavar="MODE",
    type=click.Choice(["auto", "client", "client-individual"]),
    help="auto, client or client-individual; but for auto, each message is acknowledged when it has been printed. "
    "Default: auto, with --count client-individual.",
)
@click.option("--count", metavar="N", type=click.IntRange(min=1), help="End after N messages and leave the others.")
@click.option("--json", "as_json", is_flag=True, help="Print each message as one JSON object on one line.")
@click.option(
    "--reconnect",
    is_flag=True,
    help="Wait for a broker that is not there, or not any more, and try again: after 0.5 s, then less and less often, "
    "at last every 30 s.",
)
@client_options
def subscribe(
    destinations: tuple[str, ...],
    ack: str | None,
    count: int | None,
    as_json: bool,
    reconnect: bool,
    headers: Headers,
    address: Address,
    login: str,
    passcode: str,
    **trust: Any,
) -> None:
    """Subscribe to each DEST and print the body of each message.

    DEST is /queue/NAME, NAME alone for a queue, or /topic/NAME, where a word * of the name stands for any one word and
    > at its end for all that follow.

    With --json a message is {"headers": {...}, "body": "..."}; "body_base64" takes the place of a body that is no text.

    The exit status is 0 after --count messages, and after Ctrl-C without --count; 1 if the broker answered with an
    ERROR, could not be reached or went away, or if nobody reads what is printed; 2 if the command was written wrongly;
    130 after Ctrl-C where messages of --count are missing. With --reconnect a lost connection ends nothing; an ERROR
    for the login or a DEST does.
    """
    refuse_own(
        headers, {"destination": "from DEST", "ack": "from --ack", "id": "to be unique", "receipt": "to wait for it"}
    )
    trusted = trust_for(address, **trust)
    mode = ack or ("client-individual" if count else "auto")
    receiving = Receiving(Wish(destinations, mode, headers, print_json if as_json else print_text), count)
    work = receiving.receive(lambda: connected(address, login, passcode, trusted), again=reconnect)
    if not _run(_until_signal(work)) and count:
        sys.exit(INTERRUPTED)


async def _until_signal(work: Coroutine[Any, Any, None]) -> bool:
    """Do the work until it ends or Ctrl-C or SIGTERM ends it; return whether it ended by itself.

    Raises BrokenPipeError when the reader of what is printed went away.
    """
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    gone = loop.create_task(streams.reader_gone())
    await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
    unread = gone.done()
    (task if unread else gone).cancel()
    with suppress(asyncio.CancelledError):
        await task
    if unread:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))
    return not task.cancelled()


def _run(work: Coroutine[Any, Any, Result]) -> Result:
    try:
        return asyncio.run(work)
    except StompError as error:
        raise click.ClickException(safe(str(error))) from None
