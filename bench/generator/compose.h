/* Ready-made frames, and writing messages into them. */
#ifndef BENCH_COMPOSE_H
#define BENCH_COMPOSE_H

#include "engine.h"

bool frames_make(Engine *engine);
/* The connection's next `count` messages, in the slots from the one on that they have in their transaction. */
void frames_write(Engine *engine, const Connection *c, uint32_t count, uint64_t now);
uint64_t message_ticks(const Engine *engine, const Connection *c, uint64_t number, uint64_t now);

#endif
