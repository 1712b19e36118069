"""Everything that a connection must do, or have done, by some time."""
cimport cython
from libc.stdint cimport uint64_t

from fastbroker.core.broker cimport Broker
from fastbroker.core.input cimport Input
from fastbroker.core.session cimport Session
from fastbroker.core.wire cimport Timer


@cython.final
@cython.no_gc
cdef class Deadlines:
    # all on the hub's clock, milliseconds
    cdef Broker broker
    cdef Session session
    cdef Input input
    cdef void *whose            # the TurnTaker that this is a part of
    cdef Timer timer            # the earliest of all
    cdef uint64_t made
    cdef uint64_t last_read
    cdef uint64_t last_write
    cdef uint64_t last_progress # when the kernel last took bytes, or had none to take
    cdef uint64_t last_look     # at a peer that is not read from for want of memory
    cdef uint64_t said_all      # when the client had said all, while frames of it wait for memory; 0: it has not
    cdef uint64_t ended         # when `ours` left OPEN, and when it became SHUT

    cdef void begin(self, uint64_t now) noexcept
    cdef void arm(self) noexcept
    cdef int act(self) except -1
    cdef int tell_slow(self, str policy, str key) except -1


cdef Deadlines deadlines_new(Broker broker, Session session, Input input, void *whose,
                             void (*fire)(void *owner) noexcept)
