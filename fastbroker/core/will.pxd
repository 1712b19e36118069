"""What a client leaves behind if it is lost."""
cimport cython
from libc.stdint cimport int64_t, uint64_t

from fastbroker.core.broker cimport Broker
from fastbroker.core.frame cimport Frame
from fastbroker.core.wire cimport Link, Timer


@cython.final
cdef class Will:
    cdef void *broker       # which holds it from the end of its client on
    cdef bytes frame
    cdef bytes destination
    cdef uint64_t delay
    cdef int64_t cost       # in the account of its client, then in that of all
    cdef int64_t *of_all    # where that counts, too ...
    cdef int64_t *memory    # ... and there, since its client has gone; NULL before
    cdef Timer timer
    cdef Link due           # in the broker's ring of those whose time has come

    cdef int leave(self) except -1


cdef Will will_of(const Frame *frame, Broker broker)
cdef int publish_wills(Broker broker) except -1
