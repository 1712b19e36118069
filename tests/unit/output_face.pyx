"""A face to Python of csrc/outbuf.h and csrc/wrapping.h, for their test."""
from libc.stdint cimport int64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from fastbroker.core.wire cimport (
    FRAMING_NONE, FRAMING_SOCKJS, FRAMING_WEBSOCKET, WRAPPED_SWELL, Census, Outlets, OutBuf, Shared, framed_begin,
    framed_end, framed_put, json_escape, link_joined, outbuf_consume, outbuf_free, outbuf_init, outbuf_peek,
    outbuf_pending, outbuf_push, outbuf_put, outbuf_put_shared, pool_free, ring_init, shared_drop,
    wrapped_new, Wrapped,
)

FRAMINGS = {"": FRAMING_NONE, "websocket": FRAMING_WEBSOCKET, "sockjs": FRAMING_SOCKJS}


cdef struct Body:
    Shared shared
    int64_t *alive
    size_t length
    char content


cdef void body_release(Shared *shared) noexcept:
    (<Body *>shared).alive[0] -= 1
    free(shared)


cdef class Output:
    """One output of its own Outlets, with limits that a test can reach."""
    cdef Outlets outlets
    cdef Census census
    cdef OutBuf out
    cdef int64_t alive          # bodies that some output still needs

    def __cinit__(self, str framing="", size_t hard=1 << 24):
        memset(&self.outlets, 0, sizeof(Outlets))
        ring_init(&self.outlets.dirty)
        ring_init(&self.outlets.bulk)
        self.outlets.census = &self.census
        self.outlets.hard = hard
        outbuf_init(&self.out, &self.outlets, NULL)
        self.out.framing = FRAMINGS[framing]
        if framing == "sockjs":
            self.out.swell = WRAPPED_SWELL

    def __dealloc__(self):
        self.clear()

    def put(self, bytes text not None):
        outbuf_put(&self.out, text, len(text))

    def come_and_go(self, size_t length, int times):
        """So many other outputs are filled, then all are empty again; returns what is kept for the next."""
        cdef OutBuf *others = <OutBuf *>malloc(times * sizeof(OutBuf))
        cdef bytes text = bytes(length)
        for i in range(times):
            outbuf_init(&others[i], &self.outlets, NULL)
            outbuf_put(&others[i], text, length)
        for i in range(times):
            outbuf_free(&others[i])
        free(others)
        return self.outlets.kept

    def put_shared(self, bytes text not None):
        cdef Body *body = new_body(text, &self.alive)
        outbuf_put_shared(&self.out, &body.content, body.length, &body.shared)
        shared_drop(&body.shared)

    def put_frame(self, list parts not None, int opcode):
        """Bytes are copied; those in a bytearray go by reference, unless they are escaped."""
        framed_begin(&self.out)
        for part in parts:
            if isinstance(part, bytearray) and self.out.framing != FRAMING_SOCKJS:
                self.put_shared(bytes(part))
            else:
                part = bytes(part)
                framed_put(&self.out, part, len(part))
        framed_end(&self.out, opcode)

    def push(self, int fd, size_t written):
        self.out.fd = fd
        outbuf_push(&self.out, written)

    def take(self, size_t most):
        """Takes up to so many bytes off the front, as they would go out."""
        cdef const char *start = NULL
        cdef size_t length
        taken = []
        while most and outbuf_pending(&self.out):
            length = outbuf_peek(&self.out, &start, most)
            taken.append(start[:length])
            outbuf_consume(&self.out, length)
            most -= length
        return b"".join(taken)

    @property
    def pending(self):
        return outbuf_pending(&self.out)

    @property
    def doom(self):
        return self.out.doom

    @property
    def is_dirty(self):
        return link_joined(&self.out.link) != 0

    @property
    def memory(self):
        return self.census.memory

    @property
    def bodies(self):
        return self.alive

    def clear(self):
        outbuf_free(&self.out)
        pool_free(&self.outlets)


cdef Body *new_body(bytes text, int64_t *alive) except NULL:
    cdef Body *body = <Body *>malloc(sizeof(Body) + len(text))
    if body == NULL:
        raise MemoryError()
    body.shared.references = 1
    body.shared.release = body_release
    body.alive = alive
    body.length = len(text)
    memcpy(&body.content, <const char *>text, body.length)
    alive[0] += 1
    return body


def escaped(bytes text not None, size_t room):
    """What json_escape makes of it, with so much room at a time."""
    cdef const char *start = text
    cdef const char *limit = start + len(text)
    cdef char *space = <char *>malloc(room)
    cdef size_t length = 1
    made = []
    while start < limit and length:
        length = json_escape(space, room, &start, limit)
        made.append(space[:length])
    free(space)
    return b"".join(made) if start == limit else None


def wrapped(bytes text not None):
    """(what wrapped_new makes of it, bytes that it is charged for, bytes that are left of that once it is dropped)"""
    cdef Census census
    cdef Wrapped *made
    memset(&census, 0, sizeof(Census))
    made = wrapped_new(&census, text, len(text))
    found, charged = made.bytes[:made.length], census.memory
    shared_drop(&made.shared)
    return found, charged, census.memory
