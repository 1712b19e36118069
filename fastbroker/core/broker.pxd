"""What all sessions share: destinations, topics, queues, memory, the clock, and the two questions of access."""
cimport cython
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from fastbroker.core.batch cimport Batch
from fastbroker.core.frame cimport Content, Frame
from fastbroker.core.message cimport Entry, Message
from fastbroker.core.parser cimport Parser, ParserLimits
from fastbroker.core.queue cimport Queue
from fastbroker.core.route cimport Route
from fastbroker.core.subscription cimport Subscription
from fastbroker.core.table cimport Table
from fastbroker.core.trie cimport Trie
from fastbroker.core.wire cimport Census, Counter, Link, OutBuf, Outlets, Text, Wheel


cdef struct Limits:
    # times in milliseconds, sizes in bytes; the keys are explained in docs/configuration.md
    uint64_t login_timeout
    uint64_t idle_timeout
    uint64_t outbound_timeout
    uint64_t slow_consumer_grace
    uint64_t transaction_timeout
    uint64_t queue_idle_timeout
    uint64_t nack_delay
    uint64_t linger
    uint64_t frame_timeout
    uint32_t heart_beat_send
    uint32_t heart_beat_receive
    double heart_beat_margin
    int64_t memory
    size_t max_parked
    size_t max_transaction_bytes
    size_t prefetch_bytes
    size_t dead_letter_limit
    uint32_t max_connections
    uint32_t max_unauthenticated
    uint32_t max_subscriptions
    uint32_t max_transactions
    uint32_t max_transaction_frames
    uint32_t max_failures
    uint32_t prefetch
    uint32_t max_prefetch
    int max_levels


cdef struct Form:
    # the content of one message for receivers of an older version
    uint64_t number
    Content content


@cython.final
cdef class Broker:
    cdef Limits limits
    cdef ParserLimits parser_limits
    cdef Census census
    cdef Outlets outlets
    cdef Wheel wheel
    cdef uint64_t now           # milliseconds; stands still while the process does
    cdef Frame frame            # the frame being handled
    cdef Parser parser          # for frames that were parked
    cdef Text scratch           # header lines being put together
    cdef Batch batch            # messages for a large fan-out, delivered before anything else happens
    cdef bint unlimited         # the last frames of a client that is gone are handled whatever the memory
    cdef Form forms[2]          # for 1.0 and 1.1
    cdef list form_heads        # whose bytes they point to
    cdef Link due               # queues to dispatch in this turn
    cdef Link released          # connections that were held and go on in this turn
    cdef Link parking           # sessions with frames that wait for memory
    cdef OutBuf *blocking       # set by publish: a subscriber whose output is too full, or NULL
    cdef Counter number         # of the last message
    cdef readonly bytes boot    # random, part of every message-id
    cdef readonly bytes server  # "fastbroker/<version>"
    cdef Trie topics
    cdef Table routes
    cdef int64_t route_memory
    cdef Table queues
    cdef dict replies           # token -> Queue of a /temp-queue/
    cdef set short_sessions     # the four-letter session ids of STOMP 1.0 that are in use
    cdef list policies
    cdef bytes dead_letter
    cdef object authenticate
    cdef object authorize
    cdef object log

    cdef Route route_of(self, const char *destination, size_t length)
    cdef int publish(self, Route route, const Content *content) except -1
    cdef int deliver_batch(self) except -1
    cdef int subscribe_topic(self, Subscription subscription, bytes pattern) except -1
    cdef int unsubscribe(self, Subscription subscription) except -1
    cdef Queue queue_of(self, bytes name)
    cdef Queue new_queue(self, bytes name)
    cdef Queue existing_queue(self, bytes name)
    cdef void remove_queue(self, Queue queue) noexcept
    cdef void left(self, Queue queue) noexcept
    cdef int refuse_message(self, Entry *entry) except -1
    cdef int dispatch_due(self) except -1

    cdef inline bint is_full(self) noexcept:
        return self.census.memory > self.limits.memory and not self.unlimited

    # inside
    cdef Queue _create_queue(self, bytes name)
    cdef Route _new_route(self, bytes destination)
    cdef Route _reply_route(self, bytes destination)
    cdef void _forget_route(self, bytes destination) noexcept
    cdef int _cache(self, Route route) except -1
    cdef int _publish_topic(self, Route route, const Content *content) except -1
    cdef int _deliver_tails(self, Subscription subscription, Route route, bint large) except -1
    cdef int _deliver_singly(self, Subscription subscription, Route route) except -1
    cdef int _deliver_in_forms(self, Route route) except -1
    cdef int _deliver_one(self, Subscription subscription, Route route, uint32_t i) except -1
    cdef int _deliver(self, Subscription subscription, Route route, const Content *content, const char *middle,
                      size_t length, uint64_t number, Message **message) except -1
    cdef const Content *_in_form(self, const Content *content, int version, uint64_t number) except NULL
    cdef bint _must_wait(self, Subscription subscription, size_t size) noexcept
    cdef int _deliver_private(self, Subscription subscription, Route route, const Content *content,
                              uint64_t number, Message **message) except -1
    cdef int _weigh(self, OutBuf *out, Route route) except -1
    cdef uint8_t _policy(self, bytes name)


cdef tuple target_of(bytes destination)
cdef bytes shown(bytes text)
