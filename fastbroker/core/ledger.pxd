"""The deliveries of a session that are not settled yet."""
cimport cython
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastbroker.core.message cimport Entry
from fastbroker.core.table cimport Table
from fastbroker.core.wire cimport Account, Ceiling, Census, Keeper, put_number

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

    cdef uint32_t find(self, const char *ack, size_t length) noexcept
    cdef uint32_t find_number(self, uint64_t number, bint only) except? 0xffffffff
    cdef int note(self, uint32_t slot) except -1

    cdef inline uint32_t take(self) except? 0xffffffff:
        """A slot for a new delivery; slots move in memory when this makes more of them."""
        cdef uint32_t slot
        cdef Delivery *taken
        if self.free_slot == NO_SLOT:
            ledger_grow(self)
        slot = self.free_slot
        taken = &self.slots[slot]
        self.free_slot = taken.next
        taken.generation += 1
        taken.state = DELIVERY_OUT
        self.census.deliveries += 1
        return slot

    cdef inline void give_back(self, uint32_t slot) noexcept:
        if self.indexed:
            ledger_forget(self, slot)
        self.slots[slot].state = DELIVERY_FREE
        self.slots[slot].next = self.free_slot
        self.free_slot = slot
        self.census.deliveries -= 1


cdef Ledger ledger_new(Census *census, const Ceiling *ceiling, Account *account)
cdef int ledger_grow(Ledger ledger) except -1
cdef void ledger_forget(Ledger ledger, uint32_t slot) noexcept

cdef inline size_t put_ack(char *out, uint32_t slot, uint32_t generation) noexcept:
    cdef size_t length = put_number(out, slot)
    out[length] = c'-'
    return length + 1 + put_number(out + length + 1, generation)
