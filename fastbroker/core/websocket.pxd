"""The WebSocket of a client: a connection whose bytes are wrapped."""
cimport cython
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastbroker.core.connection cimport Connection
from fastbroker.core.hub cimport Hub
from fastbroker.core.sockjs cimport SockJs
from fastbroker.core.wire cimport OutBuf

cdef extern from "csrc/wsframe.h" nogil:
    enum:
        WS_TEXT
        WS_CLOSE
        WS_PING
        WS_PONG
        WS_MORE
        WS_CONTROL
        WS_RESERVED_BITS
        WS_UNKNOWN_OPCODE
        WS_UNMASKED
        WS_CONTROL_FRAGMENTED
        WS_CONTROL_TOO_LONG
        WS_NOTHING_TO_CONTINUE
        WS_NOT_CONTINUED
        WS_BAD_LENGTH
        WS_TOO_MANY_FRAGMENTS
        WS_HEAD_MOST
        WS_CONTROL_MOST
    struct WsInput:
        uint8_t opcode
        uint8_t control_length
        char *control
    int ws_take(WsInput *input, char **bytes, const char *limit, char **payload)
    int ws_close_code_valid(unsigned code)
    size_t ws_put_head(char *to, int opcode, size_t length)
    struct WsStaged:
        size_t length
        size_t payload
        size_t left
    WsStaged ws_stage(const OutBuf *out, size_t left, char *stage, size_t room)
    WsStaged ws_sent(const char *stage, size_t sent, size_t left)


cdef class WebSocket(Connection):
    cdef WsInput input
    cdef SockJs sockjs          # None for all who do not speak it
    cdef size_t left            # of a STOMP frame whose header has been sent
    cdef bytes pongs            # that are still to be sent, or None
    cdef bytes page             # the body of an HTTP answer until all of it is sent, or None
    cdef size_t page_sent
    cdef uint64_t controls_since
    cdef uint32_t controls      # control frames since then
    cdef int close_code         # that the peer has sent, or that says what it did wrong; 0: the session's reason says it
    cdef bint upgraded          # the handshake is over
    cdef bint fin               # the peer has shut its side of the socket
    cdef bint deaf              # nothing more is taken: the peer has closed, or its frames cannot be told apart

    @cython.final
    cdef int _shake_hands(self, size_t length) except -1
    @cython.final
    cdef int _answer(self, bytes request) except -1
    @cython.final
    cdef int _turn_away(self, str reason) except -1
    @cython.final
    cdef int _unwrap(self, size_t skipped, size_t length) except -1
    @cython.final
    cdef int _take_payload(self, size_t length) except -1
    @cython.final
    cdef int _on_control(self) except -1
    @cython.final
    cdef int _on_ping(self, bytes payload) except -1
    @cython.final
    cdef int _on_close(self, bytes payload) except -1
    @cython.final
    cdef int _violated(self, int code, bytes why) except -1
    @cython.final
    cdef bint _may_interrupt(self) noexcept
    @cython.final
    cdef int _emit(self, WsStaged staged) except -1
    @cython.final
    cdef int _write_wrapped(self) except -1
    @cython.final
    cdef int _put_pongs(self) except -1
    @cython.final
    cdef int _begin_page(self, bytes body) except -1
    @cython.final
    cdef int _put_page(self) except -1
    @cython.final
    cdef int _put(self, bytes whole) except -1
    @cython.final
    cdef int _hand_over(self, bytes rest) except -1
    @cython.final
    cdef size_t _send(self, const char *bytes, size_t length) except? 0
    @cython.final
    cdef int _shut_socket(self) except -1
    @cython.final
    cdef int _code_of(self, str reason) except -1
    @cython.final
    cdef int _put_close(self, int code) except -1


cdef int websocket_init(WebSocket new, Hub hub, str peer, str listener, bint secure, object certificate) except -1
