"""Messages: one allocation each, header lines, LF and body behind the struct; freed with the last reference."""
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

from fastbroker.core.frame cimport Content, head_in_form
from fastbroker.core.wire cimport (
    Blocks, Census, OutBuf, Shared, block_cost, block_give, block_take, outbuf_pending, outbuf_put,
    outbuf_put_shared,
)


cdef Blocks blocks  # zeroed, as every static is; messages of one thread


cdef inline size_t bytes_of(size_t head_length, size_t body_length) noexcept:
    return sizeof(Message) + head_length + 1 + body_length


cdef void message_free(Shared *shared) noexcept:
    cdef Message *message = <Message *>shared
    message.census.messages -= 1
    message.census.memory -= <Py_ssize_t>message.size
    block_give(&blocks, message, bytes_of(message.head_length, message.body_length))


cdef Message *message_new(Census *census, const Content *content, uint64_t id) except NULL:
    """A copy of `content`, with one reference, which is the caller's."""
    cdef size_t size = bytes_of(content.head_length, content.body_length)
    cdef Message *message = <Message *>block_take(&blocks, size)
    cdef char *bytes
    if message == NULL:
        raise MemoryError()
    message.shared.references = 1
    message.shared.release = message_free
    message.census = census
    message.id = id
    message.size = block_cost(size)
    message.head_length = <uint32_t>content.head_length
    message.body_length = content.body_length
    message.seen = content.seen
    bytes = <char *>(message + 1)
    memcpy(bytes, content.head, content.head_length)
    bytes[content.head_length] = c'\n'
    memcpy(bytes + content.head_length + 1, content.body, content.body_length)
    census.messages += 1
    census.memory += <Py_ssize_t>message.size
    return message


cdef int put_message_slowly(OutBuf *out, const char *prefix, size_t prefix_length, const char *middle,
                            size_t middle_length, int version, const Content *content, Message *owner) except -1:
    """A frame whose body goes by reference, or whose header lines need another form."""
    cdef size_t pending = outbuf_pending(out)
    cdef bytes head
    outbuf_put(out, prefix, prefix_length)
    outbuf_put(out, middle, middle_length)
    if needs_other_form(content, version):
        head = head_in_form(content.head, content.head_length, version)
        outbuf_put(out, head, len(head))
    else:
        outbuf_put(out, content.head, content.head_length)
    outbuf_put(out, b"\n", 1)
    if owner != NULL and content.body_length >= SHARED_BODY:
        outbuf_put_shared(out, content.body, content.body_length, &owner.shared)
    else:
        outbuf_put(out, content.body, content.body_length)
    outbuf_put(out, b"\0\n", out.frame_end)
    count_written(out.outlets.census, 1, outbuf_pending(out) - pending)
    return 0
