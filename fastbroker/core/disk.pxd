"""A store that is a directory: segments of records, and two threads that write them."""
cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t

from fastbroker.core.journal cimport Record, Store

cdef extern from "csrc/picking.h" nogil:
    struct Staying:
        pass

cdef extern from "csrc/writer.h" nogil:
    enum:
        DIRECTORY_ID
        SEGMENTS_MOST
    struct Writer:
        int directory
        unsigned char *id
        uint32_t seed
        size_t segment_bytes
        int *told
        int failure
        int full
        uint64_t *segments
        size_t segment_count
        uint64_t *gone
        uint64_t *forgotten
        uint32_t sequence
    int writer_start(Writer *writer)
    bint writer_idle(Writer *writer)
    uint64_t writer_durable(Writer *writer)
    uint64_t writer_written(Writer *writer)
    void writer_give(Writer *writer, char *run, size_t length, uint64_t number, bint sync, bint fresh)
    int writer_forget(Writer *writer, uint64_t number)
    void writer_staying(Writer *writer, uint64_t number, Staying *staying)
    void writer_reserve(Writer *writer, uint64_t bytes)
    bint writer_stuck(Writer *writer)
    uint64_t writer_at(Writer *writer)
    int writer_stop(Writer *writer)

cdef extern from "sys/file.h" nogil:
    enum:
        LOCK_SH
        LOCK_UN
    int flock(int file, int operation)

cdef extern from "csrc/reader.h" nogil:
    struct Reader:
        int directory
        unsigned char *id
        uint32_t seed
        int tell
    int reader_start(Reader *reader)
    void reader_stop(Reader *reader)
    void reader_ask(Reader *reader, int kind, uint64_t segment, const uint32_t *places, size_t count,
                    const Staying *staying)
    bint reader_answer(Reader *reader, int kind, char **bytes, size_t *length)

cdef extern from "csrc/reading.h" nogil:
    enum:
        READING_OK
        READING_OPEN
        READING_VERSION
        READING_FOREIGN
        READING_MISNAMED
        READING_MISSING
        READING_MEMORY
    struct Mapped:
        uint64_t number
        const char *bytes
        size_t length
    struct Spot:
        size_t segment
        size_t at
        uint32_t sequence
    struct Reading:
        int directory
        unsigned char *id
        uint32_t seed
        Mapped *segments
        size_t count
        Spot next
        Spot end
        uint64_t passed
        const Record **records
        uint64_t damaged
        uint64_t damaged_in
        size_t damaged_at
        uint64_t wrong
        int error
    int reading_open(Reading *reading)
    void reading_rewind(Reading *reading)
    long reading_group(Reading *reading)
    int reading_cut(Reading *reading)
    void let_go(const Mapped *segment)
    void reading_close(Reading *reading)

cdef extern from "csrc/segment.h" nogil:
    int write_all(int file, const char *bytes, size_t length, int64_t at)

cdef extern from "csrc/crc.h" nogil:
    uint32_t crc32c(uint32_t crc, const void *bytes, size_t length)
cdef enum:
    LEAST_SEGMENT = 131072  # bytes: the record that names all segments must fit, and much more


@cython.final
cdef class Disk(Store):
    cdef Writer writer
    cdef Reader reader
    cdef Reading reading
    cdef object path
    cdef int descriptor         # of the directory
    cdef bint running
