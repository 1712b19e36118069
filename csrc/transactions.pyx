"""BEGIN, COMMIT, ABORT, and the frames between them (STOMP 1.2, "BEGIN").

A transaction is bounded in frames and bytes, and a client in transactions; what they hold is charged to the client. At
the memory ceiling BEGIN and SEND wait, an ACK within one is refused: only what ends a transaction always goes on.
"""
from libc.stdint cimport int64_t, uint32_t

from fastbroker.core.composite cimport limited_queues
from fastbroker.core.frame cimport frame_text
from fastbroker.core.ledger cimport Delivery
from fastbroker.core.message cimport message_content, message_cost, message_properties
from fastbroker.core.queue cimport ACKED, Queue
from fastbroker.core.rules cimport Load, admit, load_of
from fastbroker.core.schedule cimport comes_later
from fastbroker.core.settling cimport settle_in, settle_one, take_back
from fastbroker.core.transaction cimport Operation, transaction_new
from fastbroker.core.wire cimport KNOWN_TRANSACTION, Census, Properties, ceiling_reached, census_spent

from fastbroker.core.frame import Refused

cdef enum:
    OPERATION_WORK = 128    # what one takes at its COMMIT beside the output that it causes, in bytes of that


cdef Transactions transactions_of(Namespace namespace, Account *account):
    cdef Transactions new = Transactions()
    new.namespace = namespace
    new.account = account
    new.open = {}
    return new


cdef class Transactions:

    cdef int begin(self, const Frame *frame) except -1:
        cdef bytes id = frame_text(frame, KNOWN_TRANSACTION)
        if not id:
            raise Refused(b"missing header", b"BEGIN needs a transaction header.")
        if id in self.open:
            raise Refused(b"duplicate transaction", b"A transaction with this id is open already.")
        if len(self.open) >= <Py_ssize_t>self.namespace.limits.max_transactions:
            raise Refused(b"too many transactions", b"The connection has limits.max_transactions open transactions.")
        self.open[id] = transaction_new(id, self.namespace.census, self.account)
        return 0

    cdef int send(self, const Frame *frame, Route route, const Content *content) except -1:
        cdef Transaction transaction = named(self, frame)
        count_frame(self, transaction, frame.size)
        if content.properties != NULL and comes_later(content.properties):
            transaction.later += message_cost(content)
        else:
            transaction.limited = transaction.limited or bool(limited_queues(route))
        return transaction.send(route, content)

    cdef int settle(self, const Frame *frame, Subscription subscription, uint32_t slot, Verdict verdict,
                    Refusal refusal) except -1:
        cdef Transaction transaction = named(self, frame)
        count_frame(self, transaction, frame.size if refusal is not None else 0)
        if ceiling_reached(self.namespace.ceiling):
            raise Refused(b"server busy",
                          b"The memory ceiling is reached; a transaction cannot grow now. Try again later.")
        return settle_in(transaction, subscription, slot, verdict, refusal)

    cdef int owe(self, const Frame *frame, Slice receipt) except -1:
        """A SEND's comes with COMMIT; after ABORT it does not."""
        return named(self, frame).owe_send(receipt.bytes, receipt.length)

    cdef int ask_for_room(self, const Frame *frame, Origin *origin) except -1:
        """Before a COMMIT: whether queues with a limit have room for all that it brings, less what it settles, and the
        schedule for the rest. Raises Refused if one has not, or has it wait and come again."""
        cdef Transaction transaction = named(self, frame)
        cdef dict more
        if transaction.later:
            self.namespace.schedule.ask_for_room(transaction.later)
        if not transaction.limited:
            return 0
        more = brought_to_queues(self, transaction)
        for queue in more:
            messages, bytes = more[queue]
            if not (<Queue>queue).removed and not origin.untaken:
                admit(<Queue>queue, max(messages, 0), max(bytes, 0), origin)
        return 0

    cdef Transaction commit(self, const Frame *frame):
        """It is not open any more: whatever comes, it will be carried out."""
        return taken(self, named(self, frame))

    cdef bint carry_out(self, Transaction transaction, Origin *origin, int64_t until) except -1:
        """In the order of its frames, before any other frame of its client is looked at, until there was so much output
        and work; whether all is done now."""
        cdef Census *census = self.namespace.census
        try:
            while transaction.done < transaction.count and census_spent(census) <= until:
                carry_out_one(self, &transaction.operations[transaction.done], origin)
                transaction.done += 1
        except:
            roll_back(transaction)
            raise
        if transaction.done < transaction.count:
            return False
        transaction.end()
        return True

    cdef int abort(self, const Frame *frame) except -1:
        return roll_back(taken(self, named(self, frame)))

    cdef int abort_any(self) except -1:
        """One of those that are open: the connection ends."""
        return roll_back(taken(self, next(iter(self.open.values()))))


