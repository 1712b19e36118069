"""The command `service`: the unit with which systemd runs this fastbroker."""

import sysconfig
from importlib.resources import files
from pathlib import Path

import click

# As it stands in the file.
_PROGRAM = "/opt/fastbroker/bin/fastbroker"
# What ProtectHome= hides from a service.
_HIDDEN = ("/home", "/root", "/run/user")


@click.command()
def service() -> None:
    """Print a unit file for systemd that runs this very program.

    It is for /etc/systemd/system/fastbroker.service. The broker reads /etc/fastbroker/fastbroker.toml.
    """
    program = Path(sysconfig.get_path("scripts"), "fastbroker")
    if any(program.is_relative_to(each) for each in _HIDDEN):
        click.echo(f"Warning: the service does not see {program}; install fastbroker elsewhere, as in /opt", err=True)
    click.echo((files("fastbroker") / "fastbroker.service").read_text().replace(_PROGRAM, str(program)), nl=False)
