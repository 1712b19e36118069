"""What must outlive the broker, as records in the order in which it was decided; and what a store of them can do."""
cimport cython
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from fastbroker.core.space cimport Space
from fastbroker.core.wire cimport Census, Link

cdef extern from "csrc/record.h" nogil:
    enum:
        RECORD_HEAD
        RECORD_MOST
        RECORD_NOTHING
        RECORD_MORE
        RECORD_SEGMENTS
        RECORD_NUMBERS
        RECORD_QUEUE
        RECORD_DURABLE
        RECORD_GONE
        RECORD_ADDED
        RECORD_SHARED
        RECORD_SETTLED
        RECORD_RETURNED
        RECORD_COMMITTED
        RECORD_CLOSED
        RECORD_KEPT
        RECORD_AGAIN
        RECORD_FORGOTTEN
        RECORD_NAMES
        RECORD_LAST
        RECORD_ASIDE
        RECORD_IN_TRANSACTION
    struct Record:
        uint32_t length
        uint32_t crc
        uint8_t kind
        uint8_t flags
        uint16_t shard
        uint32_t sequence
    size_t record_size(size_t length)

cdef extern from "csrc/locating.h" nogil:
    enum:
        PLACE_UNIT
    struct Located:
        uint64_t id
        uint32_t queue
        uint32_t place

cdef extern from "csrc/reader.h" nogil:
    enum:
        READER_FETCH
        READER_LOCATE
        READER_PICK

cdef enum:
    PARTS_MOST = 8
    NOT_THERE = 0xffffff    # of a record: it cannot be taken back
    PRESSED = 4194304       # bytes of a run that waits; then publishers have to wait as well


cdef struct Part:
    const void *bytes
    size_t length


cdef inline Part part_of(const void *bytes, size_t length) noexcept:
    cdef Part part
    part.bytes = bytes
    part.length = length
    return part


cdef struct Recorded:
    uint64_t records        # how many there were; it moves when something was recorded ...
    uint64_t strict         # ... and this, when that must be on the disk before somebody hears of it


cdef struct Run:
    # records that stand one behind the other
    char *bytes
    size_t used
    size_t capacity


cdef class Store:
    """Where groups of records are kept; it knows nothing of what they say. One group at a time is on its way."""
    # The next group that was kept, when a broker starts: how many records, and where they are until the next call.
    cdef long read(self, const Record ***records) except -1
    cdef uint64_t read_from(self) noexcept          # the segment where it stands
    cdef uint32_t place_of(self, const Record *record) noexcept     # where one of these stands there, in PLACE_UNITs
    cdef int start(self) except -1                  # all is read
    cdef bint idle(self) noexcept                   # whether it takes another group
    # Takes over a group; the memory is the caller's again when it is idle. What is not to be synced at once is so
    # later. `fresh`: it begins a new segment, the number of which is one more than the last one's.
    cdef int append(self, char *run, size_t length, uint64_t number, bint sync, bint fresh) except -1
    cdef uint64_t segment_size(self) noexcept       # bytes
    cdef bint is_long(self) noexcept                # whether it is time for a new segment
    cdef int forget(self, uint64_t segment) except -1   # it goes when the next group is on the disk
    # Reads in a segment (READER_*, csrc/reader.h), one task of each kind at a time. `places` is for what is fetched,
    # and stays until there is an answer, for the caller to free; it has no bytes where nothing could be read.
    cdef int ask(self, int task, uint64_t segment, const uint32_t *places, size_t count) except -1
    cdef bint answer(self, int task, char **bytes, size_t *length) noexcept
    cdef uint64_t durable(self) noexcept            # the last group that outlives a power cut
    cdef uint64_t written(self) noexcept            # the last group that outlives the broker
    cdef int reserve(self, uint64_t size) except -1     # bytes that there must be room for, whatever happens
    cdef int full(self) noexcept                    # errno of why there is room only for what ends something, or 0 ...
    cdef bint stuck(self) noexcept                  # ... and not even for the group that is on its way


@cython.final
cdef class Journal:
    cdef readonly Store store
    cdef Census *census
    cdef uint16_t shards
    cdef uint64_t seed
    cdef Run run                    # the group that is filled ...
    cdef readonly uint64_t filling  # ... and its number
    cdef Run given                  # the one that the store has
    cdef Recorded recorded
    cdef uint64_t synced            # what `strict` was when the last run was given away
    cdef Space space
    cdef bint fresh                 # the run begins a new segment
    cdef readonly bint failed       # nothing is kept any more, and nobody is told that it is
    cdef readonly bint full         # there is room only for what ends something
    cdef uint64_t picking           # the segment that the store reads; 0: none
    cdef size_t settled             # where a record of settled messages stands at the end of the run, ...
    cdef uint32_t settled_of        # ... of which queue, 0: there is none, ...
    cdef uint32_t settled_in        # ... and which segment
    cdef uint32_t transaction       # whose records are written now; 0: of none
    cdef uint32_t last_transaction
    cdef set unfinished             # transactions that are being carried out
    cdef set undone                 # those that a broker before has not finished
    cdef uint32_t last_queue        # number of the last one
    cdef uint64_t numbers           # up to which message-ids are reserved
    cdef uint64_t last_key          # of what is kept beside the messages of queues (kept.pyx)
    cdef Link naming                # of windows with names that are not recorded yet (names.pyx)
    cdef Link waiters               # publishers who wait until the store takes the run

    cdef uint32_t put(self, int kind, uint16_t shard, Part *parts, int count) except? 0xffffffff
    cdef int settle(self, uint16_t shard, uint32_t queue, uint32_t segment, uint64_t id) except -1
    cdef void take_back(self, uint32_t place) noexcept
    cdef int commit(self) except -1
    cdef uint16_t shard_of(self, const char *name, size_t length) noexcept

    cdef inline const Record *at(self, uint32_t place) noexcept:
        """The record at that place of the run."""
        return <const Record *>(self.run.bytes + <size_t>place * 8)

    cdef inline int check(self) except -1:
        """Raises Refused where no persistent message can be taken."""
        return refuse_persistent(self) if self.failed or self.full else 0

    cdef inline bint is_pressed(self) noexcept:
        """Whether so much waits that publishers have to."""
        return self.run.used > PRESSED


cdef int refuse_persistent(Journal journal) except -1
cdef Journal journal_new(Store store, Census *census, uint16_t shards, uint64_t seed)
