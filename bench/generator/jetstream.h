/* What JetStream has beyond NATS. */
#ifndef BENCH_JETSTREAM_H
#define BENCH_JETSTREAM_H

#include "engine.h"

/* Behind CONNECT: makes the streams of the load; with the last answer the connection is logged in. False: there are none. */
bool jetstream_open(Engine *engine, Connection *c);
void jetstream_subscribe(Engine *engine, Connection *c, const Buffer *destination);
/* Appends the subject for the receipt of what is sent. */
void jetstream_ask_receipt(Engine *engine, Buffer *sending);
/* A message that is an answer is taken here. */
bool jetstream_answered(Engine *engine, Connection *c, const char *line, size_t line_length, size_t length);
void jetstream_acknowledge(Engine *engine, Connection *c, const char *line, const char *end);
bool jetstream_redelivered(const Message *message);

#endif
