"""A survey: what a journal holds, for those who look at it without a broker, or beside one that runs.

    read      a part of it, as a start reads it (finding.pyx), until all is read
    group     then its records, group by group, as they stand there
    needed    and those with which a new journal holds the same: no other is about anything that is still there

Nothing is changed. A file that the broker deletes meanwhile stays readable, and what it writes meanwhile is not looked
at: so it is the journal as it was at one time.
"""
from libc.errno cimport errno
from libc.stdint cimport uint16_t, uint32_t, uint64_t

from fastbroker.core.disk cimport LEAST_SEGMENT, Mapped, let_go, reading_rewind, write_all
from fastbroker.core.finding cimport FoundQueue, Said, findings_new, said_at
from fastbroker.core.journal cimport (
    PLACE_UNIT, RECORD_ADDED, RECORD_KEPT, RECORD_NAMES, RECORD_NUMBERS, RECORD_RETURNED, RECORD_SHARED, Part, Record,
    journal_new,
)
from fastbroker.core.kept cimport KeptItem
from fastbroker.core.message cimport LOCATED, Entry
from fastbroker.core.names cimport NamesHead
from fastbroker.core.remains cimport FoundItem, FoundNames, Name, is_there
from fastbroker.core.space cimport Segment
from fastbroker.core.stored cimport EXTRAS, MESSAGE_PARTS, Added, Returned, Shared, message_parts, packed
from fastbroker.core.wire cimport blocks_end, blocks_init, text_free, wall_now

import os

from fastbroker.core.disk import Disk

cdef enum:
    STEP = 16777216         # bytes that are read at a time
    NO_SEGMENT = 65536      # that a record says something of
    NAMES_AT_ONCE = 4096


cdef class Survey:

    def __cinit__(self):
        blocks_init(&self.blocks, &self.census)
        self.damage = []

    def __init__(self, path, bytes id not None, uint16_t shards, uint64_t seed):
        self.disk = Disk(path, id, LEAST_SEGMENT)
        self.journal = journal_new(self.disk, &self.census, shards, seed)
        self.found = findings_new(self.disk, self.journal.space, &self.census, None)

    def __dealloc__(self):
        self.found = None       # it counts in what goes now
        self.journal = None
        blocks_end(&self.blocks)
        text_free(&self.joined)

    @property
    def size(self):
        cdef size_t i
        return sum([self.disk.reading.segments[i].length for i in range(self.disk.reading.count)])

    @property
    def in_order(self):
        return self.found.closed

    def read(self):
        cdef uint64_t before = position(self)
        cdef const Record **records
        cdef long count
        while position(self) - before < STEP:
            count = self.disk.read(&records)
            if count == 0:
                end(self)
                break
            note_damage(self)
            self.group_count += 1
            self.found.read(records, count)
        return position(self) - before

    def queues(self):
        cdef FoundQueue queue
        cdef size_t i
        cdef uint64_t messages, size
        cdef list listed = []
        for number in sorted(self.found.queues):
            queue = self.found.queues[number]
            messages = size = 0
            for i in range(queue.count):
                if queue.items[i].message != NULL:
                    messages += 1
                    size += queue.items[i].message.size
            if messages or queue.texts is not None:
                listed.append((number, tuple(queue.texts or ()), messages, size))
        return listed

    def segments(self):
        cdef const Mapped *mapped
        cdef Segment *segment
        cdef size_t i
        cdef list listed = []
        for i in range(segment_count(self)):
            mapped = &self.disk.reading.segments[i]
            segment = self.journal.space.of(<uint16_t>mapped.number)
            listed.append((name_of(mapped.number), mapped.length, segment.live if segment != NULL else 0,
                           segment.bytes if segment != NULL else 0))
        return listed

    def kept(self):
        cdef list counts = [0, 0, 0]
        cdef FoundItem item
        for item in self.found.remains.items.values():
            if item.said.what < len(counts) and is_there(item, self.found.committed):
                counts[item.said.what] += 1
        return tuple(counts)

    def rewind(self):
        if self.disk.reading.count:
            reading_rewind(&self.disk.reading)
        self.seen = 0

    def group(self):
        cdef const Record **records
        cdef long count = next_group(self, &records), at = 0
        cdef list group = []
        cdef str file
        cdef Said said
        if count == 0:
            return None
        file = name_of(self.disk.read_from())
        while at < count:
            at = said_at(records, at, count, &self.joined, &said)
            group.append((file, self.disk.place_of(said.record) * PLACE_UNIT, said.record.kind, said.record.shard,
                          said.record.sequence, said.transaction, said.payload[:said.length]))
        return group

    def front(self):
        cdef FoundQueue queue
        cdef uint64_t[3] head = [self.found.numbers, self.found.dead_numbers, self.found.keys]
        cdef list front = [(RECORD_NUMBERS, 0, bytes_of(&head[0], sizeof(head)))]
        for number in sorted(self.found.queues):
            queue = self.found.queues[number]
            if queue.texts is not None:
                head = [queue.number, queue.not_by, queue.given]
                front.append((queue.kind, queue.shard, bytes_of(&head[0], sizeof(head)) + packed(queue.texts)))
                put_names(self, queue, front)
        for key in sorted(self.found.remains.items):
            put_item(self, self.found.remains.items[key], front)
        return front

    def needed(self):
        cdef const Record **records
        cdef long count = next_group(self, &records), at = 0, here
        cdef dict come = {}     # id -> where the last record with a message of that id is
        cdef set whole = set()  # ids of messages whose content is in what is needed
        cdef list needed = []
        cdef Said said
        if count == 0:
            return None
        while at < count:
            here = at
            at = said_at(records, at, count, &self.joined, &said)
            if said.transaction and said.transaction not in self.found.committed:
                continue
            if said.record.kind == RECORD_ADDED and said.length >= sizeof(Added):
                come[(<const Added *>said.payload).id] = here
                put_added(self, &said, whole, needed)
            elif said.record.kind == RECORD_SHARED and said.length >= sizeof(Shared):
                here = come.get((<const Shared *>said.payload).id, -1)
                if here >= 0:
                    put_shared(self, &said, records, here, count, whole, needed)
        return needed

    def copy(self, size_t number, int descriptor):
        cdef const Mapped *mapped = &self.disk.reading.segments[number]
        cdef size_t length = mapped.length
        cdef int result
        if number == self.disk.reading.end.segment:
            length = self.disk.reading.end.at   # what stands behind that was promised to nobody
        with nogil:
            result = write_all(descriptor, mapped.bytes, length, 0)
        if result < 0:
            raise OSError(errno, os.strerror(errno))
        let_go(mapped)
        return length


