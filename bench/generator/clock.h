/* The two clocks: one for when things happen, one for what they cost us. */
#ifndef BENCH_CLOCK_H
#define BENCH_CLOCK_H

#include <stdint.h>
#include <time.h>

#define SECOND UINT64_C(1000000000)
#define NEVER UINT64_MAX

static inline uint64_t clock_ns(clockid_t clock) {
    struct timespec t;
    clock_gettime(clock, &t);
    return (uint64_t)t.tv_sec * SECOND + (uint64_t)t.tv_nsec;
}

static inline uint64_t now_ns(void) {
    return clock_ns(CLOCK_MONOTONIC);
}

/* Of this thread only: whatever else runs in the process is not what the load costs. */
static inline uint64_t cpu_ns(void) {
    return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

static inline uint64_t ns_of(double seconds) {
    return seconds > 0 ? (uint64_t)(seconds * 1e9) : 0;
}

static inline uint64_t earlier(uint64_t one, uint64_t other) {
    return one < other ? one : other;
}

#endif
