"""Spilling: of a queue that holds much, what will not be wanted soon is left to the disk, where the journal has it.

    ring    | a b c ... | d . . . . . . . . . . . . . | x y z |       . has only its place in memory (fetching.pyx)
              the window: what is given out next         ^ recorded in the segment that is written now

Where a message stands in its segment the loop does not know when it records it. When the segment is full, the store
looks (csrc/locating.h): then there is a round through all queues that are deep, for that segment; and one more for each
other segment in which it has met something. What was fetched knows its place, and goes again in any round.

On a shelf a round looks at what has come since the last one; and every ten seconds, or always while memory is full, at
all that is there, as what is taken changes the places of others in memory.
"""
from libc.stdlib cimport free

from fastbroker.core.journal cimport READER_LOCATE
from fastbroker.core.message cimport LOCATED, Entry, Message, message_away, message_drop, message_properties
from fastbroker.core.queue cimport Queue, have_look
from fastbroker.core.shelf cimport NOWHERE, Node, shelf_from
from fastbroker.core.space cimport Segment, Space
from fastbroker.core.wire cimport SEEN_AWAY, ceiling_reached, link_join, link_leave, ring_empty, ring_init, ring_splice

cdef enum:
    PARTS = 4               # of the memory that a queue may have: two at its front stay, with three it is left alone;
    TIGHT = 32              # ... while there is not much of it, so much less
    VISIT = 64              # what it costs to look at a queue, in messages that could be looked at meanwhile
    PASSED = 4              # messages of a window that cost as much as one that is looked at
    ENOUGH = 512            # messages of later segments in a row: what is behind them in a ring came later, too
    REST_WHOLE = 10000      # milliseconds between two rounds that look at all that is on a shelf
    REST = 1000             # milliseconds between two rounds where no segment has become full


cdef Spilling spilling_new(QueueOwner owner):
    cdef Spilling new = Spilling()
    new.owner = <void *>owner
    new.census = owner.census
    new.journal = owner.journal
    return new


cdef class Spilling:

    def __cinit__(self):
        ring_init(&self.round)

    def __dealloc__(self):
        while not ring_empty(&self.round):
            link_leave(self.round.next)
        if self.census != NULL:
            forget_places(self)


cdef int spill_on(Spilling self, int64_t budget) except -1:
    """So many messages are looked at."""
    cdef Queue queue
    if self.asked and not takes_places(self):
        return 0
    while budget > 0:
        if ring_empty(&self.round) and not begin_round(self):
            return 0
        queue = <Queue>self.round.next.owner
        if self.current != <void *>queue:
            self.current = <void *>queue
            self.number = self.blocked = self.node = self.others = 0
        budget = look_through(self, queue, budget - VISIT)
        if budget > 0:
            self.current = NULL
            link_leave(&queue.deep_link)
            if queue.bytes - queue.away > (<QueueOwner>self.owner).queue_memory // PARTS * 3:
                link_join(&(<QueueOwner>self.owner).deep, &queue.deep_link)
    return 0


# ---- rounds ----

cdef bint begin_round(Spilling self) except -1:
    """Whether there is another one now. In a row they go through all segments, the oldest first."""
    cdef uint64_t now = (<QueueOwner>self.owner).now[0]
    forget_places(self)
    self.segment, self.next = self.next, 0
    self.whole = False
    if ring_empty(&(<QueueOwner>self.owner).deep):
        self.segment = 0
        return False
    if self.segment:
        self.asked = True
        self.journal.store.ask(READER_LOCATE, self.segment, NULL, 0)
        return False
    if self.newest == self.journal.space.current.number and now < self.again:
        return False
    self.newest = self.journal.space.current.number
    self.again = now + REST
    self.whole = now >= self.again_whole or ceiling_reached((<QueueOwner>self.owner).ceiling)
    if self.whole:
        self.again_whole = now + REST_WHOLE
    ring_splice(&self.round, &(<QueueOwner>self.owner).deep)
    return True


cdef bint takes_places(Spilling self) except -1:
    """Whether the store has told where the messages of the segment are; then a round begins."""
    cdef char *bytes = NULL
    cdef size_t length = 0
    if not self.journal.store.answer(READER_LOCATE, &bytes, &length):
        return False
    self.asked = False
    self.near = 0
    self.located = <Located *>bytes
    self.count = length // sizeof(Located) if bytes != NULL else 0
    self.census.memory += <int64_t>(self.count * sizeof(Located))
    ring_splice(&self.round, &(<QueueOwner>self.owner).deep)
    return True


cdef void forget_places(Spilling self) noexcept:
    self.census.memory -= <int64_t>(self.count * sizeof(Located))
    free(self.located)
    self.located = NULL
    self.count = 0


# ---- one queue ----

cdef int64_t look_through(Spilling self, Queue queue, int64_t budget) except? -1:
    """Returns what is left of the budget; nothing, if it is not through."""
    if queue.stored is None or queue.removed:
        return budget
    if self.node == 0:
        budget = look_along_ring(self, queue, budget)
    if budget > 0:
        budget = look_along_shelf(self, queue, budget)
    return budget


cdef int64_t look_along_ring(Spilling self, Queue queue, int64_t budget) except? -1:
    cdef size_t place = begin_in_ring(self, queue, &budget)
    cdef Entry *entry
    while budget > 0 and place < queue.count and self.others < ENOUGH:
        entry = &queue.ring[(queue.head + place) & (queue.capacity - 1)]
        if entry.message.seen & SEEN_AWAY and entry.number < queue.spilled:
            place = place_in_ring(queue, queue.spilled)     # so are those between
            budget -= 1
            continue
        if goes(self, queue, entry):
            self.others = 0
        else:
            self.others += 1
            self.blocked = self.blocked or entry.number + 1
        self.number = entry.number + 1
        budget -= 1
        place += 1
    if budget > 0:
        queue.spilled = max(queue.spilled, self.blocked - 1 if self.blocked else queue.next_number)
    return budget


