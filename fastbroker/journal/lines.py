"""A journal as JSON, one line for each thing that it says.

    {"kind": "journal", "format": 1, "epoch": ..., "seed": ..., "shards": ...}      first
    {"kind": "numbers", ...}                                up to which numbers were given
    {"kind": "queue", "queue": 1, "name": ...}              what waits somewhere names that by this number
    {"kind": "durable", "queue": 2, "name": ...}
    {"kind": "names", "queue": 1, "names": [...]}           under which messages have come: duplicates
    {"kind": "kept", "what": "job", ...}                    what is scheduled, or what a topic keeps
    {"kind": "added", "queue": 1, "headers": [...], ...}    a message
    {"kind": "shared", "queue": 2, "id": ...}               the same message, in another queue
    {"kind": "returned", "queue": 1, "id": ..., ...}        how often it was delivered, and until when it rests
    {"kind": "end", "lines": 9}                             last: so a file that ends early is noticed

These are `export`'s, and are what `import` takes. What `inspect` prints has further kinds, which say that something is
no more, and where each record stands. The kinds are those of csrc/record.h; names of fields are those of
csrc/stored.pyx, csrc/kept.pyx and csrc/names.pyx. What is 64 bits of a hash is hexadecimal: JavaScript, and so jq,
would round it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from fastbroker.errors import JournalError

FORMAT = 1

U8 = Annotated[int, Meta(ge=0, le=2**8 - 1)]
U16 = Annotated[int, Meta(ge=0, le=2**16 - 1)]
U32 = Annotated[int, Meta(ge=0, le=2**32 - 1)]
# msgspec has no larger bounds; struct.pack refuses what is more than 64 bits.
U64 = Annotated[int, Meta(ge=0)]
Hash = Annotated[str, Meta(pattern="^[0-9a-f]{1,16}$")]


class Line(Struct, tag_field="kind", kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One line, and one record."""

    record: ClassVar[int] = 0
    """The record's kind, in csrc/record.h."""
    layout: ClassVar[str] = "<"
    """What its payload begins with ..."""
    fields: ClassVar[tuple[str, ...]] = ()
    """... and what that is; without a name it is 0."""

    shard: U16 = 0

    @classmethod
    def of(cls, shard: int, payload: bytes) -> Self:
        """What a record says. Raises struct.error, ValueError and IndexError where it does not say that."""
        head = struct.unpack_from(cls.layout, payload)
        said = {name: value for name, value in zip(cls.fields, head, strict=True) if name}
        return cls(shard=shard, **said, **cls._behind(payload[struct.calcsize(cls.layout) :]))

    def payload(self) -> bytes:
        """What the record has behind its head. Raises struct.error and ValueError."""
        return struct.pack(self.layout, *(getattr(self, name) if name else 0 for name in self.fields)) + self._tail()

    @classmethod
    def _behind(cls, tail: bytes) -> dict[str, Any]:
        """The fields that are said behind that."""
        return {}

    def _tail(self) -> bytes:
        return b""


class Journal(Line, tag="journal", kw_only=True):
    """Whose journal that is."""

    format: int
    version: str
    epoch: Annotated[str, Meta(pattern="^[a-z0-9]{8}$")]
    seed: Hash
    shards: Annotated[int, Meta(ge=1, le=65_535)]


class End(Line, tag="end", kw_only=True):
    """All is there."""

    lines: int


class Numbers(Line, tag="numbers", kw_only=True):
    """Up to which numbers message-ids were given, those of dead letters, and those of what else is kept."""

    record: ClassVar[int] = 3
    layout: ClassVar[str] = "<3Q"
    fields: ClassVar[tuple[str, ...]] = ("messages", "dead_letters", "keys")
    messages: U64
    dead_letters: U64
    keys: U64


