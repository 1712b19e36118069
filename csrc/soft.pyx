"""Soft errors: what is wrong with one frame alone, told without the end of its connection, to clients that ask for it.

    MESSAGE LF
    subscription:errors LF              so clients take it for a message of a subscription that they never made
    message-id:errors-<number> LF
    destination:/errors LF
    command:<of the frame> LF
    [id:<of the frame> LF]
    [receipt-id:<of the frame> LF]      whose RECEIPT does not come
    message:<as in ERROR> LF
    content-type, content-length, body  as in ERROR

Only what has changed nothing, and leaves no doubt about what follows, can be told so: a frame within a transaction
cannot, whose COMMIT would do the rest without it. A client that gets them in floods is not listening.
"""
from fastbroker.core.frame cimport frame_text, header_line
from fastbroker.core.reasons cimport is_soft
from fastbroker.core.wire cimport KNOWN_ID, KNOWN_MESSAGE_ID, KNOWN_RECEIPT, KNOWN_TRANSACTION

cdef enum:
    WINDOW = 1000           # milliseconds, in each of which there may be ...
    MOST = 100              # ... so many
    LONGEST_COMMAND = 12

cdef bytes FIRST_LINES = b"MESSAGE\nsubscription:errors\nmessage-id:errors-%d\ndestination:/errors\n"
cdef bytes LAST_LINES = b"content-type:text/plain;charset=utf-8\ncontent-length:%d\n\n%b"


cdef class SoftErrors:

    cdef bint may_tell(self, const Frame *frame, bytes message, uint64_t now):
        """Whether this one does not end the connection."""
        if frame.known[KNOWN_TRANSACTION] or not is_soft(message):
            return False
        if now >= self.since + WINDOW:
            self.since = now
            self.count = 0
        self.count += 1
        return self.count <= MOST

    cdef bytes told(self, const Frame *frame, bytes message, bytes body, int version):
        """The frame that says so, in front of its NUL."""
        cdef bytes command = frame.base[:LONGEST_COMMAND].partition(b"\n")[0].rstrip(b"\r")
        cdef bytes lines
        self.number += 1
        lines = FIRST_LINES % self.number + header_line(b"command", command, version)
        for name, known in ((b"id", KNOWN_ID), (b"receipt-id", KNOWN_RECEIPT)):
            if frame.known[<int>known]:
                lines += header_line(name, frame_text(frame, known), version)
        lines += header_line(b"message", message, version)
        return lines + LAST_LINES % (len(body), body)


cdef bint is_of_errors(const Frame *frame):
    """Whether an ACK or NACK names a soft error: clients that acknowledge all that comes do."""
    cdef bytes id = frame_text(frame, KNOWN_ID) or frame_text(frame, KNOWN_MESSAGE_ID)
    return id is not None and id.startswith(b"errors-")
