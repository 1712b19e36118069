"""Histories: what topics keep for those who come later.

    table    name -> History      ring      [ 12 | 13 | 17 | 21 ]     the last messages, in the order of their numbers
                                  lost      11                        the newest that is not there any more
                                  retained  17                        what a sender wanted to be kept (retain:set)

A topic has one from its first message that is to be kept, whoever publishes it and whether or not its route is still
known. Others cost nothing. Places in a ring are counted on for ever, so that whoever reads there (replay.pyx) finds out
what has gone in front of him.

The number, the bytes and the age of what is kept are looked at when a message comes, and when the oldest is due, at the
end that it goes from. All histories together have a share of the memory. Above that, or when the ceiling is closed,
they give way: each in turn loses a part of its oldest messages. What was retained goes only for want of that share, the
oldest first. A history that is empty is kept for a while for the sake of `lost`; after that, whoever asks for something
older than the last of those is told that it may have missed something.

What is persistent, by its sender or by the policy of its topic, is in the journal as well (kept.pyx), for as long as
it is here. After a restart nobody knows how many others there were: only where the policy makes all of them
persistent, who asks for what came after a message of the broker before is not told of a gap.
"""
import secrets

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memset

from fastbroker.core.journal cimport Recorded
from fastbroker.core.kept cimport (
    KEPT_PAST, KEPT_RETAINED, TRACE_COST, TraceWrite, trace_end, trace_free, trace_new, trace_put,
)
from fastbroker.core.message cimport VISIT_COST, message_drop, message_keep, message_new, move_message
from fastbroker.core.policy cimport LASTS_NOT, LASTS_WRITTEN, PERSISTENT_ALWAYS, lasting
from fastbroker.core.route cimport has_recorded
from fastbroker.core.table cimport TableSlot, table_free, table_get, table_init, table_next, table_put, table_remove
from fastbroker.core.wire cimport (
    ASKS_FORGET, ASKS_RETAIN, PERSISTS, ceiling_open, keeper_join, keeper_leave, link_init, link_join, link_joined,
    link_leave, ring_empty, ring_init, timer_arm, timer_cancel, timer_init, wall_now,
)

cdef enum:
    SMALLEST_RING = 8
    COST = 512              # bytes of a history beside its name
    MAKE_WORK = 1024        # what it takes to make one, in bytes of output
    FREE_WORK = 64          # and to free a message
    SLICE = 8192            # messages that are dropped at once, before others are served
    EMPTY_TIME = 3600000    # milliseconds for which an empty one is kept


cdef Histories histories_new(Census *census, const Ceiling *ceiling, Wheel *wheel, const uint64_t *now,
                             const Counter *number, Policies policies, int64_t most):
    cdef Histories new = Histories()
    new.census = census
    new.ceiling = ceiling
    new.wheel = wheel
    new.now = now
    new.number = number
    new.policies = policies
    new.most = most
    return new


cdef class Histories:

    def __cinit__(self):
        table_init(&self.table, int.from_bytes(secrets.token_bytes(8), "little"))
        ring_init(&self.all)
        ring_init(&self.giving)
        ring_init(&self.retaining)

    def __dealloc__(self):
        cdef size_t cursor = 0
        cdef TableSlot *slot = table_next(&self.table, &cursor)
        while slot != NULL:
            Py_DECREF(<History>slot.value)
            slot = table_next(&self.table, &cursor)
        table_free(&self.table)

    cdef History find(self, const char *name, size_t length):
        """None if that topic keeps nothing."""
        cdef void *found = table_get(&self.table, name, length)
        return <History>found if found != NULL else None

    cdef History of(self, bytes name):
        """A new one if there is none."""
        cdef History history = self.find(name, len(name))
        return history if history is not None else new_history(self, name)

    cdef int heed(self, bytes topic, TopicPolicy policy, const Content *content) except -1:
        """What the sender of a message to that topic asks for, which is being published."""
        if policy.retain and content.properties.flags & ASKS_RETAIN:
            retain(self, topic, content)
        elif policy.retain and content.properties.flags & ASKS_FORGET:
            forget(self, topic)
        return 0

    cdef int heed_and_record(self, bytes topic, TopicPolicy policy, const Content *content, Origin *origin) except -1:
        """The same; where there is a journal, its RECEIPT may have to wait for that."""
        cdef Recorded before
        if self.journal is None:
            return self.heed(topic, policy, content)
        before = self.journal.recorded
        if not origin.accepted and policy.retain and content.properties.flags & ASKS_RETAIN:
            check(self, policy, content)
        self.heed(topic, policy, content)
        has_recorded(origin, self.journal, before)
        return 0

    cdef void give_way(self) noexcept:
        """Messages must not wait for memory while others are kept for somebody who may come."""
        cdef int64_t until = self.census.work + SLICE * FREE_WORK
        while not ceiling_open(self.ceiling) and self.census.work < until and gave_some(self):
            pass


