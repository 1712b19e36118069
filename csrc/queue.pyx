"""Queues.

    resting   messages that were refused, and are given to nobody for a while (resting.pyx)
    returned  a heap of messages that came back (NACK, UNSUBSCRIBE, a lost client), by their original number
    ring      messages that were never delivered, oldest first
    shelf     those with a priority, an expiry or a last value, delivered or not: by priority, then by number

Every number in `returned` is lower than every number in `ring`, so the next message is the top of the heap, else the
head of the ring, and one that came back stands exactly where it stood. Where something is on the shelf, the first
there is compared with that: what is plain stays where it is, whatever comes later. Only whoever must walk along all
that waits has all of it shelved (`shelve_all`): what comes then goes to the shelf, and what is in the ring is moved,
some of it in each turn.

Consumers with room stand in a ring and take turns; one found without room leaves it and joins again when it gets credit
or its output has drained. Where some come
before others, `ranks` has rings of its own for them, and `consumers` is empty. Where some choose, all that waits is
shelved, and given out in choosing.pyx.

Browsers (browser.pyx) look at all that and take nothing. Those who stay are shown what comes before it is given out.

The private queue of a topic subscription may have a spring: what goes to its consumer before all that waits there.

What is persistent and much is only on the disk (spilling.pyx): it stands where it stands, and its content is fetched in
time. Whoever comes to one that is not here yet (`bring`) is called when it is, and goes on then.

A delivery to a consumer that acknowledges is counted (`unsettled`) when it goes out and when it is settled, both here.
"""
from libc.stdint cimport INT64_MAX, UINT16_MAX, UINT64_MAX, int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy

from fastbroker.core.consumers cimport next_in_line, next_ranked, step_aside
from fastbroker.core.fetching cimport BATCH, BATCH_BYTES
from fastbroker.core.frame cimport Content
from fastbroker.core.journal cimport Journal
from fastbroker.core.message cimport (
    AWAY_FETCHED, AWAY_LOST, VISIT_COST, Entry, Message, message_back, message_drop, message_is_dead, message_keep,
    message_new, message_properties, move_message, put_message,
)
from fastbroker.core.names cimport names_new
from fastbroker.core.policy cimport (
    DURABILITY_MEMORY, DURABILITY_WRITTEN, LASTS_NOT, PERSISTENT_ASKED, keeps_persistent, lasting,
)
from fastbroker.core.redelivery cimport most_deliveries, pause_after
from fastbroker.core.resting cimport resting_new
from fastbroker.core.route cimport must_wait, route_charge, route_init
from fastbroker.core.shelf cimport (
    NEVER, NOWHERE, lane_of, place_of, shelf_expiring, shelf_free, shelf_from, shelf_init, shelf_last, shelf_named,
    shelf_put, shelf_soonest, shelf_take,
)
from fastbroker.core.stored cimport Stored, stored_new
from fastbroker.core.subscription cimport ACK_AUTO, Receiver, Subscription
from fastbroker.core.wire cimport (
    KEEPS_QUEUE, PERSISTS, SEEN_AWAY, SEEN_PROPERTIES, USUAL_PRIORITY, Counter, Properties, ceiling_reached,
    census_spent, choosers_free, claim_end, claim_new, counter_line, duplicates_add, duplicates_free, duplicates_has,
    duplicates_new, keeper_join, keeper_leave, link_init, link_join, link_joined, link_leave, outbuf_touch, ranks_free,
    ranks_new, ranks_ready, ring_empty, ring_init, ring_splice, ring_take, timer_arm, timer_cancel, timer_init,
    wall_now,
)

cdef enum:
    SMALLEST_RING = 8
    COST = 768              # bytes of a queue beside its name
    STORED_COST = 192       # what the journal knows of it, with what describes it
    MAKE_WORK = 1024        # what it takes to make one, in bytes of output
    SLICE = 1048576         # bytes of output that one queue may cause before others are served
    DECLARED_COST = 1536    # bytes of what clients declared, and of a policy that is refined by it ...
    DECLARED_COPIES = 4     # ... and of each value, which both of them have
    FREE_WORK = 64          # what it takes to free a message, in bytes of output
    WAKE_WORK = 64          # and to put one that has rested where it stood
    LOOK_WORK = 32          # and for somebody to look whether there is anything
    WAKE_MOST = 8192        # so many at once
    EXPIRED_SLICE = 4096    # messages that may expire before others are served
    SHELVED_SLICE = 4096    # messages that are moved to the shelf before others are served
    AHEAD = 256             # messages: so far in front of a consumer it is fetched
    LOOK_EVERY = 60000      # milliseconds; the time of day may have been set since the timer was


cdef class QueueOwner:

    cdef int dead_letter(self, Queue queue, Entry *entry, DeadReason reason, bytes text=None) except -1:
        """A message of that queue that nobody shall get again, and what is said about it; takes over the entry's
        reference."""
        raise NotImplementedError

    cdef Queue renewed(self, bytes name, dict declared):
        """The queue of a route whose queue has gone meanwhile; a new one is as it was declared."""
        raise NotImplementedError

    cdef void remove_queue(self, Queue queue) noexcept:
        """Nothing comes to it any more; the messages that wait there are freed in the next turns."""

    cdef int has_lost(self, Queue queue, uint64_t messages) except -1:
        """A durable or shared subscription was full, and so many messages will not come."""
        raise NotImplementedError

    cdef int describe(self, Queue queue, Stored stored) except -1:
        """The journal hears what a queue is; from now on, also of its persistent messages."""
        raise NotImplementedError

    cdef bint is_plain(self, Queue queue, const Content *content, uint64_t number, Origin *origin,
                       bint is_copy) except -1:
        """Whether a message that has properties, or is for a queue with marks, is for the queue all the same. If not,
        what is to be done with it is done. `is_copy`: it was sent to a topic, and nobody is refused or waits."""
        raise NotImplementedError


cdef class Spring:

    cdef bint has_run_dry(self, Queue queue) except -1:
        """Gives the consumer as much as it has room for. When True the queue has no spring any more."""
        raise NotImplementedError

    cdef void rose(self, Queue queue, size_t bytes) noexcept:
        """So much more waits in the queue."""
        pass


