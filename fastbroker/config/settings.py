"""The settings of the compiled core: flat, under the names of their keys, in the core's units."""

from typing import Any

from msgspec import Struct

from fastbroker.config.keys import keys_of
from fastbroker.config.policies import own_queues
from fastbroker.config.profiles import of_each_queue
from fastbroker.config.schema import Config, Queue, Topic
from fastbroker.core.policy import Policies


def hub_settings(config: Config) -> dict[str, int | float | bool | str]:
    """What `Hub` wants: durations in milliseconds, sizes in bytes. Those of `heart_beat` have that in front."""
    settings: dict[str, Any] = {"strict": config.strict, "last_will": config.auth.last_will}
    for table in (config.limits, config.subscriptions, config.compat, config.journal):
        settings |= _in_core_units(table)
    return settings | {f"heart_beat_{name}": value for name, value in _in_core_units(config.heart_beat).items()}


def _in_core_units(table: Struct) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    for key in keys_of(type(table)):
        value = getattr(table, key.path)
        if key.inline:
            settings |= {f"{key.path}_{name}": inner for name, inner in _in_core_units(value).items()}
        else:
            settings[key.path] = round(value * 1000) if key.unit == "seconds" else value
    return settings


def policies_of(config: Config) -> Policies:
    """What the operator wants of queues and topics, as `Hub` wants it."""
    profile = config.compat.profile
    queues = [*config.queues, *own_queues(profile)] if profile else config.queues
    return Policies(
        [_policy(each) for each in queues], [_policy(each) for each in config.topics], of_each_queue(profile)
    )


def _policy(table: Queue | Topic) -> tuple[str, dict[str, Any]]:
    settings = _in_core_units(table)
    if "history_count" in settings:
        settings["history_messages"] = settings.pop("history_count")
    return settings.pop("pattern"), settings
