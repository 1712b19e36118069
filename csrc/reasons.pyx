"""Reasons: why a session, a connection or a request ends, in one table for all that must be said then.

    text         what ERROR has as its `message`, CLOSE as its reason, and the log as `reason`; clients may rely on it
    close_code   RFC 6455, section 7.4: 1000 done, 1002 what came breaks a protocol, 1003 another protocol, 1008 not
                 allowed, 1009 too large, 1011 our fault, 1012 we stop, 1013 later
    status       RFC 9110, section 15
    level        of the line in the log
    limited      clients cause such lines in floods: the log has one a second, with the number of events that stands for

What becomes of a text that is not in the table says that the client has broken the protocol. What stands behind a colon
is for a person, and is not looked at.
"""
from fastbroker.core.wire cimport DOOM_MEMORY, DOOM_OVERFLOW, DOOM_SLOW, DOOM_STALLED


DONE, BROKEN, FOREIGN, FORBIDDEN, TOO_LARGE, OURS, STOPPING, LATER = 1000, 1002, 1003, 1008, 1009, 1011, 1012, 1013

# text, close_code, status, level, limited
TABLE = (
    ("closed by client", DONE, 400, "info", False),
    ("disconnect", DONE, 400, "info", False),
    ("server shutting down", STOPPING, 503, "info", False),
    ("server stopped", STOPPING, 503, "info", False),
    ("server busy", LATER, 503, "info", True),
    ("too slow while others wait", LATER, 408, "info", True),
    ("internal error", OURS, 500, "error", False),
    ("out of memory", OURS, 503, "error", False),

    # too late
    ("connection lost", BROKEN, 400, "info", False),
    ("not closed by the client in time", BROKEN, 408, "info", False),
    ("login timed out", FORBIDDEN, 408, "info", False),
    ("frame too slow", FORBIDDEN, 408, "info", False),
    ("no heart-beat", FORBIDDEN, 408, "info", False),
    ("idle too long", FORBIDDEN, 408, "info", False),
    ("transaction timed out", FORBIDDEN, 408, "info", False),
    ("slow consumer", BROKEN, 408, "info", False),

    # not allowed
    ("access refused", FORBIDDEN, 403, "info", False),
    ("login refused", FORBIDDEN, 403, "info", False),
    ("too many subscriptions", FORBIDDEN, 400, "info", False),
    ("too many transactions", FORBIDDEN, 400, "info", False),

    # too large
    ("frame too large", TOO_LARGE, 413, "info", False),
    ("request too large", TOO_LARGE, 431, "info", False),
    ("transaction too large", TOO_LARGE, 413, "info", False),

    # not understood; what is not in this table is one of these
    ("bad WebSocket frame", BROKEN, 400, "info", False),
    ("bad SockJS message", BROKEN, 400, "info", False),
    ("not HTTP", FOREIGN, 400, "info", False),
    ("unknown command", BROKEN, 400, "info", False),
)
# What fails for itself alone, has changed nothing and leaves no doubt about what follows: a client may ask that it does
# not end the connection.
SOFT = frozenset((
    b"access refused", b"bad ack mode", b"bad destination", b"bad header", b"bad selector", b"duplicate subscription",
    b"missing header", b"no such queue", b"nobody there", b"pattern not allowed", b"queue full", b"server busy",
    b"subscription in use", b"too many subscriptions", b"unknown ack", b"unknown destination", b"unknown subscription",
))
# What a request in HTTP ends with that asks for no WebSocket: probes of load balancers come all the time.
PROBES = ("HTTP 200", "HTTP 304", "HTTP 404", "HTTP 426")


cdef Reason made(tuple row):
    cdef Reason new = Reason()
    new.text, new.close_code, new.status, new.level, new.limited = row
    return new


cdef dict REASONS = {row[0]: made(row) for row in (*TABLE, *((probe, DONE, 400, "debug", False) for probe in PROBES))}
cdef Reason OTHER = made(("", BROKEN, 400, "info", False))
cdef dict DOOMS = {
    DOOM_OVERFLOW: "slow consumer: limits.outbound_hard reached",
    DOOM_SLOW: "slow consumer",
    DOOM_STALLED: "slow consumer: nothing taken for limits.outbound_timeout",
    DOOM_MEMORY: "out of memory",
}
LIMITED = frozenset(row[0] for row in TABLE if row[4])


cdef class Reason:
    """One row of the table."""


cdef Reason reason_of(str text):
    """What is said for it."""
    cdef Reason known = REASONS.get(text)
    return known if known is not None else REASONS.get(text.partition(":")[0], OTHER)


cdef bint is_soft(bytes text):
    """Whether a frame that is refused for it can be told so without the end of the connection."""
    return text in SOFT


cdef str reason_of_doom(int doom):
    """The text for what an output has come to."""
    return DOOMS[doom]


def status_of(str text not None):
    """The HTTP status for it, where there is no WebSocket yet."""
    return reason_of(text).status
