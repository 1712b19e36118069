"""Browsers: subscriptions that are shown what waits in a queue, in the order in which consumers would get it, and take
nothing.

    begin ........ until                    numbers of messages: one round is what waits there
    9 [ ... place ]                         by priority, and within one by number, as places on a shelf are
    4 [ ... ]   the ring, the shelf
    0 [ ... ]
    |
    the end marker, and nothing more        the first round ends where the queue ended at the SUBSCRIBE
    or what has come since, round after round: `browser-end:false`

A browser is the spring of a queue of its own, and looks for the next message when its client has room for one. It holds
no more than a place, which stays good whatever becomes of the messages: what is taken is not there any more, and what
comes back stands where it stood. Nothing of the queue is changed, but that what came back is moved from its heap, along
which nobody can walk, to the shelf.

Who stays and has seen all stands in the ring of the queue (`Queue.watchers`), and is shown what comes before a consumer
can take it. It does not keep the queue alive: when that has gone, it waits until there is one of that name again.

The newest of a last value takes the place of an older one, which a browser may have passed by. It is told so by
`Queue.renewals`: if that was one, it looks there, and if more, it goes along all the queue for what is newer than its
last round.
"""
from libc.stdint cimport UINT64_MAX, int64_t, uint32_t, uint64_t

from fastbroker.core.frame cimport Content, encoded, header_line, put_frame
from fastbroker.core.message cimport Entry, message_content, message_keep
from fastbroker.core.queue cimport (
    AWAY, HERE, WATCHED, Presence, bring, call_when_here, fetch_along_ring, fetch_along_shelf, give, have_look,
    queue_new, shelve_returned,
)
from fastbroker.core.route cimport Origin
from fastbroker.core.shelf cimport NOWHERE, PLACE_BITS, Node, lane_of, place_of, shelf_from
from fastbroker.core.subscription cimport ACK_AUTO, MARK_SHOWN
from fastbroker.core.table cimport table_get
from fastbroker.core.wire cimport (
    USUAL_PRIORITY, account_charge, ceiling_reached, census_spent, link_init, link_join, link_leave, outbuf_pending,
    ring_empty, ring_init, wall_now,
)

cdef enum:
    COST = 768              # bytes of a browser beside its queue and its name, and of what it waits in
    STEP_WORK = 48          # what it takes to look at one message, in bytes of output
    SLICE = 262144          # of both that one browser may cause before others are served

cdef enum Sight:
    SEEN                    # the next message
    LATER                   # it takes longer than a slice
    FETCHED                 # it is there, and its content on the disk alone: that comes
    NOTHING                 # there is none

cdef uint64_t NO_PLACE = UINT64_MAX
cdef uint64_t ONE_LANE = <uint64_t>1 << PLACE_BITS
cdef uint64_t USUAL_LANE = place_of(USUAL_PRIORITY, 0)


cdef Browsers browsers_new(Table *queues):
    cdef Browsers new = Browsers()
    new.queues = queues
    new.absent = {}
    return new


cdef int browse(Browsers self, Subscription subscription, QueueOwner owner, Queue target, bytes name,
                const Browsing *asked) except -1:
    """It begins within the turn. `target` is None if there is no such queue; it is not made."""
    cdef Queue queue = queue_new(None, owner, owner.policies.usual_queue)
    cdef Browser new = Browser()
    new.others = self
    new.consumer = <void *>subscription
    new.account = subscription.account
    new.out = subscription.out
    new.name = name if target is None else target.name
    new.target = target
    new.stays = asked.stays
    new.number = owner.number
    new.again = NO_PLACE
    link_init(&new.link, <void *>queue)
    account_charge(new.account, COST + 2 * <int64_t>len(name))
    new.begin = asked.first
    if target is not None:
        begin_at(new, target.next_number if asked.behind_all else asked.first, target.next_number)
    subscription.marks |= MARK_SHOWN
    subscription.source = queue
    queue.add_consumer(subscription)
    queue.spring_from(new)
    queue.call()
    return 0


cdef int queue_was_made(Browsers self, bytes name) except -1:
    """Those who have waited for it look at it before anything is there."""
    cdef Absent absent = self.absent.get(name)
    return 0 if absent is None else have_look(&absent.ring)


