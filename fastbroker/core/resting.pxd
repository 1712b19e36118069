"""Messages that rest before they are tried again."""
cimport cython
from libc.stdint cimport uint64_t

from fastbroker.core.message cimport Entry
from fastbroker.core.wire cimport Census, Keeper, Timer, Wheel, link_joined


cdef struct Rested:
    uint64_t due            # milliseconds of the hub's clock
    Entry entry


@cython.final
@cython.no_gc
cdef class Resting:
    cdef Census *census
    cdef Wheel *wheel
    cdef Timer timer            # armed for the earliest that is due, until it has fired
    cdef Keeper keeper          # for the round that moves messages
    cdef Rested *heap           # the earliest on top
    cdef readonly size_t count
    cdef size_t capacity

    cdef int add(self, const Entry *entry, uint64_t due) except -1
    cdef bint take(self, uint64_t now, Entry *entry) noexcept
    cdef void arm(self) noexcept

    cdef inline bint is_due(self) noexcept:
        return not link_joined(&self.timer.link)


cdef Resting resting_new(Census *census, Wheel *wheel, void (*fire)(void *owner) noexcept, void *owner)
