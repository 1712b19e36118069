"""The command `certificate`."""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path

import click

from fastbroker.config.keys import in_toml


@click.command()
@click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--host", "hosts", metavar="NAME", multiple=True, help="Host name or address that clients connect to.")
@click.option("--days", default=365, show_default=True, type=click.IntRange(1, 3650), help="How long it is valid.")
@click.option(
    "-o",
    "--output",
    "file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write the configuration into this new file, instead of printing it.",
)
def certificate(directory: Path, hosts: tuple[str, ...], days: int, file: Path | None) -> None:
    """Make a certificate for development: for this machine, or for the hosts that are named.

    DIR/certificate.pem and DIR/key.pem are for the broker, DIR/ca.pem for clients. What is printed, or written into
    FILE, is a configuration with which the broker can be started.

    A file that exists is left alone. When all three are there, the configuration is for what they hold; when FILE is
    there, nothing is done and the exit status is 1.
    """
    from fastbroker.transports import certificate as files

    for path in (directory.resolve(), file or directory):
        if not _is_text(path):
            raise click.ClickException(f"{str(path)!r} is not UTF-8, and so no configuration could name it")
    if file and os.path.lexists(file):
        raise click.ClickException(f"{file} is there already, and is left alone; name another file")
    try:
        made = not files.are_there(directory)
        certified = files.make(directory, hosts or files.default_hosts(), days) if made else files.hosts(directory)
        text = _configuration(directory.resolve(), certified, str(file or "fastbroker.toml"))
        if file:
            files.write(file, text.encode(), 0o644)
    except OSError as error:
        raise click.ClickException(f"cannot use {error.filename or directory}: {error.strerror}") from None
    except ValueError as error:
        raise click.ClickException(f"this cannot be certified: {error}") from None
    _tell(directory, made, bool(hosts), file)
    if not file:
        click.echo(text, nl=False)


def _is_text(path: Path) -> bool:
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _tell(directory: Path, made: bool, named: bool, file: Path | None) -> None:
    from fastbroker.transports import certificate as files

    what = ", ".join(str(directory / name) for name in files.ALL)
    click.echo(f"made {what}" if made else f"left alone, as they are there already: {what}", err=True)
    if named and not made:
        click.echo("--host and --days did nothing; name another directory to make a certificate", err=True)
    if file:
        click.echo(f"made {file}; now try: fastbroker serve -c {shlex.quote(str(file))}", err=True)


def _configuration(directory: Path, hosts: Sequence[str], file: str) -> str:
    from fastbroker.transports import certificate as files
    from fastbroker.transports.address import SCHEMES, Address

    url = str(Address("tls", hosts[0].replace("*", "any"), SCHEMES["tls"].port))
    return f"""\
# A certificate for {", ".join(hosts)}. With these lines as {file}, try:
#   fastbroker serve -c {shlex.quote(file)}
#   fastbroker subscribe --url {url} --ca {shlex.quote(str(directory / files.AUTHORITY))} /topic/hello

listen = [{in_toml(url)}]

[tls]
certificate = {in_toml(str(directory / files.CERTIFICATE))}
key = {in_toml(str(directory / files.KEY))}
"""
