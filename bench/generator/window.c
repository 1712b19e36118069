/* The measured window: what the counters said when it opened and when it closed. */
#include "window.h"

#include "waiting.h"

static Counts counts_now(Engine *engine) {
    engine->now = now_ns();
    uint64_t cpu = cpu_ns();
    return (Counts){
        .ns = engine->now,
        .cpu = cpu > engine->spun ? cpu - engine->spun : 0,
        .sent = engine->sent,
        .received = engine->received,
        .receipts = engine->receipts,
        .operations = engine->operations,
        .waited = waited_total(engine),
    };
}

void window_open(Engine *engine) {
    engine->from = engine->to = counts_now(engine);
    engine->from_time = ticks_at(engine, engine->from.ns);
    engine->to_time = NEVER;
}

void window_close(Engine *engine) {
    engine->to = counts_now(engine);
    engine->to_time = ticks_at(engine, engine->to.ns);
}

void record_since(Engine *engine, Histogram *histogram, uint64_t ns) {
    uint64_t now = now_ns();
    if (in_window(engine, ticks_at(engine, ns)))
        histogram_add(histogram, now - ns, 1);
}
