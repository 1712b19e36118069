/* Floor 0: how long publishers wait for a slow subscriber.
 *
 *     pressure > soft      slow: publishers to its topics wait in its ring of waiters
 *     pressure <= low      eased: they go on
 *     budget used up       overdue: nobody waits any more; the topic's policy says what becomes of the subscriber
 *
 * Pressure is what it was sent and has not taken, with what waits for it elsewhere (`backlog`). The time for which it
 * holds others is a budget: the grace, filled again within a minute. A subscriber that eases now and then, only to be
 * slow again, has no second grace. What it takes while others wait earns time as well, so that one that reads all the
 * time, at FLOW_PACE or faster, is never given up: then its publishers go at its pace, which is what they wait for.
 */
#ifndef FASTBROKER_FLOW_H
#define FASTBROKER_FLOW_H

#include <stddef.h>
#include <stdint.h>

#include "csrc/ring.h"

#define FLOW_PERIOD 60000                     /* milliseconds in which the grace is filled again */
#define FLOW_PACE ((uint64_t)4 * 1024 * 1024) /* bytes a second */

typedef struct Flow {
    size_t backlog;      /* bytes kept for this connection in its subscriptions' own queues */
    size_t aside;        /* and of those that wait there behind a replay, which nobody is held for */
    uint64_t slow_since; /* clock, milliseconds, from which on it is to be paid for; 0: not slow */
    uint64_t eased;      /* when it was slow for the last time; 0: it never was */
    uint64_t budget;     /* for which others may still be held from then on, in milliseconds / FLOW_PERIOD */
    uint8_t overdue;     /* has held others for longer than it may: publishers no longer wait */
    uint8_t policy;      /* of the topic that filled it: what to do when it is overdue */
    uint64_t pressed;    /* when it became slow, paid for or not */
    uint64_t told;       /* when the log was last told of what it loses; 0: never */
    uint64_t dropped;    /* messages that it lost by policy */
    Link waiters;        /* publishers held back */
} Flow;

static inline void flow_init(Flow *flow) {
    flow->backlog = flow->aside = 0;
    flow->slow_since = flow->eased = flow->budget = 0;
    flow->pressed = flow->told = flow->dropped = 0;
    flow->overdue = flow->policy = 0;
    ring_init(&flow->waiters);
}

static inline void flow_earn(Flow *flow, uint64_t units, uint64_t grace) {
    uint64_t most = grace * FLOW_PERIOD;
    flow->budget = units < most && flow->budget < most - units ? flow->budget + units : most;
}

/* What it has held others for is paid for. */
static inline void flow_spend(Flow *flow, uint64_t now) {
    uint64_t spent = (now - flow->slow_since) * FLOW_PERIOD;
    flow->budget = spent < flow->budget ? flow->budget - spent : 0;
    flow->slow_since = now;
}

/* There is too much for it. Whether this is new: somebody must look at flow_due() then. */
static inline int flow_press(Flow *flow, uint64_t now, uint64_t grace, uint8_t policy) {
    if (flow->slow_since != 0)
        return 0;
    flow_earn(flow, (flow->eased ? now - flow->eased : FLOW_PERIOD) * grace, grace);
    flow->slow_since = flow->pressed = now;
    flow->policy = policy;
    return 1;
}

/* It has taken so many bytes while it was slow. */
static inline void flow_take(Flow *flow, size_t bytes, uint64_t now, uint64_t grace) {
    if (flow->slow_since == 0 || flow->overdue)
        return;
    flow_spend(flow, now);
    flow_earn(flow, bytes * (FLOW_PERIOD * 1000 / 64) / (FLOW_PACE / 64), grace);
}

/* When it is overdue; 0: it is not slow, or is overdue already. */
static inline uint64_t flow_due(const Flow *flow) {
    return flow->slow_since == 0 || flow->overdue ? 0 : flow->slow_since + flow->budget / FLOW_PERIOD;
}

/* There is room again; the waiters are for the caller to let go. */
static inline void flow_ease(Flow *flow, uint64_t now) {
    if (flow->slow_since == 0)
        return;
    flow_spend(flow, now);
    flow->slow_since = 0;
    flow->eased = now;
    flow->overdue = 0;
}

#endif
