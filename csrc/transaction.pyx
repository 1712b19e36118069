"""Transactions: operations in the order of their frames, carried out or taken back all at once by the session."""
from libc.stdint cimport uint32_t, uint64_t
from libc.stdlib cimport free, realloc

from fastbroker.core.message cimport message_drop
from fastbroker.core.wire cimport Census


cdef Transaction transaction_new(bytes id, uint64_t deadline, Census *census):
    cdef Transaction new = Transaction()
    new.id = id
    new.deadline = deadline
    new.census = census
    new.kept = []
    census.transactions += 1
    return new


cdef class Transaction:

    def __dealloc__(self):
        cdef uint32_t i
        for i in range(self.count):
            if self.operations[i].message != NULL:
                message_drop(self.operations[i].message)
        free(self.operations)
        if self.census != NULL:
            self.census.transactions -= 1

    cdef Operation *add(self, int kind, object target) except NULL:
        """A new operation at the end; `target` lives as long as the transaction."""
        cdef uint32_t capacity = self.capacity
        cdef Operation *operations
        if self.count == capacity:
            capacity = capacity * 2 if capacity else 8
            operations = <Operation *>realloc(self.operations, capacity * sizeof(Operation))
            if operations == NULL:
                raise MemoryError()
            self.operations = operations
            self.capacity = capacity
        self.kept.append(target)
        operations = &self.operations[self.count]
        operations.kind = kind
        operations.message = NULL
        operations.target = <void *>target
        self.count += 1
        return operations
