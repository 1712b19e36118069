"""Deadlines: each is stated once, as when it is due and what happens then.

    RULES    phase          due                                 then

The timer is armed for the earliest; one that moves away (a byte was received) is not armed again, its rule is looked at
when the timer fires. What has to wait without a deadline of its own here, waits for ever.
"""
from itertools import islice

from libc.stdint cimport uint64_t

from fastbroker.core.broker cimport Broker
from fastbroker.core.input cimport Input
from fastbroker.core.policy cimport SLOW_DISCONNECT, SLOW_DROP_OLDEST
from fastbroker.core.frame cimport shown
from fastbroker.core.session cimport HOLD_FULL, HOLD_MEMORY, STATE_CLOSING, STATE_NEW, Session, release_waiters
from fastbroker.core.subscription cimport Subscription
from fastbroker.core.turntaker cimport LOST, OPEN, SHUT, TurnTaker
from fastbroker.core.wire cimport (
    DOOM_SLOW, DOOM_STALLED, PEER_GONE, PEER_SILENT, WS_TEXT, Flow, OutBuf, flow_due, framed_begin, framed_end,
    framed_put, link_joined, outbuf_doom, outbuf_pending, outbuf_pressure, outbuf_touch, peer_state, ring_empty,
    timer_arm, timer_init,
)

cdef enum:
    LOOK_EVERY = 1000       # milliseconds between looks at a peer that is not read from for want of memory
    TELL_EVERY = 60000      # milliseconds between lines of the log on one slow consumer
    LOOK_WORK = 16          # what a look at a subscription takes, in bytes of output ...
    LOOKS = 1000            # ... and so many are looked at: many connections may be given up in one turn

cdef enum:
    # phases of a connection
    LOGIN = 1
    SESSION = 2
    ENDED = 4

cdef uint64_t NEVER = 0xffffffffffffffff

ctypedef uint64_t (*Due)(Deadlines of) noexcept
ctypedef int (*Then)(Deadlines of) except -1

cdef struct Rule:
    int phases
    Due due
    Then then

cdef Rule[10] RULES
RULES[0] = Rule(ENDED, linger_due, linger_over)
RULES[1] = Rule(LOGIN, login_due, login_over)
RULES[2] = Rule(LOGIN | SESSION, unfinished_due, unfinished_over)
RULES[3] = Rule(SESSION, stalled_due, stalled_over)
RULES[4] = Rule(SESSION, slow_due, slow_over)
RULES[5] = Rule(SESSION, beat_due, beat)
RULES[6] = Rule(SESSION, transaction_due, transaction_over)
RULES[7] = Rule(SESSION, abandoned_due, abandoned)
RULES[8] = Rule(SESSION, look_due, look)
RULES[9] = Rule(SESSION, silence_due, silence_over)


cdef Deadlines deadlines_new(Broker broker, Session session, Input input, void *whose,
                             void (*fire)(void *owner) noexcept):
    cdef Deadlines new = Deadlines()
    new.broker = broker
    new.session = session
    new.input = input
    new.whose = whose
    timer_init(&new.timer, fire, whose)
    return new


