/* When each message is meant to be sent, if the load has a rate: evenly spaced over all publishers in turn, and whatever
 * the server does. What could not be sent then is sent as soon as possible, with the time it was meant for.
 *
 * Tick k belongs to publisher k % publishers.
 */
#ifndef BENCH_PACE_H
#define BENCH_PACE_H

#include "connection.h"

typedef struct Pace {
    double interval; /* ns between two messages of all publishers; 0: nobody paces */
    uint64_t publishers;
    uint64_t start;
    uint64_t next_tick;
    uint64_t due; /* when that is */
} Pace;

static inline uint64_t time_of_tick(const Pace *pace, uint64_t tick) {
    return pace->start + (uint64_t)((double)tick * pace->interval);
}

/* How many ticks there were until then. */
static inline uint64_t ticks_passed(const Pace *pace, uint64_t ns) {
    return ns < pace->start ? 0 : (uint64_t)((double)(ns - pace->start) / pace->interval) + 1;
}

static inline uint64_t pace_intended(const Pace *pace, const Connection *c, uint64_t number) {
    return time_of_tick(pace, (number - c->paced_from) * pace->publishers + c->number);
}

/* How many messages of a publisher should have begun until then and have not. */
static inline uint64_t pace_due(const Pace *pace, const Connection *c, uint64_t ns) {
    uint64_t ticks = ticks_passed(pace, ns);
    uint64_t due = ticks > c->number ? (ticks - 1 - c->number) / pace->publishers + 1 : 0;
    uint64_t begun = begun_by(c) - c->paced_from;
    return due > begun ? due - begun : 0;
}

#endif
