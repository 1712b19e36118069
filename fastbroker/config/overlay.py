"""The effective configuration: flags above the environment, above a file, above the defaults.

Every source goes through one reader that knows the keys, so each complaint names where the value came from, and all
complaints come at once.
"""

import json
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from fastbroker.config.conflicts import Conflict, conflicts
from fastbroker.config.keys import Key, all_keys, keys_of
from fastbroker.config.lines import Lines
from fastbroker.config.moved import MOVED
from fastbroker.config.profiles import take_defaults
from fastbroker.config.schema import Config
from fastbroker.errors import ConfigError

PREFIX = "FASTBROKER__"


def _variable(path: str) -> str:
    """The environment variable of a key."""
    return PREFIX + path.upper().replace(".", "__")


FLAGS = {"listen": "--listen", "data_dir": "--data-dir", "log.level": "--log-level", "log.format": "--log-format"}

KEYS = {key.path: key for key in all_keys(Config)}
VARIABLES = {_variable(path): path for path in KEYS}
MOVED_VARIABLES = {_variable(path): path for path in MOVED}

# So many complaints may have a hint, which takes milliseconds: a file with more of them is none of ours.
HINTED = 100

_WRONG: Any = object()

Place = Callable[[str], str]
Check = Callable[[Config], Iterable[Conflict]]


class Effective(NamedTuple):
    """The configuration in force, and for each key that is not a default where its value came from."""

    config: Config
    origins: Mapping[str, str]


def load(
    file: str | None, environ: Mapping[str, str], flags: Mapping[str, object], checks: Iterable[Check] = ()
) -> Effective:
    """Put the sources on top of each other. `flags` maps a key's path to its value, `checks` find more that is wrong.

    Raises ConfigError with all that is wrong.
    """
    overlay = _Overlay()
    if file is not None:
        overlay.take_file(file)
    overlay.take_environment(environ)
    for path, value in flags.items():
        overlay.take(_always(FLAGS[path]), _nested(path, value))
    return overlay.effective([conflicts, *checks])


