"""Receipts: what one says beside its name, and those that promise durability.

Of the latter each waits until the journal has reported its number, and behind those before it.

    record  | durable: 64 | written: 64 | length: 64 | length: 64 | receipt | further header lines |
            | 0           | 0           | length: 64 | NO_RECEIPT | another frame that must not overtake them |
"""
from libc.stdint cimport UINT64_MAX, int64_t, uint64_t
from libc.string cimport memcpy

from fastbroker.core.frame cimport put_frame, put_receipt
from fastbroker.core.wire cimport link_init, link_join, link_leave, text_free, text_put, text_use


cdef uint64_t NO_RECEIPT = UINT64_MAX


cdef bytes receipt_info(bytes epoch, uint64_t number, const Origin *origin, bytes durability):
    """Header lines that tell what became of the message of that number."""
    cdef bytes lines = b"message-id:%b-%d\nreceivers:%d\n" % (
        epoch, number, origin.took - min(origin.dropped, origin.took))
    if durability is not None:
        lines += b"durability:%b\n" % durability
    if origin.duplicate:
        lines += b"duplicate:true\n"
    return b"%bdropped:%d\n" % (lines, origin.dropped) if origin.dropped else lines


cdef Receipts receipts_new(OutBuf *out, int version, int64_t *counted, Link *owing, Link *go_on):
    """For one session; it stands in the ring `owing` as long as it lives."""
    cdef Receipts new = Receipts()
    new.out = out
    new.version = version
    new.waiting.counted = counted
    new.go_on = go_on
    link_init(&new.link, <void *>new)
    link_join(owing, &new.link)
    return new


cdef class Receipts:

    def __dealloc__(self):
        link_leave(&self.link)
        text_free(&self.waiting)

    cdef int put(self, const Origin *origin, Slice receipt, bytes more) except -1:
        """Behind all that wait. A receipt that waits only for those has numbers that were reported."""
        cdef uint64_t head[4]
        cdef bytes lines = more or b""
        head = [origin.durable, origin.written, receipt.length, len(lines)]
        if (text_put(&self.waiting, <const char *>head, sizeof(head)) < 0
                or text_put(&self.waiting, receipt.bytes, receipt.length) < 0
                or text_put(&self.waiting, lines, len(lines)) < 0):
            raise MemoryError()
        return 0

    cdef int put_frame(self, bytes text) except -1:
        """Another frame, up to its NUL, behind all that wait."""
        cdef uint64_t head[4]
        head = [0, 0, <uint64_t>len(text), NO_RECEIPT]
        if (text_put(&self.waiting, <const char *>head, sizeof(head)) < 0
                or text_put(&self.waiting, text, len(text)) < 0):
            raise MemoryError()
        return 0

    cdef int release(self, uint64_t durable, uint64_t written) except -1:
        """Writes those whose numbers are reported, in order, up to the first whose are not."""
        cdef uint64_t head[4]
        cdef Slice receipt
        while not self.empty():
            memcpy(head, self.waiting.bytes + self.waiting.start, sizeof(head))
            if head[0] > durable or head[1] > written:
                return 0
            receipt.bytes = self.waiting.bytes + self.waiting.start + sizeof(head)
            receipt.length = head[2]
            if head[3] == NO_RECEIPT:
                put_frame(self.out, receipt.bytes[:receipt.length])
                text_use(&self.waiting, sizeof(head) + receipt.length)
                continue
            put_receipt(self.out, receipt, (receipt.bytes + receipt.length)[:head[3]], self.version)
            text_use(&self.waiting, sizeof(head) + receipt.length + head[3])
        return 0