# ---- what is retained ----

cdef int retain(Histories self, bytes name, const Content *content) except -1:
    """In place of what was retained before. A message that the history has already is not copied."""
    cdef History history = self.of(name)
    cdef Message *message
    cdef Trace *trace
    if history.count and history.at(history.end() - 1).id == self.number.value:
        message = history.at(history.end() - 1)
        message_keep(message)
    else:
        message = message_new(self.census, content, self.number.value)
    try:
        trace = trace_of(history, content, message, write_retained)
    except MemoryError:
        message_drop(message)
        raise
    drop_retained(history)
    put_retained(history, message, trace)
    keep_to_share(self)
    return 0


cdef void put_retained(History self, Message *message, Trace *trace) noexcept:
    """Takes over both."""
    self.retained = message
    self.retained_trace = trace
    link_join(&(<Histories>self.owner).retaining, &self.retaining)
    charge(self, <int64_t>message.size)


cdef void forget(Histories self, bytes name) noexcept:
    cdef History history = self.find(name, len(name))
    if history is not None and history.retained != NULL:
        drop_retained(history)
        leave_if_empty(history)


# ---- one history ----

cdef History new_history(Histories owner, bytes name):
    cdef History new = History()
    new.name = name
    new.owner = <void *>owner
    new.policy = owner.policies.of_topic(name)
    new.lost = owner.started
    link_init(&new.link, <void *>new)
    link_init(&new.giving, <void *>new)
    link_init(&new.retaining, <void *>new)
    timer_init(&new.age, too_old, <void *>new)
    charge_own(new, COST + 2 * len(name))
    if table_put(&owner.table, PyBytes_AS_STRING(name), PyBytes_GET_SIZE(name), <void *>new) < 0:
        raise MemoryError()
    Py_INCREF(new)
    owner.census.work += MAKE_WORK
    keeper_join(owner.census, &new.keeper, visit_history, <void *>new)
    if keeps(new.policy):
        link_join(&owner.all, &new.link)
        link_join(&owner.giving, &new.giving)
    return new


cdef class History:

    def __dealloc__(self):
        if self.owner == NULL:
            return
        outlive(self)
        drop_retained(self)
        while self.count:
            drop_oldest(self)
        leave(self)


cdef void leave(History self) noexcept:
    """It has no place any more; those who still read there find it empty."""
    cdef Histories owner = <Histories>self.owner
    rest(self)
    link_leave(&self.link)
    link_leave(&self.giving)
    link_leave(&self.retaining)
    keeper_leave(&self.keeper)
    charge_own(self, -(COST + 2 * <int64_t>PyBytes_GET_SIZE(self.name)))
    owner.forgotten = max(owner.forgotten, self.lost)
    self.owner = NULL


cdef void remove(History self) noexcept:
    """It is empty."""
    cdef Histories owner = <Histories>self.owner
    self.removed = True
    owner.census.work += FREE_WORK
    table_remove(&owner.table, PyBytes_AS_STRING(self.name), PyBytes_GET_SIZE(self.name))
    leave(self)
    Py_DECREF(self)


cdef void leave_if_empty(History self) noexcept:
    """At once if it was only to retain a message."""
    if self.count == 0 and not keeps(self.policy):
        remove(self)
    elif self.count == 0 and not link_joined(&self.age.link):
        wait_until(self, (<Histories>self.owner).now[0] + EMPTY_TIME)


