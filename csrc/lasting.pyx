"""Whether a message that waits to be published outlives the broker: if it would where it goes."""
from fastbroker.core.composite cimport CompositeRoute
from fastbroker.core.policy cimport LASTS_NOT, QueuePolicy, TopicPolicy, lasting
from fastbroker.core.queue cimport QueueRoute
from fastbroker.core.topic cimport TopicRoute
from fastbroker.core.wire cimport PERSISTS


cdef int lasting_at(Route route, unsigned flags) except -1:
    """LASTS_*; of several destinations, the one counts that promises most."""
    cdef bint asked = flags & PERSISTS != 0
    cdef QueuePolicy policy
    cdef TopicPolicy kept
    if isinstance(route, CompositeRoute):
        return max([lasting_at(part, flags) for part in (<CompositeRoute>route).parts])
    if isinstance(route, QueueRoute) and not (<QueueRoute>route).queue.owned:
        policy = (<QueueRoute>route).queue.policy
        return lasting(policy.persistent, policy.durability, asked)
    if isinstance(route, TopicRoute):
        kept = (<TopicRoute>route).policy
        return lasting(kept.persistent, kept.durability, asked)
    return LASTS_NOT
