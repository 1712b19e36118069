/* One connection: reading whole frames out of what comes, writing, being hung up on. */
#ifndef BENCH_TRANSFER_H
#define BENCH_TRANSFER_H

#include "engine.h"

bool connection_receive(Engine *engine, Connection *c);
void connection_write(Engine *engine, Connection *c);
void connection_watch(Engine *engine, Connection *c);
/* What slow subscribers were sent is only looked at for whether it ends. */
void connection_drain(Engine *engine, Connection *c);
void connection_ended(Engine *engine, Connection *c, ssize_t got);
void connection_close(Engine *engine, Connection *c);
void connection_free(Engine *engine, Connection *c);

#endif
