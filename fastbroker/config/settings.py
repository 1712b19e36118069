"""The settings of the compiled core: flat, under the names of their keys, in the core's units."""

from typing import Any

from msgspec import Struct

from fastbroker.config.keys import keys_of
from fastbroker.config.schema import Config


def hub_settings(config: Config) -> dict[str, int | float | bool | str]:
    """What `Hub` wants: durations in milliseconds, sizes in bytes. Those of `heart_beat` have that in front."""
    settings: dict[str, Any] = {"strict": config.strict}
    for table in (config.limits, config.queues, config.compat):
        settings |= _in_core_units(table)
    return settings | {f"heart_beat_{name}": value for name, value in _in_core_units(config.heart_beat).items()}


def _in_core_units(table: Struct) -> dict[str, Any]:
    values = ((key, getattr(table, key.path)) for key in keys_of(type(table)))
    return {key.path: round(value * 1000) if key.unit == "seconds" else value for key, value in values}