cdef Queue queue_new(bytes name, QueueOwner owner, QueuePolicy policy):
    cdef Queue new = Queue()
    new.name = name
    obey(new, policy)
    new.owner = <void *>owner
    new.census = owner.census
    new.cost = COST + (2 * len(name) if name is not None else 0)
    new.census.queues += 1
    new.census.work += MAKE_WORK
    new.census.memory += new.cost
    timer_init(&new.idle, to_look_at, <void *>new)
    timer_init(&new.expiry, to_look_at, <void *>new)
    shelf_init(&new.shelf, owner.census)
    keeper_join(new.census, &new.keeper, visit_queue, <void *>new)
    new.keeper.kind = KEEPS_QUEUE
    return new


cdef void to_look_at(void *owner) noexcept:
    """The turn looks whether the queue is still unused, and what has expired."""
    (<Queue>owner).look()


cdef QueueRoute queue_route(bytes destination, Queue queue, dict declared=None):
    cdef QueueRoute new = QueueRoute()
    route_init(new, destination, queue.census, &(<QueueOwner>queue.owner).route_memory)
    new.queue = queue
    new.declared = declared
    route_charge(new, declared_cost(declared))
    return new


cdef int64_t declared_cost(dict declared) noexcept:
    """Nothing if nobody has declared anything."""
    return 0 if declared is None else DECLARED_COST + DECLARED_COPIES * <int64_t>sum(map(len, declared.values()))


cdef void obey(Queue queue, QueuePolicy policy) noexcept:
    """From now on. What a policy says of the life and the number of messages is for queues with a name: those of one
    subscription have an output that is their limit."""
    queue.policy = policy
    queue.marks &= ~RULED
    if queue.name is not None and (policy.ttl or policy.max_ttl or policy.max_messages or policy.max_bytes
                                   or policy.persistent != PERSISTENT_ASKED):
        queue.marks |= RULED


cdef class Queue(Receiver):

    def __cinit__(self):
        self.entry.value = <void *>self
        ring_init(&self.consumers)
        ring_init(&self.waiters)
        ring_init(&self.watchers)
        link_init(&self.due_link, <void *>self)
        link_init(&self.sibling, <void *>self)
        link_init(&self.deep_link, <void *>self)

    def __dealloc__(self):
        keeper_leave(&self.keeper)
        link_leave(&self.due_link)
        link_leave(&self.sibling)
        link_leave(&self.deep_link)
        timer_cancel(&self.idle)
        timer_cancel(&self.expiry)
        if self.census != NULL:
            self.marks &= ~<size_t>STORED   # what is left of it outlives the broker
            self.purge(INT64_MAX)
            ring_splice(&(<QueueOwner>self.owner).relieved, &self.waiters)
            shelf_free(&self.shelf)
            self.census.queues -= 1
            self.census.memory -= self.cost + array_cost(self.capacity) + array_cost(self.returned_capacity)
            forget_duplicates(self)
            if self.ranks != NULL:
                ranks_free(self.ranks)
            if self.choosers != NULL:
                choosers_free(self.census, self.choosers)
        free(self.ring)
        free(self.returned)

    cdef int push(self, Message *message) except -1:
        """To the end; takes over the caller's reference, also when there is no memory."""
        cdef Entry entry
        number_entry(self, &entry, message)
        if message.seen & SEEN_PROPERTIES and message_properties(message).flags & PERSISTS:
            return push_persistent(self, &entry)
        return take_place(self, &entry)

    cdef bint take_first(self, Entry *entry) noexcept:
        """The next message and its reference, or False."""
        if self.shelf.count and shelf_is_first(self):
            take_from_shelf(self, shelf_from(&self.shelf, 0), entry)
        elif take_plain(self, entry):
            let_go(self, entry.message)
        else:
            return False
        return True

    cdef int dispatch(self) except -1:
        """Gives messages to consumers in turn while there are both; above the memory ceiling, one to each whose output
        is empty. What is much goes on in the next turn. While older ones are still to come back, nobody gets any."""
        cdef Subscription consumer
        cdef Entry entry
        cdef int64_t until = self.census.bytes_out + SLICE
        if self.resting is not None and self.resting.is_due():
            wake(self)
        if self.ahead and not has_run_dry(self):
            return 0
        if self.marks:
            if self.marks & CHOSEN:
                return self.give_out(self)
            look_at_marks(self)
        while self.waiting() and not self.returning:
            if self.census.bytes_out > until:
                self.call()
                return 0
            if self.shelf.count and not may_leave_shelf(self):
                return 0
            consumer = next_consumer(self, ceiling_reached((<QueueOwner>self.owner).ceiling))
            if consumer is None or (self.away and not first_is_here(self)):
                return 0
            self.take_first(&entry)
            give(self, consumer, &entry)
        return 0

    cdef void acknowledged(self, Entry *entry) noexcept:
        """A consumer is done with it; takes over the entry's reference."""
        self.unsettled -= 1
        self.unsettled_bytes -= entry.message.size
        if self.marks & (GROUPED | STORED):
            tell_group(self, entry)
            if self.marks & STORED:
                tell_settled(self, entry)
        message_drop(entry.message)

    cdef void add_consumer(self, Subscription consumer) noexcept:
        self.consumer_count += 1
        timer_init(&consumer.rest, rested, <void *>consumer)
        timer_cancel(&self.idle)
        self.regained(consumer)

    cdef void remove_consumer(self, Subscription consumer) noexcept:
        self.consumer_count -= 1
        leave_line(self, consumer)

    cdef void regained(self, Subscription consumer) noexcept:
        """The consumer may have room again: it stands in line, and the queue is dispatched in this turn."""
        if not link_joined(&consumer.ready) and not consumer.resting:
            if consumer.has_credit():
                link_join(line_of(self, consumer), &consumer.ready)
            else:
                step_aside(consumer)
        self.call()

    cdef void call(self) noexcept:
        """Messages that wait are dispatched in this turn."""
        if self.count | self.returned_count | self.marks | self.ahead:
            self.look()

    cdef void look(self) noexcept:
        """The turn looks what is to be done."""
        if not link_joined(&self.due_link):
            link_join((<QueueOwner>self.owner).due, &self.due_link)

    cdef void has_returned(self) noexcept:
        """All that a consumer had, who has gone, has come back."""
        self.returning -= 1
        self.left()

    cdef void spring_from(self, Spring spring) noexcept:
        """From now on; None: no more."""
        self.spring = spring
        self.ahead = spring is not None

    cdef void left(self) noexcept:
        """Somebody is done with it: an exclusive one may wait for that, and so may publishers; if nobody uses it, its
        days are counted."""
        cdef QueueOwner owner = <QueueOwner>self.owner
        if self.waiting() or not ring_empty(&self.waiters):
            self.look()
        if self.name is not None and self.unused() and not self.removed:
            timer_arm(owner.wheel, &self.idle, owner.now[0] + idle_time(self))

    cdef bint unused(self) noexcept:
        """Nobody consumes it, and it is empty, or what it holds does not count."""
        return (self.consumer_count == 0 and self.unsettled == 0 and not self.stays()
                and (self.held() == 0 or (self.policy.idle_drops and self.joined == 0)))

    cdef void declare(self, dict declared, QueuePolicy policy) noexcept:
        """A client has refined its policy, or what it said does not hold; its days may be fewer now."""
        cdef int64_t cost = declared_cost(declared) - declared_cost(self.declared)
        self.declared = declared
        obey(self, policy)
        if self.stored is not None:
            (<QueueOwner>self.owner).describe(self, self.stored)
        self.cost += cost
        self.census.memory += cost
        self.left()

    cdef bint stays(self) noexcept:
        """Whether it is there without being used: its client is, or it gets the messages of a topic."""
        return self.owned or (self.entry.node != 0 and self.policy.idle_timeout == 0)

    cdef void purge(self, int64_t until) noexcept:
        """Frees what it holds, until there was so much output and work."""
        cdef Entry entry
        while census_spent(self.census) <= until and (
                self.take_first(&entry) or take_rested(self, UINT64_MAX, &entry)):
            end_entry(self, &entry)
            self.census.work += FREE_WORK


