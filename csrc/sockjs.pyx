"""What a SockJS client wraps its stream in: JSON, within the messages of a WebSocket.

    in   ["SEND\\ndestination:/topic/a\\n\\nbody\\u0000","\\n"]    arrays of strings; one behind the other they are the stream
    out  a["MESSAGE\\n...\\u0000"]                              an array for each STOMP frame

JSON itself is the business of the codec, which came with the answer to the handshake. Arrays are looked for here, as they
come in pieces, and are held to the limits of frames while they are not complete.
"""
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from fastbroker.core.connection cimport Connection
from fastbroker.core.hub cimport INPUT_FRONT, INPUT_SPACE, Hub
from fastbroker.core.session cimport STATE_CLOSING, STATE_NEW
from fastbroker.core.wire cimport OutBuf, outbuf_consume, outbuf_peek, text_free, text_length, text_put, text_use


cdef SockJs sockjs_new(Hub hub, object codec):
    cdef SockJs new = SockJs()
    new.hub = hub
    new.codec = codec
    new.waiting.counted = &hub.broker.census.input
    return new


cdef class SockJs:

    def __dealloc__(self):
        if self.hub is not None:
            text_free(&self.waiting)

    # ---- input ----

    cdef int take(self, Connection connection, size_t length) except -1:
        """So many bytes lie where those that are wrapped in them are to lie: in the loop's buffer."""
        cdef size_t end = 1
        if text_length(&self.waiting) == 0:
            self.since = connection.last_read
        if text_put(&self.waiting, self.hub.input + INPUT_FRONT, length) < 0:
            return connection.abort("out of memory")
        while end and connection.session.state != STATE_CLOSING:
            end = self._end()
            if end:
                array = self.waiting.bytes[self.waiting.start:self.waiting.start + end]
                text_use(&self.waiting, end)
                self.since = connection.last_read
                self._take_array(connection, array)
        return self._check(connection)

    cdef size_t _end(self) noexcept:
        """Bytes up to and with the bracket that ends the array, or 0 when it is not there yet."""
        cdef const char *bytes = self.waiting.bytes + self.waiting.start
        cdef size_t length = text_length(&self.waiting), end
        while self.seen < length:
            self.seen += 1
            if self.escaped:
                self.escaped = False
            elif bytes[self.seen - 1] == b"\\":
                self.escaped = self.in_string
            elif bytes[self.seen - 1] == b'"':
                self.in_string = not self.in_string
            elif bytes[self.seen - 1] == b"]" and not self.in_string:
                end = self.seen
                self.seen = 0
                return end
        return 0

    cdef int _take_array(self, Connection connection, bytes array) except -1:
        cdef bytes stream
        cdef const char *start
        cdef size_t at = 0, length
        try:
            stream = self.codec.decode(array)
        except ValueError:
            return connection.session.fail(b"bad SockJS message", b"A message of SockJS is an array of strings, in JSON.")
        start = stream
        while at < <size_t>len(stream) and connection.session.state != STATE_CLOSING:
            length = min(<size_t>len(stream) - at, <size_t>INPUT_SPACE)
            memcpy(self.hub.input + INPUT_FRONT, start + at, length)
            connection._take(length)
            at += length
        return 0

    cdef int _check(self, Connection connection) except -1:
        cdef size_t waiting = text_length(&self.waiting), most = self.hub.broker.parser_limits.max_frame
        if connection.session.state == STATE_CLOSING or waiting == 0:
            text_free(&self.waiting)
            return 0
        if connection.session.state == STATE_NEW:
            most = self.hub.broker.parser_limits.max_frame_before_login
        if waiting > most:
            return connection.session.fail(b"frame too large", b"A message of SockJS is larger than a frame may be.")
        if waiting > INPUT_FRONT and self.hub.broker.census.input > self.hub.broker.limits.memory // 2:
            return connection.session.fail(b"server busy", b"Too many large frames are under way at once; try again later.")
        if connection.last_read > self.since + self.hub.broker.limits.frame_timeout:
            return connection.session.fail(b"frame too slow", b"A frame was not complete within limits.frame_timeout.")
        return 0

    # ---- output ----

    cdef bytes opening(self):
        return self.codec.opening

    cdef bytes next(self, OutBuf *out):
        """Takes a frame out of the output."""
        cdef const char *part = NULL
        cdef size_t left = ws_first_frame(out), length
        frame = []
        while left:
            length = outbuf_peek(out, &part, left)
            frame.append(part[:length])
            outbuf_consume(out, length)
            left -= length
        return self.codec.encode(b"".join(frame))

    cdef bytes closing(self, int code, str reason):
        return self.codec.closing(code, reason)