cdef Transaction named(Transactions self, const Frame *frame):
    """The open transaction that the frame names."""
    cdef bytes id = frame_text(frame, KNOWN_TRANSACTION)
    cdef Transaction transaction
    if not id:
        raise Refused(b"missing header", b"The frame needs a transaction header.")
    transaction = self.open.get(id)
    if transaction is None:
        raise Refused(b"unknown transaction", b"No transaction with this id is open; BEGIN starts one.")
    return transaction


cdef int count_frame(Transactions self, Transaction transaction, size_t size) except -1:
    transaction.frames += 1
    transaction.bytes += size
    if (transaction.frames > self.namespace.limits.max_transaction_frames
            or transaction.bytes > self.namespace.limits.max_transaction_bytes):
        raise Refused(b"transaction too large", b"limits.max_transaction_frames or max_transaction_bytes is reached.")
    return 0


cdef dict brought_to_queues(Transactions self, Transaction transaction):
    """[messages, bytes] for each queue that a transaction has to do with."""
    cdef dict more = {}
    cdef const Operation *operation
    cdef const Delivery *delivery
    cdef uint32_t i
    self.namespace.census.work += <int64_t>transaction.count * OPERATION_WORK
    for i in range(transaction.count):
        operation = &transaction.operations[i]
        if operation.message == NULL and operation.verdict == ACKED:
            delivery = &(<Subscription>operation.target).ledger.slots[operation.slot]
            add_to(more, (<Subscription>operation.target).source, -1, -<int64_t>delivery.entry.message.size)
        elif operation.message != NULL:
            add_message(self, more, operation)
    return more


cdef int add_message(Transactions self, dict more, const Operation *operation) except -1:
    """For each queue with rules that it gets into now."""
    cdef const Properties *asks = message_properties(operation.message)
    cdef Load load
    if asks != NULL and comes_later(asks):
        return 0
    for queue in limited_queues(<Route>operation.target):
        self.namespace.census.work += OPERATION_WORK
        load = load_of(<Queue>queue, asks, operation.message.size)
        add_to(more, queue, load.messages, load.bytes)
    return 0


cdef int add_to(dict more, object queue, int64_t messages, int64_t bytes) except -1:
    cdef list sums = more.setdefault(queue, [0, 0])
    sums[0] += messages
    sums[1] += bytes
    return 0


cdef int carry_out_one(Transactions self, Operation *operation, Origin *origin) except -1:
    cdef Content content
    self.namespace.census.work += OPERATION_WORK
    if operation.message == NULL:
        return settle_one(<Subscription>operation.target, operation.slot, operation.verdict,
                          <Refusal>operation.refusal if operation.refusal != NULL else None)
    message_content(operation.message, &content)
    return self.namespace.accept(<Route>operation.target, &content, origin)


cdef int roll_back(Transaction transaction) except -1:
    """What was acknowledged in it, and was not settled by a COMMIT, is not acknowledged any more."""
    cdef Operation *operation
    cdef uint32_t i
    transaction.census.work += OPERATION_WORK * <int64_t>(transaction.count - transaction.done)
    try:
        for i in range(transaction.done, transaction.count):
            operation = &transaction.operations[i]
            if operation.message == NULL:
                take_back(<Subscription>operation.target, operation.slot)
    finally:
        transaction.end()
    return 0


cdef Transaction taken(Transactions self, Transaction transaction):
    del self.open[transaction.id]
    return transaction