cdef str name_of(uint64_t segment):
    return f"segment-{segment:016x}"


cdef bytes bytes_of(const void *what, size_t length):
    return (<const char *>what)[:length]


cdef uint64_t position(Survey self) noexcept:
    return self.disk.reading.passed + self.disk.reading.next.at


cdef size_t segment_count(Survey self) noexcept:
    """Those with something that holds."""
    return self.disk.reading.end.segment + 1 if self.disk.reading.count else 0


cdef int note_damage(Survey self) except -1:
    cdef uint64_t damaged = self.disk.reading.damaged
    if damaged != self.known_damage:
        self.damage.append((name_of(self.disk.reading.damaged_in), self.disk.reading.damaged_at,
                            damaged - self.known_damage))
        self.known_damage = damaged
    return 0


cdef int end(Survey self) except -1:
    """All is read: what each segment has is what is left."""
    cdef FoundQueue queue
    cdef size_t i
    if self.ended:
        return 0
    self.ended = True
    self.found.end()
    for queue in self.found.queues.values():
        for i in range(queue.count):
            if queue.items[i].message != NULL:
                self.journal.space.restored(queue.items[i].segment, queue.items[i].message.size)
    for item in self.found.remains.items.values():
        self.journal.space.restored((<FoundItem>item).segment, (<FoundItem>item).message.size)
    return 0


cdef long next_group(Survey self, const Record ***records) except -1:
    """One of those that were there when all was read."""
    if self.seen == self.group_count:
        return 0
    self.seen += 1
    return self.disk.read(records)


# ---- what a new journal needs ----

cdef int put_names(Survey self, FoundQueue queue, list front) except -1:
    """Under which messages have come into it: those of one message in one record, as they were."""
    cdef FoundNames names = self.found.remains.names.get(queue.number)
    cdef NamesHead head
    cdef const Name *name
    cdef list come = []
    cdef size_t i
    if names is None:
        return 0
    names.line_up()
    for i in range(names.count):
        name = &names.items[i]
        if name.transaction and name.transaction not in self.found.committed:
            continue
        if come and (head.id != name.id or len(come) > NAMES_AT_ONCE):
            front.append((RECORD_NAMES, queue.shard, b"".join(come)))
            come = []
        head = NamesHead(queue.number, name.id)
        come = come or [bytes_of(&head, sizeof(head))]
        come.append(bytes_of(&name.name, sizeof(uint64_t)))
    if come:
        front.append((RECORD_NAMES, queue.shard, b"".join(come)))
    return 0


