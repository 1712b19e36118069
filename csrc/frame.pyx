"""Frames on the way out, and the part of a SEND that travels on.

    COMMAND LF
    name ":" value LF        zero or more, escaped as the receiver's version wants
    LF
    body NUL LF              the LF behind the NUL belongs to no frame, but several clients wait for it

Header lines that go to subscribers are kept in one form, that of STOMP 1.2, and put into the form of an older receiver
only when they hold something that the two versions write differently.
"""
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memchr, memcmp, memcpy

cdef extern from *:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE
    #endif
    #include <string.h>
    """
    void *memmem(const void *text, size_t length, const void *part, size_t part_length)

from fastbroker.core.wire cimport (
    FRAMING_SOCKJS, KNOWN_ACK, KNOWN_CONTENT_LENGTH, KNOWN_MESSAGE_ID, KNOWN_OURS, KNOWN_RECEIPT, KNOWN_REDELIVERED,
    KNOWN_REPLY_TO, KNOWN_SUBSCRIPTION, KNOWN_TRANSACTION, NUMBER_SPACE, SEEN_BACKSLASH, SEEN_COLON, SEEN_CR,
    SEEN_EMPTY, SEEN_REPLY, SEEN_TRIMMED, WS_TEXT, OutBuf, Text, escape, framed_begin, framed_end, framed_put, known_of,
    outbuf_commit, outbuf_reserve, outbuf_touch, parse_number, put_number, text_reserve, unescape, ws_opcode,
)


class Refused(Exception):
    """A frame that cannot be processed: (message, body) of the ERROR frame, as bytes."""


cdef int frame_init(Frame *frame, uint32_t header_capacity) except -1:
    frame.headers = <Header *>calloc(header_capacity, sizeof(Header))
    if frame.headers == NULL:
        raise MemoryError()
    frame.header_capacity = header_capacity
    return 0


cdef void frame_free(Frame *frame) noexcept:
    free(frame.headers)
    frame.headers = NULL


cdef bytes decoded(const char *text, size_t length, int version):
    """The text behind escapes that the parser found valid (STOMP 1.2, "Value Encoding")."""
    cdef bytes plain = PyBytes_FromStringAndSize(NULL, length)
    cdef size_t size = unescape(<char *>plain, text, length, version)
    return plain if size == length else plain[:size]


cdef bytes encoded(bytes text, int version):
    cdef bytes form = PyBytes_FromStringAndSize(NULL, 2 * len(text))
    cdef size_t size = escape(<char *>form, text, len(text), version)
    return form[:size]


cdef bytes frame_text(const Frame *frame, int known):
    """The decoded value of the first header of that name, or None."""
    cdef Slice value = frame_value(frame, known)
    if value.bytes == NULL:
        return None
    return decoded(value.bytes, value.length, frame.version)


cdef bytes header_text(const Frame *frame, bytes name):
    """The decoded value of the first header of that name, which need not be one of the known; or None."""
    cdef const Header *header = header_named(frame, name)
    return decoded(frame.base + header.value, header.value_length, frame.version) if header != NULL else None


cdef const Header *header_named(const Frame *frame, bytes name) noexcept:
    """The first one; or NULL."""
    cdef const Header *header
    cdef uint32_t i
    for i in range(frame.header_count):
        header = &frame.headers[i]
        if (<Py_ssize_t>header.name_length == len(name)
                and memcmp(frame.base + header.name, <const char *>name, header.name_length) == 0):
            return header
    return NULL


cdef bint has_header_of(const Frame *frame, const char *prefix, size_t length) noexcept:
    """Whether the name of a header begins with that."""
    cdef const Header *header
    cdef uint32_t i
    for i in range(frame.header_count):
        header = &frame.headers[i]
        if header.name_length > length and memcmp(frame.base + header.name, prefix, length) == 0:
            return True
    return False


cdef bint number_of(bytes text, uint64_t *number) noexcept:
    """A decimal number of at most ten digits."""
    return parse_number(text, len(text), 10, number) != 0


cdef bytes shown(bytes text):
    """A client's text for an ERROR body or a log line: short, and one line."""
    return text[:200].decode("utf-8", "ignore").encode().replace(b"\r", b" ").replace(b"\n", b" ")