cdef class Deadlines:

    cdef void begin(self, uint64_t now) noexcept:
        self.made = self.last_read = self.last_write = self.last_progress = now

    cdef void arm(self) noexcept:
        """The state has changed, or may have: the timer fires when the earliest deadline is over."""
        cdef int phase = phase_of(self)
        cdef uint64_t due = NEVER
        cdef size_t i
        if (<TurnTaker>self.whose).ours == LOST:
            return
        for i in range(sizeof(RULES) // sizeof(Rule)):
            if RULES[i].phases & phase:
                due = min(due, RULES[i].due(self))
        if due != NEVER and (not link_joined(&self.timer.link) or due < self.timer.due):
            timer_arm(&self.broker.wheel, &self.timer, due)

    cdef int act(self) except -1:
        """The timer has fired: what is over has its consequences, until one of them ends the session."""
        cdef int phase = phase_of(self)
        cdef size_t i
        for i in range(sizeof(RULES) // sizeof(Rule)):
            if RULES[i].phases & phase and self.broker.now >= RULES[i].due(self):
                RULES[i].then(self)
            if phase_of(self) != phase:
                return 0
        return 0

    cdef int tell_slow(self, str policy, str key) except -1:
        """The log hears of a slow consumer: now, and again after a while, if it is still one."""
        cdef Flow *flow = &self.session.out.flow
        cdef uint64_t since = flow.pressed if flow.slow_since else self.last_progress
        flow.told = self.broker.now
        self.broker.log("warning", "slow consumer", peer=self.session.peer, login=self.session.login,
                        destination=filled_most(self), waiting=outbuf_pressure(self.session.out),
                        seconds=(self.broker.now - since) / 1000.0, policy=policy, dropped=flow.dropped, key=key)
        return 0


cdef inline int phase_of(Deadlines of) noexcept:
    if (<TurnTaker>of.whose).ours != OPEN or of.session.state == STATE_CLOSING:
        return ENDED
    return LOGIN if of.session.state == STATE_NEW else SESSION


cdef inline OutBuf *out_of(Deadlines of) noexcept:
    return of.session.out


cdef str filled_most(Deadlines of):
    """To what it has subscribed that became too much for it, as far as a look tells: a topic, or a queue that waits for
    it to drain. None: that is over, or it was no message."""
    cdef Subscription subscription, most = None
    cdef uint64_t latest = 0
    if not ring_empty(&of.session.starved):
        most = <Subscription>of.session.starved.next.owner
    for each in islice(of.session.subscriptions.by_key.values(), LOOKS):
        subscription = <Subscription>each
        of.broker.census.work += LOOK_WORK
        if subscription.last_filled() > latest:
            latest = subscription.last_filled()
            most = subscription
    return None if most is None else shown(most.destination).decode()


# ---- what we have ended ----

cdef uint64_t linger_due(Deadlines of) noexcept:
    """It takes what is still to be written, and then closes."""
    if (<TurnTaker>of.whose).ours == OPEN:
        return NEVER
    if (<TurnTaker>of.whose).ours == SHUT:
        return of.ended + of.broker.limits.linger
    return of.ended + of.broker.limits.outbound_timeout

cdef int linger_over(Deadlines of) except -1:
    return (<TurnTaker>of.whose).abort("not closed by the client in time")


# ---- what is to come ----

cdef uint64_t login_due(Deadlines of) noexcept:
    return of.made + of.broker.limits.login_timeout

cdef int login_over(Deadlines of) except -1:
    return of.session.fail(b"login timed out", b"No CONNECT was accepted within limits.login_timeout.")


cdef uint64_t unfinished_due(Deadlines of) noexcept:
    """What has begun to come is complete: a frame, or what it is wrapped in."""
    cdef uint64_t since = of.input.unfinished_since()
    return NEVER if since == 0 or of.input.paused else since + of.broker.limits.frame_timeout

cdef int unfinished_over(Deadlines of) except -1:
    return of.session.fail(b"frame too slow", b"A frame was not complete within limits.frame_timeout.")


cdef uint64_t silence_due(Deadlines of) noexcept:
    """Anything comes. Without heart-beats, what it was sent counts as life too. While it is not read from, it may have
    sent: we do not look."""
    cdef uint64_t most = of.broker.limits.idle_timeout
    if of.input.paused:
        return NEVER
    if of.session.expect_every:
        return of.last_read + min(<uint64_t>(of.session.expect_every * of.broker.limits.heart_beat_margin), most)
    return max(of.last_read, of.last_write) + most

cdef int silence_over(Deadlines of) except -1:
    if of.session.expect_every:
        return of.session.fail(b"no heart-beat", b"Nothing came from the client for longer than its heart-beat allows.")
    return of.session.fail(b"idle too long",
                           b"Nothing happened for limits.idle_timeout; use heart-beats to stay connected.")


cdef uint64_t abandoned_due(Deadlines of) noexcept:
    """A client that has said all, and may have gone, does not keep a socket for frames that wait for memory, or for
    room in a queue."""
    if of.said_all == 0 or (of.session.parking is None and not of.session.hold & HOLD_FULL):
        return NEVER
    return of.said_all + of.broker.limits.outbound_timeout

cdef int abandoned(Deadlines of) except -1:
    if of.session.hold & HOLD_FULL:
        return of.session.fail(b"queue full", b"The queue is full, and what was sent last to it found no room.")
    return of.session.fail(b"server busy", b"The memory ceiling is reached, and what was sent last found no room.")


cdef uint64_t look_due(Deadlines of) noexcept:
    """A peer that is not read from for want of memory, or of room in a queue, is looked at: nobody would see it go."""
    return of.last_look + LOOK_EVERY if of.input.paused and of.session.hold & (HOLD_MEMORY | HOLD_FULL) else NEVER

cdef int look(Deadlines of) except -1:
    cdef int state = peer_state((<TurnTaker>of.whose).fd)
    of.last_look = of.broker.now
    if state == PEER_GONE:
        return (<TurnTaker>of.whose).abort("connection lost")
    if state != PEER_SILENT:
        return probe(of)
    if of.said_all == 0:
        of.said_all = of.broker.now
    return of.session.end_subscriptions()   # it may hold the messages whose memory all wait for


cdef int probe(Deadlines of) except -1:
    """What a peer has sent may fill the window, so that its FIN cannot come; if it has gone, a byte to it tells. To 1.0
    nothing may be said between frames."""
    if of.session.version >= 11 and of.broker.now >= of.last_write + of.broker.limits.outbound_timeout:
        return beat(of)
    return 0


cdef uint64_t transaction_due(Deadlines of) noexcept:
    """A client with an open transaction lets hear of itself. While it is not read from it has as long; and so have its
    frames that wait for memory, whatever it says: what all wait for may be held by transactions."""
    if not of.session.in_transaction():
        return NEVER
    if of.session.parking is not None:
        return of.session.parked_at + of.broker.limits.transaction_timeout
    return max(of.last_read, of.session.parked_at) + of.broker.limits.transaction_timeout

cdef int transaction_over(Deadlines of) except -1:
    return of.session.fail(b"transaction timed out",
                           b"A transaction was open while nothing came, or could be taken, from the client for "
                           b"limits.transaction_timeout; use heart-beats to keep it open.")


# ---- what is to go out ----

cdef uint64_t stalled_due(Deadlines of) noexcept:
    """The kernel takes something of what is pending."""
    return of.last_progress + of.broker.limits.outbound_timeout if out_of(of).blocked else NEVER

cdef int stalled_over(Deadlines of) except -1:
    outbuf_doom(out_of(of), DOOM_STALLED)
    return 0


cdef uint64_t slow_due(Deadlines of) noexcept:
    """It takes enough for publishers not to be held longer than they must be."""
    cdef uint64_t due = flow_due(&out_of(of).flow)
    if out_of(of).flow.overdue:
        return out_of(of).flow.told + TELL_EVERY
    return due if due else NEVER

cdef int slow_over(Deadlines of) except -1:
    cdef Flow *flow = &out_of(of).flow
    if flow.policy == SLOW_DISCONNECT:
        outbuf_doom(out_of(of), DOOM_SLOW)
        return 0
    flow.overdue = True
    release_waiters(of.broker, &flow.waiters)
    if flow.told == 0 or of.broker.now >= flow.told + TELL_EVERY:
        return of.tell_slow("drop-oldest" if flow.policy == SLOW_DROP_OLDEST else "drop-newest",
                            "topics.slow_consumer, limits.slow_consumer_grace")
    return 0


cdef uint64_t beat_due(Deadlines of) noexcept:
    """Something is written, if only a heart-beat."""
    cdef uint64_t every = of.session.send_every
    return of.last_write + every - every // 3 if every and not out_of(of).blocked else NEVER

cdef int beat(Deadlines of) except -1:
    if outbuf_pending(out_of(of)) == 0:
        framed_begin(out_of(of))
        framed_put(out_of(of), b"\n", 1)
        framed_end(out_of(of), WS_TEXT)
        outbuf_touch(out_of(of))
    return 0
