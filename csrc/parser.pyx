"""The frame parser.

    EOL*  COMMAND EOL  (name ":" value EOL)*  EOL  body NUL

EOL is LF; in 1.0 and 1.2, and before a version is agreed, CR LF too. A frame is found in one pass over its header
lines; a body with a content-length is jumped over. Nothing is copied and nothing is decoded: a header is an offset and
a length. What is lenient here and why is in docs/protocol.md ("What we accept").
"""
from libc.stdint cimport uint16_t, uint32_t, uint64_t
from libc.string cimport memchr, memcmp, memset

from fastbroker.core.frame cimport Frame, Header, decoded, frame_free, frame_init
from fastbroker.core.wire cimport (
    COMMAND_ACK, COMMAND_CONNECT, COMMAND_SEND, COMMAND_STOMP, COMMAND_UNKNOWN, KNOWN_ACK, KNOWN_CONTENT_LENGTH,
    KNOWN_COUNT, KNOWN_ID, KNOWN_MESSAGE_ID, KNOWN_OURS, KNOWN_RECEIPT, KNOWN_REDELIVERED, KNOWN_SUBSCRIPTION,
    KNOWN_TRANSACTION, LINE_MORE, LINE_NUL, PLAIN_ACK_HEAD, SEEN_BACKSLASH, SEEN_CR, SEEN_EMPTY, SEEN_HIGH,
    SEEN_TRIMMED, Line, Text, command_of, escapes_valid, known_of, parse_number, scan_line, scan_plain_ack, text_free,
    text_length, text_put, text_use, utf8_valid,
)

cdef enum:
    LONGEST_COMMAND = 32    # generous: bytes that are no command are noticed this early
    LENGTH_DIGITS = 10
    ACK_HEADERS = 4         # where the header lines of an ACK begin


cdef uint32_t stripped_names():
    return (1 << KNOWN_RECEIPT | 1 << KNOWN_TRANSACTION | 1 << KNOWN_MESSAGE_ID | 1 << KNOWN_SUBSCRIPTION
            | 1 << KNOWN_ACK | 1 << KNOWN_REDELIVERED | 1 << KNOWN_OURS)


cdef uint32_t STRIPPED = stripped_names()

MALFORMED = b"malformed frame"
PARSE_ERRORS = {
    PARSE_MALFORMED: (MALFORMED, b"A header line has no colon, or nothing in front of it."),
    PARSE_CR_LF: (
        MALFORMED, b"The lines of the frame end in CR LF, which only STOMP 1.2 allows. "
                   b"End them in LF alone, or connect with accept-version:1.2."),
    PARSE_BAD_COMMAND: (b"unknown command", b"The frame does not begin with a STOMP command in capital letters."),
    PARSE_BAD_ESCAPE: (MALFORMED, b"A header holds a backslash that begins no escape of this STOMP version."),
    PARSE_BAD_UTF8: (MALFORMED, b"The header lines are not valid UTF-8."),
    PARSE_BAD_LENGTH: (MALFORMED, b"content-length is not a decimal number of octets."),
    PARSE_LENGTH_LIES: (
        MALFORMED, b"No NUL where content-length says that the body ends; it counts octets, not characters."),
    PARSE_UNWANTED_BODY: (MALFORMED, b"Only SEND may have a body."),
    PARSE_FRAME_TOO_LARGE: (
        b"frame too large",
        b"The frame is larger than limits.max_frame (before login: limits.max_frame_before_login)."),
    PARSE_TOO_MANY_HEADERS: (b"too many headers", b"The frame has more header lines than limits.max_headers."),
    PARSE_LINE_TOO_LONG: (b"header line too long", b"A header line is longer than limits.max_header_line."),
    PARSE_HEAD_TOO_LARGE: (
        b"headers too large", b"The header lines together are larger than limits.max_header_block."),
}


cdef tuple parse_error(int status):
    """(message, explanation) of a negative status, for the ERROR frame."""
    return PARSE_ERRORS[status]


cdef inline bint is_blank(char byte) noexcept:
    return byte == c' ' or byte == c'\t'


