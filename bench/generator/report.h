/* What is told to Python: numbers only. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <stdint.h>

typedef struct Report {
    /* in the measured window */
    double seconds, cpu_seconds, blocked_seconds;
    uint64_t sends, deliveries, receipts, operations;
    /* of a schedule and a drain: until the server had all, from when they were due, or wanted, and until the first came */
    double accept_seconds, deliver_seconds, first_seconds;
    /* from beginning to end */
    uint64_t sent, due, received, lost, duplicated, disordered, corrupt, unsent, unconfirmed;
    uint64_t frame_bytes, hung_up, reconnects;
} Report;

typedef struct Engine Engine;

Report engine_report(const Engine *engine);

#endif
