"""Subscriptions by id; and by destination, as STOMP 1.0 allows in UNSUBSCRIBE.

A subscription without id, which is 1.0's, and unless `strict` anybody's, is known by NUL and its destination, which no
id can be: an escape makes an LF of 1.1's and 1.2's, but never a NUL.
"""
from collections import OrderedDict

from libc.stdint cimport int64_t

from fastbroker.core.subscription cimport ACK_AUTO
from fastbroker.core.wire cimport account_charge, ceiling_grants

from fastbroker.core.frame import Refused

cdef enum:
    NOTE_COST = 512     # bytes of what finds one by its destination ...
    NOTE_WORK = 512     # ... and what it takes to make that, in bytes of output


cdef Subscriptions subscriptions_of(Census *census, const Ceiling *ceiling, Account *account):
    cdef Subscriptions new = Subscriptions()
    new.census = census
    new.ceiling = ceiling
    new.account = account
    return new


cdef class Subscriptions:

    def __cinit__(self):
        self.by_key = {}

    cdef bytes new_key(self, bytes id, bytes destination):
        """What UNSUBSCRIBE and a 1.1 ACK will call it; a client may leave ids out, even twice for a destination."""
        cdef bytes key
        if id is not None:
            return id
        key = b"\0%b" % destination
        if key in self.by_key:
            self.nameless += 1
            key = b"\0%b\0%d" % (destination, self.nameless)
        return key

    cdef Subscription get(self, bytes key):
        return self.by_key.get(key)

    cdef bytes key_of(self, bytes destination):
        """The oldest subscription to that destination, or None. From the first such question on, all are noted."""
        if self.by_destination is None:
            note_all(self)
        keys = self.by_destination.get(destination)
        return next(iter(keys)) if keys else None

    cdef int add(self, bytes key, Subscription subscription) except -1:
        self.by_key[key] = subscription
        self.autos += subscription.ack_mode == ACK_AUTO
        if self.by_destination is not None:
            note(self, key, subscription.destination)
        return 0

    cdef Subscription remove(self, bytes key):
        cdef Subscription subscription = self.by_key.pop(key)
        self.autos -= subscription.ack_mode == ACK_AUTO
        if self.by_destination is not None:
            forget(self, key, subscription.destination)
        return subscription

    cdef Subscription remove_any(self):
        """One after the other until it returns None."""
        if self.by_destination is not None:
            account_charge(self.account, -NOTE_COST * <int64_t>len(self.by_key))
            self.by_destination = None
        return self.by_key.popitem()[1] if self.by_key else None


cdef int note_all(Subscriptions self) except -1:
    if not ceiling_grants(self.ceiling, NOTE_COST * <int64_t>len(self.by_key)):
        raise Refused(b"server busy", b"There is no memory to find so many subscriptions by their destination; "
                      b"name the id.")
    self.by_destination = {}
    for key, subscription in self.by_key.items():
        note(self, key, (<Subscription>subscription).destination)
    return 0


cdef int note(Subscriptions self, bytes key, bytes destination) except -1:
    """In an OrderedDict, since a dict looks for its first key behind all that went before it."""
    keys = self.by_destination.get(destination)
    if keys is None:
        keys = self.by_destination[destination] = OrderedDict()
    keys[key] = None
    account_charge(self.account, NOTE_COST)
    self.census.work += NOTE_WORK
    return 0


cdef int forget(Subscriptions self, bytes key, bytes destination) except -1:
    keys = self.by_destination[destination]
    del keys[key]
    account_charge(self.account, -NOTE_COST)
    if not keys:
        del self.by_destination[destination]
    return 0
