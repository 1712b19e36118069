"""Connections: the socket of a client, between the event loop and the rooms that do the work.

    loop --read buffer--> framing --> input --> session         what comes (framing.pyx, input.pyx)
    outbuf --one system call--> kernel                          what goes (outbuf.h)
    deadlines                                                   what must happen by some time (deadlines.pyx)

How it lives is drawn in turntaker.pyx.

Writing. `flush` is called by the turn and makes one system call; what `outbuf_push` has sent already is not in it. When
the kernel takes no more, the transport is given a little of the rest, and tells by resume_writing when there is room
again.

Closing. After ERROR, or the last RECEIPT, output is flushed, our side is shut, input is thrown away until
the peer closes or `linger` is over: unread input would turn close() into a reset, and the last frame would be lost.
"""
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.errno cimport EAGAIN, EINTR, errno

from fastbroker.core.broker cimport Broker
from fastbroker.core.deadlines cimport deadlines_new
from fastbroker.core.hub cimport INPUT_FRONT, INPUT_SPACE, Hub
from fastbroker.core.input cimport input_new
from fastbroker.core.login cimport peer_of, version_name
from fastbroker.core.parser cimport Parser
from fastbroker.core.reasons cimport reason_of, reason_of_doom
from fastbroker.core.session cimport (
    HOLD_LOGIN, HOLD_MEMORY, HOLD_OUTPUT, STATE_CLOSING, STATE_NEW, Session, release_waiters, session_new,
)
from fastbroker.core.turntaker cimport ENDING, GONE, LOST, OPEN, SHUT, SPEAKING, TurnTaker
from fastbroker.core.wire cimport (
    DOOM_LOST, DOOM_NONE, DOOM_OVERFLOW, DOOM_SLOW, DOOM_STALLED, Link, flow_ease, flow_take, link_init, link_join,
    link_joined, link_leave, outbuf_consume, outbuf_doom, outbuf_end, outbuf_free, outbuf_init, outbuf_peek,
    outbuf_pending, outbuf_pressure, outbuf_put, outbuf_send, outbuf_touch, place_init, place_leave, place_spoken,
    place_take, places_slowest, places_too_many, ring_empty, timer_cancel,
)

from fastbroker.core.login import LoginRefused

cdef enum:
    LONE_READ = 16384       # bytes; a read of more has company
    BULK_LAG = 65536        # bytes that a large fan-out may be behind before its publishers wait
    PIECE = 16384           # given to the transport when the kernel is full
    TLS_PIECE = 65536       # given to a transport that makes one system call of it
    SPARE_SOCKETS = 32      # above most_connections, for those that were turned away and do not close yet

# What changes how soon a slow consumer is given up.
KEYS_OF_DOOM = {
    DOOM_OVERFLOW: "limits.outbound_hard",
    DOOM_SLOW: "topics.slow_consumer, limits.slow_consumer_grace",
    DOOM_STALLED: "limits.outbound_timeout",
}


def connection(Hub hub, *, str peer="", str listener="", bint secure=False, object certificate=None):
    return connection_new(hub, peer, listener, secure, certificate)


cdef Connection connection_new(Hub hub, str peer, str listener, bint secure, object certificate):
    cdef Connection new = Connection()
    cdef Parser parser = Parser()
    parser.limits = &hub.broker.parser_limits
    new.hub = hub
    new.fd = -1
    outbuf_init(&new.out, &hub.broker.outlets, <void *>new)
    link_init(&new.link, <void *>new)
    place_init(&new.place, <void *>new)
    new.session = session_new(hub.broker, &new.out, parser, <void *>new)
    new.session.peer = peer
    new.session.listener = listener
    new.session.secure = secure
    new.session.certificate = certificate
    new.input = input_new(hub, new.session, &new.out)
    new.deadlines = deadlines_new(hub.broker, new.session, new.input, <void *>new, timer_fired)
    return new


cdef void timer_fired(void *owner) noexcept:
    (<TurnTaker>owner).time_out()


