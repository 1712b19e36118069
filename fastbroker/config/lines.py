"""Where a key stands in a file, so that a complaint can say it: a look at the lines, not a second reader of TOML."""

from collections import Counter


class Lines:
    """The numbers of the lines of a file in TOML, by dotted path.

    What begins within a string of several lines is taken for a key, too; the number of a line is all that may be wrong
    then.
    """

    def __init__(self, text: str) -> None:
        """Look through the text."""
        self._numbers: dict[str, int] = {}
        tables: Counter[str] = Counter()
        prefix = ""
        for number, line in enumerate(text.split("\n"), start=1):
            head = line.strip()
            if head.startswith("[["):
                name = _path(head[2:].partition("]")[0])
                path = f"{name}[{tables[name]}]"
                tables[name] += 1
                prefix = f"{path}."
            elif head.startswith("[") and "=" not in head.partition("]")[0]:
                path = _in_array(_path(head[1:].partition("]")[0]), tables)
                prefix = f"{path}."
            else:
                path = prefix + _path(head.partition("=")[0])
            while path:  # and the tables that it opens by its dots
                self._numbers.setdefault(path, number)
                path = path.rpartition(".")[0]

    def number(self, path: str) -> int | None:
        """Find the line of a key, or else of the nearest table around it."""
        while path and path not in self._numbers:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self._numbers.get(path)


def _in_array(path: str, tables: Counter[str]) -> str:
    """A table within the last one of an array that was begun has its number: [topics.history] is topics[0].history."""
    array, dot, rest = path.partition(".")
    return f"{array}[{tables[array] - 1}].{rest}" if dot and array in tables else path


def _path(written: str) -> str:
    """A key as it is written, without its blanks and quotes."""
    return ".".join(part.strip().strip("\"'") for part in written.split("."))
