"""Messages: one allocation each, header lines, LF and body behind the struct; freed with the last reference."""
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from fastbroker.core.frame cimport Content, head_in_form
from fastbroker.core.wire cimport (
    DOOM_MEMORY, DOOM_NONE, FRAMING_NONE, FRAMING_SOCKJS, FRAMING_WEBSOCKET, SEEN_AWAY, SEEN_PROPERTIES, USUAL_PRIORITY,
    WS_HEAD_OUT, WS_TEXT, Census, OutBuf, Properties, Shared, block_cost, block_give, block_is_left, block_take,
    blocks_of, framed_begin, framed_end, framed_put, outbuf_commit, outbuf_doom, outbuf_pending, outbuf_put,
    outbuf_put_shared, outbuf_reserve, put_number, shared_drop, wrapped_new, ws_opcode, ws_put_head,
)


cdef inline size_t bytes_of(size_t head_length, size_t body_length, bint has_properties) noexcept:
    if has_properties:
        return properties_at(head_length, body_length) + sizeof(Properties)
    return sizeof(Message) + head_length + 1 + body_length


cdef inline size_t size_of(const Message *message) noexcept:
    if message.seen & SEEN_AWAY:
        return AWAY_HEAD + (sizeof(Properties) if message.seen & SEEN_PROPERTIES else 0)
    return bytes_of(message.head_length, message.body_length, message.seen & SEEN_PROPERTIES)


cdef void message_free(Shared *shared) noexcept:
    cdef Message *message = <Message *>shared
    message.census.messages -= 1
    if message.wrapped != NULL:
        shared_drop(&message.wrapped.shared)
    block_give(blocks_of(message.census), message, size_of(message))


cdef Message *message_new(Census *census, const Content *content, uint64_t id) except NULL:
    """A copy of `content`, or the one that others have of it, with a reference that is the caller's."""
    cdef size_t size = bytes_of(content.head_length, content.body_length, content.properties != NULL)
    cdef Message *message
    if content.shared != NULL:
        return message_of_all(census, content, id)
    message = <Message *>block_take(blocks_of(census), size)
    if message == NULL:
        raise MemoryError()
    message.shared.references = 1
    message.shared.sender = 0
    message.shared.release = message_free
    message.census = census
    message.id = id
    message.stored = 0
    message.size = <uint32_t>block_cost(size)
    message.head_length = <uint32_t>content.head_length
    message.body_length = <uint32_t>content.body_length
    message.seen = <uint16_t>content.seen & ~<unsigned>SEEN_PROPERTIES
    message.opcode = <uint16_t>content.opcode
    message.wrapped = NULL
    put_content(<char *>(message + 1), content)
    if content.properties != NULL:
        message.seen |= SEEN_PROPERTIES
        memcpy(<char *>message + properties_at(content.head_length, content.body_length), content.properties,
               sizeof(Properties))
    census.messages += 1
    return message


cdef Message *message_of_all(Census *census, const Content *content, uint64_t id) except NULL:
    """The first who stores it makes it, and one reference more, for whoever lent the place."""
    cdef Content own = content[0]
    if content.shared[0] == NULL:
        own.shared = NULL
        content.shared[0] = message_new(census, &own, id)
    message_keep(<Message *>content.shared[0])
    return <Message *>content.shared[0]


cdef size_t message_cost(const Content *content) noexcept:
    """The `size` of a message with that content."""
    return block_cost(bytes_of(content.head_length, content.body_length, content.properties != NULL))


# ---- without its content ----

cdef void away_free(Shared *shared) noexcept:
    cdef Message *away = <Message *>shared
    away.census.messages -= 1
    if away.opcode == AWAY_FETCHED:
        message_drop(<Message *>(away.stored & ~LOCATED))
    block_give(blocks_of(away.census), away, size_of(away))


cdef Message *message_away(Census *census, uint64_t id, uint32_t size, const Properties *asks,
                           uint64_t place) except NULL:
    """What is left in memory of a message of that size (Message.size), whose record stands at that place of its
    segment; with a reference that is the caller's. Of what its sender asked for it is kept what says where it stands in
    a queue."""
    cdef bint special = asks != NULL and (
        asks.priority != USUAL_PRIORITY or asks.expires != 0 or asks.last_value != 0 or asks.group != 0)
    cdef Message *away = <Message *>block_take(blocks_of(census), AWAY_HEAD + special * sizeof(Properties))
    if away == NULL:
        raise MemoryError()
    away.shared.references = 1
    away.shared.sender = 0
    away.shared.release = away_free
    away.census = census
    away.id = id
    away.stored = LOCATED | place
    away.size = size
    away.seen = SEEN_AWAY
    away.opcode = AWAY_LEFT
    if special:
        away.seen |= SEEN_PROPERTIES
        memcpy(<char *>away + AWAY_HEAD, asks, sizeof(Properties))
    census.messages += 1
    return away


cdef Message *message_back(Message *away) noexcept:
    """The whole of it, which has been fetched; the caller's reference is to that now."""
    cdef Message *message = <Message *>(away.stored & ~LOCATED)
    away.stored = LOCATED
    away.opcode = AWAY_LEFT     # others may still know it, and nobody looks for it any more
    message_drop(away)
    return message


cdef Message *message_moved(Message *message) noexcept:
    """The same in another place, whose slab is not left; NULL where that cannot be. The old one is for the caller to
    give back."""
    cdef size_t size = size_of(message)
    cdef Message *moved = NULL
    if message.shared.references == 1:
        moved = <Message *>block_take(blocks_of(message.census), size)
    if moved != NULL:
        memcpy(moved, message, size)
    return moved


