"""The WebSocket of a client."""
cimport cython
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastbroker.core.connection cimport Connection
from fastbroker.core.framing cimport Framing
from fastbroker.core.hub cimport Hub
from fastbroker.core.sockjs cimport SockJs

cdef extern from "csrc/wsframe.h" nogil:
    enum:
        WS_MORE
        WS_CONTROL
        WS_MESSAGE
        WS_RESERVED_BITS
        WS_UNKNOWN_OPCODE
        WS_UNMASKED
        WS_CONTROL_FRAGMENTED
        WS_CONTROL_TOO_LONG
        WS_NOTHING_TO_CONTINUE
        WS_NOT_CONTINUED
        WS_BAD_LENGTH
        WS_TOO_MANY_FRAGMENTS
    struct WsInput:
        uint8_t opcode
        uint8_t by_message
        uint8_t control_length
        char *control
    int ws_take(WsInput *input, char **bytes, const char *limit, char **payload)
    int ws_unfinished(const WsInput *input)
    int ws_close_code_valid(unsigned code)


@cython.final
cdef class WebSocket(Framing):
    cdef Connection connection
    cdef Hub hub
    cdef WsInput frames
    cdef SockJs sockjs          # None for all who do not speak it
    cdef bytes last_ping        # that is still to be answered, since too much was to be sent; or None
    cdef uint64_t controls_since
    cdef uint32_t controls      # control frames since then
    cdef int close_code         # the peer's, or what says what it did wrong; 0: the session's reason has one
    cdef bint heard_close       # the peer's CLOSE has come
    cdef bint deaf              # nothing more is taken: it has, or the frames cannot be told apart
    cdef bint closed            # our CLOSE is in the output

    cdef int take_behind(self, size_t skipped, size_t length) except -1


cdef WebSocket websocket_new(Hub hub, Connection connection, object codec)
