"""Carrying: what is live in segments that are left (stored.pyx) is recorded again, so that these can go.

A round goes to all queues and all ledgers, a slice at a time, and looks where each of their messages is recorded. What
moves from one to another meanwhile may be missed; then the segment still has something, and there is another round.
So is what is only on the disk: it is fetched, and recorded again in the next round.
"""
from libc.stdint cimport uint64_t

from fastbroker.core.kept cimport carry_traces
from fastbroker.core.ledger cimport DELIVERY_FREE, Ledger
from fastbroker.core.message cimport Entry
from fastbroker.core.queue cimport AWAY, LOST, Presence, Queue, QueueOwner, bring
from fastbroker.core.space cimport Segment, Space
from fastbroker.core.stored cimport Stored
from fastbroker.core.subscription cimport Subscription
from fastbroker.core.wire cimport (
    KEEPS_LEDGER, KEEPS_QUEUE, Keeper, Link, blocks_of, carrying_begin, carrying_done, carrying_next,
)

cdef enum:
    LOOK = 32               # what it costs to look at a message, or at a keeper, in bytes that could be recorded
    RECORD = 128            # and what recording takes beside the size of the message


cdef int carry_on(Journal journal, Census *census, int64_t budget, bint begin) except -1:
    """As much as that, where segments are left; `begin`: also if it is to be another round."""
    cdef Keeper *keeper
    if journal.space.leaving:
        budget = carry_traces(journal, budget)
    if not blocks_of(census).carries and (
            not begin or not is_something_left(journal.space) or not carrying_begin(blocks_of(census))):
        return 0
    keeper = carrying_next(blocks_of(census))
    while keeper != NULL:
        if budget <= 0:
            return 0
        budget -= LOOK
        if keeper.kind == KEEPS_QUEUE and (<Queue>keeper.link.owner).stored is not None:
            budget = carry_queue(<Queue>keeper.link.owner, budget)
        elif keeper.kind == KEEPS_LEDGER:
            budget = carry_ledger(<Ledger>keeper.link.owner, journal.space, budget)
        if budget > 0:
            carrying_done(blocks_of(census), keeper)
        keeper = carrying_next(blocks_of(census))
    return 0


cdef bint is_something_left(Space space) noexcept:
    """In segments that are left."""
    cdef Link *link = space.all.next
    while space.leaving and link != &space.all:
        if (<Segment *>link.owner).leaves and (<Segment *>link.owner).live:
            return True
        link = link.next
    return False


cdef inline bint leaves(Space space, const Entry *entry) noexcept:
    return entry.segment != 0 and space.of(entry.segment).leaves


cdef int64_t carry_queue(Queue queue, int64_t budget) except? -1:
    """What waits there, by place: in the ring, what came back, on the shelf, what rests."""
    cdef Stored stored = queue.stored
    cdef size_t place = queue.keeper.place, ring = queue.capacity, returned = ring + queue.returned_count
    cdef size_t shelf = returned + queue.shelf.count
    cdef size_t end = shelf + (queue.resting.count if queue.resting is not None else 0)
    cdef Entry *entry
    while budget > 0 and place < end:
        budget -= LOOK
        if place < ring:
            entry = &queue.ring[place] if ((place - queue.head) & (ring - 1)) < queue.count else NULL
        elif place < returned:
            entry = &queue.returned[place - ring]
        elif place < shelf:
            entry = &queue.shelf.nodes[place - returned].entry
        else:
            entry = &queue.resting.heap[place - shelf].entry
        if entry != NULL and leaves(stored.journal.space, entry):
            budget -= RECORD + <int64_t>entry.message.size
            if is_carried(queue, entry) and place >= shelf:
                stored.returned(entry, rest_of(queue, place - shelf))
        place += 1
    queue.keeper.place = place
    (<QueueOwner>queue.owner).fetching.ask()
    return budget


cdef bint is_carried(Queue queue, Entry *entry) except -1:
    """If not, it will be: it is fetched. What nobody can read is not needed there."""
    cdef Presence presence = bring(queue, entry)
    if presence == AWAY:
        (<QueueOwner>queue.owner).fetching.want(entry.message, entry.segment)
        return False
    if presence == LOST:
        queue.stored.settled(entry)
        entry.segment = 0
        return False
    queue.stored.carry(entry)
    return True


cdef uint64_t rest_of(Queue queue, size_t place) noexcept:
    """Milliseconds."""
    cdef uint64_t due = queue.resting.heap[place].due, now = (<QueueOwner>queue.owner).now[0]
    return due - now if due > now else 0


cdef int64_t carry_ledger(Ledger ledger, Space space, int64_t budget) except? -1:
    """What a client has and has not settled. Where its queue has gone, it need not be recorded any more."""
    cdef size_t slot = ledger.keeper.place
    cdef Entry *entry
    cdef Stored stored
    while budget > 0 and slot < ledger.capacity:
        budget -= LOOK
        if ledger.slots[slot].state != DELIVERY_FREE:
            entry = &ledger.slots[slot].entry
            stored = stored_of(ledger, slot)
            if leaves(space, entry) and stored is not None:
                budget -= RECORD + <int64_t>entry.message.size
                stored.carry(entry)
            elif leaves(space, entry):
                space.left(entry.segment, entry.message.size)
                entry.segment = 0
        slot += 1
    ledger.keeper.place = slot
    return budget


cdef Stored stored_of(Ledger ledger, size_t slot):
    """Of the queue that a delivery is of."""
    cdef object source = (<Subscription>ledger.slots[slot].subscription).source
    return (<Queue>source).stored if source is not None else None