def misspelt(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The variables that are one with a key but for the number of underscores, and how they should be written."""
    meant = {name.replace("__", "_"): name for name in VARIABLES}
    for name in sorted(environ):
        if (right := meant.get(name.replace("__", "_"))) and not name.startswith(PREFIX):
            yield name, right


class _Overlay:
    """The values read so far and what is wrong with them."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}
        self._origins: dict[str, str] = {}
        self._problems: list[str] = []
        self._wrong: set[str] = set()

    def take_file(self, path: str) -> None:
        try:
            text = Path(path).read_bytes().decode("utf-8-sig")  # some editors put a mark in front
            found = tomllib.loads(text)
        except OSError as error:
            self._problems.append(f"{path}: cannot be read: {error.strerror}")
        except (ValueError, RecursionError) as error:
            self._problems.append(f"{path}: is not valid TOML: {error}")
        else:
            self.take(_lines_of(path, text), found)

    def take_environment(self, environ: Mapping[str, str]) -> None:
        for name in sorted(environ):
            if path := VARIABLES.get(name):
                self.take(_always(name), _nested(path, _from_text(KEYS[path], environ[name])))
            elif name in MOVED_VARIABLES:
                self._note(MOVED_VARIABLES[name], f"{name}: {MOVED[MOVED_VARIABLES[name]]}")
            elif name.startswith(PREFIX):
                self._unknown(name, name, VARIABLES)

    def take(self, place: Place, found: Mapping[str, Any]) -> None:
        _merge(self._values, self._read_table(place, list(keys_of(Config)), found))

    def effective(self, checks: Iterable[Check]) -> Effective:
        """The result; what cannot be used is left out while the rest of it is checked. Raises ConfigError."""
        take_defaults(self._values, self._origins)
        config = msgspec.convert(self._values, Config)
        for check in checks:
            self._problems += [self._told(*conflict) for conflict in check(config) if not self._is_known(conflict)]
        if self._problems:
            raise ConfigError(self._problems)
        return Effective(config, self._origins)

    def _is_known(self, conflict: Conflict) -> bool:
        """Whether one of its values is wrong already, or a stand-in."""
        ends = (".", "[")
        return any(
            path == wrong or path.startswith(tuple(wrong + end for end in ends))
            for path in conflict[1]
            for wrong in self._wrong
        )

    def _told(self, sentence: str, values: Mapping[str, object]) -> str:
        sources = "; ".join(
            f"{path} = {_shown(value, KEYS.get(path))}, {self._origin(path)}" for path, value in values.items()
        )
        return f"{sentence} ({sources})" if sources else sentence

    def _origin(self, path: str) -> str:
        """Where a value came from; of an item of a list, where the list did."""
        return self._origins.get(path) or self._origins.get(path.partition("[")[0]) or "default"

    def _read_table(self, place: Place, keys: list[Key], found: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
        """Return the good values of one table; note what is wrong with the others."""
        known = {key.path: key for key in keys}
        good: dict[str, Any] = {}
        for name, value in found.items():
            if key := known.get(prefix + name):
                read = self._read(place, key, value)
                good |= {} if read is _WRONG else {name: read}
            else:
                path = prefix + name
                self._unknown(f"{place(path)}: {path}", path, [*known, *KEYS])
        for path, key in known.items():
            name = path.removeprefix(prefix)
            if key.required and name not in found:
                self._note(path, f"{place(path)}: {path}: is missing; expected {key.expected}")
            if key.required:
                good.setdefault(name, key.stand_in)
        return good

    def _read(self, place: Place, key: Key, value: object) -> Any:
        """Return the value as the broker wants it; or note what is wrong with it, and return _WRONG."""
        self._origins[key.path] = place(key.path)
        table = key.table or key.inline
        if table and isinstance(value, dict) and (value or not key.inline):
            return self._read_table(place, list(keys_of(table, f"{key.path}.")), value, f"{key.path}.")
        if key.item_table and isinstance(value, list):
            self._forget(f"{key.path}[")
            items = (Key(f"{key.path}[{n}]", key.item_table, key.meta, key.default) for n in range(len(value)))
            read = [self._read(place, item, found) for item, found in zip(items, value, strict=True)]
            return [each for each in read if each is not _WRONG]
        if key.item_table and isinstance(value, dict):
            value = self._without_moved(place, key, value)
            if not value:
                return _WRONG
        try:
            return key.convert(value)
        except ValueError:
            found = f"expected {key.expected}; found {_shown(value)}"
            self._note(key.path, f"{place(key.path)}: {key.path}: {found}")
            return _WRONG

    def _forget(self, beginning: str) -> None:
        """The tables of a weaker source, in whose place others come."""
        self._origins = {path: place for path, place in self._origins.items() if not path.startswith(beginning)}

    def _without_moved(self, place: Place, array: Key, found: Mapping[str, Any]) -> dict[str, Any]:
        """What is left of a table, which is an array of them now, without the keys whose new place is told."""
        paths = {f"{array.path}.{name}": name for name in found}
        for path in (path for path in paths if path in MOVED):
            self._note(path, f"{place(path)}: {path}: {MOVED[path]}")
        return {name: found[name] for path, name in paths.items() if path not in MOVED}

    def _unknown(self, where: str, name: str, names: Iterable[str]) -> None:
        hinted = len(self._problems) < HINTED
        hint = f"; the nearest is {get_close_matches(name, names, n=1, cutoff=0)[0]}" if hinted else ""
        self._problems.append(f"{where}: unknown key{hint}")

    def _note(self, path: str, problem: str) -> None:
        self._wrong.add(path)
        self._problems.append(problem)


def _always(place: str) -> Place:
    return lambda _: place


def _lines_of(file: str, text: str) -> Place:
    lines = Lines(text)
    return lambda path: f"{file}:{lines.number(path) or 1}"


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


def _shown(value: object, key: Key | None = None) -> str:
    text = key.in_toml(value) if key else json.dumps(value, default=str)
    return text if len(text) <= 80 else f"{text[:79]}…"
