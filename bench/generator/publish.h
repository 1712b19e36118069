/* Handing messages to the kernel. */
#ifndef BENCH_PUBLISH_H
#define BENCH_PUBLISH_H

#include "engine.h"

bool wants_to_write(Engine *engine, Connection *c);
/* Offers the kernel what may be sent now, in one piece; false when the connection is broken, with errno. */
bool publish(Engine *engine, Connection *c);

#endif
