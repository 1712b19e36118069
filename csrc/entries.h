/* Entries: the values at one pattern, and the list that a match makes of them.
 *
 *      0                    nobody
 *      TrieEntry *          one
 *      EntryArray * | 1     more:   │ count │ room │ value, value, ... │ TrieEntry *, TrieEntry *, ... │
 *
 * The values lie together, so that a match copies them in one piece.
 */
#ifndef FASTBROKER_ENTRIES_H
#define FASTBROKER_ENTRIES_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* One value at one pattern: a field of its owner (a subscription), zeroed before its first use. The trie keeps a
 * pointer to it from insert to remove, so the owner neither moves nor goes away in between. */
typedef struct TrieEntry {
    void *value;   /* opaque: a receiver */
    uint32_t node; /* where it is attached, 0 = nowhere */
    uint32_t slot; /* its place among the entries there */
} TrieEntry;

/* What a match appends to; zeroed before its first use, used again with count = 0. */
typedef struct Matches {
    void **items;
    size_t count;
    size_t capacity;
} Matches;

typedef uintptr_t Entries;

typedef struct EntryArray {
    uint32_t count, room;
    void *values[]; /* room of them, and as many entries behind them */
} EntryArray;

/* ---- memory ----------------------------------------------------------------------------------------------------- */

typedef struct Charge {
    int64_t bytes;
    int64_t *counted; /* where they are added as well, or NULL */
} Charge;

static inline void charge(Charge *account, int64_t bytes) {
    account->bytes += bytes;
    if (account->counted != NULL)
        *account->counted += bytes;
}

/* What malloc takes for so many bytes, with what it writes in front of them. */
static inline int64_t heap_size(size_t bytes) {
    return bytes <= 24 ? 32 : (int64_t)((bytes + 8 + 15) & ~(size_t)15);
}

static inline void *heap_take(Charge *account, size_t bytes) {
    void *taken = malloc(bytes);
    if (taken != NULL)
        charge(account, heap_size(bytes));
    return taken;
}

static inline void heap_give(Charge *account, void *taken, size_t bytes) {
    free(taken);
    charge(account, -heap_size(bytes));
}

/* ---- what was found --------------------------------------------------------------------------------------------- */

static inline int matches_reserve(Matches *matches, size_t more) {
    size_t capacity = matches->capacity ? matches->capacity : 16;
    void **items;
    if (matches->count + more <= matches->capacity)
        return 0;
    while (capacity < matches->count + more)
        capacity *= 2;
    items = (void **)realloc(matches->items, capacity * sizeof(void *));
    if (items == NULL)
        return -1;
    matches->items = items;
    matches->capacity = capacity;
    return 0;
}

static inline void matches_free(Matches *matches) {
    free(matches->items);
    memset(matches, 0, sizeof *matches);
}

/* ---- entries ---------------------------------------------------------------------------------------------------- */

static inline EntryArray *entry_array(Entries entries) {
    return entries & 1 ? (EntryArray *)(entries - 1) : NULL;
}

static inline int entries_single(Entries entries) {
    return entries != 0 && (entries & 1) == 0;
}

static inline TrieEntry **entry_owners(EntryArray *array) {
    return (TrieEntry **)(array->values + array->room);
}

static inline size_t entry_array_size(uint32_t room) {
    return sizeof(EntryArray) + 2 * sizeof(void *) * room;
}

static inline void entries_put(EntryArray *array, uint32_t slot, TrieEntry *entry) {
    array->values[slot] = entry->value;
    entry_owners(array)[slot] = entry;
    entry->slot = slot;
}

/* A copy with room for so many; what was there before is not freed. */
static inline EntryArray *entry_array_of(Charge *account, Entries entries, uint32_t room) {
    EntryArray *old = entry_array(entries), *array = (EntryArray *)heap_take(account, entry_array_size(room));
    if (array == NULL)
        return NULL;
    array->room = room;
    if (old == NULL) {
        array->count = 1;
        entries_put(array, 0, (TrieEntry *)entries);
        return array;
    }
    array->count = old->count;
    memcpy(array->values, old->values, old->count * sizeof(void *));
    memcpy(entry_owners(array), entry_owners(old), old->count * sizeof(void *));
    return array;
}

static inline void entries_free(Charge *account, Entries entries) {
    EntryArray *array = entry_array(entries);
    if (array != NULL)
        heap_give(account, array, entry_array_size(array->room));
}

static inline int entries_resize(Charge *account, Entries *entries, uint32_t room) {
    EntryArray *array = entry_array_of(account, *entries, room);
    if (array == NULL)
        return -1;
    entries_free(account, *entries);
    *entries = (Entries)array | 1;
    return 0;
}

/* -1 when there is no memory: all is then as it was. */
static inline int entries_add(Charge *account, Entries *entries, TrieEntry *entry) {
    EntryArray *array = entry_array(*entries);
    uint32_t room = array == NULL ? 1 : array->room;
    if (*entries == 0) {
        entry->slot = 0;
        *entries = (Entries)entry;
        return 0;
    }
    if (array == NULL || array->count == room) {
        if (room > UINT32_MAX / 2 || entries_resize(account, entries, 2 * room) < 0)
            return -1;
        array = entry_array(*entries);
    }
    entries_put(array, array->count++, entry);
    return 0;
}

/* The last entry takes its slot. Without memory for a smaller array it merely stays large. */
static inline void entries_remove(Charge *account, Entries *entries, TrieEntry *entry) {
    EntryArray *array = entry_array(*entries);
    if (array == NULL) {
        *entries = 0;
        return;
    }
    array->count--;
    entries_put(array, entry->slot, entry_owners(array)[array->count]);
    if (array->count == 1) {
        TrieEntry *last = entry_owners(array)[0];
        entries_free(account, *entries);
        *entries = (Entries)last;
    } else if (array->count <= array->room / 4) {
        entries_resize(account, entries, array->room / 2);
    }
}

static inline int entries_emit(Entries entries, Matches *out) {
    EntryArray *array = entry_array(entries);
    size_t count = array != NULL ? array->count : entries != 0;
    if (count == 0)
        return 0;
    if (matches_reserve(out, count) < 0)
        return -1;
    if (array != NULL)
        memcpy(out->items + out->count, array->values, count * sizeof(void *));
    else
        out->items[out->count] = ((TrieEntry *)entries)->value;
    out->count += count;
    return 0;
}

#endif