cdef uint64_t idle_time(Queue queue) noexcept:
    """How long it may be unused."""
    if queue.policy.auto_delete and queue.waiting() == 0:
        return 0
    return queue.policy.idle_timeout or (<QueueOwner>queue.owner).queue_idle_timeout


cdef bint has_run_dry(Queue queue) except -1:
    cdef Spring spring = queue.spring   # which lives to the end of the call
    return spring.has_run_dry(queue)


cdef void rested(void *owner) noexcept:
    """The moment after a NACK is over."""
    cdef Subscription consumer = <Subscription>owner
    consumer.resting = False
    (<Queue>consumer.source).regained(consumer)


cdef inline Subscription next_consumer(Queue queue, bint tight):
    cdef Subscription consumer = next_in_line(&queue.consumers, tight)
    if consumer is None and queue.ranks != NULL:
        return next_ranked(queue.ranks, tight, queue.unsettled == 0)
    return consumer


cdef Link *line_of(Queue queue, Subscription consumer) noexcept:
    """Where it stands while it has room."""
    return &queue.consumers if queue.ranks == NULL else ranks_ready(queue.ranks, consumer.claim)


cdef int claim_place(Queue queue, Subscription consumer) except -1:
    """It is about to be a consumer of the queue, perhaps before others or alone."""
    cdef bint exclusive = consumer.exclusive or queue.policy.exclusive
    if not exclusive and consumer.priority == 0:
        return 0
    if queue.ranks == NULL:
        queue.ranks = ranks_new(queue.census)
        if queue.ranks == NULL:
            raise MemoryError()
        ring_splice(&queue.ranks.usual.ready, &queue.consumers)
    consumer.claim = claim_new(queue.ranks, consumer.priority, exclusive, <void *>consumer)
    if consumer.claim == NULL:
        raise MemoryError()
    if exclusive and queue.ranks.exclusive == 1 and queue.unsettled == 0:
        queue.ranks.holder = <void *>consumer
    return 0


cdef void give_claim_up(Queue queue, Subscription consumer) noexcept:
    """With the last claim, consumers take turns again."""
    claim_end(queue.ranks, consumer.claim)
    consumer.claim = NULL
    if queue.ranks.claims == 0:
        ring_splice(&queue.consumers, &queue.ranks.usual.ready)
        ranks_free(queue.ranks)
        queue.ranks = NULL
    queue.call()


cdef void leave_line(Queue queue, Subscription consumer) noexcept:
    link_leave(&consumer.ready)
    timer_cancel(&consumer.rest)
    if consumer.claim != NULL:
        give_claim_up(queue, consumer)


cdef void join(Queue queue, Subscription member) noexcept:
    """It matches the pattern of somebody, who consumes it as long as it is there."""
    queue.joined += 1
    queue.marks |= JOINED
    timer_init(&member.rest, rested, <void *>member)
    queue.regained(member)


cdef void part(Queue queue, Subscription member) noexcept:
    leave_line(queue, member)
    queue.joined -= 1
    if queue.joined == 0:
        queue.marks &= ~JOINED
    queue.left()


cdef void linger(Queue queue) noexcept:
    """Nobody keeps it: its days are counted from its last message."""
    if queue.consumer_count == 0 and not queue.removed:
        timer_arm((<QueueOwner>queue.owner).wheel, &queue.idle, (<QueueOwner>queue.owner).now[0] + idle_time(queue))


cdef inline int pass_on(Subscription consumer, const Content *content, const Counter *number) except -1:
    cdef size_t length
    cdef const char *middle = counter_line(number, &length)
    put_message(consumer.out, consumer.prefix, consumer.prefix_length, middle, length, consumer.form, content, NULL)
    outbuf_touch(consumer.out)
    return 0


cdef int line_up(Queue queue, const Entry *entry) except -1:
    """At the end of the ring; takes over the entry's reference, also when there is no memory."""
    if queue.count == queue.capacity:
        try:
            grow_ring(queue)
        except MemoryError:
            message_drop(entry.message)
            raise
    queue.ring[(queue.head + queue.count) & (queue.capacity - 1)] = entry[0]
    queue.count += 1
    keep(queue, entry.message)
    return 0


