"""The configuration in force, written as the file that would say the same."""

from collections.abc import Iterator, Mapping

import orjson
from msgspec import Struct

from fastbroker.config.keys import keys_of
from fastbroker.config.schema import Config


def as_toml(config: Config, origins: Mapping[str, str]) -> str:
    """Every key with its value; where that is no default, a comment says where it came from."""
    return "".join(f"{line}\n" for line in _lines(config, origins))


def _lines(table: Struct, origins: Mapping[str, str], prefix: str = "") -> Iterator[str]:
    tables: list[str] = []
    for key in keys_of(type(table), prefix):
        name = key.path.removeprefix(prefix)
        value = getattr(table, name)
        if key.table:
            tables += ["", f"[{key.path}]", *_lines(value, origins, f"{key.path}.")]
        elif key.item_table:
            for item in value:
                tables += ["", f"[[{key.path}]]", *_lines(item, {})]
        else:
            comment = f"  # {origins[key.path]}" if key.path in origins else ""
            yield f"{name} = {orjson.dumps(value).decode()}{comment}"
    yield from tables
