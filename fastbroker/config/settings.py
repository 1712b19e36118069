"""The settings of the compiled core: flat, under the names of their keys, in the core's units."""

from typing import Any

from msgspec import Struct

from fastbroker.config.keys import keys_of
from fastbroker.config.schema import Config
from fastbroker.core.policy import Policies


def hub_settings(config: Config) -> dict[str, int | float | bool | str]:
    """What `Hub` wants: durations in milliseconds, sizes in bytes. Those of `heart_beat` have that in front."""
    settings: dict[str, Any] = {"strict": config.strict}
    for table in (config.limits, config.queues, config.compat):
        settings |= _in_core_units(table)
    return settings | {f"heart_beat_{name}": value for name, value in _in_core_units(config.heart_beat).items()}


def _in_core_units(table: Struct) -> dict[str, Any]:
    values = ((key, getattr(table, key.path)) for key in keys_of(type(table)))
    return {key.path: round(value * 1000) if key.unit == "seconds" else value for key, value in values}


def policies_of(config: Config) -> Policies:
    """What the operator wants of queues and topics, as `Hub` wants it."""
    queues = {"max_deliveries": config.queues.max_deliveries, "dead_letter": config.queues.dead_letter}
    topics = [(topic.pattern, {"slow_consumer": topic.slow_consumer}) for topic in config.topics]
    return Policies([("#", queues)], topics)
