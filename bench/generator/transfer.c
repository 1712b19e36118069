/* One connection: reading whole frames out of what comes, writing, and being hung up on. */
#include "transfer.h"

#include <errno.h>

#include "check.h"
#include "failure.h"
#include "poller.h"
#include "publish.h"
#include "tls.h"
#include "waiting.h"
#include "websocket.h"

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* Python ignores SIGPIPE */
#endif

#define READ_SIZE (256u << 10)
#define LARGE_REST (64u << 10)
#define LARGEST_FRAME (64u << 20)
#define MOST_CONTROL (1u << 20)

void connection_close(Engine *engine, Connection *c) {
    if (c->fd >= 0)
        close(c->fd);
    if (c->state >= UP)
        engine->up--;
    else if (c->state != CLOSED)
        engine->opening--;
    c->fd = -1;
    c->state = CLOSED;
    c->interest = 0;
    c->scanned = 0;
    c->framing = (Framing){0};
    tls_end(engine, c);
    buffer_clear(&c->rest);
    buffer_clear(&c->control);
    buffer_clear(&c->framed);
}

void connection_free(Engine *engine, Connection *c) {
    if (c->fd >= 0)
        close(c->fd);
    buffer_free(&c->rest);
    buffer_free(&c->control);
    buffer_free(&c->framed);
    tls_end(engine, c);
    buffer_free(&c->cipher);
    tally_free(&c->receipts);
}

/* ---- bytes as they are ---- */

static ssize_t receive_plain(Engine *engine, Connection *c, char *room, size_t size) {
    return recv(c->fd, room, size, 0);
}

static ssize_t send_plain(Engine *engine, Connection *c, const char *bytes, size_t length) {
    return send(c->fd, bytes, length, MSG_NOSIGNAL);
}

const Carrier plain_carrier = {.receive = receive_plain, .send = send_plain};

/* ---- reading ---- */

/* A slow subscriber that was dropped is what the load is about; whoever else is hung up on cannot go on. */
void connection_ended(Engine *engine, Connection *c, ssize_t got) {
    if (c->role == SLOW_SUBSCRIBER && c->state == UP) {
        engine->hung_up++;
        connection_close(engine, c);
    } else if (got == 0) {
        turn_away(engine, c, "hung up on", buffer_front(&c->rest), buffer_length(&c->rest));
    } else {
        turn_away(engine, c, "broke the connection of", strerror(errno), strlen(strerror(errno)));
    }
}

/* What was cut off of the end, for the next read. */
static void keep_rest(Engine *engine, Connection *c, Buffer *from, size_t used) {
    buffer_take(from, used);
    if (from != &c->rest) {
        buffer_clear(&c->rest);
        buffer_append(&c->rest, buffer_front(from), buffer_length(from));
    }
    if (c->rest.broken)
        fail_memory(engine);
    if (buffer_length(&c->rest) > LARGEST_FRAME)
        refuse(engine, c, "sent a frame without an end to", buffer_front(&c->rest), 64);
}

/* All connections are read into one buffer, so that it stays in the cache, behind the rest of the read before. Only a large
 * frame is put together in the connection's own, so that none of it is copied again and again. */
static Buffer *input_for(Engine *engine, Connection *c) {
    if (buffer_length(&c->rest) > LARGE_REST)
        return &c->rest;
    buffer_clear(&engine->input);
    buffer_append(&engine->input, buffer_front(&c->rest), buffer_length(&c->rest));
    return &engine->input;
}

/* How much of what is there has been handled. */
static size_t scan(Engine *engine, Connection *c, Buffer *input, size_t known) {
    if (engine->websocket)
        input->end = input->start + websocket_read(engine, c, buffer_front(input), known, buffer_length(input));
    if (failed(engine) || c->state == UPGRADING)
        return 0;
    size_t used = engine->protocol->scan(engine, c, buffer_front(input), buffer_length(input));
    if (c->framing.closed && c->state != LEFT && !failed(engine))
        websocket_closed(engine, c);
    return used;
}