cdef void charge(History self, int64_t bytes) noexcept:
    """Its messages, which count themselves in the census: others hold them too."""
    (<Histories>self.owner).bytes += bytes


cdef void charge_own(History self, int64_t bytes) noexcept:
    """What is held beside them."""
    (<Histories>self.owner).bytes += bytes
    (<Histories>self.owner).census.memory += bytes


cdef int history_keep(History self, const Content *content) except -1:
    """The newest message; older ones make room for it."""
    cdef Histories owner = <Histories>self.owner
    cdef Message *message
    cdef Trace *trace
    if self.count == self.capacity:
        grow(self)
    message = message_new(owner.census, content, owner.number.value)
    try:
        trace = trace_of(self, content, message, write_past)
    except MemoryError:
        message_drop(message)
        raise
    put_newest(self, message, trace, owner.now[0])
    while is_too_much(self):
        drop_oldest(self)
    if self.count == 1:
        watch(self, owner.now[0])
    elif self.count == 0:
        leave_if_empty(self)    # it was larger than all that may be kept
    keep_to_share(owner)
    return 0


cdef void put_newest(History self, Message *message, Trace *trace, uint64_t since) noexcept:
    """There is room; takes over both."""
    cdef Histories owner = <Histories>self.owner
    self.ring[(self.head + self.count) & (self.capacity - 1)] = Kept(message, since, trace)
    if not link_joined(&self.giving):
        link_join(&owner.giving, &self.giving)
    self.count += 1
    self.bytes += message.size
    charge(self, <int64_t>message.size)


cdef inline bint is_too_much(History self) noexcept:
    cdef TopicPolicy policy = self.policy
    return self.count > 0 and (0 < policy.history_messages < self.count or 0 < policy.history_bytes < self.bytes)


cdef void drop_oldest(History self) noexcept:
    cdef Message *message = self.ring[self.head].message
    if self.ring[self.head].trace != NULL:
        self.ring[self.head].trace.lax = True   # nobody waits for that
        end_trace(self, self.ring[self.head].trace)
    self.lost = message.id
    self.head = (self.head + 1) & (self.capacity - 1)
    self.count -= 1
    self.first += 1
    self.bytes -= message.size
    charge(self, -<int64_t>message.size)
    (<Histories>self.owner).census.work += FREE_WORK
    message_drop(message)
    if self.count == 0:
        free_ring(self)


cdef void drop_retained(History self) noexcept:
    if self.retained == NULL:
        return
    charge(self, -<int64_t>self.retained.size)
    link_leave(&self.retaining)
    end_trace(self, self.retained_trace)
    message_drop(self.retained)
    self.retained = NULL
    self.retained_trace = NULL


cdef uint64_t place_behind(History self, uint64_t number) noexcept:
    """Of the first message with a higher number."""
    cdef uint64_t low = self.first, high = self.end(), middle
    while low < high:
        middle = low + (high - low) // 2
        if self.at(middle).id <= number:
            low = middle + 1
        else:
            high = middle
    return low


# ---- in the journal ----

cdef inline int lasting_in(TopicPolicy policy, const Content *content) noexcept:
    return lasting(policy.persistent, policy.durability,
                   content.properties != NULL and content.properties.flags & PERSISTS != 0)


cdef int check(Histories self, TopicPolicy policy, const Content *content) except -1:
    return self.journal.check() if lasting_in(policy, content) != LASTS_NOT else 0


cdef int history_record(History self, const Content *content, Origin *origin) except -1:
    """Keeps the newest message where there is a journal, for which its RECEIPT may have to wait."""
    cdef Histories owner = <Histories>self.owner
    cdef Recorded before = owner.journal.recorded
    if not origin.accepted:
        check(owner, self.policy, content)
    history_keep(self, content)
    has_recorded(origin, owner.journal, before)
    return 0


