"""A store that is a directory.

    being read  group after group, when a broker starts     reading.h
    running     what it is given is written and synced      writer.h
                what is asked for is read                   reader.h

What it holds are the files segment-… and spare-…; whoever opens it sees to it that nobody else does.
"""
import os

from libc.stdlib cimport free, malloc
from libc.string cimport memcpy
from posix.unistd cimport close

from fastbroker.core.journal cimport PLACE_UNIT

from fastbroker.core.journal import StoreError

cdef enum:
    NEWS = 4096             # bytes, each of which says that there is some


cdef class Disk(Store):

    def __cinit__(self):
        self.descriptor = -1
        self.writer.told[0] = self.writer.told[1] = -1

    def __init__(self, path, bytes id not None, size_t segment_bytes):
        """Opens the segments that are in the directory `path`, which has that id of 16 bytes. Raises StoreError."""
        if len(id) != DIRECTORY_ID or segment_bytes < LEAST_SEGMENT:
            raise ValueError("an id has 16 bytes, and a segment 128 KiB or more")
        self.path = str(path)
        self.descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        flock(self.descriptor, LOCK_SH)     # a broker that has the directory writes to no file that was another before
        memcpy(self.reading.id, <const char *>id, DIRECTORY_ID)
        memcpy(self.writer.id, <const char *>id, DIRECTORY_ID)
        memcpy(self.reader.id, <const char *>id, DIRECTORY_ID)
        self.writer.directory = self.reading.directory = self.reader.directory = self.descriptor
        self.writer.seed = self.reading.seed = self.reader.seed = crc32c(0, <const char *>id, DIRECTORY_ID)
        self.writer.segment_bytes = segment_bytes
        status = reading_open(&self.reading)
        if status != READING_OK:
            raise self._wrong(status)

    def __dealloc__(self):
        self.close()

    def close(self):
        """What was given is written. Returns the error number of what failed, or 0."""
        cdef int failure = 0
        if self.running:
            self.running = False
            with nogil:
                failure = writer_stop(&self.writer)
                reader_stop(&self.reader)
        free(self.writer.segments)
        free(self.writer.gone)
        free(self.writer.forgotten)
        self.writer.segments = self.writer.gone = self.writer.forgotten = NULL
        reading_close(&self.reading)
        for descriptor in (self.writer.told[0], self.writer.told[1], self.descriptor):
            if descriptor >= 0:
                close(descriptor)   # not os.close: at the interpreter's end there is none any more
        self.writer.told[0] = self.writer.told[1] = self.descriptor = -1
        return failure

    def fileno(self):
        """Readable when there is news."""
        return self.writer.told[0]

    def hear(self):
        """It is not readable any more, until there is other news."""
        try:
            os.read(self.writer.told[0], NEWS)
        except BlockingIOError:
            pass

    @property
    def failure(self):
        """Error number of what has failed, so that nothing more is kept; 0 while nothing has."""
        return self.writer.failure

    @property
    def damaged(self):
        """(bytes that could not be read, the file where that was the last time, and at which byte of it)"""
        return self.reading.damaged, "segment-%016x" % self.reading.damaged_in, self.reading.damaged_at

    cdef long read(self, const Record ***records) except -1:
        cdef long count = reading_group(&self.reading)
        if count < 0:
            raise MemoryError()
        records[0] = self.reading.records
        return count

    cdef uint64_t read_from(self) noexcept:
        return self.reading.segments[self.reading.end.segment].number if self.reading.count else 0

    cdef uint32_t place_of(self, const Record *record) noexcept:
        return <uint32_t>((<const char *>record - self.reading.segments[self.reading.end.segment].bytes) // PLACE_UNIT)

    cdef int start(self) except -1:
        """All is read; from now on it takes groups."""
        cdef size_t i, count = self.reading.end.segment + 1 if self.reading.count else 0
        if count and reading_cut(&self.reading) < 0:
            raise StoreError(f"cannot cut off what was not finished in {self.path}")
        self.writer.segments = <uint64_t *>malloc(SEGMENTS_MOST * sizeof(uint64_t))
        self.writer.gone = <uint64_t *>malloc(SEGMENTS_MOST * sizeof(uint64_t))
        if self.writer.segments == NULL or self.writer.gone == NULL:
            raise MemoryError()
        for i in range(count):
            self.writer.segments[i] = self.reading.segments[i].number
        self.writer.segment_count = count
        self.writer.sequence = self.reading.end.sequence
        reading_close(&self.reading)
        flock(self.descriptor, LOCK_UN)
        self.writer.told[0], self.writer.told[1] = os.pipe()
        os.set_blocking(self.writer.told[0], False)
        os.set_blocking(self.writer.told[1], False)
        self.reader.tell = self.writer.told[1]
        self.running = True
        if writer_start(&self.writer) or reader_start(&self.reader):
            raise StoreError("the system gives no threads")
        return 0

    cdef bint idle(self) noexcept:
        return writer_idle(&self.writer)

    cdef int append(self, char *run, size_t length, uint64_t number, bint sync, bint fresh) except -1:
        writer_give(&self.writer, run, length, number, sync, fresh)
        return 0

    cdef uint64_t segment_size(self) noexcept:
        return self.writer.segment_bytes

    cdef bint is_long(self) noexcept:
        """While there is still a quarter left, as the runs under way shall fit in without asking for space."""
        return writer_at(&self.writer) >= self.writer.segment_bytes // 4 * 3

    cdef int forget(self, uint64_t segment) except -1:
        if writer_forget(&self.writer, segment) < 0:
            raise MemoryError()
        return 0

    cdef int ask(self, int task, uint64_t segment, const uint32_t *places, size_t count) except -1:
        cdef Staying staying
        writer_staying(&self.writer, segment, &staying)
        reader_ask(&self.reader, task, segment, places, count, &staying)
        return 0

    cdef bint answer(self, int task, char **bytes, size_t *length) noexcept:
        return reader_answer(&self.reader, task, bytes, length)

    cdef uint64_t written(self) noexcept:
        return writer_written(&self.writer)

    cdef uint64_t durable(self) noexcept:
        return writer_durable(&self.writer)

    cdef int reserve(self, uint64_t size) except -1:
        writer_reserve(&self.writer, size)
        return 0

    cdef int full(self) noexcept:
        return self.writer.full

    cdef bint stuck(self) noexcept:
        return writer_stuck(&self.writer)

    def _wrong(self, int status):
        """What reading_open has found."""
        name = os.path.join(self.path, "segment-%016x" % self.reading.wrong)
        if status == READING_MISSING:
            return StoreError(f"{name} is missing, and with it messages that were promised to be kept. Put it back, "
                              "or the whole directory from a backup; to go on without them, see docs/durability.md")
        if status == READING_VERSION:
            return StoreError(f"{name} was written by another version of fastbroker, which this one cannot read: "
                              "start that one")
        if status == READING_FOREIGN:
            return StoreError(f"{name} belongs to another data directory: move it away")
        if status == READING_MISNAMED:
            return StoreError(f"{name} is a copy of another segment under this name: move it away, or give it its own")
        if status == READING_OPEN:
            return StoreError(f"cannot read {name}: {os.strerror(self.reading.error)}")
        return MemoryError()
