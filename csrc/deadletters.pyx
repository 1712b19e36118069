"""Dead letters: what becomes of a message that nobody shall get again.

    destination:/queue/DLQ.orders LF            the dead-letter queue's, by the policy of the queue where it died
    original-destination:/queue/orders LF       as its sender wrote it
    original-message-id:<epoch>-<number> LF
    dead-letter-reason:rejected LF              or max-deliveries, expired, overflow
    [dead-letter-text:<reason of the NACK> LF]
    [delivery-count:<n> LF]                     how often it had been given to somebody
    all other header lines of its sender

It is a message of its own: with a number of its own, as a message of a topic may die once for each of its subscribers,
and with properties of its own: of the old ones only the priority is left, so it does not expire again. IS_DEAD is among
them: it is not counted how often a dead letter is delivered, and one that is refused for good is gone.

Numbers of dead letters are those from 2 ** 62 on. A message may die while another one is on its way, whose number is
that of the counter, which therefore must not move.
"""
from libc.string cimport memchr, memcmp, memset

from fastbroker.core.frame cimport encoded
from fastbroker.core.message cimport message_content, message_is_dead
from fastbroker.core.queue cimport DEAD_DELIVERIES, DEAD_EXPIRED, DEAD_OVERFLOW, DEAD_REJECTED
from fastbroker.core.wire cimport (
    IS_DEAD, PERSISTS, SEEN_BACKSLASH, SEEN_CR, SEEN_PROPERTIES, USUAL_PRIORITY, text_put,
)

cdef extern from "string.h" nogil:
    void *memmem(const void *text, size_t length, const void *part, size_t part_length)

cdef uint64_t FIRST_NUMBER = <uint64_t>1 << 62

REASONS = {DEAD_REJECTED: b"rejected", DEAD_DELIVERIES: b"max-deliveries", DEAD_EXPIRED: b"expired",
           DEAD_OVERFLOW: b"overflow"}


cdef DeadLetters dead_letters_of(bytes epoch):
    cdef DeadLetters new = DeadLetters()
    new.epoch = epoch
    new.last = FIRST_NUMBER
    return new


cdef bytes dead_reason_name(DeadReason reason):
    return REASONS[reason]


cdef class DeadLetters:

    cdef bytes queue_for(self, Queue source, const Message *message):
        """Name of the queue where it goes if it dies in that one; None: it is gone."""
        if message_is_dead(message) or not source.policy.dead_letter:
            return None
        if self.policy is not source.policy or self.source is not name_of(source):
            self.source = name_of(source)
            self.policy = source.policy
            self.name = source.policy.dead_letter.replace(b"{name}", self.source)
            self.line = b"destination:/queue/%b\n" % encoded(self.name, 12)
        return self.name if self.name != source.name else None

    cdef uint64_t next_number(self) noexcept:
        self.last += 1
        return self.last

    cdef bint has_given(self, uint64_t number) noexcept:
        """Whether a dead letter has that number."""
        return FIRST_NUMBER < number <= self.last

    cdef int write(self, const Entry *entry, DeadReason reason, bytes text, Text *head, Content *content,
                   Properties *properties) except -1:
        """The dead letter of that message, for the queue that was asked for last. Its header lines are in `head`, its
        body is that of the old one."""
        message_content(entry.message, content)
        memset(properties, 0, sizeof(Properties))
        properties.priority = USUAL_PRIORITY if content.properties == NULL else content.properties.priority
        properties.flags = IS_DEAD
        if content.properties != NULL:
            properties.flags |= content.properties.flags & PERSISTS
        put(head, self.line)
        put_old_lines(head, content, b"original-message-id:%b-%d\ndead-letter-reason:%b\n" % (
            self.epoch, entry.message.id, dead_reason_name(reason)) + told(entry, text))
        content.seen &= ~<unsigned>SEEN_PROPERTIES
        if memchr(head.bytes, c'\\', head.end) != NULL:
            content.seen |= SEEN_BACKSLASH
        if memmem(head.bytes, head.end, b"\\r", 2) != NULL:
            content.seen |= SEEN_CR
        content.head = head.bytes
        content.head_length = head.end
        content.properties = properties
        return 0


cdef bytes name_of(Queue source):
    """What stands for {name}. Queues that have no name that a person knows have one for all of their kind."""
    return b"topic" if source.name is None else b"temporary" if source.owned and source.kept is None else source.name


cdef bytes told(const Entry *entry, bytes text):
    cdef bytes lines = b"dead-letter-text:%b\n" % encoded(text, 12) if text else b""
    return lines + b"delivery-count:%d\n" % entry.deliveries if entry.deliveries else lines


cdef int put_old_lines(Text *head, const Content *content, bytes lines) except -1:
    """The destination of the old message under its new name, those new lines, and all others of the old ones."""
    cdef const char *limit = content.head + content.head_length
    cdef const char *line = destination_line(content)
    cdef const char *end = <const char *>memchr(line, c'\n', limit - line) + 1
    put(head, b"original-")
    put_bytes(head, line, end - line)
    put(head, lines)
    put_bytes(head, content.head, line - content.head)
    return put_bytes(head, end, limit - end)


cdef const char *destination_line(const Content *content) noexcept:
    """Where it begins: no SEND is without."""
    if memcmp(content.head, b"destination:", min(content.head_length, <size_t>12)) == 0:
        return content.head
    return <const char *>memmem(content.head, content.head_length, b"\ndestination:", 13) + 1


cdef int put(Text *head, bytes lines) except -1:
    return put_bytes(head, lines, len(lines))


cdef int put_bytes(Text *head, const char *bytes, size_t length) except -1:
    if text_put(head, bytes, length) < 0:
        raise MemoryError()
    return 0
