/* Who gets what is sent where.
 *
 * Stream i is what publisher i % publishers sends to destination i % destinations. Every subscriber of a topic gets each
 * stream that is due to it; consumers of one queue share them.
 *
 * Where messages are of several varieties (priorities, groups, what selectors choose), these take the place of
 * destinations: all go to one, and each has its own order.
 */
#ifndef BENCH_GEOMETRY_H
#define BENCH_GEOMETRY_H

#include "connection.h"

#define VARIES UINT32_MAX /* how many get a message depends on its destination */

typedef struct Geometry {
    uint32_t publishers, destinations, subscribers, streams;
    uint32_t per_destination; /* streams of one, at most */
    bool varied;              /* destinations are varieties of what is sent to one */
    bool pattern;             /* each subscriber gets all streams */
    bool shared;              /* several consumers share the streams of a queue */
} Geometry;

uint64_t streams_due(const Geometry *geometry, const Connection *c);
int64_t place_of(const Geometry *geometry, const Connection *c, uint32_t stream);
uint32_t fan_of(const Geometry *geometry, const Connection *c);
uint64_t due_of(const Geometry *geometry, const Connection *c, uint64_t from, uint64_t count);

#endif
