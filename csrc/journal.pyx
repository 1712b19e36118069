"""The journal: decisions that must outlive the broker, as records (record.h) in the order in which they were made.

    run     | record record record ... |    the group that is filled, by number
      `--append--> Store                    takes it when the one before it is durable

A run goes to the store at the end of a turn (`keep` in namespace.pyx), if that is idle; else what comes meanwhile joins
it, so a group is as large as the disk is slow, and no timer is needed. A receipt that promises something waits for the
number of the group in which the record of that stands (`Origin.durable`). A message that was settled while its record
is still in the run is taken back: it need not be written at all.

What is known of a queue there has the number of that queue; messages have their ids. Each record says its shard: so a
shard can be picked out of a journal, and be sent elsewhere, by somebody who knows nothing else of it.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memset

from fastbroker.core.space cimport segment_after, space_new
from fastbroker.core.table cimport hash_bytes
from fastbroker.core.wire cimport ring_init

from fastbroker.core.frame import Refused

cdef enum:
    LEAST_RUN = 65536       # bytes
    KEPT_RUN = 4194304      # a run that has become larger gives its memory back
    PLACE = 8               # bytes, that places in a run are told in
    SETTLED_HEAD = 8        # of the payload of a record of settled messages; ids follow
    SETTLING = 43           # bytes that it takes at most to settle a message: a record, in segments that are left early


class StoreError(Exception):
    """What is kept cannot be read, or nothing can be kept; the message says why and what to do."""


cdef class Store:

    @property
    def failure(self):
        return 0

    def fileno(self):
        raise NotImplementedError

    def hear(self):
        pass

    def close(self):
        return 0

    cdef long read(self, const Record ***records) except -1:
        return 0

    cdef int start(self) except -1:
        return 0

    cdef bint idle(self) noexcept:
        return False

    cdef uint64_t read_from(self) noexcept:
        return 0

    cdef uint32_t place_of(self, const Record *record) noexcept:
        return 0

    cdef int append(self, char *run, size_t length, uint64_t number, bint sync, bint fresh) except -1:
        raise NotImplementedError

    cdef uint64_t segment_size(self) noexcept:
        return 0

    cdef bint is_long(self) noexcept:
        return False

    cdef int forget(self, uint64_t segment) except -1:
        return 0

    cdef int ask(self, int task, uint64_t segment, const uint32_t *places, size_t count) except -1:
        raise NotImplementedError

    cdef bint answer(self, int task, char **bytes, size_t *length) noexcept:
        return False

    cdef uint64_t written(self) noexcept:
        return 0

    cdef uint64_t durable(self) noexcept:
        return 0

    cdef int full(self) noexcept:
        return 0

    cdef bint stuck(self) noexcept:
        return False

    cdef int reserve(self, uint64_t size) except -1:
        return 0


cdef Journal journal_new(Store store, Census *census, uint16_t shards, uint64_t seed):
    cdef Journal new = Journal()
    new.store = store
    new.census = census
    new.shards = shards
    new.seed = seed
    new.filling = 1
    new.space = space_new()
    new.unfinished = set()
    new.undone = set()
    return new


cdef class Journal:

    def __cinit__(self):
        ring_init(&self.waiters)
        ring_init(&self.naming)

    def __dealloc__(self):
        if self.census != NULL:
            free_run(self, &self.run)
            free_run(self, &self.given)

    cdef uint32_t put(self, int kind, uint16_t shard, Part *parts, int count) except? 0xffffffff:
        """A record whose payload are those parts, or several if that is much. Returns its place in the run, or
        NOT_THERE if it cannot be taken back. MemoryError leaves the run as it was."""
        cdef uint32_t tag[2]
        cdef Part tagged[PARTS_MOST + 1]
        cdef size_t length = 0, place = self.run.used
        cdef int i
        if self.transaction:
            tag = [self.transaction, 0]
            tagged[0] = part_of(&tag[0], sizeof(tag))
            memcpy(&tagged[1], parts, count * sizeof(Part))
            parts = tagged
            count += 1
        self.recorded.records += 1
        self.settled_of = 0
        if self.failed:
            return NOT_THERE
        for i in range(count):
            length += parts[i].length
        reserve(self, length + (length // RECORD_MOST + 1) * (RECORD_HEAD + PLACE))
        put_records(self, kind, shard, parts, count, length)
        place //= PLACE
        return <uint32_t>place if place < NOT_THERE else NOT_THERE

    cdef int settle(self, uint16_t shard, uint32_t queue, uint32_t segment, uint64_t id) except -1:
        """A message of that queue, which is recorded in that segment, will not be given to anybody again. Those of one
        queue and segment share a record."""
        cdef uint32_t head[2]
        cdef Part parts[2]
        cdef Record *record
        if self.settled_of == queue and self.settled_in == segment and self.run.capacity - self.run.used >= 2 * PLACE:
            record = <Record *>(self.run.bytes + self.settled)
            if record.length + PLACE <= RECORD_MOST:
                memcpy(self.run.bytes + self.run.used, &id, sizeof(id))
                self.run.used += sizeof(id)
                record.length += sizeof(id)
                self.recorded.records += 1
                return 0
        head = [queue, segment]
        parts[0] = part_of(&head[0], sizeof(head))
        parts[1] = part_of(&id, sizeof(id))
        self.settled = self.run.used
        self.put(RECORD_SETTLED, shard, parts, 2)
        self.settled_of = queue if self.transaction == 0 and not self.failed else 0
        self.settled_in = segment
        return 0

    cdef void take_back(self, uint32_t place) noexcept:
        """That record of the run, with all that goes on in others."""
        cdef char *at = self.run.bytes + <size_t>place * PLACE
        cdef Record *record = <Record *>at
        while True:
            record.kind = RECORD_NOTHING
            at += record_size(record.length)
            record = <Record *>at
            if at >= self.run.bytes + self.run.used or record.kind != RECORD_MORE:
                return

    cdef int commit(self) except -1:
        """The store, which is idle, gets the run."""
        cdef Run run = self.given
        cdef bint sync = self.recorded.strict != self.synced, fresh = self.fresh
        self.given = self.run
        self.run = run
        self.run.used = 0
        if self.run.capacity > KEPT_RUN:
            free_run(self, &self.run)
        self.settled_of = 0
        self.filling += 1
        self.synced = self.recorded.strict
        self.fresh = not fresh and self.store.is_long()
        if self.fresh:
            self.space.current.last = self.filling - 1
            self.space.begin(segment_after(self.space.current.number))
            self.numbers = 0    # they are reserved there, too
        self.store.reserve(self.space.live * SETTLING)
        return self.store.append(self.given.bytes, self.given.used, self.filling - 1, sync, fresh)

    cdef uint16_t shard_of(self, const char *name, size_t length) noexcept:
        """Of a canonical name."""
        return <uint16_t>(hash_bytes(name, length, self.seed) % self.shards)


cdef int refuse_persistent(Journal journal) except -1:
    """A persistent message, which cannot be kept; or a receipt that would say that it is. None: there is no journal."""
    if journal is None:
        raise Refused(b"no data directory", b"This broker keeps all in memory (data_dir is none). Send it without "
                      b"persistent:true, or ask who runs it for a data_dir, or for persistent = \"never\" there.")
    if journal.failed:
        raise Refused(b"journal failed", b"The broker could not write to its disk, and keeps nothing any more. Ask who "
                      b"runs it, and send it again when it was started anew.")
    raise Refused(b"disk full", b"The broker's disk is full: it takes no persistent messages until there is space. "
                  b"Send it again later.")


cdef int reserve(Journal self, size_t more) except -1:
    cdef Run *run = &self.run
    cdef size_t capacity = run.capacity or LEAST_RUN
    cdef char *bytes
    if run.capacity - run.used >= more:
        return 0
    while capacity - run.used < more:
        capacity *= 2
    bytes = <char *>realloc(run.bytes, capacity)
    if bytes == NULL:
        raise MemoryError()
    self.census.memory += <int64_t>(capacity - run.capacity)
    run.bytes = bytes
    run.capacity = capacity
    return 0


cdef void free_run(Journal self, Run *run) noexcept:
    self.census.memory -= <int64_t>run.capacity
    free(run.bytes)
    memset(run, 0, sizeof(Run))


cdef void put_records(Journal self, int kind, uint16_t shard, const Part *parts, int count, size_t length) noexcept:
    """There is room for them."""
    cdef Record *record
    cdef uint8_t flags = RECORD_IN_TRANSACTION if self.transaction else 0
    cdef size_t left, from_part = 0, taken
    cdef char *to
    cdef int part = 0
    while True:
        record = <Record *>(self.run.bytes + self.run.used)
        memset(record, 0, RECORD_HEAD)
        left = min(length, <size_t>RECORD_MOST)
        record.length = <uint32_t>left
        record.kind = <uint8_t>kind
        record.flags = flags
        record.shard = shard
        self.run.used += record_size(left)
        length -= left
        to = <char *>(record + 1)
        if left:
            memset(self.run.bytes + self.run.used - PLACE, 0, PLACE)    # what is not filled of it
        while left:
            taken = min(left, parts[part].length - from_part)
            memcpy(to, <const char *>parts[part].bytes + from_part, taken)
            to += taken
            left -= taken
            from_part += taken
            if from_part == parts[part].length:
                part += 1
                from_part = 0
        if length == 0:
            return
        kind = RECORD_MORE