class _Described(Line, kw_only=True):
    layout: ClassVar[str] = "<3Q"
    fields: ClassVar[tuple[str, ...]] = ("queue", "not_by", "given")
    more: ClassVar[str]
    """The field with the texts behind its name."""
    queue: U32
    not_by: U64 = 0
    given: U64 = 0
    name: str

    @classmethod
    def _behind(cls, tail: bytes) -> dict[str, Any]:
        name, *more = _texts(tail)
        return {"name": name, cls.more: more}

    def _tail(self) -> bytes:
        return _packed((self.name, *getattr(self, self.more)))


class Queue(_Described, tag="queue", kw_only=True):
    """A queue, and what clients have declared of it: header and value, by turns."""

    record: ClassVar[int] = 4
    more: ClassVar[str] = "declared"
    declared: list[str] = []


class Durable(_Described, tag="durable", kw_only=True):
    """A durable subscription: its name, and then its topics and its selector, as the broker knows them."""

    record: ClassVar[int] = 5
    more: ClassVar[str] = "to"
    to: Annotated[list[str], Meta(min_length=1)]


class Gone(Line, tag="gone", kw_only=True):
    """A queue has gone, with all that it held."""

    record: ClassVar[int] = 6
    layout: ClassVar[str] = "<Q"
    fields: ClassVar[tuple[str, ...]] = ("queue",)
    queue: U64


class _Content(Line, kw_only=True):
    """A message: `headers` are its header lines as they are sent in STOMP 1.2. What is not UTF-8 is base64."""

    id: U64
    priority: Annotated[int, Meta(ge=0, le=9)] = 0
    expires: U64 = 0
    group: Hash = "0"
    duplicate: Hash = "0"
    last_value: Hash = "0"
    seen: U8 = 0
    flags: U8 = 0
    headers: list[str] | UnsetType = UNSET
    headers_base64: bytes | UnsetType = UNSET
    body: str | UnsetType = UNSET
    body_base64: bytes | UnsetType = UNSET

    def _content(self, place: int, queue: int, deliveries: int, refusals: int) -> bytes:
        """As csrc/stored.pyx draws it."""
        head = _one_of(self.headers, self.headers_base64, "headers", _head_of)
        body = _one_of(self.body, self.body_base64, "body", str.encode)
        asked = [self.expires, *(int(each, 16) for each in (self.group, self.duplicate, self.last_value))]
        extras = sum(1 << bit for bit, value in enumerate(asked) if value)
        counts = (len(head), len(body), deliveries, refusals, self.seen, self.flags, self.priority, extras)
        values = [value for value in asked if value]
        added = _ADDED.pack(self.id, place, queue, *counts)
        return b"".join((added, struct.pack(f"<{len(values)}Q", *values), head, body))


_ADDED = struct.Struct("<QQIIIIIHHBB6x")


def _content_in(payload: bytes) -> tuple[dict[str, Any], dict[str, Any], int]:
    """What is said of a message, what is said of its place, and where it ends."""
    found = _ADDED.unpack_from(payload)
    number, place, queue, head_length, body_length, deliveries, refusals, seen, flags, priority, extras = found
    at = _ADDED.size
    asked = [0, 0, 0, 0]
    for bit in range(len(asked)):
        if extras >> bit & 1:
            (asked[bit],) = struct.unpack_from("<Q", payload, at)
            at += 8
    head, body = payload[at : at + head_length], payload[at + head_length : at + head_length + body_length]
    if len(head) + len(body) != head_length + body_length:
        raise ValueError("it ends too early")
    content: dict[str, Any] = {"id": number, "priority": priority, "expires": asked[0], "seen": seen, "flags": flags}
    content |= {"group": f"{asked[1]:x}", "duplicate": f"{asked[2]:x}", "last_value": f"{asked[3]:x}"}
    content |= _said(head, "headers", _lines_of) | _said(body, "body", lambda text: text)
    where = {"place": place, "queue": queue, "deliveries": deliveries, "refusals": refusals}
    return content, where, at + head_length + body_length


