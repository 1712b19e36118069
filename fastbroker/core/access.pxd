"""Whether a client may do what it asks for."""
cimport cython

from fastbroker.core.wire cimport Account


@cython.final
cdef class Access:
    cdef object authorize       # (identity, action, destination) -> bool
    cdef object identity
    cdef Account *account       # of the session; outlives it
    cdef dict verdicts          # (action, canonical destination) -> True; what was refused ends the session

    cdef int ask(self, str action, bytes destination) except -1


cdef Access access_of(object authorize, object identity, Account *account)
