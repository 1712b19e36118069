/* STOMP 1.2: what comes from the server, and what it is answered with.
 *
 *     MESSAGE\n subscription:0000000\n message-id:x\n [ack:x\n] ... \n BODY NUL [\n]
 *     ACK\n id:x\n \n NUL
 *
 * Bodies are ours and have no NUL, so the first NUL ends a frame.
 */
#include "check.h"
#include "failure.h"
#include "receipts.h"
#include "session.h"
#include "stomp_frames.h"

/* ---- reading ---- */

static bool starts(const char *frame, const char *end, const char *text) {
    size_t length = strlen(text);
    return (size_t)(end - frame) >= length && !memcmp(frame, text, length);
}

static const char *end_of_line(const char *at, const char *end) {
    const char *found = memchr(at, '\n', (size_t)(end - at));
    return found ? found : end;
}

/* The value of a header, as it stands, or NULL; `name` has its colon. */
static const char *find_header(const char *frame, const char *end, const char *name, size_t *length) {
    const char *line = end_of_line(frame, end);
    while (line < end && line + 1 < end && line[1] != '\n' && line[1] != '\r') {
        const char *next = end_of_line(line + 1, end);
        if (starts(line + 1, next, name)) {
            const char *value = line + 1 + strlen(name);
            *length = (size_t)(next - value) - (next[-1] == '\r');
            return value;
        }
        line = next;
    }
    return NULL;
}

static bool redelivered(const Message *message) {
    size_t length;
    return find_header(message->frame, message->end, "redelivered:", &length) != NULL;
}

/* Where the body begins, if it has the size it was sent with. */
static const char *body_of(const Engine *engine, const char *frame, const char *end) {
    size_t size = (size_t)engine->load.size;
    if ((size_t)(end - frame) < size + 2)
        return NULL;
    const char *body = end - size;
    bool is_there = body[-1] == '\n' && (body[-2] == '\n' || (body[-2] == '\r' && body[-3] == '\n'));
    return is_there ? body : NULL;
}

/* ---- acknowledging ---- */

/* The value of the `ack` header is looked for first where it was in the last frame. */
static const char *find_ack(Connection *c, const char *frame, const char *end, size_t *length) {
    size_t at = c->ack_at;
    if (at && at + 4 < (size_t)(end - frame) && frame[at - 1] == '\n' && !memcmp(frame + at, "ack:", 4)) {
        const char *value = frame + at + 4;
        *length = (size_t)(end_of_line(value, end) - value);
        *length -= *length && value[*length - 1] == '\r';
        return value;
    }
    const char *value = find_header(frame, end, "ack:", length);
    c->ack_at = value ? (size_t)(value - 4 - frame) : 0;
    return value;
}

/* It is repeated byte for byte: what the server escaped in it is escaped in the same way coming back. */
static void acknowledge(Engine *engine, Connection *c, const char *frame, const char *end) {
    size_t length;
    const char *value = find_ack(c, frame, end, &length);
    if (value == NULL) {
        refuse(engine, c, "sent a message without an ack header to", frame, (size_t)(end - frame));
        return;
    }
    buffer_text(&c->control, "ACK\nid:");
    buffer_append(&c->control, value, length);
    buffer_append(&c->control, "\n\n", 3);
}

/* Up to the last message of a read is enough where one ACK stands for all before it; but only of one subscription. */
static bool acknowledges_last(const Engine *engine, const Connection *c) {
    return engine->ack == ACK_CLIENT && c->wanted == 1;
}

/* ---- frames ---- */

static void answer(Engine *engine, Connection *c, const Message *message) {
    size_t length;
    const char *reply_to = find_header(message->frame, message->end, "reply-to:", &length);
    if (reply_to == NULL || message->body == NULL) {
        refuse(engine, c, "sent a request with no reply-to, or another body, to", message->frame,
               (size_t)(message->end - message->frame));
        return;
    }
    buffer_text(&c->control, "SEND\ndestination:");
    buffer_append(&c->control, reply_to, length);
    if (engine->load.content_length)
        buffer_format(&c->control, "\ncontent-length:%lld", (long long)engine->load.size);
    buffer_append(&c->control, "\n\n", 2);
    buffer_append(&c->control, message->body, (size_t)(message->end - message->body) + 1);
}

static void take_receipt(Engine *engine, Connection *c, const char *frame, const char *end) {
    size_t length;
    const char *id = find_header(frame, end, "receipt-id:", &length);
    uint64_t number = id && length == 7 ? strtoul(id, NULL, 10) : UINT64_MAX;
    if (id && length == RECEIPT_SIZE)
        receipt_came(engine, c, id, length);
    else if (number < c->asked)
        confirmed(engine, c);
    else
        refuse(engine, c, "sent a receipt that was not asked for to", frame, (size_t)(end - frame));
}

