"""The log, as whatever has something to say calls it: which events are written, and how often.

    event -> Log: level, rate -> logline.pyx: a line -> log/writer.py: a descriptor

The end of a connection is an event, so that to call the log is a part of what a reconnect storm costs.
"""
from fastbroker.core.reasons import LIMITED

# Events of these names, and events with these reasons, come in floods: each is logged once a second, with the number of
# events that stands for. What stands behind a colon in a reason is not looked at.
RATE_LIMITED = LIMITED | {
    "TLS handshake",
    "PROXY header",
    "out of file descriptors",
    "not raised",
    "dead letter",
    "last will lost",
    "no room for a connection",
    "origin refused",
    "slow consumer",
    "subscription full",
    "TLS hello on a plain port",
    "HTTP request on a STOMP port",
}
WINDOW = 1.0

cdef dict LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


cdef class Held:
    pass


cdef class Log:

    def __init__(self, str level not None, line, write, later):
        self.least = LEVELS[level]
        self.line = line
        self.write = write
        self.later = later
        self.held = {}

    @property
    def debug(self):
        return self.least <= <int>LEVELS["debug"]

    def __call__(self, str level not None, str event not None, /, **fields):
        cdef str kind
        cdef Held held
        if <int>LEVELS[level] < self.least:
            return
        what = event if event in RATE_LIMITED else reason_in(fields)
        if what not in RATE_LIMITED:
            self.write(self.line(level, event, fields))
            return
        # A quiet kind must not keep a loud one back, nor a warning the end of the connection that it is about.
        kind = f"{level} {event} {what}"
        held = self.held.get(kind)
        if held is None:
            self.write(self.line(level, event, fields))
            hold(self, kind)
        else:
            held.events += 1
            held.level, held.event, held.fields = level, event, fields

    def _release(self, str kind not None):
        """The second is over."""
        cdef Held held = self.held.pop(kind)
        if held.events:
            self.write(self.line(held.level, held.event, {**held.fields, "events": held.events}))
            hold(self, kind)


cdef int hold(Log self, str kind) except -1:
    self.held[kind] = Held()
    self.later(WINDOW, self._release, kind)
    return 0


cdef str reason_in(dict fields):
    """Without what stands behind a colon."""
    reason = fields.get("reason")
    if reason is None:
        return ""
    return str(reason).partition(":")[0]