class Added(_Content, tag="added", kw_only=True):
    """A message has come into a queue, to this place."""

    record: ClassVar[int] = 7
    queue: U32
    place: U64
    deliveries: U32 = 0
    refusals: U32 = 0

    @classmethod
    def _behind(cls, tail: bytes) -> dict[str, Any]:
        content, where, _ = _content_in(tail)
        return content | where

    def _tail(self) -> bytes:
        return self._content(self.place, self.queue, self.deliveries, self.refusals)


class Shared(Line, tag="shared", kw_only=True):
    """The message of that id, which the last line with a message of it has, is in another queue, too."""

    record: ClassVar[int] = 8
    layout: ClassVar[str] = "<2Q4I"
    fields: ClassVar[tuple[str, ...]] = ("id", "place", "queue", "deliveries", "refusals", "")
    queue: U32
    id: U64
    place: U64
    deliveries: U32 = 0
    refusals: U32 = 0


class Settled(Line, tag="settled", kw_only=True):
    """Messages of a queue, recorded in the segment with these lower 16 bits, that nobody gets again."""

    record: ClassVar[int] = 9
    layout: ClassVar[str] = "<2I"
    fields: ClassVar[tuple[str, ...]] = ("queue", "segment")
    queue: U32
    segment: U32
    ids: list[int]

    @classmethod
    def _behind(cls, tail: bytes) -> dict[str, Any]:
        return {"ids": list(_numbers_in(tail))}


class Returned(Line, tag="returned", kw_only=True):
    """A message has come back; nobody gets it before `due`, in milliseconds of the time of day."""

    record: ClassVar[int] = 10
    layout: ClassVar[str] = "<2I3Q2I"
    fields: ClassVar[tuple[str, ...]] = ("queue", "segment", "id", "due", "rest", "deliveries", "refusals")
    queue: U32
    id: U64
    segment: U32 = 2**16
    due: U64 = 0
    rest: U64 = 0
    deliveries: U32 = 0
    refusals: U32 = 0


class Committed(Line, tag="committed", kw_only=True):
    """All that a transaction did holds."""

    record: ClassVar[int] = 11
    layout: ClassVar[str] = "<I"
    fields: ClassVar[tuple[str, ...]] = ("committed",)
    committed: U32


class Closed(Line, tag="closed", kw_only=True):
    """The broker has ended in good order."""

    record: ClassVar[int] = 12


class Kept(_Content, tag="kept", kw_only=True):
    """A message that waits for its time, or that a topic keeps; `name` is where it goes, or the topic."""

    record: ClassVar[int] = 13
    key: U64
    what: Literal["job", "past", "retained"]
    name: str
    time: U64 = 0
    delay: U64 = 0
    later: U64 = 0
    left: U64 = 0
    times: U64 = 0
    before: U64 = 0
    lax: bool = False

    @classmethod
    def _behind(cls, tail: bytes) -> dict[str, Any]:
        *numbers, what, lax, length = _KEPT.unpack_from(tail)
        content, _, end = _content_in(tail[_KEPT.size :])
        name = tail[_KEPT.size + end : _KEPT.size + end + length].decode()
        kept = dict(zip(("key", *_WHEN), numbers, strict=True))
        return content | kept | {"what": _WHATS[what], "lax": bool(lax), "name": name}

    def _tail(self) -> bytes:
        name = self.name.encode()
        when = (getattr(self, field) for field in _WHEN)
        head = _KEPT.pack(self.key, *when, _WHATS.index(self.what), self.lax, len(name))
        return head + self._content(0, 0, 0, 0) + name


_KEPT = struct.Struct("<7Q2HI")
_WHEN = ("time", "delay", "later", "left", "times", "before")
_WHATS = ("job", "past", "retained")


class Again(Line, tag="again", kw_only=True):
    """A job came, and comes again."""

    record: ClassVar[int] = 14
    layout: ClassVar[str] = "<2I5Q"
    fields: ClassVar[tuple[str, ...]] = ("", "segment", "key", "time", "later", "left", "times")
    key: U64
    segment: U32
    time: U64
    later: U64
    left: U64
    times: U64


