"""Names: that a message which is sent twice comes once, also where the broker has ended in between.

    window      | a b c | d | e f g h | ...     names in their order (duplicates.h); d's message does not last
    stretches   segment 3    segment 5          a-c are recorded there, and e-h here

    RECORD_NAMES     queue, the id of the message that the first of them came with, names

A name must be known for longer than its message is kept, so it is recorded beside it: at the end of a turn, in one
record for all that have come one after the other to one queue, and so in one group with the messages. That takes 8
bytes for each and 32 for all. Where a segment is left, what the window still has of its names is recorded again; names
that have left the window need no record of that: when they are read, the last ones count. In a transaction each is
recorded at once, as it holds with that.
"""
from libc.stdint cimport int64_t, uint16_t, uint64_t
from libc.stdlib cimport free, malloc

from fastbroker.core.journal cimport RECORD_NAMES, Part, part_of
from fastbroker.core.kept cimport trace_init, trace_left, trace_placed
from fastbroker.core.wire cimport (
    duplicates_charge, link_init, link_join, link_joined, link_leave, ring_empty, ring_init,
)


cdef Names names_new(Stored stored, Duplicates *window):
    """Of the queue that the journal knows as that."""
    cdef Names new = Names()
    new.journal = stored.journal
    new.queue = stored.number
    new.shard = stored.shard
    new.lax = stored.lax
    new.window = window
    return new


cdef class Names:

    def __cinit__(self):
        ring_init(&self.stretches)

    def __dealloc__(self):
        cdef Stretch *stretch
        while not ring_empty(&self.stretches):      # they outlive the broker
            stretch = <Stretch *>self.stretches.next.owner
            link_leave(&stretch.trace.link)
            stretch_free(self, stretch)

    cdef void came(self, uint64_t id, bint lasts) noexcept:
        """The newest of the window, with that message. Where there is no memory for it, it is not recorded."""
        cdef Stretch *last = newest(self)
        cdef uint64_t place = self.window.came - 1
        let_go(self)
        if not lasts:
            return
        if last != NULL and link_joined(&last.unrecorded) and last.end == place and self.journal.transaction == 0:
            last.end += 1
            return
        last = stretch_new(self, place, id)
        if last == NULL:
            return
        if self.journal.transaction:
            write_names(&last.trace)    # where there is no memory for the record, nobody knows it after a restart
        else:
            link_join(&self.journal.naming, &last.unrecorded)

    cdef int found(self, uint64_t id, uint16_t segment) except -1:
        """It is the newest of the window again, and recorded in that segment."""
        cdef Stretch *last = newest(self)
        cdef uint64_t place = self.window.came - 1
        cdef size_t size = sizeof(uint64_t)
        let_go(self)
        if last == NULL or last.trace.segment != segment or last.end != place:
            last = stretch_new(self, place, id)
            if last == NULL:
                raise MemoryError()
            last.end = place
            last.trace.segment = segment
            link_join(&self.journal.space.of(segment).traces, &last.trace.link)
            size += sizeof(NamesHead)
            self.journal.space.restored(segment, size)
        else:
            self.journal.space.resized(segment, size)
        last.trace.size += size
        last.end += 1
        return 0

    cdef void gone(self) noexcept:
        """The queue has, and the journal knows that."""
        while not ring_empty(&self.stretches):
            stretch_end(self, <Stretch *>self.stretches.next.owner)


cdef Stretch *newest(Names self) noexcept:
    return NULL if ring_empty(&self.stretches) else <Stretch *>self.stretches.previous.owner


cdef uint64_t oldest_place(Names self) noexcept:
    return self.window.came - self.window.count


cdef void let_go(Names self) noexcept:
    """Of what has left the window."""
    while not ring_empty(&self.stretches) and (
            (<Stretch *>self.stretches.next.owner).end <= oldest_place(self)):
        stretch_end(self, <Stretch *>self.stretches.next.owner)


cdef Stretch *stretch_new(Names self, uint64_t place, uint64_t id) noexcept:
    """With one name; NULL: there is no memory."""
    cdef Stretch *new = <Stretch *>malloc(sizeof(Stretch))
    if new == NULL:
        return NULL
    trace_init(&new.trace, self.journal, self.shard, self.lax, <void *>self, write_names)
    link_init(&new.link, <void *>new)
    link_init(&new.unrecorded, <void *>new)
    new.first, new.end, new.id = place, place + 1, id
    link_join(&self.stretches, &new.link)
    duplicates_charge(self.window.share, sizeof(Stretch))
    return new


cdef void stretch_free(Names self, Stretch *stretch) noexcept:
    link_leave(&stretch.unrecorded)
    link_leave(&stretch.link)
    duplicates_charge(self.window.share, -<int64_t>sizeof(Stretch))
    free(stretch)


cdef void stretch_end(Names self, Stretch *stretch) noexcept:
    trace_left(&stretch.trace)
    stretch_free(self, stretch)


cdef int record_names(Journal journal) except -1:
    """All that have come in this turn."""
    cdef Stretch *stretch
    while not ring_empty(&journal.naming):
        stretch = <Stretch *>journal.naming.next.owner
        write_names(&stretch.trace)
        link_leave(&stretch.unrecorded)
        join_to_last(<Names>stretch.trace.owner, stretch)
    return 0


cdef int write_names(Trace *trace) except -1:
    """What the window still has of them."""
    cdef Stretch *stretch = <Stretch *>trace
    cdef Names self = <Names>trace.owner
    cdef Duplicates *window = self.window
    cdef NamesHead head = NamesHead(self.queue, stretch.id)
    cdef Part parts[3]
    cdef size_t at, count, behind
    stretch.first = max(stretch.first, oldest_place(self))
    at = (window.oldest + (stretch.first - oldest_place(self))) & (window.capacity - 1)
    count = stretch.end - stretch.first
    behind = min(count, window.capacity - at)   # which stand up to the end of the ring
    parts[0] = part_of(&head, sizeof(head))
    parts[1] = part_of(&window.ring[at], behind * sizeof(uint64_t))
    parts[2] = part_of(window.ring, (count - behind) * sizeof(uint64_t))
    self.journal.put(RECORD_NAMES, self.shard, parts, 3)
    trace_placed(trace, sizeof(head) + count * sizeof(uint64_t))
    return 0


cdef void join_to_last(Names self, Stretch *stretch) noexcept:
    """If what came right before them is recorded in the same segment, they go on together."""
    cdef Stretch *last
    if stretch.link.previous == &self.stretches:
        return
    last = <Stretch *>stretch.link.previous.owner
    if last.trace.segment != stretch.trace.segment or last.end != stretch.first or last.trace.transaction:
        return
    self.journal.space.resized(stretch.trace.segment, stretch.trace.size)
    last.trace.size += stretch.trace.size
    last.end = stretch.end
    stretch_end(self, stretch)
