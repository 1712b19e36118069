"""One SUBSCRIBE of one session: where its messages go and what it has not settled yet."""
cimport cython
from libc.stdint cimport int8_t, int64_t, uint32_t, uint64_t

from fastbroker.core.frame cimport Content
from fastbroker.core.ledger cimport Ledger
from fastbroker.core.message cimport Entry
from fastbroker.core.redelivery cimport Redelivery
from fastbroker.core.route cimport Origin
from fastbroker.core.selector cimport Selector
from fastbroker.core.trie cimport TrieEntry
from fastbroker.core.wire cimport Account, Census, Claim, Link, Looked, OutBuf, Timer, outbuf_pending

cdef enum:
    ACK_AUTO
    ACK_CLIENT              # cumulative
    ACK_CLIENT_INDIVIDUAL
    ACK_MEMBER_CLIENT       # of a member of a Several, which has its deliveries in one row with those of the others
    ACK_MEMBER_INDIVIDUAL

cdef enum:
    MARK_GAP = 1            # something in front of this message is not there any more
    MARK_RETAINED = 2       # it was sent before the subscription, and retained
    MARK_SHOWN = 4          # it is not given out, but shown to a browser of a queue, as all that it gets is


cdef struct Turns:
    # of the members of a subscription to several destinations (several.pyx), which share its credit
    Link hungry             # ring of those that found no room ...
    Link thirst             # ... and that of the subscription in `starved`, where it is its output that has none
    void *home              # the Queue whose dispatch gives them their turns

cdef struct Credit:
    # what may be unsettled, and what is
    uint32_t prefetch       # so many messages ...
    uint32_t outstanding
    size_t prefetch_bytes   # ... and bytes may be
    size_t outstanding_bytes
    uint32_t first          # deliveries, slots of the ledger in the order of delivery
    uint32_t last
    Turns *turns            # NULL: it is that of one subscription


@cython.no_gc
cdef class Receiver:
    """Who gets the messages of a topic: the values of the trie.

    A plain one is a Subscription, which is written to directly; any other is a Queue, which decides itself. Either may
    choose: then it is asked for each message, and is not plain.
    """
    cdef TrieEntry entry        # its place in the trie of topics ...
    cdef bint apart             # ... or in that of those which no pattern reaches
    cdef bint plain
    cdef bint chooses
    cdef Selector selector      # None: any will do ...
    cdef const void *not_from   # ... but those of that Origin (NULL: whoever sends it) ...
    cdef uint64_t not_by        # ... and those of that client-id, hashed; 0: whoever that is
    cdef uint32_t part          # 0, or it is a member of a Several: its number there, and the first of those that ...
    cdef object several         # ... match gets a message; None: it is of none
    cdef uint64_t filled        # when it last made the output of its connection too full; 0: never

    cdef inline void choose_as(self, Receiver other):
        """What is meant for that one comes to this."""
        self.selector = other.selector
        self.not_from = other.not_from
        self.chooses = other.chooses
        self.several = other.several
        self.part = other.part

    cdef inline bint wants(self, const Content *content, uint64_t number, const Origin *origin,
                           Census *census) noexcept:
        """Of one that chooses: whether it takes a message of a topic, which it is offered once."""
        if self.not_from != NULL and self.not_from == origin:
            return False
        if self.not_by and origin != NULL and origin.client == self.not_by:
            return False
        return self.selector is None or self.selector.selects(content, number, 1, &census.work)


@cython.final
@cython.no_gc
cdef class Subscription(Receiver):
    cdef OutBuf *out            # its connection's; outlives it
    cdef Census *census
    cdef Account *account       # its session's
    cdef int64_t cost           # bytes of itself in that account
    cdef Link *starved          # ring of its session: waits for the output to drain
    cdef Link ready             # in its queue's ring of consumers, in `starved`, or nowhere
    cdef Claim *claim           # to come before others; NULL: it takes turns
    cdef Timer rest             # after a NACK it is given nothing for a while
    cdef readonly bytes id      # decoded; None if the client gave none
    cdef readonly bytes destination     # decoded
    cdef bytes prefix_owner
    cdef const char *prefix     # "MESSAGE LF ... message-id:<epoch>-"
    cdef size_t prefix_length
    cdef bytes again_owner      # None: the same ...
    cdef const char *again      # ... for a message that was given out before
    cdef size_t again_length
    cdef int version
    cdef unsigned form          # FORM_*: how it reads header lines
    cdef int ack_mode
    cdef int8_t priority        # among the consumers of a queue
    cdef bint exclusive         # it has all of a queue, or waits for its turn to have it
    cdef unsigned marks         # MARK_*: what the next message is told with
    cdef bint resting
    cdef bint closed            # unsubscribed; an open transaction may still hold deliveries of it
    cdef bint implicit          # made by a reply-to:/temp-queue/..., not by a SUBSCRIBE
    cdef Credit own
    cdef Credit *credit         # `own`, or that of a Several
    cdef bytes present          # the topic where it is told who is there, and it counts or watches; None: nowhere
    cdef bytes numbered         # header and colon, in front of a message's place in the queue that is browsed; or None
    cdef Redelivery redelivery  # what it wants instead of the policy of its queue; or None
    cdef Ledger ledger
    cdef Looked *looked         # of one that chooses among the messages of a queue: what it has looked at; NULL
    cdef object source          # the Queue it consumes; None: topic messages come directly

    cdef void choose(self, Selector selector, const void *not_from) noexcept
    cdef void choose_nothing(self) noexcept
    cdef void be_asked(self, int64_t cost) noexcept
    cdef void begin_with(self, bytes lines)
    cdef int hand_over(self, Entry *entry) except -1
    cdef void take_out(self, uint32_t slot, Entry *entry) noexcept

    cdef inline bint has_credit(self) noexcept:
        return self.ack_mode == ACK_AUTO or self.credit.outstanding == 0 or (
            self.credit.outstanding < self.credit.prefetch
            and self.credit.outstanding_bytes < self.credit.prefetch_bytes)

    cdef inline uint64_t last_filled(self) noexcept:
        """When it, or the queue of its own, last made the output too full; 0: never."""
        return self.filled if self.source is None else max(self.filled, (<Receiver>self.source).filled)

    cdef inline bint has_outlet(self, bint tight) noexcept:
        """Whether it may be written to; where memory is tight, only into an output that is empty."""
        return self.out.doom == 0 and outbuf_pending(self.out) < (1 if tight else self.out.outlets.soft)


cdef Subscription subscription_new(bytes id, bytes destination, bytes epoch, int version, int ack_mode,
                                   OutBuf *out, Ledger ledger, Link *starved, Account *account)
cdef Subscription subscription_member(Subscription whole, uint32_t part)
