/* How long publishers wait for the kernel. */
#ifndef BENCH_WAITING_H
#define BENCH_WAITING_H

#include "engine.h"

void waiting_begins(Engine *engine, Connection *c);
void waiting_ends(Engine *engine, Connection *c);
uint64_t waited_total(const Engine *engine);

#endif
