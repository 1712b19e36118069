"""The temporary queues of one client."""
cimport cython

from fastbroker.core.namespace cimport Namespace
from fastbroker.core.queue cimport Queue
from fastbroker.core.wire cimport Account


@cython.final
cdef class Temporaries:
    cdef Namespace namespace
    cdef Account *account       # of the session; outlives it
    cdef dict queues            # id -> Queue

    cdef Queue queue(self, bytes id)
    cdef int end(self) except -1


cdef Temporaries temporaries_of(Namespace namespace, Account *account)
cdef bint is_temporary(const char *destination, size_t length) noexcept
