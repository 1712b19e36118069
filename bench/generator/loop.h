/* The loop, and the phases it goes through. */
#ifndef BENCH_LOOP_H
#define BENCH_LOOP_H

#include "engine.h"

Engine *engine_new(const Load *load);
void engine_free(Engine *engine);
bool engine_step(Engine *engine, double seconds);
bool engine_go(Engine *engine);
void engine_stop(Engine *engine);

#endif
