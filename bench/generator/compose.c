/* Ready-made frames: a flood costs no more than sixteen bytes written into each. */
#include "compose.h"

#include "failure.h"
#include "websocket.h"

#define BATCH_SIZE (128u << 10)
#define LARGEST_UNIT (64u << 20)

/* ---- writing into them ---- */

/* The end of a transaction that must be finished goes out before its time. */
uint64_t message_ticks(const Engine *engine, const Connection *c, uint64_t number, uint64_t now) {
    if (engine->due_at)
        return ticks_at(engine, engine->due_at);
    bool has_time = paced(engine) && number >= c->paced_from && engine->phase > READY;
    return ticks_at(engine, has_time ? earlier(now, pace_intended(&engine->pace, c, number)) : now);
}

static void write_digits(char *at, int count, uint32_t number) {
    for (int i = count - 1; i >= 0; i--, number /= 10)
        at[i] = (char)('0' + number % 10);
}

/* A clock that counts whole milliseconds may be one ahead of us. */
static uint32_t wait_of(const Engine *engine, uint64_t now) {
    return engine->due_at > now ? (uint32_t)((engine->due_at - now) / (SECOND / 1000)) + 2 : 1;
}

static void write_body(const Engine *engine, char *body, uint32_t stream, uint64_t number, uint64_t ticks) {
    size_t size = (size_t)engine->load.size;
    stamp_write(body, stream, number, ticks);
    if (!engine->load.verify)
        return;
    body_fill(body, size, stream, number);
    body_hash_write(body, size);
}

/* Where the id of the receipt goes for the message in a slot, or NULL: it is the SEND's, or the COMMIT's behind it. */
static char *receipt_of(const Frames *frames, uint64_t slot) {
    if (!frames->receipt || (slot + 1) % frames->unit)
        return NULL;
    size_t start = frames->unit == 1 ? send_at(frames, slot) : send_at(frames, slot) + frames->length;
    return frames->bytes.bytes + start + frames->receipt;
}

static void write_message(const Engine *engine, const Connection *c, uint64_t slot, uint64_t number, uint64_t ticks) {
    const Frames *frames = &engine->frames;
    const Geometry *geometry = &engine->geometry;
    char *at = frames->bytes.bytes + send_at(frames, slot), *receipt = receipt_of(frames, slot);
    uint32_t stream = c->number + (uint32_t)(number % c->streams) * geometry->publishers;
    write_body(engine, at + frames->body, stream, number / c->streams, ticks);
    if (frames->digits)
        write_digits(at + frames->digits, frames->digit_count, frames->first_number + stream % geometry->destinations);
    if (frames->delay)
        write_digits(at + frames->delay, DELAY_DIGITS, frames->wait);
    if (frames->sender)
        write_digits(at + frames->sender, NUMBER_DIGITS, c->number);
    if (receipt)
        receipt_write(receipt, number / frames->unit, ticks);
}

/* One stream, one time, nothing but a stamp: the letter of the last six bits of the number is counted up in the text. */
static void write_stamps(const Frames *frames, const Connection *c, uint64_t slot, uint64_t end, uint64_t ticks) {
    char *at = frames->bytes.bytes + slot * frames->length + frames->body;
    uint64_t number = c->sent + slot, head = stamp_head(c->number, number), tail = stamp_tail(0, ticks);
    for (; slot < end; slot++, number++, at += frames->length) {
        if ((number & 63) == 0)
            head = stamp_head(c->number, number);
        store_text(at, head);
        store_text(at + 8, tail + (number & 63));
    }
}

static bool has_only_stamps(const Engine *engine, const Connection *c) {
    const Frames *frames = &engine->frames;
    return c->streams == 1 && frames->unit == 1 && !frames->digits && !frames->receipt && !frames->delay &&
           !engine->load.verify && !paced(engine);
}

/* The message that the kernel has the beginning of must be there as it was. */
static uint64_t restore_begun(Engine *engine, const Connection *c, uint64_t slot) {
    Frames *frames = &engine->frames;
    frames->wait = c->begun_wait;
    if (!c->begun)
        return 0;
    if (frames->owner != c || c->sent < frames->first || c->sent >= frames->first + frames->count ||
        frames->first_slot + (c->sent - frames->first) != slot)
        write_message(engine, c, slot, c->sent, c->begun_time);
    return 1;
}

void frames_write(Engine *engine, const Connection *c, uint32_t count, uint64_t now) {
    Frames *frames = &engine->frames;
    uint64_t slot = c->sent % frames->unit;
    uint64_t i = restore_begun(engine, c, slot);
    frames->wait = wait_of(engine, now);
    if (has_only_stamps(engine, c))
        write_stamps(frames, c, i, count, ticks_at(engine, now));
    else
        for (; i < count; i++)
            write_message(engine, c, slot + i, c->sent + i, message_ticks(engine, c, c->sent + i, now));
    frames->owner = c;
    frames->first = c->sent;
    frames->first_slot = slot;
    frames->count = count;
}

/* ---- making them ---- */

static void append_unit(Frames *frames, const Buffer *opening, const Buffer *sending, const Buffer *closing) {
    buffer_append(&frames->bytes, opening->bytes, opening->end);
    for (uint32_t i = 0; i < frames->unit; i++)
        buffer_append(&frames->bytes, sending->bytes, sending->end);
    buffer_append(&frames->bytes, closing->bytes, closing->end);
}

static bool repeat(Engine *engine, const Buffer *opening, const Buffer *sending, const Buffer *closing) {
    Frames *frames = &engine->frames;
    frames->opening = opening->end;
    frames->closing = closing->end;
    frames->length = sending->end;
    frames->unit_bytes = opening->end + frames->unit * sending->end + closing->end;
    if (frames->unit_bytes > LARGEST_UNIT)
        return fail(engine, "a transaction, or a message, of %zu bytes is more than this can send", frames->unit_bytes);
    size_t units = BATCH_SIZE / frames->unit_bytes + (frames->unit > 1 || frames->unit_bytes > BATCH_SIZE);
    frames->most = (uint32_t)units * frames->unit;
    for (size_t i = 0; i < units; i++)
        append_unit(frames, opening, sending, closing);
    return !frames->bytes.broken || fail_memory(engine);
}

/* Around each frame of STOMP its own of the WebSocket; what was found in it is that much further then. */
static void wrap(Frames *frames, Buffer *opening, Buffer *sending, Buffer *closing) {
    websocket_wrap(opening, &frames->opening_head);
    websocket_wrap(sending, &frames->head);
    websocket_wrap(closing, &frames->closing_head);
    frames->body += frames->head;
    frames->digits += frames->digits ? frames->head : 0;
    frames->delay += frames->delay ? frames->head : 0;
    frames->receipt += frames->receipt ? (frames->unit == 1 ? frames->head : frames->closing_head) : 0;
}

bool frames_make(Engine *engine) {
    Buffer opening = {0}, sending = {0}, closing = {0};
    engine->frames.unit = engine->load.transaction ? (uint32_t)engine->load.transaction : 1;
    engine->kind->address(engine, &engine->frames);
    engine->protocol->encode(engine, &opening, &sending, &closing);
    if (engine->websocket)
        wrap(&engine->frames, &opening, &sending, &closing);
    bool good = !(opening.broken || sending.broken || closing.broken) || fail_memory(engine);
    good = good && repeat(engine, &opening, &sending, &closing);
    buffer_free(&opening);
    buffer_free(&sending);
    buffer_free(&closing);
    return good;
}
