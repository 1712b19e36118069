"""Frames as Python objects, and as the bytes that they are on their way to a broker."""

import re
from typing import NamedTuple

_ESCAPES = {"\\": "\\\\", "\r": "\\r", "\n": "\\n", ":": "\\c"}
_UNESCAPES = {escape: character for character, escape in _ESCAPES.items()}


class Frame(NamedTuple):
    """One frame: its command, its headers in their order, its body."""

    command: str
    headers: list[tuple[str, str]]
    body: bytes = b""

    def header(self, name: str, default: str = "") -> str:
        """The value of a header: of the first one, where it is repeated."""
        return next((value for key, value in self.headers if key == name), default)


def encode(frame: Frame) -> bytes:
    """Return the bytes of a frame; CONNECT knows no escapes.

    What stood on the command line and is no UTF-8 goes out as it stood there: the broker says what is wrong with it.
    """
    plain = frame.command == "CONNECT"
    lines = [f"{name}:{value}" if plain else f"{escape(name)}:{escape(value)}" for name, value in frame.headers]
    return "\n".join([frame.command, *lines, "", ""]).encode(errors="surrogateescape") + frame.body + b"\0\n"


def escape(text: str) -> str:
    """As it stands in a header of 1.1 and 1.2."""
    return "".join(_ESCAPES.get(character, character) for character in text)


def unescape(text: str) -> str:
    """What an escaped text says. Raises KeyError for a backslash that begins no escape."""
    return re.sub(r"\\.?", lambda escape: _UNESCAPES[escape[0]], text, flags=re.DOTALL)
