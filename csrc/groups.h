/* Floor 0: the groups of a queue's messages.
 *
 *     name --> Group | owner ---> consumer     who gets all of it, in order; NULL: whoever takes the first
 *                    | out                     what consumers have of it, and what rests
 *                    | waiting                 what waits, ...
 *                    | places [ | | | ]        ... and where: a heap, the first on top
 *
 * A group is held while something of it waits or is out. One with an owner and nothing else is idle: of those the
 * oldest are forgotten when there are too many, and the next message of such a group goes to anybody.
 *
 * What is taken out of its turn leaves its place in the heap, until that is on top, or half of the heap is such places.
 */
#ifndef FASTBROKER_GROUPS_H
#define FASTBROKER_GROUPS_H

#include <stdint.h>
#include <stdlib.h>

#include "csrc/census.h"
#include "csrc/ring.h"
#include "csrc/table.h"

enum { FEWEST_PLACES = 2 };

typedef struct Group {
    uint64_t name;
    void *owner;
    uint64_t *places;
    uint32_t count, capacity; /* of places */
    uint32_t waiting, out;
    uint8_t closed; /* whoever takes the next message has it, whatever is out */
    Link owned;     /* in the ring of its owner */
    Link idle;      /* in that of the queue */
} Group;

typedef struct Groups {
    Table by_name;
    Link idle;
    uint32_t idle_count;
    Census *census;
} Groups;

/* NULL when there is no memory. */
static inline Groups *groups_new(Census *census, uint64_t seed) {
    Groups *groups = (Groups *)calloc(1, sizeof(Groups));
    if (!groups)
        return NULL;
    table_init(&groups->by_name, seed);
    ring_init(&groups->idle);
    groups->census = census;
    census->memory += sizeof(Groups);
    return groups;
}

static inline Group *group_find(const Groups *groups, uint64_t name) {
    return (Group *)table_get(&groups->by_name, (const char *)&name, sizeof name);
}

static inline void group_busy(Groups *groups, Group *group) {
    groups->idle_count -= (uint32_t)link_joined(&group->idle);
    link_leave(&group->idle);
}

static inline void group_drop(Groups *groups, Group *group) {
    groups->census->memory -= (int64_t)(sizeof(Group) + group->capacity * sizeof(uint64_t));
    link_leave(&group->owned);
    free(group->places);
    free(group);
}

/* It is forgotten. */
static inline void group_end(Groups *groups, Group *group) {
    size_t before = table_memory(&groups->by_name);
    group_busy(groups, group);
    table_remove(&groups->by_name, (const char *)&group->name, sizeof group->name);
    groups->census->memory += (int64_t)table_memory(&groups->by_name) - (int64_t)before;
    group_drop(groups, group);
}

/* The one of that name; a new one if there is none. NULL when there is no memory. */
static inline Group *group_made(Groups *groups, uint64_t name) {
    size_t before = table_memory(&groups->by_name);
    Group *group = group_find(groups, name);
    if (group)
        return group;
    group = (Group *)calloc(1, sizeof(Group));
    if (!group)
        return NULL;
    group->name = name;
    link_init(&group->owned, group);
    link_init(&group->idle, group);
    if (table_put(&groups->by_name, (const char *)&group->name, sizeof group->name, group) < 0) {
        free(group);
        return NULL;
    }
    groups->census->memory += (int64_t)(table_memory(&groups->by_name) - before + sizeof(Group));
    return group;
}

static inline void groups_free(Groups *groups) {
    size_t cursor = 0;
    for (TableSlot *slot = table_next(&groups->by_name, &cursor); slot; slot = table_next(&groups->by_name, &cursor))
        group_drop(groups, (Group *)slot->value);
    groups->census->memory -= (int64_t)(sizeof(Groups) + table_memory(&groups->by_name));
    table_free(&groups->by_name);
    free(groups);
}

/* It has an owner and nothing else; the oldest of too many is forgotten. */
static inline void group_rest(Groups *groups, Group *group, uint32_t most) {
    if (!link_joined(&group->idle))
        groups->idle_count++;
    link_join(&groups->idle, &group->idle);
    if (groups->idle_count > most)
        group_end(groups, (Group *)groups->idle.next->owner);
}

/* ---- places ---- */

static inline void places_clear(Groups *groups, Group *group) {
    groups->census->memory -= (int64_t)(group->capacity * sizeof(uint64_t));
    free(group->places);
    group->places = NULL;
    group->count = group->capacity = 0;
}

static inline void place_sink(Group *group, uint32_t at, uint64_t place) {
    for (uint32_t child = 2 * at + 1; child < group->count; child = 2 * at + 1) {
        if (child + 1 < group->count && group->places[child + 1] < group->places[child])
            child++;
        if (place <= group->places[child])
            break;
        group->places[at] = group->places[child];
        at = child;
    }
    group->places[at] = place;
}

/* -1: no memory. */
static inline int place_add(Groups *groups, Group *group, uint64_t place) {
    uint32_t at = group->count;
    if (at == group->capacity) {
        uint32_t capacity = at ? 2 * at : FEWEST_PLACES;
        uint64_t *places = (uint64_t *)realloc(group->places, capacity * sizeof(uint64_t));
        if (!places)
            return -1;
        groups->census->memory += (int64_t)((capacity - at) * sizeof(uint64_t));
        group->places = places;
        group->capacity = capacity;
    }
    group->count++;
    for (; at > 0 && group->places[(at - 1) / 2] > place; at = (at - 1) / 2)
        group->places[at] = group->places[(at - 1) / 2];
    group->places[at] = place;
    return 0;
}

/* Takes the first away. */
static inline void place_pop(Group *group) {
    uint64_t last = group->places[--group->count];
    if (group->count)
        place_sink(group, 0, last);
}

static inline int place_order(const void *one, const void *other) {
    uint64_t a = *(const uint64_t *)one, b = *(const uint64_t *)other;
    return (a > b) - (a < b);
}

static inline void places_sort(Group *group) {
    if (group->count)   /* else there may be no places */
        qsort(group->places, group->count, sizeof(uint64_t), place_order);
}

#endif