cdef class Connection(TurnTaker):
    """The asyncio.BufferedProtocol of a client. Nothing here is for other Python code."""

    data_received = None    # looked for at each new connection; to miss it costs an exception

    def __dealloc__(self):
        if self.hub is not None:
            outbuf_free(&self.out)

    # ---- what the event loop calls ----

    def connection_made(self, transport):
        cdef Hub hub = self.hub
        self.transport = self.input.transport = transport
        self.fd = transport.get_extra_info("socket").fileno()
        self.plain = not self.session.secure
        transport.set_write_buffer_limits(0)
        if self.plain:
            self.out.fd = self.fd
        if not self.session.peer:
            self.session.peer = peer_of(self.fd)
        hub.tick_on()
        self.deadlines.begin(hub.broker.now)
        hub.broker.census.connections += 1
        link_join(&hub.connections, &self.link)
        take_place(self)
        if hub.broker.debug:
            hub.broker.log("debug", "connected", peer=self.session.peer, listener=self.session.listener)
        if hub.draining:
            self.abort("server shutting down")
        elif not has_room(self):
            tell_no_room(self)
            self.turn_away(b"server busy", b"The broker has as many connections as it may; try again later.")
        self.after_input()

    def get_buffer(self, size_hint):
        cdef Hub hub = self.hub
        return hub.small_view if hub.broker.is_full() or hub.is_used_up() else hub.input_view

    def buffer_updated(self, Py_ssize_t length):
        self.deadlines.last_read = self.hub.broker.now
        self.received += length
        if self.framing is None:
            if self.ours == OPEN:
                self.input.take(self.hub.input + INPUT_FRONT, length)
        else:
            try:
                self.framing.take(length)
            except Exception as failure:
                broken(self, failure)   # the loop would end it without another word
        if length == INPUT_SPACE and self.ours == OPEN:     # it goes on in the next turn
            link_join(&self.hub.broker.released, &self.session.go_on)
            self.input.pause()
        self.after_input()
        if length < LONE_READ:
            self.hub.answer_at_once()

    def eof_received(self):
        """The peer has shut its side: it still gets what it asked for, as in `printf ... | nc`."""
        self.peer = GONE
        if self.ours == SHUT:
            return False    # both sides are shut
        self.said_all()
        return True

    def pause_writing(self):
        self.out.blocked = True

    def resume_writing(self):
        self.out.blocked = False
        self.deadlines.last_progress = self.hub.broker.now
        outbuf_touch(&self.out)
        self.hub.schedule()

    def connection_lost(self, exception):
        if not self.session.reason:
            self.session.reason = "closed by client" if exception is None else f"connection lost: {exception}"
        lose(self)

    # ---- what the hub calls: nothing of it may fail for the others ----

    cdef int go_on(self) except -1:
        try:
            return go_on(self)
        except Exception as failure:
            return broken(self, failure)

    cdef int unpark(self) except -1:
        if self.session.hold & ~HOLD_MEMORY:
            link_join(&self.hub.broker.parking, &self.session.parking.link)
            return 0    # it waits for something else first
        try:
            self.session.unpark()
        except Exception as failure:
            return broken(self, failure)
        link_join(&self.hub.broker.released, &self.session.go_on)
        return 0

    cdef int time_out(self) except -1:
        try:
            self.deadlines.act()
            return self.after_input()
        except Exception as failure:
            return broken(self, failure)

    cdef int flush(self) except -1:
        """Gives the kernel what is pending, in one system call."""
        if self.ours == LOST:
            return 0
        try:
            if self.out.doom != DOOM_NONE:
                return doomed(self)
            if self.framing is not None:
                self.framing.interject()
            if not self.out.blocked and outbuf_pending(&self.out):
                transmit(self)
                if self.framing is not None:
                    self.framing.interject()    # for which there was no room before
            return written(self)
        except Exception as failure:
            return broken(self, failure)

    cdef int drain(self) except -1:
        """The broker stops: what was received is processed, perhaps over some turns, and the connection ends."""
        if self.ours != OPEN:
            return 0
        if self.session.state == STATE_NEW:
            return self.abort("server shutting down")
        if (not unfinished(self) and self.input.take_rest() and self.session.state != STATE_CLOSING
                and not self.session.owes()):
            say_goodbye(self)
        return self.after_input()

    cdef int abort(self, str reason) except -1:
        """Ends it at once; the loop calls connection_lost later."""
        if self.ours != LOST:
            if not self.session.reason:
                self.session.reason = reason
            self.ours = LOST
            self.fd = self.out.fd = -1      # the number may be another's from now on
            self.transport.abort()
        return 0

    cdef int turn_away(self, bytes message, bytes body) except -1:
        """There is no room for it. Where sockets are used up, nobody waits for the client to close it, either."""
        try:
            self.session.fail(message, body)
            self.after_input()
            if self.hub.broker.census.connections > self.hub.most_connections + SPARE_SOCKETS:
                self.flush()
                self.abort(message.decode())
        except Exception as failure:
            return broken(self, failure)
        return 0

    # ---- what framings call ----

    cdef int say(self, bytes what) except -1:
        """Bytes that are no STOMP frame, as they are."""
        outbuf_put(&self.out, what, len(what))
        outbuf_touch(&self.out)
        return 0

    cdef int close_for(self, str reason) except -1:
        self.session.reason = reason
        self.session.leave()
        return 0

    cdef int said_all(self) except -1:
        """Nothing follows from the client, but what it has sent is still to be answered."""
        if self.session.parking is not None:
            if not self.session.parking.ended:
                self.deadlines.said_all = self.hub.broker.now
                self.session.said_all()
        elif (self.ours == OPEN and self.session.hold == 0 and not self.input.paused and not self.session.owes()
                and not link_joined(&self.session.go_on)):
            self.close_for("closed by client")
        return self.after_input()

    cdef int after_input(self) except -1:
        """What a batch of frames, or a deadline, may have changed."""
        cdef Session session = self.session
        if session.state != STATE_NEW:
            place_leave(&self.hub.places, &self.place)
        if session.login_answer is not None:
            place_spoken(&self.place)
            self.hub.loop.create_task(self._await_login(session.login_answer))
            session.login_answer = None
        if session.state == STATE_CLOSING:
            end(self)
        elif self.ours == OPEN and (session.hold or link_joined(&session.go_on)):
            self.input.pause()
        self.deadlines.arm()
        return self.hub.schedule()

    async def _await_login(self, answer):
        """The authenticator's answer, whenever it comes; a failure of any kind lets nobody in."""
        cdef Session session = self.session
        try:
            identity = await answer
        except LoginRefused as refusal:
            message = str(refusal) or "The login was refused."
        except Exception as failure:
            self.hub.broker.log("error", "authenticator failed", peer=session.peer, error=repr(failure))
            message = "The login could not be checked; try again later."
        else:
            message = None
        if self.ours == LOST or session.state != STATE_NEW:
            return
        session.hold &= ~HOLD_LOGIN
        if message is None:
            session.admit(identity)
        else:
            session.fail(b"login refused", message.encode())
        link_join(&self.hub.broker.released, &session.go_on)
        self.after_input()


