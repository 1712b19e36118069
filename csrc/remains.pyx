"""What a broker before has kept beside the messages of queues, as recovery.pyx finds it in the journal.

    items    what waits for its time, and what topics keep, by key: the last record of a key counts
    names    of messages that have come into a queue, by the ids of those; the last ones count

As with the messages of queues, a record of what is not there says nothing.
"""
cimport cython
from libc.stdint cimport UINT16_MAX, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, qsort, realloc
from libc.string cimport memcpy

from fastbroker.core.frame cimport Content
from fastbroker.core.history cimport history_restore
from fastbroker.core.journal cimport RECORD_AGAIN, RECORD_FORGOTTEN, RECORD_KEPT, RECORD_NAMES
from fastbroker.core.kept cimport KEPT_JOB, ItemAgain, ItemForgotten, KeptItem, Trace, trace_found
from fastbroker.core.message cimport message_drop, message_keep, message_new
from fastbroker.core.names cimport NamesHead, names_new
from fastbroker.core.route cimport Origin, Route, route_init
from fastbroker.core.stored cimport message_in
from fastbroker.core.wire cimport (
    Properties, duplicates_add, duplicates_has, duplicates_new,
)

from fastbroker.core.frame import Refused

cdef enum:
    FEWEST = 64
    SORT_FROM = 65536       # names of one queue, beyond which those that do not count are left out


@cython.final
@cython.no_gc
cdef class LaterRoute(Route):
    """A destination that is looked up when something comes to it."""
    cdef void *namespace        # Namespace, which outlives it

    cdef int take(self, const Content *content, Origin *origin) except -1:
        cdef Namespace namespace = <Namespace>self.namespace
        return namespace.route_of(self.destination_bytes, self.destination_length).take(content, origin)


cdef class FoundItem:

    def __dealloc__(self):
        if self.message != NULL:
            message_drop(self.message)


cdef class FoundNames:

    def __dealloc__(self):
        free(self.items)

    cdef int add(self, const char *names, size_t count, Name name, size_t window) except -1:
        cdef size_t i
        for i in range(count):
            if self.count == self.capacity:
                make_room(self, window)
            memcpy(&name.name, names + i * sizeof(uint64_t), sizeof(uint64_t))
            name.place = self.came
            self.came += 1
            if name.name:
                self.items[self.count] = name
                self.count += 1
        return 0

    cdef void line_up(self) noexcept:
        """All are there: the oldest first."""
        qsort(self.items, self.count, sizeof(Name), by_age)


cdef int by_age(const void *a, const void *b) noexcept nogil:
    cdef const Name *one = <const Name *>a
    cdef const Name *other = <const Name *>b
    if one.id != other.id:
        return (one.id > other.id) - (one.id < other.id)
    return (one.place > other.place) - (one.place < other.place)


