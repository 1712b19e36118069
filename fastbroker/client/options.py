"""The options that all commands with a broker have, and which of them exclude each other."""

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import click

from fastbroker.client.dial import Trust
from fastbroker.transports.address import DEFAULT_PORT, Address, parse_target

Headers = list[tuple[str, str]]


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
    click.option(
        "--insecure", is_flag=True, help="Take any certificate (tls, wss). Whoever is in between can read and forge."
    ),
    click.option(
        "--certificate", metavar="FILE", help="Your own certificate, for a broker that asks for one (tls, wss)."
    ),
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


def trust_for(address: Address, ca: str | None, insecure: bool, certificate: str | None, key: str | None) -> Trust:
    """What was said about certificates. Raises click.UsageError where that contradicts itself, or the address."""
    given = {"--ca": ca, "--insecure": insecure, "--certificate": certificate, "--key": key}
    for option in (option for option, value in given.items() if value):
        if not address.how.secure:
            raise click.UsageError(f"{option} is for tls:// and wss://, and --url is {address}")
    if ca and insecure:
        raise click.UsageError("--ca and --insecure exclude each other: --insecure takes any certificate")
    if key and not certificate:
        raise click.UsageError("--key needs --certificate, whose key it is")
    return Trust(ca, insecure, certificate, key)


def refuse_own(headers: Headers, own: Mapping[str, str]) -> None:
    """Raise click.UsageError for a header that the command writes itself; `own` says from what."""
    for name in (name for name, _ in headers if name in own):
        raise click.UsageError(f"--header {name}: the command itself writes this header, {own[name]}")


def refuse_both(options: Mapping[str, Any]) -> None:
    """Raise click.UsageError if more than one of the options, by name, was given."""
    given = [name for name, value in options.items() if value]
    if len(given) > 1:
        raise click.UsageError(f"{' and '.join(given[:2])} exclude each other")
