"""The consumers of a queue: whose turn it is."""
from fastbroker.core.subscription cimport Subscription
from fastbroker.core.wire cimport Link, Ranks, link_join, ring_empty

cdef void step_aside(Subscription consumer) noexcept
cdef void wait_for_outlet(Subscription consumer) noexcept


cdef inline bint may_have(Subscription consumer, bint tight) noexcept:
    """Whether it is given the next message; if not, it leaves the line until it has credit or its output has drained.
    """
    if not consumer.has_credit() or consumer.resting:
        step_aside(consumer)
        return False
    if not consumer.has_outlet(tight):
        wait_for_outlet(consumer)
        return False
    return True

cdef inline Subscription next_in_line(Link *line, bint tight):
    """The first consumer with room, who then stands last in line; None if there is none."""
    cdef Subscription consumer
    while not ring_empty(line):
        consumer = <Subscription>line.next.owner
        if may_have(consumer, tight):
            if consumer.ready.next != line:     # it is not last already, being the only one
                link_join(line, &consumer.ready)
            return consumer
    return None


cdef Subscription next_ranked(Ranks *ranks, bint tight, bint settled)
