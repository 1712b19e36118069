"""The delivery ledger of a session, keyed by ack id.

    ack:<slot>-<generation>

A slot is used again when its delivery is settled, with the next generation: looking an ack id up is one index and one
comparison, and an id that was settled long ago, or belonged to a subscription that is gone, is never taken for another.

An ACK of STOMP 1.0 names a message, and perhaps no subscription, and clients of later versions do so, too: from the
first such ACK on, the deliveries of a session are also known by the number of their message. Where subscriptions
overlap, a message has several, and they hang together:

    by_message    number --> slot <--> slot <--> slot       `same`: the next and the previous one of each slot
"""
import secrets

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc

from fastbroker.core.message cimport VISIT_COST, Message, message_left, message_moved
from fastbroker.core.table cimport table_free, table_get, table_init, table_put, table_remove
from fastbroker.core.wire cimport (
    KEEPS_LEDGER, account_charge, block_is_left, blocks_of, ceiling_grants, keeper_join, keeper_leave, parse_number,
    read_number,
)

from fastbroker.core.frame import Refused

cdef enum:
    LONGEST = 10        # digits of either number in an ack id
    FEWEST = 8
    FEW = 1024          # from so many on it grows by an eighth: twice as many could be far above the ceiling at once
    NOTE_COST = 64      # bytes of a place in the table, when that has just grown, and of the links between the same
    SEARCH_STEP = 16    # what looking at one delivery costs, in bytes of output
    NOTE_WORK = 128     # and a place for one of many in the table


cdef Ledger ledger_new(Census *census, const Ceiling *ceiling, Account *account):
    cdef Ledger new = Ledger()
    new.census = census
    new.ceiling = ceiling
    new.account = account
    keeper_join(census, &new.keeper, visit_ledger, <void *>new)
    new.keeper.kind = KEEPS_LEDGER
    return new


cdef class Ledger:

    def __cinit__(self):
        self.free_slot = NO_SLOT

    def __dealloc__(self):
        keeper_leave(&self.keeper)
        free(self.slots)
        free(self.same)
        table_free(&self.by_message)

    cdef uint32_t find(self, const char *ack, size_t length) noexcept:
        """The slot of an unsettled delivery, or NO_SLOT."""
        cdef uint64_t slot, generation
        cdef size_t dash = read_number(ack, length, LONGEST, &slot)
        if (dash == 0 or dash == length or ack[dash] != c'-'
                or not parse_number(ack + dash + 1, length - dash - 1, LONGEST, &generation)):
            return NO_SLOT
        if slot >= self.capacity or self.slots[slot].state == DELIVERY_FREE:
            return NO_SLOT
        return <uint32_t>slot if self.slots[slot].generation == generation else NO_SLOT

    cdef uint32_t find_number(self, uint64_t number, bint only) except? 0xffffffff:
        """The slot of an unsettled delivery of that message to any subscription; NO_SLOT: there is none, or with `only`
        more than one. A delivery that is settled in an open transaction is passed over."""
        cdef uint32_t slot
        if not self.indexed:
            index(self)
        slot = next_out(self, known_as(self, number))
        if only and slot != NO_SLOT and next_out(self, self.same[slot].next) != NO_SLOT:
            return NO_SLOT
        return slot

    cdef int note(self, uint32_t slot) except -1:
        """A delivery is in its slot, and ACKs may name it by its message."""
        cdef uint64_t *number = &self.slots[slot].entry.message.id
        cdef uint32_t first = known_as(self, number[0])
        self.same[slot] = Same(NO_SLOT, NO_SLOT)
        if first != NO_SLOT:
            tie(self, slot, self.same[first].next)
            tie(self, first, slot)
        elif table_put(&self.by_message, <const char *>number, sizeof(uint64_t), place_of(slot)) < 0:
            raise MemoryError()
        return 0


cdef inline void *place_of(uint32_t slot) noexcept:
    """As the table has it, where NULL is none."""
    return <void *>(<size_t>slot + 1)


cdef inline uint32_t known_as(Ledger ledger, uint64_t number) noexcept:
    """The first delivery of that message, or NO_SLOT."""
    cdef size_t found = <size_t>table_get(&ledger.by_message, <const char *>&number, sizeof(number))
    return <uint32_t>(found - 1) if found else NO_SLOT


cdef uint32_t next_out(Ledger ledger, uint32_t slot) noexcept:
    """From that one on, the first of the same message that no open transaction settles."""
    while slot != NO_SLOT and ledger.slots[slot].state != DELIVERY_OUT:
        ledger.census.work += SEARCH_STEP
        slot = ledger.same[slot].next
    return slot


