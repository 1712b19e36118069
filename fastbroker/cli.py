"""The command `fastbroker`: the broker, a check of its configuration; `client/` and `bench/` have the others."""

import json
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from fastbroker import __version__, streams
from fastbroker.client.commands import send, subscribe
from fastbroker.errors import ConfigError, StartError


class NotStarted(click.ClickException):
    """The broker did not start; 2 tells that from a broker that ended."""

    exit_code = 2


class _Commands(click.Group):
    """The commands; what the benchmark imports, only the benchmark pays for."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run one, whatever its standard streams are. A reader that goes away ends it without a word."""
        streams.mend()
        try:
            return super().main(*args, **kwargs)
        except OSError as error:
            if error is not streams.Stdout.failure:
                raise
            click.echo(f"Error: cannot write to the standard output: {error.strerror}", err=True)
            sys.exit(1)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), "bench"])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name != "bench":
            return super().get_command(ctx, cmd_name)
        from fastbroker.bench.command import bench

        return bench


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="fastbroker", message="%(prog)s %(version)s")
def main() -> None:
    """A STOMP 1.0, 1.1 and 1.2 message broker."""


main.add_command(send)
main.add_command(subscribe)


@main.command()
@click.option("-c", "--config", "file", metavar="FILE", help="Configuration file (TOML).")
@click.option(
    "--listen",
    metavar="URL",
    multiple=True,
    help="Address to listen on: tcp://host:port, tls://, ws://, wss:// likewise, port 0 for a free one, unix:///path. "
    "Can be given several times. [key: listen]",
)
@click.option("--data-dir", metavar="DIR", help="Directory of this broker alone. [key: data_dir]")
@click.option("--log-level", metavar="LEVEL", help="debug, info, warning or error. [key: log.level]")
@click.option("--log-format", metavar="FORMAT", help="text or json. [key: log.format]")
def serve(
    file: str | None, listen: tuple[str, ...], data_dir: str | None, log_level: str | None, log_format: str | None
) -> None:
    """Run the broker.

    Each bound address is printed as `listening on tcp://127.0.0.1:61613`. SIGTERM and SIGINT end the broker: it stops
    accepting, gives clients `drain_timeout` to take what is still to be sent, and exits with 0. A second signal ends
    it at once, with 1. A broker that cannot start says why and exits with 2.

    Flags are stronger than environment variables (FASTBROKER__LIMITS__MAX_FRAME=...), which are stronger than FILE.
    """
    # Imported here, as the other commands need neither the compiled core nor its event loop.
    from fastbroker.config.overlay import load
    from fastbroker.service import run

    flags = {"listen": listen, "data_dir": data_dir, "log.level": log_level, "log.format": log_format}
    try:
        status = run(load(file, os.environ, {path: value for path, value in flags.items() if value}).config)
    except StartError as error:
        raise NotStarted(_report(error)) from None
    sys.exit(status)


@main.command()
@click.argument("file")
def check_config(file: str) -> None:
    """Check a configuration file, and print the settings that `serve -c FILE` would run with.

    Environment variables count, as they do for `serve`. If anything is wrong, all of it is listed and the exit status
    is 1. Certificates and `websocket.pages` are looked into, but nothing is bound.
    """
    from fastbroker.config.overlay import load
    from fastbroker.config.toml import as_toml
    from fastbroker.transports import address, tls
    from fastbroker.transports.listeners import check
    from fastbroker.web.pages import Pages

    try:
        config, origins = load(file, os.environ, {})
        check(config)
        Pages(config.websocket.pages)
        secure = any(address.parse(each).how.secure for each in config.listen)
        for doubt in tls.load(config.tls).doubts if secure else ():
            click.echo(f"Warning: {doubt}", err=True)
    except StartError as error:
        raise click.ClickException(_report(error)) from None
    click.echo(as_toml(config, origins), nl=False)


@main.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--host", "hosts", metavar="NAME", multiple=True, help="Host name or address that clients connect to.")
@click.option("--days", default=365, show_default=True, type=click.IntRange(1, 3650), help="How long it is valid.")
def certificate(directory: Path, hosts: tuple[str, ...], days: int) -> None:
    """Make a certificate for development: for this machine, or for the hosts that are named.

    DIR/certificate.pem and DIR/key.pem are for the broker, DIR/ca.pem for clients. Files that exist are left alone.
    What is printed is a configuration with which the broker can be started.
    """
    from fastbroker.transports import certificate as files

    named = hosts or files.default_hosts()
    try:
        files.make(directory, named, days)
    except OSError as error:
        raise click.ClickException(f"cannot write {error.filename or directory}: {error.strerror}") from None
    except ValueError as error:
        raise click.ClickException(f"this cannot be certified: {error}") from None
    click.echo(_how_to_use(directory.resolve(), named))


def _how_to_use(directory: Path, hosts: Sequence[str]) -> str:
    from fastbroker.transports import certificate as files
    from fastbroker.transports.address import SCHEMES, Address

    url = Address("tls", hosts[0].replace("*", "any"), SCHEMES["tls"].port)
    return f"""\
# A certificate for {", ".join(hosts)}. Save these lines as fastbroker.toml, then try:
#   fastbroker serve -c fastbroker.toml
#   fastbroker subscribe --url {url} --ca {shlex.quote(str(directory / files.AUTHORITY))} /topic/hello

listen = [{_quoted(url)}]

[tls]
certificate = {_quoted(directory / files.CERTIFICATE)}
key = {_quoted(directory / files.KEY)}"""


def _quoted(value: object) -> str:
    """As a string of TOML."""
    return json.dumps(str(value), ensure_ascii=False)


def _report(error: StartError) -> str:
    """The message; of a wrong configuration, a line for each thing to mend."""
    problems = error.problems if isinstance(error, ConfigError) else []
    return "\n  ".join(["the configuration is wrong:", *problems]) if problems else str(error)