cdef void trim(const char *base, Frame *frame, uint32_t *start, uint32_t *length) noexcept:
    while length[0] and is_blank(base[start[0]]):
        start[0] += 1
        length[0] -= 1
        frame.seen |= SEEN_TRIMMED
    while length[0] and is_blank(base[start[0] + length[0] - 1]):
        length[0] -= 1
        frame.seen |= SEEN_TRIMMED


cdef class Parser:
    """One per connection: it remembers the agreed version and how far an unfinished frame was looked at."""

    cdef void begin(self) noexcept:
        """A new batch of bytes: what was seen of the last one may be gone."""
        self.template = NULL
        self.template_length = 0

    cdef int next(self, const char *bytes, size_t length, Frame *frame) noexcept:
        """The first frame of `bytes`: PARSE_FRAME, PARSE_MORE or a negative PARSE_* error.

        `frame.skipped` bytes in front belong to no frame, also with PARSE_MORE. SCAN_SLACK bytes behind `length` must
        be readable.
        """
        cdef const char *limit = bytes + length
        cdef int status
        frame.base = bytes
        if bytes < limit and bytes[0] == c'\n':
            frame.base += 1     # the one that most clients write behind a frame
        if frame.base < limit and frame.base[0] <= c'\r':
            frame.base = skip_eols(self, frame.base, limit)
        frame.skipped = frame.base - bytes
        if <size_t>(limit - frame.base) < self.awaited or frame.base == limit:
            return PARSE_MORE
        if (self.template_length and <size_t>(limit - frame.base) > self.template_length
                and memcmp(frame.base, self.template, self.template_length) == 0):
            frame.repeated = True
        else:
            self.template_length = 0    # `frame` is about to describe other header lines
            if self.version == 12 and plain_ack(self, limit, frame):
                return PARSE_FRAME
            status = read_head(self, limit, frame)
            if status != PARSE_FRAME:
                return status
        status = find_body(self, limit, frame)
        if status == PARSE_FRAME:
            self.awaited = self.searched = 0
            if self.limits.strict and frame.command != COMMAND_SEND and frame.body_length:
                return PARSE_UNWANTED_BODY
            if (frame.command == COMMAND_SEND and not frame.repeated and not frame.bodyless
                    and (frame.counted or not frame.known[KNOWN_CONTENT_LENGTH])):
                self.template = frame.base
                self.template_length = frame.body_start
        return status


cdef inline bint plain_ack(Parser self, const char *limit, Frame *frame) noexcept:
    """Whether it is an ACK as nearly all are; then `frame` describes it."""
    cdef size_t length = scan_plain_ack(frame.base, limit)
    if length == 0:
        return False
    frame.command = COMMAND_ACK
    frame.version = 12
    frame.seen = 0
    frame.repeated = frame.counted = frame.stripped = frame.bodyless = False
    memset(frame.known, 0, sizeof(uint16_t) * KNOWN_COUNT)
    frame.names = 0
    frame.known[KNOWN_ID] = frame.header_count = 1
    frame.head_start = ACK_HEADERS
    frame.headers[0] = Header(ACK_HEADERS, 2, PLAIN_ACK_HEAD, <uint32_t>length)
    frame.head_end = <uint32_t>(PLAIN_ACK_HEAD + length + 1)
    frame.body_start = frame.head_end + 1
    frame.body_length = 0
    frame.size = frame.body_start + 1
    self.awaited = self.searched = 0
    return True


cdef const char *skip_eols(Parser self, const char *p, const char *limit) noexcept:
    """Any run of LF, CR LF and stray NUL between frames (items 4 and 12 of the lists in docs/protocol.md)."""
    while p < limit:
        if p[0] == c'\n' or (p[0] == 0 and not self.limits.strict):
            p += 1
        elif p[0] == c'\r' and p + 1 < limit and p[1] == c'\n' and takes_crlf(self):
            p += 2
        else:
            break
    return p


cdef inline bint takes_crlf(Parser self) noexcept:
    """Whether CR LF may stand between frames."""
    return not self.limits.strict or crlf_ends_lines(self)


