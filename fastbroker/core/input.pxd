"""What a client has sent and what of it was not handled yet."""
cimport cython
from libc.stdint cimport uint64_t

from fastbroker.core.broker cimport Broker
from fastbroker.core.hub cimport Hub
from fastbroker.core.parser cimport Parser
from fastbroker.core.session cimport Session
from fastbroker.core.wire cimport OutBuf, Text


@cython.final
@cython.no_gc
cdef class Input:
    cdef Session session
    cdef Parser parser
    cdef OutBuf *out            # of the connection
    cdef object transport       # from which it stops reading
    cdef Text kept              # a frame that a read cut off, or all while the session holds
    cdef uint64_t kept_since    # when the frame that is under way began
    cdef uint64_t wrapped_since # when what wraps it began, if that is not complete; 0: it is, or nothing does
    cdef size_t wrapped         # bytes of that, kept elsewhere
    cdef bint paused            # reading, by us
    cdef int heeds              # HOLD_* that stop it
    cdef bint large             # one of the hub's large inputs
    cdef Hub hub                # last: what is freed before it counts itself down there

    cdef int take(self, char *bytes, size_t length) except -1
    cdef int add(self, const char *bytes, size_t length) except -1
    cdef int take_kept(self) except -1
    cdef bint take_rest(self) except -1
    cdef bint may_hold(self, size_t wrapped) except -1
    cdef int drop(self) except -1
    cdef int pause(self) except -1
    cdef int resume(self) except -1

    cdef inline uint64_t unfinished_since(self) noexcept:
        """When the oldest of what is unfinished began; 0: nothing is."""
        if self.kept.end and (self.wrapped_since == 0 or self.kept_since < self.wrapped_since):
            return self.kept_since
        return self.wrapped_since


cdef int hint(Session session, const char *bytes, size_t length) except -1
cdef Input input_new(Hub hub, Session session, OutBuf *out)
