"""Finding: what the records of a journal say is there, when all of them are read in their order.

    record --by queue, by id--> Entry     a message in one queue, whose content stays where it is (fetching.pyx)
    end of the journal:                    what is settled, and what a transaction did that never ended, is left out

A record of what is not there (a message that was settled before the record that says so, a queue that has gone) says
nothing. So it does not matter if it is found twice, or in front of what it belongs to.
"""
from libc.stdint cimport UINT16_MAX, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, qsort, realloc
from libc.string cimport memcpy, memset

from fastbroker.core.frame cimport Content
from fastbroker.core.journal cimport (
    RECORD_ADDED, RECORD_CLOSED, RECORD_COMMITTED, RECORD_DURABLE, RECORD_GONE, RECORD_IN_TRANSACTION, RECORD_KEPT,
    RECORD_MORE, RECORD_NUMBERS, RECORD_QUEUE, RECORD_RETURNED, RECORD_SETTLED, RECORD_SHARED,
)
from fastbroker.core.message cimport message_away, message_cost, message_drop
from fastbroker.core.remains cimport remains_new
from fastbroker.core.stored cimport Added, Returned, Shared, message_in
from fastbroker.core.wire cimport text_free, text_put, wall_now

cdef enum:
    FEWEST = 16
    TAG = 8                 # bytes that the payload of a record of a transaction begins with
    LOWS = 65536


cdef class FoundQueue:

    def __cinit__(self):
        self.rests = {}

    def __dealloc__(self):
        cdef size_t i
        for i in range(self.count):
            if self.items[i].message != NULL:
                message_drop(self.items[i].message)
        free(self.items)
        free(self.ids.slots)

    cdef Entry *find(self, uint64_t id) noexcept:
        """NULL if it is not there."""
        cdef size_t slot
        cdef Entry *item
        if self.ids.count == 0:
            return NULL
        slot = slot_of(id, self.ids.capacity)
        while self.ids.slots[slot]:
            item = &self.items[self.ids.slots[slot] - 1]
            if item.message != NULL and item.message.id == id:
                return item
            slot = (slot + 1) & (self.ids.capacity - 1)
        return NULL

    cdef Entry *add(self, Message *message) except NULL:
        """Takes over a message, instead of one of the same id if that is there."""
        cdef Entry *found = self.find(message.id)
        self.before = 0 if found == NULL else found.segment
        if found != NULL:
            message_drop(found.message)
        else:
            if self.count == self.capacity:
                grow(self)
            found = &self.items[self.count]
            self.count += 1
            enter(self, self.count - 1, message.id)
        memset(found, 0, sizeof(Entry))
        found.message = message
        return found

    cdef void settle(self, uint64_t id) noexcept:
        """It is not there any more, if it was."""
        cdef Entry *found = self.find(id)
        if found != NULL:
            message_drop(found.message)
            found.message = NULL

    cdef void line_up(self) noexcept:
        """All is said. What is left stands by its places now; mostly it does already. Nothing is found any more."""
        cdef size_t i, count = 0
        cdef bint sorted = True
        free(self.ids.slots)
        self.ids = Ids(NULL, 0, 0)
        for i in range(self.count):
            if self.items[i].message == NULL:
                continue
            sorted = sorted and (count == 0 or self.items[count - 1].number < self.items[i].number)
            self.items[count] = self.items[i]
            count += 1
        self.count = count
        if not sorted:
            qsort(self.items, count, sizeof(Entry), by_place)


cdef inline size_t slot_of(uint64_t id, size_t capacity) noexcept:
    return <size_t>(id * <uint64_t>0x9e3779b97f4a7c15 >> 20) & (capacity - 1)


cdef void enter(FoundQueue queue, size_t place, uint64_t id) noexcept:
    cdef size_t slot = slot_of(id, queue.ids.capacity)
    while queue.ids.slots[slot]:
        slot = (slot + 1) & (queue.ids.capacity - 1)
    queue.ids.slots[slot] = <uint32_t>place + 1
    queue.ids.count += 1


cdef int grow(FoundQueue queue) except -1:
    """Twice as many, and slots for twice as many as that."""
    cdef size_t capacity = queue.capacity * 2 or FEWEST, i
    cdef Entry *items = <Entry *>realloc(queue.items, capacity * sizeof(Entry))
    if items == NULL:
        raise MemoryError()
    queue.items = items
    queue.capacity = capacity
    free(queue.ids.slots)
    queue.ids = Ids(<uint32_t *>calloc(2 * capacity, sizeof(uint32_t)), 2 * capacity, 0)
    if queue.ids.slots == NULL:
        raise MemoryError()
    for i in range(queue.count):
        if queue.items[i].message != NULL:
            enter(queue, i, queue.items[i].message.id)
    return 0


cdef int by_place(const void *a, const void *b) noexcept nogil:
    cdef uint64_t first = (<const Entry *>a).number, second = (<const Entry *>b).number
    return (first > second) - (first < second)