cdef int make_room(FoundNames self, size_t window) except -1:
    """Twice as much, unless the newer half is more than ever counts: some may be there twice."""
    cdef size_t capacity = self.capacity * 2 or FEWEST
    cdef Name *items
    if self.count >= SORT_FROM and self.count // 4 >= window:
        qsort(self.items, self.count, sizeof(Name), by_age)
        memcpy(self.items, self.items + (self.count - self.count // 2), self.count // 2 * sizeof(Name))
        self.count //= 2
        return 0
    items = <Name *>realloc(self.items, capacity * sizeof(Name))
    if items == NULL:
        raise MemoryError()
    self.items = items
    self.capacity = capacity
    return 0


cdef Remains remains_new(Census *census, Space space):
    cdef Remains new = Remains()
    new.census = census
    new.space = space
    new.items = {}
    new.names = {}
    new.windows = {}
    return new


cdef class Remains:

    cdef int read(self, int kind, uint32_t transaction, const char *payload, size_t length) except -1:
        """A record, if it is of such things."""
        if kind == RECORD_KEPT and length >= sizeof(KeptItem):
            return keep(self, transaction, payload, length)
        if kind == RECORD_AGAIN and length >= sizeof(ItemAgain):
            return come_again(self, <const ItemAgain *>payload)
        if kind == RECORD_FORGOTTEN and length >= sizeof(ItemForgotten):
            return forget(self, transaction, <const ItemForgotten *>payload)
        if kind == RECORD_NAMES and length >= sizeof(NamesHead):
            return add_names(self, transaction, payload, length)
        return 0

    cdef int described(self, uint64_t queue, uint64_t window) except -1:
        """So many names of it count."""
        self.windows[queue] = window
        return 0

    cdef int gone(self, uint64_t queue) except -1:
        self.names.pop(queue, None)
        return 0

    cdef int restore_names(self, Queue queue, uint64_t number, set committed) except -1:
        """Those of a queue that is there again."""
        cdef FoundNames found = self.names.pop(number, None)
        cdef Name *name
        cdef uint64_t before
        cdef size_t i
        if found is None or queue.policy.duplicate_window == 0:
            return 0
        queue.duplicates = duplicates_new(&(<Namespace>queue.owner).duplicates, queue.policy.duplicate_window)
        if queue.duplicates == NULL:
            raise MemoryError()
        queue.names = names_new(queue.stored, queue.duplicates)
        found.line_up()
        for i in range(found.count):
            name = &found.items[i]
            if (name.transaction and name.transaction not in committed) or duplicates_has(queue.duplicates, name.name):
                continue
            before = queue.duplicates.came
            duplicates_add(queue.duplicates, name.name)
            if queue.duplicates.came != before:
                queue.names.found(name.id, name.segment)
        return 0

    cdef int restore(self, Journal journal, Namespace namespace, uint64_t numbers, set committed) except -1:
        """All the rest. Message-ids up to `numbers` may have been given."""
        cdef FoundItem item
        namespace.histories.started = namespace.histories.forgotten = numbers
        for key in sorted(self.items):
            item = self.items.pop(key)
            if is_there(item, committed):
                restore_item(journal, namespace, item)
        return 0


cdef bint is_there(FoundItem item, set committed):
    """Whether the transactions that brought it and ended it leave it there."""
    return not ((item.kept_by and item.kept_by not in committed)
                or (item.forgotten_by and item.forgotten_by in committed))


cdef int keep(Remains self, uint32_t transaction, const char *payload, size_t length) except -1:
    cdef const KeptItem *said = <const KeptItem *>payload
    cdef FoundItem item, before = self.items.get(said.key)
    cdef Content content
    cdef Properties properties
    if said.name_length > length - sizeof(KeptItem) or not message_in(
            payload + sizeof(KeptItem), length - sizeof(KeptItem) - said.name_length, &content, &properties):
        return 0
    item = FoundItem()
    item.said = said[0]
    item.name = payload[length - said.name_length:length]
    item.message = message_new(self.census, &content, said_id(payload))
    item.kept_by = transaction
    item.segment = <uint16_t>self.space.current.number
    self.items[said.key] = item
    if before is not None and before.segment != item.segment:
        self.space.leave(self.space.of(before.segment))     # it was about to go, and must go first
        self.space.current.carries = True
    return 0


cdef uint64_t said_id(const char *payload) noexcept:
    """The id that the message had, with which what message_parts makes begins."""
    return (<const uint64_t *>(payload + sizeof(KeptItem)))[0]


cdef int come_again(Remains self, const ItemAgain *again) except -1:
    cdef FoundItem item = self.items.get(again.key)
    concerns(self, again.segment)
    if item is not None and again.times > item.said.times:
        item.said.time, item.said.later = again.time, again.later
        item.said.left, item.said.times = again.left, again.times
    return 0


cdef int forget(Remains self, uint32_t transaction, const ItemForgotten *forgotten) except -1:
    cdef FoundItem item = self.items.get(forgotten.key)
    concerns(self, forgotten.segment)
    if item is not None and transaction:
        item.forgotten_by = transaction
    elif item is not None:
        del self.items[forgotten.key]
    return 0


cdef int concerns(Remains self, uint32_t segment) except -1:
    return self.space.concerns(self.space.current, segment) if segment <= UINT16_MAX else 0


cdef int add_names(Remains self, uint32_t transaction, const char *payload, size_t length) except -1:
    cdef const NamesHead *head = <const NamesHead *>payload
    cdef FoundNames found = self.names.get(head.queue)
    if found is None:
        found = self.names[head.queue] = FoundNames()
    return found.add(payload + sizeof(NamesHead), (length - sizeof(NamesHead)) // sizeof(uint64_t),
                     Name(head.id, 0, 0, transaction, <uint16_t>self.space.current.number),
                     self.windows.get(head.queue, <size_t>-1 // 2))


cdef int restore_item(Journal journal, Namespace namespace, FoundItem item) except -1:
    cdef Trace *trace = trace_found(journal, &item.said, item.name, item.message.size + len(item.name), item.segment)
    cdef LaterRoute route
    message_keep(item.message)
    if item.said.what != KEPT_JOB:
        return history_restore(namespace.histories, item.name, item.message, &item.said, trace)
    route = LaterRoute()
    route_init(route, item.name, namespace.census, &namespace.route_memory)
    route.namespace = <void *>namespace
    try:
        namespace.schedule.restore(route, item.message, &item.said, trace)
    except Refused:
        namespace.census.dropped += 1   # its cron expression is none any more
    return 0
