"""What a subscription to topics gets of the messages that were there before it."""
cimport cython
from libc.stdint cimport uint64_t

from fastbroker.core.history cimport Histories, History
from fastbroker.core.queue cimport QueueOwner, Spring
from fastbroker.core.subscription cimport Subscription
from fastbroker.core.wire cimport Account, Link, OutBuf

cdef enum:
    REPLAY_NOTHING
    REPLAY_ALL
    REPLAY_BEHIND           # what has a higher number
    REPLAY_LAST             # so many of each topic


cdef struct Asked:
    int what                # REPLAY_*
    uint64_t number
    bint elsewhere          # of another run of the broker: what came behind that message is not known


cdef struct Cursor:
    # where a replay is in one history
    void *history           # a reference
    uint64_t place          # of the next message ...
    uint64_t number         # ... and its number, unless it has gone meanwhile


@cython.final
@cython.no_gc
cdef class Replay(Spring):
    cdef Histories histories
    cdef void *consumer         # the Subscription, which lives longer
    cdef Account *account       # its
    cdef OutBuf *out            # its
    cdef bytes pattern
    cdef bint many              # it has a wildcard
    cdef History only           # else: None if the topic keeps nothing
    cdef Asked asked
    cdef uint64_t until         # number of the last message before the subscription
    cdef int stage
    cdef Link place             # in a ring of the histories, in front of the next one to look at
    cdef Cursor *heap           # those with more to come, the lowest number on top
    cdef size_t count
    cdef size_t capacity
    cdef uint64_t given
    cdef size_t aside           # bytes that wait behind it and that nobody is held for


cdef int replay_begin(Subscription subscription, QueueOwner owner, Histories histories, bytes pattern,
                      const Asked *asked) except -1
