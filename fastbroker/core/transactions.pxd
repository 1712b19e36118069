"""The open transactions of one client."""
cimport cython
from libc.stdint cimport int64_t, uint32_t

from fastbroker.core.frame cimport Content, Frame, Slice
from fastbroker.core.namespace cimport Namespace
from fastbroker.core.queue cimport Verdict
from fastbroker.core.redelivery cimport Refusal
from fastbroker.core.route cimport Origin, Route
from fastbroker.core.subscription cimport Subscription
from fastbroker.core.transaction cimport Transaction
from fastbroker.core.wire cimport Account


@cython.final
cdef class Transactions:
    cdef Namespace namespace
    cdef Account *account       # of the session; outlives it
    cdef dict open              # id -> Transaction, the oldest first

    cdef int begin(self, const Frame *frame) except -1
    cdef int send(self, const Frame *frame, Route route, const Content *content) except -1
    cdef int settle(self, const Frame *frame, Subscription subscription, uint32_t slot, Verdict verdict,
                    Refusal refusal) except -1
    cdef int owe(self, const Frame *frame, Slice receipt) except -1
    cdef int ask_for_room(self, const Frame *frame, Origin *origin) except -1
    cdef Transaction commit(self, const Frame *frame)
    cdef bint carry_out(self, Transaction transaction, Origin *origin, int64_t until) except -1
    cdef int abort(self, const Frame *frame) except -1
    cdef int abort_any(self) except -1


cdef Transactions transactions_of(Namespace namespace, Account *account)