cdef Trace *trace_of(History self, const Content *content, const Message *message, TraceWrite write) except? NULL:
    """Of a message that is about to be kept; NULL: it does not outlive the broker."""
    cdef Histories owner = <Histories>self.owner
    cdef int lasts = LASTS_NOT if owner.journal is None else lasting_in(self.policy, content)
    cdef Trace *trace
    if lasts == LASTS_NOT:
        return NULL
    trace = trace_new(owner.journal, self.name, len(self.name), lasts == LASTS_WRITTEN, <void *>self, write)
    trace.id = message.id
    try:
        write_item(trace, message, KEPT_PAST if write is write_past else KEPT_RETAINED, owner.now[0],
                   number_before(self, self.end()))
    except MemoryError:
        trace_free(trace)
        raise
    charge_own(self, TRACE_COST)
    return trace


cdef void end_trace(History self, Trace *trace) noexcept:
    if trace != NULL:
        trace_end(trace)
        charge_own(self, -TRACE_COST)


cdef void outlive(History self) noexcept:
    """The broker ends, and what is recorded stays."""
    cdef size_t i
    cdef Kept *kept
    for i in range(self.count):
        kept = &self.ring[(self.head + i) & (self.capacity - 1)]
        if kept.trace != NULL:
            trace_free(kept.trace)
            charge_own(self, -TRACE_COST)
        kept.trace = NULL
    if self.retained_trace != NULL:
        trace_free(self.retained_trace)
        charge_own(self, -TRACE_COST)
    self.retained_trace = NULL


cdef int write_past(Trace *trace) except -1:
    cdef History self = <History>trace.owner
    cdef uint64_t place = place_behind(self, trace.id - 1)
    cdef const Kept *kept = &self.ring[(self.head + (place - self.first)) & (self.capacity - 1)]
    return write_item(trace, kept.message, KEPT_PAST, kept.since, number_before(self, place))


cdef int write_retained(Trace *trace) except -1:
    return write_item(trace, (<History>trace.owner).retained, KEPT_RETAINED, 0, 0)


cdef uint64_t number_before(History self, uint64_t place) noexcept:
    return self.at(place - 1).id if place > self.first else self.lost


cdef int write_item(Trace *trace, const Message *message, int what, uint64_t since, uint64_t before) except -1:
    cdef History self = <History>trace.owner
    cdef Histories owner = <Histories>self.owner
    cdef KeptItem item
    memset(&item, 0, sizeof(item))
    item.what = what
    item.time = wall_now(owner.census) - (owner.now[0] - since)
    item.before = before
    item.name_length = <uint32_t>len(self.name)
    return trace_put(trace, &item, message, self.name)


cdef int history_restore(Histories self, bytes name, Message *message, const KeptItem *item, Trace *trace) except -1:
    """A message that the journal has kept, newer than those before it; takes over all of them. What the policy does not
    want any more is not kept."""
    cdef History history = self.of(name)
    cdef uint64_t wall = wall_now(self.census), age = wall - item.time if wall > item.time else 0
    trace.owner = <void *>history
    trace.write = write_past if item.what == KEPT_PAST else write_retained
    trace.id = message.id
    charge_own(history, TRACE_COST)
    if item.what == KEPT_RETAINED and history.policy.retain:
        drop_retained(history)
        put_retained(history, message, trace)
    elif item.what == KEPT_PAST and keeps(history.policy) and (
            history.policy.history_age == 0 or age < history.policy.history_age):
        restore_past(history, message, trace, age, item.before)
    else:
        history.lost = max(history.lost, message.id)
        end_trace(history, trace)
        message_drop(message)
    if history.retained == NULL:
        leave_if_empty(history)
    keep_to_share(self)
    return 0


cdef int restore_past(History self, Message *message, Trace *trace, uint64_t age, uint64_t before) except -1:
    """`before`: the number of the message in front of it. If that is not there any more, something is missing."""
    cdef Histories owner = <Histories>self.owner
    if self.count == self.capacity:
        grow(self)
    if number_before(self, self.end()) != before:
        self.lost = before
    if self.policy.persistent != PERSISTENT_ALWAYS:
        self.lost = owner.started
    put_newest(self, message, trace, owner.now[0] - age)    # it may be older than the clock, which wraps around then
    while is_too_much(self):
        drop_oldest(self)
    if self.count:
        watch(self, self.ring[self.head].since)
    return 0


# ---- time ----

