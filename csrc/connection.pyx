"""Connections: from the loop's read buffer to the session, and from the output buffer to the kernel.

Reading. The loop reads into one buffer that all connections share. Frames are handled where they lie; what the read cut
off is kept and put in front of the next read. A connection stops reading while its session holds, and for the rest of a
turn when it has filled the buffer or caused much output, so that the others are served.

Writing. `flush` is called by the turn and makes one system call; what `outbuf_push` has sent already is not in it. When the kernel takes no more, the transport is given a
little of the rest, and tells by resume_writing when there is room again.

Closing. After ERROR, or the RECEIPT of a DISCONNECT, output is flushed, our side is shut, input is thrown away until the
peer closes or `linger` is over: unread input would turn close() into a reset, and the last frame would be lost.
"""
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

from fastbroker.core.broker cimport Broker
from fastbroker.core.frame cimport Frame
from fastbroker.core.hub cimport INPUT_FRONT, INPUT_SPACE, Hub
from fastbroker.core.parser cimport PARSE_FRAME, PARSE_MORE, Parser
from fastbroker.core.fanout cimport POLICY_DISCONNECT
from fastbroker.core.session cimport (
    HOLD_LOGIN, HOLD_MEMORY, HOLD_OUTPUT, HOLD_SLOW, STATE_CLOSING, STATE_CONNECTED, STATE_NEW, Session, session_new,
)
from fastbroker.core.wire cimport (
    DOOM_MEMORY, DOOM_NONE, DOOM_OVERFLOW, DOOM_SLOW, PEER_GONE, PEER_SILENT, Census, ceiling_input_full, Link, link_init, link_join, link_joined, link_leave, outbuf_consume,
    outbuf_doom, outbuf_free, outbuf_init, outbuf_peek, outbuf_pending, outbuf_pressure, outbuf_put, outbuf_send,
    outbuf_touch, peer_state, ring_empty, ring_take, text_free, text_length, text_put, text_use, timer_arm,
    timer_cancel, timer_init,
)

from fastbroker.core.frame import Refused
from fastbroker.core.login import LoginRefused

cdef enum:
    LONE_READ = 16384       # bytes; a read of more has company
    OUTPUT_SLICE = 4194304  # bytes of output that one connection may cause before others are served
    PEER_CHECK = 1000       # milliseconds between looks at a peer that is not read from for want of memory
    BULK_LAG = 65536        # bytes that a large fan-out may be behind before its publishers wait

DOOMS = {
    DOOM_OVERFLOW: "slow consumer: limits.outbound_hard reached",
    DOOM_SLOW: "slow consumer",
    DOOM_MEMORY: "out of memory",
}


cdef int connection_init(Connection new, Hub hub, str peer, str listener, bint secure, object certificate) except -1:
    new.hub = hub
    new.fd = -1
    new.parser = Parser()
    new.parser.limits = &hub.broker.parser_limits
    new.kept.counted = &hub.broker.census.input
    outbuf_init(&new.out, &hub.broker.outlets, <void *>new)
    link_init(&new.link, <void *>new)
    timer_init(&new.timer, timer_fired, <void *>new)
    new.session = session_new(hub.broker, &new.out, new.parser, <void *>new)
    new.session.peer = peer
    new.session.listener = listener
    new.session.secure = secure
    new.session.certificate = certificate
    return 0


cdef void timer_fired(void *owner) noexcept:
    (<Connection>owner).time_out()


cdef str peer_of(transport):
    peer = transport.get_extra_info("peername")
    if isinstance(peer, tuple):
        return f"[{peer[0]}]:{peer[1]}" if ":" in peer[0] else f"{peer[0]}:{peer[1]}"
    return peer or "unknown"    # it was reset before it was looked at


