"""The trace that something leaves in the journal, as long as it is there."""
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t

from fastbroker.core.journal cimport Journal
from fastbroker.core.message cimport Message
from fastbroker.core.wire cimport Link

cdef enum:
    # what is kept
    KEPT_JOB                # by the schedule
    KEPT_PAST               # by the history of a topic
    KEPT_RETAINED           # by a topic
    TRACE_COST = 128        # bytes of a Trace


cdef struct KeptItem:
    # of RECORD_KEPT; a message follows as in a RECORD_ADDED, and then a name
    uint64_t key            # nothing else ever has it
    uint64_t time           # of day: when a job is due, when a message came
    uint64_t delay          # of a job's rounds, ...
    uint64_t later          # ... by how much it is due later than at first, and 1; 0: it has one end for all ...
    uint64_t left           # ... how often it comes again in this round ...
    uint64_t times          # ... and how often it came
    uint64_t before         # of a message in a history: the number of the one before it; 0: there was none
    uint16_t what           # KEPT_*
    uint16_t lax            # receipts do not wait for the disk
    uint32_t name_length    # of where a job goes, or of the topic


cdef struct ItemAgain:
    # of RECORD_AGAIN
    uint32_t zeros
    uint32_t segment        # where the job is recorded
    uint64_t key
    uint64_t time
    uint64_t later
    uint64_t left
    uint64_t times          # what has come more often is not put back


cdef struct ItemForgotten:
    # of RECORD_FORGOTTEN
    uint32_t zeros
    uint32_t segment        # where it is recorded
    uint64_t key


ctypedef int (*TraceWrite)(Trace *) except -1


cdef struct Trace:
    Link link               # in the ring of the segment where it is recorded
    void *journal           # Journal, which outlives it
    void *owner             # whose it is, who records it again, and takes care of its memory
    TraceWrite write
    uint64_t key
    uint64_t id             # of its message, where that is looked for
    uint64_t stored         # the group, and the place there, as in Message.stored
    size_t size             # what it counts in its segment
    uint32_t transaction    # that has brought it; 0: none
    uint16_t segment        # 0: it is not recorded
    uint16_t shard
    bint lax                # receipts do not wait for the disk


cdef Trace *trace_new(Journal journal, const char *name, size_t length, bint lax, void *owner,
                      TraceWrite write) except NULL
cdef void trace_init(Trace *trace, Journal journal, uint16_t shard, bint lax, void *owner, TraceWrite write) noexcept
cdef Trace *trace_found(Journal journal, const KeptItem *item, bytes name, size_t size, uint16_t segment) except NULL
cdef int trace_put(Trace *trace, KeptItem *kept, const Message *message, const char *name) except -1
cdef int trace_again(Trace *trace, ItemAgain *again) except -1
cdef void trace_placed(Trace *trace, size_t size) noexcept
cdef void trace_left(Trace *trace) noexcept
cdef void trace_end(Trace *trace) noexcept
cdef void trace_free(Trace *trace) noexcept
cdef int64_t carry_traces(Journal journal, int64_t budget) except? -1
