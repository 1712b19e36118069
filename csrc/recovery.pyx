"""Recovery: from the records of a journal to the queues and subscriptions of a broker that starts.

    record --by queue, by id--> Entry     a message in one queue, whose content stays where it is (fetching.pyx)
    end of the journal:                    what is settled, and what a transaction did that never ended, is left out;
                                           all else goes to its queue, in the order of its places

A message is where it was, with its id, and counts its deliveries on. After an end that was none in good order, nobody
knows which messages consumers had: those that may have been given out count as if they were.

A record of what is not there (a message that was settled before the record that says so, a queue that has gone) says
nothing. So it does not matter if it is found twice, or in front of what it belongs to.
"""
cimport cython
from libc.stdint cimport UINT16_MAX, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, qsort, realloc
from libc.string cimport memcpy, memset

from fastbroker.core.choosing cimport begin_groups
from fastbroker.core.frame cimport Content
from fastbroker.core.journal cimport (
    RECORD_ADDED, RECORD_CLOSED, RECORD_COMMITTED, RECORD_DURABLE, RECORD_GONE, RECORD_IN_TRANSACTION, RECORD_KEPT,
    RECORD_MORE, RECORD_NUMBERS, RECORD_QUEUE, RECORD_RETURNED, RECORD_SETTLED, RECORD_SHARED, Record, Store,
)
from fastbroker.core.message cimport (
    Entry, Message, message_away, message_cost, message_drop, message_properties,
)
from fastbroker.core.namespace cimport go_on_from, restore_queue
from fastbroker.core.policy cimport Policies
from fastbroker.core.queue cimport GROUPED, Queue, belongs_on_shelf, restore_entry, stand_in_ring
from fastbroker.core.remains cimport Remains, remains_new
from fastbroker.core.space cimport Segment, Space, segment_after
from fastbroker.core.stored cimport Added, Returned, Shared, message_in
from fastbroker.core.wire cimport Census, Properties, Text, link_join, text_free, text_put, wall_now

cdef enum:
    FEWEST = 16
    TAG = 8                 # bytes that the payload of a record of a transaction begins with
    LOWS = 65536


cdef struct Come:
    uint64_t id
    uint32_t size
    uint32_t place
    Properties properties


cdef struct Ids:
    # places in a list, by the id of what stands there
    uint32_t *slots         # place + 1; 0 is free
    size_t capacity         # a power of two
    size_t count


@cython.final
cdef class FoundQueue:
    """What is known of a queue."""
    cdef uint64_t number
    cdef uint64_t not_by
    cdef int kind
    cdef list texts         # None: nobody has said what it is
    cdef Entry *items       # without their messages where these are settled
    cdef size_t count
    cdef size_t capacity    # a power of two
    cdef Ids ids
    cdef dict rests         # id -> for how many milliseconds it is not to be given out
    cdef uint64_t given     # entries before that place may have been given out
    cdef Segment *described # where it says what it is
    cdef uint16_t before    # the segment where what was added last is recorded, too; 0: none

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


cdef object recover(Journal journal, Namespace namespace):
    """Everything that is kept is there again. Returns how many messages that are, in how many queues, and whether the
    broker before has ended in good order."""
    cdef Recovery recovery = Recovery()
    recovery.census = namespace.census
    recovery.space = journal.space
    recovery.queues = {}
    recovery.open = {}
    recovery.committed = set()
    recovery.store = journal.store
    recovery.remains = remains_new(namespace.census, journal.space)
    recovery.policies = namespace.policies
    recovery.closed = True
    recovery.read_all(journal)
    return recovery.restore_all(journal, namespace)


