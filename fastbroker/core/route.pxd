"""A destination that was looked up, and who publishes to it."""
cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t

from fastbroker.core.frame cimport Content
from fastbroker.core.journal cimport Journal, Recorded
from fastbroker.core.wire cimport Census, Link


cdef struct Origin:
    # who publishes: a session, a transaction, later a timer, a handler, another broker
    Link *full              # set by what it publishes: the ring of those who wait, with whom it must wait, for an ...
                            # ... output to drain, or for room in a queue; it sets NULL again
    bint untaken            # set with that: it was not taken, and comes again; it sets False again
    uint64_t client         # hash of the client-id that it has given itself; 0: none
    bint accepted           # what it publishes is kept whatever the limits of a queue say: it was promised ...
    bint again              # ... but not that it comes again and again: a queue that is full goes without
    uint32_t who            # no other publisher has the same; 0: nobody asks
    uint64_t durable        # the number of the group in which the journal has the last of it; receipts wait for ...
    uint64_t written        # ... that to be on the disk, and for this to be with the system; 0: for none
    # What became of what was published since the publisher last set these to 0.
    uint32_t took           # subscriptions and queues that it went to ...
    uint32_t dropped        # ... that it should have gone to, and were too slow or too full ...
    bint duplicate          # ... and that it went to nobody, as it had come before


@cython.no_gc
cdef class Route:
    cdef Census *census
    cdef int64_t *held                  # bytes of all routes of its namespace; they count as memory too
    cdef int64_t cost                   # its own share of that
    cdef readonly bytes destination     # decoded, as the sender wrote it
    cdef const char *destination_bytes
    cdef size_t destination_length
    cdef Link known                     # in the namespace's ring of those that it has in its table

    # Hands one message to whoever gets it.
    cdef int take(self, const Content *content, Origin *origin) except -1
    # Whether there is anybody now, for a sender to whom it matters.
    cdef bint has_somebody(self) except -1
    # Whether a persistent message that is sent there has to outlive the broker.
    cdef bint keeps(self) except -1


@cython.final
@cython.no_gc
cdef class Nowhere(Route):
    pass                    # a reply queue or topic whose owner is gone: messages to it are dropped, and counted


cdef inline void must_wait(Origin *origin, Journal journal, uint64_t strict) noexcept:
    """Something was recorded, of which some must be on the disk if `strict` is not what it was before."""
    if journal.recorded.strict != strict:
        origin.durable = journal.filling
    else:
        origin.written = journal.filling


cdef inline void has_recorded(Origin *origin, Journal journal, Recorded before) noexcept:
    """Something may have been since then; who publishes waits while the journal has much to write."""
    if journal.recorded.records == before.records:
        return
    must_wait(origin, journal, before.strict)
    if journal.is_pressed():
        origin.full = &journal.waiters


cdef int route_init(Route new, bytes destination, Census *census, int64_t *held) except -1
cdef void route_charge(Route route, int64_t bytes) noexcept
cdef Nowhere nowhere(bytes destination, Census *census, int64_t *held)
