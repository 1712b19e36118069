"""The command `fastbroker`: what the parts of it have as commands, and `certificate`."""

import json
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from fastbroker import __version__, streams
from fastbroker.client.commands import send, subscribe
from fastbroker.config.commands import check_config, config, serve


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


for command in (serve, config, check_config, send, subscribe):
    main.add_command(command)


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