# ---- what of a SEND reaches subscribers ----

cdef inline bint is_private(int known) noexcept:
    """Headers between a client and the broker, or that only the broker may write (clients could forge them)."""
    return (known == KNOWN_RECEIPT or known == KNOWN_TRANSACTION or known == KNOWN_MESSAGE_ID
            or known == KNOWN_SUBSCRIPTION or known == KNOWN_ACK or known == KNOWN_REDELIVERED or known == KNOWN_OURS)


cdef int content_in_form(const Frame *frame, Text *scratch, const char *reply_to, size_t reply_to_length,
                         Content *content) except -1:
    """The rest of `content_of`, for header lines that hold anything but plain text, or lines that nobody may see."""
    content.seen = frame.seen & (SEEN_BACKSLASH | SEEN_EMPTY)
    if (not frame.stripped and reply_to == NULL and not frame.seen & (SEEN_TRIMMED | SEEN_COLON | SEEN_CR)
            and (frame.version >= 11 or not frame.seen & SEEN_BACKSLASH)):
        note_cr(content)
        return 0
    scratch.start = scratch.end = 0
    relay_headers(frame, scratch, reply_to != NULL, content)
    if reply_to != NULL:
        put_as_is(scratch, reply_to, reply_to_length)
        content.seen |= SEEN_REPLY
    if not frame.counted and memchr(content.body, 0, content.body_length) != NULL:
        relay_length(scratch, content.body_length)
    content.head = scratch.bytes
    content.head_length = scratch.end
    note_cr(content)
    return 0


cdef inline void note_cr(Content *content) noexcept:
    """An escaped CR is what 1.1 writes in another way than 1.2."""
    if content.seen & SEEN_BACKSLASH and memmem(content.head, content.head_length, b"\\r", 2) != NULL:
        content.seen |= SEEN_CR


cdef int relay_headers(const Frame *frame, Text *scratch, bint without_reply_to, Content *content) except -1:
    cdef bint as_is = (not frame.seen & (SEEN_TRIMMED | SEEN_COLON | SEEN_CR)
                       and (frame.version >= 11 or not frame.seen & SEEN_BACKSLASH))
    cdef bint length_seen = not frame.counted
    cdef const Header *header
    cdef int known
    cdef uint32_t i
    for i in range(frame.header_count):
        header = &frame.headers[i]
        known = known_of(frame.base + header.name, header.name_length)
        if is_private(known) or (known == KNOWN_REPLY_TO and without_reply_to):
            continue
        if known == KNOWN_CONTENT_LENGTH:
            if length_seen:
                continue
            length_seen = True
        if as_is:
            put_as_is(scratch, frame.base + header.name, header.value + header.value_length - header.name)
        else:
            put_line(scratch, frame.base + header.name, header.name_length, frame.base + header.value,
                     header.value_length, frame.version)
    if not as_is:
        content.seen |= SEEN_BACKSLASH
    return 0


cdef int put_as_is(Text *scratch, const char *line, size_t length) except -1:
    """Appends a header line that is in 1.2 encoding already."""
    cdef char *room = text_reserve(scratch, length + 1)
    if room == NULL:
        raise MemoryError()
    memcpy(room, line, length)
    room[length] = c'\n'
    scratch.end += length + 1
    return 0


cdef int put_line(Text *scratch, const char *name, size_t name_length, const char *value, size_t value_length,
                  int version) except -1:
    """Appends a header line that was written in that version's encoding, in 1.2 encoding."""
    cdef bytes decoded_name = decoded(name, name_length, version), decoded_value = decoded(value, value_length, version)
    cdef char *room = text_reserve(scratch, 2 * (name_length + value_length) + 2)
    cdef char *end = room
    if room == NULL:
        raise MemoryError()
    end += escape(end, decoded_name, len(decoded_name), 12)
    end[0] = c':'
    end += 1
    end += escape(end, decoded_value, len(decoded_value), 12)
    end[0] = c'\n'
    scratch.end += end + 1 - room
    return 0


cdef int relay_length(Text *scratch, size_t length) except -1:
    cdef char line[15 + NUMBER_SPACE]
    memcpy(line, b"content-length:", 15)
    return put_as_is(scratch, line, 15 + put_number(line + 15, length))


