"""First in, first out, to consumers with credit."""
cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t

from fastbroker.core.conflation cimport Conflation
from fastbroker.core.fetching cimport Fetching
from fastbroker.core.frame cimport Content
from fastbroker.core.journal cimport Journal
from fastbroker.core.message cimport Entry, Message, message_drop, message_properties
from fastbroker.core.names cimport Names
from fastbroker.core.policy cimport Policies, QueuePolicy, TopicPolicy
from fastbroker.core.redelivery cimport Refusal
from fastbroker.core.resting cimport Resting
from fastbroker.core.route cimport Origin, Route
from fastbroker.core.shelf cimport NEVER, Shelf, shelf_soonest
from fastbroker.core.stored cimport Stored
from fastbroker.core.subscription cimport ACK_AUTO, Receiver, Subscription
from fastbroker.core.wire cimport (
    USUAL_PRIORITY, Ceiling, Census, Choosers, Counter, Duplicates, DuplicatesShare, Keeper, Link, OutBuf, Properties,
    Ranks, Timer, Wheel,
)

cdef enum Verdict:
    ACKED                   # done with
    NACKED                  # could not be handled: it comes again after a while, or dies if that was often enough
    REJECTED                # NACK with requeue:false: it dies at once
    RETURNED                # the consumer has gone: it comes again, or dies if that was often enough

cdef enum DeadReason:
    DEAD_REJECTED           # by NACK with requeue:false
    DEAD_DELIVERIES         # it was given out as often as the policy permits
    DEAD_EXPIRED
    DEAD_OVERFLOW           # it was too much for its queue


cdef enum Presence:
    # of the content of a message that waits
    HERE
    AWAY                    # it is on the disk alone
    LOST                    # where it cannot be read

cdef enum:
    # marks of a queue
    RULED = 1               # its policy says how long messages live, or how many there may be
    SHELF = 2               # there may be something on its shelf
    SHELVED = 4             # all that comes goes there, as somebody walks along it
    CHOSEN = 8              # a consumer chooses, or messages have groups: they are given out in another way
    GROUPED = 16            # messages have groups
    WATCHED = 32            # who looks at it shall see what comes before it can be taken
    JOINED = 64             # it has consumers that have come by a pattern of queues
    STORED = 128            # the journal knows of it


cdef class QueueOwner:
    """What the queues of one namespace have in common: the namespace, as they see it."""
    cdef Census *census
    cdef const Ceiling *ceiling
    cdef Wheel *wheel
    cdef const uint64_t *now
    cdef const Counter *number      # of the message that is being published
    cdef Link *due                  # ring of queues to dispatch in this turn
    cdef Link relieved              # publishers who waited for room in a queue, and come again
    cdef uint64_t nack_delay
    cdef uint64_t queue_idle_timeout
    cdef uint64_t queue_memory      # bytes of one that are in memory; of what is more some should not be
    cdef Policies policies
    cdef Journal journal            # of persistent messages; None: there is none ...
    cdef Fetching fetching          # ... what brings back those whose content is only there ...
    cdef Link deep                  # ... and the ring of queues with so many that some should be
    cdef DuplicatesShare duplicates     # what the names of messages that have come take in all queues
    cdef int64_t route_memory       # bytes of all routes

    cdef int dead_letter(self, Queue queue, Entry *entry, DeadReason reason, bytes text=*) except -1
    cdef Queue renewed(self, bytes name, dict declared)
    cdef void remove_queue(self, Queue queue) noexcept
    cdef int has_lost(self, Queue queue, uint64_t messages) except -1
    cdef int describe(self, Queue queue, Stored stored) except -1
    cdef bint is_plain(self, Queue queue, const Content *content, uint64_t number, Origin *origin,
                       bint is_copy) except -1


@cython.no_gc
cdef class Spring:
    """What the consumer of a private queue gets in front of all that waits there."""

    cdef bint has_run_dry(self, Queue queue) except -1
    cdef void rose(self, Queue queue, size_t bytes) noexcept


