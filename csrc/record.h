/* Floor 0: a record of the journal, the only thing that it consists of.
 *
 *     0        4        8      9       10      12         16
 *     | length | crc    | kind | flags | shard | sequence | payload ... | 0 ... |      all little-endian
 *                       |<--- what the CRC-32C is of, from the segment's own --->|
 *
 * `length` is the payload's, 65,504 bytes at most; behind it stand zeros up to the next multiple of 8. `sequence`
 * counts the records of a journal, modulo 2^32. The sum begins with that of the directory's id and the segment's number
 * (segment_seed), so that a record of another directory is none, nor one that is left of another segment in a file that
 * was used before. What has a longer payload goes on in records of the kind RECORD_MORE, next to it. A record
 * whose flags have RECORD_LAST ends a group: what stands behind the last of these was never promised to anybody. All
 * records of a group have RECORD_SYNCED if all that stands in front of it was on the disk before it was written.
 *
 * Whoever makes a record leaves `crc` and `sequence` open: the thread that writes fills them in, and leaves out records
 * of the kind RECORD_NOTHING, which were taken back before they were written.
 */
#ifndef FASTBROKER_RECORD_H
#define FASTBROKER_RECORD_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "csrc/crc.h"

enum { RECORD_HEAD = 16, RECORD_MOST = 65504 };

enum {
    RECORD_NOTHING, /* and so all zeros, where nothing was written yet */
    RECORD_MORE,
    RECORD_SEGMENTS, /* the segments there are */
    RECORD_NUMBERS,  /* up to which number message-ids may have been given */
    RECORD_QUEUE,    /* a queue with messages */
    RECORD_DURABLE,  /* a subscription with a name */
    RECORD_GONE,     /* either of them, and all that it held */
    RECORD_ADDED,    /* a message has come into a queue */
    RECORD_SHARED,   /* the same message into another */
    RECORD_SETTLED,  /* messages of a queue that nobody shall get again */
    RECORD_RETURNED, /* a message that came back, and how often */
    RECORD_COMMITTED, /* all that a transaction did holds */
    RECORD_CLOSED,   /* the broker has stopped in good order */
    RECORD_KEPT,     /* a message that waits for its time, or that a topic keeps */
    RECORD_AGAIN,    /* it came, and comes again */
    RECORD_FORGOTTEN, /* it is not kept any more */
    RECORD_NAMES,    /* under which messages have come into a queue */
    RECORD_KINDS
};

enum {
    RECORD_LAST = 1,            /* of its group */
    RECORD_ASIDE = 2,           /* of no group: it stands between others, or among them */
    RECORD_IN_TRANSACTION = 4,  /* it holds when the transaction whose number its payload begins with is committed */
    RECORD_SYNCED = 8,          /* what is in front of its group is no matter of luck */
    RECORD_FLAGS = 15
};

typedef struct Record {
    uint32_t length, crc;
    uint8_t kind, flags;
    uint16_t shard;
    uint32_t sequence;
} Record;

_Static_assert(sizeof(Record) == RECORD_HEAD, "the head of a record is as it is drawn");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "what lies on disk is little-endian, and is used as it is");

/* How many bytes a record with that payload takes. */
static inline size_t record_size(size_t length) {
    return RECORD_HEAD + ((length + 7) & ~(size_t)7);
}

static inline uint32_t record_crc(const Record *record, uint32_t seed) {
    return crc32c(seed, (const char *)record + 8, record_size(record->length) - 8);
}

/* The record at `bytes`, of which there are `left`; NULL if there is none that is whole, and the next of `sequence`. */
static inline const Record *record_at(const char *bytes, size_t left, uint32_t seed, uint32_t sequence) {
    const Record *record = (const Record *)bytes;
    if (left < RECORD_HEAD || record->length > RECORD_MOST || record_size(record->length) > left)
        return NULL;
    if (record->kind == RECORD_NOTHING || record->kind >= RECORD_KINDS || record->flags > RECORD_FLAGS
        || record->sequence != sequence)
        return NULL;
    return record_crc(record, seed) == record->crc ? record : NULL;
}

/* Leaves out of a run of records, in place, what was taken back. Returns how many bytes are left of it; `last` is where
 * the last of these begins. */
static inline size_t records_squeeze(char *bytes, size_t length, size_t *last) {
    size_t from = 0, to = 0, size;
    for (; from < length; from += size) {
        const Record *record = (const Record *)(bytes + from);
        size = record_size(record->length);
        if (record->kind == RECORD_NOTHING)
            continue;
        if (from != to)
            memmove(bytes + to, record, size);
        *last = to;
        to += size;
    }
    return to;
}

/* Numbers them from `*sequence` on, and sums them up. */
static inline void records_seal(char *bytes, size_t length, uint32_t seed, int flags, uint32_t *sequence) {
    size_t at = 0;
    while (at < length) {
        Record *record = (Record *)(bytes + at);
        record->flags |= (uint8_t)flags;
        record->sequence = (*sequence)++;
        record->crc = record_crc(record, seed);
        at += record_size(record->length);
    }
}

#endif
