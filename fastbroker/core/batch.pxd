"""Messages to one topic that came one behind the other, written to each of many subscribers together."""
cimport cython
from libc.stdint cimport uint32_t, uint64_t

from fastbroker.core.frame cimport Content
from fastbroker.core.message cimport Message
from fastbroker.core.route cimport Route
from fastbroker.core.wire cimport SEEN_CR, Counter, Text

cdef enum:
    BATCH_MESSAGES = 256
    BATCH_BYTES = 65536     # of tails: half of the cache next to the processor
    BATCH_DELIVERIES = 32768    # messages times subscribers, so that nobody else waits for long


cdef struct Item:
    uint64_t number         # of the message
    size_t start            # of its tail
    size_t length
    uint32_t middle_length
    uint32_t head_length
    uint32_t seen
    Message *message        # the stored copy, if some subscriber needed one


@cython.final
@cython.no_gc
cdef class Batch:
    cdef Route route
    cdef Text tails
    cdef Item items[BATCH_MESSAGES]
    cdef uint32_t count
    cdef uint32_t seen      # SEEN_* of any of them

    cdef bint add(self, Route route, const Content *content, const Counter *number) except -1
    cdef void content(self, uint32_t index, Content *content) noexcept
    cdef void clear(self) noexcept

    cdef inline bint needs_other_form(self, int version) noexcept:
        """Whether a receiver of that version reads some header lines of it in another form than 1.2's."""
        return self.seen != 0 and (version < 11 or (version == 11 and self.seen & SEEN_CR))

    cdef inline const char *middle(self, uint32_t index) noexcept:
        return self.tails.bytes + self.items[index].start
