"""The route to a topic: who has subscribed to patterns that match it."""
cimport cython
from libc.stdint cimport uint8_t, uint64_t

from fastbroker.core.fanout cimport Audience, Fanout
from fastbroker.core.queue cimport QueueOwner
from fastbroker.core.route cimport Route
from fastbroker.core.trie cimport Trie


@cython.final
@cython.no_gc
cdef class TopicRoute(Route):
    cdef readonly bytes name
    cdef Trie topics
    cdef Fanout fanout
    cdef Audience audience          # right while `generation` is the trie's
    cdef uint64_t generation

    cdef void forget_audience(self) noexcept


cdef TopicRoute topic_route(bytes destination, bytes name, uint8_t policy, Trie topics, Fanout fanout, QueueOwner owner)