cdef bint crlf_ends_lines(Parser self) noexcept:
    """In 1.1 a CR is part of the line; 1.0 says nothing, and no client of it means one."""
    return self.version != 11 and (self.version != 10 or not self.limits.strict)


cdef inline size_t max_frame(Parser self) noexcept:
    return self.limits.max_frame if self.version else self.limits.max_frame_before_login


cdef int read_head(Parser self, const char *limit, Frame *frame) noexcept:
    """The command and the header lines: offsets, known names, and what needs care later."""
    cdef Line line
    cdef const char *p = frame.base
    cdef int kind = scan_line(p, limit, &line)
    cdef size_t length = line.end - p
    frame.repeated = False
    if length > LONGEST_COMMAND:
        return PARSE_BAD_COMMAND
    if kind == LINE_MORE:
        return unfinished_command(self, p, length) if self.version == 0 else <int>PARSE_MORE
    if length and (line.end - 1)[0] == c'\r':
        if not crlf_ends_lines(self):
            return PARSE_CR_LF
        length -= 1
    frame.command = command_of(p, length)
    if frame.command == COMMAND_UNKNOWN and self.version == 0:
        return PARSE_BAD_COMMAND    # not STOMP at all: say so before its "headers" are judged
    frame.version = self.version if self.version else 10
    frame.head_start = <uint32_t>(line.end + 1 - frame.base)
    frame.header_count = 0
    frame.seen = 0
    frame.counted = frame.stripped = frame.bodyless = False
    memset(frame.known, 0, sizeof(uint16_t) * KNOWN_COUNT)
    frame.names = self.limits.names
    if kind == LINE_NUL:
        return end_head(self, line.end, line.end + 1, True, frame)
    return read_lines(self, line.end + 1, limit, frame)


cdef int unfinished_command(Parser self, const char *p, size_t length) noexcept:
    """Bytes that cannot become a command are refused before more of them come."""
    cdef size_t i
    for i in range(length):
        if not (c'A' <= p[i] <= c'Z') and not (p[i] == c'\r' and i + 1 == length):
            return PARSE_BAD_COMMAND
    return PARSE_MORE


cdef int read_lines(Parser self, const char *p, const char *limit, Frame *frame) noexcept:
    cdef Line line
    cdef const char *end
    cdef int kind, status
    while True:
        if p < limit and p[0] == c'\n' and <size_t>(p - frame.base) <= self.limits.max_header_block:
            return end_head(self, p, p + 1, False, frame)
        kind = scan_line(p, limit, &line)
        end = line.end
        if <size_t>(end - p) > self.limits.max_header_line:
            return PARSE_LINE_TOO_LONG
        if <size_t>(end - frame.base) > self.limits.max_header_block:
            return PARSE_HEAD_TOO_LARGE
        if kind == LINE_MORE:
            return PARSE_FRAME_TOO_LARGE if <size_t>(limit - frame.base) > max_frame(self) else PARSE_MORE
        if line.seen & SEEN_CR and (end - 1)[0] == c'\r' and crlf_ends_lines(self):
            end -= 1
            frame.stripped = True   # relayed with LF alone
            if memchr(p, c'\r', end - p) == NULL:
                line.seen &= ~<unsigned>SEEN_CR
        if end == p:
            return end_head(self, p, line.end + 1, kind == LINE_NUL, frame)
        status = read_header(self, p, end, &line, frame)
        if status != PARSE_FRAME:
            return status
        if kind == LINE_NUL:
            return end_head(self, line.end, line.end + 1, True, frame)
        p = line.end + 1


cdef int read_header(Parser self, const char *p, const char *end, const Line *line, Frame *frame) noexcept:
    cdef Header *header
    cdef int known
    if line.colon <= p:     # it is NULL, or nothing stands in front of it
        return PARSE_CR_LF if p[0] == c'\r' and end == p + 1 else PARSE_MALFORMED
    if frame.header_count == self.limits.max_headers:
        return PARSE_TOO_MANY_HEADERS
    header = &frame.headers[frame.header_count]
    header.name = <uint32_t>(p - frame.base)
    header.name_length = <uint32_t>(line.colon - p)
    header.value = header.name + header.name_length + 1
    header.value_length = <uint32_t>(end - line.colon) - 1
    frame.seen |= line.seen
    if frame.version < 11:
        trim(frame.base, frame, &header.name, &header.name_length)
        trim(frame.base, frame, &header.value, &header.value_length)
        if header.name_length == 0:
            return PARSE_MALFORMED
    if header.value_length == 0:
        frame.seen |= SEEN_EMPTY
    frame.header_count += 1
    known = known_of(frame.base + header.name, header.name_length)
    if known:
        note_known(self, known, frame)
    return PARSE_FRAME


