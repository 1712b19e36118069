"""The temporary queues and topics of one client."""
cimport cython

from fastbroker.core.frame cimport Slice
from fastbroker.core.namespace cimport Namespace
from fastbroker.core.queue cimport Queue
from fastbroker.core.replies cimport ReplyTopic
from fastbroker.core.wire cimport Account


@cython.final
cdef class Temporaries:
    cdef Namespace namespace
    cdef Account *account       # of the session; outlives it
    cdef dict queues            # id -> Queue
    cdef dict topics            # id -> ReplyTopic
    cdef bytes last_value       # of the last reply-to, as it was written ...
    cdef bytes last_line        # ... and what others see for it
    cdef Queue last_queue       # None: that is a topic

    cdef Queue queue(self, bytes id)
    cdef ReplyTopic topic(self, bytes id)
    cdef bytes seen_by_others(self, bytes destination)
    cdef bytes reply_line(self, bytes destination, Slice value)
    cdef bint was_last(self, Slice value) noexcept
    cdef int end(self) except -1


cdef Temporaries temporaries_of(Namespace namespace, Account *account)
cdef bint is_temporary(bytes destination)
