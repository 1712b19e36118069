"""What comes before a WebSocket."""

import asyncio
from collections.abc import Mapping
from typing import Any

from fastbroker.core.hub import Hub

def websocket(
    hub: Hub,
    *,
    peer: str = "",
    listener: str = "",
    secure: bool = False,
    certificate: Mapping[str, Any] | None = None,
) -> asyncio.BufferedProtocol:
    """Make the protocol of a connection that begins with the request for a WebSocket.

    ``peer`` is where the client is; empty, the transport is asked. ``listener`` is the URL that it came in by,
    ``secure`` says whether that is TLS, and ``certificate`` what the client's own says, if it has one.
    """
