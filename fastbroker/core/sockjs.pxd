"""What a SockJS client wraps its stream in."""
cimport cython

from fastbroker.core.hub cimport Hub
from fastbroker.core.input cimport Input
from fastbroker.core.wire cimport Text


@cython.final
cdef class SockJs:
    cdef object codec
    cdef Input input
    cdef Text message       # that has not come as a whole
    cdef Hub hub            # last: what is freed before it counts itself down there

    cdef int take(self, const char *start, size_t length, bint complete) except -1
    cdef bytes opening(self)
    cdef bytes closing(self, int code, str reason)


cdef SockJs sockjs_new(Hub hub, Input input, object codec)
