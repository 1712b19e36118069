"""Input: from the loop's read buffer to the session, frame by frame.

    read  |room|###frame###|###frame###|##fra|      frames are handled where they lie
           `---- kept from the read before ------'  what the read cut off is kept, and put in front of the next

It stops while the session holds, and for the rest of a turn when it has caused much output or work, so that others are
served: how much, the hub says, by how many there were that had more to do. What wraps the frames (WebSocket, SockJS,
HTTP) may hold back bytes of its own: they are counted here, too, and share one clock, `limits.frame_timeout`.

All unfinished input together may take half of the memory. When it has, everybody may still keep an equal share, however
many there are: large frames of one client are not turned away because of others who let theirs stand.
"""
from libc.stdint cimport int64_t
from libc.string cimport memcpy

from fastbroker.core.broker cimport Broker
from fastbroker.core.frame cimport Frame
from fastbroker.core.hub cimport INPUT_FRONT, READ_SLICE, Hub
from fastbroker.core.parser cimport PARSE_FRAME, PARSE_MORE
from fastbroker.core.session cimport (
    FRAME_WORK, HOLD_COMMIT, HOLD_FULL, HOLD_JOURNAL, HOLD_MEMORY, HOLD_OUTPUT, STATE_CLOSING, STATE_CONNECTED,
    STATE_NEW, Session,
)
from fastbroker.core.wire cimport (
    DOOM_MEMORY, OutBuf, ceiling_input_full, census_spent, link_join, link_joined, link_leave, outbuf_doom,
    outbuf_pending, text_free, text_length, text_put, text_use,
)

from fastbroker.core.frame import Refused


cdef Input input_new(Hub hub, Session session, OutBuf *out):
    cdef Input new = Input()
    new.hub = hub
    new.session = session
    new.parser = session.parser
    new.out = out
    new.kept.counted = &hub.broker.census.input
    new.heeds = ~0
    return new


cdef class Input:

    def __dealloc__(self):
        if self.hub is not None:
            text_free(&self.kept)

    cdef int take(self, char *bytes, size_t length) except -1:
        """New bytes, behind the room where what was kept may go: INPUT_FRONT."""
        cdef size_t kept = text_length(&self.kept), used
        if kept > INPUT_FRONT or self.session.hold or link_joined(&self.session.go_on):
            return self.add(bytes, length)
        if kept:
            memcpy(bytes - kept, self.kept.bytes + self.kept.start, kept)
            bytes -= kept
            length += kept
            text_free(&self.kept)
        used = take_frames(self, bytes, length)
        if used < length:
            if text_put(&self.kept, bytes + used, length - used) < 0:
                outbuf_doom(self.out, DOOM_MEMORY)
            count_large(self)
        if used or not kept:
            self.kept_since = self.hub.broker.now
        return 0

    cdef int add(self, const char *bytes, size_t length) except -1:
        """New bytes that lie anywhere."""
        if text_length(&self.kept) == 0:
            self.kept_since = self.hub.broker.now
        if text_put(&self.kept, bytes, length) < 0:
            outbuf_doom(self.out, DOOM_MEMORY)
            return 0
        return self.take_kept() if self.may_hold(self.wrapped) else 0

    cdef int take_kept(self) except -1:
        """The session may go on: what was kept for it, as far as it is whole frames."""
        cdef size_t length = text_length(&self.kept), used
        if length and not self.session.hold & self.heeds and not link_joined(&self.session.go_on):
            used = take_frames(self, self.kept.bytes + self.kept.start, length)
            text_use(&self.kept, used)
            if used:
                self.kept_since = self.hub.broker.now
            count_large(self)
        return 0

    cdef bint take_rest(self) except -1:
        """Nothing follows: what was received is still processed (STOMP 1.2, "RECEIPT"), without holding, while there is
        memory for it. Whether that is done; if it is not, it goes on when its turn comes again."""
        self.heeds = HOLD_MEMORY | HOLD_COMMIT | HOLD_FULL | HOLD_JOURNAL
        link_leave(&self.session.go_on)
        if self.session.state == STATE_CONNECTED and self.session.parking is None:
            self.take_kept()
        return (not link_joined(&self.session.go_on) or self.session.state != STATE_CONNECTED
                or self.session.parking is not None)

    cdef bint may_hold(self, size_t wrapped) except -1:
        """Whether all that it keeps, with so many bytes that still wrap it, is not too much. If it is, the session has
        failed."""
        cdef int64_t most = self.hub.broker.limits.memory // 2
        cdef bint full = ceiling_input_full(&self.hub.broker.ceiling)
        cdef size_t held = text_length(&self.kept) + wrapped
        self.wrapped = wrapped
        count_large(self)
        if self.session.state == STATE_CLOSING:
            return False
        if not self.large or not full or held <= <size_t>most // self.hub.large_inputs:
            return True
        self.session.fail(b"server busy", b"Too many large frames are under way at once; try again later.")
        return False

    cdef int drop(self) except -1:
        """Nothing of it is wanted any more."""
        text_free(&self.kept)
        self.wrapped = 0
        self.wrapped_since = 0
        count_large(self)
        return 0

    cdef int pause(self) except -1:
        if not self.paused and self.transport is not None and not self.transport.is_closing():
            self.paused = True
            self.transport.pause_reading()
        return 0

    cdef int resume(self) except -1:
        if self.paused and self.transport is not None:
            self.paused = False
            self.transport.resume_reading()
        return 0


