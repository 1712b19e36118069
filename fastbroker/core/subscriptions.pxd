"""The subscriptions of one client, under the names that its frames use."""
cimport cython
from libc.stdint cimport uint32_t, uint64_t

from fastbroker.core.subscription cimport Subscription
from fastbroker.core.wire cimport Account, Ceiling, Census


@cython.final
cdef class Subscriptions:
    cdef Census *census
    cdef const Ceiling *ceiling
    cdef Account *account       # of the session, outlives it
    cdef dict by_key
    cdef dict by_destination    # destination -> {key: None}; made when somebody first asks
    cdef uint32_t autos         # of them that need no ACK
    cdef uint64_t nameless      # subscriptions without id that shared a destination with another

    cdef bytes new_key(self, bytes id, bytes destination)
    cdef Subscription get(self, bytes key)
    cdef bytes key_of(self, bytes destination)
    cdef int add(self, bytes key, Subscription subscription) except -1
    cdef Subscription remove(self, bytes key)
    cdef Subscription remove_any(self)


cdef Subscriptions subscriptions_of(Census *census, const Ceiling *ceiling, Account *account)
