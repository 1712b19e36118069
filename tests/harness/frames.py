"""Frames as a test writes them down: the bytes that go out, and the bytes that must come back.

What the broker is free to choose stands in the expected bytes as a field in angle brackets (`<session>`, `<ack>` …),
and each field has its own strict pattern.
"""

from __future__ import annotations

import itertools
import re
from functools import lru_cache

import pytest

VERSIONS = ("1.0", "1.1", "1.2")
every_version = pytest.mark.parametrize("version", VERSIONS)
from_1_1 = pytest.mark.parametrize("version", VERSIONS[1:])
only_1_2 = pytest.mark.parametrize("version", VERSIONS[2:])

FIELDS = {
    "session": rb"[A-Za-z0-9._/-]{4,64}",
    "short-session": rb"[A-Za-z0-9._/-]{4}",
    "server": rb"fastbroker/[0-9][A-Za-z0-9._/-]*",
    "beat": rb"[0-9]+,[0-9]+",
    "message-id": rb"[A-Za-z0-9]{8}-[0-9]+",
    "ack": rb"[A-Za-z0-9._/-]{1,64}",
    "token": rb"[A-Za-z0-9._-]{8,64}",
    "length": rb"[0-9]+",
    "count": rb"[2-9]|[1-9][0-9]+",
    "text": rb"[^\0]+\n",
    "event": rb"present|joined|left",
    "people": rb"\[[^\0\n]*\]",
}
FIELD = re.compile(rb"<(" + b"|".join(name.encode() for name in FIELDS) + rb")>")
CONTENT_LENGTH = re.compile(rb"^content-length:([0-9]+)$", re.MULTILINE)

LARGE = 10_000
"""Bytes of an expected frame from which on its body is compared apart: a pattern of megabytes takes seconds."""

numbers = itertools.count(1)


def wire(text: str | bytes) -> bytes:
    """The bytes of a frame written as text."""
    return text.encode() if isinstance(text, str) else text


def frame(command: str, *headers: str, body: str | bytes = b"") -> bytes:
    """A frame as a client writes it, its header lines exactly as given."""
    head = "".join(f"{line}\n" for line in (command, *headers))
    return head.encode() + b"\n" + wire(body) + b"\0"


def receipt(value: str) -> bytes:
    """The RECEIPT that the broker must send for `receipt:<value>`."""
    return f"RECEIPT\nreceipt-id:{value}\n\n\0\n".encode()


def unique(kind: str) -> str:
    """A name that no other test uses."""
    return f"{kind}{next(numbers)}"


@lru_cache(maxsize=512)
def compiled(template: bytes) -> re.Pattern[bytes]:
    """An expected frame as a pattern: its fields become named groups, all the rest must be the same byte for byte."""
    parts = FIELD.split(template)
    for at in range(0, len(parts), 2):
        parts[at] = re.escape(parts[at])
    for at in range(1, len(parts), 2):
        name = parts[at].decode()
        parts[at] = b"(?P<" + name.replace("-", "_").encode() + b">" + FIELDS[name] + b")"
    return re.compile(b"".join(parts))


def matched(template: bytes, got: bytes) -> dict[str, bytes] | None:
    """The fields of an expected frame as they came, or None when something else came."""
    if len(template) > LARGE and not FIELD.search(template, template.index(b"\n\n")):
        body = template.index(b"\n\n")
        at = max(len(got) - (len(template) - body), 0)
        return matched(template[:body], got[:at]) if got[at:] == template[body:] else None
    match = compiled(template).fullmatch(got)
    return match.groupdict() if match else None
