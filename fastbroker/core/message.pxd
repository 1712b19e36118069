"""A message: what a SEND leaves behind, counted and never changed; and how a MESSAGE frame is written.

    MESSAGE LF
    subscription:<id> LF                     the subscription's prefix, ready-made, up to "message-id:<epoch>-"
    message-id:<epoch>-<number> LF            the rest of this line and the next ones are the `middle`
    [ack:<slot>-<generation> LF]
    [redelivered:true LF
     delivery-count:<n> LF]                  this delivery counted; not of a dead letter, which has one of its own
    [gap:true LF]                            a replay has a hole in front of it
    [retained:true LF]
    the sender's header lines                destination among them
    LF
    body NUL LF
"""
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastbroker.core.frame cimport Content
from fastbroker.core.wire cimport (
    FRAMING_NONE, IS_DEAD, SEEN_AWAY, SEEN_PROPERTIES, Census, OutBuf, Properties, Shared, Wrapped, outbuf_commit,
    outbuf_reserve, put_number, shared_drop,
)

cdef enum:
    SHARED_BODY = 8192      # bodies from this size on are written by reference
    MIDDLE_SPACE = 192


cdef struct Message:
    Shared shared           # first: outputs hold references to it
    Census *census
    uint64_t id
    uint64_t stored         # where its last record stands in the journal (stored.pyx); 0: it has none
    uint32_t size           # of its block
    uint16_t seen
    uint16_t opcode         # of a WebSocket message with this body; 0: nobody has asked yet
    # --- where SEEN_AWAY, it ends here (AWAY_HEAD), but for its Properties; `opcode` is then one of AWAY_*
    uint32_t head_length
    uint32_t body_length
    Wrapped *wrapped        # the body for SockJS; NULL: nobody has asked yet
    # `head_length` bytes of header lines, LF and `body_length` bytes of body follow; where SEEN_PROPERTIES, Properties


cdef struct Entry:
    # a message's place in one queue
    Message *message
    uint64_t number         # its original position
    uint32_t deliveries     # how often it was given to somebody
    uint16_t refusals       # and came back by NACK; more are not counted
    uint16_t segment        # of the journal, where that is recorded (space.pyx); 0: nowhere


cdef enum:
    # what becomes of the content of a message that is away: it is only on the disk (fetching.pyx)
    AWAY_LEFT               # nobody has asked for it
    AWAY_ASKED
    AWAY_FETCHED            # it is here again: `stored` is the whole message
    AWAY_LOST               # it cannot be read

cdef enum:
    AWAY_HEAD = 48

cdef extern from *:
    """
    #define LOCATED ((uint64_t)1 << 63)
    """
    const uint64_t LOCATED  # in `stored`: the rest is where its record stands in its segment, in 8 bytes

cdef enum:
    VISIT_COST = 32         # of one message that a round looks at, in bytes that could be moved meanwhile


cdef Message *message_new(Census *census, const Content *content, uint64_t id) except NULL
cdef size_t message_cost(const Content *content) noexcept
cdef Message *message_away(Census *census, uint64_t id, uint32_t size, const Properties *asks,
                           uint64_t place) except NULL
cdef Message *message_back(Message *away) noexcept

cdef Message *message_moved(Message *message) noexcept
cdef void message_left(Message *message) noexcept
cdef int64_t move_message(Census *census, Message **place) noexcept

cdef inline void message_keep(Message *message) noexcept:
    message.shared.references += 1

cdef inline void message_drop(Message *message) noexcept:
    shared_drop(&message.shared)

cdef inline size_t properties_at(size_t head_length, size_t body_length) noexcept:
    """Where the Properties of a message stand."""
    return (sizeof(Message) + head_length + 1 + body_length + 7) & ~<size_t>7

cdef inline const Properties *message_properties(const Message *message) noexcept:
    """What its sender asked for; NULL: nothing."""
    if not message.seen & SEEN_PROPERTIES:
        return NULL
    if message.seen & SEEN_AWAY:
        return <const Properties *>(<const char *>message + AWAY_HEAD)
    return <const Properties *>(<const char *>message + properties_at(message.head_length, message.body_length))

cdef inline bint message_is_dead(const Message *message) noexcept:
    """Whether it is a dead letter, which does not die again."""
    return message.seen & SEEN_PROPERTIES and message_properties(message).flags & IS_DEAD != 0

cdef inline void message_content(const Message *message, Content *content) noexcept:
    content.head = <const char *>(message + 1)
    content.head_length = message.head_length
    content.body = content.head + message.head_length + 1
    content.body_length = message.body_length
    content.seen = message.seen
    content.opcode = message.opcode
    content.properties = message_properties(message)
    content.shared = NULL

cdef inline bint needs_other_form(const Content *content, unsigned form) noexcept:
    """Whether header lines must be rewritten for a receiver that reads them in that form (FORM_*)."""
    return content.seen & form != 0

cdef inline size_t put_middle(char *middle, uint64_t id) noexcept:
    cdef size_t length = put_number(middle, id)
    middle[length] = c'\n'
    return length + 1

cdef size_t put_redelivered(char *middle, const Entry *entry) noexcept

cdef inline void count_written(OutBuf *out, size_t messages, size_t size) noexcept:
    """The one place where MESSAGE frames are counted; the fairness of a read's budget rests on it. The census gets
    their number when the connection has ended."""
    out.messages += <int64_t>messages
    out.outlets.census.bytes_out += <int64_t>size

cdef inline char *put_content(char *room, const Content *content) noexcept:
    """Header lines, LF and body; returns where they end."""
    if content.body == content.head + content.head_length + 1:     # the LF stands between them
        memcpy(room, content.head, content.head_length + 1 + content.body_length)
        return room + content.head_length + 1 + content.body_length
    memcpy(room, content.head, content.head_length)
    room += content.head_length
    room[0] = c'\n'
    memcpy(room + 1, content.body, content.body_length)
    return room + 1 + content.body_length

cdef inline char *fill(char *room, const char *prefix, size_t prefix_length, const char *middle, size_t middle_length,
                       const Content *content) noexcept:
    """All of a MESSAGE in front of its NUL; returns where that goes."""
    memcpy(room, prefix, prefix_length)
    room += prefix_length
    memcpy(room, middle, middle_length)
    return put_content(room + middle_length, content)

cdef int put_message_apart(OutBuf *out, const char *prefix, size_t prefix_length, const char *middle,
                           size_t middle_length, unsigned form, const Content *content, Message *owner) except -1

cdef inline int put_message(OutBuf *out, const char *prefix, size_t prefix_length, const char *middle,
                            size_t middle_length, unsigned form, const Content *content, Message *owner) except -1:
    """One MESSAGE frame. `owner` keeps the content's bytes alive, or is NULL when they must be copied."""
    cdef size_t size
    cdef char *room
    if ((owner != NULL and content.body_length >= SHARED_BODY) or needs_other_form(content, form)
            or out.framing != FRAMING_NONE):
        return put_message_apart(out, prefix, prefix_length, middle, middle_length, form, content, owner)
    size = prefix_length + middle_length + content.head_length + content.body_length + 1
    room = outbuf_reserve(out, size + 2)
    if room == NULL:
        return 0
    room = fill(room, prefix, prefix_length, middle, middle_length, content)
    room[0] = 0
    room[1] = c'\n'
    outbuf_commit(out, room + out.frame_end)
    count_written(out, 1, size + out.frame_end)
    return 0
