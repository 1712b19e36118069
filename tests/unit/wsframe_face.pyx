"""A face to Python of csrc/wsframe.h, for its test."""
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset

from fastbroker.core.websocket cimport (
    WS_BAD_LENGTH, WS_CONTROL, WS_CONTROL_FRAGMENTED, WS_CONTROL_TOO_LONG, WS_MESSAGE, WS_MORE, WS_NOTHING_TO_CONTINUE,
    WS_NOT_CONTINUED, WS_RESERVED_BITS, WS_TOO_MANY_FRAGMENTS, WS_UNKNOWN_OPCODE, WS_UNMASKED, WsInput, ws_take,
    ws_unfinished,
)
from fastbroker.core.wire cimport SCAN_SLACK

NAMES = {
    WS_RESERVED_BITS: "reserved bits", WS_UNKNOWN_OPCODE: "unknown opcode", WS_UNMASKED: "unmasked",
    WS_CONTROL_FRAGMENTED: "control fragmented", WS_CONTROL_TOO_LONG: "control too long",
    WS_NOTHING_TO_CONTINUE: "nothing to continue", WS_NOT_CONTINUED: "not continued", WS_BAD_LENGTH: "bad length",
    WS_TOO_MANY_FRAGMENTS: "too many fragments",
}


cdef class Frames:
    """Takes what a client writes, read by read, and remembers what was in it."""
    cdef WsInput input
    cdef readonly bytes payload
    cdef readonly list controls     # (opcode, payload)
    cdef readonly list messages     # payload up to the end of each, if their ends matter
    cdef readonly str wrong

    def __cinit__(self, bint by_message=False):
        memset(&self.input, 0, sizeof(WsInput))
        self.input.by_message = by_message
        self.payload = b""
        self.controls = []
        self.messages = []

    @property
    def is_unfinished(self):
        return ws_unfinished(&self.input) != 0

    def read(self, bytes text not None):
        """In memory of its own size, as far as scanning allows."""
        cdef size_t length = len(text)
        cdef char *space = <char *>malloc(length + SCAN_SLACK)
        cdef char *frames = space
        cdef char *payload = space
        cdef int found = WS_CONTROL
        if space == NULL:
            raise MemoryError()
        memcpy(space, <const char *>text, length)
        memset(space + length, 0x55, SCAN_SLACK)
        try:
            while self.wrong is None and (found == WS_CONTROL or found == WS_MESSAGE):
                found = ws_take(&self.input, &frames, space + length, &payload)
                self.payload += space[:payload - space]
                payload = space
                self._note(found)
        finally:
            free(space)

    cdef int _note(self, int found) except -1:
        if found == WS_CONTROL:
            self.controls.append((self.input.opcode, self.input.control[:self.input.control_length]))
        elif found == WS_MESSAGE:
            self.messages.append(self.payload)
            self.payload = b""
        elif found != WS_MORE:
            self.wrong = NAMES[found]
        return 0
