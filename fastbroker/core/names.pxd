"""The names under which persistent messages have come into a queue, as the journal knows them."""
cimport cython
from libc.stdint cimport uint16_t, uint64_t

from fastbroker.core.journal cimport Journal
from fastbroker.core.kept cimport Trace
from fastbroker.core.stored cimport Stored
from fastbroker.core.wire cimport Duplicates, Link


cdef struct NamesHead:
    # of the payload of RECORD_NAMES; the names follow, in their order
    uint64_t queue
    uint64_t id             # of the message that the first of them came with, which says where they stand among others


cdef struct Stretch:
    # names that came one after the other, and are recorded together
    Trace trace             # first: it stands for the stretch
    Link link               # in its window, the oldest first
    Link unrecorded         # in the ring of those of the journal; it stands in no segment yet
    uint64_t first          # their places in the window, counted from the first name that ever came
    uint64_t end
    uint64_t id


@cython.final
@cython.no_gc
cdef class Names:
    """Of one queue."""
    cdef Journal journal
    cdef Duplicates *window     # it goes first
    cdef uint64_t queue         # its number
    cdef uint16_t shard
    cdef bint lax
    cdef Link stretches

    cdef void came(self, uint64_t id, bint lasts) noexcept
    cdef int found(self, uint64_t id, uint16_t segment) except -1
    cdef void gone(self) noexcept


cdef Names names_new(Stored stored, Duplicates *window)
cdef int record_names(Journal journal) except -1
