/* Floor 0: moving messages, where a few hold many slabs.
 *
 *     slabs   [x...x] [....x] [xxxxx] [.x...]      room for eleven blocks, so two slabs can be empty: the emptiest are
 *     moved   [xxxx.] (empty) [xxxxx] (empty)      left
 *
 * No block is taken from a slab that is left. A round goes to all who keep messages, a slice at a time, and each moves
 * what it keeps in such slabs to where the next block is taken: a message that nobody else holds. It begins when what
 * the slabs cost is much more than the blocks in them.
 *
 * A build with assertions has no slabs: there a round moves all messages.
 */
#ifndef FASTBROKER_MOVING_H
#define FASTBROKER_MOVING_H

#include "csrc/blocks.h"

#define WORTH_MOVING ((int64_t)1 << 20)
#define VISIT_COST 64 /* of one keeper, in bytes that could be moved meanwhile */
#define EIGHTHS 8

enum { KEEPS_OTHERS, KEEPS_QUEUE, KEEPS_LEDGER };

/* Who keeps messages. */
typedef struct Keeper {
    Link link;
    int kind;                                      /* KEEPS_* */
    size_t place;                                  /* where it goes on; 0 when it has been through */
    int64_t (*visit)(void *owner, int64_t budget); /* moves messages; returns what is left of the budget */
} Keeper;

static inline void keeper_join(Census *census, Keeper *keeper, int64_t (*visit)(void *, int64_t), void *owner) {
    link_init(&keeper->link, owner);
    keeper->kind = KEEPS_OTHERS;
    keeper->place = 0;
    keeper->visit = visit;
    link_join(&census->blocks->keepers, &keeper->link);
}

static inline void keeper_leave(Keeper *keeper) {
    link_leave(&keeper->link);
}

#ifdef NDEBUG

/* Whether so much more is held than is taken. */
static inline int blocks_sparse(const Blocks *blocks, int64_t tolerated) {
    return blocks->account.bytes - blocks->taken > tolerated + WORTH_MOVING;
}

/* Whether it has to go, and there is room where it would go. */
static inline int block_is_left(const Blocks *blocks, const void *block) {
    const Slab *slab = slab_of(block);
    return slab->left && !ring_empty(&blocks->rings[slab->class]);
}

static inline size_t slab_capacity(const Slab *slab) {
    return (slab->length - SLAB_HEAD) / slab->bytes;
}

/* How full it is, from 0 to EIGHTHS - 1; one that is full is not in the ring. */
static inline size_t slab_eighths(const Slab *slab) {
    return slab->used * EIGHTHS / slab_capacity(slab);
}

/* As many slabs of a class as could be empty if all its blocks were moved together; returns up to how many eighths they
 * are full. */
static size_t slabs_too_many(const Link *ring, size_t *many) {
    size_t counts[EIGHTHS] = {0}, room = 0, capacity = 1, eighths = 0, enough;
    const Link *link;
    for (link = ring->next; link != ring; link = link->next) {
        const Slab *slab = (const Slab *)link->owner;
        if (slab->used == 0)
            continue;
        capacity = slab_capacity(slab);
        room += capacity - slab->used;
        counts[slab_eighths(slab)]++;
    }
    *many = room / capacity;
    for (enough = counts[0]; enough < *many && eighths < EIGHTHS - 1; enough += counts[eighths])
        eighths++;
    return eighths;
}

/* The emptiest slabs are left. */
static void slabs_choose(Blocks *blocks, const Link *ring) {
    size_t many, eighths = slabs_too_many(ring, &many);
    Link *link, *next;
    for (link = ring->next; many > 0 && link != ring; link = next) {
        Slab *slab = (Slab *)link->owner;
        next = link->next;
        if (slab->used == 0 || slab_eighths(slab) > eighths)
            continue;
        slab->left = 1;
        link_join(&blocks->left, link);
        many--;
    }
}

#else

static inline int blocks_sparse(const Blocks *blocks, int64_t tolerated) {
    (void)blocks, (void)tolerated;
    return 1;
}

static inline int block_is_left(const Blocks *blocks, const void *block) {
    (void)blocks, (void)block;
    return 1;
}

static void slabs_choose(Blocks *blocks, const Link *ring) {
    (void)blocks, (void)ring;
}

#endif

/* ---- the round ---- */

/* If so much more is held than is taken, and no round is under way. */
static inline void round_begin(Blocks *blocks, int64_t tolerated) {
    size_t class;
    if (!ring_empty(&blocks->ahead) || !blocks_sparse(blocks, tolerated))
        return;
    for (class = 0; class < BLOCK_CLASSES; class++)
        slabs_choose(blocks, &blocks->rings[class]);
    ring_splice(&blocks->ahead, &blocks->keepers);
}

/* Slabs with something that could not be moved are used again. */
static inline void round_end(Blocks *blocks) {
    Slab *slab;
    while ((slab = (Slab *)ring_take(&blocks->left)) != NULL) {
        slab->left = 0;
        link_join(&blocks->rings[slab->class], &slab->link);
    }
}

/* A slice, in bytes that are moved or that could be meanwhile. */
static inline void round_go_on(Blocks *blocks, int64_t budget) {
    if (blocks->carries)
        return;
    while (budget > 0 && !ring_empty(&blocks->ahead)) {
        Keeper *keeper = (Keeper *)(void *)blocks->ahead.next; /* its first field */
        budget = keeper->visit(keeper->link.owner, budget) - VISIT_COST;
        if (keeper->place == 0)
            link_join(&blocks->keepers, &keeper->link);
    }
    if (ring_empty(&blocks->ahead))
        round_end(blocks);
}

/* ---- the same, for the journal ---- */

/* Whether a round begins that moves nothing. */
static inline int carrying_begin(Blocks *blocks) {
    if (!ring_empty(&blocks->ahead))
        return 0;
    blocks->carries = 1;
    ring_splice(&blocks->ahead, &blocks->keepers);
    return 1;
}

/* The keeper whose turn it is; NULL: all had theirs, and the round is over. */
static inline Keeper *carrying_next(Blocks *blocks) {
    if (ring_empty(&blocks->ahead)) {
        blocks->carries = 0;
        return NULL;
    }
    return (Keeper *)(void *)blocks->ahead.next;
}

static inline void carrying_done(Blocks *blocks, Keeper *keeper) {
    keeper->place = 0;
    link_join(&blocks->keepers, &keeper->link);
}

#endif