# ---- its place among those that have not logged in ----

cdef int take_place(Connection self) except -1:
    cdef Py_ssize_t length = 0
    cdef const char *peer = PyUnicode_AsUTF8AndSize(self.session.peer, &length)
    place_take(&self.hub.places, &self.place, peer, length, self.hub.broker.now)
    return 0


cdef bint has_room(Connection self) except -1:
    """Whether it may stay: there is a socket and a place for it, if need be those of another that is too slow."""
    cdef Hub hub = self.hub
    cdef void *slowest
    if hub.broker.census.connections <= hub.most_connections and not places_too_many(&hub.places):
        return True
    slowest = places_slowest(&hub.places, &self.place, hub.broker.now)
    if slowest == NULL:
        return False
    (<Connection>slowest).turn_away(b"too slow while others wait",
                                    b"No CONNECT was accepted before others needed the place.")
    return True


cdef int tell_no_room(Connection self) except -1:
    cdef Hub hub = self.hub
    cdef bint full = hub.broker.census.connections > hub.most_connections
    hub.broker.log("warning", "no room for a connection", peer=self.session.peer,
                   connections=hub.broker.census.connections - 1, limit=hub.most_connections,
                   not_logged_in=hub.places.taken - 1,
                   key="limits.max_connections" if full else "limits.max_unauthenticated")
    return 0


