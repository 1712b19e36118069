"""Rewriting: a journal that is written without a broker, from what another one held.

    before    segments 3, 7, 8              what is still needed of them is written to 9, 10, 11, as a broker does that
    end       segments 9, 10, 11            carries what is in segments that are to go: so whenever it is killed, all is
                                            there once
"""
from libc.stdint cimport uint16_t, uint64_t

from fastbroker.core.disk cimport Disk
from fastbroker.core.journal cimport (
    RECORD_ADDED, RECORD_CLOSED, RECORD_KEPT, RECORD_SHARED, Part, Record, journal_new, part_of,
)
from fastbroker.core.space cimport segment_after

import os
import select

from fastbroker.core.journal import StoreError

cdef enum:
    RUN = 1048576           # bytes that are written at a time; less where segments are small
    RUNS = 8                # in a segment, at least


cdef class Rewriting:

    def __init__(self, path, bytes id not None, uint16_t shards, uint64_t seed, size_t segment_bytes):
        cdef const Record **records
        cdef size_t i
        self.disk = Disk(path, id, segment_bytes)
        while self.disk.read(&records):
            pass
        self.before = [self.disk.reading.segments[i].number
                       for i in range(self.disk.reading.end.segment + 1 if self.disk.reading.count else 0)]
        self.journal = journal_new(self.disk, &self.census, shards, seed)
        self.journal.space.begin(segment_after(self.disk.read_from()))
        self.journal.fresh = True
        self.disk.start()

    def __dealloc__(self):
        self.journal = None     # it counts in what goes now

    def put(self, records):
        cdef bytes payload
        for kind, shard, payload in records:
            put_record(self, kind, shard, payload)
        if self.journal.run.used >= min(<uint64_t>RUN, self.disk.segment_size() // RUNS):
            give(self)

    def end(self, *, bint instead):
        give(self)
        wait(self)
        put_record(self, RECORD_CLOSED, 0, b"")
        if instead:
            for number in self.before:
                self.disk.forget(number)
        give(self)
        wait(self)

    def close(self):
        self.disk.close()


cdef int put_record(Rewriting self, int kind, uint16_t shard, bytes payload) except -1:
    cdef Part part = part_of(<const char *>payload, len(payload))
    self.journal.put(kind, shard, &part, 1)
    self.journal.recorded.strict += 1
    if kind == RECORD_ADDED or kind == RECORD_SHARED or kind == RECORD_KEPT:
        self.journal.space.placed(len(payload))     # there must be space for what settles it
    return 0


cdef int give(Rewriting self) except -1:
    wait(self)
    if self.journal.run.used:
        self.journal.commit()
    return 0


cdef int wait(Rewriting self) except -1:
    """Until what was given is on the disk."""
    while not self.disk.idle():
        if self.disk.failure:
            raise StoreError(f"cannot write to {self.disk.path}: {os.strerror(self.disk.failure)}")
        if self.disk.stuck():
            raise StoreError(f"cannot write to {self.disk.path}: {os.strerror(self.disk.full())}; make space there, "
                             "and try again: nothing is lost")
        select.select([self.disk], [], [], 1)
        self.disk.hear()
    return 0
