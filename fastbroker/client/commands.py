"""The commands `send` and `subscribe`."""

import asyncio
import itertools
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager, suppress
from functools import reduce
from typing import Any, TypeVar

import click

from fastbroker.client import Client, Frame, StompError, Trust, connected
from fastbroker.client.output import print_json, print_text
from fastbroker.transports.address import DEFAULT_PORT, Address, parse_target

INTERRUPTED = 130
# How long a broker may take to answer DISCONNECT after Ctrl-C.
GOODBYE_TIMEOUT = 2.0

Headers = list[tuple[str, str]]
Result = TypeVar("Result")


def _parse_url(_ctx: click.Context, _param: click.Parameter, text: str) -> Address:
    try:
        return parse_target(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _parse_headers(_ctx: click.Context, _param: click.Parameter, texts: tuple[str, ...]) -> Headers:
    headers = []
    for text in texts:
        name, colon, value = text.partition(":")
        if not name or not colon:
            raise click.BadParameter(f"{text!r} is no header; write it as name:value")
        headers.append((name, value))
    return headers


_CLIENT_OPTIONS = (
    click.option(
        "--url",
        "address",
        metavar="URL",
        callback=_parse_url,
        default=f"tcp://127.0.0.1:{DEFAULT_PORT}",
        show_default=True,
        envvar="FASTBROKER_URL",
        show_envvar=True,
        help="The broker's address: tcp:// or tls://host:port, ws:// or wss://host:port/path, unix:///path.",
    ),
    click.option("--login", default="", envvar="FASTBROKER_LOGIN", show_envvar=True, help="Login name."),
    click.option(
        "--passcode",
        default="",
        envvar="FASTBROKER_PASSCODE",
        show_envvar=True,
        help="Passcode. Other users of this machine can see the command line, but not the environment.",
    ),
    click.option("--ca", metavar="FILE", help="Authorities that the broker's certificate may be from (tls, wss)."),
    click.option("--insecure", is_flag=True, help="Take any certificate. Whoever is in between can read and forge."),
    click.option("--certificate", metavar="FILE", help="Your own certificate, for a broker that asks for one."),
    click.option("--key", metavar="FILE", help="Its private key, if that is in a file of its own."),
    click.option(
        "--header",
        "headers",
        metavar="K:V",
        callback=_parse_headers,
        multiple=True,
        help="A header for the frame. Can be given several times.",
    ),
)


def client_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that both commands have: which broker, as whom, with which headers."""
    return reduce(lambda decorated, option: option(decorated), reversed(_CLIENT_OPTIONS), command)


@click.command()
@click.argument("destination", metavar="DEST")
@click.argument("body", default="", metavar="[BODY|-]")
@click.option("--receipt", is_flag=True, help="Ask for a RECEIPT for the message itself, and wait for it.")
@client_options
def send(destination: str, body: str, receipt: bool, headers: Headers, **broker: Any) -> None:
    """Send one message to DEST: /topic/NAME, /queue/NAME, or NAME alone for a queue.

    Without BODY the body is empty; with - it is read from the standard input. If the broker answers with an ERROR, it
    is printed and the exit status is 1.
    """
    content = sys.stdin.buffer.read() if body == "-" else os.fsencode(body)

    async def work() -> None:
        async with _connected(**broker) as client:
            await client.send(destination, content, headers, receipt=receipt)
            await client.disconnect()

    _run(work())


@click.command()
@click.argument("destination", metavar="DEST")
@click.option(
    "--ack",
    metavar="MODE",
    type=click.Choice(["auto", "client", "client-individual"]),
    help="auto, client or client-individual; but for auto, each message is acknowledged when it has been printed. "
    "Default: auto, with --count client-individual.",
)
@click.option("--count", metavar="N", type=click.IntRange(min=1), help="End after N messages and leave the others.")
@click.option("--json", "as_json", is_flag=True, help="Print each message as one JSON object on one line.")
@client_options
def subscribe(
    destination: str,
    ack: str | None,
    count: int | None,
    as_json: bool,
    headers: Headers,
    **broker: Any,
) -> None:
    """Subscribe to DEST and print the body of each message.

    DEST is /queue/NAME, NAME alone for a queue, or /topic/NAME, where a word * of the name stands for any one word and
    > at its end for all that follow.

    With --json a message is {"headers": {...}, "body": "..."}; "body_base64" takes the place of a body that is no text.

    Ctrl-C ends it with status 0, or with 130 if messages of --count are missing. If the broker answers with an ERROR,
    it is printed and the exit status is 1.
    """
    mode = ack or ("client-individual" if count else "auto")
    if count:
        headers = [*headers, ("prefetch-count", str(count))]

    async def work() -> None:
        async with _connected(**broker) as client:
            await client.subscribe(destination, mode, headers)
            click.echo(f"subscribed to {destination}", err=True)
            await _receive(client, mode, count, print_json if as_json else print_text)

    if not _run(_until_signal(work())) and count:
        sys.exit(INTERRUPTED)


def _connected(address: Address, login: str, passcode: str, **trust: Any) -> AbstractAsyncContextManager[Client]:
    return connected(address, login, passcode, Trust(**trust))


async def _receive(client: Client, mode: str, count: int | None, show: Callable[[Frame], None]) -> None:
    numbers = itertools.count(1)
    try:
        async for message in client.messages():
            show(message)
            if mode != "auto":
                await client.ack(message)
            if next(numbers) == count:
                break
    except asyncio.CancelledError:
        with suppress(StompError, TimeoutError):
            async with asyncio.timeout(GOODBYE_TIMEOUT):
                await client.disconnect()
        raise
    await client.disconnect()


async def _until_signal(work: Coroutine[Any, Any, None]) -> bool:
    """Do the work until it ends or Ctrl-C or SIGTERM ends it; return whether it ended by itself."""
    loop = asyncio.get_running_loop()
    task = loop.create_task(work)
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    with suppress(asyncio.CancelledError):
        await task
    return not task.cancelled()


def _run(work: Coroutine[Any, Any, Result]) -> Result:
    try:
        return asyncio.run(work)
    except StompError as error:
        raise click.ClickException(str(error)) from None
