"""What a client has put into an open transaction."""
cimport cython
from libc.stdint cimport int64_t, uint32_t

from fastbroker.core.frame cimport Content
from fastbroker.core.journal cimport Journal
from fastbroker.core.message cimport Message
from fastbroker.core.queue cimport Verdict
from fastbroker.core.redelivery cimport Refusal
from fastbroker.core.route cimport Route
from fastbroker.core.subscription cimport Subscription
from fastbroker.core.wire cimport Account, Census


cdef struct Operation:
    Message *message        # what is sent; NULL: a delivery is settled
    void *target            # the Route to send to, or the Subscription whose delivery is settled
    uint32_t slot           # of the ledger
    Verdict verdict
    void *refusal           # the Refusal, if there is more to say of a NACK; or NULL


@cython.final
@cython.no_gc
cdef class Transaction:
    cdef readonly bytes id
    cdef Census *census
    cdef Account *account           # of the session; outlives it
    cdef Operation *operations
    cdef uint32_t count
    cdef uint32_t capacity
    cdef uint32_t done              # of them, by a COMMIT
    cdef bint limited               # something is sent to a queue that has rules
    cdef int64_t later              # bytes of what COMMIT puts into the schedule
    cdef bytes receipt              # for the COMMIT, if that takes several turns; or None
    cdef list owed                  # receipts of its SENDs that come with COMMIT; None: they have come
    cdef int64_t owed_cost
    cdef readonly uint32_t frames
    cdef readonly size_t bytes
    cdef list kept                  # keeps the targets alive
    cdef list refusals              # and what NACKs say; None: nothing
    cdef int64_t refusals_cost
    cdef uint32_t number            # as the journal knows it; 0: not yet
    cdef bint recorded              # something of it is in the journal

    cdef int send(self, Route route, const Content *content) except -1
    cdef int note(self, Subscription subscription, uint32_t slot, Verdict verdict, Refusal refusal) except -1
    cdef void owe(self, const char *receipt, size_t length)
    cdef int owe_send(self, const char *receipt, size_t length) except -1
    cdef void begin_records(self, Journal journal) noexcept
    cdef int end_records(self, Journal journal, bint some, bint done) except -1
    cdef void end(self) noexcept


cdef Transaction transaction_new(bytes id, Census *census, Account *account)
