/* The measured window: what the counters said when it opened and when it closed; and what is reported in the end. */
#include "engine.h"

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

/* How long something took that began within the window and is over now. */
void record_since(Engine *engine, Histogram *histogram, uint64_t ns) {
    uint64_t now = now_ns();
    if (in_window(engine, ticks_at(engine, ns)))
        histogram_add(histogram, now - ns, 1);
}

/* ---- the report ---- */

static void report_window(const Counts *from, const Counts *to, Report *report) {
    report->seconds = (double)(to->ns - from->ns) / 1e9;
    report->cpu_seconds = to->cpu > from->cpu ? (double)(to->cpu - from->cpu) / 1e9 : 0;
    report->blocked_seconds = (double)(to->waited - from->waited) / 1e9;
    report->sends = to->sent - from->sent;
    report->deliveries = to->received - from->received;
    report->receipts = to->receipts - from->receipts;
    report->operations = to->operations - from->operations;
}

static uint64_t above(uint64_t one, uint64_t other) {
    return one > other ? one - other : 0;
}

static void report_messages(const Engine *engine, Report *report) {
    report->sent = engine->sent;
    report->due = engine->due;
    report->received = engine->received;
    report->lost = above(engine->due, taken(engine));
    /* Of the mixed bytes of a relay nothing is known but how many they are. */
    report->duplicated = engine->duplicated + above(taken(engine), engine->due);
    report->disordered = engine->disordered;
    report->corrupt = engine->corrupt;
    report->unconfirmed = receipts_open(engine);
    for (uint32_t i = 0; paced(engine) && engine->phase > MEASURING && i < engine->geometry.publishers; i++)
        report->unsent += pace_due(engine, &engine->publishers[i]);
}

static void report_operations(const Engine *engine, Report *report) {
    report->sent = report->due = engine->begun;
    report->received = engine->ended;
    report->lost = engine->begun - engine->ended;
}

Report engine_report(const Engine *engine) {
    Report report = {.frame_bytes = engine->frames.length - engine->frames.head, .hung_up = engine->hung_up};
    report_window(&engine->from, &engine->to, &report);
    if (engine->geometry.streams)
        report_messages(engine, &report);
    else
        report_operations(engine, &report);
    return report;
}
