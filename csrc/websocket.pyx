"""WebSockets (RFC 6455): a connection whose STOMP bytes are wrapped in frames. All else is that of a connection.

    request -> `handshake.answer` -> 101, or an HTTP answer and the end
    frames  -> payload, moved together in the loop's buffer (wsframe.h) -> what a connection does with bytes it has read
    output  -> one message for each STOMP frame -> the kernel, in one system call for each stage that is full

A STOMP frame may span messages and a message may hold many: the payload of all data frames is one stream, text or binary,
and STOMP's limits count along that stream. So nothing of a WebSocket frame is ever kept, and no length in a header is
believed further than bytes have come.

A SockJS client wraps the same stream once more, which is the business of sockjs.pyx.

Closing: what was written goes out, then CLOSE; the socket is closed when the peer's CLOSE has come, or after `linger`. A
peer that closes first gets the answers to what it has sent before its CLOSE is answered.
"""
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint32_t, uint64_t

from fastbroker.core.connection cimport PIECE, TLS_PIECE, Connection, connection_init
from fastbroker.core.hub cimport INPUT_FRONT, INPUT_SPACE, STAGE_SPACE, Hub
from fastbroker.core.session cimport STATE_CLOSING
from fastbroker.core.sockjs cimport SockJs, sockjs_new
from fastbroker.core.wire cimport (
    DOOM_NONE, outbuf_consume, outbuf_pending, outbuf_touch, send_staged, text_free, text_length, text_put,
)

from socket import SO_SNDBUF, SOL_SOCKET

cdef enum:
    PAGE_PIECE = 65536      # of a page, in one turn
    CONTROLS_A_SECOND = 100 # PING, PONG and CLOSE that a peer may send
    MOST_PONGS = 2048       # bytes of PONGs that wait; then only the last PING is answered (RFC 6455, section 5.5.3)
    LONGEST_REASON = 123    # bytes of text in a CLOSE

# Why the broker closes, where it is not a protocol error (RFC 6455, section 7.4).
CLOSE_CODES = {
    "closed by client": 1000,
    "disconnect": 1000,
    "access refused": 1008,
    "frame too slow": 1008,
    "idle too long": 1008,
    "login refused": 1008,
    "login timed out": 1008,
    "no heart-beat": 1008,
    "too many subscriptions": 1008,
    "too many transactions": 1008,
    "transaction timed out": 1008,
    "frame too large": 1009,
    "transaction too large": 1009,
    "server shutting down": 1012,
    "server busy": 1013,
}
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


cdef int websocket_init(WebSocket new, Hub hub, str peer, str listener, bint secure, object certificate) except -1:
    connection_init(new, hub, peer, listener, secure, certificate)
    new.out.frame_end = 1   # a message ends its frame: no LF behind the NUL
    return 0


cdef bytes whole_frame(int opcode, bytes payload):
    cdef char head[WS_HEAD_MOST]
    cdef size_t size = ws_put_head(head, opcode, len(payload))
    return head[:size] + payload


