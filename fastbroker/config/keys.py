"""A key of the configuration as a thing to ask: what it accepts, in words, and whether a value is that."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
import orjson
from msgspec import NODEFAULT, Meta, Struct, structs

from fastbroker.config.units import MILLISECONDS, SECONDS, SIZES, Units, quantity, written

_UNITS: dict[str, Units] = {"bytes": SIZES, "seconds": SECONDS, "milliseconds": MILLISECONDS}


@dataclass(frozen=True)
class Key:
    """One key: its dotted path, the type it wants, what the type cannot say, and its default."""

    path: str
    kind: Any
    meta: Meta
    default: Any

    @property
    def required(self) -> bool:
        """Whether there is no default."""
        return self.default is NODEFAULT

    @property
    def table(self) -> type[Struct] | None:
        """The table that the key opens, if it does."""
        return None if self.meta.description else self._struct

    @property
    def inline(self) -> type[Struct] | None:
        """The table that is the key's value, between braces, if it is one: then it is explained as other values are."""
        return self._struct if self.meta.description else None

    @property
    def _struct(self) -> type[Struct] | None:
        return self.kind if isinstance(self.kind, type) and issubclass(self.kind, Struct) else None

    @property
    def item_table(self) -> type[Struct] | None:
        """The table that is repeated, if the key is an array of tables."""
        item = get_args(self.kind)[0] if get_origin(self.kind) is tuple else None
        return item if isinstance(item, type) and issubclass(item, Struct) else None

    @property
    def is_list(self) -> bool:
        """Whether the key wants a list of strings."""
        return get_origin(self.kind) is tuple and self.item_table is None

    @property
    def unit(self) -> str:
        """`bytes`, `seconds`, `milliseconds`, or nothing."""
        return str((self.meta.extra or {}).get("unit", ""))

    @property
    def choices(self) -> tuple[str, ...]:
        """The strings to choose from, where the key is such a choice."""
        return get_args(self.kind) if get_origin(self.kind) is Literal else ()

    @property
    def expected(self) -> str:
        """What the key accepts, in words."""
        if self.table:
            return f"a table [{self.path}]"
        if self.item_table:
            return f"tables [[{self.path}]]"
        if self.inline:
            inside = ", ".join(f"{key.path} = {key.expected}" for key in keys_of(self.inline))
            return f"{{ {inside} }}, one of them or more"
        if self.choices:
            *others, last = (f'"{choice}"' for choice in self.choices)
            return f"{', '.join(others)} or {last}"
        if self.kind is bool:
            return "true or false"
        if self.bounds:
            return f"{self._number} from {' to '.join(self.bounds)}"
        what = "a list of strings" if self.is_list else "a string"
        return f"{what} that is not empty" if self.meta.min_length else what

    @property
    def bounds(self) -> tuple[str, ...]:
        """The smallest and the largest number that the key accepts, as one may write them."""
        return tuple(self.written(bound) for bound in (self.meta.ge, self.meta.le) if bound is not None)

    @property
    def _number(self) -> str:
        if self.unit:
            return f"{'a size' if self.unit == 'bytes' else 'a time'} in {self.unit} or with a unit,"
        return "a whole number" if self.kind is int else "a number"

    def written(self, value: float) -> str:
        """A number of this key as one may write it, the shortest way."""
        return written(value, _UNITS.get(self.unit, {}))

    def in_toml(self, value: Any) -> str:
        """A value of this key as one may write it in TOML: with a unit, where it has one."""
        if self.inline:
            return f"{{ {', '.join(f'{k.path} = {k.in_toml(getattr(value, k.path))}' for k in keys_of(self.inline))} }}"
        number = self.written(value) if self.unit else ""
        return number if number == "0" else in_toml(number if number[-1:].isalpha() else value)

    @property
    def stand_in(self) -> object:
        """Some value that has the right type, for a required key without a right one."""
        return self.choices[0] if self.choices else ("x",) if self.is_list else "x"

    def convert(self, value: object) -> Any:
        """Return the value as the broker wants it; raises ValueError when its type or range is wrong."""
        if self.inline:
            raise ValueError("not a table that says something")
        if self.unit and isinstance(value, str):
            value = quantity(value, _UNITS[self.unit])
        for text in (value,) if isinstance(value, str) else value if isinstance(value, list) else ():
            str(text).encode()  # what is no UTF-8 in a variable or a flag could be written nowhere
            if "\0" in str(text):
                raise ValueError("no name of a file, a host or a queue holds a NUL")
        try:
            return msgspec.convert(value, Annotated[self.kind, self.meta])
        except msgspec.ValidationError as error:
            raise ValueError(str(error)) from None


def in_toml(value: object) -> str:
    """A string, a number, true, false, or a list of them as it stands in TOML."""
    return orjson.dumps(value).decode().replace("\x7f", "\\u007f")


def keys_of(table: type[Struct], prefix: str = "") -> Iterator[Key]:
    """The keys of one table, in their order; those that open a table among them."""
    for field in structs.fields(table):
        kind, *metas = get_args(field.type) if get_origin(field.type) is Annotated else (field.type,)
        yield Key(prefix + field.name, kind, metas[0] if metas else Meta(), field.default)


def all_keys(table: type[Struct], prefix: str = "") -> Iterator[Key]:
    """The keys of a table and of the tables in it; an array of tables counts as one key."""
    for key in keys_of(table, prefix):
        if key.table:
            yield from all_keys(key.table, f"{key.path}.")
        else:
            yield key
