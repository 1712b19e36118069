"""How what came back is tried again."""
cimport cython
from libc.stdint cimport uint32_t, uint64_t

from fastbroker.core.policy cimport QueuePolicy

cdef struct Pauses:
    # between hand-overs of a message that is refused, in milliseconds
    uint64_t first          # after the first refusal
    uint64_t next           # after each later one, where pauses do not grow
    double multiplier       # each is so many times the one before it; 1: they do not grow
    uint64_t most           # but never more than that
    double jitter           # a part of it, more or less


@cython.final
@cython.no_gc
cdef class Redelivery:
    """What a consumer asks for instead of the policy of its queue."""
    cdef uint32_t max_deliveries    # hand-overs, if the policy permits so many; 0: it does not say
    cdef bint paces                 # whether it says how long the pauses are
    cdef Pauses pauses


@cython.final
@cython.no_gc
cdef class Refusal:
    """What a NACK says, beside which message it is about."""
    cdef bint decided           # it says whether the message goes back:
    cdef bint requeue
    cdef bint timed             # it says when the message comes again:
    cdef uint64_t delay         # so many milliseconds from now
    cdef readonly bytes text    # why, for people; or None


cdef uint32_t most_deliveries(QueuePolicy policy, Redelivery wanted) noexcept
cdef uint64_t pause_after(QueuePolicy policy, Redelivery wanted, uint32_t refusals, uint64_t whose) noexcept
