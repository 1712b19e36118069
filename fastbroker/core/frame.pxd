"""A client frame as a view into the bytes it was read from, and what of it travels on to subscribers."""
from libc.stdint cimport uint16_t, uint32_t, uint64_t

from fastbroker.core.wire cimport (
    SEEN_BACKSLASH, SEEN_CR, SEEN_EMPTY, SEEN_HIGH, SEEN_REPLY, OutBuf, Properties, Text,
)

cdef enum:
    # The form in which a receiver reads header lines: what they may hold (SEEN_*) that it is told in another way than
    # they are kept, in 1.2 encoding.
    FORM_12 = 0
    FORM_11 = SEEN_CR
    FORM_10 = SEEN_CR | SEEN_BACKSLASH | SEEN_EMPTY
    FORM_ACTIVEMQ = SEEN_REPLY      # together with one of these: it knows reply queues by ActiveMQ's name
    FORMS = 6


cdef enum:
    NAME_UNTOLD = 1         # each MESSAGE has header lines which its sender may have left out; no KNOWN_* has this bit


cdef struct Header:
    # offsets from the frame's first byte, escapes still in
    uint32_t name
    uint32_t name_length
    uint32_t value
    uint32_t value_length


cdef struct Frame:
    # valid until the bytes behind `base` go away, that is inside the call that was given the frame
    const char *base
    size_t skipped          # end-of-line bytes in front of `base`
    size_t size             # from `base` to behind the closing NUL
    int command
    int version             # whose rules it was read by
    unsigned seen           # SEEN_* over all header lines
    bint repeated           # its header lines are, byte for byte, those of the frame before
    bint counted            # a content-length decides where the body ends
    bint bodyless           # a NUL among the header lines ended it
    bint stripped           # holds header lines that no subscriber may see
    uint32_t head_start     # the header lines, each with its LF ...
    uint32_t head_end       # ... up to the blank line
    uint32_t body_start
    size_t body_length
    uint32_t header_count
    uint32_t header_capacity
    Header *headers
    uint32_t names          # which KNOWN_* are there, as bits; and NAME_UNTOLD
    uint16_t known[32]      # 1 + index of the first header of each KNOWN_* name, 0: not there


cdef struct Slice:
    const char *bytes
    size_t length


cdef struct Content:
    # what subscribers get: `head` is whole header lines in 1.2 encoding
    const char *head
    size_t head_length
    const char *body
    size_t body_length
    unsigned seen
    int opcode              # of a WebSocket message with this body; 0: nobody has asked yet
    const Properties *properties    # what the sender asks for; NULL: nothing
    void **shared           # where the Message is that others have stored of it, or will be; NULL: nowhere


cdef int frame_init(Frame *frame, uint32_t header_capacity) except -1
cdef void frame_free(Frame *frame) noexcept

cdef inline Slice frame_value(const Frame *frame, int known) noexcept:
    """The raw value of the first header of that name; bytes is NULL when there is none."""
    cdef Slice value
    cdef const Header *header
    value.bytes = NULL
    value.length = 0
    if frame.known[known]:
        header = &frame.headers[frame.known[known] - 1]
        value.bytes = frame.base + header.value
        value.length = header.value_length
    return value

cdef bytes frame_text(const Frame *frame, int known)
cdef bint has_header_of(const Frame *frame, const char *prefix, size_t length) noexcept
cdef bint number_of(bytes text, uint64_t *number) noexcept
cdef bytes decoded(const char *text, size_t length, int version)
cdef bytes encoded(bytes text, int version)
cdef bytes header_line(bytes name, bytes value, int version)
cdef bytes header_text(const Frame *frame, bytes name)
cdef const Header *header_named(const Frame *frame, bytes name) noexcept
cdef bytes shown(bytes text)
cdef int put_as_is(Text *scratch, const char *line, size_t length) except -1

cdef int content_in_form(const Frame *frame, Text *scratch, const char *reply_to, size_t reply_to_length,
                         Content *content) except -1

cdef inline int content_of(const Frame *frame, Text *scratch, const char *reply_to, size_t reply_to_length,
                           Content *content) except -1:
    """Fills `content` with views: into the frame as it stands where possible, else into `scratch`."""
    content.head = frame.base + frame.head_start
    content.head_length = frame.head_end - frame.head_start
    content.body = frame.base + frame.body_start
    content.body_length = frame.body_length
    content.seen = 0
    content.opcode = 0
    content.properties = NULL
    content.shared = NULL
    if not frame.stripped and not frame.seen & ~<unsigned>SEEN_HIGH and reply_to == NULL:
        return 0
    return content_in_form(frame, scratch, reply_to, reply_to_length, content)

cdef inline unsigned form_of(int version) noexcept:
    return <unsigned>(FORM_12 if version == 12 else FORM_11 if version == 11 else FORM_10)

cdef inline int form_version(unsigned form) noexcept:
    return 10 if form & SEEN_EMPTY else 11 if form & SEEN_CR else 12

cdef bytes head_in_form(const char *head, size_t length, unsigned form)
cdef int put_header(OutBuf *out, bytes name, bytes value, int version) except -1
cdef int put_raw_header(OutBuf *out, const char *name, size_t name_length, Slice value, int version) except -1
cdef int put_frame(OutBuf *out, bytes text) except -1
cdef int put_connected(OutBuf *out, bytes headers) except -1
cdef int put_receipt(OutBuf *out, Slice receipt, bytes more, int version) except -1
cdef bytes error_frame(bytes message, bytes body, bytes receipt, bint versions, int version)
