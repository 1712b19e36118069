"""Bindings: queues that get the messages of a topic.

    /queue/Consumer.<name>.VirtualTopic.<words>         follows /topic/VirtualTopic.<words> while the queue exists
    SUBSCRIBE /topic/<pattern> with x-queue-name:<name> binds /queue/<name> to the pattern while that has consumers

A queue is a receiver like any other: it stands in a trie, and is part of the audience of the topics that it gets.

Of topics there are two tries: those that patterns reach, and those apart, whose names are no patterns: the keys of
amq.direct, amq.fanout, temporary ones.
"""
from libc.stdint cimport int64_t

from fastbroker.core.destination cimport followed_topic
from fastbroker.core.pattern cimport LEVELS_MAX, is_pattern, pattern_error

from fastbroker.core.frame import Refused

cdef enum:
    COST = 384      # bytes of a binding beside its texts


cdef Bindings bindings_new(Census *census, Trie topics):
    cdef Bindings new = Bindings()
    new.census = census
    new.topics = topics
    new.apart = Trie()
    new.apart.count_in(census)
    new.bound = {}
    return new


cdef class Bindings:

    cdef Trie topics_of(self, bint apart):
        return self.apart if apart else self.topics

    cdef void leave(self, Receiver receiver) noexcept:
        """It gets nothing of a topic any more."""
        self.topics_of(receiver.apart).remove(&receiver.entry)

    cdef int follow(self, Queue queue) except -1:
        """A new queue: if its name says so, it follows a virtual topic."""
        cdef bytes topic = followed_topic(queue.name)
        if topic is None or is_pattern(topic, len(topic)) or pattern_error(topic, len(topic), LEVELS_MAX) != NULL:
            return 0
        return self.topics.insert(topic, len(topic), &queue.entry)

    cdef int bind(self, Queue queue, bytes pattern, bint apart, bint made) except -1:
        """`made`: the queue was made for this, and goes with its last consumer."""
        cdef tuple known = self.bound.get(queue.name)
        if known is not None and known[:2] == (pattern, apart):
            return 0
        if queue.entry.node:
            raise Refused(b"bad header", b"The queue that x-queue-name names gets the messages of another destination.")
        queue.apart = apart
        self.topics_of(apart).insert(pattern, len(pattern), &queue.entry)
        self.bound[queue.name] = (pattern, apart, made)
        self.census.memory += cost_of(queue, pattern)
        return 0

    cdef bint is_over(self, Queue queue) except -1:
        """A consumer of the queue has gone. Whether the queue shall go, too."""
        cdef tuple known = self.bound.get(queue.name) if queue.entry.node else None
        if known is None or queue.consumer_count:
            return False
        self.release(queue)
        return known[2]

    cdef void release(self, Queue queue) noexcept:
        """The queue gets nothing of a topic any more. One that is owned is not bound, whatever has its name."""
        cdef tuple known = None if queue.owned else self.bound.pop(queue.name, None)
        if known is not None:
            self.census.memory -= cost_of(queue, known[0])
        self.leave(queue)


cdef int64_t cost_of(Queue queue, bytes pattern) noexcept:
    return COST + <int64_t>(len(queue.name) + len(pattern))