/* Reads once; false when there was nothing, or it has ended. */
bool connection_receive(Engine *engine, Connection *c) {
    Buffer *input = input_for(engine, c);
    size_t known = buffer_length(input);
    buffer_append(input, c->framing.start, c->framing.kept);
    char *room = buffer_room(input, READ_SIZE);
    if (room == NULL)
        return fail_memory(engine);
    ssize_t got = engine->carrier->receive(engine, c, room, READ_SIZE);
    if (got <= 0) /* without the start of a frame, which is no stream yet */
        input->end = input->start + known;
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (got <= 0) {
        connection_ended(engine, c, got);
        return false;
    }
    input->end += (size_t)got;
    engine->arrival = now_ns();
    size_t used = scan(engine, c, input, known);
    flush_latency(engine);
    keep_rest(engine, c, input, used);
    return true;
}

void connection_drain(Engine *engine, Connection *c) {
    char *room = buffer_room(&engine->input, READ_SIZE);
    ssize_t got = room ? recv(c->fd, room, READ_SIZE, 0) : -1;
    if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
        connection_ended(engine, c, got);
}

/* ---- writing ---- */

/* What the server said before it stopped reading says more than that it did. */
static void write_failed(Engine *engine, Connection *c, int error) {
    while (!failed(engine) && c->fd >= 0 && connection_receive(engine, c))
        continue;
    if (c->fd >= 0)
        turn_away(engine, c, "broke the connection of", strerror(error), strlen(strerror(error)));
}

static void flush_control(Engine *engine, Connection *c) {
    Buffer *control = engine->websocket ? &c->framed : &c->control;
    if (engine->websocket)
        websocket_frame_control(engine, c);
    ssize_t took = engine->carrier->send(engine, c, buffer_front(control), buffer_length(control));
    if (took >= 0)
        buffer_take(control, (size_t)took);
    else if (errno != EAGAIN && errno != EINTR)
        write_failed(engine, c, errno);
}

/* Other frames go before messages, but not into the middle of one. */
void connection_write(Engine *engine, Connection *c) {
    if (c->control.broken || c->framed.broken || c->cipher.broken) {
        fail_memory(engine);
        return;
    }
    if (!c->begun && unsent(c))
        flush_control(engine, c);
    if (!failed(engine) && sends(c) && c->state == UP && (c->begun || !unsent(c)))
        if (!publish(engine, c))
            write_failed(engine, c, errno);
}

/* ---- what it waits for ---- */

/* Consumers wait with a backlog until it counts; and whoever does not take our answers is not read from. */
static bool reads(const Engine *engine, const Connection *c) {
    bool waits = engine->load.backlog && c->role == SUBSCRIBER && c->state == UP && engine->phase <= READY;
    return !waits && unsent(c) < MOST_CONTROL;
}

static unsigned interest_of(Engine *engine, Connection *c) {
    if (c->state == DIALLING)
        return POLL_WRITE;
    if (c->role == SLOW_SUBSCRIBER && c->state == UP)
        return engine->phase == SETTLING ? POLL_READ : POLL_HANG_UP;
    return (reads(engine, c) ? POLL_READ : 0u) | (wants_to_write(engine, c) ? POLL_WRITE : 0u);
}

void connection_watch(Engine *engine, Connection *c) {
    unsigned interest = c->fd < 0 || failed(engine) ? c->interest : interest_of(engine, c);
    if (sends(c) && interest & POLL_WRITE)
        waiting_begins(engine, c);
    else
        waiting_ends(engine, c);
    if (interest == c->interest)
        return;
    if (poller_set(engine->poller, c->fd, c->interest, interest, c) < 0)
        fail(engine, "cannot wait for a socket: %s", strerror(errno));
    c->interest = (uint8_t)interest;
}

