"""A certificate for a server that is measured over TLS."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from fastbroker.transports.certificate import AUTHORITY, CERTIFICATE, KEY, make

DAYS = 2


class Certificates(NamedTuple):
    """The files of one, and whom its clients have to trust."""

    ca: Path
    certificate: Path
    key: Path


def made(directory: Path) -> Certificates:
    """A fresh one for 127.0.0.1."""
    make(directory, ["127.0.0.1"], DAYS)
    return Certificates(directory / AUTHORITY, directory / CERTIFICATE, directory / KEY)
