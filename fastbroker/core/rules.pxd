"""What a queue's policy, and what the sender asks for, make of a message before it is kept."""
from libc.stdint cimport int64_t, uint64_t

from fastbroker.core.frame cimport Content
from fastbroker.core.queue cimport Queue
from fastbroker.core.route cimport Origin
from fastbroker.core.wire cimport Properties

cdef struct Load:
    # what a message makes more in a queue
    uint64_t messages
    uint64_t bytes


cdef bint is_plain(Queue queue, const Content *content, uint64_t number, Origin *origin, bint is_copy) except -1
cdef int64_t bow_to_dead(Queue queue, const Content *content, Properties *properties) noexcept
cdef Load load_of(Queue queue, const Properties *asks, size_t size) noexcept
cdef int admit(Queue queue, uint64_t messages, uint64_t bytes, Origin *origin) except -1
cdef void relieve(Queue queue) noexcept