cdef class Browser(Spring):

    def __dealloc__(self):
        if self.account == NULL:
            return
        link_leave(&self.link)
        leave_absent(self)
        account_charge(self.account, -(COST + 2 * <int64_t>len(self.name)))

    cdef bint has_run_dry(self, Queue queue) except -1:
        cdef Subscription consumer = <Subscription>self.consumer
        cdef int64_t until = census_spent(queue.census) + SLICE
        cdef Entry entry
        cdef Sight sight
        link_leave(&self.link)
        while has_room(self, consumer):
            sight = look_for_next(self, consumer, &entry, until)
            if sight == SEEN:
                show(queue, consumer, &entry)
            elif sight == LATER:
                queue.call()
                return False
            elif sight == FETCHED:
                link_join(&self.target.watchers, &self.link)
                return False
            elif not self.stays:
                return end(self, queue, consumer)
            elif wait(self):
                return False
        return False


cdef bint has_room(Browser self, Subscription consumer) noexcept:
    """A browser fills no output so far that others would wait for it."""
    cdef OutBuf *out = self.out
    if out.doom or not consumer.has_credit():
        return False
    if outbuf_pending(out) > (0 if ceiling_reached(out.outlets.ceiling) else out.outlets.low):
        link_join(consumer.starved, &consumer.ready)
        return False
    return True


cdef int show(Queue queue, Subscription consumer, Entry *entry) except -1:
    message_keep(entry.message)
    entry.segment = 0       # what becomes of it here is nothing to the journal
    return give(queue, consumer, entry)


cdef bint end(Browser self, Queue queue, Subscription consumer) except -1:
    """Clients that acknowledge all that comes acknowledge this, too, so it has an `ack` where messages have one."""
    cdef bytes lines = b"MESSAGE\n"
    if consumer.id is not None:
        lines += b"subscription:%b\n" % encoded(consumer.id, consumer.version)
    lines += b"message-id:0\n"
    if consumer.ack_mode != ACK_AUTO and consumer.version == 12:
        lines += b"ack:0\n"
    put_frame(self.out, lines + header_line(b"destination", consumer.destination, consumer.version)
              + b"browser:end\n\n")
    queue.spring_from(None)
    return True


cdef bint wait(Browser self) except -1:
    """For what comes later. False: something has, or there is another queue of that name."""
    cdef Queue target = self.target
    if target is not None and not target.removed:
        if target.next_number != self.until:
            next_round(self)
            return False
        link_join(&target.watchers, &self.link)
        target.marks |= WATCHED
        return True
    if target is not None:
        self.begin = 0      # the numbers of another queue are others
    self.target = found(self)
    if self.target is not None:
        begin_at(self, self.begin, 0)
        leave_absent(self)
        return False
    self.waits_in = absent_of(self)
    link_join(&self.waits_in.ring, &self.link)
    return True


# ---- rounds ----

cdef void begin_at(Browser self, uint64_t begin, uint64_t until) noexcept:
    self.begin = self.place = begin
    self.until = until
    self.renewals = self.target.renewals
    self.newest = self.number.value
    self.again = NO_PLACE
    self.all_again = False


cdef void next_round(Browser self) noexcept:
    """What has come since the last one began."""
    cdef uint64_t renewals = self.target.renewals - self.renewals
    self.known = self.newest
    begin_at(self, max(self.begin, self.until), self.target.next_number)
    if renewals == 1:
        self.again = self.target.renewed
    elif renewals:
        self.all_again = True
        self.place = 0


cdef bint is_passed_by(Browser self, const Entry *next) noexcept:
    """Whether it was there before this round, or comes after it; if so, the place moves on."""
    cdef uint64_t start = 0 if self.all_again else self.begin
    if next.number >= self.until:
        self.place = (lane_of(self.place) + ONE_LANE) | start
    elif next.number >= self.begin or (self.all_again and next.message.id > self.known):
        return False
    else:
        self.place = self.place + 1 if self.all_again else lane_of(self.place) | start
    return True


# ---- the way along a queue ----

cdef Sight look_for_next(Browser self, Subscription consumer, Entry *entry, int64_t until) except *:
    cdef Queue target = self.target
    cdef const Entry *next
    cdef Presence presence
    cdef Sight sight
    cdef uint64_t expires
    if target is None or target.removed:
        return NOTHING
    if self.again != NO_PLACE:
        sight = look_again(self, consumer, entry)
        if sight != NOTHING:
            return sight
    while self.begin < self.until:
        if census_spent(target.census) > until or (target.returned_count and not shelve_returned(target)):
            return LATER
        target.census.work += STEP_WORK
        next = first_from(target, self.place, &self.place, &expires)
        if next == NULL:
            return NOTHING
        if is_passed_by(self, next):
            continue
        presence = bring(target, <Entry *>next)
        if presence == AWAY:
            return fetch(target, next, self.place)
        self.place += 1
        if presence == HERE and is_wanted(consumer, next, expires):
            entry[0] = next[0]
            return SEEN
    return NOTHING


