"""Settling: what an ACK, a NACK, or the end of a subscription does to deliveries.

    OUT --ACK, NACK--> free                     the queue judges the message
     |   `-in a transaction-> IN_TRANSACTION    COMMIT: free; ABORT: OUT again
     `--UNSUBSCRIBE, lost--> free               the same: the message goes back to where it stood, or is a dead letter

What a NACK says beside that (Refusal) goes with it to the queue; it is None for all else.

Slots of the ledger are touched here and nowhere above.
"""
from libc.stdint cimport uint32_t, uint64_t

from fastbroker.core.ledger cimport DELIVERY_IN_TRANSACTION, DELIVERY_OUT, NO_SLOT, Delivery, Ledger
from fastbroker.core.message cimport Entry
from fastbroker.core.queue cimport ACKED, RETURNED, Queue, QueueOwner, came_back
from fastbroker.core.several cimport Several
from fastbroker.core.subscription cimport ACK_CLIENT, ACK_CLIENT_INDIVIDUAL, ACK_MEMBER_CLIENT, Turns
from fastbroker.core.wire cimport ring_empty, timer_arm

cdef enum:
    SEARCH_STEP = 16    # what looking at one delivery costs, in bytes of output ...
    PASS_STEP = 1       # ... passing by one that a transaction has ...
    SETTLE_WORK = 64    # ... and settling one of many


cdef uint32_t find_message(Subscription subscription, uint64_t number) noexcept:
    """From both ends: clients mostly settle in order, some the newest first. A long search counts as work."""
    cdef uint32_t slot = subscription.credit.first
    cdef uint32_t later = subscription.credit.last
    cdef Delivery *slots = subscription.ledger.slots
    while slot != NO_SLOT and slots[slot].entry.message.id != number:
        if slots[later].entry.message.id == number:
            return later
        if slot == later or slots[slot].next == later:
            return NO_SLOT
        slot = slots[slot].next
        later = slots[later].previous
        subscription.census.work += SEARCH_STEP
    return slot


cdef int acknowledge(Subscription subscription, uint32_t slot) except -1:
    """The same as `settle`, for what nearly all deliveries come to."""
    cdef Entry entry
    if subscription.ack_mode != ACK_CLIENT_INDIVIDUAL:
        if subscription.ack_mode != ACK_CLIENT:
            return settle_members(subscription, slot, ACKED, None)
        settle_before(subscription, slot, ACKED, None)
    subscription.take_out(slot, &entry)
    (<Queue>subscription.source).acknowledged(&entry)
    return rejoin(subscription, ACKED)


cdef int settle(Subscription subscription, uint32_t slot, Verdict verdict, Refusal refusal) except -1:
    """The delivery, and in `client` mode all earlier ones of the subscription (STOMP 1.2, "SUBSCRIBE ack Header")."""
    if subscription.credit.turns != NULL:
        return settle_members(subscription, slot, verdict, refusal)
    if subscription.ack_mode == ACK_CLIENT:
        settle_before(subscription, slot, verdict, refusal)
    settle_slot(subscription, slot, verdict, refusal)
    return rejoin(subscription, verdict)


cdef int settle_before(Subscription subscription, uint32_t slot, Verdict verdict, Refusal refusal) except -1:
    """The deliveries in front of that one; NO_SLOT: all of them."""
    cdef uint32_t current = subscription.credit.first, next
    while current != slot:
        next = subscription.ledger.slots[current].next
        if subscription.ledger.slots[current].state == DELIVERY_OUT:
            settle_slot(subscription, current, verdict, refusal)
            subscription.census.work += SETTLE_WORK
        else:
            subscription.census.work += PASS_STEP
        current = next
    return 0


cdef int settle_one(Subscription subscription, uint32_t slot, Verdict verdict, Refusal refusal) except -1:
    """What a transaction had noted, at its COMMIT."""
    if subscription.credit.turns != NULL:
        settle_member(subscription, slot, verdict, refusal)
        return pass_turn(subscription.credit.turns)
    settle_slot(subscription, slot, verdict, refusal)
    return rejoin(subscription, verdict)


cdef int settle_in(Transaction transaction, Subscription subscription, uint32_t slot, Verdict verdict,
                   Refusal refusal) except -1:
    """The same as `settle`, once the transaction is committed."""
    cdef Delivery *slots = subscription.ledger.slots
    cdef uint32_t current = subscription.credit.first if is_cumulative(subscription) else slot
    while True:
        if slots[current].state == DELIVERY_OUT:
            transaction.note(<Subscription>slots[current].subscription, current, verdict, refusal)
            slots[current].state = DELIVERY_IN_TRANSACTION
            subscription.census.work += SETTLE_WORK
        if current == slot:
            return 0
        subscription.census.work += SEARCH_STEP
        current = slots[current].next


