"""The defaults that a profile changes (`compat.profile`): they stand below all sources."""

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from fastbroker.core.profile import KEYS, NAMES

_EACH = "[]"


def take_defaults(values: MutableMapping[str, Any], origins: MutableMapping[str, str]) -> None:
    """Put them where no source says anything, and note where they came from."""
    profile = values.get("compat", {}).get("profile", "")
    for key, default in defaults_of(profile):
        array, _, name = key.rpartition(".")
        for path, table in _tables(values, array):
            if name not in table:
                table[name] = default
                origins[f"{path}.{name}"] = f"profile {profile}"


def _tables(values: MutableMapping[str, Any], path: str) -> Iterator[tuple[str, MutableMapping[str, Any]]]:
    if path.endswith(_EACH):
        array = path.removesuffix(_EACH)
        yield from ((f"{array}[{number}]", table) for number, table in enumerate(values.get(array, ())))
    else:
        yield path, values.setdefault(path, {})


def defaults_of(profile: str) -> Iterator[tuple[str, Any]]:
    """The keys whose default it changes, and to what."""
    column = NAMES.index(profile) if profile else None
    return ((key, row[column]) for key, row in KEYS.items() if column is not None and row[column] is not None)


def of_each_queue(profile: str) -> Mapping[str, Any]:
    """The same for queues, those that no table is for among them."""
    beginning = f"queues{_EACH}."
    return {key.removeprefix(beginning): value for key, value in defaults_of(profile) if key.startswith(beginning)}
