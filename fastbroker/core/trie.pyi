"""Topic patterns and the values attached to them.

A name or pattern is a row of words separated by ``.`` or ``/``; the separators of a pattern must
be those of the name. Only a whole word is a wildcard: ``*`` stands for one word, ``#`` and ``**``
for any number of words, also none, ``>`` for one word or more at the end. Empty words are ordinary.
"""

from typing import Any, final

@final
class Trie:
    """Finds what is attached to the patterns that match a name.

    It holds plain pointers, so only compiled modules can put something in, after
    ``from fastbroker.core.trie cimport Trie``; Python has :class:`PatternTable`.
    """

    @property
    def generation(self) -> int:
        """Grows with every insert and remove."""
    @property
    def node_count(self) -> int:
        """Nodes in use: one for a plain name, else one for each word; beginnings are shared.

        What follows the first wildcard too many counts as one word: see csrc/paths.h.
        """
    @property
    def steps(self) -> int:
        """What all matches so far have looked at, for whoever bounds their time; not what they found."""
    @property
    def memory(self) -> int:
        """Bytes of nodes, edges, words, tails and lists of entries; the entries belong to their owners."""
    def __len__(self) -> int:
        """How many entries are attached."""

@final
class PatternEntry:
    """One value at one pattern, as :meth:`PatternTable.add` returned it."""

    @property
    def pattern(self) -> bytes: ...
    @property
    def value(self) -> Any: ...

@final
class PatternTable:
    """Patterns with Python objects as values."""

    def __init__(self) -> None: ...
    @property
    def trie(self) -> Trie:
        """What finds them: its generation, node count and memory."""
    def add(self, pattern: bytes, value: object) -> PatternEntry:
        """Attach a value; the same pattern may have many, also equal ones.

        Raises ValueError for a pattern that ``check_pattern(pattern, 63)`` refuses.
        """
    def discard(self, entry: PatternEntry) -> None:
        """Detach a value. Raises KeyError if the entry is not, or no longer, in this table."""
    def find(self, name: bytes) -> list[Any]:
        """The values of all patterns that match the name, each once, in no particular order.

        Raises ValueError for a name of more than 63 words.
        """
    def count(self, name: bytes) -> int:
        """How many values :meth:`find` would return; it makes no list of them."""
    def __len__(self) -> int: ...

def has_wildcard(name: bytes) -> bool:
    """Whether at least one word is a wildcard."""

def check_pattern(pattern: bytes, max_levels: int = 32) -> str | None:
    """Why this pattern is refused, or None if it is fine.

    The reason is for a person and follows "the pattern is refused:". Allowed are at most
    ``max_levels`` words (never more than 63) of at most 255 bytes, at most two of ``#``, ``**`` and
    ``>`` together, and ``>`` only as the last word.
    """

def matches_pattern(pattern: bytes, name: bytes) -> bool:
    """Whether one pattern matches one name; never if the name has more than 63 words."""
