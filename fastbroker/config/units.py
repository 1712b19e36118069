"""Sizes and durations as people write them: `4 MiB`, `500ms`, `2h`."""

import re
from collections.abc import Mapping
from decimal import Decimal

Units = Mapping[str, int | Decimal]

SIZES: Units = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "kib": 2**10, "mib": 2**20, "gib": 2**30}
SECONDS: Units = {"ms": Decimal("0.001"), "s": 1, "m": 60, "h": 3600, "d": 86400}
MILLISECONDS: Units = {suffix: factor * 1000 for suffix, factor in SECONDS.items()}

# What to write with, the largest first.
_SPELLED = (
    *(("gib", " GiB"), ("mib", " MiB"), ("kib", " KiB"), ("gb", " GB"), ("mb", " MB"), ("kb", " kB")),
    *(("d", "d"), ("h", "h"), ("s", "s"), ("ms", "ms")),
)

_QUANTITY = re.compile(r"(\d{1,18}(?:\.\d{1,9})?)\s*([A-Za-z]*)", re.ASCII)


def quantity(text: str, units: Units) -> int | float:
    """Return the number that `text` stands for; without a unit it counts as it is. Raises ValueError."""
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"not a number with a unit: {text!r}")
    suffix = match[2].lower()
    if suffix and suffix not in units:
        raise ValueError(f"unknown unit {match[2]!r}")
    value = Decimal(match[1]) * (units[suffix] if suffix else 1)
    return int(value) if value == value.to_integral_value() else float(value)


def written(number: float, units: Units) -> str:
    """Return the shortest that `quantity` reads as this number: `4 MiB`, `2h`, `0`."""
    exact = Decimal(str(number))
    for suffix, spelled in _SPELLED:
        if number and suffix in units and exact % units[suffix] == 0:
            return f"{int(exact / units[suffix])}{spelled}"
    return f"{exact.normalize():f}"
