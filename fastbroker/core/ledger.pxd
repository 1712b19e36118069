"""The deliveries of a session that are not settled yet."""
cimport cython
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastbroker.core.message cimport Entry
from fastbroker.core.table cimport Table
from fastbroker.core.wire cimport Account, Ceiling, Census, Keeper

cdef extern from *:
    """
    #define NO_SLOT ((uint32_t)0xffffffffu)
    """
    const uint32_t NO_SLOT

cdef enum:
    DELIVERY_FREE
    DELIVERY_OUT            # with the client
    DELIVERY_IN_TRANSACTION # acknowledged in a transaction that is still open


cdef struct Delivery:
    Entry entry
    void *subscription      # Subscription, alive as long as this is not free
    uint32_t generation     # of the slot, so that an old ack id names nothing
    uint32_t next           # in the subscription's list, in the order of delivery; or in the free list
    uint32_t previous
    uint8_t state


cdef struct Same:
    # slots of the same message, NO_SLOT at both ends
    uint32_t previous
    uint32_t next


@cython.final
@cython.no_gc
cdef class Ledger:
    cdef Census *census
    cdef const Ceiling *ceiling
    cdef Account *account       # of the session, outlives it
    cdef Keeper keeper          # for the round that moves messages
    cdef Delivery *slots
    cdef uint32_t capacity
    cdef uint32_t free_slot
    cdef bint indexed           # since an ACK named a message and no subscription
    cdef Table by_message       # number of a message -> 1 + slot of its first unsettled delivery
    cdef Same *same             # of each slot, once it is indexed

    cdef uint32_t take(self) except? 0xffffffff
    cdef uint32_t find(self, const char *ack, size_t length) noexcept
    cdef uint32_t find_number(self, uint64_t number, bint only) except? 0xffffffff
    cdef int note(self, uint32_t slot) except -1
    cdef void give_back(self, uint32_t slot) noexcept


cdef Ledger ledger_new(Census *census, const Ceiling *ceiling, Account *account)
cdef size_t put_ack(char *out, uint32_t slot, uint32_t generation) noexcept