cdef size_t begin_in_ring(Spilling self, Queue queue, int64_t *budget) noexcept:
    """Behind what stays in memory, and behind what was looked at before."""
    cdef size_t place = 0, bytes = 0, window = window_of(self)
    if self.number:
        return place_in_ring(queue, self.number)
    while place < queue.count and bytes < window:
        bytes += queue.ring[(queue.head + place) & (queue.capacity - 1)].message.size
        place += 1
    budget[0] -= <int64_t>(place // PASSED)
    if ceiling_reached((<QueueOwner>self.owner).ceiling):
        return place
    return max(place, place_in_ring(queue, queue.spilled))


cdef size_t window_of(Spilling self) noexcept:
    """Bytes at the front of a queue that stay."""
    cdef QueueOwner owner = <QueueOwner>self.owner
    return owner.queue_memory // PARTS * 2 // (TIGHT if ceiling_reached(owner.ceiling) else 1)


cdef size_t place_in_ring(Queue queue, uint64_t number) noexcept:
    """Of the first with that number or a higher one."""
    cdef size_t low = 0, high = queue.count, middle
    while low < high:
        middle = (low + high) // 2
        if queue.ring[(queue.head + middle) & (queue.capacity - 1)].number < number:
            low = middle + 1
        else:
            high = middle
    return low


cdef int64_t look_along_shelf(Spilling self, Queue queue, int64_t budget) except? -1:
    """By its nodes, in no order."""
    cdef Node *node
    if queue.shelf.count == 0:
        queue.spilled_nodes = 0
        return budget
    if self.node == 0:
        self.kept = end_of_window(self, queue, &budget)
        self.node = 1 if self.whole else min(queue.spilled_nodes, <size_t>queue.shelf.count) + 1
        self.blocked = 0
    while budget > 0 and self.node <= queue.shelf.count:
        node = &queue.shelf.nodes[self.node - 1]
        if node.place >= self.kept and not goes(self, queue, &node.entry):
            self.blocked = self.blocked or self.node
        self.node += 1
        budget -= 1
    if budget > 0:
        queue.spilled_nodes = (self.blocked or self.node) - 1
    return budget


cdef uint64_t end_of_window(Spilling self, Queue queue, int64_t *budget) noexcept:
    """The first place on the shelf that need not be in memory."""
    cdef size_t bytes = 0, window = window_of(self)
    cdef uint32_t at = shelf_from(&queue.shelf, 0)
    cdef uint64_t place = 1
    while at != NOWHERE and bytes < window:
        bytes += queue.shelf.nodes[at].entry.message.size
        place = queue.shelf.nodes[at].place + 1
        at = shelf_from(&queue.shelf, place)
        budget[0] -= 1
    return place


# ---- one message ----

cdef bint goes(Spilling self, Queue queue, Entry *entry) except -1:
    """Leaves its content to the disk, if that is known to be there. False: later, perhaps."""
    cdef Space space = self.journal.space
    cdef const Segment *segment
    cdef Message *message = entry.message
    cdef const Located *found
    if message.seen & SEEN_AWAY or entry.segment == 0:
        return True
    if message.stored & LOCATED:
        leave(queue, entry, <uint32_t>message.stored)
        return True
    segment = space.of(entry.segment)
    if segment.number != self.segment:
        if (segment.number > self.segment and (self.next == 0 or segment.number < self.next)
                and segment != space.current and self.journal.store.written() >= segment.last):
            self.next = segment.number
        return False
    found = find(self, message.id, queue.stored.number)
    if found != NULL:
        leave(queue, entry, found.place)
    return True


cdef int leave(Queue queue, Entry *entry, uint32_t place) except -1:
    cdef Message *message = entry.message
    entry.message = message_away(queue.census, message.id, message.size, message_properties(message), place)
    entry.message.shared.sender = message.shared.sender
    queue.away += message.size
    message_drop(message)
    return 0


cdef const Located *find(Spilling self, uint64_t id, uint32_t queue) noexcept:
    """NULL if the store has not found it. Mostly it is the one behind the last one."""
    cdef size_t low = 0, high = self.count, middle
    if self.near < self.count and is_before(&self.located[self.near], id, queue):
        low = self.near + 1
        if low < self.count and not is_before(&self.located[low], id, queue):
            high = low
    while low < high:
        middle = (low + high) // 2
        if is_before(&self.located[middle], id, queue):
            low = middle + 1
        else:
            high = middle
    if low == self.count or self.located[low].id != id or self.located[low].queue != queue:
        return NULL
    self.near = low
    return &self.located[low]


cdef inline bint is_before(const Located *one, uint64_t id, uint32_t queue) noexcept:
    return one.id < id or (one.id == id and one.queue < queue)


# ---- what has been fetched ----

cdef int hear_fetched(Spilling self) except -1:
    """The store may have read something: who waits for that goes on."""
    cdef Queue queue
    for queue in (<QueueOwner>self.owner).fetching.hear():
        call(queue)
    return 0


cdef int call_starved(Spilling self) except -1:
    """Those who could not ask for something try again."""
    cdef Queue queue
    if (<QueueOwner>self.owner).fetching.running is None:
        for queue in (<QueueOwner>self.owner).fetching.starved():
            call(queue)
    return 0


cdef int call(Queue queue) except -1:
    if queue.choosers != NULL:
        queue.choosers.seen = -1    # all look again
    queue.look()
    return have_look(&queue.watchers)
