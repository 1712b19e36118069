"""Which queues get the messages of a topic."""
cimport cython

from fastbroker.core.queue cimport Queue
from fastbroker.core.subscription cimport Receiver
from fastbroker.core.trie cimport Trie
from fastbroker.core.wire cimport Census


@cython.final
cdef class Bindings:
    cdef Census *census
    cdef Trie topics            # that patterns reach
    cdef Trie apart             # and that none does
    cdef dict bound             # name of a queue -> (pattern, whether it is apart, whether the queue was made for it)

    cdef Trie topics_of(self, bint apart)
    cdef void leave(self, Receiver receiver) noexcept
    cdef int follow(self, Queue queue) except -1
    cdef int bind(self, Queue queue, bytes pattern, bint apart, bint made) except -1
    cdef bint is_over(self, Queue queue) except -1
    cdef void release(self, Queue queue) noexcept


cdef Bindings bindings_new(Census *census, Trie topics)
