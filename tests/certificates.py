"""A certificate for the brokers of all tests."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

from fastbroker.transports.certificate import AUTHORITY, CERTIFICATE, KEY, make


@cache
def certificates() -> Path:
    """A directory with a certificate for 127.0.0.1, one for all tests of a run."""
    directory = Path(tempfile.mkdtemp(prefix="fastbroker-certificates-"))
    make(directory, ["127.0.0.1"], 2)
    return directory


def authority() -> str:
    """The file that clients trust."""
    return str(certificates() / AUTHORITY)


def tls_table() -> dict[str, str]:
    """What a broker needs in `[tls]`."""
    return {"certificate": str(certificates() / CERTIFICATE), "key": str(certificates() / KEY)}