@cython.final
cdef class Recovery:
    cdef Census *census
    cdef Space space
    cdef dict queues            # number -> FoundQueue
    cdef Remains remains        # what is kept beside their messages
    cdef Policies policies
    cdef dict open              # transactions that have done something and not ended -> list of what
    cdef set committed          # those that have ended
    cdef Store store
    cdef const Record *record   # that is being read
    cdef Text joined            # the payload of several records
    cdef uint64_t numbers       # message-ids may have been given up to that, ...
    cdef uint64_t dead_numbers  # ... and those of dead letters up to that ...
    cdef uint64_t keys          # ... and those of what else is kept up to that
    cdef uint64_t last_queue
    cdef uint32_t last_transaction
    cdef Come *come             # messages that have come in this group: others may share them
    cdef size_t come_count
    cdef size_t come_capacity
    cdef bint closed            # nothing has been recorded since the broker before has ended

    def __dealloc__(self):
        text_free(&self.joined)
        free(self.come)

    cdef int read_all(self, Journal journal) except -1:
        cdef const Record **records
        cdef long count = journal.store.read(&records), at, next
        while count:
            self.look_where(journal.store.read_from())
            self.come_count = 0
            at = 0
            while at < count:
                next = at + 1
                while next < count and records[next].kind == RECORD_MORE:
                    next += 1
                self.read(records, at, next)
                at = next
            count = journal.store.read(&records)
        return 0

    cdef int look_where(self, uint64_t segment) except -1:
        if self.space.current == NULL or self.space.current.number != segment:
            self.space.begin(segment)
        return 0

    cdef int read(self, const Record **records, long at, long end) except -1:
        """One record, and those in which it goes on."""
        cdef const Record *record = records[at]
        cdef const char *payload = <const char *>(record + 1)
        cdef size_t length = record.length
        cdef uint32_t transaction = 0
        if end > at + 1:
            self.joined.start = self.joined.end = 0
            for i in range(at, end):
                if text_put(&self.joined, <const char *>(records[i] + 1), records[i].length) < 0:
                    raise MemoryError()
            payload = self.joined.bytes
            length = self.joined.end
        if record.flags & RECORD_IN_TRANSACTION:
            if length < TAG:
                return 0
            memcpy(&transaction, payload, sizeof(transaction))
            self.last_transaction = max(self.last_transaction, transaction)
            if transaction in self.committed:
                transaction = 0
            else:
                self.open.setdefault(transaction, [])
            payload += TAG
            length -= TAG
        self.closed = record.kind == RECORD_CLOSED
        self.record = record
        return self.apply(record.kind, transaction, payload, length)

    cdef int apply(self, int kind, uint32_t transaction, const char *payload, size_t length) except -1:
        if kind >= RECORD_KEPT:
            return self.remains.read(kind, transaction, payload, length)
        if kind == RECORD_ADDED:
            return self.added(transaction, payload, length)
        if kind == RECORD_SHARED:
            return self.shared(transaction, <const Shared *>payload, length)
        if kind == RECORD_SETTLED:
            return self.settled(transaction, payload, length)
        if kind == RECORD_RETURNED:
            return self.returned(<const Returned *>payload, length)
        if kind == RECORD_QUEUE or kind == RECORD_DURABLE:
            return self.described(kind, payload, length)
        elif kind == RECORD_GONE and length >= sizeof(uint64_t):
            self.queues.pop((<const uint64_t *>payload)[0], None)
            self.remains.gone((<const uint64_t *>payload)[0])
            self.space.current.behind = True
        elif kind == RECORD_COMMITTED and length >= sizeof(uint32_t):
            self.commit((<const uint32_t *>payload)[0])
        elif kind == RECORD_NUMBERS and length >= 2 * sizeof(uint64_t):
            self.numbers = max(self.numbers, (<const uint64_t *>payload)[0])
            self.dead_numbers = max(self.dead_numbers, (<const uint64_t *>payload)[1])
            if length >= 3 * sizeof(uint64_t):
                self.keys = max(self.keys, (<const uint64_t *>payload)[2])
        return 0

    cdef FoundQueue queue(self, uint64_t number):
        cdef FoundQueue found = self.queues.get(number)
        if found is None:
            found = FoundQueue()
            found.number = number
            self.queues[number] = found
            self.last_queue = max(self.last_queue, number)
        return found

    cdef int described(self, int kind, const char *payload, size_t length) except -1:
        cdef const uint64_t *head = <const uint64_t *>payload
        cdef FoundQueue queue
        cdef list texts
        if length < 3 * sizeof(uint64_t):
            return 0
        texts = texts_in(payload[3 * sizeof(uint64_t):length])
        if len(texts) < (2 if kind == RECORD_DURABLE else 1):
            return 0
        queue = self.queue(head[0])
        queue.kind = kind
        queue.not_by = head[1]
        queue.given = head[2]
        queue.described = self.space.current
        queue.texts = texts
        if kind == RECORD_QUEUE and queue.texts:
            self.remains.described(head[0], self.policies.of_queue(queue.texts[0]).duplicate_window)
        return 0

    cdef int added(self, uint32_t transaction, const char *payload, size_t length) except -1:
        cdef const Added *added = <const Added *>payload
        cdef Content content
        cdef Come *come = self.new_come()
        if length < sizeof(Added) or not message_in(payload, length, &content, &come.properties):
            return 0
        self.come_count += 1
        come.id = added.id
        come.size = <uint32_t>message_cost(&content)
        come.place = self.store.place_of(self.record)
        return self.found(transaction, come, added.queue, added.place, added.deliveries, added.refusals)

    cdef Come *new_come(self) except NULL:
        cdef size_t capacity = self.come_capacity * 2 or FEWEST
        cdef Come *come
        if self.come_count == self.come_capacity:
            come = <Come *>realloc(self.come, capacity * sizeof(Come))
            if come == NULL:
                raise MemoryError()
            self.come = come
            self.come_capacity = capacity
        return &self.come[self.come_count]

    cdef int shared(self, uint32_t transaction, const Shared *shared, size_t length) except -1:
        """A message that was added to another queue, mostly the last one."""
        cdef size_t i = self.come_count
        if length < sizeof(Shared):
            return 0
        while i > 0:
            i -= 1
            if self.come[i].id == shared.id:
                return self.found(transaction, &self.come[i], shared.queue, shared.place, shared.deliveries,
                                  shared.refusals)
        return 0

    cdef int found(self, uint32_t transaction, const Come *come, uint32_t queue, uint64_t number, uint32_t deliveries,
                   uint32_t refusals) except -1:
        """It came into that queue."""
        cdef Message *message = message_away(self.census, come.id, come.size, &come.properties, come.place)
        cdef Entry *entry
        try:
            entry = self.queue(queue).add(message)
        except MemoryError:
            message_drop(message)
            raise
        entry.number = number
        entry.deliveries = deliveries
        entry.refusals = <uint16_t>min(refusals, <uint32_t>UINT16_MAX)
        entry.segment = <uint16_t>self.space.current.number
        self.leave_before(queue)
        if transaction:
            self.open[transaction].append((True, queue, come.id))
        return 0

    cdef int leave_before(self, uint64_t number) except -1:
        """What is recorded twice was carried from a segment that was about to go. That goes on, as it must be gone
        before what settles the message is."""
        cdef FoundQueue queue = self.queue(number)
        if queue.before and queue.before != <uint16_t>self.space.current.number:
            self.space.leave(self.space.of(queue.before))
            self.space.current.carries = True
        return 0

    cdef int settled(self, uint32_t transaction, const char *payload, size_t length) except -1:
        cdef FoundQueue queue
        cdef size_t i
        if length < 2 * sizeof(uint64_t):
            return 0
        queue = self.queue((<const uint32_t *>payload)[0])
        self.concerns((<const uint32_t *>payload)[1])
        for i in range(1, length // sizeof(uint64_t)):
            if transaction:
                self.open[transaction].append((False, queue.number, (<const uint64_t *>payload)[i]))
            else:
                queue.settle((<const uint64_t *>payload)[i])
        return 0

    cdef int commit(self, uint32_t transaction) except -1:
        """What it has added stays, what it has settled goes."""
        self.space.current.behind = True
        self.last_transaction = max(self.last_transaction, transaction)
        self.committed.add(transaction)
        for added, number, id in self.open.pop(transaction, ()):
            if not added and number in self.queues:
                (<FoundQueue>self.queues[number]).settle(id)
        return 0

    cdef int roll_back(self) except -1:
        """Transactions that were not committed have done nothing."""
        for done in self.open.values():
            for added, number, id in done:
                if added and number in self.queues:
                    (<FoundQueue>self.queues[number]).settle(id)
        return 0

    cdef int returned(self, const Returned *returned, size_t length) except -1:
        cdef FoundQueue queue
        cdef Entry *found
        cdef uint64_t now = wall_now(self.census)
        if length < sizeof(Returned):
            return 0
        self.concerns(returned.segment)
        queue = self.queue(returned.queue)
        found = queue.find(returned.id)
        if found == NULL:
            return 0
        found.deliveries = returned.deliveries
        found.refusals = <uint16_t>min(returned.refusals, <uint32_t>UINT16_MAX)
        queue.rests.pop(returned.id, None)
        if returned.due > now:
            queue.rests[returned.id] = min(returned.due - now, returned.rest)
        return 0

    cdef int concerns(self, uint32_t segment) except -1:
        return self.space.concerns(self.space.current, segment) if segment < LOWS else 0

    cdef object restore_all(self, Journal journal, Namespace namespace):
        cdef FoundQueue queue
        cdef Queue restored
        cdef uint64_t messages = 0
        journal.undone = set(self.open)
        self.roll_back()
        journal.last_queue = <uint32_t>self.last_queue
        journal.last_transaction = self.last_transaction
        journal.last_key = self.keys
        go_on_from(namespace, self.numbers, self.dead_numbers)
        self.part_with_namesakes()
        for number in sorted(self.queues):
            queue = self.queues.pop(number)
            if queue.texts is None:
                continue    # what said so is damaged
            line_up(queue)
            restored = restore_queue(namespace, queue.kind, <uint32_t>queue.number, queue.texts, queue.not_by,
                                     queue.given, next_place_of(queue))
            link_join(&queue.described.definitions, &restored.stored.link)
            messages += self.restore(queue, restored)
            self.remains.restore_names(restored, number, self.committed)
        self.space.begin(segment_after(journal.store.read_from()))
        journal.fresh = True
        self.remains.restore(journal, namespace, self.numbers, self.committed)
        return messages, self.closed

    cdef int part_with_namesakes(self) except -1:
        """Of two queues of one name the first has gone: the record that says so is damaged."""
        cdef FoundQueue queue
        cdef dict last = {}
        for number in sorted(self.queues):
            queue = self.queues[number]
            if queue.texts is not None:
                self.queues.pop(last.get((queue.kind, queue.texts[0])), None)
                last[queue.kind, queue.texts[0]] = number
        return 0

    cdef uint64_t restore(self, FoundQueue found, Queue queue) except? 0xffffffffffffffff:
        """All that is left in it; how many messages. What stands in the ring of a queue stands there already."""
        cdef Entry *item
        cdef size_t i, plain = 0
        cdef uint64_t pause
        cdef const Properties *asks
        cdef uint64_t messages
        for i in range(found.count):
            item = &found.items[i]
            self.space.restored(item.segment, item.message.size)
            if not self.closed and item.number < found.given:
                item.deliveries += 1
            asks = message_properties(item.message)
            if asks != NULL and asks.group and not queue.marks & GROUPED and queue.kept is None:
                begin_groups(queue)
            pause = found.rests.get(item.message.id, 0) if found.rests else 0
            if pause or belongs_on_shelf(queue, item.message):
                self.put(queue, item, pause)
            else:
                found.items[plain] = item[0]
                plain += 1
        messages, found.count = found.count, 0
        stand_in_ring(queue, found.items, plain, found.capacity)
        found.items = NULL
        return messages

    cdef int put(self, Queue queue, Entry *item, uint64_t pause) except -1:
        cdef Entry entry = item[0]
        item.message = NULL
        return restore_entry(queue, &entry, pause)


cdef int line_up(FoundQueue queue) except -1:
    """What is left, by its places; mostly it stands so."""
    cdef size_t i, count = 0
    cdef bint sorted = True
    free(queue.ids.slots)
    queue.ids = Ids(NULL, 0, 0)
    for i in range(queue.count):
        if queue.items[i].message == NULL:
            continue
        sorted = sorted and (count == 0 or queue.items[count - 1].number < queue.items[i].number)
        queue.items[count] = queue.items[i]
        count += 1
    queue.count = count
    if not sorted:
        qsort(queue.items, count, sizeof(Entry), by_place)
    return 0


cdef int by_place(const void *a, const void *b) noexcept nogil:
    cdef uint64_t first = (<const Entry *>a).number, second = (<const Entry *>b).number
    return (first > second) - (first < second)


cdef uint64_t next_place_of(FoundQueue queue) noexcept:
    """Which nobody has had."""
    return max(queue.items[queue.count - 1].number + 1 if queue.count else 0, queue.given)


cdef list texts_in(bytes packed):
    cdef list texts = []
    cdef Py_ssize_t at = 0, length
    while at + 4 <= len(packed):
        length = int.from_bytes(packed[at:at + 4], "little")
        texts.append(packed[at + 4:at + 4 + length])
        at += 4 + length
    return texts
