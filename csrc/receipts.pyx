"""Receipts: what one says beside its name, and those that promise durability.

Of the latter each waits until the journal has reported its number, and behind those before it.

    record  | number: 64 | length: 64 | length: 64 | receipt | further header lines |
"""
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memcpy

from fastbroker.core.frame cimport put_receipt
from fastbroker.core.wire cimport link_init, link_join, link_leave, text_free, text_put, text_use


cdef bytes receipt_info(bytes epoch, uint64_t number, const Origin *origin):
    """Header lines that tell what became of the message of that number."""
    cdef bytes lines = b"message-id:%b-%d\nreceivers:%d\n" % (
        epoch, number, origin.took - min(origin.dropped, origin.took))
    if origin.duplicate:
        lines += b"duplicate:true\n"
    return b"%bdropped:%d\n" % (lines, origin.dropped) if origin.dropped else lines


cdef Receipts receipts_new(OutBuf *out, int version, int64_t *counted, Link *owing):
    """For one session; it stands in the ring `owing` as long as it lives."""
    cdef Receipts new = Receipts()
    new.out = out
    new.version = version
    new.waiting.counted = counted
    link_init(&new.link, <void *>new)
    link_join(owing, &new.link)
    return new


cdef class Receipts:

    def __dealloc__(self):
        link_leave(&self.link)
        text_free(&self.waiting)

    cdef int put(self, uint64_t number, Slice receipt, bytes more) except -1:
        """Behind all that wait. A receipt that waits only for those has a number that was reported."""
        cdef uint64_t head[3]
        cdef bytes lines = more or b""
        head[0] = number
        head[1] = receipt.length
        head[2] = len(lines)
        if (text_put(&self.waiting, <const char *>head, sizeof(head)) < 0
                or text_put(&self.waiting, receipt.bytes, receipt.length) < 0
                or text_put(&self.waiting, lines, len(lines)) < 0):
            raise MemoryError()
        return 0

    cdef int release(self, uint64_t durable) except -1:
        """Writes those whose number is reported, in order, up to the first whose number is not."""
        cdef uint64_t head[3]
        cdef Slice receipt
        while not self.empty():
            memcpy(head, self.waiting.bytes + self.waiting.start, sizeof(head))
            if head[0] > durable:
                return 0
            receipt.bytes = self.waiting.bytes + self.waiting.start + sizeof(head)
            receipt.length = head[1]
            put_receipt(self.out, receipt, (receipt.bytes + receipt.length)[:head[2]], self.version)
            text_use(&self.waiting, sizeof(head) + receipt.length + head[2])
        return 0