cdef Findings findings_new(Store store, Space space, Census *census, Policies policies):
    """Nothing yet, of what is in that store."""
    cdef Findings new = Findings()
    new.store = store
    new.space = space
    new.census = census
    new.policies = policies
    new.queues = {}
    new.open = {}
    new.committed = set()
    new.remains = remains_new(census, space)
    new.closed = True
    return new


cdef class Findings:

    def __dealloc__(self):
        text_free(&self.joined)
        free(self.come)

    cdef int read(self, const Record **records, long count) except -1:
        """The next group, which the store has just handed out."""
        cdef uint64_t segment = self.store.read_from()
        cdef Said said
        cdef long at = 0
        if self.space.current == NULL or self.space.current.number != segment:
            self.space.begin(segment)
        self.come_count = 0
        while at < count:
            at = said_at(records, at, count, &self.joined, &said)
            if said.transaction:
                self.last_transaction = max(self.last_transaction, said.transaction)
                if said.transaction in self.committed:
                    said.transaction = 0
                else:
                    self.open.setdefault(said.transaction, [])
            self.closed = said.record.kind == RECORD_CLOSED
            apply(self, &said)
        return 0

    cdef int end(self) except -1:
        """All is read: transactions that were not committed have done nothing, and of two queues of one name the first
        has gone, as the record that says so is damaged."""
        cdef FoundQueue queue
        cdef dict last = {}
        for done in self.open.values():
            for added, number, id in done:
                if added and number in self.queues:
                    (<FoundQueue>self.queues[number]).settle(id)
        for number in sorted(self.queues):
            queue = self.queues[number]
            if queue.texts is not None:
                self.queues.pop(last.get((queue.kind, queue.texts[0])), None)
                last[queue.kind, queue.texts[0]] = number
        return 0


cdef long said_at(const Record **records, long at, long count, Text *joined, Said *said) except -1:
    """What the record there says; where the next one stands. `joined` has it where it is said in several."""
    cdef const Record *record = records[at]
    cdef long end = at + 1, i
    said.record = record
    said.payload = <const char *>(record + 1)
    said.length = record.length
    said.transaction = 0
    while end < count and records[end].kind == RECORD_MORE:
        end += 1
    if end > at + 1:
        joined.start = joined.end = 0
        for i in range(at, end):
            if text_put(joined, <const char *>(records[i] + 1), records[i].length) < 0:
                raise MemoryError()
        said.payload = joined.bytes
        said.length = joined.end
    if record.flags & RECORD_IN_TRANSACTION and said.length >= TAG:
        memcpy(&said.transaction, said.payload, sizeof(said.transaction))
        said.payload += TAG
        said.length -= TAG
    return end


cdef int apply(Findings self, const Said *said) except -1:
    cdef int kind = said.record.kind
    cdef uint32_t transaction = said.transaction
    cdef const char *payload = said.payload
    cdef size_t length = said.length
    if kind >= RECORD_KEPT:
        return self.remains.read(kind, transaction, payload, length)
    if kind == RECORD_ADDED:
        return added(self, said)
    if kind == RECORD_SHARED:
        return shared(self, transaction, <const Shared *>payload, length)
    if kind == RECORD_SETTLED:
        return settled(self, transaction, payload, length)
    if kind == RECORD_RETURNED:
        return returned(self, <const Returned *>payload, length)
    if kind == RECORD_QUEUE or kind == RECORD_DURABLE:
        return described(self, said)
    elif kind == RECORD_GONE and length >= sizeof(uint64_t):
        self.queues.pop((<const uint64_t *>payload)[0], None)
        self.remains.gone((<const uint64_t *>payload)[0])
        self.space.current.behind = True
    elif kind == RECORD_COMMITTED and length >= sizeof(uint32_t):
        commit(self, (<const uint32_t *>payload)[0])
    elif kind == RECORD_NUMBERS and length >= 2 * sizeof(uint64_t):
        self.numbers = max(self.numbers, (<const uint64_t *>payload)[0])
        self.dead_numbers = max(self.dead_numbers, (<const uint64_t *>payload)[1])
        if length >= 3 * sizeof(uint64_t):
            self.keys = max(self.keys, (<const uint64_t *>payload)[2])
    return 0


cdef FoundQueue queue_of(Findings self, uint64_t number):
    cdef FoundQueue found = self.queues.get(number)
    if found is None:
        found = FoundQueue()
        found.number = number
        self.queues[number] = found
        self.last_queue = max(self.last_queue, number)
    return found


cdef int described(Findings self, const Said *said) except -1:
    cdef const uint64_t *head = <const uint64_t *>said.payload
    cdef int kind = said.record.kind
    cdef FoundQueue queue
    cdef list texts
    if said.length < 3 * sizeof(uint64_t):
        return 0
    texts = texts_in(said.payload[3 * sizeof(uint64_t):said.length])
    if len(texts) < (2 if kind == RECORD_DURABLE else 1):
        return 0
    queue = queue_of(self, head[0])
    queue.kind = kind
    queue.shard = said.record.shard
    queue.not_by = head[1]
    queue.given = head[2]
    queue.described = self.space.current
    queue.texts = texts
    if kind == RECORD_QUEUE and self.policies is not None:
        self.remains.described(head[0], self.policies.of_queue(queue.texts[0]).duplicate_window)
    return 0