cdef int take_back(Subscription subscription, uint32_t slot) except -1:
    """ABORT: the delivery is not acknowledged any more; if its subscription has gone meanwhile, it goes back to the
    queue."""
    subscription.ledger.slots[slot].state = DELIVERY_OUT
    if subscription.closed:
        settle_slot(subscription, slot, RETURNED, None)
        (<Queue>subscription.source).left()
    return 0


cdef int give_back(Subscription subscription) except -1:
    """The subscription has ended: what it has not settled goes back to the front of its queue, in order."""
    if subscription.credit.turns != NULL:
        return give_members_back(subscription)
    return settle_before(subscription, NO_SLOT, RETURNED, None)


cdef void expect_back(Subscription subscription) noexcept:
    """The subscription is about to end: the queues that it has something of wait for that."""
    cdef Delivery *slots = subscription.ledger.slots
    cdef uint32_t slot = subscription.credit.first
    (<Queue>subscription.source).returning += 1
    while subscription.credit.turns != NULL and slot != NO_SLOT:
        if slots[slot].state == DELIVERY_OUT:
            (<Queue>(<Subscription>slots[slot].subscription).source).returning += 1
            subscription.census.work += SETTLE_WORK
        slot = slots[slot].next


# ---- members of a Several ----

cdef int settle_members(Subscription subscription, uint32_t slot, Verdict verdict, Refusal refusal) except -1:
    """The same as `settle`, where each delivery goes to the queue of its own member."""
    cdef Ledger ledger = subscription.ledger
    cdef uint32_t current = subscription.credit.first if is_cumulative(subscription) else slot, next
    while current != NO_SLOT:
        next = ledger.slots[current].next
        if ledger.slots[current].state == DELIVERY_OUT:
            settle_member(<Subscription>ledger.slots[current].subscription, current, verdict, refusal)
            subscription.census.work += SETTLE_WORK
        else:
            subscription.census.work += PASS_STEP
        current = next if current != slot else NO_SLOT
    return pass_turn(subscription.credit.turns)


cdef int settle_member(Subscription member, uint32_t slot, Verdict verdict, Refusal refusal) except -1:
    cdef Queue queue = member.source
    settle_slot(member, slot, verdict, refusal)
    rejoin(member, verdict)
    queue.left()
    return 0


cdef int give_members_back(Subscription subscription) except -1:
    """What there is no memory for is lost, and its queue waits no more."""
    cdef Ledger ledger = subscription.ledger
    cdef uint32_t current = subscription.credit.first, next
    cdef Queue queue
    cdef bint lost = False
    while current != NO_SLOT:
        next = ledger.slots[current].next
        if ledger.slots[current].state == DELIVERY_OUT:
            queue = (<Subscription>ledger.slots[current].subscription).source
            try:
                settle_slot(<Subscription>ledger.slots[current].subscription, current, RETURNED, None)
            except MemoryError:
                lost = True
            queue.has_returned()
            subscription.census.work += SETTLE_WORK
        current = next
    (<Several>subscription.several).forget()
    if lost:
        raise MemoryError()
    return 0


cdef int pass_turn(Turns *turns) except -1:
    """There is credit for another member."""
    if not ring_empty(&turns.hungry):
        (<Queue>turns.home).look()
    return 0


cdef inline bint is_cumulative(Subscription subscription) noexcept:
    return subscription.ack_mode == ACK_CLIENT or subscription.ack_mode == ACK_MEMBER_CLIENT


# ---- one delivery ----


cdef int settle_slot(Subscription subscription, uint32_t slot, Verdict verdict, Refusal refusal) except -1:
    cdef Entry entry
    subscription.take_out(slot, &entry)
    if verdict != ACKED:
        return came_back(<Queue>subscription.source, &entry, verdict, subscription, refusal)
    (<Queue>subscription.source).acknowledged(&entry)
    return 0


cdef int rejoin(Subscription subscription, Verdict verdict) except -1:
    """There is credit again; one that has just refused a message is spared for a moment, or it would spin."""
    if subscription.closed:
        (<Queue>subscription.source).left()
        return 0
    if verdict != ACKED:
        rest(subscription, <QueueOwner>(<Queue>subscription.source).owner)
    (<Queue>subscription.source).regained(subscription)
    return 0


cdef void rest(Subscription subscription, QueueOwner owner) noexcept:
    subscription.resting = True
    timer_arm(owner.wheel, &subscription.rest, owner.now[0] + owner.nack_delay)
