"""Parking: what a client has sent while the memory ceiling was closed, in the order in which it came.

    record  | kind: 8 | length: 32 | bytes |

Receipts of frames that need not wait stand among those that do, so that all come in the order of their frames. Records
are taken one by one from the front and nothing is moved: leaving a frame to wait longer costs nothing.
"""
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memcpy

from fastbroker.core.wire cimport link_init, link_leave, text_free, text_put, text_use

cdef enum:
    HEAD = 5


cdef Parking parking_new(void *session, int64_t *counted):
    cdef Parking new = Parking()
    link_init(&new.link, session)
    new.records.counted = counted
    return new


cdef class Parking:

    def __dealloc__(self):
        self.clear()

    cdef int put(self, Parked kind, const char *bytes, size_t length) except -1:
        cdef char head[HEAD]
        cdef uint32_t size = <uint32_t>length
        head[0] = <char>kind
        memcpy(head + 1, &size, sizeof(uint32_t))
        if text_put(&self.records, head, HEAD) < 0 or text_put(&self.records, bytes, length) < 0:
            raise MemoryError()
        self.ended |= kind == PARKED_END
        return 0

    cdef Parked first(self, Slice *record) noexcept:
        """The first record, which must be there; it stays."""
        cdef const char *head = self.records.bytes + self.records.start
        cdef uint32_t size
        memcpy(&size, head + 1, sizeof(uint32_t))
        record.bytes = head + HEAD
        record.length = size
        return <Parked>head[0]

    cdef void drop_first(self) noexcept:
        cdef Slice record
        self.first(&record)
        text_use(&self.records, HEAD + record.length)
        if self.size() == 0:
            self.depends = False

    cdef void clear(self) noexcept:
        text_free(&self.records)
        link_leave(&self.link)
