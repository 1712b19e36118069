"""Transactions: operations in the order of their frames, carried out or taken back all at once by the session."""
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc

from fastbroker.core.journal cimport RECORD_COMMITTED, Part, part_of
from fastbroker.core.message cimport message_drop, message_new
from fastbroker.core.wire cimport account_charge

cdef enum:
    COST = 512              # bytes of a transaction beside its id
    FEWEST = 8
    KEPT_COST = 8           # bytes of an operation's place in `kept`
    REFUSAL_COST = 160      # of what a NACK says, beside the text
    OWED_COST = 48          # of a receipt that is owed, beside its name


cdef Transaction transaction_new(bytes id, Census *census, Account *account):
    cdef Transaction new = Transaction()
    new.id = id
    new.census = census
    new.account = account
    new.kept = []
    census.transactions += 1
    account_charge(account, COST + len(id))
    return new


cdef int64_t operations_cost(uint32_t capacity) noexcept:
    return <int64_t>capacity * <int64_t>(sizeof(Operation) + KEPT_COST)


cdef Operation *add(Transaction transaction, object target) except NULL:
    """A new operation at the end; `target` lives as long as the transaction."""
    cdef uint32_t capacity = transaction.capacity
    cdef Operation *operations
    if transaction.count == capacity:
        capacity = capacity * 2 if capacity else FEWEST
        operations = <Operation *>realloc(transaction.operations, capacity * sizeof(Operation))
        if operations == NULL:
            raise MemoryError()
        account_charge(transaction.account, operations_cost(capacity) - operations_cost(transaction.capacity))
        transaction.operations = operations
        transaction.capacity = capacity
    transaction.kept.append(target)
    operations = &transaction.operations[transaction.count]
    operations.message = NULL
    operations.target = <void *>target
    transaction.count += 1
    return operations


cdef int keep_refusal(Transaction transaction, Refusal refusal) except -1:
    """Once for all the deliveries of one NACK."""
    cdef int64_t cost
    if transaction.refusals is None:
        transaction.refusals = []
    elif transaction.refusals[len(transaction.refusals) - 1] is refusal:
        return 0
    cost = REFUSAL_COST + (len(refusal.text) if refusal.text is not None else 0)
    transaction.refusals.append(refusal)
    transaction.refusals_cost += cost
    account_charge(transaction.account, cost)
    return 0


cdef class Transaction:

    def __dealloc__(self):
        self.end()
        if self.census != NULL:
            self.census.transactions -= 1

    cdef int send(self, Route route, const Content *content) except -1:
        """A SEND that waits for COMMIT."""
        cdef Operation *operation = add(self, route)
        try:
            operation.message = message_new(self.census, content, 0)
        except MemoryError:
            self.count -= 1
            raise
        return 0

    cdef int note(self, Subscription subscription, uint32_t slot, Verdict verdict, Refusal refusal) except -1:
        """A delivery that COMMIT settles."""
        cdef Operation *operation = add(self, subscription)
        operation.slot = slot
        operation.verdict = verdict
        operation.refusal = NULL
        if refusal is not None:
            operation.refusal = <void *>refusal
            keep_refusal(self, refusal)
        return 0

    cdef void owe(self, const char *receipt, size_t length):
        self.receipt = receipt[:length]
        account_charge(self.account, length)

    cdef int owe_send(self, const char *receipt, size_t length) except -1:
        if self.owed is None:
            self.owed = []
        self.owed.append(receipt[:length])
        self.owed_cost += OWED_COST + <int64_t>length
        account_charge(self.account, OWED_COST + <int64_t>length)
        return 0

    cdef void begin_records(self, Journal journal) noexcept:
        """What is recorded from now on holds when the transaction is committed."""
        if journal is None:
            return
        if self.number == 0:
            journal.last_transaction += 1
            self.number = journal.last_transaction
            journal.unfinished.add(self.number)
        journal.transaction = self.number

    cdef int end_records(self, Journal journal, bint some, bint done) except -1:
        """Something was, perhaps; and that was all, perhaps."""
        cdef uint64_t number = self.number
        cdef Part part = part_of(&number, sizeof(number))
        if journal is None:
            return 0
        journal.transaction = 0
        self.recorded = self.recorded or some
        if done:
            journal.unfinished.discard(self.number)
        if done and self.recorded:
            journal.put(RECORD_COMMITTED, 0, &part, 1)
            journal.space.current.behind = True
        return 0

    cdef void end(self) noexcept:
        """It was carried out or taken back."""
        cdef uint32_t i
        for i in range(self.count):
            if self.operations[i].message != NULL:
                message_drop(self.operations[i].message)
        free(self.operations)
        if self.id is not None:
            account_charge(self.account, -operations_cost(self.capacity) - COST - <int64_t>len(self.id))
        if self.refusals is not None:
            account_charge(self.account, -self.refusals_cost)
        if self.receipt is not None:
            account_charge(self.account, -<int64_t>len(self.receipt))
        if self.owed is not None:
            account_charge(self.account, -self.owed_cost)
        self.operations = NULL
        self.count = self.capacity = 0
        self.kept = self.refusals = self.id = self.receipt = self.owed = None
