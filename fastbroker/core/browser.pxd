"""Looking at what waits in a queue, and taking nothing."""
cimport cython
from libc.stdint cimport uint64_t

from fastbroker.core.queue cimport Queue, QueueOwner, Spring
from fastbroker.core.subscription cimport Subscription
from fastbroker.core.table cimport Table
from fastbroker.core.wire cimport Account, Counter, Link, OutBuf


cdef struct Browsing:
    # how a browser looks at a queue
    bint stays              # it does not end, and sees what comes later, too
    bint behind_all         # nothing that is there already
    uint64_t first          # the number that it begins with


@cython.final
@cython.no_gc
cdef class Browsers:
    """Those of one namespace."""
    cdef Table *queues      # by name
    cdef dict absent        # name -> Absent: of queues that are not there, for those who stay


@cython.final
@cython.no_gc
cdef class Absent:
    """Those who wait for a queue to be made."""
    cdef bytes name
    cdef Link ring


@cython.final
@cython.no_gc
cdef class Browser(Spring):
    cdef Browsers others
    cdef void *consumer         # the Subscription, which lives longer
    cdef Account *account       # its
    cdef OutBuf *out            # its
    cdef bytes name             # of the queue that it looks at ...
    cdef Queue target           # ... which may not be there: None
    cdef bint stays
    cdef const Counter *number  # of the last message of all
    cdef uint64_t begin         # of this round: messages with a number from here on ...
    cdef uint64_t until         # ... to here, which does not belong to it; those in front were passed by
    cdef uint64_t place         # of what it looks at next
    cdef uint64_t renewals      # of the queue, and ...
    cdef uint64_t newest        # ... `number`, when this round began ...
    cdef uint64_t known         # ... and when the last one did
    cdef uint64_t again         # the one place in front of `begin` where something is new; or NO_PLACE ...
    cdef bint all_again         # ... or there may be many of them
    cdef Link link              # in the ring of those who have seen all that waits in the queue, or wait for that
    cdef Absent waits_in        # that is this one's; or None


cdef Browsers browsers_new(Table *queues)
cdef int browse(Browsers self, Subscription subscription, QueueOwner owner, Queue target, bytes name,
                const Browsing *asked) except -1
cdef int queue_was_made(Browsers self, bytes name) except -1
