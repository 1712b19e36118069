"""Fetching: what is left in memory of a message whose content is on the disk, and how it becomes whole again.

    Entry -> | Message that is away: id, size, place |      want    the store is asked for it, together with others of
                                                                    the same segment
             | the same          | -> whole Message         hear    the store has read them
    Entry -> whole Message                                  bring (queue.pyx)   whoever comes to the entry takes it over

Nobody looks for the entry when the content comes: it may have moved, or gone. Whoever came to it and found it away is
called then (`tell`), and comes again. If he does not, and much else has come meanwhile, it is only on the disk again.
"""
from itertools import islice

from libc.stdlib cimport free
from libc.string cimport memcpy

from fastbroker.core.frame cimport Content, shown
from fastbroker.core.journal cimport READER_FETCH
from fastbroker.core.message cimport (
    AWAY_ASKED, AWAY_FETCHED, AWAY_LOST, LOCATED, Entry, message_drop, message_new,
)
from fastbroker.core.stored cimport Added, message_in
from fastbroker.core.wire cimport Properties

cdef enum:
    MOST_BYTES = 16777216   # that are asked for and have not come; and of those that have
    COST = 6528             # bytes of a Fetch beside them
    PLACE_MASK = 0xffffffff
    NUMBER_AT = 32          # bits of `stored` where the number of its Fetch is while it is asked for
    HEAD = 8                # of each message that is fetched (csrc/reader.h)
    FEW = 16                # of those who could not ask are called at a time


cdef Fetching fetching_new(Journal journal, Census *census, log, bytes epoch):
    cdef Fetching new = Fetching()
    new.journal = journal
    new.census = census
    new.log = log
    new.epoch = epoch
    new.all = {}
    new.waiting = []
    new.hungry = {}
    new.come = []
    return new


cdef class Fetch:

    def __dealloc__(self):
        cdef uint32_t i
        for i in range(self.count):
            message_drop(self.wanted[i])


cdef class Fetching:

    cdef bint want(self, Message *away, uint16_t segment) except -1:
        """Asks for one that is away, in a segment of that number. False: not now, as much is asked for already."""
        cdef uint64_t number = self.journal.space.of(segment).number
        if self.is_asked(away):
            return True
        if self.bytes and self.bytes + <int64_t>away.size + COST > MOST_BYTES:
            return False
        if self.open is not None and (self.open.segment != number or self.open.count == BATCH
                                      or self.open.bytes + <int64_t>away.size > BATCH_BYTES):
            self.ask()
        if self.open is None:
            self.last = (self.last + 1) & 0x7fffffff
            self.open = Fetch()
            self.open.segment = number
            self.open.number = self.last
            self.open.callers = {}
            self.open.bytes = COST
            self.bytes += COST
            self.census.memory += COST
            self.all[self.last] = self.open
        put(self.open, away)
        self.bytes += away.size
        self.census.memory += away.size
        return True

    cdef int ask(self) except -1:
        """What was wanted is asked for as soon as the store has time."""
        cdef Fetch next
        if self.open is not None:
            self.waiting.append(self.open)
            self.open = None
        if self.running is None and self.waiting:
            next = self.waiting.pop(0)
            self.running = next
            self.journal.store.ask(READER_FETCH, next.segment, next.places, next.count)
        return 0

    cdef int tell(self, const Message *away, object caller) except -1:
        """He is called when it is here; or, where it could not be asked for, when he may ask again."""
        cdef Fetch fetch = self.all.get(away.stored >> NUMBER_AT & 0x7fffffff) if away.opcode == AWAY_ASKED else None
        (self.hungry if fetch is None else fetch.callers)[caller] = True
        return 0

    cdef list hear(self):
        """The store may have read something: those who are to be called."""
        cdef Fetch fetch = self.running
        cdef char *bytes = NULL
        cdef size_t length = 0
        if fetch is None or not self.journal.store.answer(READER_FETCH, &bytes, &length):
            return []
        self.running = None
        del self.all[fetch.number]
        self.bytes -= fetch.bytes
        self.census.memory -= fetch.bytes - COST
        try:
            enough = take_over(self, fetch, bytes, length)
        finally:
            free(bytes)
            keep(self, fetch)
        self.ask()
        if enough:
            return list(fetch.callers) + self.starved()
        self.hungry.update(fetch.callers)
        return []

    cdef int tell_lost(self, bytes queue, const Entry *entry) except -1:
        """The log hears of it."""
        self.log("error", "message unreadable", queue=shown(queue).decode(),
                 message_id="%s-%d" % (self.epoch.decode(), entry.message.id),
                 segment="segment-%016x" % self.journal.space.of(entry.segment).number if entry.segment else "")
        return 0

    cdef list starved(self):
        """Some of those who could not ask, or for whom nothing could be read yet, in their order. They are called when
        something has come, and in each tick."""
        cdef list some = list(islice(self.hungry, FEW))
        for caller in some:
            del self.hungry[caller]
        return some


cdef int keep(Fetching self, Fetch fetch) except -1:
    """It has come. Those that came first are not held any more, where that is much."""
    cdef Fetch oldest
    self.come.append(fetch)
    self.held += fetch.bytes
    while self.held > MOST_BYTES and len(self.come) > 1:
        oldest = self.come.pop(0)
        self.held -= oldest.bytes
        self.census.memory -= COST
        give_up(oldest)
    return 0


cdef void give_up(Fetch self) noexcept:
    """What nobody has taken over is only on the disk again."""
    cdef Message *away
    cdef uint32_t i
    for i in range(self.count):
        away = self.wanted[i]
        if away.opcode == AWAY_FETCHED:
            message_drop(<Message *>(away.stored & ~LOCATED))
            away.stored = LOCATED | self.places[i]
            away.opcode = AWAY_LEFT


cdef void put(Fetch self, Message *away) noexcept:
    away.opcode = AWAY_ASKED
    away.shared.references += 1
    self.wanted[self.count] = away
    self.places[self.count] = <uint32_t>(away.stored & PLACE_MASK)
    self.count += 1
    self.bytes += away.size
    away.stored |= <uint64_t>self.number << NUMBER_AT


cdef bint take_over(Fetching self, Fetch fetch, const char *bytes, size_t length) except -1:
    """Each of them is whole, or lost; where nothing could be read yet (False), nobody has asked for it."""
    cdef bint enough = bytes != NULL
    cdef size_t at = 0, size
    cdef uint32_t i
    cdef uint32_t[2] head
    cdef Message *away
    for i in range(fetch.count):
        away = fetch.wanted[i]
        away.stored = LOCATED | fetch.places[i]
        away.opcode = AWAY_LEFT
        if bytes == NULL or at + HEAD > length:
            continue
        memcpy(head, bytes + at, HEAD)
        size = head[0]
        if away.shared.references > 1:      # else nobody wants it any more
            enough &= make_whole(self, away, bytes + at + HEAD, size if head[1] else 0)
        at += HEAD + ((size + 7) & ~<size_t>7)
    return enough


cdef bint make_whole(Fetching self, Message *away, const char *payload, size_t length) except -1:
    """False: there is no memory."""
    cdef Content content
    cdef Properties properties
    cdef Message *message
    if (length < sizeof(Added) or (<const Added *>payload).id != away.id
            or not message_in(payload, length, &content, &properties)):
        away.opcode = AWAY_LOST
        return True
    try:
        message = message_new(self.census, &content, away.id)
    except MemoryError:
        return False
    message.shared.sender = away.shared.sender
    message.stored = away.stored
    away.stored = LOCATED | <uint64_t><size_t>message
    away.opcode = AWAY_FETCHED
    return True