@cython.final
@cython.no_gc
cdef class Queue(Receiver):
    cdef readonly bytes name        # None: private to one topic subscription
    cdef void *owner                # QueueOwner, which outlives it
    cdef QueuePolicy policy         # set by `obey`
    cdef Stored stored              # what the journal is told of it; None: nothing
    cdef dict declared              # what clients have said of it (declaring.pyx), which is in its policy; or None
    cdef Census *census
    cdef int64_t cost               # of itself, in the memory ceiling
    cdef Keeper keeper              # for the round that moves messages
    cdef Link due_link              # in the owner's ring
    cdef Link sibling               # in the ring of all queues that patterns may match
    cdef Link consumers             # those believed to have room, in turn
    cdef Choosers *choosers         # where some choose, or messages have groups; NULL: none does ...
    cdef int (*give_out)(Queue queue) except -1     # ... else what is done then in place of `dispatch`
    cdef Ranks *ranks               # where some come before others; NULL: all take turns
    cdef Timer idle                 # armed while nobody uses it
    cdef readonly uint32_t consumer_count
    cdef uint32_t joined            # further consumers, by patterns of queues: they do not keep it
    cdef bint removed               # it is given nothing any more
    cdef size_t marks               # of what is not plain
    cdef uint32_t returning         # consumers that have gone, and whose deliveries it waits for
    cdef bint owned                 # by a connection, or it is a subscription to a topic: it goes with that
    cdef bint lasts                 # of those a durable subscription: it outlives whoever subscribed
    cdef TopicPolicy kept           # how much such a subscription, with a name, may keep; None: it is none
    cdef OutBuf *outlet             # of a private one: the output of its subscription, where the bytes kept count too
    cdef Spring spring              # of a private one; None: nothing comes before what waits ...
    cdef size_t ahead               # ... and 0; else 1, which counts as a message that waits
    cdef Conflation conflation      # of a private one: only the newest of each key waits; None: all do
    cdef Entry *ring                # never delivered, oldest first
    cdef size_t head
    cdef size_t count
    cdef size_t capacity            # a power of two
    cdef Entry *returned            # delivered and given back: a heap by number
    cdef size_t returned_count
    cdef size_t returned_capacity
    cdef Resting resting            # refused, and not to be given out yet; None: there are none
    cdef Shelf shelf                # what has a priority, expires, or is the newest of its name
    cdef uint32_t walkers           # those who walk along all that waits
    cdef Timer expiry               # armed while something on the shelf expires ...
    cdef uint64_t expires           # ... for that time, or earlier
    cdef Link waiters               # publishers who wait for room, by policy
    cdef Link watchers              # queues of browsers who have seen all that waits ...
    cdef uint64_t watched           # ... up to this number
    cdef uint64_t renewals          # how often the newest of a last value has taken the place of an older one ...
    cdef uint64_t renewed           # ... and which place that was the last time
    cdef uint64_t next_number
    cdef readonly int64_t unsettled # deliveries that consumers have
    cdef size_t unsettled_bytes     # of their messages
    cdef readonly size_t bytes      # of the messages that wait ...
    cdef readonly size_t away       # ... and of those of them that are only on the disk
    cdef Link deep_link             # in the owner's ring
    cdef uint64_t spilled           # in the ring, all before that number was looked at for it ...
    cdef size_t spilled_nodes       # ... and on the shelf so many nodes
    cdef uint64_t dead              # messages that nobody shall get again
    cdef Duplicates *duplicates     # the names of messages that have come; NULL: none had one ...
    cdef Names names                # ... and what the journal has of them; None: nothing
    cdef uint64_t told              # when the log was last told of those that went to another queue; 0: never ...
    cdef uint64_t told_of_lost      # ... and of those that went nowhere

    cdef int push(self, Message *message) except -1
    cdef bint take_first(self, Entry *entry) noexcept
    cdef int dispatch(self) except -1
    cdef void acknowledged(self, Entry *entry) noexcept
    cdef void add_consumer(self, Subscription consumer) noexcept
    cdef void remove_consumer(self, Subscription consumer) noexcept
    cdef void regained(self, Subscription consumer) noexcept
    cdef void call(self) noexcept
    cdef void look(self) noexcept
    cdef void has_returned(self) noexcept
    cdef void spring_from(self, Spring spring) noexcept
    cdef void left(self) noexcept
    cdef bint unused(self) noexcept
    cdef void declare(self, dict declared, QueuePolicy policy) noexcept
    cdef bint stays(self) noexcept
    cdef void purge(self, int64_t until) noexcept

    cdef inline size_t waiting(self) noexcept:
        """Messages that a consumer could be given now."""
        return self.count + self.returned_count + self.shelf.count + self.ahead

    cdef inline size_t held(self) noexcept:
        """And those that rest."""
        return self.waiting() + (self.resting.count if self.resting is not None else 0)


