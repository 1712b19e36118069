"""What STOMP means, for one client: one handler per command."""
cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t

from fastbroker.core.access cimport Access
from fastbroker.core.broker cimport Broker
from fastbroker.core.frame cimport Frame
from fastbroker.core.ledger cimport Ledger
from fastbroker.core.namespace cimport Namespace
from fastbroker.core.parking cimport Parking
from fastbroker.core.parser cimport Parser
from fastbroker.core.receipts cimport Receipts
from fastbroker.core.route cimport Origin, Route
from fastbroker.core.soft cimport SoftErrors
from fastbroker.core.subscriptions cimport Subscriptions
from fastbroker.core.temporaries cimport Temporaries
from fastbroker.core.transaction cimport Transaction
from fastbroker.core.transactions cimport Transactions
from fastbroker.core.will cimport Will
from fastbroker.core.wire cimport Account, Link, OutBuf

cdef enum:
    STATE_NEW
    STATE_CONNECTED
    STATE_CLOSING

cdef enum:
    FRAME_WORK = 64         # what it takes to handle a frame, in bytes of output, beside its size

cdef enum:
    HOLD_LOGIN = 1          # the authenticator has not answered yet
    HOLD_SLOW = 2           # a subscriber of a topic it publishes to is too slow
    HOLD_MEMORY = 4         # its parked frames have reached limits.max_parked
    HOLD_OUTPUT = 8         # it does not read its answers
    HOLD_COMMIT = 16        # its COMMIT goes on in its next turn
    HOLD_JOURNAL = 64       # it is to end, and receipts wait for the journal
    HOLD_FULL = 32          # the queue it sends to is full, and lets it wait: the frame comes again


@cython.final
cdef class Session:
    cdef OutBuf *out            # of the connection, which outlives the session
    cdef Parser parser
    cdef int state
    cdef int hold               # HOLD_*: no frame is handled while this is not zero
    cdef int version
    cdef uint32_t send_every    # heart-beats, milliseconds; 0: none
    cdef uint32_t expect_every
    cdef readonly str reason    # why it is closing, for the log
    cdef bytes parting          # the same, while receipts wait for the journal
    cdef str detail             # of an ERROR, for the log: its body ...
    cdef str destination        # ... and what the frame was for; None: nothing
    cdef readonly str peer
    cdef str listener           # the URL that it came in by
    cdef bint secure            # by TLS
    cdef object certificate     # of the client, or None
    cdef readonly str login     # None: it named none
    cdef bytes client_id        # of CONNECT, by which durable subscriptions are found again; None: it named none
    cdef str software           # what it says that it is; None: nothing, or the log does not want to know
    cdef int64_t published      # messages that it sent
    cdef object identity        # what the authenticator made of the login
    cdef object login_answer    # its awaitable, while HOLD_LOGIN
    cdef bytes welcome          # header lines of the CONNECTED to come
    cdef bytes short_id
    cdef bint browsed           # it has looked at a queue, and may acknowledge the end marker
    cdef bytes id               # as CONNECTED said it, where it is told who is there; else None
    cdef Account account        # what is held for it
    cdef Origin origin          # what it publishes comes from here
    cdef Route route            # of the last SEND
    cdef Access access          # None: everything is allowed
    cdef Subscriptions subscriptions
    cdef list returning         # Subscriptions that have ended and whose deliveries have yet to go back
    cdef Transactions transactions  # None until the first
    cdef Transaction committing     # None: no COMMIT is under way
    cdef Temporaries temporaries    # None until the first
    cdef Will will              # None: it leaves nothing behind
    cdef Parking parking        # None: no frame waits for memory
    cdef uint64_t parked_at     # when frames began to wait, or the last of them was handled
    cdef Receipts receipts      # None: none waits for the journal
    cdef SoftErrors soft        # None: each error is its end
    cdef bytes info             # header lines of the RECEIPT to come; None: it says nothing more
    cdef Ledger ledger
    cdef Link starved           # subscriptions that wait for the output to drain
    cdef Link waiting           # in the ring of waiters of a slow subscriber's output, or of a full queue
    cdef Link go_on             # in the broker's ring of released connections
    cdef Namespace namespace
    cdef Broker broker          # last: what is freed before it counts itself down there

    cdef int on_frame(self, const Frame *frame) except -1
    cdef int end_of_input(self) except -1
    cdef int refused(self, const Frame *frame, bytes message, bytes body) except -1
    cdef int malformed(self, int status) except -1
    cdef int fail(self, bytes message, bytes body) except -1
    cdef int admit(self, object identity) except -1
    cdef int said_all(self) except -1
    cdef int end_subscriptions(self) except -1
    cdef void leave(self) noexcept
    cdef int drained(self) except -1
    cdef bint in_transaction(self) noexcept
    cdef int unpark(self) except -1
    cdef int has_paid(self) except -1
    cdef int carry_on(self) except -1

    cdef inline bint owes(self) noexcept:
        """Whether receipts wait for the journal."""
        return self.receipts is not None and not self.receipts.empty() and not self.broker.keeps_nothing()

    cdef inline bint unfinished(self) noexcept:
        """Whether something was begun that is more than a share, and goes before all else."""
        return self.committing is not None or len(self.returning) > 0


cdef Session session_new(Broker broker, OutBuf *out, Parser parser, void *connection)
cdef void release_waiters(Broker broker, Link *waiters) noexcept
