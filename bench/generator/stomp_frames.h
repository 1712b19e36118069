/* STOMP 1.2 as its clients write it; a relay is sent the same bytes as a server of STOMP. */
#ifndef BENCH_STOMP_FRAMES_H
#define BENCH_STOMP_FRAMES_H

#include "engine.h"

void stomp_log_in(Engine *engine, Connection *c);
void stomp_subscribe(Engine *engine, Connection *c, const Buffer *destination);
void stomp_unsubscribe(Engine *engine, Connection *c);
void stomp_leave(Engine *engine, Connection *c);
void stomp_encode(Engine *engine, Buffer *opening, Buffer *sending, Buffer *closing);

#endif
