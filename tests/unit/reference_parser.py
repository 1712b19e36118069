"""The plainest parser that follows the rules of docs/protocol.md: what the compiled one must agree with.

It starts over with every piece of input, copies all it sees, and has no idea of speed.
"""

from __future__ import annotations

import re

Headers = list[tuple[bytes, bytes]]
Frame = tuple[str, Headers, bytes]

COMMANDS = re.compile(
    rb"CONNECT|STOMP|SEND|SUB|SUBSCRIBE|UNSUB|UNSUBSCRIBE|N?ACK|BEGIN|COMMIT|ABORT|DISCONNECT"
    rb"|CONNECTED|MESSAGE|RECEIPT|ERROR"
)
LITERAL = (b"CONNECT", b"STOMP")  # in these a backslash is a backslash
ESCAPED = {b"\\n": b"\n", b"\\c": b":", b"\\\\": b"\\"}
ESCAPES = {10: {}, 11: ESCAPED, 12: {**ESCAPED, b"\\r": b"\r"}}


class Unfinished(Exception):
    """The frame goes on behind what has come so far."""


class ReferenceReader:
    """The face of fastbroker.core.parser.FrameReader."""

    def __init__(
        self,
        version: int = 12,
        *,
        strict: bool = False,
        lenient_content_length: bool = False,
        max_frame: int = 4 << 20,
        max_header_line: int = 8192,
        max_header_block: int = 65536,
        max_headers: int = 100,
    ) -> None:
        self.version = version
        self.strict = strict
        self.lenient_content_length = lenient_content_length
        self.max_frame = max_frame
        self.max_header_line = max_header_line
        self.max_header_block = max_header_block
        self.max_headers = max_headers
        self.kept = b""

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are complete now; ValueError when the stream is broken."""
        self.kept += data
        frames: list[Frame] = []
        try:
            while True:
                self.kept = self.kept[self._line_ends() :]
                frame, size = self._frame()
                self.kept = self.kept[size:]
                frames.append(frame)
        except Unfinished:
            return frames

    def _line_ends(self) -> int:
        """How many bytes of line ends, and of stray NULs, stand between two frames."""
        crlf = rb"|\r\n" if self._crlf() or not self.strict else b""
        nul = rb"|\0" if not self.strict else b""
        match = re.match(rb"(?:\n%b%b)*" % (crlf, nul), self.kept)
        assert match
        return match.end()

    def _crlf(self) -> bool:
        """Whether CR LF ends a line: in 1.2, in 1.0 unless strictly, and while nobody has said which version it is."""
        return self.version in (0, 12) or (self.version == 10 and not self.strict)

    def _frame(self) -> tuple[Frame, int]:
        """The frame at the start of what is kept, and its size."""
        command, at, ending = self._command()
        raw: Headers = []
        while ending != b"\0":
            line, at, ending = self._line(at)
            if not line:
                break
            raw.append(self._header(line, len(raw)))
        bodyless = ending == b"\0"
        if bodyless and self.strict:
            raise ValueError("malformed frame")
        headers = self._decoded(command, raw)
        length = self._content_length(command, headers)
        size = self._end_of_body(at, length, bodyless)
        if size > self.max_frame:
            raise ValueError("frame too large")
        body = b"" if bodyless else self.kept[at : size - 1]
        if self.strict and body and command != b"SEND":
            raise ValueError("malformed frame")
        return (command.decode("ascii", "replace"), headers, body), size

    # ---- lines ----

    def _command(self) -> tuple[bytes, int, bytes]:
        line, ending = self._up_to_end(0)
        at = len(line) + 1
        if at > 33:
            raise ValueError("unknown command")
        if ending and line.endswith(b"\r"):
            if not self._crlf():
                raise ValueError("malformed frame")
            line = line[:-1]
        if self.version == 0 and not (COMMANDS.fullmatch(line) if ending else re.fullmatch(rb"[A-Z]*\r?", line)):
            raise ValueError("unknown command")  # not STOMP at all
        if not ending:
            raise Unfinished
        return line, at, ending

    def _line(self, at: int) -> tuple[bytes, int, bytes]:
        """The header line that begins at `at`, where the next one begins, and what ended it."""
        line, ending = self._up_to_end(at)
        end = at + len(line)
        if len(line) > self.max_header_line:
            raise ValueError("header line too long")
        if end > self.max_header_block:
            raise ValueError("headers too large")
        if not ending:
            self._wait()
        return line.removesuffix(b"\r") if self._crlf() else line, end + 1, ending

    def _up_to_end(self, at: int) -> tuple[bytes, bytes]:
        """A line and the LF or NUL that ends it; that is empty when neither has come yet."""
        match = re.compile(rb"([^\n\0]*)(\n|\0|\Z)").match(self.kept, at)
        assert match
        return match[1], match[2]

    def _wait(self) -> None:
        if len(self.kept) > self.max_frame:
            raise ValueError("frame too large")
        raise Unfinished

    def _header(self, line: bytes, count: int) -> tuple[bytes, bytes]:
        """A header as it stands in the line; blanks around it are no part of it before version 1.1."""
        name, colon, value = line.partition(b":")
        if not colon or not name:
            raise ValueError("malformed frame")
        if count == self.max_headers:
            raise ValueError("too many headers")
        if self.version < 11:
            name, value = name.strip(b" \t"), value.strip(b" \t")
            if not name:
                raise ValueError("malformed frame")
        return name, value

    # ---- what the lines say ----

    def _decoded(self, command: bytes, raw: Headers) -> Headers:
        if not all(is_utf8(name) and is_utf8(value) for name, value in raw):
            raise ValueError("malformed frame")
        if command in LITERAL or self.version < 11:
            return raw
        return [(self._unescaped(name), self._unescaped(value)) for name, value in raw]

    def _unescaped(self, text: bytes) -> bytes:
        known = ESCAPES[self.version]

        def plain(escape: re.Match[bytes]) -> bytes:
            if escape[0] not in known:
                raise ValueError("malformed frame")
            return known[escape[0]]

        return re.sub(rb"(?s)\\.?", plain, text)

    def _content_length(self, command: bytes, headers: Headers) -> int | None:
        """The octets of the body, or None when the first NUL ends it. Only SEND has a length that can be relied on."""
        value = dict(reversed(headers)).get(b"content-length", b"")
        if not value:
            return None
        if not re.fullmatch(rb"[0-9]{1,10}", value):
            raise ValueError("malformed frame")
        return int(value) if command == b"SEND" or self.strict else None

    def _end_of_body(self, at: int, length: int | None, bodyless: bool) -> int:
        """Where the frame ends whose body begins at `at`, unless a NUL in front of that has ended it already."""
        if length is not None and at + length + 1 > self.max_frame:
            raise ValueError("frame too large")
        if bodyless:
            self._forgive(right=not length)
            return at
        if length is not None:
            if len(self.kept) <= at + length:
                raise Unfinished
            self._forgive(right=self.kept[at + length] == 0)
        nul = self.kept.find(b"\0", at + (length or 0))
        if nul >= 0:
            return nul + 1
        if len(self.kept) >= self.max_frame:
            raise ValueError("frame too large")
        raise Unfinished

    def _forgive(self, *, right: bool) -> None:
        """A content-length that is not right."""
        if not right and not self.lenient_content_length:
            raise ValueError("malformed frame")


def is_utf8(text: bytes) -> bool:
    """Strict UTF-8: no surrogates, no overlong forms."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
