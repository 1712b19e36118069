"""A face to Python of csrc/table.h, for its test: each key is at an address of its own, no longer than it must be."""
from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdint cimport uint64_t

from fastbroker.core.table cimport (
    Table, TableSlot, hash_bytes, hash_seed, table_free, table_get, table_init, table_memory, table_next, table_put,
    table_remove,
)


def bytes_hash(bytes key not None, uint64_t seed):
    return hash_bytes(key, len(key), hash_seed(seed))


cdef class Item:
    """The owner of a key."""
    cdef bytes key
    cdef object value


cdef class BytesTable:
    cdef Table table

    def __cinit__(self, uint64_t seed):
        table_init(&self.table, seed)

    def __dealloc__(self):
        self.clear()

    def __len__(self):
        return self.table.count

    @property
    def memory(self):
        return table_memory(&self.table)

    def get(self, bytes key not None):
        cdef void *found = table_get(&self.table, key, len(key))
        return None if found == NULL else (<Item>found).value

    def put(self, bytes key not None, value):
        """What table_put returns."""
        cdef Item item = Item()
        cdef void *old = table_get(&self.table, key, len(key))
        cdef int outcome
        item.key = bytes(bytearray(key))
        item.value = value
        outcome = table_put(&self.table, item.key, len(item.key), <void *>item)
        if outcome >= 0:
            Py_INCREF(item)
        if outcome == 1:
            Py_DECREF(<Item>old)
        return outcome

    def remove(self, bytes key not None):
        """The value that was there, or None."""
        cdef void *found = table_remove(&self.table, key, len(key))
        if found == NULL:
            return None
        value = (<Item>found).value
        Py_DECREF(<Item>found)
        return value

    def items(self):
        """(slot, hash, key, value) of all, in the order in which they lie in memory."""
        cdef size_t cursor = 0
        cdef TableSlot *slot = table_next(&self.table, &cursor)
        cdef list found = []
        while slot != NULL:
            found.append((cursor - 1, slot.hash, slot.key[:slot.length], (<Item>slot.value).value))
            slot = table_next(&self.table, &cursor)
        return found

    def clear(self):
        cdef size_t cursor = 0
        cdef TableSlot *slot = table_next(&self.table, &cursor)
        while slot != NULL:
            Py_DECREF(<Item>slot.value)
            slot = table_next(&self.table, &cursor)
        table_free(&self.table)