cdef class WebSocket(Connection):
    """The asyncio.BufferedProtocol of a WebSocket client. Made by Hub.websocket; nothing here is for other Python code."""

    # ---- what the event loop calls, where it differs from TCP ----

    def connection_made(self, transport):
        Connection.connection_made(self, transport)
        self.out.fd = -1    # nobody but this class may put bytes on the wire

    def buffer_updated(self, Py_ssize_t length):
        cdef size_t skipped = 0
        self.last_read = self.hub.broker.now
        try:
            if not self.upgraded and not self.closing:
                skipped = self._shake_hands(length)
            if self.upgraded and not self.deaf:
                self._unwrap(skipped, length)
        except Exception as failure:
            self._broken(failure)   # the loop would end it without a CLOSE
        self._has_read(length)

    def eof_received(self):
        self.fin = True
        return Connection.eof_received(self)

    # ---- the handshake ----

    cdef int _shake_hands(self, size_t length) except -1:
        """Looks for the end of the request; returns how many of the new bytes do not lie behind it."""
        cdef size_t before = text_length(&self.kept)
        cdef bytes request
        cdef Py_ssize_t end
        if text_put(&self.kept, self.hub.input + INPUT_FRONT, length) < 0:
            self.abort("out of memory")
            return length
        request = self.kept.bytes[self.kept.start:self.kept.end]
        end = request.find(b"\r\n\r\n", max(<Py_ssize_t>before - 3, 0))
        if end >= 0 and end + 4 <= <Py_ssize_t>self.hub.broker.parser_limits.max_frame_before_login:
            self._answer(request[:end])
            return end + 4 - before
        if len(request) > <Py_ssize_t>self.hub.broker.parser_limits.max_frame_before_login:
            self._turn_away("request too large")
        elif not self.hub.handshake.may_become_request(request):
            self._hint(request, len(request))
            self._turn_away("not HTTP")
        return length

    cdef int _answer(self, bytes request) except -1:
        try:
            local = self.transport.get_extra_info("sockname")[0]
            head, upgraded, reason, body, codec = self.hub.handshake.answer(request, self.session.secure, local)
        except Exception as failure:
            self.hub.broker.log("error", "internal error", peer=self.session.peer, error=repr(failure))
            return self._turn_away("internal error")
        text_free(&self.kept)
        self._put(head)
        self.upgraded = upgraded
        if codec is not None:
            self.sockjs = sockjs_new(self.hub, codec)
            self._put(whole_frame(WS_TEXT, self.sockjs.opening()))
        if not upgraded:
            self._begin_page(body)
            self._close_for(reason)
        return 0

    cdef int _turn_away(self, str reason) except -1:
        """There is no WebSocket yet, so the reason is told in HTTP."""
        self._put(self.hub.handshake.refuse(reason))
        self._close_for(reason)
        return 0

    # ---- input ----

    cdef int _unwrap(self, size_t skipped, size_t length) except -1:
        """Frames lie behind `skipped` bytes of what was read."""
        cdef char *start = self.hub.input + INPUT_FRONT
        cdef char *payload = start
        cdef char *frames = start + skipped
        cdef int found = WS_CONTROL
        while found == WS_CONTROL and not self.deaf:
            found = ws_take(&self.input, &frames, start + length, &payload)
            if payload > start and found != WS_MORE and not self.closing:
                self._take_payload(payload - start)     # what lies in front of a control frame comes first
                payload = start
            if found == WS_CONTROL:
                self._on_control()
        if payload > start and not self.closing:
            self._take_payload(payload - start)
        if found > WS_CONTROL:
            code, why = VIOLATIONS[found]
            self._violated(code, why)
        return 0

    cdef int _take_payload(self, size_t length) except -1:
        return self._take(length) if self.sockjs is None else self.sockjs.take(self, length)

    cdef int _on_control(self) except -1:
        cdef uint64_t now = self.hub.broker.now
        if now >= self.controls_since + 1000:
            self.controls_since = now
            self.controls = 0
        self.controls += 1
        if self.controls > CONTROLS_A_SECOND:
            return self._violated(POLICY, b"More than 100 control frames came within a second.")
        if self.input.opcode == WS_CLOSE:
            return self._on_close(self.input.control[:self.input.control_length])
        if self.input.opcode == WS_PING:
            self._on_ping(self.input.control[:self.input.control_length])
        return 0

    cdef int _on_ping(self, bytes payload) except -1:
        cdef bytes pong = whole_frame(WS_PONG, payload)
        if self.pongs is None or len(self.pongs) > MOST_PONGS:
            self.pongs = pong
        else:
            self.pongs += pong
        outbuf_touch(&self.out)
        return 0

    cdef int _on_close(self, bytes payload) except -1:
        """The peer has said all. Its code goes back to it."""
        cdef int code = int.from_bytes(payload[:2], "big") if payload else 1000
        if len(payload) == 1 or not ws_close_code_valid(code):
            return self._violated(PROTOCOL_ERROR, b"A CLOSE has a code that means nothing.")
        try:
            payload[2:].decode()
        except UnicodeDecodeError:
            return self._violated(INVALID_TEXT, b"The reason in a CLOSE is not UTF-8.")
        self.deaf = self.eof = True
        if self.half_closed:
            self.transport.close()
            return 0
        if self.session.state != STATE_CLOSING:
            self.close_code = code
        return self._said_all()

    cdef int _violated(self, int code, bytes why) except -1:
        """These are no WebSocket frames: STOMP's ERROR says so, then CLOSE."""
        self.deaf = True
        if self.session.state == STATE_CLOSING:
            return 0
        self.close_code = code
        return self.session.fail(b"bad WebSocket frame", why)

    # ---- output ----

    cdef int _flush(self) except -1:
        if not self.upgraded and outbuf_pending(&self.out):
            outbuf_consume(&self.out, outbuf_pending(&self.out))    # an ERROR, before there is a WebSocket
            self._put(self.hub.handshake.refuse(self.session.reason))
        if self.pongs is not None:
            self._put_pongs()
        if self.page is not None and not self.out.blocked and not self.lost:
            self._put_page()
        Connection._flush(self)
        if self.pongs is not None:
            self._put_pongs()   # what was in their way is gone, or tells when it is
        return 0

    cdef int _put_pongs(self) except -1:
        if self._may_interrupt() and self.out.doom == DOOM_NONE:
            self._put(self.pongs)
            self.pongs = None
        return 0

    cdef int _begin_page(self, bytes body) except -1:
        """The kernel is to hold little of it, or it would not tell for long that a slow peer takes some."""
        if len(body) > PAGE_PIECE:
            self.transport.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_SNDBUF, 2 * PAGE_PIECE)
        self.page = body or None
        return 0

    cdef int _put_page(self) except -1:
        """A piece of an HTTP answer's body, which many answers share. The next follows in the next turn, or when there is
        room; a peer that takes it, however slowly, is not cut off."""
        cdef size_t length = min(<size_t>len(self.page) - self.page_sent, <size_t>PAGE_PIECE)
        self._put(self.page[self.page_sent:self.page_sent + length])
        self.page_sent += length
        if self.page_sent == <size_t>len(self.page):
            self.page = None
        self.closing = self.hub.broker.now
        outbuf_touch(&self.out)
        return 0

    cdef bint _may_interrupt(self) noexcept:
        """Whether a control frame may go out: not within another frame."""
        return self.left == 0 and not self.lost and not self.out.blocked and not self.half_closed

    cdef int _write(self) except -1:
        self.last_write = self.last_progress = self.hub.broker.now
        if self.sockjs is not None:
            return self._write_wrapped()
        while outbuf_pending(&self.out) and not self.out.blocked and not self.lost:
            self._emit(ws_stage(&self.out, self.left, self.hub.stage, STAGE_SPACE))
        return 0

    cdef int _write_wrapped(self) except -1:
        while outbuf_pending(&self.out) and not self.out.blocked and not self.lost:
            self._put(whole_frame(WS_TEXT, self.sockjs.next(&self.out)))
        return 0

    cdef int _emit(self, WsStaged staged) except -1:
        """What the kernel does not take stays in the output; but the transport gets a little, to tell when there is room."""
        cdef char *stage = self.hub.stage
        cdef size_t taken = self._send(stage, staged.length)
        cdef size_t piece = PIECE if self.plain else TLS_PIECE
        if self.lost:
            return 0
        if taken + piece < staged.length:
            staged = ws_sent(stage, taken + piece, self.left)
        self.left = staged.left
        outbuf_consume(&self.out, staged.payload)
        if taken < staged.length:
            self.transport.write(stage[taken:staged.length])
        return 0

    cdef int _put(self, bytes whole) except -1:
        """Writes what is no STOMP frame."""
        cdef size_t taken = 0
        if not self.lost and not self.out.blocked:
            taken = self._send(whole, len(whole))
        return self._hand_over(whole[taken:])

    cdef int _hand_over(self, bytes rest) except -1:
        """To the transport, what the kernel did not take."""
        if rest and not self.lost:
            self.transport.write(rest)
        return 0

    cdef size_t _send(self, const char *bytes, size_t length) except? 0:
        """How much of it the kernel took. Only the transport may write under TLS."""
        cdef ssize_t taken
        if not self.plain:
            return 0
        taken = send_staged(self.fd, bytes, length)
        if taken >= 0:
            return taken
        if errno != EAGAIN and errno != EINTR:
            self.abort("connection lost")
        return 0

    # ---- the end ----

    def _shut(self):
        """All is written: CLOSE. The socket stays open for the peer's, so that no reset can overtake what it has yet to read."""
        if self.page is not None:
            return
        if self.upgraded:
            self._put_close(self.close_code or self._code_of(self.session.reason or "closed by client"))
        if self.lost:
            return
        if self.deaf or self.fin or not self.upgraded:
            self._shut_socket()         # no CLOSE will be looked for, or can come
        else:
            self.half_closed = True
            self.closing = self.hub.broker.now

    cdef int _shut_socket(self) except -1:
        """A peer's CLOSE is not the end of what it sends: closing before that could become a reset and cost our last words."""
        self.eof = self.fin
        if self.paused and not self.fin:
            self.paused = False
            self.transport.resume_reading()
        Connection._shut(self)
        return 0

    cdef int _code_of(self, str reason) except -1:
        if reason == "unknown command" and self.session.version == 0:
            return UNSUPPORTED      # its first bytes are no STOMP: it speaks something else over WebSocket
        return CLOSE_CODES.get(reason, PROTOCOL_ERROR)

    cdef int _put_close(self, int code) except -1:
        cdef bytes reason = b"" if code == 1000 or self.eof else (self.session.reason or "").encode()[:LONGEST_REASON]
        if self.sockjs is not None:
            self._put(whole_frame(WS_TEXT, self.sockjs.closing(code, reason.decode("utf-8", "ignore"))))
        return self._put(whole_frame(WS_CLOSE, code.to_bytes(2, "big") + reason))

    cdef int _broken(self, failure) except -1:
        if self.upgraded and self._may_interrupt():
            self._put_close(INTERNAL)
        return Connection._broken(self, failure)
