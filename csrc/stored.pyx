"""What a queue that holds persistent messages writes into the journal.

    RECORD_QUEUE     number, 0, given, texts: its name, then header and value of each that clients have declared
    RECORD_DURABLE   number, not by whom, given, texts: its name, its pattern, its selector if it has one
    RECORD_ADDED     message and queue          RECORD_SHARED      the same message in another queue
    RECORD_RETURNED  it came back               RECORD_SETTLED     it is gone
    RECORD_GONE      the queue has gone, with all that it held

Entries before the place `given` may have been given out: the journal is told ahead, and not each time. A text is its
length in 4 bytes, and its bytes. What says something of a message in another segment names that, by the lower 16 bits
of its number. A message has one place in a run (Message.stored): the number of the group in the upper 40 bits, the
place there in the rest, which is NOT_THERE where it cannot be taken back any more.
"""
from libc.stdlib cimport free
from libc.string cimport memcpy, memset

from fastbroker.core.frame cimport Content
from fastbroker.core.journal cimport (
    NOT_THERE, READER_PICK, RECORD_ADDED, RECORD_COMMITTED, RECORD_GONE, RECORD_IN_TRANSACTION, RECORD_RETURNED,
    RECORD_SHARED, Part, Record, part_of, record_size,
)
from fastbroker.core.message cimport message_content
from fastbroker.core.space cimport Segment, Space
from fastbroker.core.wire cimport Link, Properties, link_init, link_join, link_leave, ring_empty, wall_now

cdef enum:
    LOWS = 65536
    SPACE_TO_SPARE = 4      # segments
    SETTLED = 32            # bytes that say that a message is settled
    MOST_RETURNED = 4       # so much of a segment a run may be, and tell what came back: there is always as much room
    LITTLE = 3              # a segment has little if less than this part of it is live
    TAG_WORDS = 2           # that the payload of a record of a transaction begins with


cdef Stored stored_new(Journal journal, bytes name):
    """For a queue of that name, which the journal does not know yet."""
    cdef Stored new = Stored()
    journal.last_queue += 1
    new.journal = journal
    new.number = journal.last_queue
    new.shard = journal.shard_of(name, len(name))
    return new


cdef class Stored:

    def __cinit__(self):
        link_init(&self.link, <void *>self)

    def __dealloc__(self):
        link_leave(&self.link)

    cdef uint32_t put(self, int kind, Part *parts, int count) except? 0xffffffff:
        self.journal.recorded.strict += not self.lax
        return self.journal.put(kind, self.shard, parts, count)

    cdef int added(self, Entry *entry) except -1:
        """It is about to come into the queue."""
        cdef Message *message = entry.message
        cdef Shared shared
        cdef Part part
        if message.stored >> PLACE_BITS != self.journal.filling:
            message.stored = self.journal.filling << PLACE_BITS | put_message(self, entry)
            entry.segment = self.journal.space.placed(message.size)
            return 0
        memset(&shared, 0, sizeof(shared))
        shared.id = message.id
        shared.place = entry.number
        shared.queue = self.number
        shared.deliveries = entry.deliveries
        shared.refusals = entry.refusals
        part = part_of(&shared, sizeof(shared))
        self.put(RECORD_SHARED, &part, 1)
        message.stored |= NOT_THERE     # others need that record
        entry.segment = self.journal.space.placed(message.size)
        return 0

    cdef int settled(self, const Entry *entry) except -1:
        """Nobody gets it again."""
        cdef Space space = self.journal.space
        cdef uint64_t stored = entry.message.stored
        cdef uint32_t place = stored & NOT_THERE
        space.left(entry.segment, entry.message.size)
        self.journal.recorded.strict += not self.lax
        if stored >> PLACE_BITS != self.journal.filling or place == NOT_THERE or not is_of(self, place):
            space.concerns(space.current, entry.segment)
            return self.journal.settle(self.shard, self.number, entry.segment, entry.message.id)
        # Who is told that has to wait nevertheless: what came here from elsewhere, as a dead letter or from the
        # schedule, has gone there only when the run is on the disk.
        self.journal.recorded.records += 1
        self.journal.take_back(place)
        entry.message.stored = 0
        return 0

    cdef int carry(self, Entry *entry) except -1:
        """It is recorded again, so that the segment where it was is not needed for it."""
        cdef uint16_t before = entry.segment
        self.added(entry)
        entry.message.stored |= NOT_THERE   # when it is settled that must be said: it is still where it was, too
        self.journal.space.current.carries = True
        self.journal.space.left(before, entry.message.size)
        return 0

    cdef int returned(self, const Entry *entry, uint64_t rest) except -1:
        """Somebody gets it again, after so many milliseconds. What is left of a full disk is for what ends something:
        so deliveries are not counted on there, should the broker end; nor where very many come back at once."""
        cdef Returned returned
        cdef Part part = part_of(&returned, sizeof(returned))
        if self.journal.full or self.journal.run.used > self.journal.store.segment_size() // MOST_RETURNED:
            return 0
        self.journal.space.concerns(self.journal.space.current, entry.segment)
        returned = Returned(self.number, entry.segment, entry.message.id,
                            wall_now(self.journal.census) + rest if rest else 0, rest, entry.deliveries, entry.refusals)
        self.put(RECORD_RETURNED, &part, 1)
        return 0

    cdef int gave(self, uint64_t place) except -1:
        """An entry of that number is given to a consumer who has not said yet that it is done with it."""
        if place < self.given:
            return 0
        self.given = place + GIVEN_AHEAD
        return self.describe()

    cdef int define(self, int kind, bytes texts, uint64_t not_by) except -1:
        """What it is, from now on."""
        self.kind, self.texts, self.not_by = kind, texts, not_by
        return self.describe()

    cdef int describe(self) except -1:
        """Where it was described before, that is needed no more."""
        cdef uint64_t[3] head
        cdef Part parts[2]
        head = [self.number, self.not_by, self.given]
        parts[0] = part_of(&head[0], sizeof(head))
        parts[1] = part_of(<const char *>self.texts, len(self.texts))
        self.put(self.kind, parts, 2)
        link_join(&self.journal.space.current.definitions, &self.link)
        return 0

    cdef int gone(self) except -1:
        cdef uint64_t number = self.number
        cdef Part part = part_of(&number, sizeof(number))
        link_leave(&self.link)
        self.put(RECORD_GONE, &part, 1)
        self.journal.space.current.behind = True
        return 0


