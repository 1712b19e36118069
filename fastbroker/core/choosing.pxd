"""Giving out the messages of a queue where consumers choose."""
from fastbroker.core.queue cimport Queue
from fastbroker.core.subscription cimport Subscription


cdef int begin_groups(Queue queue) except -1
cdef int join_queue(Queue queue, Subscription consumer) except -1
cdef void end_choosing(Queue queue, Subscription consumer) noexcept
