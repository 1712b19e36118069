"""The delivery ledger of a session, keyed by ack id.

    ack:<slot>-<generation>

A slot is used again when its delivery is settled, with the next generation: looking an ack id up is one index and one
comparison, and an id that was settled long ago, or belonged to a subscription that is gone, is never taken for another.
"""
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memchr

from fastbroker.core.wire cimport parse_number, put_number


cdef size_t put_ack(char *out, uint32_t slot, uint32_t generation) noexcept:
    cdef size_t length = put_number(out, slot)
    out[length] = c'-'
    return length + 1 + put_number(out + length + 1, generation)


cdef class Ledger:

    def __cinit__(self):
        self.free_slot = NO_SLOT

    def __dealloc__(self):
        free(self.slots)

    cdef uint32_t take(self) except? 0xffffffff:
        """A slot for a new delivery; slots move in memory when this makes more of them."""
        cdef uint32_t slot
        if self.free_slot == NO_SLOT:
            grow(self)
        slot = self.free_slot
        self.free_slot = self.slots[slot].next
        self.slots[slot].generation += 1
        self.slots[slot].state = DELIVERY_OUT
        self.census.deliveries += 1
        return slot

    cdef uint32_t find(self, const char *ack, size_t length) noexcept:
        """The slot of an unsettled delivery, or NO_SLOT."""
        cdef const char *dash = <const char *>memchr(ack, c'-', length)
        cdef uint64_t slot, generation
        if (dash == NULL or not parse_number(ack, dash - ack, 10, &slot)
                or not parse_number(dash + 1, ack + length - dash - 1, 10, &generation)):
            return NO_SLOT
        if slot >= self.capacity or self.slots[slot].state == DELIVERY_FREE:
            return NO_SLOT
        return <uint32_t>slot if self.slots[slot].generation == generation else NO_SLOT

    cdef void give_back(self, uint32_t slot) noexcept:
        self.slots[slot].state = DELIVERY_FREE
        self.slots[slot].next = self.free_slot
        self.free_slot = slot
        self.census.deliveries -= 1


cdef int grow(Ledger ledger) except -1:
    cdef uint32_t capacity = ledger.capacity * 2 if ledger.capacity else 8
    cdef uint32_t slot
    cdef Delivery *slots = <Delivery *>realloc(ledger.slots, capacity * sizeof(Delivery))
    if slots == NULL:
        raise MemoryError()
    for slot in range(ledger.capacity, capacity):
        slots[slot].state = DELIVERY_FREE
        slots[slot].generation = 0
        slots[slot].next = slot + 1 if slot + 1 < capacity else NO_SLOT
    ledger.slots = slots
    ledger.free_slot = ledger.capacity
    ledger.capacity = capacity
    return 0