cdef int push_persistent(Queue queue, Entry *entry) except -1:
    cdef const Properties *asks = message_properties(entry.message)
    if not is_stored(queue):
        return take_place(queue, entry)
    if asks.last_value and not replaces_older(queue, entry, asks.last_value, asks.priority):
        message_drop(entry.message)
        return 0
    message_keep(entry.message)
    try:
        queue.stored.added(entry)
        take_place(queue, entry)
    except:
        end_entry(queue, entry)
        raise
    message_drop(entry.message)
    look_how_deep(queue)
    return 0


cdef inline void look_how_deep(Queue queue) noexcept:
    if queue.bytes - queue.away > (<QueueOwner>queue.owner).queue_memory and not link_joined(&queue.deep_link):
        link_join(&(<QueueOwner>queue.owner).deep, &queue.deep_link)


cdef inline int take_place(Queue queue, Entry *entry) except -1:
    return shelve(queue, entry) if belongs_on_shelf(queue, entry.message) else line_up(queue, entry)


cdef void keep_in(Queue queue, Stored stored) noexcept:
    """From now on the journal is told of it."""
    cdef int64_t cost = STORED_COST + 2 * <int64_t>len(queue.name) if queue.stored is None else 0
    queue.cost += cost
    queue.census.memory += cost
    stored.lax = queue.policy.durability == DURABILITY_WRITTEN
    queue.stored = stored
    queue.marks |= STORED


cdef int push_for(Queue queue, Message *message, Origin *origin) except -1:
    """The same as `push`; who has published it is told what his receipt must wait for, and waits himself while the
    journal has much to write."""
    cdef Journal journal = (<QueueOwner>queue.owner).journal
    cdef uint64_t before, strict
    if journal is None:
        return queue.push(message)
    before, strict = journal.recorded.records, journal.recorded.strict
    queue.push(message)
    if journal.recorded.records != before:
        must_wait(origin, journal, strict)
        if journal.is_pressed():
            origin.full = &journal.waiters
    return 0


cdef bint is_stored(Queue queue) except -1:
    """Whether what is persistent is told to the journal there; the journal hears of the queue now at the latest."""
    cdef QueueOwner owner = <QueueOwner>queue.owner
    if queue.policy.durability == DURABILITY_MEMORY:
        return False
    if queue.marks & STORED:
        return True
    if owner.journal is None or queue.name is None or queue.owned:
        return False
    owner.describe(queue, stored_new(owner.journal, queue.name))
    return True


cdef int restore_entry(Queue queue, Entry *entry, uint64_t pause) except -1:
    """What the journal has kept of it stands where it stood on the shelf; or rests for so long. Takes over the entry's
    reference."""
    if pause:
        return put_to_rest(queue, entry, (<QueueOwner>queue.owner).now[0] + pause)
    return shelve(queue, entry)


cdef void stand_in_ring(Queue queue, Entry *entries, size_t count, size_t capacity) noexcept:
    """Entries that the journal has kept, by their numbers, in memory that is the queue's from now on; there is nothing
    in its ring. `capacity` is a power of two."""
    cdef size_t i
    free_ring(queue)
    queue.ring = entries
    queue.count = count
    queue.capacity = capacity
    queue.census.memory += array_cost(capacity)
    for i in range(count):
        keep(queue, entries[i].message)


cdef void tell_settled(Queue queue, const Entry *entry) noexcept:
    """To the journal, which knows of the queue, or knows that it has gone."""
    if entry.segment == 0:
        return
    if queue.stored is not None:
        queue.stored.settled(entry)
    else:
        (<QueueOwner>queue.owner).journal.space.left(entry.segment, entry.message.size)


cdef int tell_returned(Queue queue, const Entry *entry, uint64_t pause) except -1:
    """The same, for a message that somebody gets again after a while."""
    if queue.stored is not None and entry.segment:
        queue.stored.returned(entry, pause)
    return 0


cdef void number_entry(Queue queue, Entry *entry, Message *message) noexcept:
    entry.message = message
    entry.number = queue.next_number
    entry.deliveries = 0
    entry.refusals = 0
    entry.segment = 0
    queue.next_number += 1


cdef int put_back(Queue queue, Entry *entry) except -1:
    """To its original position; takes over the entry's reference."""
    cdef size_t place = queue.returned_count, parent
    tell_group(queue, entry)
    if belongs_on_shelf(queue, entry.message):
        return shelve(queue, entry)
    if queue.returned_count == queue.returned_capacity:
        grow_returned(queue)
    while place > 0:
        parent = (place - 1) // 2
        if queue.returned[parent].number < entry.number:
            break
        queue.returned[place] = queue.returned[parent]
        place = parent
    queue.returned[place] = entry[0]
    queue.returned_count += 1
    keep(queue, entry.message)
    return 0


cdef int came_back(Queue queue, Entry *entry, Verdict verdict, Subscription consumer, Refusal refusal) except -1:
    """What a consumer had and is not done with; takes over the entry's reference. It is tried again, unless that was
    often enough: at once if the consumer has gone, else after a while, which the NACK may have said (`refusal`)."""
    cdef QueueOwner owner = <QueueOwner>queue.owner
    queue.unsettled -= 1
    queue.unsettled_bytes -= entry.message.size
    if queue.removed and verdict == RETURNED:
        end_entry(queue, entry)
        return 0
    if verdict == REJECTED:
        return owner.dead_letter(queue, entry, DEAD_REJECTED, text_of(refusal))
    if was_last(queue, entry, consumer):
        return owner.dead_letter(queue, entry, DEAD_DELIVERIES, text_of(refusal))
    if queue.removed:
        end_entry(queue, entry)
        return 0
    if verdict == NACKED:
        return try_later(queue, entry, consumer, refusal)
    tell_returned(queue, entry, 0)
    put_back(queue, entry)
    queue.call()
    return 0


cdef inline bytes text_of(Refusal refusal):
    """None where a NACK says nothing more: what that alone means is a profile's matter."""
    return None if refusal is None else refusal.text


cdef void tell_group(Queue queue, const Entry *entry) noexcept:
    """Its group has it no longer with a consumer, and it does not rest."""
    if queue.marks & GROUPED:
        queue.choosers.settled(<void *>queue, entry.message)


