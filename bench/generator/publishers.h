/* All who send, in turn. */
#ifndef BENCH_PUBLISHERS_H
#define BENCH_PUBLISHERS_H

#include "engine.h"

void pace_go(Engine *engine);
void publish_all(Engine *engine);
/* Sends what has become due. */
void publish_due(Engine *engine);

#endif
