"""What waits for a slow subscriber who wants the newest value of each key only."""
cimport cython
from libc.stdint cimport uint64_t

from fastbroker.core.message cimport Message
from fastbroker.core.wire cimport OutBuf, outbuf_pending


@cython.final
@cython.no_gc
cdef class Conflation:
    cdef bytes line             # what a header line with the key begins with, and the LF in front of it
    cdef bint many              # it is of several topics, each with keys of its own
    cdef uint64_t seed
    cdef uint64_t last          # the output has sent so many bytes when the last message begins to leave

    cdef uint64_t key_of(self, const Message *message) noexcept

    cdef inline bint lets_pass(self, const OutBuf *out) noexcept:
        """Whether a message may be written at once, as nothing waits: what stands in the output goes out in this turn,
        and is not much."""
        return not out.blocked and outbuf_pending(out) < out.outlets.low

    cdef inline bint lets_out(self, const OutBuf *out) noexcept:
        """Whether one that waited may be written now. While the peer takes less than there is, that is one at a time,
        whoever else fills the output."""
        if self.lets_pass(out):
            return True
        if not out.blocked or out.sent < self.last:
            return False
        self.last = out.sent + outbuf_pending(out) + 1
        return True


cdef Conflation conflation_new(bytes header, bint many)
