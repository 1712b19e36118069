"""Lines of the log on their way to a thread."""
cimport cython


@cython.final
cdef class Backlog:
    """What waits. The loop, or any thread, writes; one thread takes."""
    cdef bytearray waiting
    cdef Py_ssize_t most        # bytes
    cdef Py_ssize_t lost
    cdef object wake
    cdef bint idle              # the thread that takes has found nothing, and has to be woken
