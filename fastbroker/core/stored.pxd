"""What the journal is told of one queue, and how that is written."""
cimport cython
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from fastbroker.core.frame cimport Content
from fastbroker.core.journal cimport Journal, Part
from fastbroker.core.message cimport Entry, Message
from fastbroker.core.wire cimport Link, Properties

cdef enum:
    GIVEN_AHEAD = 1024      # places in a queue
    EXTRAS = 4              # properties of a message that most have not
    MESSAGE_PARTS = 4       # of a record with a message
    PLACE_BITS = 24         # of what says where something stands in a run; in front of them, the number of its group


cdef struct Added:
    # of RECORD_ADDED; properties that `extras` names follow, 8 bytes each, then header lines and body
    uint64_t id
    uint64_t place          # in the queue: the numbers of its entries
    uint32_t queue
    uint32_t head_length
    uint32_t body_length
    uint32_t deliveries
    uint32_t refusals
    uint16_t seen
    uint16_t flags
    uint8_t priority
    uint8_t extras          # bits: expires, group, duplicate, last value
    uint8_t[6] zeros


cdef struct Shared:
    # of RECORD_SHARED: the message of that id, which was added to another queue
    uint64_t id
    uint64_t place
    uint32_t queue
    uint32_t deliveries
    uint32_t refusals
    uint32_t zeros


cdef struct Returned:
    # of RECORD_RETURNED
    uint32_t queue
    uint32_t segment        # where the message is recorded
    uint64_t id
    uint64_t due            # nobody gets it before that time of day; 0: at once ...
    uint64_t rest           # ... nor for longer than so many milliseconds, whatever somebody sets the clock to
    uint32_t deliveries
    uint32_t refusals


@cython.final
@cython.no_gc
cdef class Stored:
    """A queue as the journal knows it."""
    cdef Journal journal
    cdef uint32_t number
    cdef uint16_t shard
    cdef bint lax           # receipts do not wait for the disk
    cdef int kind           # of the record that describes it ...
    cdef bytes texts
    cdef uint64_t not_by
    cdef uint64_t given     # ... which says that entries before that place may have been given out
    cdef Link link          # in the ring of the segment where it stands

    cdef uint32_t put(self, int kind, Part *parts, int count) except? 0xffffffff
    cdef int added(self, Entry *entry) except -1
    cdef int settled(self, const Entry *entry) except -1
    cdef int carry(self, Entry *entry) except -1
    cdef int returned(self, const Entry *entry, uint64_t rest) except -1
    cdef int gave(self, uint64_t place) except -1
    cdef int define(self, int kind, bytes texts, uint64_t not_by) except -1
    cdef int describe(self) except -1
    cdef int gone(self) except -1


cdef Stored stored_new(Journal journal, bytes name)
cdef void message_parts(const Message *message, Added *added, uint64_t *extras, Part *parts) noexcept
cdef bint message_in(const char *payload, size_t length, Content *content, Properties *properties) noexcept
cdef int tidy(Journal journal) except -1
cdef bytes packed(list texts)
