"""What lies between a socket and STOMP, if anything does: a request in HTTP, then WebSocket, then perhaps SockJS.

    socket -> read buffer -> take() -> input        output (wrapped as it is written) -> socket

A connection has one framing at a time, or none: then its bytes are STOMP.
"""


cdef class Framing:

    cdef int take(self, size_t length) except -1:
        """So many bytes were read into the hub's buffer."""
        raise NotImplementedError

    cdef int interject(self) except -1:
        """The output is about to be flushed: what it has to say itself, if it has."""
        raise NotImplementedError

    cdef bint last_words(self) except -1:
        """All is sent and the session is over: what is left to say goes into the output. Whether more follows."""
        raise NotImplementedError

    cdef bint heard_all(self):
        """Whether nothing that may still come is worth waiting for."""
        raise NotImplementedError

    cdef int broken(self) except -1:
        """Something of ours has failed and the connection ends at once."""
        raise NotImplementedError
