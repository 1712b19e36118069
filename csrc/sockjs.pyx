"""What a SockJS client wraps its stream in: JSON, within the messages of a WebSocket.

    in   ["SEND\\ndestination:/topic/a\\n\\nbody\\u0000","\\n"]    an array in each message; its strings are the stream
    out  a["MESSAGE\\n...\\u0000"]                              an array in a message for each STOMP frame (wrapping.h)

A message is kept until it is complete, held to the limits of frames, and judged then. What was in it lies behind other
input, never in the loop's buffer, where WebSocket frames may still be waiting to be taken.
"""
from fastbroker.core.hub cimport Hub
from fastbroker.core.input cimport Input
from fastbroker.core.session cimport STATE_CLOSING, STATE_NEW
from fastbroker.core.wire cimport DOOM_MEMORY, outbuf_doom, text_free, text_length, text_put


cdef SockJs sockjs_new(Hub hub, Input input, object codec):
    cdef SockJs new = SockJs()
    new.hub = hub
    new.input = input
    new.codec = codec
    new.message.counted = &hub.broker.census.input
    return new


cdef class SockJs:

    def __dealloc__(self):
        if self.hub is not None:
            text_free(&self.message)

    cdef int take(self, const char *start, size_t length, bint complete) except -1:
        """More of a message; `complete`: its last bytes."""
        cdef bytes array
        if self.input.session.state == STATE_CLOSING:
            return 0
        if length and text_put(&self.message, start, length) < 0:
            outbuf_doom(self.input.out, DOOM_MEMORY)
            return 0
        if not (fits(self) and self.input.may_hold(text_length(&self.message) if not complete else 0)):
            text_free(&self.message)
            return 0
        if complete and text_length(&self.message):
            array = self.message.bytes[self.message.start:self.message.end]
            text_free(&self.message)
            return take_array(self, array)
        return 0

    cdef bytes opening(self):
        return self.codec.opening

    cdef bytes closing(self, int code, str reason):
        return self.codec.closing(code, reason)


cdef bint fits(SockJs self) except -1:
    cdef size_t most = self.hub.broker.parser_limits.max_frame
    if self.input.session.state == STATE_NEW:
        most = self.hub.broker.parser_limits.max_frame_before_login
    if text_length(&self.message) <= most:
        return True
    self.input.session.fail(b"frame too large", b"A message of SockJS is larger than a frame may be.")
    return False


cdef int take_array(SockJs self, bytes array) except -1:
    cdef bytes stream
    try:
        stream = self.codec.decode(array)
    except ValueError:
        return self.input.session.fail(b"bad SockJS message", b"A message of SockJS is an array of strings, in JSON.")
    return self.input.add(stream, len(stream)) if stream else 0