cdef int added(Findings self, const Said *said) except -1:
    cdef const Added *added = <const Added *>said.payload
    cdef Content content
    cdef Come *come = new_come(self)
    if said.length < sizeof(Added) or not message_in(said.payload, said.length, &content, &come.properties):
        return 0
    self.come_count += 1
    come.id = added.id
    come.size = <uint32_t>message_cost(&content)
    come.place = self.store.place_of(said.record)
    return found(self, said.transaction, come, added.queue, added.place, added.deliveries, added.refusals)


cdef Come *new_come(Findings self) except NULL:
    cdef size_t capacity = self.come_capacity * 2 or FEWEST
    cdef Come *come
    if self.come_count == self.come_capacity:
        come = <Come *>realloc(self.come, capacity * sizeof(Come))
        if come == NULL:
            raise MemoryError()
        self.come = come
        self.come_capacity = capacity
    return &self.come[self.come_count]


cdef int shared(Findings self, uint32_t transaction, const Shared *shared, size_t length) except -1:
    """A message that was added to another queue, mostly the last one."""
    cdef size_t i = self.come_count
    if length < sizeof(Shared):
        return 0
    while i > 0:
        i -= 1
        if self.come[i].id == shared.id:
            return found(self, transaction, &self.come[i], shared.queue, shared.place, shared.deliveries,
                         shared.refusals)
    return 0


cdef int found(Findings self, uint32_t transaction, const Come *come, uint32_t queue, uint64_t number,
               uint32_t deliveries, uint32_t refusals) except -1:
    """It came into that queue."""
    cdef Message *message = message_away(self.census, come.id, come.size, &come.properties, come.place)
    cdef Entry *entry
    try:
        entry = queue_of(self, queue).add(message)
    except MemoryError:
        message_drop(message)
        raise
    entry.number = number
    entry.deliveries = deliveries
    entry.refusals = <uint16_t>min(refusals, <uint32_t>UINT16_MAX)
    entry.segment = <uint16_t>self.space.current.number
    leave_before(self, queue)
    if transaction:
        self.open[transaction].append((True, queue, come.id))
    return 0


cdef int leave_before(Findings self, uint64_t number) except -1:
    """What is recorded twice was carried from a segment that was about to go. That goes on, as it must be gone
    before what settles the message is."""
    cdef FoundQueue queue = queue_of(self, number)
    if queue.before and queue.before != <uint16_t>self.space.current.number:
        self.space.leave(self.space.of(queue.before))
        self.space.current.carries = True
    return 0


cdef int settled(Findings self, uint32_t transaction, const char *payload, size_t length) except -1:
    cdef FoundQueue queue
    cdef size_t i
    if length < 2 * sizeof(uint64_t):
        return 0
    queue = queue_of(self, (<const uint32_t *>payload)[0])
    concerns(self, (<const uint32_t *>payload)[1])
    for i in range(1, length // sizeof(uint64_t)):
        if transaction:
            self.open[transaction].append((False, queue.number, (<const uint64_t *>payload)[i]))
        else:
            queue.settle((<const uint64_t *>payload)[i])
    return 0


cdef int commit(Findings self, uint32_t transaction) except -1:
    """What it has added stays, what it has settled goes."""
    self.space.current.behind = True
    self.last_transaction = max(self.last_transaction, transaction)
    self.committed.add(transaction)
    for added, number, id in self.open.pop(transaction, ()):
        if not added and number in self.queues:
            (<FoundQueue>self.queues[number]).settle(id)
    return 0


cdef int returned(Findings self, const Returned *returned, size_t length) except -1:
    cdef FoundQueue queue
    cdef Entry *found
    cdef uint64_t now = wall_now(self.census)
    if length < sizeof(Returned):
        return 0
    concerns(self, returned.segment)
    queue = queue_of(self, returned.queue)
    found = queue.find(returned.id)
    if found == NULL:
        return 0
    found.deliveries = returned.deliveries
    found.refusals = <uint16_t>min(returned.refusals, <uint32_t>UINT16_MAX)
    queue.rests.pop(returned.id, None)
    if returned.due > now:
        queue.rests[returned.id] = min(returned.due - now, returned.rest)
    return 0


cdef int concerns(Findings self, uint32_t segment) except -1:
    return self.space.concerns(self.space.current, segment) if segment < LOWS else 0


cdef list texts_in(bytes packed):
    cdef list texts = []
    cdef Py_ssize_t at = 0, length
    while at + 4 <= len(packed):
        length = int.from_bytes(packed[at:at + 4], "little")
        texts.append(packed[at + 4:at + 4 + length])
        at += 4 + length
    return texts
