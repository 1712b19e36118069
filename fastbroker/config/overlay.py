"""The effective configuration: flags above the environment, above a file, above the defaults.

Every source goes through one reader that knows the keys, so each complaint names where the value came from, and all
complaints come at once.
"""

import json
import tomllib
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from fastbroker.config.conflicts import conflicts
from fastbroker.config.keys import Key, all_keys, keys_of
from fastbroker.config.schema import Config
from fastbroker.errors import ConfigError

PREFIX = "FASTBROKER__"
FLAGS = {"listen": "--listen", "data_dir": "--data-dir", "log.level": "--log-level", "log.format": "--log-format"}

KEYS = {key.path: key for key in all_keys(Config)}
VARIABLES = {PREFIX + path.upper().replace(".", "__"): path for path in KEYS}


class Effective(NamedTuple):
    """The configuration in force, and for each key that is not a default where its value came from."""

    config: Config
    origins: Mapping[str, str]


def load(file: str | None, environ: Mapping[str, str], flags: Mapping[str, object]) -> Effective:
    """Put the sources on top of each other. `flags` maps a key's path to its value. Raises ConfigError."""
    overlay = _Overlay()
    if file is not None:
        overlay.take_file(file)
    overlay.take_environment(environ)
    for path, value in flags.items():
        overlay.take(FLAGS[path], _nested(path, value))
    return overlay.effective()


class _Overlay:
    """The values read so far and what is wrong with them."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._origins: dict[str, str] = {}
        self._problems: list[str] = []

    def take_file(self, path: str) -> None:
        try:
            with Path(path).open("rb") as file:
                found = tomllib.load(file)
        except OSError as error:
            self._problems.append(f"{path}: cannot be read: {error.strerror}")
        except (ValueError, RecursionError) as error:
            self._problems.append(f"{path}: is not valid TOML: {error}")
        else:
            self.take(path, found)

    def take_environment(self, environ: Mapping[str, str]) -> None:
        for name in sorted(environ):
            if path := VARIABLES.get(name):
                self.take(name, _nested(path, _from_text(KEYS[path], environ[name])))
            elif name.startswith(PREFIX):
                self._problems.append(f"{name}: unknown key; the nearest is {_nearest(name, VARIABLES)}")

    def take(self, origin: str, found: Mapping[str, Any]) -> None:
        _merge(self._values, self._read_table(origin, list(keys_of(Config)), found))

    def effective(self) -> Effective:
        if self._problems:
            raise ConfigError(self._problems)
        config = msgspec.convert(self._values, Config)
        if problems := [f"{sentence} ({self._sources(values)})" for sentence, values in conflicts(config)]:
            raise ConfigError(problems)
        return Effective(config, self._origins)

    def _sources(self, values: Mapping[str, object]) -> str:
        origin = self._origins
        return "; ".join(f"{path} = {_shown(value)}, {origin.get(path, 'default')}" for path, value in values.items())

    def _read_table(self, origin: str, keys: list[Key], found: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
        """Return the good values of one table; note what is wrong with the others."""
        known = {key.path: key for key in keys}
        good = {}
        for name, value in found.items():
            if key := known.get(prefix + name):
                good[name] = self._read(origin, key, value)
            else:
                nearest = _nearest(prefix + name, [*known, *KEYS])
                self._problems.append(f"{origin}: {prefix}{name}: unknown key; the nearest is {nearest}")
        missing = [path for path, key in known.items() if key.required and path.removeprefix(prefix) not in found]
        self._problems += [f"{origin}: {path}: is missing; expected {known[path].expected}" for path in missing]
        return good

    def _read(self, origin: str, key: Key, value: object) -> Any:
        self._origins[key.path] = origin
        if key.table and isinstance(value, dict):
            return self._read_table(origin, list(keys_of(key.table, f"{key.path}.")), value, f"{key.path}.")
        if key.item_table and isinstance(value, list):
            items = (Key(f"{key.path}[{n}]", key.item_table, key.meta, key.default) for n in range(len(value)))
            return [self._read(origin, item, found) for item, found in zip(items, value, strict=True)]
        try:
            return key.convert(value)
        except ValueError:
            self._problems.append(f"{origin}: {key.path}: expected {key.expected}; found {_shown(value)}")
            return None


def _from_text(key: Key, text: str) -> object:
    """The value of a variable: TOML if it is that, else the string itself; a list of strings may stand with commas."""
    try:
        document = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        document = {}
    value = document["value"] if len(document) == 1 else text
    if key.is_list and isinstance(value, str):
        return [item.strip() for item in value.split(",")]
    return text if key.kind is str and not isinstance(value, str) else value


def _nested(path: str, value: object) -> dict[str, Any]:
    head, _, rest = path.partition(".")
    return {head: _nested(rest, value) if rest else value}


def _merge(lower: dict[str, Any], upper: Mapping[str, Any]) -> None:
    for name, value in upper.items():
        if isinstance(value, dict):
            _merge(lower.setdefault(name, {}), value)
        else:
            lower[name] = value


def _nearest(name: str, names: Iterable[str]) -> str:
    return get_close_matches(name, names, n=1, cutoff=0)[0]


def _shown(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else f"{text[:79]}…"
