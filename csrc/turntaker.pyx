"""What takes turns in a hub: a connection, whatever it is made of.

    ours   OPEN -> ENDING -> SHUT -> LOST           each step is taken once; LOST can follow on any of them
    peer   SPEAKING -> SAID_ALL -> GONE

The two go their ways on their own: a peer that has said all still gets the answers to it, and one that we have ended is
still read from, since unread input would turn close() into a reset and cost our last words.
"""


cdef class TurnTaker:

    cdef int go_on(self) except -1:
        """It was held, or has had its share, and may go on."""
        raise NotImplementedError

    cdef int unpark(self) except -1:
        """There is memory for frames that waited for it."""
        raise NotImplementedError

    cdef int flush(self) except -1:
        """What it has to send, goes out."""
        raise NotImplementedError

    cdef int time_out(self) except -1:
        """One of its deadlines may be over."""
        raise NotImplementedError

    cdef int drain(self) except -1:
        """The broker stops."""
        raise NotImplementedError

    cdef int abort(self, str reason) except -1:
        """Ends it at once."""
        raise NotImplementedError