@cython.final
@cython.no_gc
cdef class QueueRoute(Route):
    cdef Queue queue
    cdef dict declared              # by the session whose route it is, should the queue be made anew; or None
    cdef uint64_t declared_as       # hash of the headers that did it; 0: none


cdef inline int give(Queue queue, Subscription consumer, Entry *entry) except -1:
    """Takes over the entry's reference: it is out until the consumer settles it, unless that is `auto`."""
    if consumer.ack_mode != ACK_AUTO:
        queue.unsettled += 1
        queue.unsettled_bytes += entry.message.size
        if queue.marks & STORED and queue.stored is not None:
            queue.stored.gave(entry.number)
    elif queue.marks & STORED:
        tell_settled(queue, entry)
    return consumer.hand_over(entry)


cdef void tell_settled(Queue queue, const Entry *entry) noexcept
cdef int have_look(Link *watchers) except -1
cdef Queue queue_new(bytes name, QueueOwner owner, QueuePolicy policy)
cdef void join(Queue queue, Subscription member) noexcept
cdef void part(Queue queue, Subscription member) noexcept
cdef int claim_place(Queue queue, Subscription consumer) except -1
cdef QueueRoute queue_route(bytes destination, Queue queue, dict declared=*)
cdef bint leads_somewhere(QueueRoute route) except -1
cdef bint has_come(Queue queue, const Properties *asks) noexcept
cdef void forget_duplicates(Queue queue) noexcept
cdef void keep_in(Queue queue, Stored stored) noexcept
cdef void stand_in_ring(Queue queue, Entry *entries, size_t count, size_t capacity) noexcept
cdef bint is_stored(Queue queue) except -1
cdef int restore_entry(Queue queue, Entry *entry, uint64_t pause) except -1
cdef int push_for(Queue queue, Message *message, Origin *origin) except -1
cdef int put_back(Queue queue, Entry *entry) except -1
cdef int put_to_rest(Queue queue, Entry *entry, uint64_t due) except -1
cdef void tell_group(Queue queue, const Entry *entry) noexcept
cdef int came_back(Queue queue, Entry *entry, Verdict verdict, Subscription consumer, Refusal refusal) except -1
cdef void obey(Queue queue, QueuePolicy policy) noexcept
cdef bint take_oldest(Queue queue, Entry *entry) noexcept
cdef void take_again(Queue queue, Entry *entry) noexcept
cdef void shelve_all(Queue queue) noexcept
cdef void conflate_by(Queue queue, Conflation conflation) noexcept
cdef void unshelve_all(Queue queue) noexcept
cdef int look_at_marks(Queue queue) except -1
cdef bint take_expired(Queue queue) except -1
cdef Link *line_of(Queue queue, Subscription consumer) noexcept
cdef const Entry *plain_head(Queue queue) noexcept
cdef void take_from_shelf(Queue queue, uint32_t at, Entry *entry) noexcept
cdef bint shelve_returned(Queue queue) except -1
cdef Entry *first_entry(Queue queue) noexcept
cdef Presence bring(Queue queue, Entry *entry) noexcept
cdef int fetch_along_shelf(Queue queue, uint64_t place) except -1
cdef int fetch_along_ring(Queue queue, size_t begin) except -1
cdef int call_when_here(Queue queue, const Entry *entry, Queue caller) except -1
cdef bint first_is_here(Queue queue) except -1
cdef int lose(Queue queue, Entry *entry) except -1
cdef int end_of_life(Queue queue, Entry *entry) except -1
cdef void number_entry(Queue queue, Entry *entry, Message *message) noexcept

cdef inline bint belongs_on_shelf(Queue queue, const Message *message) noexcept:
    """Whether it stands there, and not where what is plain does."""
    cdef const Properties *asks = message_properties(message)
    return queue.marks & SHELVED != 0 or (
        asks != NULL and (asks.priority != USUAL_PRIORITY or asks.expires != 0 or asks.last_value != 0))


cdef inline void end_entry(Queue queue, Entry *entry) noexcept:
    """Nobody gets it again; takes over the entry's reference."""
    if queue.marks & STORED:
        tell_settled(queue, entry)
    message_drop(entry.message)


cdef inline bint expire(Queue queue) except -1:
    """Takes away all that has expired, or much of it, and the rest in the next turns; whether that is all."""
    return shelf_soonest(&queue.shelf) == NEVER or take_expired(queue)
