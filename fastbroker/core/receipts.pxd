"""What RECEIPTs say, and those that wait for the journal."""
cimport cython
from libc.stdint cimport int64_t, uint64_t

from fastbroker.core.frame cimport Slice
from fastbroker.core.route cimport Origin
from fastbroker.core.wire cimport Link, OutBuf, Text


@cython.final
@cython.no_gc
cdef class Receipts:
    cdef OutBuf *out            # of the connection, which outlives the session that this belongs to
    cdef int version
    cdef Text waiting
    cdef Link *go_on            # its session has a turn when none waits any more
    cdef Link link              # in the broker's ring of those who wait for the journal

    cdef int put(self, const Origin *origin, Slice receipt, bytes more) except -1
    cdef int put_frame(self, bytes text) except -1
    cdef int release(self, uint64_t durable, uint64_t written) except -1

    cdef inline bint empty(self) noexcept:
        return self.waiting.start == self.waiting.end


cdef bytes receipt_info(bytes epoch, uint64_t number, const Origin *origin, bytes durability)
cdef Receipts receipts_new(OutBuf *out, int version, int64_t *counted, Link *owing, Link *go_on)
