"""The commands `serve`, `config` and `check-config`: the broker, and what it would run with."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fastbroker.errors import ConfigError, StartError

# What these commands run is imported within them: the others need neither the compiled core nor its event loop.
if TYPE_CHECKING:
    from fastbroker.config import Config
    from fastbroker.config.conflicts import Conflict
    from fastbroker.config.overlay import Effective

_SOURCES = (
    click.option("-c", "--config", "file", metavar="FILE", type=click.Path(), help="Configuration file (TOML)."),
    click.option(
        "--listen",
        metavar="URL",
        multiple=True,
        help="Address to listen on: tcp://host:port, tls://, ws://, wss:// likewise, port 0 for a free one, "
        "unix:///path. Can be given several times. [key: listen]",
    ),
    click.option(
        "--data-dir",
        metavar="DIR",
        type=click.Path(),
        help="Directory of this broker alone, or none: all is kept in memory. [key: data_dir]",
    ),
    click.option("--log-level", metavar="LEVEL", help="debug, info, warning or error. [key: log.level]"),
    click.option("--log-format", metavar="FORMAT", help="text or json. [key: log.format]"),
)


class NotStarted(click.ClickException):
    """The broker did not start; 2 tells that from a broker that ended."""

    exit_code = 2


# What is left over may be a file without its -c.
_LEFT_OVER = {"allow_extra_args": True}


def _with_sources(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say where the configuration comes from."""
    return reduce(lambda decorated, option: option(decorated), reversed(_SOURCES), command)


@click.command(context_settings=_LEFT_OVER)
@_with_sources
def serve(file: str | None, **flags: Any) -> None:
    """Run the broker.

    Each bound address is printed as `listening on tcp://127.0.0.1:61613`. SIGTERM and SIGINT end the broker: it stops
    accepting, gives clients `drain_timeout` to take what is still to be sent, and exits with 0. A second signal ends
    it at once, with 1 if that cut connections off. A broker that cannot start says why and exits with 2.

    Flags are stronger than environment variables (FASTBROKER__LIMITS__MAX_FRAME=...), which are stronger than FILE.
    `fastbroker config` prints what comes out.
    """
    from fastbroker.config.overlay import load
    from fastbroker.service import run

    given = _given(flags)
    try:
        config = load(file, os.environ, given).config
        status = run(config, str(Path(file).absolute()) if file else "")
    except StartError as error:
        raise NotStarted(report(error)) from None
    sys.exit(status)


@click.command(context_settings=_LEFT_OVER)
@_with_sources
@click.option("--defaults", is_flag=True, help="Print every key with its meaning, range and default, commented out.")
@click.option("--explain", metavar="DEST", help="Print what holds for one destination, and which table decides it.")
def config(file: str | None, defaults: bool, explain: str | None, **flags: Any) -> None:
    """Print the configuration that `serve` would run with, and where each value comes from.

    With --defaults it is a file to begin with, which explains every key and changes nothing as it stands. Either is a
    file for `serve -c`. With --explain it is the policy of one destination as a client writes it: /queue/x, /topic/a.b,
    x. If anything is wrong, all of it is listed and the exit status is 1.
    """
    from fastbroker.config.overlay import load
    from fastbroker.config.toml import all_defaults, as_toml

    given = _given(flags)
    if defaults and (file or given or explain is not None):
        raise click.UsageError("--defaults goes with no other option")
    try:
        effective = None if defaults else load(file, os.environ, given, [_variables])
    except StartError as error:
        raise click.ClickException(report(error)) from None
    if effective is None:
        click.echo(all_defaults(), nl=False)
    else:
        click.echo(as_toml(*effective) if explain is None else _explained(effective, explain), nl=False)


def _explained(effective: "Effective", destination: str) -> str:
    from fastbroker.config.explain import explained
    from fastbroker.core.frame import Refused

    try:
        return explained(*effective, destination)
    except Refused as refused:
        raise click.ClickException(refused.args[1].decode()) from None
    except UnicodeError:
        raise click.ClickException("a destination is written in UTF-8") from None


@click.command()
@click.argument("file", type=click.Path())
def check_config(file: str) -> None:
    """Check what `serve -c FILE` would run with: print all that is wrong, a line for each mistake.

    Environment variables count, as they do for `serve`. Certificates and `websocket.pages` are looked into, but
    nothing is bound and no name is looked up. The exit status is 0, or 1 if anything is wrong. `fastbroker config -c
    FILE` prints the settings themselves.
    """
    from fastbroker.config import policies
    from fastbroker.config.overlay import load
    from fastbroker.transports import listeners, tls
    from fastbroker.web import pages

    try:
        found, _ = load(file, os.environ, {}, [_variables, listeners.check, tls.check, pages.check])
    except StartError as error:
        raise click.ClickException(report(error)) from None
    for doubt in (*policies.doubts(found), *tls.doubts(found)):
        click.echo(f"Warning: {doubt}", err=True)
    click.echo(f"{file}: nothing is wrong")


def _variables(_: "Config") -> "Iterator[Conflict]":
    from fastbroker.config.overlay import misspelt

    return ((f"{name}: is not read; did you mean {meant}?", {}) for name, meant in misspelt(os.environ))


def _given(flags: Mapping[str, Any]) -> dict[str, object]:
    """The flags that are on the command line, under the names of their keys. Raises click.UsageError for more."""
    from fastbroker.config.overlay import FLAGS

    if left_over := click.get_current_context().args:
        raise click.UsageError(f"Got unexpected extra argument ({left_over[0]}); a configuration file stands behind -c")
    names = {flag.removeprefix("--").replace("-", "_"): path for path, flag in FLAGS.items()}
    return {names[name]: value for name, value in flags.items() if value}


def report(error: StartError) -> str:
    """The message; of a wrong configuration, a line for each thing to mend."""
    problems = error.problems if isinstance(error, ConfigError) else []
    return "\n  ".join(["the configuration is wrong:", *problems]) if problems else str(error)
