"""What the hub knows of a connection: that it takes turns."""
from fastbroker.core.wire cimport Link, OutBuf

cdef enum:
    # how far we are with it
    OPEN
    ENDING                  # its session is over: what was written goes out, what comes is thrown away
    SHUT                    # our last byte is with the kernel, and we have said so
    LOST                    # there is no socket any more

cdef enum:
    # how far the peer is
    SPEAKING
    SAID_ALL                # it has said that nothing follows, but may still have to shut its side
    GONE                    # its side of the socket is shut


cdef class TurnTaker:
    cdef Link link          # in the hub's ring
    cdef OutBuf out
    cdef int fd             # of the socket; -1: it is closed
    cdef int ours           # OPEN to LOST
    cdef int peer           # SPEAKING to GONE

    cdef int go_on(self) except -1
    cdef int unpark(self) except -1
    cdef int flush(self) except -1
    cdef int time_out(self) except -1
    cdef int drain(self) except -1
    cdef int abort(self, str reason) except -1
