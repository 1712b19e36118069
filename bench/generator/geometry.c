/* Which streams are due to whom. */
#include "geometry.h"

static uint32_t ceiling(uint32_t dividend, uint32_t divisor) {
    return (dividend + divisor - 1) / divisor;
}

static bool is_checked(const Connection *c) {
    return c->role == SUBSCRIBER || c->role == ASKER || c->role == CLIENT;
}

uint64_t streams_due(const Geometry *g, const Connection *c) {
    if (g->streams == 0 || !is_checked(c))
        return 0;
    if (g->pattern)
        return g->streams;
    if (g->subscribers > g->destinations)
        return g->per_destination;
    return (uint64_t)ceiling(g->destinations - c->number, g->subscribers) * g->per_destination;
}

/* Where a stream is among those that are due to a connection; -1: it is not. */
int64_t place_of(const Geometry *g, const Connection *c, uint32_t stream) {
    if (stream >= g->streams)
        return -1;
    if (g->pattern)
        return stream;
    uint32_t destination = stream % g->destinations, lap = stream / g->destinations;
    if (g->subscribers > g->destinations)
        return destination == c->number % g->destinations ? (int64_t)lap : -1;
    if (destination % g->subscribers != c->number)
        return -1;
    return (int64_t)(destination / g->subscribers) * g->per_destination + lap;
}

/* How many get what is sent to a destination. */
static uint32_t receivers_of(const Geometry *g, uint32_t destination) {
    if (g->shared)
        return 1;
    if (g->pattern || g->subscribers == 0)
        return g->subscribers;
    if (g->subscribers <= g->destinations)
        return 1;
    return g->subscribers / g->destinations + (destination < g->subscribers % g->destinations);
}

static uint32_t receivers_of_turn(const Geometry *g, const Connection *c, uint32_t turn) {
    return receivers_of(g, (c->number + turn * g->publishers) % g->destinations);
}

/* How many copies of each message of a publisher are due. */
uint32_t fan_of(const Geometry *g, const Connection *c) {
    uint32_t fan = receivers_of_turn(g, c, 0);
    for (uint32_t turn = 1; turn < c->streams; turn++)
        if (receivers_of_turn(g, c, turn) != fan)
            return VARIES;
    return fan;
}

/* How many deliveries are due for so many messages of a publisher. */
uint64_t due_of(const Geometry *g, const Connection *c, uint64_t from, uint64_t count) {
    uint64_t due = 0;
    if (c->fan != VARIES)
        return count * c->fan;
    for (uint64_t number = from; number < from + count; number++)
        due += receivers_of_turn(g, c, (uint32_t)(number % c->streams));
    return due;
}