cdef int try_later(Queue queue, Entry *entry, Subscription consumer, Refusal refusal) except -1:
    cdef uint64_t pause
    entry.refusals += entry.refusals < UINT16_MAX
    if refusal is not None and refusal.timed:
        pause = refusal.delay
    else:
        pause = pause_after(queue.policy, consumer.redelivery, entry.refusals, <uint64_t><size_t><void *>consumer)
    tell_returned(queue, entry, pause)
    if pause:
        return put_to_rest(queue, entry, (<QueueOwner>queue.owner).now[0] + pause)
    put_back(queue, entry)
    queue.call()
    return 0


cdef bint was_last(Queue queue, const Entry *entry, Subscription consumer) noexcept:
    """Whether it was given out as often as may be."""
    cdef uint32_t most = most_deliveries(queue.policy, consumer.redelivery)
    return most and entry.deliveries >= most and not message_is_dead(entry.message)


# ---- what rests ----

cdef int put_to_rest(Queue queue, Entry *entry, uint64_t due) except -1:
    """Nobody gets it before then; takes over the entry's reference."""
    if queue.resting is None:
        queue.resting = resting_new(queue.census, (<QueueOwner>queue.owner).wheel, rest_is_over, <void *>queue)
    queue.resting.add(entry, due)
    keep(queue, entry.message)
    return 0


cdef void rest_is_over(void *owner) noexcept:
    (<Queue>owner).look()


cdef int wake(Queue queue) except -1:
    """What has rested stands where it stood. What is much goes on in the next turn."""
    cdef Entry entry
    cdef uint32_t woken = 0
    while woken < WAKE_MOST and take_rested(queue, (<QueueOwner>queue.owner).now[0], &entry):
        put_back(queue, &entry)
        woken += 1
    queue.census.work += woken * WAKE_WORK
    if queue.resting.count == 0:
        queue.resting = None
    elif woken < WAKE_MOST:
        queue.resting.arm()
    else:
        queue.look()
    return 0


cdef bint take_rested(Queue queue, uint64_t now, Entry *entry) noexcept:
    if queue.resting is None or not queue.resting.take(now, entry):
        return False
    let_go(queue, entry.message)
    return True


cdef bint take_from_rest(Queue queue, Entry *entry) noexcept:
    """Before its time, and not to stand on the shelf again."""
    if not take_rested(queue, UINT64_MAX, entry):
        return False
    tell_group(queue, entry)
    return True


cdef void keep(Queue queue, const Message *message) noexcept:
    queue.bytes += message.size
    if message.seen & SEEN_AWAY:
        queue.away += message.size
    if queue.outlet != NULL:
        queue.outlet.flow.backlog += message.size


cdef inline void let_go(Queue queue, const Message *message) noexcept:
    queue.bytes -= message.size
    if message.seen & SEEN_AWAY:
        queue.away -= message.size
    if queue.outlet != NULL:
        queue.outlet.flow.backlog -= message.size


# ---- the shelf ----

cdef int shelve(Queue queue, Entry *entry) except -1:
    """To its place there; takes over the entry's reference, also when there is no memory."""
    cdef const Properties *asks = message_properties(entry.message)
    cdef unsigned priority = USUAL_PRIORITY if asks == NULL else asks.priority
    cdef uint64_t expires = NEVER if asks == NULL or asks.expires == 0 else asks.expires
    cdef uint64_t name = 0 if asks == NULL else asks.last_value
    if queue.conflation is not None:
        name = queue.conflation.key_of(entry.message) or name
    if name and not replaces_older(queue, entry, name, priority):
        end_entry(queue, entry)
        return 0
    queue.marks |= SHELF
    if shelf_put(&queue.shelf, entry, place_of(priority, entry.number), expires, name) < 0:
        message_drop(entry.message)
        raise MemoryError()
    keep(queue, entry.message)
    if queue.marks & GROUPED:
        queue.choosers.came(<void *>queue, queue.shelf.count - 1)
    if expires != NEVER:
        look_at_expiry(queue)
    return 0


cdef void take_from_shelf(Queue queue, uint32_t at, Entry *entry) noexcept:
    """That one, and its reference."""
    shelf_take(&queue.shelf, at, entry)
    let_go(queue, entry.message)
    if queue.marks & GROUPED:
        queue.choosers.went(<void *>queue, entry.message)


cdef bint replaces_older(Queue queue, Entry *entry, uint64_t name, unsigned priority) noexcept:
    """The newest of a name takes the place of an older one that still waits; whether it is the newest."""
    cdef Entry older
    cdef uint32_t at = shelf_named(&queue.shelf, name)
    if at == NOWHERE:
        return True
    queue.census.conflated += 1
    if queue.shelf.nodes[at].entry.message.id > entry.message.id:
        return False
    take_from_shelf(queue, at, &older)
    end_entry(queue, &older)
    entry.number = older.number
    queue.renewals += 1
    queue.renewed = place_of(priority, older.number)
    return True


cdef const Entry *plain_head(Queue queue) noexcept:
    """The first that is not on the shelf; NULL if there is none."""
    if queue.returned_count:
        return &queue.returned[0]
    return &queue.ring[queue.head] if queue.count else NULL


cdef bint shelf_is_first(Queue queue) noexcept:
    cdef const Entry *head = plain_head(queue)
    return head == NULL or (queue.shelf.nodes[shelf_from(&queue.shelf, 0)].place
                            < place_of(USUAL_PRIORITY, head.number))


cdef bint take_oldest(Queue queue, Entry *entry) noexcept:
    """What goes first where there is too much: the oldest of those with the lowest priority, what rests behind all
    others; or False."""
    cdef const Entry *head = plain_head(queue)
    cdef uint64_t usual = place_of(USUAL_PRIORITY, 0), lowest
    cdef uint32_t at
    if queue.shelf.count == 0:
        return queue.take_first(entry) or take_from_rest(queue, entry)
    lowest = lane_of(queue.shelf.nodes[shelf_last(&queue.shelf)].place)
    at = shelf_from(&queue.shelf, lowest)
    if head != NULL and (lowest < usual or (lowest == usual and head.number < queue.shelf.nodes[at].entry.number)):
        take_plain(queue, entry)
        let_go(queue, entry.message)
    else:
        take_from_shelf(queue, at, entry)
    return True


