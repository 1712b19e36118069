"""What a broker before has kept beside the messages of queues."""
cimport cython
from libc.stdint cimport uint16_t, uint32_t, uint64_t

from fastbroker.core.journal cimport Journal
from fastbroker.core.kept cimport KeptItem
from fastbroker.core.message cimport Message
from fastbroker.core.namespace cimport Namespace
from fastbroker.core.queue cimport Queue
from fastbroker.core.space cimport Space
from fastbroker.core.wire cimport Census


@cython.final
@cython.no_gc
cdef class FoundItem:
    """What waits for its time, or what a topic keeps."""
    cdef KeptItem said
    cdef Message *message
    cdef bytes name
    cdef uint32_t kept_by       # the transaction that has brought it; 0: none
    cdef uint32_t forgotten_by  # and that has ended it
    cdef uint16_t segment


cdef struct Name:
    uint64_t id                 # of the message that the first of its record came with
    uint64_t place              # counted from the first that was read
    uint64_t name
    uint32_t transaction        # that has brought it; 0: none
    uint16_t segment


@cython.final
@cython.no_gc
cdef class FoundNames:
    """Names that have come to one queue."""
    cdef Name *items
    cdef size_t count
    cdef size_t capacity
    cdef uint64_t came

    cdef int add(self, const char *names, size_t count, Name name, size_t window) except -1
    cdef void line_up(self) noexcept


@cython.final
cdef class Remains:
    cdef Census *census
    cdef Space space
    cdef dict items             # key -> FoundItem
    cdef dict names             # number of a queue -> FoundNames ...
    cdef dict windows           # ... and how many of them count

    cdef int read(self, int kind, uint32_t transaction, const char *payload, size_t length) except -1
    cdef int described(self, uint64_t queue, uint64_t window) except -1
    cdef int gone(self, uint64_t queue) except -1
    cdef int restore_names(self, Queue queue, uint64_t number, set committed) except -1
    cdef int restore(self, Journal journal, Namespace namespace, uint64_t numbers, set committed) except -1


cdef Remains remains_new(Census *census, Space space)
cdef bint is_there(FoundItem item, set committed)
