"""The route to a topic: who has subscribed to patterns that match it."""
cimport cython
from libc.stdint cimport int64_t, uint64_t

from fastbroker.core.fanout cimport Audience, Fanout
from fastbroker.core.history cimport Histories, History
from fastbroker.core.policy cimport TopicPolicy
from fastbroker.core.queue cimport QueueOwner
from fastbroker.core.route cimport Route
from fastbroker.core.trie cimport Trie
from fastbroker.core.wire cimport Link


cdef struct Audiences:
    # what the topics of one namespace remember of the trie
    Link routes             # TopicRoutes that have asked it
    int64_t bytes           # of all their audiences
    int64_t most            # above that, only the last is remembered


@cython.no_gc
cdef class TopicRoute(Route):
    cdef readonly bytes name
    cdef TopicPolicy policy
    cdef Trie topics
    cdef Fanout fanout
    cdef Histories histories
    cdef Audience audience          # right while `generation` is the trie's
    cdef uint64_t generation
    cdef Audiences *audiences       # outlives it
    cdef Link link                  # there


@cython.final
@cython.no_gc
cdef class KeptTopicRoute(TopicRoute):
    """Of a topic with a history."""
    cdef History history            # None until the first message


cdef TopicRoute topic_route(bytes destination, bytes name, TopicPolicy policy, Trie topics, Fanout fanout,
                            QueueOwner owner, Audiences *audiences, Histories histories)
cdef void forget_outdated(Audiences *audiences) noexcept
