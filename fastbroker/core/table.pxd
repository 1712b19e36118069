"""A hash table from bytes to a pointer (csrc/table.h, where its rules are): it copies no key and owns no value."""

from libc.stdint cimport uint32_t, uint64_t


cdef extern from "csrc/table.h" nogil:
    ctypedef struct TableSlot:
        uint32_t hash
        uint32_t length
        const char *key
        void *value

    ctypedef struct Table:
        size_t count
        uint64_t seed

    uint64_t hash_seed(uint64_t raw)
    uint64_t hash_fold(uint64_t a, uint64_t b)
    uint64_t hash_bytes(const char *key, size_t length, uint64_t seed)

    void table_init(Table *table, uint64_t seed)
    void table_free(Table *table)
    void *table_get(const Table *table, const char *key, size_t length)
    # 0: put in; 1: replaced what was there; -1: no memory, nothing changed. value must not be NULL.
    int table_put(Table *table, const char *key, size_t length, void *value)
    void *table_remove(Table *table, const char *key, size_t length)
    # The next occupied slot, or NULL; cursor starts at 0; the table must not change meanwhile.
    TableSlot *table_next(const Table *table, size_t *cursor)
    size_t table_memory(const Table *table)
