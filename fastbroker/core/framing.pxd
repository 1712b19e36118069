"""How the bytes of a connection lie on the wire, where they do not as STOMP says."""


cdef class Framing:
    cdef int take(self, size_t length) except -1
    cdef int interject(self) except -1
    cdef bint last_words(self) except -1
    cdef bint heard_all(self)
    cdef int broken(self) except -1