# ---- frames to a client ----

cdef bytes head_in_form(const char *head, size_t length, unsigned form):
    """Header lines kept in 1.2 encoding, in the form in which a receiver reads them (FORM_*).

    A name with a colon in it and an empty value cannot be told to a 1.0 receiver at all: such headers are left out.
    """
    cdef int version = form_version(form)
    cdef bytes name, value
    cdef bytes lines = head[:length]
    cdef list told = []
    for line in lines.splitlines():
        name, _, value = line.partition(b":")
        if form & FORM_ACTIVEMQ and name == b"reply-to":
            value = value.replace(b"/reply-queue/", b"/remote-temp-queue/", 1)
            value = value.replace(b"/reply-topic/", b"/remote-temp-topic/", 1)
        name = decoded(name, len(name), 12)
        if version >= 11 or (value and b":" not in name):
            told.append(header_line(name, decoded(value, len(value), 12), version))
    return b"".join(told)


cdef bytes header_line(bytes name, bytes value, int version):
    return b"%b:%b\n" % (encoded(name, version), encoded(value, version))


cdef int put_header(OutBuf *out, bytes name, bytes value, int version) except -1:
    cdef bytes line = header_line(name, value, version)
    framed_put(out, line, len(line))
    return 0


cdef int put_raw_header(OutBuf *out, const char *name, size_t name_length, Slice value, int version) except -1:
    """A header whose value a client of the same version wrote: its escapes are right as they stand."""
    cdef char *room
    if (out.framing == FRAMING_SOCKJS or memchr(value.bytes, c'\r', value.length) != NULL
            or (version >= 11 and memchr(value.bytes, c':', value.length) != NULL)):
        return put_header(out, name[:name_length], decoded(value.bytes, value.length, version), version)
    room = outbuf_reserve(out, name_length + value.length + 2)
    if room == NULL:
        return 0
    memcpy(room, name, name_length)
    room[name_length] = c':'
    memcpy(room + name_length + 1, value.bytes, value.length)
    room[name_length + 1 + value.length] = c'\n'
    outbuf_commit(out, room + name_length + value.length + 2)
    return 0


cdef int put_receipt(OutBuf *out, Slice receipt, bytes more, int version) except -1:
    """`more` are whole header lines, or None."""
    framed_begin(out)
    framed_put(out, b"RECEIPT\n", 8)
    put_raw_header(out, b"receipt-id", 10, receipt, version)
    if more is not None:
        framed_put(out, more, len(more))
    framed_put(out, b"\n\0\n", 1 + out.frame_end)
    framed_end(out, WS_TEXT)
    outbuf_touch(out)
    return 0


cdef int put_frame(OutBuf *out, bytes text) except -1:
    """One that is put together already, up to its NUL."""
    framed_begin(out)
    framed_put(out, text, len(text))
    framed_put(out, b"\0\n", out.frame_end)
    framed_end(out, ws_opcode(text, len(text)))
    outbuf_touch(out)
    return 0


cdef int put_connected(OutBuf *out, bytes headers) except -1:
    """CONNECTED is not escaped (STOMP 1.2, "Value Encoding"); a CR or LF cannot get in, its values are the broker's."""
    framed_begin(out)
    framed_put(out, b"CONNECTED\n", 10)
    framed_put(out, headers, len(headers))
    framed_put(out, b"\n\0\n", 1 + out.frame_end)
    framed_end(out, WS_TEXT)
    outbuf_touch(out)
    return 0


cdef bytes error_frame(bytes message, bytes body, bytes receipt, bint versions, int version):
    """ERROR (STOMP 1.2, "ERROR"), up to its NUL: short stable `message`, the receipt it answers, a body for a person.

    The charset is said: only 1.2 defines one for text, and stompit 1.0 ends its process at a bare text/plain."""
    cdef bytes lines = b"ERROR\n"
    if versions:
        lines += b"version:1.0,1.1,1.2\n"
    lines += header_line(b"message", message, version)
    if receipt is not None:
        lines += header_line(b"receipt-id", receipt, version)
    lines += header_line(b"content-type", b"text/plain;charset=utf-8", version)
    return lines + header_line(b"content-length", b"%d" % len(body), version) + b"\n" + body
