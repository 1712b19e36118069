/* Sending what is to be there before anything else happens. */
#ifndef BENCH_FILL_H
#define BENCH_FILL_H

#include "engine.h"

/* So many messages of all publishers. The others are not opened before the server has them; none: there is no waiting. */
void fill_share_out(Engine *engine, uint64_t messages);
/* What a publisher has still to send of its share. */
uint64_t fill_left(const Connection *c);
/* To be called at each turn: asks the server to confirm what it has, when everything is sent. */
void fill_ask(Engine *engine);
void fill_confirmed(Engine *engine, Connection *c);
/* Whether the server has everything. */
bool filled(const Engine *engine);

#endif
