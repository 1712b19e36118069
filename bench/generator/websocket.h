/* STOMP in the frames of a WebSocket. */
#ifndef BENCH_WEBSOCKET_H
#define BENCH_WEBSOCKET_H

#include "engine.h"

void websocket_wrap(Buffer *frame, size_t *head);
const char *websocket_masked(Engine *engine, const Connection *c, uint64_t slot, uint64_t count);
void websocket_frame_control(Engine *engine, Connection *c);
void websocket_ask(Engine *engine, Connection *c);
void websocket_closed(Engine *engine, Connection *c);
void websocket_leave(Engine *engine, Connection *c);
size_t websocket_read(Engine *engine, Connection *c, char *bytes, size_t kept, size_t length);

#endif