class Forgotten(Line, tag="forgotten", kw_only=True):
    """It is not kept any more."""

    record: ClassVar[int] = 15
    layout: ClassVar[str] = "<2IQ"
    fields: ClassVar[tuple[str, ...]] = ("", "segment", "key")
    key: U64
    segment: U32


class Names(Line, tag="names", kw_only=True):
    """Under which messages have come into a queue; the first of them came with the message of that id."""

    record: ClassVar[int] = 16
    layout: ClassVar[str] = "<2Q"
    fields: ClassVar[tuple[str, ...]] = ("queue", "id")
    queue: U64
    id: U64
    names: list[Hash]

    @classmethod
    def _behind(cls, tail: bytes) -> dict[str, Any]:
        return {"names": [f"{name:x}" for name in _numbers_in(tail)]}

    def _tail(self) -> bytes:
        return struct.pack(f"<{len(self.names)}Q", *(int(name, 16) for name in self.names))


Exported = Journal | Numbers | Queue | Durable | Names | Kept | Added | Shared | Returned | End
_BY_RECORD: dict[int, type[Line]] = {
    each.record: each
    for each in (
        *(Numbers, Queue, Durable, Gone, Added, Shared, Settled, Returned),
        *(Committed, Closed, Kept, Again, Forgotten, Names),
    )
}


KINDS = tuple(str(each.__struct_config__.tag) for each in _BY_RECORD.values())


def line_of(kind: int, shard: int, payload: bytes) -> Line:
    """What a record says. Raises JournalError where that is not what its kind says."""
    try:
        return _BY_RECORD[kind].of(shard, payload)
    except (KeyError, ValueError, IndexError, struct.error) as error:
        raise JournalError(f"a record of kind {kind} that nobody can read: {error}") from None


def record_of(line: Line) -> tuple[int, int, bytes]:
    """Kind, shard and payload of the record that says that. Raises JournalError."""
    try:
        return line.record, line.shard, line.payload()
    except (ValueError, struct.error) as error:
        raise JournalError(str(error)) from None


encoded: Callable[[object], bytes] = msgspec.json.Encoder().encode
_decoder = msgspec.json.Decoder(Exported)


def decoded(line: bytes) -> Exported:
    """A line that `export` has written. Raises JournalError, which says what is wrong there."""
    try:
        return _decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise JournalError(str(error)) from None


def positioned(line: Line, **where: object) -> bytes:
    """A line that says where its record stands, too."""
    return encoded(where | msgspec.to_builtins(line))


# ---- what records consist of ----


def _numbers_in(packed: bytes) -> tuple[int, ...]:
    return struct.unpack_from(f"<{len(packed) // 8}Q", packed)


def _texts(packed: bytes) -> list[str]:
    texts, at = [], 0
    while at + 4 <= len(packed):
        (length,) = struct.unpack_from("<I", packed, at)
        texts.append(packed[at + 4 : at + 4 + length].decode())
        at += 4 + length
    return texts


def _packed(texts: Sequence[str]) -> bytes:
    return b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in texts)


def _lines_of(head: str) -> list[str]:
    if head and not head.endswith("\n"):
        raise ValueError("a header line that has no end")
    return head.split("\n")[:-1]


def _head_of(lines: Sequence[str]) -> bytes:
    for number, line in enumerate(lines):
        if line.find(":") < 1 or "\n" in line or "\0" in line:
            raise ValueError(f"Expected a header line, `name:value` - at `$.headers[{number}]`")
    return "".join(f"{line}\n" for line in lines).encode()


def _said(content: bytes, name: str, said: Callable[[str], object]) -> dict[str, object]:
    """As text, or if it is none in base64."""
    try:
        return {name: said(content.decode())}
    except ValueError:
        return {f"{name}_base64": content}


def _one_of(said: Any, base64: Any, name: str, read: Callable[[Any], bytes]) -> bytes:
    if (said is UNSET) == (base64 is UNSET):
        raise ValueError(f"Expected either `{name}` or `{name}_base64` - at `$`")
    return bytes(base64) if said is UNSET else read(said)
