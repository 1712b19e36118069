"""What must hold between keys: what is wrong although every value on its own is right."""

import re
from collections.abc import Iterator, Mapping
from functools import reduce
from ipaddress import ip_network
from typing import Any

from fastbroker.config.policies import wrong_policies
from fastbroker.config.schema import Config
from fastbroker.transports import address

# The first of each pair may at most be equal to the second.
_AT_MOST = (
    ("limits.max_frame_before_login", "limits.max_frame"),
    ("limits.max_frame", "limits.memory"),
    ("subscriptions.prefetch", "subscriptions.max_prefetch"),
)


# What is wrong, and the keys that it is about with their values.
Conflict = tuple[str, Mapping[str, object]]


def conflicts(config: Config) -> Iterator[Conflict]:
    """Find what is wrong although every value on its own is right."""
    for low, high in _AT_MOST:
        if _value(config, low) > _value(config, high):
            yield f"{low} must not be more than {high}", {path: _value(config, path) for path in (low, high)}
    limits = config.limits
    if limits.outbound_hard < limits.outbound_soft + limits.max_frame + limits.max_header_block:
        keys = ("limits.outbound_hard", "limits.outbound_soft", "limits.max_frame", "limits.max_header_block")
        yield (
            "limits.outbound_hard must not be less than limits.outbound_soft, max_frame and max_header_block together",
            {path: _value(config, path) for path in keys},
        )
    if 0 < config.tcp.user_timeout < limits.outbound_timeout:
        yield (
            "tcp.user_timeout must not be less than limits.outbound_timeout",
            {path: _value(config, path) for path in ("tcp.user_timeout", "limits.outbound_timeout")},
        )
    yield from _wrong_addresses(config)
    yield from _same_addresses(config)
    yield from _wrong_networks(config)
    yield from _wrong_websocket(config)
    yield from wrong_policies(config)
    if not re.fullmatch("0?[0-7]{3}", config.unix.mode):
        yield "these are no permissions; write them as 0660", {"unix.mode": config.unix.mode}


def _wrong_addresses(config: Config) -> Iterator[Conflict]:
    for number, text in enumerate(config.listen):
        try:
            written = address.parse(text)
        except ValueError as error:
            yield str(error), {f"listen[{number}]": text}
        else:
            yield from missing_for(written, config)


def _same_addresses(config: Config) -> Iterator[Conflict]:
    first: dict[tuple[str, int, str], tuple[int, str]] = {}
    for number, text, found in address.parsed(config.listen):
        before, taken = first.setdefault((found.host, found.port, found.path), (number, text))
        if before != number and (found.port or found.is_local):
            yield "one address cannot be listened on twice", {f"listen[{before}]": taken, f"listen[{number}]": text}


def missing_for(written: address.Address, config: Config) -> Iterator[Conflict]:
    """Find the settings without which nothing can be served at an address."""
    tls = config.tls
    if written.how.secure and not tls.certificate:
        sentence = f"{written} needs a certificate; `fastbroker certificate DIR` makes one to try it"
        yield sentence, {"tls.certificate": tls.certificate}
    if written.how.secure and tls.client_certificates != "none" and not tls.client_ca:
        keys = {"tls.client_certificates": tls.client_certificates, "tls.client_ca": tls.client_ca}
        yield f"{written} needs the authorities of client certificates", keys
    if written.proxied and not written.is_local and not config.proxy_protocol.trusted:
        yield f"{written} needs to know its load balancers", {"proxy_protocol.trusted": ()}


def _wrong_networks(config: Config) -> Iterator[Conflict]:
    for network in config.proxy_protocol.trusted:
        try:
            ip_network(network)
        except ValueError as error:
            yield f"this is no network: {error}", {"proxy_protocol.trusted": network}


def _wrong_websocket(config: Config) -> Iterator[Conflict]:
    path = config.websocket.path
    if not re.fullmatch(r"/[!-~]*", path) or "?" in path or "#" in path:
        yield "this is no path; write it as /ws", {"websocket.path": path}
    for origin in config.websocket.allowed_origins:
        if origin != "*" and not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^/?#\s@]+", origin):
            yield (
                "this is no origin; write it as https://host or https://host:port; pages that have none (null) need *",
                {"websocket.allowed_origins": origin},
            )


def _value(config: Config, path: str) -> Any:
    return reduce(getattr, path.split("."), config)
