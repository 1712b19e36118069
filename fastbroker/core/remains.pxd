"""What a broker before has kept beside the messages of queues."""
cimport cython
from libc.stdint cimport uint16_t, uint32_t, uint64_t

from fastbroker.core.journal cimport Journal
from fastbroker.core.namespace cimport Namespace
from fastbroker.core.queue cimport Queue
from fastbroker.core.space cimport Space
from fastbroker.core.wire cimport Census


@cython.final
cdef class Remains:
    cdef Census *census
    cdef Space space
    cdef dict items             # key -> what is kept
    cdef dict names             # number of a queue -> names that have come there ...
    cdef dict windows           # ... and how many of them count

    cdef int read(self, int kind, uint32_t transaction, const char *payload, size_t length) except -1
    cdef int described(self, uint64_t queue, uint64_t window) except -1
    cdef int gone(self, uint64_t queue) except -1
    cdef int restore_names(self, Queue queue, uint64_t number, set committed) except -1
    cdef int restore(self, Journal journal, Namespace namespace, uint64_t numbers, set committed) except -1


cdef Remains remains_new(Census *census, Space space)