cdef void note_known(Parser self, int known, Frame *frame) noexcept:
    """Only the first header of a name counts (STOMP 1.2, "Repeated Header Entries")."""
    if not frame.known[known]:
        frame.known[known] = <uint16_t>frame.header_count
        frame.names |= <uint32_t>1 << known
    elif known == KNOWN_CONTENT_LENGTH:
        frame.stripped = True
    if STRIPPED & (<uint32_t>1 << known):
        frame.stripped = True


cdef int end_head(Parser self, const char *end, const char *body, bint bodyless, Frame *frame) noexcept:
    """All header lines are there: check them as a whole."""
    cdef bint literal = frame.command == COMMAND_CONNECT or frame.command == COMMAND_STOMP
    cdef size_t length
    frame.bodyless = bodyless
    if bodyless:
        frame.stripped = True   # its last line may lack the LF
        if self.limits.strict:
            return PARSE_MALFORMED
    frame.head_end = <uint32_t>(end - frame.base)
    if frame.head_end < frame.head_start:   # a NUL right behind the command
        frame.head_end = frame.head_start
    frame.body_start = <uint32_t>(body - frame.base)
    length = frame.head_end - frame.head_start
    if frame.seen & SEEN_HIGH and not utf8_valid(frame.base + frame.head_start, length):
        return PARSE_BAD_UTF8
    if frame.seen & SEEN_BACKSLASH and frame.version >= 11 and not literal and not all_escapes_valid(self, frame):
        return PARSE_BAD_ESCAPE
    return read_length(self, frame)


cdef bint all_escapes_valid(Parser self, const Frame *frame) noexcept:
    cdef const Header *header
    cdef uint32_t i
    for i in range(frame.header_count):
        header = &frame.headers[i]
        if not (escapes_valid(frame.base + header.name, header.name_length, frame.version)
                and escapes_valid(frame.base + header.value, header.value_length, frame.version)):
            return False
    return True


cdef int read_length(Parser self, Frame *frame) noexcept:
    """content-length: digits only; an empty one counts as absent."""
    cdef uint64_t number = 0
    cdef uint16_t index = frame.known[KNOWN_CONTENT_LENGTH]
    cdef const Header *header
    if not index:
        return PARSE_FRAME
    header = &frame.headers[index - 1]
    if header.value_length == 0:
        frame.stripped = True
        return PARSE_FRAME
    if not parse_number(frame.base + header.value, header.value_length, LENGTH_DIGITS, &number):
        return PARSE_BAD_LENGTH
    if frame.command != COMMAND_SEND and not self.limits.strict:
        return PARSE_FRAME  # it often lies there; such a frame ends at the first NUL
    if frame.body_start + number >= max_frame(self):
        return PARSE_FRAME_TOO_LARGE
    frame.counted = True
    frame.body_length = number
    return PARSE_FRAME


cdef inline int find_body(Parser self, const char *limit, Frame *frame) noexcept:
    cdef const char *body = frame.base + frame.body_start
    if frame.bodyless:
        return no_body(self, frame)
    if frame.counted:
        if <size_t>(limit - body) <= frame.body_length:
            self.awaited = frame.body_start + frame.body_length + 1
            return PARSE_MORE
        if body[frame.body_length] != 0:
            return count_lies(self, body, limit, frame)
    else:
        return until_nul(self, body, body, limit, frame)
    frame.size = frame.body_start + frame.body_length + 1
    return PARSE_FRAME


