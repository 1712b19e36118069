"""How what came back is tried again: how often, and after which pauses.

    refusal     1        2              3                  ...
    pause       first    first * m      first * m * m      ... up to `most`, each a random part longer or shorter

With the defaults that is 50 ms, twice as long each time, and a minute at most: what fails once is tried again at once,
as a person sees it; what fails because something is broken for all consumers has ten minutes for its 20 hand-overs,
and however many consumers refuse it in turn, none of them spins. What comes back because its consumer has gone makes no
pause: nobody has said that it cannot be handled.

The random part is the same for all that one consumer refuses for the same time, so its messages keep their order;
those of different consumers, which failed together, do not come again together.
"""
from libc.math cimport pow

cdef enum:
    HASHES = 1 << 20    # steps of the random part


cdef uint32_t most_deliveries(QueuePolicy policy, Redelivery wanted) noexcept:
    """Hand-overs of one message; 0: no limit. Nobody gets more than the policy permits."""
    if wanted is None or wanted.max_deliveries == 0:
        return policy.max_deliveries
    if policy.max_deliveries == 0:
        return wanted.max_deliveries
    return min(wanted.max_deliveries, policy.max_deliveries)


cdef uint64_t pause_after(QueuePolicy policy, Redelivery wanted, uint32_t refusals, uint64_t whose) noexcept:
    """Milliseconds until a message may be given to somebody that was refused so often."""
    cdef Pauses pauses
    if wanted is not None and wanted.paces:
        return pause(&wanted.pauses, refusals, whose)
    pauses.first = pauses.next = policy.redelivery_delay
    pauses.multiplier = policy.redelivery_multiplier
    pauses.most = policy.redelivery_max_delay
    pauses.jitter = policy.redelivery_jitter
    return pause(&pauses, refusals, whose)


cdef uint64_t pause(const Pauses *pauses, uint32_t refusals, uint64_t whose) noexcept:
    cdef double length = pauses.first
    cdef uint32_t times = refusals - 1
    if times and (length == 0 or pauses.multiplier <= 1):
        length = pauses.next
        times -= 1
    if pauses.multiplier > 1 and length > 0:    # the other factor may be infinite
        length *= pow(pauses.multiplier, times)
    length = min(length, <double>pauses.most)
    return <uint64_t>(length * (1 + pauses.jitter * random_part(whose + refusals)) + 0.5)


cdef double random_part(uint64_t seed) noexcept:
    """From -1 to 1, the same for the same seed."""
    seed *= <uint64_t>0x9e3779b97f4a7c15
    seed ^= seed >> 29
    seed *= <uint64_t>0xbf58476d1ce4e5b9
    return <double>(seed >> 32 & (HASHES - 1)) * 2 / HASHES - 1


cdef class Redelivery:
    pass


cdef class Refusal:
    pass
