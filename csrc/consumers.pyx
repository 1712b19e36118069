"""Who gets the next message of a queue whose consumers are not all alike.

    a consumer is exclusive     one has all, as long as it is there; then the one that has waited longest of those with
                                the highest priority, once all that the last one had is settled or has come back
    else                        the highest priority with room, in turn within one

Queues whose consumers take turns know nothing of it (`next_in_line`).

Who has no room leaves the line, and joins it again when there is some. A member of a Several has the room of all its
members, and waits for its turn to have it.
"""
from fastbroker.core.subscription cimport Turns
from fastbroker.core.wire cimport Rank, link_leave, rank_behind, ranks_heir


cdef void step_aside(Subscription consumer) noexcept:
    """It has no credit, or rests after a NACK."""
    cdef Turns *turns = consumer.credit.turns
    if turns == NULL or consumer.resting:
        link_leave(&consumer.ready)
    else:
        link_join(&turns.hungry, &consumer.ready)


cdef void wait_for_outlet(Subscription consumer) noexcept:
    """Its output is full."""
    cdef Turns *turns = consumer.credit.turns
    if turns == NULL:
        link_join(consumer.starved, &consumer.ready)
    else:
        link_join(&turns.hungry, &consumer.ready)
        link_join(consumer.starved, &turns.thirst)


cdef Subscription next_ranked(Ranks *ranks, bint tight, bint settled):
    """None if there is none with room. `settled`: no consumer has anything."""
    cdef Rank *rank = rank_behind(ranks, &ranks.ring)
    cdef Subscription consumer
    if ranks.exclusive:
        return next_exclusive(ranks, tight, settled)
    while rank != NULL:
        consumer = next_in_line(&rank.ready, tight)
        if consumer is not None:
            return consumer
        rank = rank_behind(ranks, &rank.link)
    return None


cdef Subscription next_exclusive(Ranks *ranks, bint tight, bint settled):
    cdef Subscription consumer
    if ranks.holder == NULL and settled:
        ranks.holder = ranks_heir(ranks)
    if ranks.holder == NULL:
        return None
    consumer = <Subscription>ranks.holder
    return consumer if may_have(consumer, tight) else None
