/* What was counted in the window, and what is missing in the end. */
#include "report.h"

#include "check.h"
#include "receipts.h"

static void report_window(const Counts *from, const Counts *to, Report *report) {
    report->seconds = (double)(to->ns - from->ns) / 1e9;
    report->cpu_seconds = to->cpu > from->cpu ? (double)(to->cpu - from->cpu) / 1e9 : 0;
    report->blocked_seconds = (double)(to->waited - from->waited) / 1e9;
    report->sends = to->sent - from->sent;
    report->deliveries = to->received - from->received;
    report->receipts = to->receipts - from->receipts;
    report->operations = to->operations - from->operations;
}

static double span(uint64_t from, uint64_t to) {
    return from && to > from ? (double)(to - from) / 1e9 : 0;
}

/* Of a schedule or a drain; 0 where there is none, or it did not come so far. */
static void report_spans(const Engine *engine, Report *report) {
    report->accept_seconds = span(engine->filled_from ? engine->filled_from : engine->from.ns, engine->accepted_at);
    report->deliver_seconds = span(engine->due_at ? engine->due_at : engine->drained_from, engine->to.ns);
    report->first_seconds = span(engine->drained_from, engine->first_at);
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
        report->unsent += pace_due(&engine->pace, &engine->publishers[i], due_until(engine));
}

static void report_operations(const Engine *engine, Report *report) {
    report->sent = report->due = engine->begun;
    report->received = engine->ended;
    report->lost = engine->begun - engine->ended;
    report->unconfirmed = engine->kind->drain && engine->phase > DRAINING ? engine->up : 0;
}

Report engine_report(const Engine *engine) {
    Report report = {.frame_bytes = engine->frames.length - engine->frames.head, .hung_up = engine->hung_up,
                     .reconnects = engine->reconnects};
    report_window(&engine->from, &engine->to, &report);
    report_spans(engine, &report);
    if (engine->geometry.streams)
        report_messages(engine, &report);
    else
        report_operations(engine, &report);
    return report;
}
