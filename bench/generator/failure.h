/* What went wrong, in words for people. */
#ifndef BENCH_FAILURE_H
#define BENCH_FAILURE_H

#include "engine.h"

/* Keeps the first thing that went wrong; always false. */
__attribute__((format(printf, 2, 3))) bool fail(Engine *engine, const char *format, ...);
bool fail_memory(Engine *engine);
/* With what the server said. */
bool refuse(Engine *engine, const Connection *c, const char *did, const char *said, size_t length);
/* Whether the load goes on without a client whom the server does not want: one that has no others is all of it. */
static inline bool goes_on(const Engine *engine) {
    return engine->kind->comes_back && engine->count > 1;
}

/* The server does not want this client. If the load goes on, that is noted, and whoever handles the connection closes it. */
void turn_away(Engine *engine, Connection *c, const char *did, const char *said, size_t length);

#endif
