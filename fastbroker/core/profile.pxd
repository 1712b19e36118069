"""What another broker words or defaults differently, for those of its clients that rely on it."""
cimport cython
from libc.stdint cimport uint64_t

from fastbroker.core.frame cimport Content, Frame
from fastbroker.core.wire cimport Text

cdef enum:
    # what a NACK does that says nothing of it
    NACK_REQUEUES
    NACK_REJECTS            # to the dead letters
    NACK_DROPS


@cython.final
@cython.no_gc
cdef class Profile:
    cdef bytes server           # what CONNECTED begins its name with; empty: our own
    cdef tuple answers          # (header of CONNECTED, headers of CONNECT whose value it has)
    cdef bytes first_lines      # in front of each MESSAGE that was not given out before
    cdef tuple always           # headers that each MESSAGE of a SEND has
    cdef bint receipts_at_commit    # those of SENDs in a transaction
    cdef int nack               # NACK_*
    cdef tuple windows          # headers of SUBSCRIBE that count bytes
    cdef bint error_versions    # each ERROR says which versions there are
    cdef dict errors            # by our `message`, what ERROR says

    cdef bytes server_named(self, bytes ours)
    cdef bytes error_message(self, const Frame *frame, bytes message, str login)
    cdef int complete(self, const Frame *frame, Text *scratch, uint64_t now, Content *content) except -1


cdef Profile profile_of(str name)
