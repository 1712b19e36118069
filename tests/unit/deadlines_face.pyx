"""A face to Python of csrc/deadlines.pyx, for its test: a connection without a socket, whose state a test can set."""
from libc.stdint cimport uint32_t, uint64_t

from fastbroker.core.deadlines cimport Deadlines, deadlines_new
from fastbroker.core.hub cimport Hub
from fastbroker.core.input cimport Input, input_new
from fastbroker.core.parking cimport parking_new
from fastbroker.core.parser cimport Parser
from fastbroker.core.session cimport HOLD_MEMORY, STATE_CONNECTED, Session, session_new
from fastbroker.core.transaction cimport transaction_new
from fastbroker.core.transactions cimport transactions_of
from fastbroker.core.turntaker cimport ENDING, LOST, OPEN, SHUT, TurnTaker
from fastbroker.core.wire cimport (
    flow_press, link_joined, outbuf_free, outbuf_init, outbuf_peek, outbuf_pending, text_put, timer_cancel,
)

LIVES = {"open": OPEN, "ending": ENDING, "shut": SHUT, "lost": LOST}


cdef void nothing(void *owner) noexcept:
    pass


cdef class Peer(TurnTaker):
    cdef readonly str aborted

    cdef int abort(self, str reason) except -1:
        self.aborted = reason
        return 0


cdef class Watched:
    cdef Hub hub
    cdef Peer peer
    cdef Session session
    cdef Input input
    cdef Deadlines deadlines

    def __init__(self, Hub hub not None, uint64_t now):
        cdef Parser parser = Parser()
        parser.limits = &hub.broker.parser_limits
        self.hub = hub
        self.peer = Peer()
        self.peer.fd = -1
        hub.broker.now = now
        outbuf_init(&self.peer.out, &hub.broker.outlets, <void *>self.peer)
        self.session = session_new(hub.broker, &self.peer.out, parser, <void *>self.peer)
        self.input = input_new(hub, self.session, &self.peer.out)
        self.deadlines = deadlines_new(hub.broker, self.session, self.input, <void *>self.peer, nothing)
        self.deadlines.begin(now)

    def __dealloc__(self):
        if self.deadlines is not None:
            timer_cancel(&self.deadlines.timer)
            outbuf_free(&self.peer.out)

    def set_now(self, uint64_t now):
        self.hub.broker.now = now

    def is_connected(self):
        self.session.version = 12
        self.session.state = STATE_CONNECTED

    def lives(self, str how):
        self.peer.ours = LIVES[how]
        self.deadlines.ended = self.hub.broker.now

    def beats(self, uint32_t send, uint32_t expect):
        self.session.send_every = send
        self.session.expect_every = expect

    def reads(self):
        self.deadlines.last_read = self.hub.broker.now

    def keeps(self, bytes text not None):
        text_put(&self.input.kept, text, len(text))
        self.input.kept_since = self.hub.broker.now

    def is_wrapped(self):
        self.input.wrapped_since = self.hub.broker.now

    def pauses(self, bint for_memory=False):
        self.input.paused = True
        if for_memory:
            self.session.hold |= HOLD_MEMORY

    def begins(self):
        """A transaction."""
        self.session.transactions = transactions_of(self.hub.broker.namespace, &self.session.account)
        self.session.transactions.open[b"t"] = transaction_new(b"t", &self.hub.broker.census, &self.session.account)

    def parks(self):
        """A frame, for want of memory."""
        self.session.parking = parking_new(<void *>self.session, &self.hub.broker.census.input)
        self.session.parked_at = self.hub.broker.now

    def unparks(self, bint all_of_it):
        self.session.parked_at = self.hub.broker.now
        if all_of_it:
            self.session.parking = None

    def is_blocked(self):
        self.peer.out.blocked = True

    def is_slow(self, int policy):
        flow_press(&self.peer.out.flow, self.hub.broker.now, self.hub.broker.limits.slow_consumer_grace, policy)

    @property
    def due(self):
        """What the timer is armed for, or None."""
        timer_cancel(&self.deadlines.timer)
        self.deadlines.arm()
        return self.deadlines.timer.due if link_joined(&self.deadlines.timer.link) else None

    def act(self, uint64_t now):
        self.hub.broker.now = now
        self.deadlines.act()

    @property
    def said(self):
        """What it was sent since the last time."""
        cdef const char *start = NULL
        cdef size_t length = outbuf_peek(&self.peer.out, &start, outbuf_pending(&self.peer.out))
        found = start[:length] if length else b""
        outbuf_free(&self.peer.out)
        return found

    @property
    def aborted(self):
        return self.peer.aborted

    @property
    def doom(self):
        return self.peer.out.doom

    @property
    def is_overdue(self):
        return self.peer.out.flow.overdue != 0

    @property
    def reason(self):
        return self.session.reason
