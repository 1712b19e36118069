/* Ready-made frames, one behind the other; only what differs is written into them before they are sent.
 *
 *     |BEGIN|SEND|SEND| ... |SEND|COMMIT|BEGIN|SEND| ...
 *     `------------ unit_bytes ---------´       without transactions a unit is one SEND
 *
 * A slot is a SEND, with the BEGIN before it or the COMMIT behind it if it is the first or last of its transaction.
 */
#ifndef BENCH_FRAMES_H
#define BENCH_FRAMES_H

#include "connection.h"

#define DELAY_DIGITS 7 /* of ms: some hours */
#define NUMBER_DIGITS 7 /* of a destination, a publisher, a key */

typedef struct Frames {
    Buffer bytes, destination, reply_to;
    bool numbered; /* the name ends in the number of the destination: reply_to's, or else destination's */
    bool scheduled; /* each says how long it is to wait */
    uint32_t unit;   /* SENDs in a transaction, or 1 */
    uint32_t most;   /* SENDs in all of it */
    size_t opening, closing, length, unit_bytes;
    size_t opening_head, head, closing_head; /* WebSocket: so much of each is the head of its frame; else 0 */
    Buffer masked; /* WebSocket: what was sent last, as `bytes` has it, but masked */
    size_t body;    /* where in a SEND */
    size_t digits;  /* where the number of a destination, or of a variety, is; 0: all messages are alike */
    int digit_count;
    uint32_t first_number; /* that of the first one */
    size_t delay;   /* where it is written how long it waits, or 0 */
    uint32_t wait;  /* so many ms, in what is written next */
    size_t receipt; /* where the id of its receipt is, in a SEND or a COMMIT; 0: none is asked for */
    size_t sender;  /* where the number of the publisher is, or 0 */
    const Connection *owner; /* whose messages are in it, from the first to the last that was written */
    uint64_t first, first_slot, count;
} Frames;

static inline size_t send_at(const Frames *frames, uint64_t slot) {
    if (frames->unit == 1)
        return slot * frames->length;
    return slot / frames->unit * frames->unit_bytes + frames->opening + slot % frames->unit * frames->length;
}

static inline size_t slice_at(const Frames *frames, uint64_t slot) {
    size_t at = send_at(frames, slot);
    return slot % frames->unit == 0 ? at - frames->opening : at;
}

/* The slot that a byte belongs to. */
static inline uint64_t slot_at(const Frames *frames, size_t position) {
    if (frames->unit == 1)
        return position / frames->length;
    size_t inside = position % frames->unit_bytes;
    uint64_t slot = inside < frames->opening ? 0 : (inside - frames->opening) / frames->length;
    return position / frames->unit_bytes * frames->unit + (slot < frames->unit ? slot : frames->unit - 1);
}

static inline void frames_free(Frames *frames) {
    buffer_free(&frames->bytes);
    buffer_free(&frames->masked);
    buffer_free(&frames->destination);
    buffer_free(&frames->reply_to);
}

#endif
