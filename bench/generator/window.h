/* The measured window: what the counters said when it opened and when it closed. */
#ifndef BENCH_WINDOW_H
#define BENCH_WINDOW_H

#include "engine.h"

void window_open(Engine *engine);
void window_close(Engine *engine);
/* How long something took that began within the window and is over now. */
void record_since(Engine *engine, Histogram *histogram, uint64_t ns);

#endif
