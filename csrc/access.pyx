"""Access: the one place where an action on a destination is allowed.

It is asked with canonical destinations, and an answer is remembered for the session: a client that sends to many queues
in turn costs one question for each. Where nobody is to be asked a session has no Access at all.
"""
from libc.stdint cimport int64_t

from fastbroker.core.frame cimport shown
from fastbroker.core.wire cimport account_charge

from fastbroker.core.frame import Refused

cdef enum:
    REMEMBERED = 4096       # verdicts of one session; then all are forgotten
    COST = 200              # bytes of a verdict beside the destination


cdef Access access_of(object authorize, object identity, Account *account):
    cdef Access new = Access()
    new.authorize = authorize
    new.identity = identity
    new.account = account
    new.verdicts = {}
    return new


cdef class Access:

    cdef int ask(self, str action, bytes destination) except -1:
        """Raises Refused if `action`, "send" or "subscribe", is not allowed on a canonical destination."""
        if (action, destination) in self.verdicts:
            return 0
        if not self.authorize(self.identity, action, destination.decode()):
            raise Refused(b"access refused", b"You may not %b to '%b'." % (action.encode(), shown(destination)))
        if len(self.verdicts) >= REMEMBERED:
            forget(self)
        self.verdicts[action, destination] = len(destination)
        account_charge(self.account, COST + <int64_t>len(destination))
        return 0


cdef int forget(Access self) except -1:
    account_charge(self.account, -COST * <int64_t>len(self.verdicts) - <int64_t>sum(self.verdicts.values()))
    self.verdicts.clear()
    return 0