cdef Sight look_again(Browser self, Subscription consumer, Entry *entry) except *:
    """In the one place that was passed by and has something new since, if that is still there."""
    cdef Queue target = self.target
    cdef uint32_t at = shelf_from(&target.shelf, self.again)
    cdef uint64_t place = self.again
    cdef Presence presence = AWAY
    if at != NOWHERE and target.shelf.nodes[at].place == place:
        presence = bring(target, &target.shelf.nodes[at].entry)
        if presence == AWAY:
            return fetch(target, &target.shelf.nodes[at].entry, place)
    self.again = NO_PLACE
    if presence != HERE:
        return NOTHING
    entry[0] = target.shelf.nodes[at].entry
    return SEEN if is_wanted(consumer, entry, target.shelf.nodes[at].expires) else NOTHING


cdef Sight fetch(Queue target, const Entry *entry, uint64_t place) except *:
    """It, and what stands behind it. Those who watch the queue are called when it is here."""
    if target.ring <= entry < target.ring + target.capacity:
        fetch_along_ring(target, (<size_t>(entry - target.ring) - target.head) & (target.capacity - 1))
    else:
        fetch_along_shelf(target, place)
    call_when_here(target, entry, target)
    return FETCHED


cdef const Entry *first_from(Queue queue, uint64_t place, uint64_t *found, uint64_t *expires) noexcept:
    """The first that waits at that place or behind it, where it is, and when it expires; NULL if there is none."""
    cdef const Entry *plain = ring_from(queue, place)
    cdef uint32_t at = shelf_from(&queue.shelf, place)
    cdef const Node *node
    if at != NOWHERE:
        node = &queue.shelf.nodes[at]
        if plain == NULL or node.place < place_of(USUAL_PRIORITY, plain.number):
            found[0] = node.place
            expires[0] = node.expires
            return &node.entry
    if plain != NULL:
        found[0] = place_of(USUAL_PRIORITY, plain.number)
        expires[0] = UINT64_MAX
    return plain


cdef const Entry *ring_from(Queue queue, uint64_t place) noexcept:
    """The same in the ring, where numbers grow. Mostly none is missing between two, so it is looked first where it must
    be then."""
    cdef uint64_t number = place - USUAL_LANE if place > USUAL_LANE else 0
    cdef size_t low = 0, high = queue.count, middle
    if high == 0 or place >= USUAL_LANE + ONE_LANE or in_ring(queue, high - 1).number < number:
        return NULL
    if number <= in_ring(queue, 0).number:
        return in_ring(queue, 0)
    high = min(high - 1, number - in_ring(queue, 0).number)
    if in_ring(queue, high - 1).number < number:
        return in_ring(queue, high)
    while low < high:   # it is in front of `high`, or there
        middle = (low + high) // 2
        if in_ring(queue, middle).number < number:
            low = middle + 1
        else:
            high = middle
    return in_ring(queue, low)


cdef inline const Entry *in_ring(Queue queue, size_t place) noexcept:
    return &queue.ring[(queue.head + place) & (queue.capacity - 1)]


cdef bint is_wanted(Subscription consumer, const Entry *entry, uint64_t expires) noexcept:
    """Whether it is what the client wants, as it would come to a consumer now."""
    cdef Content content
    if expires <= wall_now(consumer.census):
        return False
    if not consumer.chooses:
        return True
    if consumer.not_from != NULL and entry.message.shared.sender == (<const Origin *>consumer.not_from).who:
        return False
    if consumer.selector is None:
        return True
    message_content(entry.message, &content)
    return consumer.selector.selects(&content, entry.message.id, entry.deliveries + 1, &consumer.census.work)


# ---- queues that are not there ----

cdef Queue found(Browser self):
    cdef void *queue = table_get(self.others.queues, self.name, len(self.name))
    return <Queue>queue if queue != NULL else None


cdef Absent absent_of(Browser self):
    cdef Absent absent = self.others.absent.get(self.name)
    if absent is None:
        absent = Absent()
        absent.name = self.name
        ring_init(&absent.ring)
        self.others.absent[absent.name] = absent
    return absent


cdef void leave_absent(Browser self) noexcept:
    """The last one who waited has gone, or has found a queue."""
    cdef Absent absent = self.waits_in
    self.waits_in = None
    if absent is not None and ring_empty(&absent.ring) and self.others.absent.get(absent.name) is absent:
        del self.others.absent[absent.name]
