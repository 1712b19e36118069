"""Frames of one client that wait for memory."""
cimport cython
from libc.stdint cimport int64_t, uint32_t

from fastbroker.core.frame cimport Slice
from fastbroker.core.wire cimport Link, Text

cdef enum Parked:
    PARKED_FRAME
    PARKED_RECEIPT          # of a frame that was handled already: it waits its turn
    PARKED_ERROR            # a soft one, ready-made: it waits its turn, too
    PARKED_END              # of the session: the client has said all


@cython.final
@cython.no_gc
cdef class Parking:
    cdef Text records
    cdef Link link          # in the broker's ring of sessions with parked frames
    cdef bint depends       # a frame of a transaction is among them: nothing overtakes it
    cdef bint ended         # PARKED_END is among them
    cdef bint draining      # its first record is being handled

    cdef int put(self, Parked kind, const char *bytes, size_t length) except -1
    cdef Parked first(self, Slice *record) noexcept
    cdef void drop_first(self) noexcept
    cdef void clear(self) noexcept

    cdef inline size_t size(self) noexcept:
        return self.records.end - self.records.start


cdef Parking parking_new(void *session, int64_t *counted)
