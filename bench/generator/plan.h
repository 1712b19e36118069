/* Connections and streams, as a kind of load asks for them. */
#ifndef BENCH_PLAN_H
#define BENCH_PLAN_H

#include "engine.h"

#define MOST_STREAMS ((int64_t)1 << STREAM_BITS)

bool plan_connections(Engine *engine, Role role, int64_t count);
bool plan_streams(Engine *engine, int64_t publishers, int64_t destinations, int64_t subscribers);
/* One publisher, one consumer. */
bool plan_one_queue(Engine *engine);

#endif
