"""Receivers of a topic that choose by the value of one header, found by it: where a thousand have a selector like
`device = 'd17'`, each with another value, a message costs as much as if there was one.

    receivers   [ plain | queues | asked | keyed:  1  2  3  4  5 ]

    chains      [ 0  3  0  4 ]      the last one of each bucket of keys; 0: there is none
                [ 0  0  1  2  0 ]   and for each the one before it

A key says only who can want a message at all: they are asked then, as all others are.
"""
from libc.stdint cimport INT64_MAX, int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcmp, memset

from fastbroker.core.selector cimport (
    IS_NULL, HeaderName, Selector, Span, Value, as_number, find_headers, key_of_number, key_of_text, length_bit,
    value_of_header,
)
from fastbroker.core.subscription cimport Receiver

cdef enum:
    FEWEST = 4              # for fewer it is less to ask them


cdef void keyed_sort(Keyed *self, void **items, size_t start, size_t count) noexcept:
    """Puts those of the items, from `start` on, that have keys behind the others. Without memory none of them has."""
    cdef size_t end = count
    self.names.all = self.all
    self.names.count = 0
    self.names.lengths = 0
    while start < end:
        if has_key(self, (<Receiver>items[start]).selector):
            end -= 1
            items[start], items[end] = items[end], items[start]
        else:
            start += 1
    self.first = count
    if count - end >= FEWEST and make_room(self, count - end):
        self.first = end
        chain_up(self, items + end, <uint32_t>(count - end))


cdef int keyed_keys(const Keyed *self, const char *head, size_t length, uint64_t seed, uint64_t *keys) noexcept:
    """Which keys a message with these header lines has, of the names that somebody asks for."""
    cdef Span found[KEY_NAMES]
    cdef int64_t steps = 0
    cdef Value number
    cdef int count = 0
    cdef uint32_t i
    find_headers(&self.names, head, length, found, INT64_MAX, &steps)
    for i in range(self.names.count):
        if found[i].text == NULL:
            continue
        keys[count] = key_of_text(&self.all[i], found[i].text, found[i].length, seed)
        count += 1
        number = as_number(value_of_header(&found[i]))
        if number.kind != IS_NULL:
            keys[count] = key_of_number(&self.all[i], number, seed)
            count += 1
    return count


cdef void keyed_free(Keyed *self) noexcept:
    free(self.chains)
    self.chains = NULL
    self.room = 0


cdef bint has_key(Keyed *self, Selector selector) noexcept:
    """And one of a name that there is a place for."""
    cdef const HeaderName *name
    cdef uint32_t i
    if selector is None or selector.key == 0:
        return False
    name = selector.key_name()
    for i in range(self.names.count):
        if self.all[i].length == name.length and memcmp(self.all[i].text, name.text, name.length) == 0:
            return True
    if self.names.count == KEY_NAMES:
        return False
    self.all[self.names.count] = name[0]
    self.names.count += 1
    self.names.lengths |= length_bit(name.length)
    return True


cdef bint make_room(Keyed *self, size_t count) noexcept:
    cdef size_t buckets = FEWEST
    cdef void *room
    while buckets < count:
        buckets *= 2
    if buckets + count > self.room:
        room = realloc(self.chains, (buckets + count) * sizeof(uint32_t))
        if room == NULL:
            return False
        self.chains = <uint32_t *>room
        self.room = buckets + count
    self.buckets = buckets
    return True


cdef void chain_up(Keyed *self, void **items, uint32_t count) noexcept:
    cdef uint32_t *last
    cdef uint32_t i
    memset(self.chains, 0, self.buckets * sizeof(uint32_t))
    for i in range(count):
        last = &self.chains[(<Receiver>items[i]).selector.key & (self.buckets - 1)]
        self.chains[self.buckets + i] = last[0]
        last[0] = i + 1