cdef void shelve_all(Queue queue) noexcept:
    """Somebody walks along all that waits there: it is moved to the shelf, some in each turn."""
    queue.walkers += 1
    queue.marks |= SHELVED | SHELF
    queue.call()


cdef void unshelve_all(Queue queue) noexcept:
    """He does not any more. What is on the shelf stays there until it is taken."""
    queue.walkers -= 1
    if queue.walkers == 0:
        queue.marks &= ~<size_t>SHELVED


cdef void conflate_by(Queue queue, Conflation conflation) noexcept:
    """From now on, while nothing waits: all that waits is on the shelf, by the name that its key gives it."""
    queue.conflation = conflation
    shelve_all(queue)


cdef bint may_leave_shelf(Queue queue) except -1:
    """Whether something there may go to a consumer now, as far as that is not the consumer's matter."""
    return expire(queue) and queue.waiting() and (queue.conflation is None or lets_out(queue))


cdef bint lets_out(Queue queue) noexcept:
    """If not, its consumer comes again when its output has drained."""
    cdef Link *next = queue.consumers.next
    if queue.outlet == NULL or queue.conflation.lets_out(queue.outlet):
        return True
    if next != &queue.consumers:
        link_join((<Subscription>next.owner).starved, next)
    return False


cdef int look_at_marks(Queue queue) except -1:
    if queue.marks & JOINED and queue.waiting():
        linger(queue)
    if queue.marks & WATCHED:
        show_what_came(queue)
    if queue.marks & SHELVED:
        return move_to_shelf(queue)
    if queue.shelf.count == 0:
        queue.marks &= ~SHELF
    return 0


cdef int show_what_came(Queue queue) except -1:
    """To those who look at the queue and have seen all else."""
    if queue.watched == queue.next_number:
        return 0
    queue.watched = queue.next_number
    queue.marks &= ~WATCHED
    return have_look(&queue.watchers)


cdef int have_look(Link *watchers) except -1:
    """All of them, at once. Where they are very many, the others see what is left in the next turn."""
    cdef Link others
    cdef Queue one
    cdef int64_t left = SLICE
    ring_init(&others)
    ring_splice(&others, watchers)
    try:
        while left > 0 and not ring_empty(&others):
            one = <Queue>ring_take(&others)
            left += census_spent(one.census)
            one.census.work += LOOK_WORK
            one.dispatch()
            left -= census_spent(one.census)
    finally:
        while not ring_empty(&others):
            (<Queue>ring_take(&others)).look()
    return 0


cdef int move_to_shelf(Queue queue) except -1:
    """What still stands elsewhere has only what is usual. Meanwhile all goes on in its order."""
    cdef const Entry *head = plain_head(queue)
    cdef Entry moved
    cdef int left = SHELVED_SLICE
    while head != NULL and left:
        shelve_usual(queue, head)
        take_plain(queue, &moved)
        head = plain_head(queue)
        left -= 1
    if head != NULL:
        queue.call()
    return 0


cdef bint shelve_returned(Queue queue) except -1:
    """What came back is moved to the shelf, or some of it; whether that was all. Nobody can walk along a heap."""
    cdef Entry moved
    cdef int left = SHELVED_SLICE
    queue.marks |= SHELF
    while queue.returned_count and left:
        shelve_usual(queue, &queue.returned[0])
        take_returned(queue, &moved)
        left -= 1
    return queue.returned_count == 0


cdef int shelve_usual(Queue queue, const Entry *entry) except -1:
    if shelf_put(&queue.shelf, entry, place_of(USUAL_PRIORITY, entry.number), NEVER, 0) < 0:
        raise MemoryError()
    return 0


# ---- what is only on the disk ----

cdef Entry *first_entry(Queue queue) noexcept:
    """Of what a consumer could be given now; NULL if there is nothing."""
    if queue.shelf.count and shelf_is_first(queue):
        return &queue.shelf.nodes[shelf_from(&queue.shelf, 0)].entry
    return <Entry *>plain_head(queue)


cdef Presence bring(Queue queue, Entry *entry) noexcept:
    """One of those that wait there: whether its content is here. If it has been fetched, it is from now on."""
    if not entry.message.seen & SEEN_AWAY:
        return HERE
    if entry.message.opcode != AWAY_FETCHED:
        return LOST if entry.message.opcode == AWAY_LOST else AWAY
    queue.away -= entry.message.size
    entry.message = message_back(entry.message)
    look_how_deep(queue)
    return HERE


cdef bint first_is_here(Queue queue) except -1:
    """Whether the next message can be given out. If not, it is fetched, and others that come behind it; the queue is
    called when it is here. What cannot be read goes."""
    cdef Entry *first = first_entry(queue)
    cdef Entry lost
    while first != NULL:
        presence = bring(queue, first)
        if presence == HERE:
            fetch_ahead(queue)
            return True
        if presence == AWAY:
            fetch_first(queue)
            call_when_here(queue, first, queue)
            return False
        queue.take_first(&lost)
        lose(queue, &lost)
        first = first_entry(queue)
    return False


cdef int lose(Queue queue, Entry *entry) except -1:
    """A message that cannot be read any more is as good as settled. Takes over the entry's reference."""
    (<QueueOwner>queue.owner).fetching.tell_lost(queue.name, entry)
    queue.census.dropped += 1
    end_entry(queue, entry)
    return 0


cdef int fetch_ahead(Queue queue) except -1:
    """In the ring, where one knows what will be wanted soon."""
    cdef const Entry *one
    if queue.count > AHEAD:
        one = &queue.ring[(queue.head + AHEAD) & (queue.capacity - 1)]
        if not (<QueueOwner>queue.owner).fetching.is_asked(one.message):
            fetch_along_ring(queue, AHEAD)
    return 0


cdef int fetch_first(Queue queue) except -1:
    """And what comes next, more or less."""
    cdef size_t place
    if queue.shelf.count and shelf_is_first(queue):
        return fetch_along_shelf(queue, 0)
    for place in range(min(queue.returned_count, <size_t>BATCH)):
        want(queue, &queue.returned[place])
    return fetch_along_ring(queue, 0)


