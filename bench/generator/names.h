/* Names of destinations: the prefix of topics or queues, the name of the load, and what tells them apart. */
#ifndef BENCH_NAMES_H
#define BENCH_NAMES_H

#include "engine.h"

void name_append(const Engine *engine, bool queue, const char *suffix, Buffer *out);
void name_numbered(const Engine *engine, bool queue, const char *suffix, uint32_t number, Buffer *out);
void name_destination(const Engine *engine, bool queue, uint32_t number, uint32_t count, Buffer *out);
void name_pattern(const Engine *engine, const char *pattern, Buffer *out);

#endif
