/* Floor 0: the consumers of a queue of which some come before others. A queue without such has no Ranks.
 *
 *   Ranks ── rank 10 ── rank 0 ── rank -1      by priority, the highest first; 0 is always there
 *              │ ready   consumers with room, in turn
 *              └ heirs   exclusive consumers, in the order in which they take over
 *
 * There are no more than RANK_MOST of them above and below 0, so walking along them is little. A consumer of the usual
 * priority that is not exclusive has no Claim: it is one of rank 0.
 */
#ifndef FASTBROKER_RANKS_H
#define FASTBROKER_RANKS_H

#include <stdint.h>
#include <stdlib.h>

#include "csrc/census.h"
#include "csrc/ring.h"

enum { RANK_MOST = 127 };

typedef struct Rank {
    Link link; /* first */
    Link ready;
    Link heirs;
    uint32_t claims;
    int priority;
} Rank;

typedef struct Claim {
    Rank *rank;
    Link heir; /* its owner is the consumer */
} Claim;

typedef struct Ranks {
    Link ring;
    Rank usual;
    Census *census;
    uint32_t claims;
    uint32_t exclusive;
    void *holder; /* the consumer that has all, once it has; NULL: none has */
} Ranks;

static inline void rank_init(Rank *rank, int priority) {
    link_init(&rank->link, rank);
    ring_init(&rank->ready);
    ring_init(&rank->heirs);
    rank->claims = 0;
    rank->priority = priority;
}

/* NULL when there is no memory. */
static inline Ranks *ranks_new(Census *census) {
    Ranks *ranks = (Ranks *)calloc(1, sizeof(Ranks));
    if (!ranks)
        return NULL;
    ring_init(&ranks->ring);
    rank_init(&ranks->usual, 0);
    link_join(&ranks->ring, &ranks->usual.link);
    ranks->census = census;
    census->memory += sizeof(Ranks);
    return ranks;
}

/* All claims have gone. */
static inline void ranks_free(Ranks *ranks) {
    ranks->census->memory -= sizeof(Ranks);
    free(ranks);
}

/* The one behind it; the first behind the head. NULL: there is none. */
static inline Rank *rank_behind(const Ranks *ranks, const Link *link) {
    return link->next == &ranks->ring ? NULL : (Rank *)link->next->owner;
}

static inline Rank *rank_made(Ranks *ranks, Link *before, int priority) {
    Rank *rank = (Rank *)malloc(sizeof(Rank));
    if (!rank)
        return NULL;
    rank_init(rank, priority);
    link_join(before, &rank->link);
    ranks->census->memory += sizeof(Rank);
    return rank;
}

/* That of a priority; NULL when there is no memory. */
static inline Rank *rank_of(Ranks *ranks, int priority) {
    Rank *rank = rank_behind(ranks, &ranks->ring);
    while (rank && rank->priority > priority)
        rank = rank_behind(ranks, &rank->link);
    if (rank && rank->priority == priority)
        return rank;
    return rank_made(ranks, rank ? &rank->link : &ranks->ring, priority);
}

/* NULL when there is no memory: nothing has changed then. */
static inline Claim *claim_new(Ranks *ranks, int priority, int exclusive, void *consumer) {
    Claim *claim = (Claim *)malloc(sizeof(Claim));
    Rank *rank = claim ? rank_of(ranks, priority) : NULL;
    if (!rank) {
        free(claim);
        return NULL;
    }
    claim->rank = rank;
    link_init(&claim->heir, consumer);
    if (exclusive)
        link_join(&rank->heirs, &claim->heir);
    rank->claims++;
    ranks->claims++;
    ranks->exclusive += exclusive != 0;
    ranks->census->memory += sizeof(Claim);
    return claim;
}

/* Its consumer, which stands in no ring any more, has gone. */
static inline void claim_end(Ranks *ranks, Claim *claim) {
    Rank *rank = claim->rank;
    if (ranks->holder == claim->heir.owner)
        ranks->holder = NULL;
    ranks->exclusive -= link_joined(&claim->heir);
    link_leave(&claim->heir);
    free(claim);
    ranks->claims--;
    ranks->census->memory -= sizeof(Claim);
    if (--rank->claims == 0 && rank != &ranks->usual) {
        link_leave(&rank->link);
        free(rank);
        ranks->census->memory -= sizeof(Rank);
    }
}

/* Where a consumer stands while it has room. */
static inline Link *ranks_ready(Ranks *ranks, const Claim *claim) {
    return claim ? &claim->rank->ready : &ranks->usual.ready;
}

/* The exclusive consumer that takes over; NULL: there is none. */
static inline void *ranks_heir(const Ranks *ranks) {
    Rank *rank = rank_behind(ranks, &ranks->ring);
    while (rank && ring_empty(&rank->heirs))
        rank = rank_behind(ranks, &rank->link);
    return rank ? rank->heirs.next->owner : NULL;
}

#endif
