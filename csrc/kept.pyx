"""What is kept in the journal beside the messages of queues: what waits for its time, and what topics keep.

    RECORD_KEPT        key, what it is, a message, where it belongs         the newest of a key counts
    RECORD_AGAIN       key: it came, and this is when it comes again
    RECORD_FORGOTTEN   key: it is not kept any more

Each has a Trace in memory, which stands in a ring of the segment where it is recorded. When little else is there, who
has it records it again (`carry_traces`), and the segment can go. A record in the run that is not needed any more is
taken back, as those of messages are. What a transaction has brought that is still being carried out is not recorded
again: it would hold without that.
"""
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memset

from fastbroker.core.journal cimport (
    NOT_THERE, RECORD_AGAIN, RECORD_FORGOTTEN, RECORD_KEPT, Part, part_of,
)
from fastbroker.core.space cimport Segment, Space
from fastbroker.core.stored cimport EXTRAS, MESSAGE_PARTS, PLACE_BITS, Added, message_parts
from fastbroker.core.wire cimport link_init, link_join, link_leave

cdef enum:
    RECORD = 128            # what recording takes beside the size, in bytes that could be recorded meanwhile


cdef Trace *trace_new(Journal journal, const char *name, size_t length, bint lax, void *owner,
                      TraceWrite write) except NULL:
    """Of something that belongs to a destination of that canonical name; nothing is recorded yet."""
    cdef Trace *trace = <Trace *>malloc(sizeof(Trace))
    if trace == NULL:
        raise MemoryError()
    trace_init(trace, journal, journal.shard_of(name, length), lax, owner, write)
    journal.last_key += 1
    trace.key = journal.last_key
    return trace


cdef void trace_init(Trace *trace, Journal journal, uint16_t shard, bint lax, void *owner, TraceWrite write) noexcept:
    memset(trace, 0, sizeof(Trace))
    link_init(&trace.link, <void *>trace)
    trace.journal = <void *>journal
    trace.owner = owner
    trace.write = write
    trace.shard = shard
    trace.lax = lax


cdef int trace_put(Trace *trace, KeptItem *kept, const Message *message, const char *name) except -1:
    """It is recorded, as it is now. MemoryError leaves all as it was."""
    cdef Journal journal = <Journal>trace.journal
    cdef uint64_t[EXTRAS] extras
    cdef Added added
    cdef Part parts[MESSAGE_PARTS + 2]
    kept.key = trace.key
    kept.lax = trace.lax
    parts[0] = part_of(kept, sizeof(KeptItem))
    message_parts(message, &added, &extras[0], &parts[1])
    parts[MESSAGE_PARTS + 1] = part_of(name, kept.name_length)
    trace.stored = (journal.filling << PLACE_BITS) | journal.put(RECORD_KEPT, trace.shard, parts, MESSAGE_PARTS + 2)
    if trace.segment:
        trace.stored |= NOT_THERE   # when it ends that must be said: it is still where it was, too
        journal.space.current.carries = True
    trace_placed(trace, message.size + kept.name_length)
    return 0


cdef Trace *trace_found(Journal journal, const KeptItem *item, bytes name, size_t size, uint16_t segment) except NULL:
    """Of something that a broker before has recorded there. Whose it is now is for the caller to fill in."""
    cdef Trace *trace = trace_new(journal, name, len(name), item.lax, NULL, NULL)
    trace.key = item.key
    trace.size = size
    trace.segment = segment
    link_join(&journal.space.of(segment).traces, &trace.link)
    journal.space.restored(segment, size)
    return trace


cdef int trace_again(Trace *trace, ItemAgain *again) except -1:
    """It came, and is kept on."""
    cdef Journal journal = <Journal>trace.journal
    cdef Part part = part_of(again, sizeof(ItemAgain))
    again.zeros = 0
    again.key = trace.key
    again.segment = trace.segment
    journal.space.concerns(journal.space.current, trace.segment)
    journal.put(RECORD_AGAIN, trace.shard, &part, 1)
    journal.recorded.strict += not trace.lax
    return 0


cdef void trace_placed(Trace *trace, size_t size) noexcept:
    """It was recorded just now, and so much counts; where it was before, it is not needed."""
    cdef Journal journal = <Journal>trace.journal
    trace_left(trace)
    trace.size = size
    trace.segment = journal.space.placed(size)
    trace.transaction = journal.transaction
    link_join(&journal.space.current.traces, &trace.link)
    journal.recorded.strict += not trace.lax


cdef void trace_left(Trace *trace) noexcept:
    """It is not needed where it is recorded."""
    if trace.segment:
        (<Journal>trace.journal).space.left(trace.segment, trace.size)
    trace.segment = 0
    link_leave(&trace.link)


cdef int forget(Trace *trace) except -1:
    cdef Journal journal = <Journal>trace.journal
    cdef Space space = journal.space
    cdef ItemForgotten forgotten = ItemForgotten(0, trace.segment, trace.key)
    cdef Part part = part_of(&forgotten, sizeof(forgotten))
    cdef uint32_t place = trace.stored & NOT_THERE
    trace_left(trace)
    journal.recorded.strict += not trace.lax
    if trace.stored >> PLACE_BITS == journal.filling and place != NOT_THERE and (
            journal.transaction == 0 or journal.transaction == trace.transaction):
        journal.recorded.records += 1   # what it replaced is there until the run is on the disk (stored.pyx)
        journal.take_back(place)
        return 0
    space.concerns(space.current, forgotten.segment)
    journal.put(RECORD_FORGOTTEN, trace.shard, &part, 1)
    return 0


cdef void trace_end(Trace *trace) noexcept:
    """It is not kept any more."""
    try:
        if trace.segment:
            forget(trace)
    finally:    # where there is no memory for the record, it is there again after a restart
        free(trace)


cdef void trace_free(Trace *trace) noexcept:
    """It outlives the broker, which ends."""
    link_leave(&trace.link)
    free(trace)


cdef int64_t carry_traces(Journal journal, int64_t budget) except? -1:
    """What stands in segments that are left is recorded again. Returns what is left of the budget."""
    cdef Link *link = journal.space.all.next
    cdef Segment *segment
    while link != &journal.space.all and budget > 0:
        segment = <Segment *>link.owner
        link = link.next
        if segment.leaves:
            budget = carry_those_in(journal, segment, budget)
    return budget


cdef int64_t carry_those_in(Journal journal, Segment *segment, int64_t budget) except? -1:
    cdef Link *link = segment.traces.next
    cdef Trace *trace
    while link != &segment.traces and budget > 0:
        trace = <Trace *>link.owner
        link = link.next
        budget -= RECORD
        if trace.transaction and trace.transaction in journal.unfinished:
            continue
        budget -= <int64_t>trace.size
        trace.write(trace)
    return budget
