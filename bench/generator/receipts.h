/* The receipts that come back for messages. */
#ifndef BENCH_RECEIPTS_H
#define BENCH_RECEIPTS_H

#include "engine.h"

#define UNLIMITED (UINT64_C(1) << 40)

void receipt_came(Engine *engine, Connection *c, const char *id, size_t length);
uint64_t receipts_asked(const Engine *engine, const Connection *c);
uint64_t receipts_open(const Engine *engine);
/* How many messages more the window of receipts lets through. */
uint64_t receipts_left(const Engine *engine, const Connection *c);

#endif
