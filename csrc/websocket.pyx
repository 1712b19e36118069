"""WebSockets (RFC 6455): STOMP wrapped in frames.

    frames -> payload, moved together in the loop's buffer (wsframe.h) -> what a connection does with bytes it has read
    output -> a frame for each STOMP frame, wrapped as it is written (wrapping.h)

A STOMP frame may span messages and a message may hold many: the payload of all data frames is one stream, text or
binary, and STOMP's limits count along that stream. So nothing of a WebSocket frame is ever kept, and no length in a
header is believed further than bytes have come. Only with SockJS it matters where a message ends (sockjs.pyx).

Closing: what was written goes out, then CLOSE; the socket is closed when the peer's CLOSE has come, or after `linger`.
A peer that closes first gets the answers to what it has sent before its CLOSE is answered.
"""
from fastbroker.core.connection cimport Connection
from fastbroker.core.framing cimport Framing
from fastbroker.core.hub cimport INPUT_FRONT, Hub
from fastbroker.core.reasons cimport reason_of
from fastbroker.core.session cimport STATE_CLOSING
from fastbroker.core.sockjs cimport sockjs_new
from fastbroker.core.turntaker cimport OPEN, SAID_ALL, SHUT
from fastbroker.core.wire cimport (
    FRAMING_SOCKJS, FRAMING_WEBSOCKET, WRAPPED_SWELL, WS_CLOSE, WS_HEAD_OUT, WS_PING, WS_PONG, WS_TEXT, outbuf_pending,
    ws_put_head,
)

cdef enum:
    CONTROLS_A_SECOND = 100 # PING, PONG and CLOSE that a peer may send
    LONGEST_REASON = 123    # bytes of text in a CLOSE

PROTOCOL_ERROR, UNSUPPORTED, INVALID_TEXT, POLICY, INTERNAL = 1002, 1003, 1007, 1008, 1011

VIOLATIONS = {
    WS_RESERVED_BITS: (PROTOCOL_ERROR, b"A reserved bit is set, but no extension was agreed on."),
    WS_UNKNOWN_OPCODE: (PROTOCOL_ERROR, b"A frame has an opcode that means nothing."),
    WS_UNMASKED: (PROTOCOL_ERROR, b"A frame is not masked; those of clients must be."),
    WS_CONTROL_FRAGMENTED: (PROTOCOL_ERROR, b"A control frame is fragmented."),
    WS_CONTROL_TOO_LONG: (PROTOCOL_ERROR, b"A control frame has more than 125 bytes."),
    WS_NOTHING_TO_CONTINUE: (PROTOCOL_ERROR, b"A frame continues a message, but none has begun."),
    WS_NOT_CONTINUED: (PROTOCOL_ERROR, b"A new message begins within another."),
    WS_BAD_LENGTH: (PROTOCOL_ERROR, b"The length of a frame is not written in the shortest form, or is negative."),
    WS_TOO_MANY_FRAGMENTS: (POLICY, b"A message has more than 16384 fragments."),
}


cdef WebSocket websocket_new(Hub hub, Connection connection, object codec):
    """Takes over a connection whose request was answered. `codec` is what SockJS needs, or None."""
    cdef WebSocket new = WebSocket()
    new.hub = hub
    new.connection = connection
    connection.out.frame_end = 1    # a message ends its frame: no LF behind the NUL
    connection.out.framing = FRAMING_WEBSOCKET
    connection.out.swell = 2        # for the heads of short frames
    if codec is not None:
        new.frames.by_message = True
        new.sockjs = sockjs_new(hub, connection.input, codec)
        connection.out.framing = FRAMING_SOCKJS
        connection.out.swell = WRAPPED_SWELL
        connection.say(whole_frame(WS_TEXT, new.sockjs.opening()))
    return new


cdef bytes whole_frame(int opcode, bytes payload):
    cdef char head[WS_HEAD_OUT]
    cdef size_t size = ws_put_head(head, opcode, len(payload))
    return head[:size] + payload


cdef class WebSocket(Framing):

    cdef int take(self, size_t length) except -1:
        return self.take_behind(0, length)

    cdef int take_behind(self, size_t skipped, size_t length) except -1:
        """Frames lie behind `skipped` bytes of what was read. Payload in front of a control frame comes before it."""
        cdef char *start = self.hub.input + INPUT_FRONT
        cdef char *payload = start
        cdef char *frames = start + skipped
        cdef int found = WS_CONTROL
        while not self.deaf and (found == WS_CONTROL or found == WS_MESSAGE):
            found = ws_take(&self.frames, &frames, start + length, &payload)
            if self.connection.ours == OPEN:
                take_payload(self, start, payload - start, found == WS_MESSAGE)
            payload = start
            if found == WS_CONTROL:
                on_control(self)
            elif found > WS_MESSAGE:
                code, why = VIOLATIONS[found]
                violated(self, code, why)
        return watch(self)

    cdef int interject(self) except -1:
        """A PING that came when too much was to be sent is answered, now that there is less."""
        if self.last_ping is not None and not self.closed and not is_too_full(self):
            put_pong(self, self.last_ping)
        return 0

    cdef bint last_words(self) except -1:
        """CLOSE. The socket stays open for the peer's, so that no reset can overtake what it has yet to read."""
        if not self.closed:
            put_close(self, self.close_code or code_of(self))
        return False

    cdef bint heard_all(self):
        return self.deaf

    cdef int broken(self) except -1:
        return put_close(self, INTERNAL) if not self.closed else 0


