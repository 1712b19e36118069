"""Who speaks each transport."""

from __future__ import annotations

from .client import Client, UnixClient
from .tls import TlsClient
from .websocket import SecureWebSocketClient, WebSocketClient

CLIENTS: dict[str, type[Client]] = {
    "tcp": Client,
    "ws": WebSocketClient,
    "tls": TlsClient,
    "wss": SecureWebSocketClient,
    "unix": UnixClient,
}
"""By the scheme of the address."""
