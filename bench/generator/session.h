/* From a connection that bytes go through to one that is logged in and subscribed. */
#ifndef BENCH_SESSION_H
#define BENCH_SESSION_H

#include "engine.h"

void logged_in(Engine *engine, Connection *c);
/* What was asked for is done: a subscription, or another request of the kind of load. */
void confirmed(Engine *engine, Connection *c);

#endif
