/* TLS, under STOMP or under a WebSocket; the handshake ends in the state SECURED. */
#ifndef BENCH_TLS_H
#define BENCH_TLS_H

#include "engine.h"

void tls_begin(Engine *engine, Connection *c);
void tls_end(Engine *engine, Connection *c);

#endif