static void note_header(const char *frame, const char *end, const char *name, char *room, size_t size) {
    size_t length;
    const char *value = find_header(frame, end, name, &length);
    snprintf(room, size, "%.*s", value ? (int)length : 0, value ? value : "");
}

static void take_connected(Engine *engine, Connection *c, const char *frame, const char *end) {
    note_header(frame, end, "version:", engine->version, sizeof engine->version);
    note_header(frame, end, "server:", engine->server, sizeof engine->server);
    logged_in(engine, c);
}

/* Behind the receipt of a DISCONNECT nothing counts: some servers send it twice. */
static void take_frame(Engine *engine, Connection *c, const char *frame, const char *end) {
    size_t length = (size_t)(end - frame);
    if (c->state == LEFT || c->turned_away)
        return;
    if (starts(frame, end, "MESSAGE\n") || starts(frame, end, "MESSAGE\r\n")) {
        message_came(engine, c, &(Message){.frame = frame, .body = body_of(engine, frame, end), .end = end});
        if (c->acknowledges && !acknowledges_last(engine, c))
            acknowledge(engine, c, frame, end);
    } else if (starts(frame, end, "RECEIPT")) {
        take_receipt(engine, c, frame, end);
    } else if (starts(frame, end, "CONNECTED") && c->state == LOGGING_IN) {
        take_connected(engine, c, frame, end);
    } else if (starts(frame, end, "ERROR")) {
        turn_away(engine, c, "refused", frame, length);
    } else {
        refuse(engine, c, "sent something unexpected to", frame, length);
    }
}

/* All messages of a run are alike but for a digit or two in their headers, so the NUL is nearly always exactly as far away
 * as the last time, and a NUL there cannot be that of a later frame. Looking there first saves touching every byte. */
static const char *find_end(Connection *c, const char *frame, const char *limit, size_t known) {
    size_t available = (size_t)(limit - frame), guess = c->expected_length;
    if (guess && guess <= available && frame[guess - 1] == '\0')
        return frame + guess - 1;
    const char *end = memchr(frame + known, '\0', available - known);
    if (end)
        c->expected_length = (size_t)(end - frame) + 1;
    else
        c->scanned = available;
    return end;
}

/* Whether the frame is the message that should be next, as far as three comparisons tell. */
static bool is_next(Engine *engine, Connection *c, const char *frame, const char *limit) {
    static const char command[] = "MESSAGE\n";
    size_t guess = c->expected_length, size = (size_t)engine->load.size;
    if (guess > (size_t)(limit - frame) || guess < size + sizeof command + 2 || frame[guess - 1] != '\0')
        return false;
    const char *body = frame + guess - 1 - size;
    return !memcmp(frame, command, 8) && !memcmp(body - 2, "\n\n", 2) && check_next(engine, c, body);
}

static const char *skip_blanks(const char *at, const char *limit) {
    while (at < limit && (*at == '\n' || *at == '\r'))
        at++;
    return at;
}

/* Handles one frame, whose last message it may be; returns its NUL, or NULL if that has not come. */
static const char *scan_frame(Engine *engine, Connection *c, const char *frame, const char *limit, size_t known) {
    if (is_next(engine, c, frame, limit)) {
        const char *end = frame + c->expected_length - 1;
        if (c->acknowledges && !acknowledges_last(engine, c))
            acknowledge(engine, c, frame, end);
        return end;
    }
    const char *end = find_end(c, frame, limit, known);
    if (end)
        take_frame(engine, c, frame, end);
    return end;
}

static size_t scan(Engine *engine, Connection *c, const char *bytes, size_t length) {
    const char *limit = bytes + length, *at = skip_blanks(bytes, limit), *last = NULL, *end;
    size_t known = c->scanned; /* bytes of the first frame that are known to have no NUL */
    c->scanned = 0;
    while (at < limit && !failed(engine) && (end = scan_frame(engine, c, at, limit, known))) {
        last = *at == 'M' ? at : last;
        at = skip_blanks(end + 1, limit);
        known = 0;
    }
    if (last && c->acknowledges && acknowledges_last(engine, c))
        acknowledge(engine, c, last, last + strlen(last));
    return (size_t)(at - bytes);
}

const Protocol stomp_protocol = {
    .name = "stomp",
    .is_stomp = true,
    .stores = true,
    .subscribes = true,
    .log_in = stomp_log_in,
    .subscribe = stomp_subscribe,
    .unsubscribe = stomp_unsubscribe,
    .leave = stomp_leave,
    .answer = answer,
    .redelivered = redelivered,
    .encode = stomp_encode,
    .scan = scan,
};