cdef int put_item(Survey self, FoundItem item, list front) except -1:
    """What is scheduled, or what a topic keeps, as it is now."""
    cdef uint64_t[EXTRAS] extras
    cdef Added added
    cdef Part[MESSAGE_PARTS] parts
    cdef int i
    if not is_there(item, self.found.committed):
        return 0
    message_parts(item.message, &added, &extras[0], &parts[0])
    payload = [bytes_of(&item.said, sizeof(KeptItem))]
    for i in range(MESSAGE_PARTS):
        payload.append(bytes_of(parts[i].bytes, parts[i].length))
    front.append((RECORD_KEPT, self.journal.shard_of(item.name, len(item.name)), b"".join([*payload, item.name])))
    return 0


cdef const Entry *entry_at(Survey self, uint64_t number, uint64_t id, const Record *record) except? NULL:
    """What is left of a message in that queue, if that is the record with its content; NULL: another is, or it has
    gone."""
    cdef FoundQueue queue = self.found.queues.get(number)
    cdef const Entry *entry
    if queue is None or queue.texts is None:
        return NULL
    entry = queue.find(id)
    if entry == NULL or entry.segment != <uint16_t>self.disk.read_from() or (
            entry.message.stored & ~LOCATED) != self.disk.place_of(record):
        return NULL
    return entry


cdef uint32_t deliveries_of(Survey self, uint64_t number, const Entry *entry) except? 0xffffffff:
    """As a start counts them: nobody knows which messages consumers had when a broker was killed."""
    return entry.deliveries + (not self.found.closed and entry.number < (<FoundQueue>self.found.queues[number]).given)


cdef int put_added(Survey self, const Said *said, set whole, list needed) except -1:
    cdef const Added *added = <const Added *>said.payload
    cdef const Entry *entry = entry_at(self, added.queue, added.id, said.record)
    if entry != NULL:
        put_message(self, said, added.queue, entry, whole, needed)
    return 0


cdef int put_message(Survey self, const Said *said, uint32_t queue, const Entry *entry, set whole,
                     list needed) except -1:
    """The message of a RECORD_ADDED in a queue, which may be another than that record says."""
    cdef bytes copy = said.payload[:said.length]
    cdef Added *added = <Added *><char *>copy
    added.queue = queue
    added.place = entry.number
    added.deliveries = deliveries_of(self, queue, entry)
    added.refusals = entry.refusals
    whole.add(added.id)
    needed.append((RECORD_ADDED, said.record.shard, copy))
    put_rest(self, queue, entry, said.record.shard, needed)
    return 0


cdef int put_shared(Survey self, const Said *said, const Record **records, long at, long count, set whole,
                    list needed) except -1:
    """The message of a record there, in another queue. Its content is in the same group of what is needed, too."""
    cdef const Shared *shared = <const Shared *>said.payload
    cdef const Entry *entry = entry_at(self, shared.queue, shared.id, records[at])
    cdef Said added
    cdef bytes copy
    if entry == NULL:
        return 0
    if shared.id not in whole:
        said_at(records, at, count, &self.joined, &added)
        return put_message(self, &added, shared.queue, entry, whole, needed)
    copy = said.payload[:said.length]
    (<Shared *><char *>copy).deliveries = deliveries_of(self, shared.queue, entry)
    (<Shared *><char *>copy).refusals = entry.refusals
    needed.append((RECORD_SHARED, said.record.shard, copy))
    put_rest(self, shared.queue, entry, said.record.shard, needed)
    return 0


cdef int put_rest(Survey self, uint32_t number, const Entry *entry, uint16_t shard, list needed) except -1:
    """For how long it is not to be given out."""
    cdef uint64_t rest = (<FoundQueue>self.found.queues[number]).rests.get(entry.message.id, 0)
    cdef Returned returned
    if rest:
        returned = Returned(number, NO_SEGMENT, entry.message.id, wall_now(&self.census) + rest, rest,
                            deliveries_of(self, number, entry), entry.refusals)
        needed.append((RECORD_RETURNED, shard, bytes_of(&returned, sizeof(returned))))
    return 0
