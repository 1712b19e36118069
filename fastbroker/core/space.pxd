"""Which segments a journal has, what they are still needed for, and which can go."""
cimport cython
from libc.stdint cimport uint16_t, uint32_t, uint64_t

from fastbroker.core.wire cimport Link

cdef extern from "csrc/segment.h" nogil:
    uint64_t segment_after(uint64_t number)


cdef struct Segment:
    Link link               # in the ring of all, the oldest first
    uint64_t number
    uint64_t live           # messages of queues that are recorded there and not settled
    uint64_t bytes          # of these
    Link definitions        # ring of queues that are described there ...
    Link traces             # ... and of what else is kept (kept.pyx), as far as it is recorded there
    uint16_t *targets       # low parts of the numbers of others that records there say something of
    uint32_t target_count
    uint32_t target_capacity
    uint64_t last           # group that is recorded there, if that is not the current one
    bint leaves             # what is live there is recorded again
    bint carries            # what stands there is in segments that are left, too, and it must outlive these
    bint unreadable         # the store could not look what it says of others
    bint behind             # it is needed while there is any older one
    uint64_t said           # how often records there say something of a message in another


@cython.final
cdef class Space:
    cdef Segment **by_low   # number modulo 65536 -> Segment, or NULL
    cdef Link all
    cdef Segment *current   # what is recorded now stands there
    cdef uint32_t count
    cdef uint64_t live      # messages in all of them, ...
    cdef uint64_t live_bytes    # ... and bytes of these
    cdef uint32_t leaving   # segments that are left
    cdef bint changed       # one of them may have become needless

    cdef Segment *begin(self, uint64_t number) except NULL
    cdef void drop(self, Segment *segment) noexcept
    cdef int concerns(self, Segment *segment, uint32_t target) except -1
    cdef bint is_needless(self, Segment *segment) noexcept

    cdef inline Segment *of(self, uint32_t low) noexcept:
        """NULL if it has gone."""
        return self.by_low[low]

    cdef inline void leave(self, Segment *segment) noexcept:
        """What is live there is to be recorded again."""
        self.leaving += not segment.leaves
        segment.leaves = True

    cdef inline uint16_t placed(self, size_t bytes) noexcept:
        """A message is recorded now; where."""
        self.current.live += 1
        self.current.bytes += bytes
        self.live += 1
        self.live_bytes += bytes
        return <uint16_t>self.current.number

    cdef inline void restored(self, uint16_t low, size_t bytes) noexcept:
        """A message is there again that was recorded there."""
        self.by_low[low].live += 1
        self.by_low[low].bytes += bytes
        self.live += 1
        self.live_bytes += bytes

    cdef inline void resized(self, uint16_t low, size_t bytes) noexcept:
        """What is recorded there has become so much more."""
        self.by_low[low].bytes += bytes
        self.live_bytes += bytes

    cdef inline void left(self, uint16_t low, size_t bytes) noexcept:
        """A message that was recorded there is settled."""
        cdef Segment *segment = self.by_low[low]
        segment.live -= 1
        segment.bytes -= bytes
        self.live -= 1
        self.live_bytes -= bytes
        if segment.live == 0:
            self.changed = True


cdef Space space_new()
