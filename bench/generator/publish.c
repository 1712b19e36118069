/* Handing messages to the kernel. */
#include "publish.h"

#include <errno.h>

#include "compose.h"
#include "waiting.h"
#include "websocket.h"

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
        uint64_t intended = pace_intended(&engine->pace, c, number);
        if (intended >= c->free_since && in_window(engine, ticks_at(engine, intended)))
            histogram_add(&engine->send_delay, engine->now > intended ? engine->now - intended : 0, 1);
    }
}

static void count_sent(Engine *engine, Connection *c, uint64_t slot, size_t position) {
    uint64_t before = begun_by(c), reached = slot_at(&engine->frames, position), first = c->sent;
    c->sent += reached - slot;
    c->begun = position - slice_at(&engine->frames, reached);
    if (c->begun && (c->sent > first || before == first)) {
        c->begun_time = message_ticks(engine, c, c->sent, engine->now);
        c->begun_wait = engine->frames.wait;
    }
    engine->sent += begun_by(c) - before;
    engine->due += due_of(&engine->geometry, c, before, begun_by(c) - before);
}

/* Offers the kernel what may be sent now, in one piece; false when the connection is broken, with errno. */
bool publish(Engine *engine, Connection *c) {
    Frames *frames = &engine->frames;
    uint64_t slot = c->sent % frames->unit, count = engine->kind->allowed(engine, c) + (c->begun > 0);
    if (!count)
        return true;
    count = count < frames->most - slot ? count : frames->most - slot;
    engine->now = now_ns();
    hindrance_ends(engine, c);
    frames_write(engine, c, (uint32_t)count, engine->now);
    record_send_delay(engine, c, count);
    size_t from = slice_at(frames, slot) + c->begun, to = slice_at(frames, slot + count);
    const char *bytes = engine->websocket ? websocket_masked(engine, c, slot, count) : frames->bytes.bytes;
    if (bytes == NULL)
        return true;
    ssize_t took = engine->carrier->send(engine, c, bytes + from, to - from);
    if (took < 0 && errno != EAGAIN && errno != EINTR)
        return false;
    c->blocked = took < (ssize_t)(to - from);
    count_sent(engine, c, slot, from + (took > 0 ? (size_t)took : 0));
    return true;
}
