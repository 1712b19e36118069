"""The segments of a journal, and what each is still needed for.

    segment 7   messages a, b, c            a and c are settled: `live` is 1
    segment 8   messages d; "a is settled"  d is settled: `live` is 0; but 7 is a target of it, and while there is 7, a
                                            would be there again
    segment 9   "c and d are settled"       is written now

A segment can go when nothing that is live is recorded there, and nothing that it says of others is needed: its targets
have gone. What it says of queues as such (they have gone, a transaction was committed) is needed while there is
anything older (`behind`); what describes a queue is written again before that.

Entries remember the lower 16 bits of the number of their segment; there are never so many that two have the same. 0 is
none, and no segment has it.
"""
from libc.stdlib cimport calloc, free, realloc

from fastbroker.core.wire cimport link_init, link_join, link_leave, ring_empty, ring_init

cdef enum:
    LOWS = 65536
    FEWEST = 8


cdef Space space_new():
    cdef Space new = Space()
    new.by_low = <Segment **>calloc(LOWS, sizeof(Segment *))
    if new.by_low == NULL:
        raise MemoryError()
    return new


cdef class Space:

    def __cinit__(self):
        ring_init(&self.all)

    def __dealloc__(self):
        while not ring_empty(&self.all):
            self.drop(<Segment *>self.all.next.owner)
        free(self.by_low)

    cdef Segment *begin(self, uint64_t number) except NULL:
        """A new one, the newest."""
        cdef Segment *new = <Segment *>calloc(1, sizeof(Segment))
        if new == NULL:
            raise MemoryError()
        new.number = number
        ring_init(&new.definitions)
        ring_init(&new.traces)
        link_init(&new.link, <void *>new)
        link_join(&self.all, &new.link)
        self.by_low[number % LOWS] = new
        self.current = new
        self.count += 1
        self.changed = True     # the one before may have nothing
        return new

    cdef void drop(self, Segment *segment) noexcept:
        """It is about to be deleted."""
        while not ring_empty(&segment.definitions):
            link_leave(segment.definitions.next)
        while not ring_empty(&segment.traces):
            link_leave(segment.traces.next)
        self.leaving -= segment.leaves
        self.by_low[segment.number % LOWS] = NULL
        link_leave(&segment.link)
        self.count -= 1
        free(segment.targets)
        free(segment)

    cdef int concerns(self, Segment *segment, uint32_t target) except -1:
        """A record there says something of a message in another."""
        cdef uint32_t i, capacity
        cdef uint16_t *targets
        if target == <uint16_t>segment.number or self.by_low[target] == NULL:
            return 0
        segment.said += 1
        for i in range(segment.target_count):
            if segment.targets[segment.target_count - 1 - i] == target:     # mostly the last one
                return 0
        if segment.target_count == segment.target_capacity:
            capacity = segment.target_capacity * 2 or FEWEST
            targets = <uint16_t *>realloc(segment.targets, capacity * sizeof(uint16_t))
            if targets == NULL:
                raise MemoryError()
            segment.targets = targets
            segment.target_capacity = capacity
        segment.targets[segment.target_count] = <uint16_t>target
        segment.target_count += 1
        return 0

    cdef bint is_needless(self, Segment *segment) noexcept:
        """Whether it can go."""
        cdef uint32_t i
        if segment.live or segment == self.current or not ring_empty(&segment.definitions):
            return False
        if segment.behind and self.all.next != &segment.link:
            return False
        for i in range(segment.target_count):
            if self.by_low[segment.targets[i]] != NULL:
                return False
        return True