cdef void count_large(Input self) noexcept:
    cdef bint large = text_length(&self.kept) + self.wrapped > INPUT_FRONT
    self.hub.large_inputs += <int>large - <int>self.large
    self.large = large


cdef size_t take_frames(Input self, const char *bytes, size_t length) except? 0:
    """Handles whole frames until there are no more, or the session holds; returns how many bytes they were."""
    cdef Broker broker = self.hub.broker
    cdef Session session = self.session
    cdef Frame *frame = &broker.frame
    cdef int64_t done = census_spent(&broker.census)
    cdef int64_t share = max(min(self.hub.slice, self.hub.until - done), <int64_t>READ_SLICE)
    cdef int64_t before = broker.census.messages_in
    cdef size_t used = 0
    cdef int status
    broker.give_share(share)
    self.parser.begin()
    try:
        while used < length and session.state != STATE_CLOSING:
            status = self.parser.next(bytes + used, length - used, frame)
            used += frame.skipped
            if status != PARSE_FRAME:
                if status != PARSE_MORE:
                    hint(session, bytes, length)
                    session.malformed(status)
                break
            used += frame.size
            broker.census.work += frame.size + FRAME_WORK
            session.on_frame(frame)
            hold_output(self)
            if session.hold & self.heeds:
                if session.hold & HOLD_FULL:
                    used -= frame.size  # it comes again
                break
            if broker.share_is_over():
                link_join(&broker.released, &session.go_on)
                break
    except Refused as refusal:
        session.refused(frame, refusal.args[0], refusal.args[1])
        hold_output(self)
        if used < length and session.state != STATE_CLOSING:
            link_join(&broker.released, &session.go_on)     # what follows a soft error, in the next turn
    finally:
        session.end_of_input()
        session.published += broker.census.messages_in - before
    return length if session.state == STATE_CLOSING else used


cdef inline void hold_output(Input self) noexcept:
    """Who does not read its answers is not read from."""
    if outbuf_pending(self.out) > self.out.outlets.own:
        self.session.hold |= HOLD_OUTPUT


cdef int hint(Session session, const char *bytes, size_t length) except -1:
    """Somebody else's protocol on our port: say so in the log, where the operator looks."""
    if session.state != STATE_NEW:
        return 0
    text = bytes[:min(length, <size_t>16)]
    if text[:2] == b"\x16\x03":
        session.broker.log("warning", "TLS hello on a plain port", peer=session.peer)
    elif text.startswith((b"GET ", b"POST ", b"HEAD ", b"PUT ", b"OPTIONS ", b"PRI ")):
        session.broker.log("warning", "HTTP request on a STOMP port", peer=session.peer)
    return 0
