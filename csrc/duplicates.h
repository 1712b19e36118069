/* Floor 0: the names under which the last messages came, so that one that is sent twice comes once.
 *
 *   ring    | oldest | ... | newest |      the names in their order, of which there are `window` at most
 *   places  | name | 0 | name | ... |      an open-addressing set of the same names; 0: nothing here
 *
 * A name is a hash with a secret seed (property_hash): its low bits are its home, and nobody can crowd one. From a home
 * onwards there is no gap: who leaves is followed up by those behind it, without tombstones. The set has twice as many
 * slots as the ring, and both grow with what they hold, up to the share of the memory that all windows have together:
 * then the oldest name goes, as it does when the window is full. The first few names have room besides.
 */
#ifndef FASTBROKER_DUPLICATES_H
#define FASTBROKER_DUPLICATES_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "csrc/census.h"

enum { DUPLICATES_FEWEST = 16 };

typedef struct DuplicatesShare {
    const Ceiling *ceiling;
    Census *census;
    int64_t bytes; /* that all windows take ... */
    int64_t most;  /* ... and may take */
} DuplicatesShare;

typedef struct Duplicates {
    DuplicatesShare *share; /* outlives it */
    uint64_t *ring;
    uint64_t *places;
    size_t capacity; /* of the ring, a power of two */
    size_t oldest;
    size_t count;
    size_t window;
    uint64_t came;   /* names, since the first */
} Duplicates;

/* What both arrays take, in bytes. */
static inline int64_t duplicates_cost(size_t capacity) {
    return (int64_t)(3 * capacity * sizeof(uint64_t));
}

static inline void duplicates_charge(DuplicatesShare *share, int64_t bytes) {
    share->bytes += bytes;
    share->census->memory += bytes;
}

/* NULL when there is no memory. */
static inline Duplicates *duplicates_new(DuplicatesShare *share, size_t window) {
    Duplicates *names = (Duplicates *)calloc(1, sizeof(Duplicates));
    if (!names)
        return NULL;
    names->share = share;
    names->window = window;
    duplicates_charge(share, sizeof(Duplicates));
    return names;
}

static inline void duplicates_free(Duplicates *names) {
    duplicates_charge(names->share, -(int64_t)sizeof(Duplicates) - duplicates_cost(names->capacity));
    free(names->ring);
    free(names->places);
    free(names);
}

/* Where a name is, or would be put. */
static inline size_t duplicates_place(const uint64_t *places, size_t slots, uint64_t name) {
    size_t place = name & (slots - 1);
    while (places[place] && places[place] != name)
        place = (place + 1) & (slots - 1);
    return place;
}

static inline int duplicates_has(const Duplicates *names, uint64_t name) {
    return names->capacity && names->places[duplicates_place(names->places, 2 * names->capacity, name)] != 0;
}

static inline void duplicates_forget(Duplicates *names, uint64_t name) {
    size_t mask = 2 * names->capacity - 1, hole = duplicates_place(names->places, mask + 1, name), next = hole;
    for (;;) {
        next = (next + 1) & mask;
        if (!names->places[next])
            break;
        if (((next - names->places[next]) & mask) >= ((next - hole) & mask)) { /* its home is not behind the hole */
            names->places[hole] = names->places[next];
            hole = next;
        }
    }
    names->places[hole] = 0;
}

static inline void duplicates_forget_oldest(Duplicates *names) {
    duplicates_forget(names, names->ring[names->oldest]);
    names->oldest = (names->oldest + 1) & (names->capacity - 1);
    names->count--;
}

/* Into arrays of twice the size; 0 when there is no memory: nothing has changed then. */
static inline int duplicates_grow(Duplicates *names) {
    size_t capacity = names->capacity ? 2 * names->capacity : DUPLICATES_FEWEST, i;
    uint64_t *ring = (uint64_t *)malloc(capacity * sizeof(uint64_t));
    uint64_t *places = (uint64_t *)calloc(2 * capacity, sizeof(uint64_t));
    if (!ring || !places) {
        free(ring);
        free(places);
        return 0;
    }
    for (i = 0; i < names->count; i++) {
        ring[i] = names->ring[(names->oldest + i) & (names->capacity - 1)];
        places[duplicates_place(places, 2 * capacity, ring[i])] = ring[i];
    }
    duplicates_charge(names->share, duplicates_cost(capacity) - duplicates_cost(names->capacity));
    names->share->census->work += duplicates_cost(capacity);
    free(names->ring);
    free(names->places);
    names->ring = ring;
    names->places = places;
    names->capacity = capacity;
    names->oldest = 0;
    return 1;
}

static inline int duplicates_may_grow(const Duplicates *names) {
    const DuplicatesShare *share = names->share;
    int64_t more = duplicates_cost(names->capacity ? names->capacity : DUPLICATES_FEWEST);
    return ceiling_grants(share->ceiling, more) && (!names->capacity || share->bytes + more <= share->most);
}

/* A name that is not there. Where there is no memory for a single one, it is not remembered. */
static inline void duplicates_add(Duplicates *names, uint64_t name) {
    if (names->count < names->window && names->count == names->capacity && duplicates_may_grow(names))
        duplicates_grow(names);
    if (names->capacity == 0)
        return;
    if (names->count == names->window || names->count == names->capacity)
        duplicates_forget_oldest(names);
    names->places[duplicates_place(names->places, 2 * names->capacity, name)] = name;
    names->ring[(names->oldest + names->count) & (names->capacity - 1)] = name;
    names->count++;
    names->came++;
}

#endif
