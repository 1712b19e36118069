"""RECEIPTs that wait for the journal."""
cimport cython
from libc.stdint cimport int64_t, uint64_t

from fastbroker.core.frame cimport Slice
from fastbroker.core.wire cimport OutBuf, Text


@cython.final
@cython.no_gc
cdef class Receipts:
    cdef Text waiting

    cdef int put(self, uint64_t number, Slice receipt) except -1
    cdef int release(self, uint64_t durable, OutBuf *out, int version) except -1

    cdef inline bint empty(self) noexcept:
        return self.waiting.start == self.waiting.end


cdef Receipts receipts_new(int64_t *counted)
