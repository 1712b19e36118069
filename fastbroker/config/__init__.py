"""The configuration: what can be set, where it comes from, and what the parts of the broker get of it.

units  →  keys  →  schema  →  conflicts  →  overlay  →  toml, reference, settings, commands
"""

from fastbroker.config.conflicts import Conflict, conflicts, missing_for
from fastbroker.config.schema import (
    Auth,
    Compat,
    Config,
    HeartBeat,
    Limits,
    Log,
    ProxyProtocol,
    Queues,
    Tcp,
    Tls,
    TlsHost,
    Topic,
    Unix,
    WebSocket,
)
from fastbroker.config.settings import hub_settings, policies_of

__all__ = [
    "Auth",
    "Compat",
    "Config",
    "Conflict",
    "HeartBeat",
    "Limits",
    "Log",
    "ProxyProtocol",
    "Queues",
    "Tcp",
    "Tls",
    "TlsHost",
    "Topic",
    "Unix",
    "WebSocket",
    "conflicts",
    "hub_settings",
    "missing_for",
    "policies_of",
]