cdef int no_body(Parser self, Frame *frame) noexcept:
    if frame.counted and frame.body_length and not self.limits.lenient_content_length:
        return PARSE_LENGTH_LIES
    frame.counted = False
    frame.body_start -= 1
    frame.body_length = 0
    frame.size = frame.body_start + 1
    return PARSE_FRAME if frame.size <= max_frame(self) else PARSE_FRAME_TOO_LARGE


cdef int count_lies(Parser self, const char *body, const char *limit, Frame *frame) noexcept:
    if not self.limits.lenient_content_length:
        return PARSE_LENGTH_LIES
    frame.counted = False
    frame.stripped = True
    self.template_length = 0    # the next one's count may be right
    return until_nul(self, body, body + frame.body_length, limit, frame)


cdef int until_nul(Parser self, const char *body, const char *search, const char *limit, Frame *frame) noexcept:
    cdef const char *nul
    if frame.base + self.searched > search:
        search = frame.base + self.searched
    nul = <const char *>memchr(search, 0, limit - search)
    if nul == NULL:
        if <size_t>(limit - frame.base) >= max_frame(self):
            return PARSE_FRAME_TOO_LARGE
        self.searched = limit - frame.base
        return PARSE_MORE
    frame.body_length = nul - body
    frame.size = nul + 1 - frame.base
    return PARSE_FRAME if frame.size <= max_frame(self) else PARSE_FRAME_TOO_LARGE


cdef class FrameReader:
    """The parser for Python, to test it by: what clients write in, whole frames out.

    FrameReader(version=12, strict=False, lenient_content_length=False, ...).feed(data) returns a list of
    (command: str, headers: list[tuple[bytes, bytes]], body: bytes), headers decoded and in order; ValueError with the
    short message of the ERROR frame when the stream is broken.
    """
    cdef ParserLimits limits
    cdef Parser parser
    cdef Frame frame
    cdef Text kept

    def __cinit__(self, int version=12, *, bint strict=False, bint lenient_content_length=False,
                  size_t max_frame=4 << 20, size_t max_header_line=8192, size_t max_header_block=65536,
                  uint32_t max_headers=100):
        self.limits.max_frame = self.limits.max_frame_before_login = max_frame
        self.limits.max_header_line = max_header_line
        self.limits.max_header_block = max_header_block
        self.limits.max_headers = max_headers
        self.limits.strict = strict
        self.limits.lenient_content_length = lenient_content_length
        frame_init(&self.frame, max_headers)
        self.parser = Parser()
        self.parser.limits = &self.limits
        self.parser.version = version

    def __dealloc__(self):
        frame_free(&self.frame)
        text_free(&self.kept)

    @property
    def version(self) -> int:
        return self.parser.version

    @version.setter
    def version(self, int version) -> None:
        self.parser.version = version

    def feed(self, bytes data not None) -> list:
        cdef int status
        cdef list frames = []
        if text_put(&self.kept, data, len(data)) < 0:
            raise MemoryError()
        self.parser.begin()
        while True:
            status = self.parser.next(self.kept.bytes + self.kept.start, text_length(&self.kept), &self.frame)
            if status == PARSE_FRAME:
                frames.append(self._parsed())
            self.kept.start += self.frame.skipped + (self.frame.size if status == PARSE_FRAME else 0)
            if status != PARSE_FRAME:
                break
        text_use(&self.kept, 0)
        if status < 0:
            raise ValueError(parse_error(status)[0].decode())
        return frames

    cdef tuple _parsed(self):
        cdef const Frame *frame = &self.frame
        cdef int version = frame.version
        cdef const Header *header
        cdef list headers = []
        cdef uint32_t i
        if frame.command == COMMAND_CONNECT or frame.command == COMMAND_STOMP:
            version = 10
        for i in range(frame.header_count):
            header = &frame.headers[i]
            headers.append((decoded(frame.base + header.name, header.name_length, version),
                            decoded(frame.base + header.value, header.value_length, version)))
        name = frame.base[:frame.head_start - 1].removesuffix(b"\r")
        body = frame.base[frame.body_start:frame.body_start + frame.body_length]
        return name.decode("ascii", "replace"), headers, body
