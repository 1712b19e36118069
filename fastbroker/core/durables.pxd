"""Subscriptions to topics that have a name: durable ones, which outlive their connections, and shared ones."""
cimport cython
from libc.stdint cimport uint32_t, uint64_t

from fastbroker.core.message cimport Message
from fastbroker.core.queue cimport Queue
from fastbroker.core.selector cimport Selector
from fastbroker.core.stored cimport Stored
from fastbroker.core.trie cimport Trie


@cython.final
@cython.no_gc
cdef class Title:
    """Which one somebody means, and what it is to be."""
    cdef bytes name         # without the slash in front, it is that of its queue; with it, access is asked for that
    cdef bytes pattern      # of the topics whose messages it gets
    cdef Selector selector  # which of these; None: all ...
    cdef bytes chosen       # ... and what the client wrote of it
    cdef uint64_t not_by    # nothing of that client-id, hashed; 0: whoever sends it
    cdef bint lasts         # it is durable; else it goes with its last subscriber
    cdef bint alone         # nobody else may have it at the same time
    cdef bint renews        # for another pattern or selector it begins anew; else it keeps what it holds


@cython.final
cdef class Durables:
    cdef void *owner        # QueueOwner, which outlives it
    cdef Trie topics        # where their queues are receivers
    cdef dict by_name       # Title.name -> Durable
    cdef uint32_t lasting   # of them that are durable ...
    cdef uint32_t most      # ... of which there may be so many

    cdef Queue get(self, bytes name)
    cdef Queue queue_for(self, Title title)
    cdef int has_left(self, Queue queue) except -1
    cdef int end(self, Queue queue) except -1
    cdef int describe(self, Queue queue, Stored stored) except -1
    cdef Queue restore(self, list texts, Selector selector, uint64_t not_by)
    cdef list queues(self)


cdef Durables durables_of(object owner, Trie topics, uint32_t most)
cdef object in_use(bytes name)
cdef bint makes_room(Queue queue, Message *message) except -1
