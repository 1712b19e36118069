"""What clients declare of a queue."""
from libc.stdint cimport uint64_t

from fastbroker.core.frame cimport Frame
from fastbroker.core.policy cimport QueuePolicy
from fastbroker.core.queue cimport Queue, QueueOwner

cdef dict declared_in(const Frame *frame)
cdef uint64_t declaration_hash(const Frame *frame, uint64_t seed) noexcept
cdef int declare(Queue queue, dict declared, bint consumes) except -1
cdef int declare_again(Queue queue, dict declared) except -1
cdef bytes dead_letters_of(dict declared)
