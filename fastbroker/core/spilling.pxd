"""Which messages need not be in memory, as the journal has them."""
cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t

from fastbroker.core.journal cimport Journal, Located
from fastbroker.core.queue cimport QueueOwner
from fastbroker.core.wire cimport Census, Link


@cython.final
@cython.no_gc
cdef class Spilling:
    """The round that looks for them."""
    cdef void *owner            # QueueOwner, which has it
    cdef Census *census
    cdef Journal journal
    cdef Link round             # queues to which it has not come
    cdef bint asked             # the store looks where the messages of `segment` are
    cdef uint64_t segment       # whose messages it knows; 0: of none
    cdef Located *located       # where these are
    cdef size_t count
    cdef size_t near            # where the last one was found
    cdef uint64_t next          # the oldest segment behind that one with messages that could go; 0: none
    cdef uint64_t newest        # the one that was written when the last round ended ...
    cdef uint64_t again         # ... and when there is another one all the same ...
    cdef uint64_t again_whole   # ... and one that looks at all that is on shelves, ...
    cdef bint whole             # ... which this one does
    # In the queue that is looked at:
    cdef void *current          # NULL: in none
    cdef uint64_t number        # in its ring it goes on there; 0: it has not begun
    cdef uint64_t blocked       # the first one before that that could not go yet, and one more; 0: none
    cdef uint32_t others        # messages in a row that could not
    cdef size_t node            # and on its shelf there, and one more; 0: it has not begun
    cdef uint64_t kept          # whose places before that one stay in memory


cdef Spilling spilling_new(QueueOwner owner)
cdef int spill_on(Spilling self, int64_t budget) except -1
cdef int hear_fetched(Spilling self) except -1
cdef int call_starved(Spilling self) except -1
