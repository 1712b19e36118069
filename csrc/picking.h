/* Floor 0: what a segment that is about to go still says of others.
 *
 * Picked are the records about messages that are recorded in segments which stay, those of queues that have gone, and
 * of transactions that were committed; all else in a segment without a live message says nothing any more.
 */
#ifndef FASTBROKER_PICKING_H
#define FASTBROKER_PICKING_H

#include "csrc/locating.h"

enum { LOWS = 65536, TAG = 8 };

/* The lower parts of the numbers of segments that stay, a bit for each. */
typedef struct Staying {
    unsigned char bits[LOWS / 8];
} Staying;

static inline void staying_add(Staying *staying, uint64_t number) {
    staying->bits[number % LOWS / 8] |= (unsigned char)(1 << number % 8);
}

static inline int is_picked(const Record *record, const Staying *staying) {
    const uint32_t *payload = (const uint32_t *)(record + 1);
    size_t least = 2 * sizeof(uint32_t) + (record->flags & RECORD_IN_TRANSACTION ? TAG : 0);
    if (record->length < least)
        return 0;
    if (record->kind == RECORD_GONE || record->kind == RECORD_COMMITTED)
        return 1;
    if (record->kind != RECORD_SETTLED && record->kind != RECORD_RETURNED && record->kind != RECORD_AGAIN
        && record->kind != RECORD_FORGOTTEN)
        return 0;
    if (record->flags & RECORD_IN_TRANSACTION)
        payload += TAG / sizeof(uint32_t);
    return payload[1] < LOWS && staying->bits[payload[1] / 8] >> payload[1] % 8 & 1;
}

/* Those records of a segment, one behind the other; no bytes where there is no memory, or nothing can be read. */
static void pick_records(int directory, const unsigned char *id, uint32_t seed, uint64_t number,
                         const Staying *staying, Buffer *picked) {
    Reading reading;
    const Record *record;
    size_t size;
    int status = open_segment(&reading, directory, id, seed, number);
    if (status == READING_OK && buffer_reserve(picked, 1) < 0)
        status = READING_MEMORY;
    while (status == READING_OK && (record = find_record(&reading)) != NULL) {
        size = record_size(record->length);
        if (!is_picked(record, staying))
            continue;
        if (buffer_reserve(picked, size) < 0)
            status = READING_MEMORY;
        else
            memcpy(picked->bytes + picked->length, record, size);
        picked->length += size;
    }
    reading_close(&reading);
    if (status != READING_OK)
        buffer_free(picked);
}

#endif
