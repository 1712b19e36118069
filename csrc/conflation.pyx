"""Conflation: what waits for a slow subscriber who wants the newest value of each key only.

    SUBSCRIBE conflate:<header>         the key of a message is what that header says, of each topic for itself

    output    | m m m |                 while the peer takes what there is, every message goes here at once
    queue     [ A7 | B4 | C9 ]          while it does not, they wait in the subscription's own queue, on its shelf:
                ^ the next one          A8 takes the place of A7, whatever has come since

In the place of the old one: were it put to the end, a key that changes all the time would never come while others
wait, too. So each key is told of when those in front of it have been, and with its newest value; what is told of two
keys has no order. A message without the header has no key, and is not replaced.

There is no memory of keys but what waits. That is a backlog like any other: it holds publishers, and the policy of the
topic decides in the end, when the newest values of all keys are too much.
"""
import os

from libc.string cimport memchr, memcmp, strlen

from fastbroker.core.frame cimport Slice, encoded
from fastbroker.core.wire cimport property_hash

cdef extern from "string.h" nogil:
    void *memmem(const void *text, size_t length, const void *part, size_t part_length)

cdef uint64_t secret = int.from_bytes(os.urandom(8), "little")

cdef bytes DESTINATION = b"\ndestination:"
cdef const char *TOPICS[4]      # what senders write in front of a topic's name, in the encoding of header lines
TOPICS[:] = [b"/topic/", b"/exchange/amq.topic/", b"topic\\c//", b"topic://"]


cdef Conflation conflation_new(bytes header, bint many):
    cdef Conflation new = Conflation()
    new.line = b"\n%b:" % encoded(header, 12)
    new.many = many
    new.seed = secret
    return new


cdef class Conflation:

    cdef uint64_t key_of(self, const Message *message) noexcept:
        """0: it has none."""
        cdef Slice value = value_in(message, self.line)
        cdef uint64_t seed = self.seed
        if value.length == 0:
            return 0
        if self.many:
            seed ^= topic_of(message, seed)
        return property_hash(value.bytes, value.length, seed)


cdef uint64_t topic_of(const Message *message, uint64_t seed) noexcept:
    """A number for the topic, whatever its sender calls it."""
    cdef Slice name = value_in(message, DESTINATION)
    cdef size_t length, i
    for i in range(sizeof(TOPICS) // sizeof(TOPICS[0])):
        length = strlen(TOPICS[i])
        if name.length > length and memcmp(name.bytes, TOPICS[i], length) == 0:
            return property_hash(name.bytes + length, name.length - length, seed)
    return property_hash(name.bytes, name.length, seed)


cdef Slice value_in(const Message *message, bytes line) noexcept:
    """Of the first header line that begins like that, which has an LF in front."""
    cdef const char *head = <const char *>(message + 1)
    cdef const char *start = line
    cdef const char *found = head - 1
    cdef size_t length = len(line)
    cdef Slice value
    value.bytes = NULL
    value.length = 0
    if message.head_length < length or memcmp(head, start + 1, length - 1) != 0:
        found = <const char *>memmem(head, message.head_length, start, length)
    if found != NULL:
        value.bytes = found + length
        value.length = <const char *>memchr(value.bytes, c"\n", head + message.head_length - value.bytes) - value.bytes
    return value
