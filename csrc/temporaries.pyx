"""Temporary queues: what a client calls /temp-queue/<id>, and others by an unguessable /reply-queue/<token>.

One is made when its client first names it, in a SEND, a SUBSCRIBE or a reply-to, and goes with the connection.
"""
from libc.stdint cimport int64_t
from libc.string cimport memcmp

from fastbroker.core.wire cimport account_charge

from fastbroker.core.frame import Refused

cdef enum:
    COST = 512          # bytes of one beside its id and the queue
    PREFIX = 12         # bytes of /temp-queue/


cdef Temporaries temporaries_of(Namespace namespace, Account *account):
    cdef Temporaries new = Temporaries()
    new.namespace = namespace
    new.account = account
    new.queues = {}
    return new


cdef bint is_temporary(const char *destination, size_t length) noexcept:
    return length > PREFIX and memcmp(destination, b"/temp-queue/", PREFIX) == 0


cdef class Temporaries:

    cdef Queue queue(self, bytes id):
        """The queue that this client knows by that id."""
        cdef Queue queue = self.queues.get(id)
        if queue is not None:
            return queue
        if len(self.queues) >= <Py_ssize_t>self.namespace.limits.max_subscriptions:
            raise Refused(b"too many subscriptions", b"The connection has limits.max_subscriptions temporary queues.")
        queue = self.namespace.new_reply_queue()
        self.queues[id] = queue
        account_charge(self.account, COST + <int64_t>len(id))
        return queue

    cdef int end(self) except -1:
        """The connection ends."""
        while self.queues:
            self.namespace.remove_queue(self.queues.popitem()[1])
        return 0
