"""The socket of a client."""

import asyncio
from collections.abc import Mapping
from typing import Any

from fastbroker.core.hub import Hub

def connection(
    hub: Hub,
    *,
    peer: str = "",
    listener: str = "",
    secure: bool = False,
    certificate: Mapping[str, Any] | None = None,
) -> asyncio.BufferedProtocol:
    """Make the protocol of a connection that was accepted.

    ``peer`` is where the client is; empty, the transport is asked. ``listener`` is the URL that it came in by,
    ``secure`` says whether that is TLS, and ``certificate`` what the client's own says, if it has one.
    """
