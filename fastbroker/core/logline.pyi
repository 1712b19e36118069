"""Lines of the log."""

from typing import Any

LONGEST: int
"""Characters of a value."""

def json_line(level: str, event: str, fields: dict[str, Any]) -> bytes:
    """One JSON object: timestamp, level and event, then the fields in their order."""

def text_line(level: str, event: str, fields: dict[str, Any]) -> bytes:
    """For people, and for grep."""

def coloured_line(level: str, event: str, fields: dict[str, Any]) -> bytes:
    """For people at a terminal."""

def clean(value: Any) -> Any:
    """Make a value fit for a line. Numbers stay numbers."""
