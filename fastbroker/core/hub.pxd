"""One event loop's worth of broker: its connections, its turn, its clock."""
cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t

from fastbroker.core.broker cimport Broker
from fastbroker.core.wire cimport Link, Places

cdef enum:
    INPUT_SPACE = 262144    # of the read buffer that all connections share
    INPUT_FRONT = 65536     # room in front of it, for the start of a frame that the last read cut off
    TURN_SLICE = 16777216       # bytes of output and work that all may cause from one turn to the next ...
    LARGEST_SLICE = 4194304     # ... one connection, before others are served ...
    SMALLEST_SLICE = 524288     # ... which has so much in its turn, however many there are ...
    READ_SLICE = 16384          # ... and so much for what it was sent in between, when nothing else is left


@cython.final
cdef class Hub:
    cdef Broker broker
    cdef readonly object loop
    cdef object run_turn        # bound method, so that none is made per turn
    cdef object run_tick
    cdef object run_commit
    cdef object commit_timer    # None until something has waited
    cdef char *input            # INPUT_FRONT + INPUT_SPACE + slack
    cdef object input_view      # of the INPUT_SPACE bytes
    cdef object small_view      # of the first of them
    cdef object handshake       # who answers in HTTP before there is a WebSocket, or None
    cdef Link connections       # ring of all of them
    cdef set lost               # those whose socket is gone before all that came from it is used up
    cdef uint64_t real          # monotonic milliseconds when the clock was last set
    cdef Places places          # of those that have not logged in
    cdef int64_t most_connections
    cdef bint error_at_stop
    cdef int64_t large_inputs   # connections that keep more than INPUT_FRONT of what they were sent
    cdef int64_t peak           # of the memory held since it was last given back
    cdef uint64_t full_since    # the memory ceiling is reached; 0: it is not
    cdef uint64_t full_last     # when it last was
    cdef uint64_t full_told     # when the log was last told
    cdef uint64_t ticks
    cdef int64_t slice          # of each connection in this turn
    cdef int64_t until          # output and work, when all that there is for now is used up
    cdef bint turn_due
    cdef bint lone              # the last turn had one read
    cdef uint32_t reads         # since then
    cdef uint32_t commit_delay  # milliseconds that a run of the journal waits for more; 0: it does not
    cdef bint waiting           # it does, until a timer of the loop ends that ...
    cdef bint waited            # ... as it has, and the run goes to the store as soon as that is idle
    cdef bint ticking
    cdef bint stalled           # the last tick came late, and no timer has fired in it
    cdef readonly bint draining

    cdef inline bint is_used_up(self) noexcept:
        """Whether nothing of this turn is left: who is read from now will mostly have to wait."""
        return self.broker.census.bytes_out + self.broker.census.work >= self.until

    cdef int schedule(self) except -1
    cdef int answer_at_once(self) except -1
    cdef int tick_on(self) except -1
