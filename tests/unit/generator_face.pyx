"""A face to Python of what the load generator is made of: histogram, stamps, tallies."""
from libc.stdint cimport uint32_t, uint64_t

cdef extern from "bench/generator/histogram.h":
    size_t BUCKETS
    size_t c_bucket_of "bucket_of"(uint64_t ns)
    uint64_t c_middle_of "middle_of"(size_t bucket)

cdef extern from "bench/generator/stamp.h":
    ctypedef struct Stamp:
        uint32_t stream
        uint64_t number, time
    void stamp_write(char *body, uint32_t stream, uint64_t number, uint64_t time)
    bint stamp_read(const char *body, Stamp *stamp)
    void body_fill(char *body, size_t size, uint32_t stream, uint64_t number)
    void body_hash_write(char *body, size_t size)
    bint body_hash_fits(const char *body, size_t size)
    void receipt_write(char *at, uint64_t number, uint64_t time)
    bint receipt_read(const char *at, uint64_t *number, uint64_t *time)

cdef extern from "bench/generator/tally.h":
    ctypedef struct Tally:
        uint64_t base, end, capacity
    int tally_take(Tally *tally, uint64_t number, uint64_t most)
    void tally_free(Tally *tally)


def bucket_of(uint64_t ns):
    return c_bucket_of(ns)


def middle_of(size_t bucket):
    return c_middle_of(bucket)


def bucket_count():
    return BUCKETS


def stamped(uint32_t stream, uint64_t number, uint64_t time):
    cdef bytearray body = bytearray(16)
    stamp_write(body, stream, number, time)
    return bytes(body)


def read_stamp(bytes body not None):
    cdef Stamp stamp
    assert len(body) >= 16
    return (stamp.stream, stamp.number, stamp.time) if stamp_read(body, &stamp) else None


def verified_body(size_t size, uint32_t stream, uint64_t number):
    cdef bytearray body = bytearray(size)
    stamp_write(body, stream, number, 0)
    body_fill(body, size, stream, number)
    body_hash_write(body, size)
    return bytes(body)


def is_verified(bytes body not None):
    assert len(body) >= 22
    return bool(body_hash_fits(body, len(body)))


def receipt_id(uint64_t number, uint64_t time):
    cdef bytearray text = bytearray(24)
    receipt_write(text, number, time)
    return bytes(text)


def read_receipt(bytes text not None):
    cdef uint64_t number, time
    assert len(text) >= 24
    return (number, time) if receipt_read(text, &number, &time) else None


cdef class Tallied:
    """NEXT, AHEAD, LATE, AGAIN as 0, 1, 2, 3."""
    cdef Tally tally
    cdef uint64_t most

    def __cinit__(self, uint64_t most):
        self.most = most

    def __dealloc__(self):
        tally_free(&self.tally)

    def take(self, uint64_t number):
        return tally_take(&self.tally, number, self.most)

    @property
    def base(self):
        return self.tally.base

    @property
    def capacity(self):
        return self.tally.capacity
