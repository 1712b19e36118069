"""What the operator wants of queues and topics."""
cimport cython
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from fastbroker.core.wire cimport Census

cdef enum:
    # what is done with a subscriber of a topic that is too slow
    SLOW_DISCONNECT
    SLOW_DROP_OLDEST
    SLOW_DROP_NEWEST

cdef enum:
    # and with a message for a queue that is full
    OVERFLOW_REJECT
    OVERFLOW_DROP_OLDEST
    OVERFLOW_DEAD_LETTER
    OVERFLOW_BLOCK

cdef enum:
    # which messages are persistent
    PERSISTENT_ASKED        # those whose senders say so
    PERSISTENT_ALWAYS
    PERSISTENT_NEVER

cdef enum:
    # and what the RECEIPT of one that is means
    DURABILITY_FSYNC        # it is on the disk
    DURABILITY_WRITTEN      # the system has it, which will write it soon: it outlives the broker, and no power cut
    DURABILITY_MEMORY       # nothing more than without

cdef enum:
    # what both come to, for one message
    LASTS_NOT
    LASTS_WRITTEN
    LASTS_STRICTLY          # receipts wait for the disk


@cython.final
@cython.no_gc
cdef class QueuePolicy:
    """For one queue, or for all whose names match a pattern. It is never changed: who refines it makes a copy."""
    cdef dict settings          # all that was said of it
    cdef uint32_t max_deliveries        # hand-overs of one message; 0: no limit
    cdef uint64_t redelivery_delay      # before the second hand-over, milliseconds; 0: at once ...
    cdef double redelivery_multiplier   # ... and before each next one so many times that
    cdef uint64_t redelivery_max_delay  # ... but never more
    cdef double redelivery_jitter       # a random part of it, more or less
    cdef bytes dead_letter      # name of a queue, where {name} stands for that of the queue; empty: there is none
    cdef bint dead_letter_expired       # what has expired goes there, too
    cdef uint64_t ttl           # of a message that does not say it; 0: for ever
    cdef uint64_t max_ttl       # and of any; 0: no limit
    cdef uint64_t max_messages  # that wait or are not settled; 0: no limit ...
    cdef uint64_t max_bytes     # ... and their bytes; 0: no limit
    cdef uint8_t overflow       # OVERFLOW_*: what becomes of one that is too much
    cdef uint64_t idle_timeout  # it goes when nobody has used it for so long; 0: limits.queue_idle_timeout
    cdef bint auto_delete       # it goes with its last consumer, when it is empty
    cdef bint dies_with_consumer    # it goes with its last consumer, and so does what it holds
    cdef bint idle_drops        # what it holds goes, too, when it goes by idle_timeout, which only consumers put off
    cdef bint exclusive         # one consumer has all, the next one takes over when that has gone
    cdef uint32_t duplicate_window      # ids of messages that are remembered
    cdef uint8_t persistent     # PERSISTENT_*
    cdef uint8_t durability     # DURABILITY_*
    cdef list mirror            # canonical destinations that get a copy of each message

    cdef QueuePolicy refined(self, dict more)


cdef inline bint keeps_persistent(QueuePolicy policy) noexcept:
    """Whether what senders call persistent outlives the broker there."""
    return policy.persistent != PERSISTENT_NEVER and policy.durability != DURABILITY_MEMORY


@cython.final
@cython.no_gc
cdef class TopicPolicy:
    """For one topic, or for all whose names match a pattern."""
    cdef uint8_t slow           # SLOW_*
    cdef bint retain            # whether messages may ask to be kept for those who come later
    cdef uint32_t history_messages      # the last so many are kept for those who come later, ...
    cdef uint64_t history_bytes         # ... so many bytes of them, ...
    cdef uint64_t history_age           # ... no older than that; all 0: none
    cdef uint64_t durable_messages      # of each durable subscription; 0: no limit
    cdef uint64_t durable_bytes
    cdef uint8_t durable_overflow       # OVERFLOW_*
    cdef uint8_t persistent     # PERSISTENT_*, of its durable subscriptions ...
    cdef uint8_t durability     # DURABILITY_*
    cdef bint presence          # whether /presence/<topic> tells who has subscribed
    cdef list forward           # canonical destinations that get a copy of each message


@cython.final
cdef class Policies:
    cdef list queues            # (pattern, QueuePolicy)
    cdef list topics            # (pattern, TopicPolicy)
    cdef QueuePolicy usual_queue
    cdef TopicPolicy usual_topic
    cdef int64_t *work          # where it is counted what was looked at, or NULL

    # The same, whose work is counted there. The census must outlive it.
    cdef Policies counted_in(self, Census *census)
    cdef QueuePolicy of_queue(self, bytes name)
    cdef TopicPolicy of_topic(self, bytes name)


cdef inline int lasting(uint8_t persistent, uint8_t durability, bint asked) noexcept:
    """LASTS_* of a message, whose sender may have asked for that."""
    if durability == DURABILITY_MEMORY or persistent == PERSISTENT_NEVER or (
            persistent == PERSISTENT_ASKED and not asked):
        return LASTS_NOT
    return LASTS_WRITTEN if durability == DURABILITY_WRITTEN else LASTS_STRICTLY
