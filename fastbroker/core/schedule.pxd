"""Messages that are accepted and not published yet."""
cimport cython
from libc.stdint cimport int64_t, uint64_t

from fastbroker.core.frame cimport Content
from fastbroker.core.journal cimport Journal
from fastbroker.core.kept cimport KeptItem, Trace
from fastbroker.core.message cimport Message
from fastbroker.core.route cimport Route
from fastbroker.core.table cimport Table
from fastbroker.core.wire cimport ASKS_SCHEDULE, Census, Keeper, Properties, Timer, Wheel


cdef struct Job:
    uint64_t due            # milliseconds of the steady clock
    uint64_t number         # it is known by that, and comes in that order among those that are due at once
    uint64_t first          # when its time to live would begin if it were due without cron; 0: it has one end for all
    uint64_t times          # how often it was published
    size_t place            # in the heap
    Message *message
    void *route             # Route, which it keeps
    uint64_t delay
    uint64_t period
    uint64_t repeat         # how often it comes again after the first time of a round ...
    uint64_t left           # ... and how often of this one
    void *cron              # bytes: when a round begins; NULL: there is one round
    Trace *trace            # in the journal; NULL: it does not outlive the broker


cdef struct Slot:
    # of the heap: it can be looked through without its jobs
    uint64_t due
    Job *job


@cython.final
cdef class Schedule:
    cdef Census *census
    cdef Wheel *wheel
    cdef const uint64_t *now
    cdef Journal journal        # of persistent messages; None: there is none
    cdef object cron            # (expression, milliseconds since 1970) -> the next; ValueError; or None
    cdef Timer timer
    cdef bint ready             # a job may be due
    cdef Slot *heap
    cdef size_t count
    cdef size_t capacity
    cdef Table by_number
    cdef uint64_t next_number
    cdef list sweeps            # (start, end, newest number, place, ...) of what is being cancelled
    cdef int64_t bytes          # of the jobs and their messages ...
    cdef int64_t most           # ... and how many there may be
    cdef Keeper keeper          # for the round that moves messages

    cdef int check(self, const Content *content) except -1
    cdef int ask_for_room(self, int64_t bytes) except -1
    cdef int add(self, Route route, const Content *content, bint accepted) except -1
    cdef int restore(self, Route route, Message *message, const KeptItem *item, Trace *trace) except -1
    cdef Job *take_due(self) noexcept
    cdef int give_back(self, Job *job) except -1
    cdef bint cancel(self, uint64_t number) noexcept
    cdef int cancel_all(self, uint64_t start, uint64_t end) except -1
    cdef int sweep(self) except -1
    cdef list within(self, uint64_t start, uint64_t end)
    cdef Job *job(self, uint64_t number) noexcept


cdef Schedule schedule_new(Census *census, Wheel *wheel, const uint64_t *now, uint64_t seed, cron, int64_t most)

cdef inline bint comes_later(const Properties *asks) noexcept:
    """Whether the sender wants a message to be published at another time."""
    return asks.delay != 0 or asks.flags & ASKS_SCHEDULE != 0