# ---- input ----

cdef int go_on(Connection self) except -1:
    """After being held: the kept input, then new input."""
    cdef Session session = self.session
    cdef Link *bulk = &self.hub.broker.outlets.bulk
    if self.ours == LOST and self.transport is not None:
        return 0    # the loop has yet to say so
    if not ring_empty(bulk) and outbuf_pending(&(<TurnTaker>bulk.next.owner).out) > BULK_LAG:
        link_join(&self.hub.broker.released, &session.go_on)
        return 0
    if self.ours == LOST:
        return outlive(self)
    if unfinished(self):
        return 0
    if session.receipts is not None and not session.owes():
        session.has_paid()
    if self.ours == OPEN and self.hub.draining:
        return self.drain()
    if self.ours == OPEN:
        self.input.take_kept()
    if session.parking is None:
        self.deadlines.said_all = 0
    if session.hold == 0 and not link_joined(&session.go_on) and session.state != STATE_CLOSING:
        if self.peer != SPEAKING and session.parking is None and not session.owes():
            self.close_for("closed by client")
        elif self.peer == SPEAKING and self.input.paused:
            self.deadlines.last_read = self.input.kept_since = self.hub.broker.now
            self.input.resume()
    return self.after_input()


cdef bint unfinished(Connection self) except -1:
    """Whether what its session has begun takes yet another turn."""
    if self.session.unfinished():
        self.session.carry_on()
    return self.session.unfinished()


# ---- output ----

cdef int transmit(Connection self) except -1:
    cdef const char *bytes = NULL
    cdef size_t length, before, most = PIECE if self.plain else TLS_PIECE
    before = outbuf_pending(&self.out)
    self.deadlines.last_write = self.deadlines.last_progress = self.hub.broker.now
    if self.out.fd >= 0 and outbuf_send(&self.out, self.ours == ENDING and self.framing is None) < 0:
        if errno != EAGAIN and errno != EINTR:
            return self.abort("connection lost")
    while outbuf_pending(&self.out) and not self.out.blocked:
        length = outbuf_peek(&self.out, &bytes, most)
        self.transport.write(bytes[:length])
        outbuf_consume(&self.out, length)
        self.out.sent += length
        self.out.outlets.sent += 2 * length     # encrypted, it costs more
    if self.out.flow.slow_since:
        flow_take(&self.out.flow, before - outbuf_pending(&self.out), self.hub.broker.now,
                  self.hub.broker.limits.slow_consumer_grace)
    return 0


cdef int written(Connection self) except -1:
    """Lets those go on who waited for this output to drain, and ends it when all is said."""
    if outbuf_pending(&self.out) <= self.out.outlets.low:
        if self.session.hold & HOLD_OUTPUT:
            self.session.hold &= ~HOLD_OUTPUT
            link_join(&self.hub.broker.released, &self.session.go_on)
        if not ring_empty(&self.session.starved):
            self.session.drained()
    if self.out.flow.slow_since and outbuf_pressure(&self.out) <= self.out.outlets.low:
        flow_ease(&self.out.flow, self.hub.broker.now)
        release_waiters(self.hub.broker, &self.out.flow.waiters)
    if self.ours == ENDING and not self.out.blocked and outbuf_pending(&self.out) == 0:
        shut(self)
    self.deadlines.arm()
    return 0


# ---- the end ----

cdef int end(Connection self) except -1:
    """The session is over: what was written goes out, what comes in is thrown away."""
    if self.ours != OPEN:
        return 0
    self.ours = ENDING
    self.deadlines.ended = self.hub.broker.now
    release_waiters(self.hub.broker, &self.out.flow.waiters)
    self.input.drop()
    if self.peer == SPEAKING:
        self.input.resume()
    outbuf_touch(&self.out)
    return 0


