"""Replays: what a subscription to topics gets of the messages that were there before it, in front of those that come.

    retained    of each topic that matches, unless the rest of the replay has it anyway
       |
    gather      a cursor into each history that matches
       |
    merge       the message with the lowest number of all, again and again, up to the last one before the SUBSCRIBE
       |
    over        what has come since waits in the subscription's own queue, and follows

It is the spring of that queue (`Queue.spring`), and draws from the histories as the subscriber takes: nothing is
copied, and nobody is held. Where a history moves on faster, the next message says `gap:true`. What is published
meanwhile is stored once for all, and counts as the subscriber's backlog only when it would fill an output; from there
on he is slow like any other.
"""
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memset

from fastbroker.core.consumers cimport step_aside
from fastbroker.core.fanout cimport detour
from fastbroker.core.frame cimport Content
from fastbroker.core.history cimport keeps, place_behind
from fastbroker.core.message cimport Entry, Message, message_content, message_keep, message_properties
from fastbroker.core.pattern cimport is_pattern, pattern_matches
from fastbroker.core.queue cimport Queue, give, take_again
from fastbroker.core.shelf cimport PLACE_BITS
from fastbroker.core.subscription cimport MARK_GAP, MARK_RETAINED
from fastbroker.core.wire cimport (
    Properties, account_charge, ceiling_reached, census_spent, link_init, link_join, link_leave, outbuf_pending,
    ring_empty, wall_now,
)

cdef enum:
    STAGE_RETAINED
    STAGE_GATHER
    STAGE_MERGE
    STAGE_OVER

cdef enum:
    COST = 256              # bytes of a replay
    LOOK_WORK = 192         # what it takes to look whether one topic matches, in bytes of output
    STEP_WORK = 32          # and to find the next message
    SLICE = 1048576         # of both that one replay may cause before others are served
    SMALLEST_HEAP = 4
    MOST_TOPICS = 131072    # that one replay draws from

cdef uint64_t LIVE = <uint64_t>1 << (PLACE_BITS - 1)   # number in the queue of the first that comes after the SUBSCRIBE


cdef int replay_begin(Subscription subscription, QueueOwner owner, Histories histories, bytes pattern,
                      const Asked *asked) except -1:
    """If there is anything to be told of: it begins within the turn."""
    cdef bint many = is_pattern(pattern, len(pattern))
    cdef History only = None if many else histories.find(pattern, len(pattern))
    cdef Queue queue
    cdef Replay replay
    if asked.what == REPLAY_NOTHING and not retains(histories, many, only):
        return 0
    queue = detour(subscription, <void *>owner)
    replay = new_replay(subscription, histories, pattern, asked, owner.number.value)
    replay.many = many
    replay.only = only
    if misses(replay):
        subscription.marks |= MARK_GAP
    queue.next_number = LIVE
    queue.outlet = NULL
    queue.spring_from(replay)
    queue.call()
    return 0


cdef bint retains(Histories histories, bint many, History only) noexcept:
    """Whether there may be retained messages."""
    if many:
        return not ring_empty(&histories.retaining)
    return only is not None and only.retained != NULL


cdef Replay new_replay(Subscription subscription, Histories histories, bytes pattern, const Asked *asked,
                       uint64_t until):
    cdef Replay new = Replay()
    new.histories = histories
    new.consumer = <void *>subscription
    new.account = subscription.account
    new.out = subscription.out
    new.pattern = pattern
    new.asked = asked[0]
    new.until = until
    account_charge(new.account, COST)
    link_init(&new.place, NULL)
    link_join(histories.retaining.next, &new.place)
    return new


cdef bint misses(Replay self) except -1:
    """Whether messages that were asked for may have gone with all that was known of them."""
    cdef Histories histories = self.histories
    if self.asked.elsewhere:
        return True
    if self.asked.what != REPLAY_BEHIND or self.asked.number >= self.until:
        return False
    if not keeps(histories.policies.of_topic(self.pattern)):
        return True
    return histories.forgotten > self.asked.number and (self.many or self.only is None)


