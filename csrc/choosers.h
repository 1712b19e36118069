/* Floor 0: what those have looked at who choose among the messages of a queue.
 *
 *     places   0 ......... 40 ......................... 900 ........................... all
 *              | since 120 |         since 100          |   since 0: everything is new
 *              `- level 0 -'`-------- level 1 ---------'
 *
 * Whoever takes only some of what waits looks at each message once, in order. So all in front of one place was looked
 * at, but for what has come there later (shelf.pyx stamps it): what came back, or has a higher priority. That is looked
 * at next, on a level of its own in front of the one that stops meanwhile. A level: of what stands in front of its
 * place, and behind the level before, only what has that stamp or a higher one is new.
 *
 * Levels go as soon as there is nothing new on them. Where more would be needed, two of them become one, and what was
 * looked at there on the shorter one is looked at again. The first never does, so that there is an end to it.
 */
#ifndef FASTBROKER_CHOOSERS_H
#define FASTBROKER_CHOOSERS_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "csrc/census.h"
#include "csrc/groups.h"
#include "csrc/ring.h"

enum { LOOKED_LEVELS = 4 };

typedef struct Level {
    uint64_t place;
    int64_t since;
} Level;

/* What one consumer has looked at. */
typedef struct Looked {
    uint32_t depth;
    Level levels[LOOKED_LEVELS];
    Link groups; /* ring of those that it has (groups.h) */
} Looked;

/* What a queue needs while there is such a consumer. */
typedef struct Choosers {
    Link sated;   /* consumers with room, for whom there is nothing in what waits ... */
    int64_t seen; /* ... up to this stamp */
    uint32_t count;
    int chosen; /* there is one, or there was */
    int busy; /* there is more to look at than one turn has time for */
    uint32_t offered; /* messages of groups that have lost their owners in this turn, ... */
    int anew; /* ... which are so many that all that waits is looked at anew */
    Groups *groups; /* of the messages; NULL: none has one */
    /* What is told of a message then (grouping.pyx): it stands on the shelf; it does not any more; a consumer is done
     * with it. */
    void (*came)(void *queue, uint32_t at);
    void (*went)(void *queue, const void *message);
    void (*settled)(void *queue, const void *message);
} Choosers;

/* Everything in front of that place was looked at that came before that stamp. */
static inline void looked_up_to(Looked *looked, uint64_t place, int64_t since) {
    uint32_t passed = 0;
    while (passed < looked->depth && looked->levels[passed].place <= place)
        passed++;
    if (passed == 0 && looked->depth == LOOKED_LEVELS) {
        memmove(&looked->levels[1], &looked->levels[2], (LOOKED_LEVELS - 2) * sizeof(Level));
        looked->depth--;
    }
    memmove(&looked->levels[1], &looked->levels[passed], (looked->depth - passed) * sizeof(Level));
    looked->depth += 1 - passed;
    looked->levels[0].place = place;
    looked->levels[0].since = since;
}

/* NULL when there is no memory. */
static inline Looked *looked_new(void) {
    Looked *looked = (Looked *)calloc(1, sizeof(Looked));
    if (looked)
        ring_init(&looked->groups);
    return looked;
}

/* NULL when there is no memory. */
static inline Choosers *choosers_new(Census *census) {
    Choosers *choosers = (Choosers *)calloc(1, sizeof(Choosers));
    if (!choosers)
        return NULL;
    ring_init(&choosers->sated);
    census->memory += sizeof(Choosers);
    return choosers;
}

/* All consumers have left it. */
static inline void choosers_free(Census *census, Choosers *choosers) {
    if (choosers->groups)
        groups_free(choosers->groups);
    census->memory -= sizeof(Choosers);
    free(choosers);
}

#endif
