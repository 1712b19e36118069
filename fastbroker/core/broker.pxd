"""What a loop shares: the clock, the limits, the accounts, what is to be done in this turn, and who is asked."""
cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t

from fastbroker.core.fanout cimport STORE_COST, Fanout
from fastbroker.core.frame cimport Frame
from fastbroker.core.journal cimport Journal, Recorded
from fastbroker.core.limits cimport Limits
from fastbroker.core.namespace cimport Namespace
from fastbroker.core.parser cimport Parser, ParserLimits
from fastbroker.core.presence cimport Presence
from fastbroker.core.profile cimport Profile
from fastbroker.core.spilling cimport Spilling
from fastbroker.core.wire cimport (
    Blocks, Ceiling, Census, Counter, Link, Outlets, Properties, Text, Wheel, ceiling_closed, census_spent,
)


@cython.final
cdef class Broker:
    cdef Limits limits
    cdef ParserLimits parser_limits
    cdef Census census
    cdef Ceiling ceiling
    cdef Blocks blocks          # where messages are
    cdef Outlets outlets
    cdef Wheel wheel
    cdef uint64_t now           # milliseconds; stands still while the process does
    cdef Counter number         # of the last message
    cdef Journal journal        # None: nothing outlives the broker
    cdef const Recorded *recorded   # what the journal was told so far; always the same where there is none
    cdef Recorded nothing
    cdef uint64_t durable       # the last group that the journal has on the disk; receipts wait for that, or for ...
    cdef uint64_t written       # ... the last one that the system has
    cdef int64_t share_ends     # output and work, when whoever is served now has had his share
    cdef Link due               # queues to dispatch in this turn
    cdef Link released          # connections that were held and go on in this turn
    cdef Link owing             # Receipts that wait for the journal
    cdef Link parking           # sessions with frames that wait for memory
    cdef Frame frame            # the frame being handled
    cdef Parser parser          # for frames that were parked
    cdef Text scratch           # header lines being put together
    cdef Properties properties  # of the SEND that is handled
    cdef uint64_t property_seed # of their hashes
    cdef Fanout fanout
    cdef Namespace namespace
    cdef Spilling spilling      # of what the journal has; None: there is none
    cdef Presence presence      # None: no topic tells who is there
    cdef Profile profile        # whose words and defaults count
    cdef readonly bytes server  # "fastbroker/<version>", or as the profile has it
    cdef bint takes_wills       # what a client leaves behind is published
    cdef set wills              # Wills whose clients have gone
    cdef Link wills_due         # those whose time has come
    cdef int64_t will_memory    # bytes of all
    cdef uint32_t begun         # sessions, so far
    cdef set short_sessions     # the four-letter session ids of STOMP 1.0 that are in use
    cdef object authenticate
    cdef object authorize
    cdef object log
    cdef bint debug             # whether the log wants lines of that level: they are made for nobody else

    cdef int report(self, uint64_t durable, uint64_t written) except -1

    cdef inline bint keeps_nothing(self) noexcept:
        """Whether what the journal was told will never be on the disk."""
        return self.journal is not None and self.journal.failed

    cdef inline bint keeps_more(self) noexcept:
        """Whether persistent messages can be taken now."""
        return self.journal is not None and not (self.journal.failed or self.journal.full)

    cdef inline bint is_full(self) noexcept:
        return ceiling_closed(&self.ceiling)

    cdef inline void give_share(self, int64_t amount) noexcept:
        """So much output and work may whoever is served next cause."""
        self.share_ends = census_spent(&self.census) + amount
        self.fanout.most = <uint32_t>(amount // STORE_COST)

    cdef inline bint share_is_over(self) noexcept:
        return census_spent(&self.census) > self.share_ends
