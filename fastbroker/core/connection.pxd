"""The socket of a client."""
cimport cython
from libc.stdint cimport uint64_t

from fastbroker.core.deadlines cimport Deadlines
from fastbroker.core.framing cimport Framing
from fastbroker.core.hub cimport Hub
from fastbroker.core.input cimport Input
from fastbroker.core.session cimport Session
from fastbroker.core.turntaker cimport TurnTaker
from fastbroker.core.wire cimport Place


@cython.final
cdef class Connection(TurnTaker):
    cdef object transport
    cdef Session session
    cdef Input input
    cdef Deadlines deadlines
    cdef Place place            # until it has logged in
    cdef Framing framing        # None: bytes are STOMP as they are
    cdef bint plain             # no TLS: bytes go to the socket as they are
    cdef uint64_t received      # bytes
    cdef Hub hub                # last: what is freed before it counts itself down there

    cdef int close_for(self, str reason) except -1
    cdef int said_all(self) except -1
    cdef int after_input(self) except -1
    cdef int turn_away(self, bytes message, bytes body) except -1
    cdef int say(self, bytes what) except -1


cdef Connection connection_new(Hub hub, str peer, str listener, bint secure, object certificate)
