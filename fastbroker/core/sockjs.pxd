"""What a SockJS client wraps its stream in."""
cimport cython
from libc.stdint cimport uint64_t

from fastbroker.core.connection cimport Connection
from fastbroker.core.hub cimport Hub
from fastbroker.core.wire cimport OutBuf, Text

cdef extern from "csrc/wsframe.h" nogil:
    size_t ws_first_frame(const OutBuf *out)


@cython.final
cdef class SockJs:
    cdef object codec
    cdef Text waiting       # an array that has not come as a whole
    cdef uint64_t since     # when it began
    cdef size_t seen        # of what waits, looked at before
    cdef bint in_string
    cdef bint escaped
    cdef Hub hub            # last: what is freed before it counts itself down there

    cdef int take(self, Connection connection, size_t length) except -1
    cdef bytes opening(self)
    cdef bytes next(self, OutBuf *out)
    cdef bytes closing(self, int code, str reason)

    # inside
    cdef size_t _end(self) noexcept
    cdef int _take_array(self, Connection connection, bytes array) except -1
    cdef int _check(self, Connection connection) except -1


cdef SockJs sockjs_new(Hub hub, object codec)