cdef bint is_of(Stored self, uint32_t place) noexcept:
    """Whether the record at that place of the run says that a message came into this queue, and none other. A
    transaction takes back only its own: it may not come to its end."""
    cdef const Record *record = self.journal.at(place)
    cdef const char *payload = <const char *>(record + 1)
    cdef uint32_t transaction = 0
    if record.flags & RECORD_IN_TRANSACTION:
        transaction = (<const uint32_t *>payload)[0]
        payload += TAG_WORDS * sizeof(uint32_t)
    if self.journal.transaction and self.journal.transaction != transaction:
        return False
    return (<const Added *>payload).queue == self.number


cdef uint32_t put_message(Stored self, const Entry *entry) except? 0xffffffff:
    cdef uint64_t[EXTRAS] extras
    cdef Added added
    cdef Part parts[MESSAGE_PARTS]
    message_parts(entry.message, &added, &extras[0], &parts[0])
    added.place = entry.number
    added.queue = self.number
    added.deliveries = entry.deliveries
    added.refusals = entry.refusals
    return self.put(RECORD_ADDED, parts, MESSAGE_PARTS)


cdef void message_parts(const Message *message, Added *added, uint64_t *extras, Part *parts) noexcept:
    """All of it, in MESSAGE_PARTS; what is said of its place is for the caller to fill in."""
    cdef uint64_t[EXTRAS] asked
    cdef Content content
    cdef const Properties *asks
    cdef int count = 0, bit
    message_content(message, &content)
    asks = content.properties
    memset(added, 0, sizeof(Added))
    added.id = message.id
    added.head_length = <uint32_t>content.head_length
    added.body_length = <uint32_t>content.body_length
    added.seen = message.seen
    if asks != NULL:
        added.flags = asks.flags
        added.priority = asks.priority
        asked = [asks.expires, asks.group, asks.duplicate, asks.last_value]
        for bit in range(EXTRAS):
            if asked[bit]:
                extras[count] = asked[bit]
                added.extras |= <uint8_t>(1 << bit)
                count += 1
    parts[0] = part_of(added, sizeof(Added))
    parts[1] = part_of(extras, count * sizeof(uint64_t))
    parts[2] = part_of(content.head, content.head_length)
    parts[3] = part_of(content.body, content.body_length)


cdef bint message_in(const char *payload, size_t length, Content *content, Properties *properties) noexcept:
    """What message_parts has made, which stays where it is; whether it is that."""
    cdef const Added *added = <const Added *>payload
    cdef uint64_t[EXTRAS] extras
    cdef size_t at = sizeof(Added)
    cdef int bit
    if length < sizeof(Added):
        return False
    memset(extras, 0, sizeof(extras))
    for bit in range(EXTRAS):
        if added.extras >> bit & 1 and at + sizeof(uint64_t) <= length:
            memcpy(&extras[bit], payload + at, sizeof(uint64_t))
            at += sizeof(uint64_t)
    if at + added.head_length + <size_t>added.body_length > length:
        return False
    memset(properties, 0, sizeof(Properties))
    properties.expires, properties.group, properties.duplicate, properties.last_value = (
        extras[0], extras[1], extras[2], extras[3])
    properties.flags = added.flags
    properties.priority = added.priority
    memset(content, 0, sizeof(Content))
    content.head = payload + at
    content.head_length = added.head_length
    content.body = content.head + added.head_length
    content.body_length = added.body_length
    content.seen = added.seen
    content.properties = properties
    return True