cdef void tie(Ledger ledger, uint32_t slot, uint32_t next) noexcept:
    """Those two are neighbours; either may be none."""
    if slot != NO_SLOT:
        ledger.same[slot].next = next
    if next != NO_SLOT:
        ledger.same[next].previous = slot


cdef int index(Ledger ledger) except -1:
    """From now on deliveries are known by their messages, too."""
    cdef int64_t cost = <int64_t>ledger.capacity * NOTE_COST
    cdef uint32_t slot
    if not ceiling_grants(ledger.ceiling, cost):
        raise Refused(b"server busy", b"There is no memory to find so many messages by their message-id; "
                      b"name the subscription, too, or the ack id.")
    if link_all(ledger, ledger.capacity) < 0:
        raise MemoryError()
    table_init(&ledger.by_message, int.from_bytes(secrets.token_bytes(8), "little"))
    try:
        for slot in range(ledger.capacity):
            if ledger.slots[slot].state != DELIVERY_FREE:
                ledger.note(slot)
    except MemoryError:
        table_free(&ledger.by_message)
        raise
    account_charge(ledger.account, cost)
    ledger.census.work += <int64_t>ledger.capacity * NOTE_WORK
    ledger.indexed = True
    return 0


cdef int link_all(Ledger ledger, uint32_t capacity) noexcept:
    """Room for the links of so many slots."""
    cdef Same *same = <Same *>realloc(ledger.same, max(capacity, <uint32_t>FEWEST) * sizeof(Same))
    if same == NULL:
        return -1
    ledger.same = same
    return 0


cdef void ledger_forget(Ledger ledger, uint32_t slot) noexcept:
    """It is found by its message no more; if it was the first, the next one takes its place, also in the table."""
    cdef Same same = ledger.same[slot]
    cdef uint64_t *number = &ledger.slots[slot].entry.message.id
    tie(ledger, same.previous, same.next)
    if same.previous != NO_SLOT:
        return
    if same.next == NO_SLOT:
        table_remove(&ledger.by_message, <const char *>number, sizeof(uint64_t))
    else:
        number = &ledger.slots[same.next].entry.message.id
        table_put(&ledger.by_message, <const char *>number, sizeof(uint64_t), place_of(same.next))


cdef int ledger_grow(Ledger ledger) except -1:
    """More slots, of which none is taken."""
    cdef uint32_t capacity = ledger.capacity + (
        max(ledger.capacity, <uint32_t>FEWEST) if ledger.capacity < FEW else ledger.capacity // 8)
    cdef uint32_t slot
    cdef Delivery *slots
    if ledger.indexed and link_all(ledger, capacity) < 0:
        raise MemoryError()
    slots = <Delivery *>realloc(ledger.slots, capacity * sizeof(Delivery))
    if slots == NULL:
        raise MemoryError()
    account_charge(ledger.account, (<int64_t>capacity - ledger.capacity)
                   * <int64_t>(sizeof(Delivery) + (NOTE_COST if ledger.indexed else 0)))
    for slot in range(ledger.capacity, capacity):
        slots[slot].state = DELIVERY_FREE
        slots[slot].generation = 0
        slots[slot].next = slot + 1 if slot + 1 < capacity else NO_SLOT
    ledger.slots = slots
    ledger.free_slot = ledger.capacity
    ledger.capacity = capacity
    return 0


cdef int64_t visit_ledger(void *owner, int64_t budget) noexcept:
    cdef Ledger ledger = <Ledger>owner
    cdef uint32_t slot = <uint32_t>ledger.keeper.place
    while budget > 0 and slot < ledger.capacity:
        budget -= VISIT_COST
        if ledger.slots[slot].state != DELIVERY_FREE:
            budget -= move_message(ledger, slot)
        slot += 1
    ledger.keeper.place = slot if slot < ledger.capacity else 0
    return budget


cdef int64_t move_message(Ledger ledger, uint32_t slot) noexcept:
    """Returns how many bytes that were. The table of messages has its keys in them."""
    cdef Message *message = ledger.slots[slot].entry.message
    cdef Message *moved
    if not block_is_left(blocks_of(ledger.census), message):
        return 0
    moved = message_moved(message)
    if moved == NULL:
        return 0
    if ledger.indexed and ledger.same[slot].previous == NO_SLOT:
        table_put(&ledger.by_message, <const char *>&moved.id, sizeof(uint64_t), place_of(slot))
    message_left(message)
    ledger.slots[slot].entry.message = moved
    return <int64_t>moved.size
