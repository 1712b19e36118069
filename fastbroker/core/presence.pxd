"""Who has subscribed to a topic."""
cimport cython

from fastbroker.core.namespace cimport Namespace
from fastbroker.core.subscription cimport Subscription
from fastbroker.core.wire cimport Link, Timer


@cython.final
cdef class Room:
    cdef bytes topic
    cdef dict counts        # session -> how many subscriptions to the topic it has
    cdef dict told          # session -> who that is: those of whom the watchers know
    cdef dict joined        # of whom they do not know yet
    cdef dict left          # that have gone, of which they do not know yet
    cdef set watchers       # Subscriptions
    cdef Namespace namespace
    cdef Timer timer        # of the next message to the watchers
    cdef Link due           # in the ring of rooms whose time has come
    cdef Link *ring         # which is there


@cython.final
cdef class Presence:
    cdef Namespace namespace
    cdef dict rooms         # topic -> Room
    cdef Link due

    cdef int watch(self, Subscription subscription, bytes topic) except -1
    cdef int join(self, Subscription subscription, bytes topic, bytes session, object user) except -1
    cdef int leave(self, Subscription subscription, bytes session) except -1
    cdef int tell(self) except -1


cdef Presence presence_of(Namespace namespace)
