"""Errors that do not end a connection."""
cimport cython
from libc.stdint cimport uint32_t, uint64_t

from fastbroker.core.frame cimport Frame

cdef enum:
    SOFT_COST = 96          # bytes of a session that gets them
    SOFT_WORK = 4096        # what one takes, in bytes of output


@cython.final
@cython.no_gc
cdef class SoftErrors:
    cdef uint64_t number        # of the last one
    cdef uint64_t since         # when the window began ...
    cdef uint32_t count         # ... and how many there were in it

    cdef bint may_tell(self, const Frame *frame, bytes message, uint64_t now)
    cdef bytes told(self, const Frame *frame, bytes message, bytes body, int version)


cdef bint is_of_errors(const Frame *frame)
