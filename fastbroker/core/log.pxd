"""Which events are logged, and how often."""
cimport cython


cdef class Held:
    """What a second has kept back: how many events, and the last of them."""
    cdef int events
    cdef str level
    cdef str event
    cdef dict fields


@cython.final
cdef class Log:
    """What the broker calls as log(level, event, **fields), from its loop."""
    cdef object __weakref__
    cdef int least
    cdef object line            # makes a line of level, event and fields
    cdef object write
    cdef object later           # the loop's call_later
    cdef dict held              # kind -> Held, for a second
