/* Table: an open-addressing hash table from bytes to a pointer, and the hash function of everything that hashes here.
 *
 *   Table ──> slots   ┌──────────┬────────┬─────┬───────┐
 *                     │ hash     │ length │ key │ value │  24 bytes; value NULL = nothing here
 *                     ├──────────┼────────┼──│──┼───│───┤
 *                     │   ...    │        │  │  │   │   │
 *                                            v      v
 *                          bytes inside the owner of the value: never copied, never freed
 *
 * The owner of a value keeps the bytes of its key alive and unchanged until table_remove, or until table_put replaced
 * it.
 *
 * A key's home is the top bits of its hash. Slots from a home onwards are kept in the order of their homes ("Robin
 * Hood"): nobody sits further from home than one who stands before them. So a look-up of something absent ends early
 * even at 7/8 full, removal is a shift of the run behind it, without tombstones, and growing walks both arrays from
 * front to back.
 *
 * Clients choose the keys, so the hash takes a secret seed. Give each table a seed of its own: filling one table
 * in the order in which another with the same seed is walked would crowd its front.
 */
#ifndef FASTBROKER_TABLE_H
#define FASTBROKER_TABLE_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_MIN_BITS 2
#define TABLE_MAX_BITS 31

typedef struct {
    uint32_t hash;
    uint32_t length;
    const char *key;
    void *value;
} TableSlot;

typedef struct {
    TableSlot *slots; /* NULL until the first table_put */
    size_t count;
    uint64_t seed;
    unsigned bits; /* there are 1 << bits slots */
} Table;

/* ---- hashing ---------------------------------------------------------------------------------------------------- */

