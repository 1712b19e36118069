"""What a client has put into an open transaction."""
cimport cython
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastbroker.core.message cimport Message
from fastbroker.core.wire cimport Census

cdef enum:
    OPERATION_SEND
    OPERATION_ACK
    OPERATION_NACK
    OPERATION_REJECT        # NACK with requeue:false


cdef struct Operation:
    uint8_t kind
    uint32_t slot           # of the ledger: what is acknowledged
    Message *message        # what is sent, or NULL
    void *target            # the Route to send to, or the Subscription whose delivery is settled


@cython.final
@cython.no_gc
cdef class Transaction:
    cdef readonly bytes id
    cdef Census *census
    cdef Operation *operations
    cdef uint32_t count
    cdef uint32_t capacity
    cdef readonly uint32_t frames
    cdef readonly size_t bytes
    cdef uint64_t deadline          # clock
    cdef list kept                  # keeps the targets alive

    cdef Operation *add(self, int kind, object target) except NULL


cdef Transaction transaction_new(bytes id, uint64_t deadline, Census *census)