cdef class Connection:
    """The asyncio.BufferedProtocol of a client. Made by Hub.connection; nothing here is for other Python code."""

    def __dealloc__(self):
        text_free(&self.kept)
        if self.hub is not None:
            outbuf_free(&self.out)

    # ---- what the event loop calls ----

    def connection_made(self, transport):
        cdef Hub hub = self.hub
        self.transport = transport
        self.fd = transport.get_extra_info("socket").fileno()
        self.plain = transport.get_extra_info("sslcontext") is None
        transport.set_write_buffer_limits(0)
        if self.plain:
            self.out.fd = self.fd
        if not self.session.peer:
            self.session.peer = peer_of(transport)
        self.made = self.last_read = self.last_write = self.last_progress = hub.broker.now
        hub.broker.census.connections += 1
        link_join(&hub.connections, &self.link)
        hub.unauthenticated += 1
        self.unauthenticated = True
        hub.tick_on()
        if hub.draining:
            self.abort("server shutting down")
        elif (hub.broker.census.connections > hub.most_connections
                or hub.unauthenticated > hub.broker.limits.max_unauthenticated):
            self.session.fail(b"server busy", b"The broker has as many connections as it may; try again later.")
        self._after_input()

    def get_buffer(self, size_hint):
        return self.hub.input_view

    def buffer_updated(self, Py_ssize_t length):
        self.last_read = self.hub.broker.now
        if self.closing:
            return
        self._take(length)
        self._has_read(length)

    def eof_received(self):
        """The peer has shut its side: it still gets what it asked for, as in `printf ... | nc`."""
        self.eof = True
        if self.half_closed:
            return False    # both sides are shut
        self._said_all()
        return True

    def pause_writing(self):
        self.out.blocked = True

    def resume_writing(self):
        self.out.blocked = False
        self.last_progress = self.hub.broker.now
        outbuf_touch(&self.out)
        self.hub.schedule()

    def connection_lost(self, exception):
        self.lost = True
        self.fd = self.out.fd = -1
        try:
            self._finish_input()
        finally:
            self._gone(exception)

    def _gone(self, exception):
        cdef Hub hub = self.hub
        if not self.session.reason:
            self.session.reason = "closed by client" if exception is None else f"connection lost: {exception}"
        self.session.leave()
        timer_cancel(&self.timer)
        link_leave(&self.session.go_on)
        link_leave(&self.link)
        self._release_waiters()
        outbuf_free(&self.out)
        text_free(&self.kept)
        self.transport = None
        hub.broker.census.connections -= 1
        self._count_authenticated()
        hub.schedule()
        hub.broker.log("info", "disconnected", peer=self.session.peer, login=self.session.login,
                       reason=self.session.reason, seconds=round((hub.broker.now - self.made) / 1000.0, 3))

    # ---- input ----

    cdef int _has_read(self, size_t length) except -1:
        """So many bytes were taken. Who has filled the buffer goes on in the next turn."""
        if length == INPUT_SPACE and not self.closing:
            link_join(&self.hub.broker.released, &self.session.go_on)
            self._pause()
        self._after_input()
        if length < LONE_READ:
            self.hub.answer_at_once()
        return 0

    cdef int _said_all(self) except -1:
        """Nothing follows from the client, but what it has sent is still to be answered."""
        if self.session.parking is not None:
            if not self.session.parking.ended:
                self.session.said_all()
        elif not self.closing and self.session.hold == 0 and not self.paused:
            self._close_for("closed by client")
        return self._after_input()

    cdef int _take(self, size_t length) except -1:
        """`length` new bytes lie in the loop's buffer: behind the room where what was kept may go."""
        cdef char *bytes = self.hub.input + INPUT_FRONT
        cdef size_t kept = text_length(&self.kept), used
        if kept > INPUT_FRONT and ceiling_input_full(&self.hub.broker.ceiling):
            return self.session.fail(b"server busy", b"Too many large frames are under way at once; try again later.")
        if kept > INPUT_FRONT or self.session.hold or link_joined(&self.session.go_on):
            if text_put(&self.kept, bytes, length) < 0:
                return self.abort("out of memory")
            return self._take_kept()
        if kept:
            memcpy(bytes - kept, self.kept.bytes + self.kept.start, kept)
            bytes -= kept
            length += kept
            text_free(&self.kept)
        used = self._frames(bytes, length)
        if used < length and text_put(&self.kept, bytes + used, length - used) < 0:
            return self.abort("out of memory")
        if used or not kept:
            self.kept_since = self.last_read
        return 0

    cdef int _take_kept(self) except -1:
        cdef size_t length = text_length(&self.kept), used
        if length and not self.session.hold and not link_joined(&self.session.go_on):
            used = self._frames(self.kept.bytes + self.kept.start, length)
            text_use(&self.kept, used)
            if used:
                self.kept_since = self.hub.broker.now
        return 0

    cdef size_t _frames(self, const char *bytes, size_t length) except? 0:
        """Handles whole frames until there are no more, or the session holds; returns how many bytes they were."""
        cdef Broker broker = self.hub.broker
        cdef Session session = self.session
        cdef Frame *frame = &broker.frame
        cdef Census *census = &broker.census
        cdef int64_t budget = census.bytes_out + census.work + OUTPUT_SLICE
        cdef size_t used = 0
        cdef int status
        self.parser.begin()
        try:
            while used < length and session.state != STATE_CLOSING:
                status = self.parser.next(bytes + used, length - used, frame)
                used += frame.skipped
                if status != PARSE_FRAME:
                    if status != PARSE_MORE:
                        self._hint(bytes, length)
                        session.malformed(status)
                    break
                used += frame.size
                session.on_frame(frame)
                if outbuf_pending(&self.out) > self.out.outlets.own:
                    session.hold |= HOLD_OUTPUT
                if session.hold:
                    break
                if census.bytes_out + census.work > budget:
                    link_join(&broker.released, &session.go_on)
                    break
        except Refused as refusal:
            session.refused(frame, refusal.args[0], refusal.args[1])
        finally:
            session.end_of_input()
        return length if session.state == STATE_CLOSING else used

    cdef int _after_input(self) except -1:
        """What a batch of frames may have changed."""
        cdef Session session = self.session
        if session.state != STATE_NEW:
            self._count_authenticated()
        if session.login_answer is not None:
            self.hub.loop.create_task(self._await_login(session.login_answer))
            session.login_answer = None
        if session.state == STATE_CLOSING:
            self._close()
        elif session.hold or link_joined(&session.go_on):
            self._pause()
        self._arm()
        return self.hub.schedule()

    def _count_authenticated(self):
        if self.unauthenticated:
            self.unauthenticated = False
            self.hub.unauthenticated -= 1

    cdef int go_on(self) except -1:
        """In the turn, after being held: the kept input, then new input."""
        try:
            return self._go_on()
        except Exception as failure:
            return self._broken(failure)

    cdef int unpark(self) except -1:
        """In the turn, when there is memory again: the frames that waited for it."""
        if self.session.hold & ~HOLD_MEMORY:
            link_join(&self.hub.broker.parking, &self.session.parking.link)
            return 0    # it waits for something else first
        try:
            self.session.unpark()
        except Exception as failure:
            return self._broken(failure)
        link_join(&self.hub.broker.released, &self.session.go_on)
        return 0

    cdef int time_out(self) except -1:
        """One of the deadlines may be over."""
        try:
            return self._on_timer()
        except Exception as failure:
            return self._broken(failure)

    cdef int flush(self) except -1:
        """In the turn: gives the kernel what is pending, in one system call."""
        try:
            return self._flush()
        except Exception as failure:
            return self._broken(failure)

    cdef int _broken(self, failure) except -1:
        """Something of ours failed: this connection ends, the others must not notice."""
        self.hub.broker.log("error", "internal error", peer=self.session.peer, error=repr(failure))
        return self.abort("internal error")

    cdef int _go_on(self) except -1:
        cdef Link *bulk = &self.hub.broker.outlets.bulk
        if self.lost:
            return 0
        if not ring_empty(bulk) and outbuf_pending(&(<Connection>bulk.next.owner).out) > BULK_LAG:
            link_join(&self.hub.broker.released, &self.session.go_on)
            return 0
        if not self.closing:
            self._take_kept()
        if self.session.hold == 0 and not link_joined(&self.session.go_on) and self.session.state != STATE_CLOSING:
            if self.eof and self.session.parking is None:
                self._close_for("closed by client")
            elif self.paused and not self.eof:
                self.paused = False
                self.last_read = self.kept_since = self.hub.broker.now
                self.transport.resume_reading()
        return self._after_input()

    cdef int _pause(self) except -1:
        if not self.paused and not self.lost and not self.transport.is_closing():
            self.paused = True
            self.transport.pause_reading()
        return 0

    cdef int _finish_input(self) except -1:
        """The client is gone: what was received is still processed (STOMP 1.2, "RECEIPT"), without holding, while there is
        memory for it."""
        cdef size_t before = 0
        while (self.session.state == STATE_CONNECTED and self.session.parking is None and text_length(&self.kept)
               and text_length(&self.kept) != before):
            before = text_length(&self.kept)
            self.session.hold = 0
            link_leave(&self.session.go_on)
            self._take_kept()
        return 0

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
        if self.lost or session.state != STATE_NEW:
            return
        session.hold &= ~HOLD_LOGIN
        if message is None:
            session.admit(identity)
        else:
            session.fail(b"login refused", message.encode())
        link_join(&self.hub.broker.released, &session.go_on)
        self._after_input()

    cdef int _hint(self, const char *bytes, size_t length) except -1:
        """Somebody else's protocol on our port: say so in the log, where the operator looks."""
        if self.session.state != STATE_NEW:
            return 0
        text = bytes[:min(length, <size_t>16)]
        if text[:2] == b"\x16\x03":
            self.hub.broker.log("warning", "TLS hello on a plain port", peer=self.session.peer)
        elif text.startswith((b"GET ", b"POST ", b"HEAD ", b"PUT ", b"OPTIONS ", b"PRI ")):
            self.hub.broker.log("warning", "HTTP request on a STOMP port", peer=self.session.peer)
        return 0

    # ---- output ----

    cdef int _flush(self) except -1:
        if self.lost:
            return 0
        if self.out.doom != DOOM_NONE:
            return self.abort(DOOMS[self.out.doom])
        if not self.out.blocked and outbuf_pending(&self.out):
            self._write()
        return self._written()

    cdef int _write(self) except -1:
        cdef const char *bytes = NULL
        cdef size_t length, most = PIECE if self.plain else TLS_PIECE
        self.last_write = self.last_progress = self.hub.broker.now
        if self.out.fd >= 0 and outbuf_send(&self.out) < 0:
            if errno != EAGAIN and errno != EINTR:
                return self.abort("connection lost")
        while outbuf_pending(&self.out) and not self.out.blocked:
            length = outbuf_peek(&self.out, &bytes, most)
            self.transport.write(bytes[:length])
            outbuf_consume(&self.out, length)
        return 0

    cdef int _written(self) except -1:
        """Lets those go on who waited for this output to drain."""
        if outbuf_pending(&self.out) <= self.out.outlets.low:
            if self.session.hold & HOLD_OUTPUT:
                self.session.hold &= ~HOLD_OUTPUT
                link_join(&self.hub.broker.released, &self.session.go_on)
            if not ring_empty(&self.session.starved):
                self.session.drained()
        if outbuf_pressure(&self.out) <= self.out.outlets.low:
            self.out.slow_since = 0
            self.out.overdue = False
            self._release_waiters()
        if self.closing and not self.half_closed and not self.out.blocked and outbuf_pending(&self.out) == 0:
            self._shut()
        self._arm()
        return 0

    cdef void _release_waiters(self) noexcept:
        cdef Session waiting
        cdef void *owner = ring_take(&self.out.waiters)
        while owner != NULL:
            waiting = <Session>owner
            waiting.hold &= ~HOLD_SLOW
            link_join(&self.hub.broker.released, &waiting.go_on)
            owner = ring_take(&self.out.waiters)

    # ---- the end ----

    def _close_for(self, str reason):
        self.session.reason = reason
        self.session.leave()

    cdef int _close(self) except -1:
        """The session is over: what was written goes out, what comes in is thrown away."""
        if self.closing or self.lost:
            return 0
        self.closing = self.hub.broker.now
        self._release_waiters()
        text_free(&self.kept)
        if self.paused and not self.eof:
            self.paused = False
            self.transport.resume_reading()
        outbuf_touch(&self.out)
        return 0

    def _shut(self):
        self.half_closed = True
        self.closing = self.hub.broker.now
        if self.eof:
            self.transport.close()
        elif self.transport.can_write_eof():
            self.transport.write_eof()

    cdef int abort(self, str reason) except -1:
        """Ends it at once; the loop calls connection_lost later."""
        if not self.lost:
            if not self.session.reason:
                self.session.reason = reason
            self.lost = True
            self.fd = self.out.fd = -1      # the number may be another's from now on
            self.transport.abort()
        return 0

    cdef int drain(self) except -1:
        """The broker stops: what was received is processed, and the client is told."""
        if self.lost or self.closing:
            return 0
        if self.session.state == STATE_NEW:
            return self.abort("server shutting down")
        self._finish_input()
        if self.session.state != STATE_CLOSING:
            self.session.fail(b"server shutting down", b"The broker is stopping; connect again later.")
        return self._after_input()

    # ---- time ----

    cdef uint64_t _deadline(self) noexcept:
        """The earliest of all, on the hub's clock; `_on_timer` looks which of them it was."""
        cdef Session session = self.session
        cdef Broker broker = self.hub.broker
        cdef uint64_t due
        if self.closing:
            return self.closing + (broker.limits.linger if self.half_closed else broker.limits.outbound_timeout)
        if session.state == STATE_NEW:
            return self.made + broker.limits.login_timeout
        due = self.last_read + self._patience()
        if self.paused and session.hold & HOLD_MEMORY:
            due = min(due, broker.now + PEER_CHECK)
        if text_length(&self.kept) and not self.paused:
            due = min(due, self.kept_since + broker.limits.frame_timeout)
        if session.send_every and not self.out.blocked:
            due = min(due, self.last_write + session.send_every - session.send_every // 3)
        if self.out.blocked:
            due = min(due, self.last_progress + broker.limits.outbound_timeout)
        if self.out.slow_since and not self.out.overdue:
            due = min(due, self.out.slow_since + broker.limits.slow_consumer_grace)
        if session.next_timeout():
            due = min(due, session.next_timeout())
        return due

    cdef uint64_t _patience(self) noexcept:
        """How long the peer may be silent. Without heart-beats, what it was sent counts as life too."""
        cdef Broker broker = self.hub.broker
        if self.session.expect_every:
            return min(<uint64_t>(self.session.expect_every * broker.limits.heart_beat_margin), broker.limits.idle_timeout)
        return broker.limits.idle_timeout + (self.last_write - self.last_read if self.last_write > self.last_read else 0)

    cdef void _arm(self) noexcept:
        cdef uint64_t due
        if self.lost:
            return
        due = self._deadline()
        if not link_joined(&self.timer.link) or due < self.timer.due:
            timer_arm(&self.hub.broker.wheel, &self.timer, due)

    cdef int _on_timer(self) except -1:
        cdef Session session = self.session
        cdef uint64_t now = self.hub.broker.now
        if self.closing:
            if now >= self._deadline():
                return self.abort("not closed by the client in time")
        elif session.state == STATE_NEW:
            if now >= self._deadline():
                session.fail(b"login timed out", b"No CONNECT was accepted within limits.login_timeout.")
        else:
            self._check_output(now)
            self._check_peer(now)
        return self._after_input()

    cdef int _check_peer(self, uint64_t now) except -1:
        cdef Session session = self.session
        if session.next_timeout() and now >= session.next_timeout():
            return session.fail(b"transaction timed out", b"A transaction was open longer than limits.transaction_timeout.")
        if self.paused:
            self.last_read = now    # it may have sent: we did not look
            if session.hold & HOLD_MEMORY:
                self._check_unread()
        elif text_length(&self.kept) and now >= self.kept_since + self.hub.broker.limits.frame_timeout:
            return session.fail(b"frame too slow", b"A frame was not complete within limits.frame_timeout.")
        if now < self.last_read + self._patience():
            return 0
        if session.expect_every:
            return session.fail(b"no heart-beat", b"Nothing came from the client for longer than its heart-beat allows.")
        return session.fail(b"idle too long", b"Nothing happened for limits.idle_timeout; use heart-beats to stay connected.")

    cdef int _check_unread(self) except -1:
        """Nobody reads from it, so nobody sees it go, and it may hold the messages whose memory all wait for."""
        cdef int state = peer_state(self.fd)
        if state == PEER_GONE:
            return self.abort("connection lost")
        if state == PEER_SILENT:
            return self.session.end_subscriptions()
        return 0

    cdef int _check_output(self, uint64_t now) except -1:
        """Heart-beat, slow consumer, stalled consumer."""
        cdef Broker broker = self.hub.broker
        cdef uint64_t every = self.session.send_every
        if self.out.blocked and now >= self.last_progress + broker.limits.outbound_timeout:
            outbuf_doom(&self.out, DOOM_SLOW)
        elif self.out.slow_since and not self.out.overdue and now >= self.out.slow_since + broker.limits.slow_consumer_grace:
            if self.out.policy == POLICY_DISCONNECT:
                outbuf_doom(&self.out, DOOM_SLOW)
            else:
                self.out.overdue = True
                self._release_waiters()
        elif every and now >= self.last_write + every - every // 3 and not self.out.blocked and outbuf_pending(&self.out) == 0:
            outbuf_put(&self.out, b"\n", 1)
            outbuf_touch(&self.out)
        return 0
