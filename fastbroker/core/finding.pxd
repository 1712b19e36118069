"""What the records of a journal say is there, one after the other."""
cimport cython
from libc.stdint cimport uint16_t, uint32_t, uint64_t

from fastbroker.core.journal cimport Record, Store
from fastbroker.core.message cimport Entry, Message
from fastbroker.core.policy cimport Policies
from fastbroker.core.remains cimport Remains
from fastbroker.core.space cimport Segment, Space
from fastbroker.core.wire cimport Census, Properties, Text


cdef struct Said:
    # what one record says, and those in which it goes on
    const Record *record
    const char *payload
    size_t length
    uint32_t transaction    # that it is a matter of; 0: of none


cdef struct Come:
    uint64_t id
    uint32_t size
    uint32_t place
    Properties properties


cdef struct Ids:
    # places in a list, by the id of what stands there
    uint32_t *slots         # place + 1; 0 is free
    size_t capacity         # a power of two
    size_t count


@cython.final
cdef class FoundQueue:
    """What is known of a queue."""
    cdef uint64_t number
    cdef uint64_t not_by
    cdef int kind
    cdef uint16_t shard
    cdef list texts         # None: nobody has said what it is
    cdef Entry *items       # without their messages where these are settled
    cdef size_t count
    cdef size_t capacity    # a power of two
    cdef Ids ids
    cdef dict rests         # id -> for how many milliseconds it is not to be given out
    cdef uint64_t given     # entries before that place may have been given out
    cdef Segment *described # where it says what it is
    cdef uint16_t before    # the segment where what was added last is recorded, too; 0: none

    cdef Entry *find(self, uint64_t id) noexcept
    cdef Entry *add(self, Message *message) except NULL
    cdef void settle(self, uint64_t id) noexcept
    cdef void line_up(self) noexcept


@cython.final
cdef class Findings:
    cdef Census *census
    cdef Space space
    cdef dict queues            # number -> FoundQueue
    cdef Remains remains        # what is kept beside their messages
    cdef Policies policies      # None: nobody knows them
    cdef dict open              # transactions that have done something and not ended -> list of what
    cdef set committed          # those that have ended
    cdef Store store
    cdef Text joined            # the payload of several records
    cdef uint64_t numbers       # message-ids may have been given up to that, ...
    cdef uint64_t dead_numbers  # ... and those of dead letters up to that ...
    cdef uint64_t keys          # ... and those of what else is kept up to that
    cdef uint64_t last_queue
    cdef uint32_t last_transaction
    cdef Come *come             # messages that have come in this group: others may share them
    cdef size_t come_count
    cdef size_t come_capacity
    cdef bint closed            # nothing has been recorded since the broker before has ended

    cdef int read(self, const Record **records, long count) except -1
    cdef int end(self) except -1


cdef Findings findings_new(Store store, Space space, Census *census, Policies policies)
cdef long said_at(const Record **records, long at, long count, Text *joined, Said *said) except -1
