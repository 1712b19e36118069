/* A histogram of nanoseconds, log-linear as HDR histograms are: each power of two is cut into 1024 buckets, so a bucket's
 * middle is within 0.05 % of whatever fell into it. Below 2048 ns each nanosecond has a bucket of its own.
 *
 *     index |0 ........ 2047|2048 .. 3071|3072 .. 4095| ...
 *     ns    |0 ........ 2047|2048 .. 4094|4096 .. 8188| ...
 *     width         1             2            4
 */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>
#include <stdlib.h>

#define BUCKET_BITS 10
#define MOST_BITS 47 /* a day and a half; what takes longer counts as that */
#define BUCKETS (((MOST_BITS - BUCKET_BITS - 1) << BUCKET_BITS) + (2 << BUCKET_BITS))

/* The pages that nothing falls into are never touched, so they take no memory. */
typedef struct Histogram {
    uint64_t *counts;
} Histogram;

static inline int histogram_init(Histogram *histogram) {
    histogram->counts = calloc(BUCKETS, sizeof *histogram->counts);
    return histogram->counts == NULL ? -1 : 0;
}

static inline void histogram_free(Histogram *histogram) {
    free(histogram->counts);
    histogram->counts = NULL;
}

static inline size_t bucket_of(uint64_t ns) {
    const uint64_t most = (UINT64_C(1) << MOST_BITS) - 1;
    ns = ns < most ? ns : most;
    if (ns < (2u << BUCKET_BITS))
        return (size_t)ns;
    int shift = 63 - __builtin_clzll(ns) - BUCKET_BITS;
    return ((size_t)shift << BUCKET_BITS) + (size_t)(ns >> shift);
}

static inline uint64_t middle_of(size_t bucket) {
    if (bucket < (2u << BUCKET_BITS))
        return bucket;
    int shift = (int)(bucket >> BUCKET_BITS) - 1;
    return ((uint64_t)(bucket - ((size_t)shift << BUCKET_BITS)) << shift) + (UINT64_C(1) << shift) / 2;
}

static inline void histogram_add(Histogram *histogram, uint64_t ns, uint64_t count) {
    histogram->counts[bucket_of(ns)] += count;
}

#endif
