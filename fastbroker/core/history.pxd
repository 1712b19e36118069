"""What topics keep for those who come later: their last messages, and the one that was to be retained."""
cimport cython
from libc.stdint cimport int64_t, uint64_t

from fastbroker.core.frame cimport Content
from fastbroker.core.journal cimport Journal
from fastbroker.core.kept cimport KeptItem, Trace
from fastbroker.core.message cimport Message
from fastbroker.core.policy cimport Policies, TopicPolicy
from fastbroker.core.route cimport Origin
from fastbroker.core.table cimport Table
from fastbroker.core.wire cimport Census, Ceiling, Counter, Keeper, Link, Timer, Wheel


cdef struct Kept:
    Message *message
    uint64_t since          # when it came, milliseconds of the hub's clock
    Trace *trace            # in the journal; NULL: it does not outlive the broker


@cython.final
@cython.no_gc
cdef class History:
    """Of one topic."""
    cdef readonly bytes name
    cdef void *owner            # Histories, which outlive it
    cdef TopicPolicy policy
    cdef Kept *ring             # the oldest first; their numbers grow
    cdef size_t head
    cdef size_t count
    cdef size_t capacity        # a power of two
    cdef uint64_t first         # place of the oldest, counted from the first that there ever was
    cdef uint64_t bytes         # of those messages
    cdef uint64_t lost          # number of the newest that is not kept any more; 0: none
    cdef Message *retained      # NULL: none
    cdef Trace *retained_trace  # in the journal; NULL: it does not outlive the broker
    cdef Link link              # in the ring of all that keep their last messages, the oldest topic first
    cdef Link giving            # and in turn, where memory is wanted back
    cdef Link retaining         # in the ring of those that retain a message, the oldest message first
    cdef Timer age              # when the oldest goes, or the history that has been empty for long
    cdef Keeper keeper          # for the round that moves messages
    cdef bint removed           # the next message begins another

    cdef inline uint64_t end(self) noexcept:
        """Place behind the newest."""
        return self.first + self.count

    cdef inline Message *at(self, uint64_t place) noexcept:
        return self.ring[(self.head + (place - self.first)) & (self.capacity - 1)].message


@cython.final
cdef class Histories:
    """Of all topics of a namespace."""
    cdef Census *census
    cdef const Ceiling *ceiling
    cdef Wheel *wheel
    cdef const uint64_t *now
    cdef const Counter *number  # of the message that is being published
    cdef Policies policies
    cdef Table table            # by the name of the topic
    cdef Link all               # rings; among the histories stand the places of those who walk there, without an owner
    cdef Link giving
    cdef Link retaining
    cdef int64_t bytes          # of all that they hold
    cdef int64_t most           # above that, they give way
    cdef readonly int64_t ageing    # those whose time runs
    cdef uint64_t forgotten     # the highest `lost` of those that have gone themselves
    cdef Journal journal        # of persistent messages; None: there is none
    cdef uint64_t started       # numbers up to that were those of a broker before

    cdef History find(self, const char *name, size_t length)
    cdef History of(self, bytes name)
    cdef int heed(self, bytes topic, TopicPolicy policy, const Content *content) except -1
    cdef int heed_and_record(self, bytes topic, TopicPolicy policy, const Content *content, Origin *origin) except -1
    cdef void give_way(self) noexcept


cdef inline bint keeps(TopicPolicy policy) noexcept:
    """Whether topics of that policy have a history."""
    return policy.history_messages > 0 or policy.history_bytes > 0 or policy.history_age > 0


cdef Histories histories_new(Census *census, const Ceiling *ceiling, Wheel *wheel, const uint64_t *now,
                             const Counter *number, Policies policies, int64_t most)
cdef int history_keep(History self, const Content *content) except -1
cdef int history_record(History self, const Content *content, Origin *origin) except -1
cdef int history_restore(Histories self, bytes name, Message *message, const KeptItem *item, Trace *trace) except -1
cdef uint64_t place_behind(History self, uint64_t number) noexcept
