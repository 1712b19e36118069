"""What comes before a WebSocket."""
cimport cython

from fastbroker.core.connection cimport Connection
from fastbroker.core.framing cimport Framing
from fastbroker.core.hub cimport Hub
from fastbroker.core.wire cimport Text


@cython.final
cdef class Upgrade(Framing):
    cdef Connection connection
    cdef Text request           # as far as it has come
    cdef bytes page             # the body of an answer until all of it is sent, or None
    cdef size_t page_sent
    cdef bint answered
    cdef Hub hub                # last: what is freed before it counts itself down there
