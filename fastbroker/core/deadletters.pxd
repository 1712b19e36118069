"""What a dead letter is, and which queue it goes to."""
cimport cython
from libc.stdint cimport uint64_t

from fastbroker.core.frame cimport Content
from fastbroker.core.message cimport Entry, Message
from fastbroker.core.policy cimport QueuePolicy
from fastbroker.core.queue cimport DeadReason, Queue
from fastbroker.core.wire cimport Properties, Text


@cython.final
@cython.no_gc
cdef class DeadLetters:
    cdef bytes epoch
    cdef uint64_t last          # number of the newest one
    # where the last one went, as the next one is mostly from the same queue
    cdef bytes source           # name of that queue ...
    cdef QueuePolicy policy     # ... and its policy
    cdef bytes name             # of the dead-letter queue
    cdef bytes line             # "destination:/queue/<name> LF"

    cdef bytes queue_for(self, Queue source, const Message *message)
    cdef uint64_t next_number(self) noexcept
    cdef bint has_given(self, uint64_t number) noexcept
    cdef int write(self, const Entry *entry, DeadReason reason, bytes text, Text *head, Content *content,
                   Properties *properties) except -1


cdef DeadLetters dead_letters_of(bytes epoch)
cdef bytes dead_reason_name(DeadReason reason)
