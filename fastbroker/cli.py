"""The command `fastbroker`: what the parts of it have as commands, and `version`."""

import json
import sys
from typing import Any

import click

from fastbroker import __version__, streams
from fastbroker.client.commands import send, subscribe
from fastbroker.config.commands import check_config, config, serve
from fastbroker.journal.commands import journal
from fastbroker.transports.commands import certificate
from fastbroker.unit import service


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


for command in (serve, config, check_config, certificate, service, journal, send, subscribe):
    main.add_command(command)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on one line.")
def version(as_json: bool) -> None:
    """Print the version of fastbroker, and of what it runs on: what a report of a fault should say."""
    facts = _facts()
    click.echo(json.dumps(facts) if as_json else "\n".join(f"{name} {value}" for name, value in facts.items()))


def _facts() -> dict[str, str | None]:
    import platform
    import ssl
    from importlib.metadata import version
    from importlib.util import find_spec
    from pathlib import Path

    core = find_spec("fastbroker.core.hub")
    return {
        "fastbroker": __version__,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "uvloop": version("uvloop"),
        "openssl": ssl.OPENSSL_VERSION,
        "platform": platform.platform(),
        "core": Path(core.origin).name if core and core.origin else None,
    }