cdef class Replay(Spring):

    def __dealloc__(self):
        if self.account == NULL:
            return
        link_leave(&self.place)
        while self.count:
            self.count -= 1
            Py_DECREF(<History>self.heap[self.count].history)
        free(self.heap)
        account_charge(self.account, -(COST + heap_cost(self.capacity)))
        self.out.flow.aside -= self.aside

    cdef bint has_run_dry(self, Queue queue) except -1:
        cdef Subscription consumer = <Subscription>self.consumer
        cdef int64_t until = census_spent(self.histories.census) + SLICE
        cdef Entry entry
        while has_room(self, consumer):
            if queue.returned_count:    # it has had that before
                take_again(queue, &entry)
            elif not next_entry(self, &entry, until):
                if self.stage == STAGE_OVER:
                    return end(self, queue, consumer)
                queue.call()
                return False
            give(queue, consumer, &entry)
        return False

    cdef void rose(self, Queue queue, size_t bytes) noexcept:
        """As much as fits into an output may wait without anybody's waiting for that."""
        if queue.outlet != NULL:
            return
        self.aside += bytes
        self.out.flow.aside += bytes
        if self.out.flow.aside > self.out.outlets.hard:
            count_in(self, queue)


cdef bint has_room(Replay self, Subscription consumer) noexcept:
    """A replay fills no output so far that others would wait for it."""
    cdef OutBuf *out = self.out
    if out.doom or consumer.resting:
        return False
    if not consumer.has_credit():
        step_aside(consumer)
        return False
    if outbuf_pending(out) > (0 if ceiling_reached(out.outlets.ceiling) else out.outlets.low):
        link_join(consumer.starved, &consumer.ready)
        return False
    return True


cdef bint next_entry(Replay self, Entry *entry, int64_t until) except -1:
    """False: there is none, or not before so much work is done."""
    cdef Message *message = NULL
    while message == NULL:
        if self.stage == STAGE_OVER or census_spent(self.histories.census) > until:
            return False
        if self.stage == STAGE_RETAINED:
            message = next_retained(self)
        elif self.stage == STAGE_GATHER:
            gather(self)
        else:
            message = next_kept(self)
        if message != NULL and (has_expired(self, message) or not is_chosen(self, message)):
            (<Subscription>self.consumer).marks &= ~<unsigned>MARK_RETAINED
            message = NULL
    message_keep(message)
    memset(entry, 0, sizeof(Entry))
    entry.message = message
    entry.number = self.given
    self.given += 1
    return True


cdef bint end(Replay self, Queue queue, Subscription consumer) noexcept:
    """Unless there is a gap to be told of, which the next message does, whenever it comes."""
    if consumer.marks and queue.waiting() == queue.ahead:
        return False
    count_in(self, queue)
    queue.spring_from(None)
    return True


cdef void count_in(Replay self, Queue queue) noexcept:
    """What waits in the queue waits for the subscriber alone."""
    if queue.outlet != NULL:
        return
    queue.outlet = self.out
    self.out.flow.backlog += queue.bytes
    self.out.flow.aside -= self.aside
    self.aside = 0


cdef bint has_expired(Replay self, const Message *message) noexcept:
    cdef const Properties *properties = message_properties(message)
    self.histories.census.work += STEP_WORK
    return properties != NULL and properties.expires and properties.expires <= wall_now(self.histories.census)


cdef bint is_chosen(Replay self, const Message *message) noexcept:
    """Whether it is what the subscriber's selector wants. Who sent it, nobody knows any more."""
    cdef Subscription consumer = <Subscription>self.consumer
    cdef Content content
    if not consumer.chooses:
        return True
    message_content(message, &content)
    return consumer.wants(&content, message.id, NULL, self.histories.census)


# ---- the topics that match ----

cdef History next_topic(Replay self, Link *ring):
    """The next of a ring, if it matches; None at its end, too: the place has left it then."""
    cdef Link *link = self.place.next
    self.histories.census.work += LOOK_WORK
    if link == ring:
        link_leave(&self.place)
        return None
    link_join(link.next, &self.place)
    if link.owner == NULL:      # somebody else's place
        return None
    return <History>link.owner if matches(self, <History>link.owner) else None


cdef bint matches(Replay self, History history) noexcept:
    cdef bytes pattern = self.pattern, name = history.name
    return pattern_matches(pattern, len(pattern), name, len(name))


cdef Message *next_retained(Replay self) noexcept:
    cdef History history = next_topic(self, &self.histories.retaining) if self.many else self.only
    if not self.many:
        link_leave(&self.place)
    if self.place.next == NULL:
        begin_gathering(self)
    if history is None or history.retained == NULL or not is_wanted(self, history):
        return NULL
    (<Subscription>self.consumer).marks |= MARK_RETAINED
    return history.retained


