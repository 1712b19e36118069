/* What went wrong, in words for people. */
#ifndef BENCH_FAILURE_H
#define BENCH_FAILURE_H

#include "engine.h"

/* Keeps the first thing that went wrong; always false. */
__attribute__((format(printf, 2, 3))) bool fail(Engine *engine, const char *format, ...);
bool fail_memory(Engine *engine);
/* With what the server said. */
bool refuse(Engine *engine, const Connection *c, const char *did, const char *said, size_t length);

#endif