# ---- input ----

cdef int take_payload(WebSocket self, char *bytes, size_t length, bint complete) except -1:
    if self.sockjs is not None:
        return self.sockjs.take(bytes, length, complete)
    return self.connection.input.take(bytes, length) if length else 0


cdef int watch(WebSocket self) except -1:
    """What has begun must be complete in time. In a message that holds many STOMP frames, each of them starts the clock
    again, as it does on TCP."""
    if not ws_unfinished(&self.frames):
        self.connection.input.wrapped_since = 0
    elif self.connection.input.wrapped_since == 0:
        self.connection.input.wrapped_since = self.hub.broker.now
    elif self.sockjs is None and self.connection.input.kept_since > self.connection.input.wrapped_since:
        self.connection.input.wrapped_since = self.connection.input.kept_since
    return 0


cdef int on_control(WebSocket self) except -1:
    cdef bytes payload = self.frames.control[:self.frames.control_length]
    if self.hub.broker.now >= self.controls_since + 1000:
        self.controls_since = self.hub.broker.now
        self.controls = 0
    self.controls += 1
    if self.controls > CONTROLS_A_SECOND:
        return violated(self, POLICY, b"More than 100 control frames came within a second.")
    if self.frames.opcode == WS_CLOSE:
        return on_close(self, payload)
    if self.frames.opcode == WS_PING:
        return on_ping(self, payload)
    return 0


cdef int on_ping(WebSocket self, bytes payload) except -1:
    """Its PONG stands in line with what is to be sent. If that is too much, only the last PING will be answered
    (RFC 6455, section 5.5.3)."""
    if self.connection.session.state == STATE_CLOSING:
        return 0    # CLOSE is the next thing to be said, or was said already
    if is_too_full(self):
        self.last_ping = payload
        return 0
    return put_pong(self, payload)


cdef bint is_too_full(WebSocket self) noexcept:
    return outbuf_pending(&self.connection.out) > self.connection.out.outlets.soft


cdef int put_pong(WebSocket self, bytes payload) except -1:
    self.last_ping = None
    return self.connection.say(whole_frame(WS_PONG, payload))


cdef int on_close(WebSocket self, bytes payload) except -1:
    """The peer has said all. Its code goes back to it."""
    cdef Connection connection = self.connection
    cdef int code = int.from_bytes(payload[:2], "big") if payload else 1000
    if len(payload) == 1 or not ws_close_code_valid(code):
        return violated(self, PROTOCOL_ERROR, b"A CLOSE has a code that means nothing.")
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        return violated(self, INVALID_TEXT, b"The reason in a CLOSE is not UTF-8.")
    self.deaf = self.heard_close = True
    connection.peer = max(connection.peer, SAID_ALL)
    if connection.ours == SHUT:
        connection.transport.close()
        return 0
    if connection.session.state != STATE_CLOSING:
        self.close_code = code
    return connection.said_all()


cdef int violated(WebSocket self, int code, bytes why) except -1:
    """These are no WebSocket frames: STOMP's ERROR says so, then CLOSE."""
    self.deaf = True
    if self.connection.session.state == STATE_CLOSING:
        return 0
    self.close_code = code
    return self.connection.session.fail(b"bad WebSocket frame", why)


# ---- the end ----

cdef int code_of(WebSocket self) except -1:
    cdef str reason = self.connection.session.reason or "closed by client"
    if reason == "unknown command" and self.connection.session.version == 0:
        return UNSUPPORTED      # its first bytes are no STOMP: it speaks something else over WebSocket
    return reason_of(reason).close_code


cdef int put_close(WebSocket self, int code) except -1:
    cdef bytes reason = b""
    if code != 1000 and not self.heard_close:
        reason = (self.connection.session.reason or "").encode()[:LONGEST_REASON]
    self.closed = True
    if self.sockjs is not None:
        self.connection.say(whole_frame(WS_TEXT, self.sockjs.closing(code, reason.decode("utf-8", "ignore"))))
    return self.connection.say(whole_frame(WS_CLOSE, code.to_bytes(2, "big") + reason))
