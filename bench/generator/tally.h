/* Which numbers of a stream have come.
 *
 *     0 ........... base ........................ end ...
 *       all came     |1|1|0|1|0|0|1|1|1|1|1|0|1|1|  none came
 *
 * While all come in order base and end are the same and nothing but them is touched. The bits in between are a ring that
 * grows as it must, up to `most`; what is missing when it is full counts as lost for good.
 */
#ifndef BENCH_TALLY_H
#define BENCH_TALLY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct Tally {
    uint64_t base, end;
    uint64_t *bits;
    uint64_t capacity; /* in bits: 0 or a power of two from 64 on */
} Tally;

typedef enum Arrival {
    ARRIVED_NEXT,  /* as expected */
    ARRIVED_AHEAD, /* some before it are missing */
    ARRIVED_LATE,  /* one of the missing */
    ARRIVED_AGAIN,
} Arrival;

static inline void tally_free(Tally *tally) {
    free(tally->bits);
    *tally = (Tally){0};
}

static inline bool tally_bit(const Tally *tally, uint64_t number) {
    uint64_t at = number & (tally->capacity - 1);
    return tally->bits[at >> 6] >> (at & 63) & 1;
}

static inline void tally_flip(Tally *tally, uint64_t number) {
    uint64_t at = number & (tally->capacity - 1);
    tally->bits[at >> 6] ^= UINT64_C(1) << (at & 63);
}

static inline void tally_move_base(Tally *tally, uint64_t base) {
    for (; tally->base < base && tally->base < tally->end; tally->base++)
        if (tally_bit(tally, tally->base))
            tally_flip(tally, tally->base);
    while (tally->base < tally->end && tally_bit(tally, tally->base))
        tally_flip(tally, tally->base++);
    if (tally->base < base)
        tally->base = tally->end = base;
}

static inline bool tally_grow(Tally *tally, uint64_t needed) {
    Tally larger = {.base = tally->base, .end = tally->end, .capacity = 64};
    while (larger.capacity < needed)
        larger.capacity *= 2;
    larger.bits = calloc(larger.capacity / 64, sizeof *larger.bits);
    if (larger.bits == NULL)
        return false;
    for (uint64_t number = tally->base; number < tally->end; number++)
        if (tally_bit(tally, number))
            tally_flip(&larger, number);
    free(tally->bits);
    *tally = larger;
    return true;
}

/* Room for the bits from base to `number`, if need be by giving up the oldest of the missing. */
static inline bool tally_reach(Tally *tally, uint64_t number, uint64_t most) {
    uint64_t needed = number - tally->base + 1;
    if (needed <= tally->capacity || (needed <= most && tally_grow(tally, needed)))
        return true;
    if (tally->capacity == 0 && !tally_grow(tally, 64))
        return false;
    tally_move_base(tally, number + 1 - tally->capacity);
    return true;
}

static inline Arrival tally_beyond(Tally *tally, uint64_t number, uint64_t most) {
    Arrival arrival = number == tally->end ? ARRIVED_NEXT : ARRIVED_AHEAD;
    if (!tally_reach(tally, number, most)) { /* no memory: whatever is missing is lost for good */
        tally->base = tally->end = number + 1;
        return arrival;
    }
    tally->end = number + 1;
    tally_flip(tally, number);
    tally_move_base(tally, tally->base);
    return arrival;
}

static inline Arrival tally_take(Tally *tally, uint64_t number, uint64_t most) {
    if (number == tally->end && number == tally->base) {
        tally->base = ++tally->end;
        return ARRIVED_NEXT;
    }
    if (number >= tally->end)
        return tally_beyond(tally, number, most);
    if (number < tally->base || tally_bit(tally, number))
        return ARRIVED_AGAIN;
    tally_flip(tally, number);
    tally_move_base(tally, tally->base);
    return ARRIVED_LATE;
}

#endif