cdef bint is_wanted(Replay self, History history) noexcept:
    """Whether the subscriber would not have the retained message without."""
    cdef uint64_t number = history.retained.id, place
    if number > self.until:
        return False
    if self.asked.what == REPLAY_NOTHING:
        return True
    if self.asked.what == REPLAY_BEHIND and number <= self.asked.number:
        return False
    place = begin_of(self, history)
    return place == history.end() or history.at(place).id > number


cdef void begin_gathering(Replay self) noexcept:
    if self.asked.what == REPLAY_NOTHING:
        self.stage = STAGE_OVER
        return
    self.stage = STAGE_GATHER
    link_join(self.histories.all.next, &self.place)


cdef uint64_t begin_of(Replay self, History history) noexcept:
    """The place in a history where its part of the replay begins."""
    cdef uint64_t end
    if self.asked.what == REPLAY_ALL:
        return history.first
    if self.asked.what == REPLAY_BEHIND:
        return place_behind(history, self.asked.number)
    end = place_behind(history, self.until)
    return end - min(end - history.first, self.asked.number)


cdef int gather(Replay self) except -1:
    """One topic more."""
    cdef History history = next_topic(self, &self.histories.all) if self.many else self.only
    if not self.many:
        link_leave(&self.place)
    if self.place.next == NULL:
        self.stage = STAGE_MERGE
    if history is None:
        return 0
    if not add_cursor(self, history, begin_of(self, history)) or lacks(self, history):
        (<Subscription>self.consumer).marks |= MARK_GAP
    return 0


cdef bint lacks(Replay self, History history) noexcept:
    """Whether something is not there any more that was asked for."""
    if self.asked.what == REPLAY_BEHIND:
        return history.lost > self.asked.number
    if self.asked.what == REPLAY_LAST:
        return history.lost and history.count < self.asked.number
    return False


# ---- the cursors: a heap by the number of the next message ----

cdef int64_t heap_cost(size_t capacity) noexcept:
    return <int64_t>(capacity * sizeof(Cursor))


cdef bint add_cursor(Replay self, History history, uint64_t place) except -1:
    """False: there are too many."""
    cdef Cursor cursor
    cdef size_t at = self.count, parent
    if place == history.end() or history.at(place).id > self.until:
        return True
    if self.count == self.capacity and not grow(self):
        return False
    Py_INCREF(history)
    cursor.history = <void *>history
    cursor.place = place
    cursor.number = history.at(place).id
    self.count += 1
    while at > 0:
        parent = (at - 1) // 2
        if self.heap[parent].number < cursor.number:
            break
        self.heap[at] = self.heap[parent]
        at = parent
    self.heap[at] = cursor
    return True


cdef bint grow(Replay self) except -1:
    cdef size_t capacity = self.capacity * 2 if self.capacity else SMALLEST_HEAP
    cdef Cursor *heap
    if capacity > MOST_TOPICS or ceiling_reached(self.histories.ceiling):
        return False
    heap = <Cursor *>realloc(self.heap, capacity * sizeof(Cursor))
    if heap == NULL:
        raise MemoryError()
    account_charge(self.account, heap_cost(capacity) - heap_cost(self.capacity))
    self.heap = heap
    self.capacity = capacity
    return True


cdef Message *next_kept(Replay self) noexcept:
    """NULL: the stage is over, or a history has moved on and its cursor goes after it."""
    cdef Cursor *cursor = self.heap
    cdef History history
    cdef Message *message = NULL
    if self.count == 0:
        self.stage = STAGE_OVER
        return NULL
    history = <History>cursor.history
    if cursor.place < history.first:
        (<Subscription>self.consumer).marks |= MARK_GAP
        cursor.place = history.first
    else:
        message = history.at(cursor.place)
        cursor.place += 1
    if cursor.place == history.end() or history.at(cursor.place).id > self.until:
        self.count -= 1
        self.heap[0] = self.heap[self.count]
        Py_DECREF(history)
    else:
        cursor.number = history.at(cursor.place).id
    sink(self)
    return message


cdef void sink(Replay self) noexcept:
    """The top goes to its place."""
    cdef Cursor *heap = self.heap
    cdef Cursor cursor = heap[0]
    cdef size_t at = 0, child = 1
    while child < self.count:
        if child + 1 < self.count and heap[child + 1].number < heap[child].number:
            child += 1
        if cursor.number < heap[child].number:
            break
        heap[at] = heap[child]
        at = child
        child = 2 * at + 1
    heap[at] = cursor
