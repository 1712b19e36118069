"""Who chooses by the value of one header."""
from libc.stdint cimport uint32_t, uint64_t

from fastbroker.core.selector cimport HeaderName, Names

cdef enum:
    KEY_NAMES = 4           # headers that keys may be of; who asks for another one has none
    KEYS_MOST = 2 * KEY_NAMES

cdef struct Keyed:
    size_t first            # from that place on the receivers of an audience have keys
    uint32_t *chains        # NULL: nobody ever had
    size_t room             # numbers there
    size_t buckets
    Names names             # of the headers
    HeaderName all[KEY_NAMES]


cdef void keyed_sort(Keyed *self, void **items, size_t start, size_t count) noexcept
cdef int keyed_keys(const Keyed *self, const char *head, size_t length, uint64_t seed, uint64_t *keys) noexcept
cdef void keyed_free(Keyed *self) noexcept