cdef int shut(Connection self) except -1:
    """All is written. Our side is shut, behind what the framing may still have to say."""
    cdef bint more = self.framing is not None and self.framing.last_words()
    self.deadlines.ended = self.hub.broker.now
    if outbuf_pending(&self.out):
        transmit(self)
    if more:
        outbuf_touch(&self.out)     # for the next turn
    if more or outbuf_pending(&self.out) or self.out.blocked or self.ours == LOST:
        return 0
    self.ours = SHUT
    if self.peer == GONE:
        self.transport.close()
    elif self.framing is None or self.framing.heard_all():
        self.input.resume()
        if self.plain:
            outbuf_end(&self.out)
        else:
            self.transport.write_eof()
    return 0


cdef int say_goodbye(Connection self) except -1:
    """Without ERROR, which clients take for a fault of their own: some give up their failover for it."""
    if self.hub.error_at_stop:
        return self.session.fail(b"server shutting down", b"The broker is stopping; connect again later.")
    return self.close_for("server shutting down")


cdef int doomed(Connection self) except -1:
    """Its output has come to an end that the log may have to warn of."""
    if self.ours == OPEN and self.out.doom in KEYS_OF_DOOM:
        self.deadlines.tell_slow("disconnect", KEYS_OF_DOOM[self.out.doom])
    return self.abort(reason_of_doom(self.out.doom))


cdef int broken(Connection self, failure) except -1:
    """Something of ours failed: this connection ends, the others must not notice."""
    self.hub.broker.log("error", "internal error", peer=self.session.peer, error=repr(failure))
    if self.framing is not None and self.ours != LOST and self.out.doom == DOOM_NONE and not self.out.blocked:
        self.framing.broken()
        transmit(self)
    return self.abort("internal error")


cdef int lose(Connection self) except -1:
    """There is no socket any more: nothing is said to it, nobody waits for it."""
    self.ours = LOST
    self.fd = -1
    self.transport = self.input.transport = None
    self.hub.lost.add(self)     # the loop forgets it
    timer_cancel(&self.deadlines.timer)
    outbuf_free(&self.out)
    self.out.fd = -1
    outbuf_doom(&self.out, DOOM_LOST)
    release_waiters(self.hub.broker, &self.out.flow.waiters)
    return outlive(self)


cdef int outlive(Connection self) except -1:
    """Its session goes on until what was received is used up, and what it held is free again."""
    cdef bint over = True
    try:
        over = not unfinished(self) and self.input.take_rest()
        if over:
            self.session.leave()
            over = not self.session.unfinished()
    finally:
        if over:
            gone(self)
        else:
            self.hub.schedule()
    return 0


cdef int gone(Connection self) except -1:
    """All that it had is free again."""
    cdef Hub hub = self.hub
    self.session.leave()
    link_leave(&self.session.go_on)
    link_leave(&self.link)
    release_waiters(hub.broker, &self.out.flow.waiters)
    outbuf_free(&self.out)
    self.input.drop()
    self.framing = None
    hub.lost.discard(self)
    hub.broker.census.connections -= 1
    place_leave(&hub.places, &self.place)
    hub.schedule()
    hub.broker.census.messages_out += self.out.messages
    return tell_end(self)


cdef int tell_end(Connection self) except -1:
    """The one line that each connection has: much of what a reconnect storm costs."""
    cdef Session session = self.session
    cdef Broker broker = self.hub.broker
    cdef str level = level_of_end(self)
    if level == "debug" and not broker.debug:
        return 0
    broker.log(level, "disconnected", peer=session.peer, login=session.login, reason=session.reason,
               detail=session.detail, destination=session.destination,
               version=version_name(session.version),
               seconds=(broker.now - self.deadlines.made) / 1000.0,
               messages_in=session.published, bytes_in=self.received,
               messages_out=self.out.messages, bytes_out=self.out.sent,
               dropped=self.out.flow.dropped if self.out.flow.dropped else None)
    return 0


cdef str level_of_end(Connection self):
    """Who has said nothing and goes has only looked whether the broker is there."""
    cdef str reason = self.session.reason
    if self.received == 0 and reason.partition(":")[0] in ("closed by client", "connection lost"):
        return "debug"
    return reason_of(reason).level