cdef void message_left(Message *message) noexcept:
    """It has moved."""
    block_give(blocks_of(message.census), message, size_of(message))


cdef int64_t move_message(Census *census, Message **place) noexcept:
    """If its slab is left, to another. Returns how many bytes that were."""
    cdef Message *moved = NULL
    if block_is_left(blocks_of(census), place[0]):  # which does not look into it
        moved = message_moved(place[0])
    if moved == NULL:
        return 0
    message_left(place[0])
    place[0] = moved
    return <int64_t>moved.size


cdef size_t put_redelivered(char *middle, const Entry *entry) noexcept:
    """The lines of a message that comes again. A dead letter says how often it was given out before it died, and
    nothing else about that."""
    cdef size_t length = 17
    memcpy(middle, b"redelivered:true\n", 17)
    if not message_is_dead(entry.message):
        memcpy(middle + 17, b"delivery-count:", 15)
        length = 32 + put_number(middle + 32, entry.deliveries)
        middle[length] = c'\n'
        length += 1
    return length


cdef int put_message_apart(OutBuf *out, const char *prefix, size_t prefix_length, const char *middle,
                           size_t middle_length, unsigned form, const Content *content, Message *owner) except -1:
    """A frame that is wrapped, whose body goes by reference, or whose header lines need another form."""
    cdef size_t before = outbuf_pending(out)
    if out.framing == FRAMING_SOCKJS or needs_other_form(content, form):
        put_in_parts(out, prefix, prefix_length, middle, middle_length, form, content, owner)
    elif owner != NULL and content.body_length >= SHARED_BODY:
        put_by_reference(out, prefix, prefix_length, middle, middle_length, content, owner)
    else:
        put_wrapped(out, prefix, prefix_length, middle, middle_length, content, owner)
    if out.doom == DOOM_NONE:
        count_written(out, 1, outbuf_pending(out) - before)
    return 0


cdef void put_wrapped(OutBuf *out, const char *prefix, size_t prefix_length, const char *middle, size_t middle_length,
                      const Content *content, Message *owner) noexcept:
    """Over WebSocket: the head, and a copy."""
    cdef size_t size = prefix_length + middle_length + content.head_length + content.body_length + 2
    cdef char *room = outbuf_reserve(out, size + WS_HEAD_OUT)
    if room == NULL:
        return
    room += ws_put_head(room, opcode_of(content, owner), size)
    room = fill(room, prefix, prefix_length, middle, middle_length, content)
    room[0] = 0
    outbuf_commit(out, room + 1)


cdef void put_by_reference(OutBuf *out, const char *prefix, size_t prefix_length, const char *middle,
                           size_t middle_length, const Content *content, Message *owner) noexcept:
    """The body is not copied."""
    cdef Content head = content[0]
    cdef size_t size = prefix_length + middle_length + content.head_length + 1
    cdef char *room = outbuf_reserve(out, size + WS_HEAD_OUT)
    if room == NULL:
        return
    head.body = content.head + content.head_length
    head.body_length = 0
    if out.framing != FRAMING_NONE:
        room += ws_put_head(room, opcode_of(content, owner), size + content.body_length + 1)
    outbuf_commit(out, fill(room, prefix, prefix_length, middle, middle_length, &head))
    outbuf_put_shared(out, content.body, content.body_length, &owner.shared)
    outbuf_put(out, b"\0\n", out.frame_end)


cdef int put_in_parts(OutBuf *out, const char *prefix, size_t prefix_length, const char *middle, size_t middle_length,
                      unsigned form, const Content *content, Message *owner) except -1:
    """As JSON, or with other header lines."""
    cdef bytes head
    framed_begin(out)
    framed_put(out, prefix, prefix_length)
    framed_put(out, middle, middle_length)
    if needs_other_form(content, form):
        head = head_in_form(content.head, content.head_length, form)
        framed_put(out, head, len(head))
    else:
        framed_put(out, content.head, content.head_length)
    framed_put(out, b"\n", 1)
    if owner != NULL and content.body_length >= SHARED_BODY:
        put_shared_body(out, content, owner)
    else:
        framed_put(out, content.body, content.body_length)
    framed_put(out, b"\0\n", out.frame_end)
    framed_end(out, opcode_of(content, owner) if out.framing == FRAMING_WEBSOCKET else WS_TEXT)
    return 0


cdef void put_shared_body(OutBuf *out, const Content *content, Message *owner) noexcept:
    """As JSON it is made once."""
    if out.framing != FRAMING_SOCKJS:
        outbuf_put_shared(out, content.body, content.body_length, &owner.shared)
        return
    if owner.wrapped == NULL:
        owner.wrapped = wrapped_new(owner.census, content.body, content.body_length)
    if owner.wrapped == NULL:
        outbuf_doom(out, DOOM_MEMORY)
    else:
        outbuf_put_shared(out, owner.wrapped.bytes, owner.wrapped.length, &owner.wrapped.shared)


cdef int opcode_of(const Content *content, Message *owner) noexcept:
    """Of a WebSocket message with this content; found out once, for whoever gets it. Header lines are UTF-8."""
    if content.opcode == 0:
        (<Content *>content).opcode = ws_opcode(content.body, content.body_length)
        if owner != NULL:
            owner.opcode = <uint16_t>content.opcode
    return content.opcode
