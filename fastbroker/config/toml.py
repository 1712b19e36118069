"""The configuration, written as a file: what is in force, or everything that could be set."""

from collections.abc import Iterator, Mapping
from inspect import cleandoc
from textwrap import wrap

from msgspec import Struct

from fastbroker.config.keys import Key, keys_of
from fastbroker.config.schema import Config

_WIDTH = 100
_COLUMN = 46

_HEAD = """\
Every key of fastbroker, with its default. What you want to be otherwise, take the # in front of its line away and
change it: as it stands, this file changes nothing. A size may have a unit: "64 KiB", "4 MiB", "1 GiB"; kB, MB and GB
are powers of 1000. So may a time: "500ms", "10s", "5m", "2h", "1d"."""


def as_toml(config: Config, origins: Mapping[str, str]) -> str:
    """Every key with its value, and in a comment where it came from. Loading it gives the same configuration."""
    return "".join(f"{line}\n" for line in _in_force(config, origins))


def _in_force(table: Struct, origins: Mapping[str, str], prefix: str = "") -> Iterator[str]:
    tables: list[str] = []
    for key in keys_of(type(table), prefix):
        name = key.path.removeprefix(prefix)
        value = getattr(table, name)
        if key.table:
            tables += ["", f"[{key.path}]", *_in_force(value, origins, f"{key.path}.")]
        elif key.item_table:
            for number, item in enumerate(value):
                tables += ["", f"[[{key.path}]]", *_in_item(item, key, number, origins)]
        else:
            yield with_origin(f"{name} = {key.in_toml(value)}", origins.get(key.path, "default"))
    yield from tables


def _in_item(item: Struct, array: Key, number: int, origins: Mapping[str, str]) -> Iterator[str]:
    """A table of an array; a key of it came from the source of the array, or has its default."""
    for key in keys_of(type(item)):
        origin = origins.get(f"{array.path}[{number}].{key.path}", "default")
        yield with_origin(f"{key.path} = {key.in_toml(getattr(item, key.path))}", origin)


def with_origin(line: str, origin: str) -> str:
    """A line of TOML, and in a comment where its value came from."""
    return f"{line:<{_COLUMN}}  # {origin if origin.isprintable() else ascii(origin)}"


def all_defaults() -> str:
    """Every key with its meaning, range and default, commented out: a file that changes nothing as it stands."""
    return "".join(f"{line}\n" for line in [*_comment(_HEAD), *_explained(Config)])


def _explained(table: type[Struct], prefix: str = "") -> Iterator[str]:
    keys = list(keys_of(table, prefix))
    for key in keys:
        if not key.table and not key.item_table:
            yield from ["", *_comment(key.meta.description or ""), *_comment(_accepted(key))]
            value = key.stand_in if key.required else key.default
            yield f"#{key.path.removeprefix(prefix)} = {key.in_toml(value)}"
    for key in keys:
        if inner := key.table or key.item_table:
            # A table that may come several times counts as soon as its name is there.
            title = f"[{key.path}]" if key.table else f"#[[{key.path}]]"
            yield from ["", *_comment(cleandoc(inner.__doc__ or "")), title, *_explained(inner, f"{key.path}.")]


def _accepted(key: Key) -> str:
    return f"{'Required' if key.required else 'Accepted'}: {key.expected}."


def _comment(text: str) -> Iterator[str]:
    return (f"# {line}" for line in wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False))
