/* What a load needs before anything happens. */
#ifndef BENCH_PREPARE_H
#define BENCH_PREPARE_H

#include "engine.h"

bool engine_prepare(Engine *engine);

#endif