# ---- segments that can go ----

cdef int tidy(Journal journal) except -1:
    """The store is idle: with the run that it gets now, segments go that nobody needs. What describes queues in them is
    written again; what they say of messages in others is read by the store first."""
    cdef Space space = journal.space
    cdef Link *link = space.all.next
    cdef Segment *segment
    if journal.picking:
        take_picked(journal)
    if not space.changed:
        return 0
    space.changed = False
    choose_leaving(journal)
    while link != &space.all:
        segment = <Segment *>link.owner
        link = link.next
        if segment.live or segment == space.current or segment.number == journal.picking or (
                segment.carries and space.leaving):
            continue
        while not ring_empty(&segment.definitions):
            (<Stored>segment.definitions.next.owner).describe()
        if space.is_needless(segment):
            journal.store.forget(segment.number)
            journal.numbers = 0     # so there is a run that it goes with
            space.drop(segment)
            space.changed = True    # others may be next
        elif journal.picking == 0 and is_worth_picking(space, segment, journal.store.segment_size()):
            journal.picking = segment.number
            journal.store.ask(READER_PICK, segment.number, NULL, 0)
    return 0


cdef bint is_worth_picking(Space space, const Segment *segment, uint64_t size) noexcept:
    """Whether it says little that is still needed: what was picked is written again, and must not be again and again
    while nothing goes that it is about."""
    cdef uint32_t i, gone = 0
    for i in range(segment.target_count):
        gone += space.by_low[segment.targets[i]] == NULL
    return not segment.unreadable and (2 * gone >= segment.target_count or 2 * SETTLED * segment.said <= size)


cdef void choose_leaving(Journal journal) noexcept:
    """Where the segments are much more than what is live in them, those with little are left: it is recorded again."""
    cdef Space space = journal.space
    cdef uint64_t size = journal.store.segment_size(), carried = 0
    cdef Link *link = space.all.next
    cdef Segment *segment
    if space.leaving:
        return
    while link != &space.all:       # those that were left have gone
        (<Segment *>link.owner).carries = False
        (<Segment *>link.owner).unreadable = False      # perhaps it was for want of memory
        link = link.next
    link = space.all.next
    if space.count * size <= 2 * space.live_bytes + SPACE_TO_SPARE * size:
        return
    while link != &space.all and carried < size:
        segment = <Segment *>link.owner
        link = link.next
        if segment.live and segment != space.current and segment.bytes < size // LITTLE:
            space.leave(segment)
            carried += segment.bytes


cdef int take_picked(Journal journal) except -1:
    """What the store has read, if it has: it stands in the run, and that segment is not needed for it any more."""
    cdef Segment *segment = journal.space.of(journal.picking % LOWS)
    cdef size_t length = 0, at = 0
    cdef char *picked = NULL
    if not journal.store.answer(READER_PICK, &picked, &length):
        return 0
    journal.picking = 0
    segment.unreadable = picked == NULL
    if picked == NULL:
        return 0
    journal.recorded.strict += 1
    try:
        while at < length:
            put_again(journal, <const Record *>(picked + at))
            at += record_size((<const Record *>(picked + at)).length)
    finally:
        free(picked)
    segment.target_count = 0
    segment.said = 0
    segment.behind = False
    journal.space.changed = True
    return 0


cdef int put_again(Journal journal, const Record *record) except -1:
    """What a transaction did that is over is no matter of that any more."""
    cdef Space space = journal.space
    cdef const uint32_t *payload = <const uint32_t *>(record + 1)
    cdef Part part = part_of(payload, record.length)
    if record.flags & RECORD_IN_TRANSACTION:
        if payload[0] in journal.undone:
            return 0
        journal.transaction = payload[0] if payload[0] in journal.unfinished else 0
        payload += TAG_WORDS
        part = part_of(payload, record.length - TAG_WORDS * sizeof(uint32_t))
    try:
        journal.put(record.kind, record.shard, &part, 1)
    finally:
        journal.transaction = 0
    if record.kind == RECORD_GONE or record.kind == RECORD_COMMITTED:
        space.current.behind = True
        return 0
    return space.concerns(space.current, payload[1])


cdef bytes packed(list texts):
    return b"".join([len(<bytes>text).to_bytes(4, "little") + <bytes>text for text in texts])
