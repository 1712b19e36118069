"""What callgrind writes: instructions in all, and those of each function by itself.

    fn=(12) name            from here on: what this function did; later only fn=(12)
    cfn=(13) name           it called this one
    calls=1 33              the next line is what that one did, all in all
    +3 4711                 any other line with a number: position, instructions
    totals: 4711

callgrind_annotate is no help: the calls under way when a process is forked have no count, and it takes them for work.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

_FUNCTION = re.compile(r"(c?)fn=\((\d+)\)(?: (.*))?$")
_COST = re.compile(r"(?:[+-]?\d+|\*) (\d+)$")
_TOTALS = re.compile(r"^totals: (\d+)", re.MULTILINE)


def total(text: str) -> int:
    """All instructions that were counted. Raises ValueError if the process did not come to its end."""
    found = _TOTALS.search(text)
    if not found:
        raise ValueError("callgrind has written no totals")
    return int(found[1])


def by_function(text: str) -> Counter[str]:
    """The instructions of each function, without those of the functions it called."""
    names: dict[str, str] = {}
    own: Counter[str] = Counter()
    function, called = "", False
    for line in text.splitlines():
        if found := _FUNCTION.match(line):
            name = names.setdefault(found[2], readable(found[3] or ""))
            function = function if found[1] else name
        elif line.startswith("calls="):
            called = True
        elif found := _COST.match(line):
            own[function] += 0 if called else int(found[1])
            called = False
    return +own


def readable(symbol: str) -> str:
    """`parser.Parser.next` for what Cython calls `__pyx_f_10fastbroker_4core_6parser_6Parser_next`."""
    mangled = re.match(r"__pyx_(?:f|fuse_\d+|p[wf])_(\d.*)", symbol)
    if not mangled:
        return symbol
    return ".".join(part for part in _parts(mangled[1]) if part not in ("fastbroker", "core"))


def _parts(mangled: str) -> Iterator[str]:
    """Each name has its length in front, but the last one has none, or in Python methods a running number."""
    while found := re.match(r"(\d+)([A-Za-z_].*)", mangled):
        length = int(found[1])
        if found[2][length : length + 1] != "_":
            mangled = found[2]
            break
        yield found[2][:length]
        mangled = found[2][length + 1 :]
    yield mangled