/* The 128-bit product folded onto itself: every bit of the result depends on nearly every bit of both factors. */
static inline uint64_t hash_fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint64_t hash_read64(const char *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

static inline uint64_t hash_read32(const char *p)
{
    uint32_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

/* Any number, however poor, into a seed with all bits mixed. */
static inline uint64_t hash_seed(uint64_t raw)
{
    return hash_fold(raw ^ 0x8f14e45fceea1675u, 0xd6e8feb86659fd93u) ^ raw;
}

/* Both factors of every step hide behind the seed, so nobody can bring about a product with zero without knowing it. */
static inline uint64_t hash_bytes(const char *key, size_t length, uint64_t seed)
{
    uint64_t state = hash_fold(length ^ 0xa0761d6478bd642fu, seed ^ 0xe7037ed1a0b428dbu);
    uint64_t first = 0, last = 0;
    while (length > 16) {
        state = hash_fold(hash_read64(key) ^ seed, hash_read64(key + 8) ^ state);
        key += 16;
        length -= 16;
    }
    if (length >= 8) {
        first = hash_read64(key);
        last = hash_read64(key + length - 8);
    } else if (length >= 4) {
        first = hash_read32(key);
        last = hash_read32(key + length - 4);
    } else if (length > 0) {
        first = (uint64_t)(unsigned char)key[0] << 16 | (uint64_t)(unsigned char)key[length >> 1] << 8
            | (unsigned char)key[length - 1];
    }
    return hash_fold(hash_fold(first ^ seed, last ^ state), seed ^ 0x9fb21c651e98df25u);
}

/* ---- slots ------------------------------------------------------------------------------------------------------ */

static inline size_t table_capacity(const Table *table)
{
    return table->slots ? (size_t)1 << table->bits : 0;
}

static inline size_t table_memory(const Table *table)
{
    return table_capacity(table) * sizeof(TableSlot);
}

static inline size_t table_home(const Table *table, uint32_t hash)
{
    return hash >> (32 - table->bits);
}

static inline size_t table_distance(const Table *table, size_t index)
{
    return (index - table_home(table, table->slots[index].hash)) & (table_capacity(table) - 1);
}

/* The slot of a key, or NULL. */
static inline TableSlot *table_find(const Table *table, const char *key, size_t length, uint32_t hash)
{
    if (!table->slots)
        return NULL;
    size_t mask = table_capacity(table) - 1, index = table_home(table, hash);
    for (size_t distance = 0;; distance++, index = (index + 1) & mask) {
        TableSlot *slot = &table->slots[index];
        if (!slot->value)
            return NULL;
        if (slot->hash == hash && slot->length == length && memcmp(slot->key, key, length) == 0)
            return slot;
        if (table_distance(table, index) < distance)
            return NULL;
    }
}

/* Puts in a key that is not there; there must be room. Who is nearer to home makes way. */
static inline void table_place(Table *table, TableSlot item)
{
    size_t mask = table_capacity(table) - 1, index = table_home(table, item.hash), distance = 0;
    for (; table->slots[index].value; distance++, index = (index + 1) & mask) {
        size_t theirs = table_distance(table, index);
        if (theirs < distance) {
            TableSlot moved = table->slots[index];
            table->slots[index] = item;
            item = moved;
            distance = theirs;
        }
    }
    table->slots[index] = item;
}

/* -1 when there is no memory: the table is then as it was. */
static inline int table_resize(Table *table, unsigned bits)
{
    TableSlot *old = table->slots;
    size_t old_capacity = table_capacity(table);
    TableSlot *slots = bits > TABLE_MAX_BITS ? NULL : (TableSlot *)calloc((size_t)1 << bits, sizeof(TableSlot));
    if (!slots)
        return -1;
    table->slots = slots;
    table->bits = bits;
    for (size_t i = 0; i < old_capacity; i++)
        if (old[i].value)
            table_place(table, old[i]);
    free(old);
    return 0;
}

static inline int table_reserve_one(Table *table)
{
    size_t capacity = table_capacity(table);
    if (!capacity)
        return table_resize(table, TABLE_MIN_BITS);
    if (table->count < capacity - capacity / 8 - (capacity < 8))
        return 0;
    return table_resize(table, table->bits + 1);
}

/* ---- what users call -------------------------------------------------------------------------------------------- */

/* An empty table takes no memory. */
static inline void table_init(Table *table, uint64_t seed)
{
    memset(table, 0, sizeof *table);
    table->seed = hash_seed(seed);
}

/* Gives back the slots; values are their owners' business. The table is then empty and may be used again. */
static inline void table_free(Table *table)
{
    free(table->slots);
    table->slots = NULL;
    table->count = 0;
    table->bits = 0;
}

static inline void *table_get(const Table *table, const char *key, size_t length)
{
    TableSlot *slot = table_find(table, key, length, (uint32_t)hash_bytes(key, length, table->seed));
    return slot ? slot->value : NULL;
}

/* 0: put in. 1: it replaced the value (and the key's address) that was there. -1: no memory, nothing changed.
 * value must not be NULL. */
static inline int table_put(Table *table, const char *key, size_t length, void *value)
{
    TableSlot item = {(uint32_t)hash_bytes(key, length, table->seed), (uint32_t)length, key, value};
    TableSlot *slot = table_find(table, key, length, item.hash);
    if (slot) {
        *slot = item;
        return 1;
    }
    if (length > UINT32_MAX || table_reserve_one(table) < 0)
        return -1;
    table_place(table, item);
    table->count++;
    return 0;
}

/* The value that was there, or NULL. Never fails: when there is no memory to shrink into, the table stays large. */
static inline void *table_remove(Table *table, const char *key, size_t length)
{
    TableSlot *slot = table_find(table, key, length, (uint32_t)hash_bytes(key, length, table->seed));
    if (!slot)
        return NULL;
    void *value = slot->value;
    size_t mask = table_capacity(table) - 1, hole = (size_t)(slot - table->slots), next = (hole + 1) & mask;
    while (table->slots[next].value && table_distance(table, next) > 0) {
        table->slots[hole] = table->slots[next];
        hole = next;
        next = (next + 1) & mask;
    }
    table->slots[hole].value = NULL;
    table->count--;
    if (table->bits > TABLE_MIN_BITS && table->count < (mask + 1) / 8)
        table_resize(table, table->bits - 1);
    return value;
}

/* The next occupied slot, or NULL at the end; *cursor starts at 0. The table must not change while it is walked. */
static inline TableSlot *table_next(const Table *table, size_t *cursor)
{
    size_t capacity = table_capacity(table);
    while (*cursor < capacity) {
        TableSlot *slot = &table->slots[(*cursor)++];
        if (slot->value)
            return slot;
    }
    return NULL;
}

#endif
