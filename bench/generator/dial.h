/* Opening connections, what happens to them, and ending them. */
#ifndef BENCH_DIAL_H
#define BENCH_DIAL_H

#include "engine.h"

bool resolve(Engine *engine);
void dial(Engine *engine, Connection *c);
void dial_later(Engine *engine, Connection *c);
/* Closes what has left, or was turned away. */
void depart(Engine *engine, Connection *c);
/* Opens what may be opened now; returns when it should be asked again. */
uint64_t dial_some(Engine *engine);
void connection_handle(Engine *engine, Connection *c, unsigned events);

#endif
