"""What STOMP means, for one client: one handler per command."""
cimport cython
from libc.stdint cimport uint32_t, uint64_t

from fastbroker.core.broker cimport Broker
from fastbroker.core.frame cimport Content, Frame, Slice
from fastbroker.core.ledger cimport Ledger
from fastbroker.core.parser cimport Parser
from fastbroker.core.queue cimport Queue
from fastbroker.core.route cimport Route
from fastbroker.core.subscription cimport Subscription
from fastbroker.core.transaction cimport Transaction
from fastbroker.core.wire cimport Link, OutBuf, Text

cdef enum:
    STATE_NEW
    STATE_CONNECTED
    STATE_CLOSING

cdef enum:
    HOLD_LOGIN = 1          # the authenticator has not answered yet
    HOLD_SLOW = 2           # a subscriber of a topic it publishes to is too slow
    HOLD_MEMORY = 4         # its parked frames have reached limits.max_parked
    HOLD_OUTPUT = 8         # it does not read its answers


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
    cdef readonly str peer
    cdef str listener           # the URL that it came in by
    cdef bint secure            # by TLS
    cdef object certificate     # of the client, or None
    cdef readonly str login
    cdef object identity        # what the authenticator made of the login
    cdef object login_answer    # its awaitable, while HOLD_LOGIN
    cdef list welcome           # headers of the CONNECTED to come
    cdef bytes short_id
    cdef uint64_t nameless      # subscriptions without id that shared a destination with another
    cdef Route route            # of the last SEND
    cdef dict subscriptions
    cdef dict transactions
    cdef dict temporaries       # id of /temp-queue/<id> -> Queue
    cdef Ledger ledger
    cdef Link starved           # subscriptions that wait for the output to drain
    cdef Link waiting           # in the ring of waiters of a slow subscriber's output
    cdef Link go_on             # in the broker's ring of released connections
    cdef Text parked            # frames that wait for memory: (kind, length, bytes) each
    cdef bint parked_transaction    # a parked frame belongs to a transaction: nothing overtakes it
    cdef bint ending            # DISCONNECT is parked: what follows is not looked at
    cdef Link parking           # in the broker's ring of sessions with parked frames
    cdef Broker broker          # last: what is freed before it counts itself down there

    cdef int on_frame(self, const Frame *frame) except -1
    cdef int refused(self, const Frame *frame, bytes message, bytes body) except -1
    cdef int malformed(self, int status) except -1
    cdef int fail(self, bytes message, bytes body) except -1
    cdef int admit(self, object identity) except -1
    cdef void leave(self) noexcept
    cdef int deliver_batch(self) except -1
    cdef bint wait_for(self, OutBuf *out) noexcept
    cdef int drained(self) except -1
    cdef uint64_t next_timeout(self) noexcept
    cdef int unpark(self) except -1
    cdef int said_all(self) except -1
    cdef int end_subscriptions(self) except -1

    # inside
    cdef int _on_connected(self, const Frame *frame) except -1
    cdef int _handle(self, const Frame *frame) except -1
    cdef int _receipt(self, const Frame *frame) except -1
    cdef int _close(self, bytes reason) except -1
    cdef int _on_connect(self, const Frame *frame) except -1
    cdef int _on_send(self, const Frame *frame) except -1
    cdef int _find_route(self, const Frame *frame) except -1
    cdef int _new_route(self, const char *destination, size_t length) except -1
    cdef int _ask(self, str action, bytes destination) except -1
    cdef Queue _temporary(self, bytes id)
    cdef bytes _reply_to(self, const Frame *frame)
    cdef int _implicit(self, bytes name, Queue queue) except -1
    cdef int _on_subscribe(self, const Frame *frame) except -1
    cdef bytes _subscription_key(self, const Frame *frame, bytes destination)
    cdef Subscription _new_subscription(self, bytes id, bytes destination, int mode)
    cdef uint32_t _prefetch(self, const Frame *frame) except? 0
    cdef int _attach(self, Subscription subscription) except -1
    cdef int _replace_implicit(self, bytes name) except -1
    cdef int _on_unsubscribe(self, const Frame *frame) except -1
    cdef bytes _key_of(self, bytes destination)
    cdef int _end_subscription(self, Subscription subscription) except -1
    cdef int _give_back(self, Subscription subscription) except -1
    cdef int _on_ack(self, const Frame *frame, int kind) except -1
    cdef uint32_t _find_delivery(self, const Frame *frame) except? 0xffffffff
    cdef uint32_t _find_message(self, Subscription subscription, Slice id) noexcept
    cdef int _settle_all(self, Subscription subscription, uint32_t slot, int kind, Transaction transaction) except -1
    cdef int _settle(self, Subscription subscription, uint32_t slot, int kind) except -1
    cdef int _settled(self, Subscription subscription, int kind) except -1
    cdef Transaction _transaction(self, const Frame *frame)
    cdef int _on_begin(self, const Frame *frame) except -1
    cdef int _count_frame(self, Transaction transaction, size_t size) except -1
    cdef int _send_in_transaction(self, const Frame *frame, const Content *content) except -1
    cdef int _on_commit(self, const Frame *frame) except -1
    cdef int _on_abort(self, const Frame *frame) except -1
    cdef int _take_back(self, Transaction transaction) except -1
    cdef int _end_transaction(self, Transaction transaction) except -1
    cdef int _on_disconnect(self, const Frame *frame) except -1
    cdef bint _must_park(self, const Frame *frame) noexcept
    cdef int _park(self, int kind, const char *bytes, size_t length) except -1
    cdef void _limit_parked(self) noexcept
    cdef int _handle_parked(self, int kind, Slice record) except -1
    cdef int _park_again(self, const Text *parked) except -1


cdef Session session_new(Broker broker, OutBuf *out, Parser parser, void *connection)
