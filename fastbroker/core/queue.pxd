"""First in, first out, to consumers with credit."""
cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t

from fastbroker.core.frame cimport Content
from fastbroker.core.message cimport Entry, Message
from fastbroker.core.subscription cimport Subscription
from fastbroker.core.wire cimport Census, Link, Timer


@cython.final
@cython.no_gc
cdef class Queue:
    cdef readonly bytes name        # None: private to one topic subscription
    cdef Census *census
    cdef int64_t cost               # of itself, in the memory ceiling
    cdef Link *due                  # ring of queues to dispatch in the next turn ...
    cdef Link due_link              # ... and this one's place in it
    cdef Link consumers             # those believed to have room, in turn
    cdef Timer idle                 # armed while nobody uses it
    cdef readonly uint32_t consumer_count
    cdef uint32_t pins              # open transactions that send to it
    cdef bint removed
    cdef size_t *backlog            # where the bytes kept are also counted, or NULL
    cdef Entry *ring                # never delivered, oldest first
    cdef size_t head
    cdef size_t count
    cdef size_t capacity            # a power of two
    cdef Entry *returned            # delivered and given back: a heap by number
    cdef size_t returned_count
    cdef size_t returned_capacity
    cdef uint64_t next_number
    cdef readonly int64_t unsettled # deliveries that consumers have
    cdef readonly size_t bytes      # of the messages that wait

    cdef int offer(self, const Content *content, uint64_t id) except -1
    cdef int push(self, Message *message) except -1
    cdef int put_back(self, Entry *entry) except -1
    cdef bint take(self, Entry *entry) noexcept
    cdef int dispatch(self) except -1
    cdef void add_consumer(self, Subscription consumer) noexcept
    cdef void remove_consumer(self, Subscription consumer) noexcept
    cdef void regained(self, Subscription consumer) noexcept
    cdef void call(self) noexcept
    cdef bint unused(self) noexcept
    cdef void purge(self) noexcept
    cdef void _number(self, Entry *entry, Message *message) noexcept

    cdef inline size_t waiting(self) noexcept:
        return self.count + self.returned_count


cdef Queue queue_new(bytes name, Census *census, Link *due)