cdef inline bint want(Queue queue, const Entry *entry) except -1:
    return (<QueueOwner>queue.owner).fetching.want(entry.message, entry.segment)


cdef int fetch_along_ring(Queue queue, size_t begin) except -1:
    """From that one on, as many as are fetched together."""
    cdef const Entry *entry
    cdef size_t place
    cdef int64_t bytes = 0
    for place in range(begin, min(queue.count, begin + BATCH)):
        entry = &queue.ring[(queue.head + place) & (queue.capacity - 1)]
        bytes += entry.message.size
        if entry.message.seen & SEEN_AWAY and (not want(queue, entry) or bytes > BATCH_BYTES):
            break
    return (<QueueOwner>queue.owner).fetching.ask()


cdef int fetch_along_shelf(Queue queue, uint64_t place) except -1:
    """The same from a place on."""
    cdef uint32_t at = shelf_from(&queue.shelf, place)
    cdef const Entry *entry
    cdef int64_t bytes = 0
    cdef int left = BATCH
    while at != NOWHERE and left:
        entry = &queue.shelf.nodes[at].entry
        bytes += entry.message.size
        if entry.message.seen & SEEN_AWAY and (not want(queue, entry) or bytes > BATCH_BYTES):
            break
        at = shelf_from(&queue.shelf, queue.shelf.nodes[at].place + 1)
        left -= 1
    queue.census.work += (BATCH - left) * LOOK_WORK
    return (<QueueOwner>queue.owner).fetching.ask()


cdef int call_when_here(Queue queue, const Entry *entry, Queue caller) except -1:
    return (<QueueOwner>queue.owner).fetching.tell(entry.message, caller)


# ---- expiry ----

cdef bint take_expired(Queue queue) except -1:
    """The rest of `expire`, for a queue with something that expires at some time."""
    cdef Entry entry
    cdef uint64_t now = wall_now(queue.census)
    cdef int left = EXPIRED_SLICE
    cdef uint32_t at
    if shelf_soonest(&queue.shelf) > now:
        look_at_expiry(queue)
        return True
    while shelf_soonest(&queue.shelf) <= now:
        if left == 0:
            queue.call()
            return False
        left -= 1
        at = shelf_expiring(&queue.shelf)
        if queue.policy.dead_letter_expired and bring(queue, &queue.shelf.nodes[at].entry) == AWAY:
            fetch_along_shelf(queue, queue.shelf.nodes[at].place)
            call_when_here(queue, &queue.shelf.nodes[at].entry, queue)
            return False
        take_from_shelf(queue, at, &entry)
        end_of_life(queue, &entry)
    look_at_expiry(queue)
    queue.left()
    return True


cdef int end_of_life(Queue queue, Entry *entry) except -1:
    """It has expired; takes over the entry's reference."""
    queue.census.work += FREE_WORK
    queue.census.expired += 1
    if queue.policy.dead_letter_expired and not entry.message.seen & SEEN_AWAY:
        return (<QueueOwner>queue.owner).dead_letter(queue, entry, DEAD_EXPIRED)
    end_entry(queue, entry)
    return 0


cdef void look_at_expiry(Queue queue) noexcept:
    """The queue is looked at when the first there expires. The timer is never armed for later than that; one that has
    come too early is armed again."""
    cdef QueueOwner owner = <QueueOwner>queue.owner
    cdef uint64_t soonest = shelf_soonest(&queue.shelf), now, due
    if soonest == NEVER or (link_joined(&queue.expiry.link) and soonest >= queue.expires):
        return
    now = wall_now(queue.census)
    due = owner.now[0] + min(soonest - now if soonest > now else 0, <uint64_t>LOOK_EVERY)
    queue.expires = soonest
    timer_arm(owner.wheel, &queue.expiry, due)


# ---- arrays ----

cdef int64_t array_cost(size_t capacity) noexcept:
    return <int64_t>(capacity * sizeof(Entry))


cdef void free_ring(Queue queue) noexcept:
    free(queue.ring)
    queue.census.memory -= array_cost(queue.capacity)
    queue.ring = NULL
    queue.head = queue.capacity = 0


cdef int grow_ring(Queue queue) except -1:
    """It is full. What is mapped grows where it is, and only the smaller of the two ends has to move."""
    cdef size_t before = queue.capacity, behind = queue.capacity - queue.head
    cdef size_t capacity = before * 2 if before else SMALLEST_RING
    cdef Entry *ring = <Entry *>realloc(queue.ring, capacity * sizeof(Entry))
    if ring == NULL:
        raise MemoryError()
    if queue.head <= behind:
        memcpy(ring + before, ring, queue.head * sizeof(Entry))
    else:
        memcpy(ring + capacity - behind, ring + queue.head, behind * sizeof(Entry))
        queue.head = capacity - behind
    queue.census.memory += array_cost(capacity) - array_cost(before)
    queue.ring = ring
    queue.capacity = capacity
    return 0


cdef int grow_returned(Queue queue) except -1:
    cdef size_t capacity = queue.returned_capacity * 2 if queue.returned_capacity else SMALLEST_RING
    cdef Entry *returned = <Entry *>realloc(queue.returned, capacity * sizeof(Entry))
    if returned == NULL:
        raise MemoryError()
    queue.census.memory += array_cost(capacity) - array_cost(queue.returned_capacity)
    queue.returned = returned
    queue.returned_capacity = capacity
    return 0


cdef inline bint take_plain(Queue queue, Entry *entry) noexcept:
    """The first that is not on the shelf, or False. It is the caller's, but still counts as waiting."""
    if queue.returned_count:
        take_returned(queue, entry)
    elif queue.count:
        entry[0] = queue.ring[queue.head]
        queue.head = (queue.head + 1) & (queue.capacity - 1)
        queue.count -= 1
        if queue.count == 0 and queue.capacity > SMALLEST_RING:
            free_ring(queue)
    else:
        return False
    return True


