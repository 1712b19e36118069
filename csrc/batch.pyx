"""The batch of a large fan-out.

    tail   number LF  header lines  LF  body NUL LF

A message's tail is all of the frame behind the subscription's prefix, the same for all subscribers and put together
once. Tails of messages that come one behind the other stand together, so that a subscriber is written to from a few
dozen kilobytes that are in the cache, in one piece, and is looked at once for all of them.
"""
from libc.stdint cimport uint32_t
from libc.string cimport memcpy

from fastbroker.core.message cimport message_drop
from fastbroker.core.wire cimport NUMBER_SPACE, counter_line, text_free, text_reserve


cdef class Batch:

    def __dealloc__(self):
        self.clear()
        text_free(&self.tails)

    cdef bint add(self, Route route, const Content *content, const Counter *number) except -1:
        """Whether it is full now and must be delivered."""
        cdef Item *item = &self.items[self.count]
        cdef size_t most = NUMBER_SPACE + content.head_length + content.body_length + 4
        cdef char *start = text_reserve(&self.tails, most)
        cdef char *end = start
        cdef const char *middle
        cdef size_t length
        if start == NULL:
            raise MemoryError()
        middle = counter_line(number, &length)
        item.middle_length = <uint32_t>length
        memcpy(end, middle, length)
        memcpy(end + length, content.head, content.head_length)
        end += length + content.head_length
        end[0] = c'\n'
        memcpy(end + 1, content.body, content.body_length)
        end += 1 + content.body_length
        end[0] = 0
        end[1] = c'\n'
        item.number = number.value
        item.start = self.tails.end
        item.length = end + 2 - start
        item.head_length = <uint32_t>content.head_length
        item.seen = content.seen
        item.message = NULL
        self.tails.end += item.length
        self.seen |= content.seen
        self.route = route
        self.count += 1
        return (self.count == BATCH_MESSAGES or self.tails.end >= BATCH_BYTES
                or self.count * route.matches.count >= BATCH_DELIVERIES)

    cdef void content(self, uint32_t index, Content *content) noexcept:
        """The content of one message, as a view into its tail."""
        cdef const Item *item = &self.items[index]
        content.head = self.tails.bytes + item.start + item.middle_length
        content.head_length = item.head_length
        content.body = content.head + item.head_length + 1
        content.body_length = item.length - item.middle_length - item.head_length - 3
        content.seen = item.seen

    cdef void clear(self) noexcept:
        cdef uint32_t i
        for i in range(self.count):
            if self.items[i].message != NULL:
                message_drop(self.items[i].message)
        self.tails.start = self.tails.end = 0
        self.count = self.seen = 0
        self.route = None
