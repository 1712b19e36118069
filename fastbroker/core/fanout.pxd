"""One message to everybody who subscribed to its topic."""
cimport cython
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from fastbroker.core.frame cimport FORMS, Content
from fastbroker.core.keyed cimport Keyed
from fastbroker.core.message cimport Message
from fastbroker.core.queue cimport Queue, QueueOwner
from fastbroker.core.route cimport Origin
from fastbroker.core.subscription cimport Subscription
from fastbroker.core.trie cimport Matches
from fastbroker.core.wire cimport Census, Counter, OutBuf, Outlets, Text

cdef enum:
    BATCH_MESSAGES = 256
    BATCH_BYTES = 65536     # of tails: half of the cache next to the processor
    BATCH_DELIVERIES = 32768    # messages times subscribers, until somebody says less
    STORE_COST = 128        # what giving one message to one queue costs, or keeping it from there, in bytes of output

cdef struct Audience:
    # who gets the messages of a topic
    Matches receivers       # Receivers: first the plain ones, which are written to en bloc ...
    size_t plain            # ... so many; then queues ...
    size_t asked            # ... up to here; the others, of either kind, are asked whether they want it
    Keyed keyed             # and the last of those need not be, but where a header has the value that they want
    size_t weight           # how many plain ones would be as much work
    uint8_t slow            # SLOW_*: what to do with a subscriber that is too slow
    void *owner             # QueueOwner of the queues that are made for those


cdef struct Transit:
    # a message on its way to an audience
    const Content *content
    const char *middle      # number LF
    size_t middle_length
    uint64_t number
    Message *message        # the stored copy, once somebody needs one
    uint8_t policy
    void *owner
    Origin *origin


cdef struct Tail:
    uint64_t number         # of the message
    size_t start            # in `tails`
    size_t length
    uint32_t middle_length
    uint32_t head_length
    uint32_t seen
    int opcode              # of a WebSocket message with it; 0: nobody has asked yet
    Message *message


cdef struct Form:
    # the content of one message for receivers that read it in another form
    uint64_t number
    Content content


@cython.final
@cython.no_gc
cdef class Fanout:
    cdef Census *census
    cdef Outlets *outlets
    cdef const Counter *number      # of the message that is being published
    cdef const uint64_t *now
    cdef uint64_t slow_consumer_grace
    cdef uint64_t key_seed
    # the open batch
    cdef object route               # whose audience gets it; alive until it is settled
    cdef const Audience *audience
    cdef Origin *origin             # who published it
    cdef Text tails
    cdef Tail items[BATCH_MESSAGES]
    cdef uint32_t count
    cdef uint32_t seen              # SEEN_* of any of them
    cdef uint32_t most              # messages times subscribers, so that nobody else waits for long
    # for 1.0, 1.1, and those who speak with ActiveMQ
    cdef Form forms[FORMS]
    cdef list form_heads            # whose bytes they point to

    cdef int send(self, object route, const Audience *audience, const Content *content, Origin *origin) except -1
    cdef int settle(self) except -1


cdef Fanout fanout_new(Census *census, Outlets *outlets, const Counter *number, const uint64_t *now,
                       uint64_t slow_consumer_grace, uint64_t key_seed)
cdef Queue detour(Subscription subscription, void *owner)