cdef void take_returned(Queue queue, Entry *entry) noexcept:
    """The top of the heap; the last one sinks from there to its place."""
    cdef Entry *heap = queue.returned
    cdef Entry last
    cdef size_t place = 0, child
    entry[0] = heap[0]
    queue.returned_count -= 1
    last = heap[queue.returned_count]
    while True:
        child = 2 * place + 1
        if child >= queue.returned_count:
            break
        if child + 1 < queue.returned_count and heap[child + 1].number < heap[child].number:
            child += 1
        if last.number < heap[child].number:
            break
        heap[place] = heap[child]
        place = child
    heap[place] = last
    if queue.returned_count == 0 and queue.returned_capacity > SMALLEST_RING:
        free_returned(queue)


cdef void take_again(Queue queue, Entry *entry) noexcept:
    """The first of those that came back and stand on no shelf; there is one. What is live does not come before it."""
    take_returned(queue, entry)
    let_go(queue, entry.message)


cdef void free_returned(Queue queue) noexcept:
    free(queue.returned)
    queue.census.memory -= array_cost(queue.returned_capacity)
    queue.returned = NULL
    queue.returned_capacity = 0


cdef int64_t visit_queue(void *owner, int64_t budget) noexcept:
    cdef Queue queue = <Queue>owner
    cdef size_t place = queue.keeper.place, shelf = queue.capacity + queue.returned_count
    cdef size_t end = shelf + queue.shelf.count
    while budget > 0 and place < end:
        budget -= VISIT_COST
        if place >= shelf:
            budget -= move_message(queue.census, &queue.shelf.nodes[place - shelf].entry.message)
        elif place >= queue.capacity:
            budget -= move_message(queue.census, &queue.returned[place - queue.capacity].message)
        elif ((place - queue.head) & (queue.capacity - 1)) < queue.count:
            budget -= move_message(queue.census, &queue.ring[place].message)
        place += 1
    queue.keeper.place = place if place < end else 0
    return budget


# ---- what comes ----

cdef inline Subscription consumer_for_next(Queue queue):
    """Who gets a message before it is kept, as nothing is in front of it; or None."""
    if queue.count or queue.returned_count or queue.returning:
        return None
    return next_consumer(queue, False)


cdef inline int offer(Queue queue, const Content *content, const Counter *number, const Origin *origin) except -1:
    """A SEND that is plain, where nothing is on the shelf: straight to a consumer if one waits, without a copy if that
    is `auto`; else a message is kept."""
    cdef Subscription consumer = consumer_for_next(queue)
    cdef Message *message
    cdef Entry entry
    if consumer is None:
        return keep_back(queue, content, number.value, origin)
    if consumer.ack_mode == ACK_AUTO:
        return pass_on(consumer, content, number)
    message = message_new(queue.census, content, number.value)
    message.shared.sender = origin.who
    number_entry(queue, &entry, message)
    return give(queue, consumer, &entry)


cdef int keep_back(Queue queue, const Content *content, uint64_t id, const Origin *origin) except -1:
    cdef Message *message = message_new(queue.census, content, id)
    message.shared.sender = origin.who
    queue.push(message)
    return queue.dispatch()


cdef bint has_come(Queue queue, const Properties *asks) noexcept:
    """Whether a message of that name was there before."""
    return (queue.duplicates != NULL and asks != NULL and asks.duplicate != 0
            and duplicates_has(queue.duplicates, asks.duplicate) != 0)


cdef void has_come_now(Queue queue, const Content *content) noexcept:
    """It was taken: one that was refused may come again."""
    if queue.duplicates == NULL and queue.policy.duplicate_window:
        queue.duplicates = duplicates_new(&(<QueueOwner>queue.owner).duplicates, queue.policy.duplicate_window)
    if queue.duplicates != NULL:
        remember_name(queue, content.properties.duplicate, content.properties.flags & PERSISTS != 0)


cdef void remember_name(Queue queue, uint64_t name, bint asked) noexcept:
    """The journal hears of it if it came with a message that lasts."""
    cdef uint64_t before = queue.duplicates.came
    duplicates_add(queue.duplicates, name)
    if queue.stored is None or queue.duplicates.came == before:
        return
    if queue.names is None:
        queue.names = names_new(queue.stored, queue.duplicates)
    queue.names.came((<QueueOwner>queue.owner).number.value,
                     lasting(queue.policy.persistent, queue.policy.durability, asked) != LASTS_NOT)


cdef void forget_duplicates(Queue queue) noexcept:
    queue.names = None
    if queue.duplicates != NULL:
        duplicates_free(queue.duplicates)
        queue.duplicates = NULL


cdef class QueueRoute(Route):

    cdef int take(self, const Content *content, Origin *origin) except -1:
        if self.queue.marks or content.properties != NULL:
            return take_apart(self, content, origin)
        origin.took += 1
        return offer(self.queue, content, (<QueueOwner>self.queue.owner).number, origin)

    cdef bint has_somebody(self) except -1:
        return not (self.queue.removed and self.queue.owned)

    cdef bint keeps(self) except -1:
        return not self.queue.owned and keeps_persistent(self.queue.policy)


cdef bint leads_somewhere(QueueRoute route) except -1:
    """Whether its queue, found again if it has gone, gets what is sent there."""
    return not route.queue.removed or (not route.queue.owned and found_again(route))


cdef int take_apart(QueueRoute self, const Content *content, Origin *origin) except -1:
    """What is not plain, or is for a queue that is not; one that has gone is found again."""
    cdef QueueOwner owner = <QueueOwner>self.queue.owner
    cdef bint named = content.properties != NULL and content.properties.duplicate != 0
    if self.queue.removed and not found_again(self):
        return 0
    if named and has_come(self.queue, content.properties):
        origin.duplicate = True
        return 0
    origin.took += 1
    if self.queue.marks & JOINED:
        linger(self.queue)
    if (self.queue.marks == 0 and content.properties == NULL) or owner.is_plain(
            self.queue, content, owner.number.value, origin, False):
        offer(self.queue, content, owner.number, origin)
    if named and not origin.untaken:
        has_come_now(self.queue, content)
    return 0


cdef bint found_again(QueueRoute self) except -1:
    """The queue has gone. What is for one that went with its client is dropped."""
    if self.queue.owned:
        self.census.replies_dropped += 1
        return False
    self.queue = (<QueueOwner>self.queue.owner).renewed(self.queue.name, self.declared)
    return True
