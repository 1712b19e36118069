"""The configuration: what can be set, where it comes from, and what the parts of the broker get of it.

units  →  keys  →  schema  →  policies  →  conflicts  →  overlay (lines, moved)  →  toml, reference, settings  →
explain, commands
"""

from fastbroker.config.conflicts import Conflict, conflicts, missing_for
from fastbroker.config.schema import (
    NO_DATA_DIR,
    Auth,
    Compat,
    Config,
    Durable,
    HeartBeat,
    History,
    Journal,
    Limits,
    Log,
    ProxyProtocol,
    Queue,
    Subscriptions,
    Tcp,
    Tls,
    TlsHost,
    Topic,
    Unix,
    WebSocket,
)
from fastbroker.config.settings import hub_settings, policies_of

__all__ = [
    "NO_DATA_DIR",
    "Auth",
    "Compat",
    "Config",
    "Conflict",
    "Durable",
    "HeartBeat",
    "History",
    "Journal",
    "Limits",
    "Log",
    "ProxyProtocol",
    "Queue",
    "Subscriptions",
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
