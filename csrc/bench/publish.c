/* Handing messages to the kernel, and the receipts that come back for them. */
#include "engine.h"

/* ---- how long publishers wait for the kernel ---- */

uint64_t waited_total(const Engine *engine) {
    return engine->waited_ns + engine->waiting * engine->now - engine->waiting_since;
}

void waiting_begins(Engine *engine, Connection *c) {
    if (c->waits)
        return;
    c->waits = true;
    c->waits_since = engine->now;
    c->waits_turn = engine->turns;
    engine->waiting++;
    engine->waiting_since += c->waits_since;
}

/* Whoever may go on at the next turn, before we slept, has waited for us and not for the kernel. */
void waiting_ends(Engine *engine, Connection *c) {
    bool had_to = engine->slept_at > c->waits_since || engine->turns > c->waits_turn + 1;
    if (!c->waits)
        return;
    c->waits = false;
    engine->waiting--;
    engine->waiting_since -= c->waits_since;
    engine->waited_ns += had_to ? engine->now - c->waits_since : 0;
}

/* What was due while the kernel, or a window, did not let it go was late through no fault of ours. */
static void hindrance_ends(Engine *engine, Connection *c) {
    if (c->blocked || c->limited)
        c->free_since = engine->now;
    c->blocked = c->limited = false;
    waiting_ends(engine, c);
}

/* ---- sending ---- */

bool wants_to_write(Engine *engine, Connection *c) {
    if (c->begun || unsent(c))
        return true;
    return sends(c) && c->state == UP && engine->kind->allowed(engine, c) > 0;
}

/* How late we are with what is offered to the kernel for the first time. */
static void record_send_delay(Engine *engine, const Connection *c, uint64_t count) {
    if (!paced(engine) || engine->phase <= READY)
        return;
    for (uint64_t number = begun_by(c); number < c->sent + count; number++) {
        uint64_t intended = pace_intended(engine, c, number);
        if (intended >= c->free_since && in_window(engine, ticks_at(engine, intended)))
            histogram_add(&engine->send_delay, engine->now > intended ? engine->now - intended : 0, 1);
    }
}

static void count_sent(Engine *engine, Connection *c, uint64_t slot, size_t position) {
    uint64_t before = begun_by(c), reached = slot_at(&engine->frames, position), first = c->sent;
    c->sent += reached - slot;
    c->begun = position - slice_at(&engine->frames, reached);
    if (c->begun && (c->sent > first || before == first))
        c->begun_time = message_ticks(engine, c, c->sent, engine->now);
    engine->sent += begun_by(c) - before;
    engine->due += due_of(engine, c, before, begun_by(c) - before);
}

/* Offers the kernel what may be sent now, in one piece. */
void publish(Engine *engine, Connection *c) {
    Frames *frames = &engine->frames;
    uint64_t slot = c->sent % frames->unit, count = engine->kind->allowed(engine, c) + (c->begun > 0);
    if (!count)
        return;
    count = count < frames->most - slot ? count : frames->most - slot;
    engine->now = now_ns();
    hindrance_ends(engine, c);
    frames_write(engine, c, (uint32_t)count, engine->now);
    record_send_delay(engine, c, count);
    size_t from = slice_at(frames, slot) + c->begun, to = slice_at(frames, slot + count);
    const char *bytes = engine->websocket ? websocket_masked(engine, c, slot, count) : frames->bytes.bytes;
    if (bytes == NULL)
        return;
    ssize_t took = engine->carrier->send(engine, c, bytes + from, to - from);
    if (took < 0 && errno != EAGAIN && errno != EINTR) {
        connection_write_failed(engine, c, errno);
        return;
    }
    c->blocked = took < (ssize_t)(to - from);
    count_sent(engine, c, slot, from + (took > 0 ? (size_t)took : 0));
}

void publish_all(Engine *engine) {
    for (uint32_t i = 0; i < engine->geometry.publishers && !failed(engine); i++) {
        connection_write(engine, &engine->publishers[i]);
        connection_watch(engine, &engine->publishers[i]);
    }
}

/* ---- receipts ---- */

uint64_t receipts_asked(const Engine *engine, const Connection *c) {
    if (!engine->frames.receipt)
        return 0;
    return engine->frames.unit == 1 ? begun_by(c) : c->sent / engine->frames.unit;
}

uint64_t receipts_open(const Engine *engine) {
    uint64_t open = 0;
    for (uint32_t i = 0; i < engine->geometry.publishers; i++)
        open += receipts_asked(engine, &engine->publishers[i]) - engine->publishers[i].receipts_got;
    return open;
}

void receipt_came(Engine *engine, Connection *c, const char *id, size_t length) {
    uint64_t number, ticks;
    bool asked = length == RECEIPT_SIZE && receipt_read(id, &number, &ticks) && number < receipts_asked(engine, c);
    if (!asked || tally_take(&c->receipts, number, engine->tally_most) == ARRIVED_AGAIN) {
        refuse(engine, c, "sent a receipt that is not open to", id, length);
        return;
    }
    c->receipts_got++;
    engine->receipts++;
    if (in_window(engine, ticks))
        histogram_add(&engine->receipt, engine->arrival - (engine->epoch + ticks * TICK), 1);
}
