"""Routes: the outcome of looking a destination up, kept so that the next message needs no look-up.

    Route       TopicRoute (topic.pyx)  its subscribers
                QueueRoute (queue.pyx)  a queue
                CompositeRoute (composite.pyx)      several of these
                ReplyTopicRoute (replies.pyx)       subscribers of one client's temporary topic
                Nowhere                 nobody

A message is published by `take`, whatever the kind. Later kinds lead to applications, users, other brokers.
"""
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t

from fastbroker.core.wire cimport link_init

cdef enum:
    COST = 384      # bytes of a route beside its texts
    MAKE_WORK = 1024    # what it takes to make one, in bytes of output


cdef int route_init(Route new, bytes destination, Census *census, int64_t *held) except -1:
    """`held` outlives it, as `census` does."""
    new.destination = destination
    new.destination_bytes = PyBytes_AS_STRING(destination)
    new.destination_length = PyBytes_GET_SIZE(destination)
    new.census = census
    new.held = held
    link_init(&new.known, <void *>new)
    census.routes += 1
    census.work += MAKE_WORK
    route_charge(new, COST + 2 * PyBytes_GET_SIZE(destination))
    return 0


cdef void route_charge(Route route, int64_t bytes) noexcept:
    route.cost += bytes
    route.held[0] += bytes
    route.census.memory += bytes


cdef Nowhere nowhere(bytes destination, Census *census, int64_t *held):
    cdef Nowhere new = Nowhere()
    route_init(new, destination, census, held)
    return new


cdef class Route:

    def __dealloc__(self):
        if self.census != NULL:
            route_charge(self, -self.cost)
            self.census.routes -= 1

    cdef int take(self, const Content *content, Origin *origin) except -1:
        raise NotImplementedError

    cdef bint has_somebody(self) except -1:
        return True

    cdef bint keeps(self) except -1:
        return False


cdef class Nowhere(Route):

    cdef int take(self, const Content *content, Origin *origin) except -1:
        self.census.replies_dropped += 1
        return 0

    cdef bint has_somebody(self) except -1:
        return False
