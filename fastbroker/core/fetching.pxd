"""Messages whose content is only on the disk, and how that is fetched."""
cimport cython
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t

from fastbroker.core.journal cimport Journal
from fastbroker.core.message cimport AWAY_LEFT, Entry, Message
from fastbroker.core.wire cimport SEEN_AWAY, Census

cdef enum:
    BATCH = 512             # messages that are fetched together, ...
    BATCH_BYTES = 524288    # ... and bytes of them


@cython.final
@cython.no_gc
cdef class Fetch:
    """Some messages of one segment."""
    cdef uint64_t segment
    cdef uint32_t number
    cdef uint32_t count
    cdef int64_t bytes
    cdef dict callers       # who waits for one of them
    cdef Message *wanted[BATCH]
    cdef uint32_t places[BATCH]


@cython.final
cdef class Fetching:
    cdef Journal journal
    cdef Census *census
    cdef object log
    cdef bytes epoch        # of message-ids
    cdef dict all           # number -> Fetch, of those that have not come
    cdef list waiting       # those that the store has not been asked for
    cdef Fetch running      # the one that it has; None: it has nothing to do
    cdef Fetch open         # the one that is filled; or None
    cdef uint32_t last      # number of the last one
    cdef int64_t bytes      # of all that have not come ...
    cdef list come          # ... those that have, the oldest first, ...
    cdef int64_t held       # ... and bytes of these
    cdef dict hungry        # who could not ask, as that is very much

    cdef bint want(self, Message *away, uint16_t segment) except -1
    cdef int ask(self) except -1
    cdef int tell(self, const Message *away, object caller) except -1
    cdef list hear(self)
    cdef list starved(self)
    cdef int tell_lost(self, bytes queue, const Entry *entry) except -1

    cdef inline bint is_asked(self, const Message *message) noexcept:
        """Whether there is nothing to be done for it."""
        return not message.seen & SEEN_AWAY or message.opcode != AWAY_LEFT


cdef Fetching fetching_new(Journal journal, Census *census, log, bytes epoch)
