/* The raw relay of bench/relay.c: one byte says who we are, '+' answers that it is known, then bytes are bytes.
 *
 * What is sent are the SEND frames that a STOMP broker is given, so that both move the same bytes. Those of one publisher
 * come back as they were sent, and are checked. Those of several are mixed wherever the relay's reads end: then frames
 * cannot be told apart, and what counts is how many frames' worth of bytes came.
 */
#include "check.h"
#include "failure.h"
#include "session.h"
#include "stomp_frames.h"

static bool is_mixed(const Engine *engine, const Connection *c) {
    return c->role == SUBSCRIBER && engine->geometry.publishers > 1;
}

static void log_in(Engine *engine, Connection *c) {
    static const char letters[] = {
        [PUBLISHER] = 'P', [SUBSCRIBER] = 'S', [SLOW_SUBSCRIBER] = 'S', [CLIENT] = 'E'};
    buffer_append(&c->control, &letters[c->role], 1);
}

static void leave(Engine *engine, Connection *c) {
    c->asked++;
    confirmed(engine, c);
}

static bool redelivered(const Message *message) {
    return false;
}

static void take_frame(Engine *engine, Connection *c, const char *frame) {
    const Frames *frames = &engine->frames;
    const char *body = frame + frames->body;
    if (!check_next(engine, c, body))
        message_came(engine, c, &(Message){.frame = frame, .body = body, .end = frame + frames->length - 1});
}

static size_t scan_frames(Engine *engine, Connection *c, const char *bytes, size_t length) {
    size_t at = 0, frame = engine->frames.length;
    for (; length - at >= frame; at += frame)
        take_frame(engine, c, bytes + at);
    return at;
}

static size_t count_frames(Engine *engine, size_t length) {
    size_t frame = engine->frames.length;
    engine->received += length / frame;
    return length - length % frame;
}

static size_t scan(Engine *engine, Connection *c, const char *bytes, size_t length) {
    bool is_in = c->state != LOGGING_IN;
    if (!is_in && *bytes != '+') {
        refuse(engine, c, "is not the relay of the benchmark; it said to", bytes, length);
        return 0;
    }
    if (!is_in)
        logged_in(engine, c);
    if (c->state == LEFT || engine->geometry.streams == 0)
        return length;
    if (is_mixed(engine, c))
        return !is_in + count_frames(engine, length - !is_in);
    return !is_in + scan_frames(engine, c, bytes + !is_in, length - !is_in);
}

const Protocol relay_protocol = {
    .name = "relay",
    .is_stomp = true,
    .stores = true,
    .log_in = log_in,
    .leave = leave,
    .redelivered = redelivered,
    .encode = stomp_encode,
    .scan = scan,
};
