"""What the operator wants of queues and topics."""

from collections.abc import Mapping, Sequence
from typing import Any, final

@final
class Policies:
    """The first pattern that matches the name of a queue or topic decides for it."""

    def __init__(
        self,
        queues: Sequence[tuple[str, Mapping[str, Any]]] = (),
        topics: Sequence[tuple[str, Mapping[str, Any]]] = (),
        usual: Mapping[str, Any] | None = None,
    ) -> None:
        """Take pairs of a pattern and settings, which are those of `[[queues]]` and `[[topics]]` in
        docs/configuration.md; times are milliseconds and sizes bytes. `usual` ones have queues that no pattern is for.
        Raises KeyError for a word that is none."""

LAST_QUEUES: tuple[tuple[str, Mapping[str, Any]], ...]
"""The tables of queues that stand behind those of the operator."""

def asked_about(name: bytes) -> bytes:
    """Return what of a name patterns are compared with: its first 63 words."""
