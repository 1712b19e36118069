"""A destination that was looked up: what it names, and for a topic who gets its messages."""
cimport cython
from libc.stdint cimport uint8_t, uint64_t

from fastbroker.core.queue cimport Queue
from fastbroker.core.trie cimport Matches, Trie
from fastbroker.core.wire cimport Census

cdef enum:
    ROUTE_TOPIC
    ROUTE_QUEUE
    ROUTE_NOWHERE           # a reply queue whose owner is gone: messages to it are dropped

cdef enum:
    POLICY_DISCONNECT
    POLICY_DROP_OLDEST
    POLICY_DROP_NEWEST


@cython.final
@cython.no_gc
cdef class Route:
    cdef Census *census
    cdef int kind
    cdef readonly bytes destination     # decoded, as the sender wrote it
    cdef const char *destination_bytes
    cdef size_t destination_length
    cdef readonly bytes name            # of the topic or queue; None for a temporary one
    cdef Queue queue                    # of a ROUTE_QUEUE
    cdef Matches matches                # of a ROUTE_TOPIC: Subscriptions, right while `generation` is the trie's
    cdef uint64_t generation
    cdef uint8_t policy                 # what to do with a subscriber that is too slow

    cdef int rematch(self, Trie topics) except -1


cdef Route route_new(int kind, bytes destination, bytes name, Census *census)
