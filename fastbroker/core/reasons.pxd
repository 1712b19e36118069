"""Why a session ends, and what each layer says then."""
cimport cython


@cython.final
cdef class Reason:
    cdef readonly str text          # the `message` of ERROR, the reason in a CLOSE and in the log
    cdef readonly int close_code    # of WebSocket
    cdef readonly int status        # of HTTP, where there is no WebSocket yet
    cdef readonly str level         # of the log line
    cdef readonly bint limited      # such lines may come in any number: the log leaves some out


cdef Reason reason_of(str text)
cdef bint is_soft(bytes text)
cdef str reason_of_doom(int doom)