cdef void wait_until(History self, uint64_t due) noexcept:
    cdef Histories owner = <Histories>self.owner
    owner.ageing += not link_joined(&self.age.link)
    timer_arm(owner.wheel, &self.age, due)


cdef void watch(History self, uint64_t since) noexcept:
    """The oldest is from then."""
    if self.policy.history_age:
        wait_until(self, since + self.policy.history_age)
    else:
        rest(self)


cdef void rest(History self) noexcept:
    (<Histories>self.owner).ageing -= link_joined(&self.age.link)
    timer_cancel(&self.age)


cdef void too_old(void *pointer) noexcept:
    """What is many goes on in the next tick."""
    cdef History self = <History>pointer
    cdef Histories owner = <Histories>self.owner
    cdef uint64_t now = owner.now[0]
    cdef int left = SLICE
    owner.ageing -= 1
    if self.count == 0:
        rest_or_remove(self)
        return
    while self.count and left and self.ring[self.head].since + self.policy.history_age <= now:
        drop_oldest(self)
        left -= 1
    if self.count:
        wait_until(self, max(self.ring[self.head].since + self.policy.history_age, now + 1))
    else:
        wait_until(self, now + EMPTY_TIME)


cdef void rest_or_remove(History self) noexcept:
    """It has been empty for long."""
    if self.retained == NULL:
        remove(self)


# ---- memory ----

cdef inline void keep_to_share(Histories self) noexcept:
    while self.bytes > self.most and (gave_some(self) or forgot_oldest(self)):
        pass


cdef bint gave_some(Histories self) noexcept:
    """The next one has lost a quarter of what it keeps; one that is empty goes, unless it retains something."""
    cdef History history
    cdef size_t left
    if ring_empty(&self.giving):
        return False
    history = <History>self.giving.next.owner
    left = min(history.count // 4 + 1, <size_t>SLICE)
    link_join(&self.giving, &history.giving)
    if history.count:
        while left and history.count:
            drop_oldest(history)
            left -= 1
        leave_if_empty(history)
    elif history.retained == NULL:
        remove(history)
    else:
        link_leave(&history.giving)
    return True


cdef bint forgot_oldest(Histories self) noexcept:
    """The message that was retained first has gone."""
    cdef Link *link = self.retaining.next
    cdef History history
    while link != &self.retaining and link.owner == NULL:   # there a replay goes on
        link = link.next
        self.census.work += FREE_WORK
    if link == &self.retaining:
        return False
    history = <History>link.owner
    drop_retained(history)
    if history.count == 0:
        remove(history)
    return True


cdef int64_t ring_cost(size_t capacity) noexcept:
    return <int64_t>(capacity * sizeof(Kept))


cdef int grow(History self) except -1:
    """The ring is full. The smaller of its two ends moves."""
    cdef size_t before = self.capacity, behind = self.capacity - self.head
    cdef size_t capacity = before * 2 if before else SMALLEST_RING
    cdef Kept *ring = <Kept *>realloc(self.ring, capacity * sizeof(Kept))
    if ring == NULL:
        raise MemoryError()
    if self.head <= behind:
        memcpy(ring + before, ring, self.head * sizeof(Kept))
    else:
        memcpy(ring + capacity - behind, ring + self.head, behind * sizeof(Kept))
        self.head = capacity - behind
    charge_own(self, ring_cost(capacity) - ring_cost(before))
    self.ring = ring
    self.capacity = capacity
    return 0


cdef void free_ring(History self) noexcept:
    free(self.ring)
    charge_own(self, -ring_cost(self.capacity))
    self.ring = NULL
    self.head = self.capacity = 0


cdef int64_t visit_history(void *owner, int64_t budget) noexcept:
    cdef History history = <History>owner
    cdef Census *census = (<Histories>history.owner).census
    cdef size_t place = history.keeper.place
    if place == 0 and history.retained != NULL:
        budget -= move_message(census, &history.retained)
    while budget > 0 and place < history.capacity:
        budget -= VISIT_COST
        if ((place - history.head) & (history.capacity - 1)) < history.count:
            budget -= move_message(census, &history.ring[place].message)
        place += 1
    history.keeper.place = place if place < history.capacity else 0
    return budget
